"""Presets of other packages: found without their code, never mixed up."""

import re
import sys
import warnings

import pytest

import keras_imp
from keras_imp.models import PRESETS
from tests.helpers.preset_packages import HOSTILE, install, write_config

pytestmark = pytest.mark.one_backend


@pytest.fixture
def add(monkeypatch, tmp_path):
    """A function that installs a package."""

    def install_in_site(*args, **kwargs):
        return install(monkeypatch, tmp_path / "site", *args, **kwargs)

    return install_in_site


def others():
    """Presets that are not of this package."""
    return {
        name: preset
        for name, preset in keras_imp.list_presets().items()
        if preset.package != "keras-imp"
    }


def load(name):
    return keras_imp.IMPEncoder.from_preset(name, load_weights=False)


def refused(text):
    return pytest.raises(ValueError, match=f"^{re.escape(text)}")


def test_a_preset_is_found_and_its_package_not_imported(add):
    add("acme-presets", ["birds", "bees"])
    assert list(others()) == ["acme/bees", "acme/birds"]
    assert others()["acme/birds"].package == "acme-presets"
    assert load("acme/birds").hidden_dim == 4
    assert load("birds").hidden_dim == 4
    assert "acme_presets" not in sys.modules


@pytest.mark.parametrize(
    "module", ["acme_presets.deep.down", "acme_presets:run", "acme_presets"]
)
def test_no_part_of_the_package_is_imported(add, module):
    folder = add("acme-presets", ["birds"], module=module)
    (folder / "__init__.py").write_text(HOSTILE)
    assert list(others()) == ["acme/birds"]
    assert load("acme/birds").hidden_dim == 4
    assert not [name for name in sys.modules if name.startswith("acme")]


def test_what_a_preset_says_of_itself_is_listed(add):
    folder = add("acme-presets")
    keras_imp.IMPEncoder.from_preset(
        write_config(folder / "birds"), load_weights=False
    ).save_to_preset(
        folder / "birds", card="---\nlicense: cc-by-4.0\n---\n# Birds\n"
    )
    found = others()["acme/birds"]
    encoder = load("acme/birds")
    assert found.parameters == encoder.count_params()
    assert found.active_parameters == encoder.count_active_params()
    assert found.modalities == ("text",)
    assert found.has_weights
    assert found.license == "cc-by-4.0"
    assert found.card.endswith("# Birds\n")


def test_what_a_preset_does_not_say_is_unknown(add):
    add("acme-presets", ["birds"])
    found = others()["acme/birds"]
    assert (found.parameters, found.active_parameters) == (None, None)
    assert (found.has_weights, found.license, found.card) == (False, None, "")
    line = repr(keras_imp.list_presets()).splitlines()[-1]
    assert " ".join(line.split()) == (
        "acme/birds acme-presets ? ? text no not stated"
    )


def test_a_short_name_of_two_packages_is_refused_with_both(add):
    add("acme-presets", ["birds"])
    add("zoo", ["birds", "bears"], entry="zoo")
    assert list(others()) == ["acme/birds", "zoo/bears", "zoo/birds"]
    with refused(
        "The name of a preset must stand for one only, not for 2: "
        "'acme/birds' of acme-presets 1.0; 'zoo/birds' of zoo 1.0. "
        "Received: preset='birds'. Use \"package/preset\""
    ):
        load("birds")
    assert load("zoo/birds").hidden_dim == 4
    assert load("bears").hidden_dim == 4


def test_a_full_name_of_two_packages_is_refused_with_both(add):
    add("acme-presets", ["birds", "bees"])
    add("acme-more", ["birds"])
    with refused(
        "The name of a preset must stand for one only, not for 2: "
        "'acme/birds' of acme-more 1.0; 'acme/birds' of acme-presets 1.0."
    ):
        load("acme/birds")
    with refused(
        "A preset must be of one package only, not of acme-more 1.0 and "
        "acme-presets 1.0. Received: preset='acme/birds'. Uninstall one of "
        "them."
    ):
        keras_imp.list_presets()
    assert load("acme/bees").hidden_dim == 4


def test_a_folder_and_a_preset_of_one_name_are_refused(
    add, tmp_path, monkeypatch
):
    add("acme-presets", ["birds"])
    folder = write_config(tmp_path / "acme" / "birds", hidden_dim=8)
    monkeypatch.chdir(tmp_path)
    with refused(
        "The name of a preset must stand for one only, not for 2: "
        f"'acme/birds' of acme-presets 1.0; the folder {str(folder)!r}."
    ):
        load("acme/birds")
    assert load("./acme/birds").hidden_dim == 8
    assert load("birds").hidden_dim == 4


@pytest.mark.parametrize("name", ["imp_tiny", "imp_birds"])
def test_names_of_this_package_are_reserved(add, name):
    add("acme-presets", [name, "bees"])
    text = (
        f"The preset 'acme/{name}' of acme-presets 1.0 cannot be used: names "
        "that begin with 'imp_' are keras-imp's own. Tell its authors."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        assert list(others()) == ["acme/bees"]
    with refused(f"{text} Received: preset='acme/{name}'."):
        load(f"acme/{name}")
    if name in PRESETS:
        tiny = keras_imp.IMPEncoder.from_preset(name, modalities=("image",))
        assert tiny.hidden_dim == 128


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("keras_imp", "the name 'keras_imp' of its entry point is keras-imp's"),
        ("a b", "the name 'a b' of its entry point is no plain name"),
    ],
)
def test_an_entry_point_must_have_a_name_of_its_own(add, entry, problem):
    add("acme-presets", ["birds"], entry=entry)
    with pytest.warns(UserWarning, match=problem):
        assert others() == {}


@pytest.mark.parametrize("module", ["not_there", "acme_presets.no", "9", "a-b"])
def test_a_package_that_is_not_there_hinders_no_other(add, module):
    add("acme-presets", module=module)
    add("zoo", ["bears"], entry="zoo")
    text = (
        "The presets of acme-presets 1.0 cannot be used: there is no package "
        f"{module!r}. Tell its authors."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        assert list(others()) == ["zoo/bears"]
    assert load("bears").hidden_dim == 4
    with refused(text):
        load("acme/birds")


def test_a_package_without_a_file_of_its_own_is_found(add):
    folder = add("acme-presets", ["birds"])
    (folder / "__init__.py").unlink()
    assert list(others()) == ["acme/birds"]


def test_a_damaged_preset_hinders_no_other(add):
    folder = add("acme-presets", ["bees", "birds"])
    (folder / "birds" / "config.json").write_text("{")
    with pytest.warns(UserWarning, match=r"^acme/birds: config\.json of a"):
        assert list(others()) == ["acme/bees"]


def test_words_of_strangers_cannot_write_to_the_terminal(add):
    folder = add("acme-presets")
    write_config(folder / "birds", modalities=["te\x1b[2Jxt", 3])
    (folder / "birds" / "metadata.json").write_text(
        '{"license": "\\u001b[2J' + "x" * 99 + '", "parameter_count": "9"}'
    )
    found = others()["acme/birds"]
    assert found.modalities == ("te[2Jxt", "3")
    assert found.license == "[2J" + "x" * 37
    assert found.parameters is None


def test_folders_without_a_config_are_no_presets(add):
    folder = add("acme-presets", ["birds"])
    (folder / "pictures").mkdir()
    assert list(others()) == ["acme/birds"]


def test_without_other_packages_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(keras_imp.list_presets()) >= set(PRESETS)
