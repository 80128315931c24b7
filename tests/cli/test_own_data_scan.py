"""What a run on own data sees of its files before the first step."""

import shutil

import pytest

from keras_imp.evaluation.own_data import look
from tests.helpers import own_files
from tests.helpers.own_data_command import results_of, trained

pytestmark = pytest.mark.usefixtures("smallest_encoder")


def test_a_file_that_crashes_a_decoder_does_not_end_the_run(
    tmp_path, monkeypatch
):
    target = "tests.validation.faults:crash_on_three"
    monkeypatch.setattr(look, "TARGET", target)
    data = own_files.class_folders(tmp_path / "classes")
    shutil.copy(data / "red" / "5.png", data / "red" / "6.png")
    folder = tmp_path / "run"
    options = ("--steps", 2, "--max-bad", 0.2, "--out", folder)
    result = trained("--data", data, *options)
    facts = results_of(folder)["data"]["classes"]
    assert facts["left_out"] == {"crash": 2}
    assert facts["alike"] == {"duplicate": 1}
    # Told before the first step.
    shown = " ".join(result.output.split())
    assert shown.index("red/6.png: duplicate, as") < shown.index("Epoch 1")
