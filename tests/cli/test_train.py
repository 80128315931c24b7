"""The command as a user types it, with a few steps and some of the data."""

import dataclasses
import functools
import json
import os
import signal

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_imp
from keras_imp.cli import train
from keras_imp.cli.commands import app
from keras_imp.data import Tokenizer, playground
from keras_imp.evaluation.playground import report as playground_report
from keras_imp.evaluation.playground import tasks as playground_tasks
from keras_imp.models import PRESETS

STEPS = 4
ROWS = 24
ENCODER = "imp_moe_tiny"
# Half of its layers are dense, so both kinds are met.
SMALLER = {
    "hidden_dim": 32,
    "intermediate_dim": 64,
    "num_layers": 2,
    "num_heads": 2,
    "num_moe_layers": 1,
}


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def smaller(preset):
    return {**preset, "config": {**preset["config"], **SMALLER}}


load_all = functools.cache(playground.load)


def load_some(split):
    """As many pictures with a class, pictures with words, and sounds."""
    whole = load_all(split)
    return playground.PlaygroundSplit(
        some(whole.fashion), some(whole.emoji), some(whole.sounds)
    )


def some(part):
    """A few rows of a part of the playground, spread over it."""
    names = [column.name for column in dataclasses.fields(part)]
    columns = {name: getattr(part, name) for name in names}
    rows = np.linspace(0, len(columns[names[0]]) - 1, ROWS).astype(int)
    return type(part)(**{k: pick(v, rows) for k, v in columns.items()})


def pick(column, rows):
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows]


class StoppedInTheMiddle(keras_imp.callbacks.Backup):
    """As if somebody stopped the process when it had taken two steps."""

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.step_counter) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        super().on_train_batch_begin(batch, logs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that was stopped and went on."""
    folder = tmp_path_factory.mktemp("run") / "playground"
    options = ("--encoder", ENCODER, "--steps", STEPS, "--seed", 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, ENCODER, smaller(PRESETS[ENCODER]))
        sizes = dict.fromkeys(playground_tasks.BATCH_SIZES, 8)
        patch.setattr(playground_tasks, "BATCH_SIZES", sizes)
        # Few sizes of a last batch, each of which would be compiled.
        patch.setattr(playground_report, "BATCH_SIZE", 2)
        # Both runs read and render the same data.
        load = functools.cache(playground_tasks.load_split)
        tokenizer = functools.cache(playground_tasks.train_tokenizer)
        patch.setattr(playground, "load", load_some)
        patch.setattr(playground_tasks, "load_split", load)
        patch.setattr(playground_tasks, "train_tokenizer", tokenizer)
        with pytest.MonkeyPatch.context() as stopped:
            stopped.setattr("keras_imp.cli.train.Backup", StoppedInTheMiddle)
            result = invoke("train", *options, "--out", folder)
        again = invoke("train", "--resume", folder)
    assert result.exit_code == 143, result.output
    assert (
        "Stopped by SIGTERM after step 2. To go on from there: keras-imp train "
        f"--resume {folder}\n"
    ) in result.output
    assert again.exit_code == 0, again.output
    return folder


def test_each_epoch_has_one_row_though_the_run_was_stopped(folder):
    rows = (folder / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2", "3"]


def test_the_run_folder_has_everything(folder):
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "config.json",
        "encoder",
        "history.csv",
        "learning_curves.png",
        "logs",
        "model.keras",
        "results.json",
        "retrieval.png",
        "routing_heatmap.png",
        "routing_overlay.png",
        "tokenizer.json",
    }
    assert (folder / "logs" / "routing").is_dir()
    assert json.loads((folder / "config.json").read_text()) == {
        "steps": STEPS,
        "seed": 3,
        "backend": keras.config.backend(),
        "encoder": ENCODER,
    }


def test_every_task_has_results_beside_its_baseline(folder):
    rows = json.loads((folder / "results.json").read_text())["rows"]
    assert {row["task"] for row in rows} == {
        "objects",
        "captions",
        "sounds",
        "sound_captions",
        "clips",
    }
    assert all(0 <= row["keras_imp"] <= 1 for row in rows)
    assert all(0 < row["chance"] < 1 for row in rows)


@pytest.mark.parametrize(
    "name",
    [
        "learning_curves.png",
        "retrieval.png",
        "routing_heatmap.png",
        "routing_overlay.png",
    ],
)
def test_pictures_can_be_opened(folder, name):
    with Image.open(folder / name) as picture:
        assert min(picture.size) > 300


def test_model_and_encoder_can_be_loaded(folder):
    model = keras.models.load_model(folder / "model.keras")
    encoder = keras_imp.IMPEncoder.from_preset(str(folder / "encoder"))
    assert encoder.count_params() == model.encoder.count_params()
    assert int(model.step_counter) == STEPS


def test_an_unknown_encoder_is_refused(tmp_path):
    result = invoke(
        "train", "--encoder", "imp_tiniest", "--out", tmp_path / "x"
    )
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "Received: encoder='imp_tiniest'." in text
    assert not (tmp_path / "x").exists()


def test_a_folder_in_use_is_refused(folder):
    result = invoke("train", "--out", folder)
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "The folder of a new run must be empty." in text
    assert "--resume" in text


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path):
    result = invoke("train", "--resume", tmp_path)
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "with its config.json." in text


def test_presets_are_listed():
    result = invoke("presets")
    assert result.exit_code == 0
    assert "imp_base" in result.output
    assert "84,954,624" in result.output


def test_a_run_that_goes_on_reads_its_tokenizer(tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    texts = ["a red heart", "moving left"]
    before = Tokenizer.train(texts, 60, playground_tasks.TEXT_LENGTH)
    monkeypatch.setattr(playground_tasks, "train_tokenizer", lambda: before)
    train._tokenizer(path)
    monkeypatch.delattr(playground_tasks, "train_tokenizer")
    np.testing.assert_array_equal(train._tokenizer(path)(texts), before(texts))
