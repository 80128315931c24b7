"""`keras-imp export` as a user types it."""

import pytest
from typer.testing import CliRunner

import keras_imp
from keras_imp.cli.commands import app
from keras_imp.cli.export import _preprocessor
from tests.helpers.exporting import make_model
from tests.helpers.preset_packages import SIZES, install

pytestmark = pytest.mark.one_backend


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """What a run leaves: a model, and an encoder with its preprocessor."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    model = make_model()
    model.save(folder / "model.keras")
    preprocessor = keras_imp.IMPPreprocessor(image=(16, 24))
    preprocessor.save_to_preset(folder / "encoder")
    return folder


def run(*arguments):
    result = CliRunner().invoke(app, ["export", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_a_task_of_a_run(run_folder, tmp_path):
    code, output = run(
        *("run", "--task", "objects", "--format", "onnx"),
        *("--out", "objects.onnx"),
    )
    assert code == 0, output
    assert "objects.onnx: onnx, " in output
    assert "Input 'image': uint8, shape (any, 16, 24, 3)" in output
    assert (tmp_path / "objects.onnx").exists()
    assert (tmp_path / "objects.README.md").exists()


def test_options_that_cannot_be_followed(run_folder, tmp_path):
    file = str(run_folder / "model.keras")
    image = (file, "--modality", "image", "--out", "image.onnx")
    code, output = run(*image)
    assert (code, "`input_shape` to (height, width, 3)" in output) == (2, True)
    code, output = run(*image, "--size", "16x")
    assert code == 2
    assert (
        "--size of 'image' must be heightxwidth, as numbers. Received: "
        "size='16x'." in output
    )
    code, output = run(file, "--size", "16x24", "--out", "image.onnx")
    assert (code, "--size needs --modality" in output) == (2, True)
    code, output = run(*image, "--size", "16x20")
    assert (code, "multiple of the patch of 8" in output) == (2, True)
    code, output = run("run", "--out", "image.onnx")
    assert (code, "`modality` must be given" in output) == (2, True)


def test_the_preprocessor_of_a_preset_is_found_by_name(tmp_path, monkeypatch):
    folder = install(monkeypatch, tmp_path, "acme-presets") / "birds"
    sizes = {**SIZES, "modalities": ("image",), "patch_size": (1, 4, 4)}
    keras_imp.IMPEncoder(**sizes).save_to_preset(
        folder, preprocessor=keras_imp.IMPPreprocessor(image=(8, 12))
    )
    assert _preprocessor("acme/birds").image == (8, 12)
    assert _preprocessor("imp_tiny") is None
