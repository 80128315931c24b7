"""`keras-imp embed` and `search`, from files to an answer."""

import json

import keras
import pytest
from PIL import Image
from typer.testing import CliRunner

from keras_imp.cli.commands import app
from tests.search.conftest import (  # noqa: F401
    COLORS,
    images,
    run_folder,
)

BACKEND = keras.backend.backend()


def invoke(*arguments):
    return CliRunner().invoke(
        app,
        [*map(str, arguments), "--backend", BACKEND],
        catch_exceptions=False,
    )


@pytest.fixture(scope="module")
def embedded(run_folder, images, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("cli") / "index"
    return folder, invoke("embed", images, "--run", run_folder, "--out", folder)


def test_a_folder_becomes_an_index(embedded):
    folder, result = embedded
    assert result.exit_code == 0
    assert f"{len(COLORS)} items (image), 16 numbers each" in result.output
    assert "1 files are bad" in result.output
    bad = json.loads((folder / "bad_files.jsonl").read_text())
    assert bad["reason"] == "damaged"


def test_words_find_a_file_and_draw_it(embedded, tmp_path):
    picture = tmp_path / "found.png"
    result = invoke("search", embedded[0], "red", "-k", 3, "--out", picture)
    assert result.exit_code == 0
    first = next(line for line in result.output.splitlines() if " 1 " in line)
    assert "red.png" in first
    assert Image.open(picture).width > 800


def test_a_file_finds_itself(embedded, images):  # noqa: F811
    result = invoke("search", embedded[0], images / "black.png", "-k", 2)
    first = next(line for line in result.output.splitlines() if " 1 " in line)
    assert "black.png" in first


def test_a_preset_makes_an_index_and_finds_in_it(images, tmp_path):  # noqa: F811
    folder = tmp_path / "index"
    preset = ("--run", "imp_tiny_playground", "--task", "captions/texts")
    result = invoke("embed", images, *preset, "--out", folder)
    assert result.exit_code == 0
    assert f"{len(COLORS)} items (image), 128 numbers each" in result.output
    found = invoke("search", folder, images / "black.png", "-k", 1)
    assert found.exit_code == 0
    assert "black.png" in found.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("search", "nothing", "red"), "The folder must be an index"),
        (("embed", "nothing", "--run", ".", "--out", "i"), "must be there"),
        (("embed", ".", "--run", ".", "--out", "i"), "a run that has ended"),
        (("embed", ".", "--run", "imp_tiny", "--out", "i"), "has tasks"),
        (("embed", ".", "--run", "imp_tin", "--out", "i"), "'imp_tiny'"),
    ],
    ids=["no index", "no data", "no run", "no tasks", "no preset"],
)
def test_what_is_not_there_is_named(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert text in result.output
