"""`keras-imp validate` as a user types it."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from keras_imp.cli import validate as command
from keras_imp.cli.commands import app
from keras_imp.validation import environment

pytestmark = pytest.mark.one_backend


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """In a folder without TFDV."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for place in ("train/cat", "train/dog", "validation/cat"):
        folder = tmp_path / "photos" / place
        folder.mkdir(parents=True)
        for name in ("a.png", "b.png"):
            pixels = rng.integers(0, 255, (16, 16, 3), "uint8")
            Image.fromarray(pixels).save(folder / name)


def run(*arguments):
    result = CliRunner().invoke(app, ["validate", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_a_clean_folder_without_tfdv_ends_with_3(tmp_path):
    code, output = run("photos")
    assert code == 3
    assert "Rows: train 4, validation 2" in output
    assert "0 errors, 0 warnings" in output
    assert "Not checked: TensorFlow Data Validation is not installed" in output
    assert (tmp_path / "runs" / "validation-1" / "report.html").exists()
    assert run("photos")[0] == 3
    assert (tmp_path / "runs" / "validation-2" / "report.html").exists()


def test_errors_in_the_data_end_with_1(tmp_path):
    source = tmp_path / "photos/train/cat/a.png"
    copy = tmp_path / "photos/validation/cat/a.png"
    copy.write_bytes(source.read_bytes())
    code, output = run("photos", "--out", "report")
    assert code == 1
    assert "leak_image" in output
    # In a cell of a table, where it goes on in the next line.
    assert "validation/cat/a.png, as" in output
    assert "train/cat/a.png" in output
    assert "1 error, 0 warnings" in output


@pytest.mark.parametrize("folder", ["runs", "runs/validation-1"])
def test_a_folder_without_a_schema_is_refused_before_the_scan(tmp_path, folder):
    """Such as the one that all runs are in, or a run without TFDV."""
    other = tmp_path / "runs/validation-2"
    other.mkdir(parents=True)
    (other / "schema.pbtxt").write_text("")
    (tmp_path / "runs/validation-1").mkdir()
    code, output = run("photos", "--schema", folder, "--out", "report")
    assert code == 2
    assert (
        "The folder of `schema` must have a schema.pbtxt, or one in a folder "
        "for each kind of row, as a validation by TensorFlow Data Validation "
        f"writes them. Received: schema={folder!r}. Name the folder of its "
        "report."
    ) in output
    assert not (tmp_path / "report").exists()


def test_other_data_is_compared_with(tmp_path):
    code, output = run(
        "photos/validation", "--against", "photos/train", "--workers", "1"
    )
    assert code == 3
    assert "against 4" in output


def test_data_that_cannot_be_read_ends_with_1():
    code, output = run("nowhere")
    assert code == 1
    assert "nowhere" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name the DATA to validate"),
        (("photos", "--beam-option", "a=b"), "need --runner"),
        (("photos", "--schema", "nowhere"), "`schema` must be a file"),
        (("photos", "--column", "label"), "--column label=NAME"),
        (("photos", "--tfdv-python", "/nowhere/x"), "must be a program"),
    ],
)
def test_options_that_cannot_be_followed_end_with_2(arguments, said):
    code, output = run(*arguments)
    assert code == 2
    assert said in output


def test_columns_may_be_named(tmp_path):
    (tmp_path / "photos" / "table.csv").write_text(
        "photo,kind,split\ntrain/cat/a.png,cat,train\n"
        "validation/cat/a.png,bird,validation\n"
    )
    code, output = run("photos/table.csv", "--column", "label=kind")
    assert code == 1
    assert "label_unseen" in output


def test_half_a_character_is_shown_by_its_number(tmp_path):
    """As of an emoji that was cut; JSON can hold it, UTF-8 cannot."""
    half = r"cut \ud83d"
    rows = [
        *(f'"text": "{n}", "label": "a", "split": "train"' for n in range(99)),
        rf'"text": "of {half}", "label": "{half}", "split": "{half}"',
    ]
    lines = "\n".join(f"{{{row}}}" for row in rows)
    (tmp_path / "data.jsonl").write_text(lines)
    code, output = run("data.jsonl", "--out", "report")
    assert code == 1
    assert "label_unseen" in output
    assert f"Rows: train 99, {half} 1" in output
    assert half in (tmp_path / "report/report.html").read_text("utf-8")


def test_install_alone_installs(monkeypatch):
    monkeypatch.setattr(
        environment, "install_tfdv", lambda say: say("uv ...") or "python"
    )
    code, output = run("--install")
    assert code == 0
    assert output == ("uv ... TensorFlow Data Validation is there for python")


def test_an_installation_that_fails_ends_with_1(monkeypatch):
    def fail(say):
        raise RuntimeError("no Python")

    monkeypatch.setattr(environment, "install_tfdv", fail)
    assert run("--install", "photos") == (1, "no Python")


def test_a_runner_becomes_options_of_its_pipeline():
    local = command.beam_of("DirectRunner", 2, None, None)
    assert "--direct_num_workers=2" in local.options
    flink = command.beam_of(
        "FlinkRunner", None, ["flink_master=host:8081"], "gs://bucket/run"
    )
    assert flink.options == (
        "--runner=FlinkRunner",
        "--flink_master=host:8081",
    )
    assert flink.folder == "gs://bucket/run"
