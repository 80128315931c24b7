"""What `--tensorboard` adds to a run."""

import json

import keras
import numpy as np
import pytest

from tests.helpers import boards, own_files
from tests.helpers.own_data_command import refused, trained

pytestmark = pytest.mark.usefixtures("smallest_encoder")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images of two classes, and images with captions."""
    folder = tmp_path_factory.mktemp("data")
    own_files.class_folders(folder / "birds")
    table = own_files.captions(folder / "photos")
    return ("--data", folder / "birds", "--data", table, "--steps", 4)


@pytest.fixture(scope="module")
def watched(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched") / "run"
    trained(*data, "--tensorboard", "--out", folder)
    return folder


def test_conflict_recall_and_norms_are_curves(watched):
    train = boards.scalars(watched / "logs" / "train")
    assert {
        "birds/gradient_norm",
        "gradient_cosine/birds/photos",
        "learning_rate",
    } <= set(train)
    # Once in each epoch.
    assert len(train["gradient_cosine/birds/photos"]) == 4
    validation = boards.scalars(watched / "logs" / "validation")
    assert len(validation["photos/image_to_text/recall_at_5"]) == 4


def test_each_task_has_a_projector(watched):
    for name, label in (("birds", "red\timage"), ("photos", "circle\ttext")):
        folder = watched / "logs" / f"projector_{name}"
        assert {path.name for path in folder.iterdir()} >= {
            "metadata.tsv",
            "projector_config.pbtxt",
            "sprites.png",
            "vectors.tsv",
        }
        assert label in (folder / "metadata.tsv").read_text()


def test_the_weights_are_those_of_a_run_without_it(watched, data, tmp_path):
    trained(*data, "--out", tmp_path / "run")
    weights = [
        keras.models.load_model(folder / "model.keras").get_weights()
        for folder in (watched, tmp_path / "run")
    ]
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_run_keeps_it_when_it_is_resumed(watched):
    config = json.loads((watched / "config.json").read_text())
    assert config["tensorboard"] is True
    trained("--resume", watched)


def test_a_run_that_began_without_it_is_not_resumed_with_it(data, tmp_path):
    folder = tmp_path / "run"
    trained(*data, "--out", folder, "--dry-run")
    assert refused(2, "--resume", folder, "--tensorboard") == (
        "A run keeps the --tensorboard that it was started with. Received: "
        "tensorboard=True, started_with=False. Leave --tensorboard out, or "
        "start a new run without --resume."
    )


def test_it_does_not_go_with_overfit(data):
    assert refused(2, *data, "--tensorboard", "--overfit", 8) == (
        "--overfit writes nothing for TensorBoard. Received: overfit=8. Leave "
        "--tensorboard out."
    )
