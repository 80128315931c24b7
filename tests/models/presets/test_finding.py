"""What a user types means one preset, or the error says what is near."""

import re
from pathlib import Path

import pytest

import keras_imp
from keras_imp.data import Tokenizer
from keras_imp.models.presets import BUILT_IN_FOLDERS
from tests.helpers.preset_packages import write_config

pytestmark = pytest.mark.one_backend

ALL = "keras_imp.list_presets() shows all names."
NO_PRESET = "`preset` must be the name or the folder of a preset."
NO_FOLDER = (
    "The folder of a preset must exist. Received: preset={!r}. Presets have "
    "names, which keras_imp.list_presets() shows, or are folders that "
    "`save_to_preset` wrote."
)


def load(preset):
    return keras_imp.IMPEncoder.from_preset(preset, load_weights=False)


def refused(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("imp_tinny", "'imp_tiny'"),
        ("IMP_Base", "'imp_base' or 'imp_large'"),
        ("imp-moe-small", "'imp_moe_small'"),
    ],
)
def test_an_unknown_name_brings_the_nearest_ones(name, near):
    with pytest.raises(ValueError, match=re.escape(NO_PRESET)) as caught:
        load(name)
    first, question, rest = str(caught.value).partition("Did you mean ")
    assert first == f"{NO_PRESET} Received: preset={name!r}. "
    assert question
    assert rest.startswith(near.partition(" or ")[0])
    assert rest.endswith(f"? {ALL}")


def test_a_name_that_is_near_to_nothing_brings_the_list():
    with refused(f"{NO_PRESET} Received: preset='whale'. {ALL}"):
        load("whale")


@pytest.mark.parametrize("path", ["./birds", "/no/birds", "a/b/c", "../birds"])
def test_a_folder_must_exist(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(NO_FOLDER.format(path)):
        load(path)
    with refused(NO_FOLDER.format("birds")):
        load(Path("birds"))


def test_a_folder_may_be_named_in_several_ways(tmp_path, monkeypatch):
    folder = write_config(tmp_path / "a" / "birds")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for way in ("a/birds", "./a/birds", str(folder), folder, "~/a/birds"):
        assert load(way).hidden_dim == 4
    monkeypatch.chdir(tmp_path / "a")
    for way in ("birds", Path("birds"), "../a/birds"):
        assert load(way).hidden_dim == 4


def test_a_folder_without_a_config_is_told(tmp_path, monkeypatch):
    (tmp_path / "birds").mkdir()
    monkeypatch.chdir(tmp_path)
    with refused(
        "The folder of a preset must have a config.json. "
        f"Received: preset='birds'. {ALL}"
    ):
        load("birds")
    with refused(
        "The preset has no config.json. Received: preset='./birds'. Save the "
        "encoder again: encoder.save_to_preset.",
        FileNotFoundError,
    ):
        load("./birds")


def test_a_folder_with_the_name_of_a_size_is_not_mistaken_for_it(
    tmp_path, monkeypatch
):
    folder = write_config(tmp_path / "imp_tiny")
    monkeypatch.chdir(tmp_path)
    with refused(
        "The name of a preset must stand for one only, not for 2: the preset "
        f"'imp_tiny' of keras-imp; the folder {str(folder)!r}. Received: "
        "preset='imp_tiny'. Use \"package/preset\" for one of a package, "
        '"./name" for a folder; of two packages with one name, uninstall one.'
    ):
        load("imp_tiny")
    assert load("./imp_tiny").hidden_dim == 4
    assert load(Path("imp_tiny")).hidden_dim == 4


@pytest.mark.parametrize("preset", [None, 3, ["imp_tiny"]])
def test_a_preset_is_a_name_or_a_path(preset):
    with refused(
        "`preset` must be a name, a folder or an address. Received: "
        f"type={type(preset).__name__!r}.",
        TypeError,
    ):
        load(preset)


def test_a_size_has_no_tokenizer():
    with refused(
        "The preset has no tokenizer.json. Received: preset='imp_tiny'. Save "
        "the encoder with it: encoder.save_to_preset(folder, "
        "tokenizer=tokenizer).",
        FileNotFoundError,
    ):
        Tokenizer.from_preset("imp_tiny")


def test_a_folder_of_this_package_is_a_preset_with_weights(
    tmp_path, monkeypatch
):
    folder = write_config(tmp_path / "imp_trained")
    load(folder).save_to_preset(folder, card="# Trained")
    monkeypatch.setitem(BUILT_IN_FOLDERS, "imp_trained", folder)
    listed = keras_imp.list_presets()
    assert list(listed).index("imp_trained") < list(listed).index("imp_tiny")
    trained = listed["imp_trained"]
    assert trained.package == "keras-imp"
    assert trained.has_weights
    assert trained.card == "# Trained"
    assert keras_imp.IMPEncoder.presets["imp_trained"]["card"] == "# Trained"
    encoder = keras_imp.IMPEncoder.from_preset("imp_trained")
    assert encoder.hidden_dim == 4


def test_an_address_of_another_scheme_is_left_to_keras_hub():
    with refused(
        "The address of a preset must begin with hf:// or kaggle://. Received: "
        "preset='ftp://a/b'. Download the files, and give their folder."
    ):
        Tokenizer.from_preset("ftp://a/b")
    with pytest.raises(ValueError, match="Unknown preset identifier"):
        load("ftp://a/b")
