"""A preset of strangers runs no code: what it may name, and what not."""

import json
import re
import sys

import keras
import pytest

import keras_imp
from tests.helpers.preset_packages import SIZES, change, write_config

pytestmark = pytest.mark.one_backend

ONLY_KNOWN = (
    "A preset may name only what is registered with Keras in this process, and "
    "parts of Keras. Nothing of it was run."
)


@pytest.fixture
def folder(tmp_path):
    keras_imp.IMPEncoder(**SIZES).save_to_preset(tmp_path / "birds")
    return tmp_path / "birds"


def load(folder, **arguments):
    return keras_imp.IMPEncoder.from_preset(folder, **arguments)


def refused(text):
    return pytest.raises(ValueError, match=f"^{re.escape(text)}")


def foreign(module, name, registered=None, config=None):
    return {
        "module": module,
        "class_name": name,
        "registered_name": registered,
        "config": {} if config is None else config,
    }


FOREIGN = {
    "a function of the system": foreign(
        "os", "system", config={"command": "touch {marker}"}
    ),
    "a class of another module": foreign("hostile", "Hostile", "own>Hostile"),
    "a function by name": foreign("builtins", "function", "function", "exec"),
    "a function of another module": foreign(
        "hostile", "function", "run", "run"
    ),
    "a lambda": foreign(
        "builtins", "__lambda__", None, {"value": ["", None, None]}
    ),
    "a type of TensorFlow": foreign("hostile", "__typespec__", "x", []),
    "a download": foreign(
        "keras.utils", "get_file", None, {"fname": "x", "origin": "file:///x"}
    ),
    "a function of Keras' layers": foreign("keras.layers", "deserialize"),
    "a private name": foreign("keras", "__loader__"),
    "no name": foreign("keras", 3),
    "a layer that runs code": {
        "inner": [foreign("hostile", "Hostile", "own>Hostile")]
    },
}


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A module that tells when it is imported, and where it would tell."""
    marker = tmp_path / "it ran"
    (tmp_path / "hostile.py").write_text(
        f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
        "class Hostile: pass\ndef run(): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield marker
    assert not marker.exists()
    assert "hostile" not in sys.modules


def with_marker(value, marker):
    return json.loads(json.dumps(value).replace("{marker}", str(marker)))


@pytest.mark.parametrize("argument", ["dtype", "log_mel", "name", "unknown"])
@pytest.mark.parametrize("what", FOREIGN)
def test_a_config_that_names_something_foreign_is_refused(
    what, argument, hostile, tmp_path
):
    named = with_marker(FOREIGN[what], hostile)
    folder = write_config(tmp_path / "birds", **{argument: named})
    with refused(ONLY_KNOWN):
        load(folder, load_weights=False)


def test_the_refusal_says_what_was_named(tmp_path):
    named = foreign("os", "system", config={"command": "true"})
    folder = write_config(tmp_path / "birds", log_mel={"mean": named})
    with refused(
        f"{ONLY_KNOWN} Received: preset={str(folder)!r}, module='os', "
        "class_name='system', registered_name=None. If you trust the preset, "
        "import the module that registers the name before you load it."
    ):
        load(folder, load_weights=False)


@pytest.mark.parametrize(
    "names",
    [
        {"module": "hostile", "class_name": "Hostile"},
        {"registered_name": "own>Hostile", "module": "hostile"},
        {"registered_name": "os>system", "module": "os"},
        {"registered_name": None},
        {"registered_name": ["keras_imp>IMPEncoder"]},
    ],
)
def test_a_preset_of_an_unknown_class_is_refused(names, hostile, folder):
    saved = {"registered_name": "hostile>Hostile", **names}
    change(folder / "config.json", **saved)
    with refused(
        "The class of a preset must be registered with Keras in this process."
    ):
        load(folder)


def test_a_preset_of_another_class_is_refused(folder):
    change(folder / "config.json", registered_name="keras_imp>Classification")
    with refused(
        "`IMPEncoder.from_preset` reads presets of that class only. Received: "
        f"preset={str(folder)!r}, registered_name='keras_imp>Classification'."
    ):
        load(folder)


def test_nothing_but_constructor_arguments_is_read(hostile, folder):
    named = foreign("hostile", "Hostile")
    change(
        folder / "config.json",
        compile_config={"optimizer": named},
        build_config=named,
    )
    assert not load(folder).compiled


def test_parts_of_keras_and_what_is_registered_may_be_named(tmp_path):
    @keras.saving.register_keras_serializable(package="own")
    class WithParts(keras_imp.IMPEncoder):
        def __init__(self, parts=None, **kwargs):
            super().__init__(**kwargs)
            self.parts = parts

        def get_config(self):
            return {**super().get_config(), "parts": self.parts}

    parts = keras.saving.serialize_keras_object(
        [
            keras.layers.Dense(2, activation="relu"),
            keras.initializers.Zeros(),
            keras.activations.gelu,
            keras_imp.layers.FeedForward(4),
        ]
    )
    WithParts(parts=parts, **SIZES).save_to_preset(tmp_path)
    assert load(tmp_path).get_config()["parts"] == parts
