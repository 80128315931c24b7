"""Presets load, or say why not: those that are damaged, too new, or misfit."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers.preset_packages import SIZES, change, write_config
from tests.helpers.weights import to_numpy

ROOT = Path(__file__).parents[3]
TEXT = {"text": np.array([[1, 2, 0]], "int32")}


def make_encoder(**arguments):
    return keras_imp.IMPEncoder(**{**SIZES, **arguments})


@pytest.fixture
def folder(tmp_path):
    make_encoder().save_to_preset(tmp_path / "birds")
    return tmp_path / "birds"


def load(folder, **arguments):
    return keras_imp.IMPEncoder.from_preset(folder, **arguments)


def refused(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}")


# keras-hub -------------------------------------------------------------------


@pytest.mark.parametrize("first", ["keras_imp", "keras_hub"])
def test_keras_hub_loads_a_preset_after_nothing_but_the_import(folder, first):
    second = {"keras_imp": "keras_hub", "keras_hub": "keras_imp"}[first]
    module = "tests.helpers.bare_keras_hub"
    result = subprocess.run(
        [sys.executable, "-m", module, str(folder), first, second],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    kind, values = json.loads(result.stdout.splitlines()[-1])
    assert kind == "IMPEncoder"
    expected = to_numpy(load(folder)(TEXT)["text"]["pooled_output"])
    np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.one_backend
def test_a_preset_is_loaded_and_saved_without_keras_hub(tmp_path):
    code = (
        "import sys, keras_imp\n"
        f"encoder = keras_imp.IMPEncoder(**{SIZES!r})\n"
        f"encoder.save_to_preset({str(tmp_path)!r})\n"
        f"keras_imp.IMPEncoder.from_preset({str(tmp_path)!r})\n"
        "sys.stdout.write(str('keras_hub' in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "False"


# Classes and dtypes ----------------------------------------------------------


@pytest.mark.one_backend
def test_a_preset_of_a_class_of_ones_own_is_of_that_class(tmp_path):
    @keras.saving.register_keras_serializable(package="own")
    class OwnEncoder(keras_imp.IMPEncoder):
        pass

    OwnEncoder(**SIZES).save_to_preset(tmp_path / "own")
    assert type(load(tmp_path / "own")) is OwnEncoder
    make_encoder().save_to_preset(tmp_path / "other")
    with refused(
        "`OwnEncoder.from_preset` reads presets of that class only. Received: "
        f"preset={str(tmp_path / 'other')!r}, "
        "registered_name='keras_imp>IMPEncoder'."
    ):
        OwnEncoder.from_preset(tmp_path / "other")


def test_the_dtype_is_that_of_the_process_or_the_argument(tmp_path):
    encoder = make_encoder(dtype="mixed_bfloat16")
    encoder.save_to_preset(tmp_path)
    assert load(tmp_path).dtype_policy.name == "float32"
    mixed = load(tmp_path, dtype="mixed_bfloat16")
    assert mixed.dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_array_equal(
        to_numpy(mixed(TEXT)["text"]["pooled_output"]),
        to_numpy(encoder(TEXT)["text"]["pooled_output"]),
    )


# Damaged presets, and newer ones ---------------------------------------------


@pytest.mark.one_backend
def test_a_preset_of_a_newer_format_is_refused(folder):
    change(folder / "metadata.json", format=2, keras_imp_version="0.9.0")
    text = (
        f"keras-imp {keras_imp.__version__} reads presets up to format 1. "
        f"Received: preset={str(folder)!r}, format=2, "
        "keras_imp_version='0.9.0'. Install a newer one: pip install --upgrade "
        "keras-imp"
    )
    with refused(text):
        load(folder)
    with refused(text):
        keras_imp.IMPPreprocessor.from_preset(folder)


@pytest.mark.one_backend
@pytest.mark.parametrize("value", ["2", None, True, 1.5])
def test_a_format_is_an_integer(folder, value):
    change(folder / "metadata.json", format=value)
    with refused(
        "`format` in metadata.json must be an integer. Received: "
        f"preset={str(folder)!r}, format={value!r}."
    ):
        load(folder)


@pytest.mark.one_backend
def test_a_preset_without_metadata_is_loaded(folder):
    (folder / "metadata.json").unlink()
    assert load(folder).hidden_dim == 4


@pytest.mark.one_backend
@pytest.mark.parametrize("file", ["config.json", "metadata.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "3"])
def test_a_file_that_is_no_json_object_is_named(folder, file, text):
    (folder / file).write_text(text)
    with refused(
        f"{file} of a preset must be a JSON object. Received: "
        f"file={str(folder / file)!r}, error="
    ):
        load(folder)


@pytest.mark.one_backend
@pytest.mark.parametrize("config", [None, [], "IMPEncoder"])
def test_a_config_holds_constructor_arguments(folder, config):
    change(folder / "config.json", config=config)
    with refused("`config` in config.json must hold constructor arguments."):
        load(folder)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"num_layers": -1}, ValueError, "num_layers"),
        ({"wings": 2}, (TypeError, ValueError), "wings"),
        ({"modalities": ["smell"]}, ValueError, "smell"),
        ({"hidden_dim": "wide"}, (TypeError, ValueError), "str"),
    ],
)
def test_arguments_that_do_not_fit_name_the_preset(
    tmp_path, arguments, error, text
):
    folder = write_config(tmp_path / "birds", **arguments)
    with pytest.raises(error, match=text) as caught:
        load(folder, load_weights=False)
    assert caught.value.__notes__ == [
        f"This happened for the preset {str(folder)!r}, which keras-imp 0.1.0 "
        "saved."
    ]


@pytest.mark.one_backend
def test_arguments_that_change_shapes_are_refused(folder):
    with refused("The file and the model must have the same weights."):
        load(folder, num_layers=2)
    assert load(folder, num_layers=2, load_weights=False).num_layers == 2


@pytest.mark.one_backend
def test_a_preset_without_weights_is_an_architecture(folder):
    (folder / "model.weights.h5").unlink()
    with refused(
        "The preset has no model.weights.json. Received: "
        f"preset={str(folder)!r}. It has no model.weights.h5 either. To start "
        "from random weights, use load_weights=False.",
        FileNotFoundError,
    ):
        load(folder)
    assert load(folder, load_weights=False).hidden_dim == 4


@pytest.mark.one_backend
@pytest.mark.parametrize("length", [0, 100, 5000, -1])
def test_truncated_weights_are_named(folder, length):
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:length])
    with refused("The file of weights cannot be read: ", OSError) as caught:
        load(folder)
    assert f"Received: filepath={str(path)!r}." in str(caught.value)


@pytest.fixture
def sharded(tmp_path):
    make_encoder().save_to_preset(tmp_path / "birds", max_shard_size=2e-7)
    return tmp_path / "birds"


@pytest.mark.one_backend
def test_a_truncated_shard_is_named(sharded):
    shards = sorted(sharded.glob("*.h5"))
    assert len(shards) > 2
    shards[1].write_bytes(shards[1].read_bytes()[:-1])
    with refused("The file of weights cannot be read: ", OSError) as caught:
        load(sharded)
    assert f"Received: filepath={str(shards[1])!r}." in str(caught.value)


@pytest.mark.one_backend
def test_a_missing_shard_is_named(sharded):
    shard = sorted(sharded.glob("*.h5"))[1]
    shard.unlink()
    with refused(
        f"The preset has no {shard.name}. Received: preset={str(sharded)!r}. "
        "model.weights.json lists it: copy the preset again.",
        FileNotFoundError,
    ):
        load(sharded)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "weight_map",
    [{"a": "../x.h5"}, {"a": ["/etc/passwd"]}, {"a": None}, {"a": "."}, 3],
)
def test_shards_stay_in_the_folder(sharded, weight_map):
    change(sharded / "model.weights.json", weight_map=weight_map)
    with refused(
        "`weight_map` in model.weights.json must list names of files."
    ):
        load(sharded)
