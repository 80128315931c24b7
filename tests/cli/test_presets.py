"""`keras-imp presets`, as a user sees it."""

import pytest
from typer.testing import CliRunner

import keras_imp
from keras_imp.cli.commands import app
from keras_imp.models import PRESETS
from tests.helpers.preset_packages import install, write_config

pytestmark = pytest.mark.one_backend

CARD = (
    "---\nlicense: cc-by-4.0\n---\n# Garden birds\n\n"
    "[red]Robins[/red]\x1b[2J.\n"
)


def invoke(*arguments):
    return CliRunner().invoke(
        app, ["presets", *arguments], env={"COLUMNS": "80"}
    )


@pytest.fixture
def birds(monkeypatch, tmp_path):
    """Another package with a preset with weights, and one without."""
    folder = install(monkeypatch, tmp_path, "acme-presets", ["bees"])
    keras_imp.IMPEncoder.from_preset(
        write_config(folder / "birds"), load_weights=False
    ).save_to_preset(folder / "birds", card=CARD)
    return folder


def test_presets_are_a_table_of_80_columns(birds):
    result = invoke()
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split() for line in lines if line.split()}
    assert set(PRESETS) < set(rows)
    for row in (
        "imp_base 119.0 M 119.0 M image video no Apache-2.0",
        "acme/bees ? ? text no not stated",
    ):
        assert rows[row.split()[0]] == row.split()
    assert rows["acme/birds"][-3:] == ["text", "yes", "cc-by-4.0"]
    assert lines[-1] == "The card of a preset: keras-imp presets NAME"


def test_a_long_name_stays_whole(monkeypatch, tmp_path):
    name = "birds_of_the_garden_in_winter_and_spring"
    install(monkeypatch, tmp_path, "acme-presets", [name])
    assert f"acme/{name}" in invoke().output


def test_the_card_of_a_preset_is_shown_without_its_markup(birds):
    result = invoke("acme/birds")
    assert result.exit_code == 0
    assert "acme-presets" in result.output
    assert "Garden birds" in result.output
    assert "[red]Robins[/red]" in result.output
    assert "\x1b" not in result.output
    assert "license: cc" not in result.output


def test_a_size_is_described():
    result = invoke("imp_moe_tiny")
    assert "2,249,984" in result.output
    assert "A sparse encoder for a laptop's CPU" in result.output


def test_an_unknown_preset_brings_the_nearest_names():
    result = invoke("imp_tinny")
    assert result.exit_code == 2
    assert result.stderr == (
        "`preset` must be the name or the folder of a preset. Received: "
        "preset='imp_tinny'. Did you mean 'imp_tiny' or 'imp_moe_tiny'? "
        "keras_imp.list_presets() shows all names.\n"
    )


def test_a_damaged_preset_is_told_beside_the_table(birds):
    (birds / "bees" / "config.json").write_text("{")
    result = invoke()
    assert result.exit_code == 0
    assert "acme/birds" in result.stdout
    assert result.stderr.startswith("acme/bees: config.json of a preset must")


def test_two_packages_with_one_preset_end_the_command(
    birds, monkeypatch, tmp_path
):
    install(monkeypatch, tmp_path, "acme-more", ["birds"])
    result = invoke()
    assert result.exit_code == 1
    assert "acme-more 1.0 and acme-presets 1.0" in result.stderr
