"""`keras-imp playground`: the bundled data goes the way of own data."""

import pytest
from typer.testing import CliRunner

from keras_imp.cli.commands import app
from tests.helpers.own_data_command import results_of, trained

pytestmark = pytest.mark.usefixtures("smallest_encoder")


def invoke(*arguments):
    arguments = ["playground", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(app, arguments)


def test_what_is_written_is_trained_on_by_its_recipe(tmp_path):
    written = invoke("--out", tmp_path / "my files", "--limit", 2)
    assert written.exit_code == 0, written.output
    recipe = tmp_path / "my files" / "recipe.toml"
    assert f"keras-imp train --recipe '{recipe}'" in written.output
    folder = tmp_path / "run"
    shown = trained("--recipe", recipe, "--steps", 8, "--out", folder).output
    assert "quarantine" not in shown
    results = results_of(folder)
    assert {line["task"] for line in results["rows"]} == {
        "objects",
        "captions",
        "sounds",
        "clips",
    }
    for data in results["data"].values():
        assert (data["left_out"], data["bad_later"]) == ({}, 0)
        assert data["warnings"] == {}
    assert results["data"]["clips"]["train"] == 2 * 10


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "note.txt").touch()
    refused = invoke("--out", tmp_path, "--limit", 1)
    assert refused.exit_code == 2
    assert "must be a new or an empty one" in refused.stderr


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "note.txt").touch()
    refused = invoke("--out", tmp_path / "note.txt" / "a", "--limit", 1)
    assert refused.exit_code == 1
    assert "Not a directory" in refused.stderr
