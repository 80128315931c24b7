"""A preset has all that its inputs need, and nothing of an older one."""

import json
import re

import h5py
import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.data import Tokenizer
from tests.helpers.encoders import all_inputs, small_encoder
from tests.helpers.preset_packages import SIZES
from tests.helpers.weights import randomize, to_numpy

CARD = "---\nlicense: cc-by-4.0\nlanguage: en\n---\n# Birds\n\nOf a garden.\n"
EXPERTS = {"num_experts": 2, "num_moe_layers": 1}


def make_encoder(**arguments):
    return keras_imp.IMPEncoder(**{**SIZES, **arguments})


def load(folder, **arguments):
    return keras_imp.IMPEncoder.from_preset(folder, **arguments)


def names(folder):
    return {path.name for path in folder.iterdir()}


def metadata(folder):
    return json.loads((folder / "metadata.json").read_text())


def pooled(features):
    return {k: to_numpy(v["pooled_output"]) for k, v in features.items()}


def assert_same(found, expected):
    for name, values in pooled(expected).items():
        np.testing.assert_array_equal(pooled(found)[name], values)


def refused(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}")


# What is written ------------------------------------------------------------


@pytest.mark.one_backend
def test_a_preset_says_what_it_is(tmp_path):
    encoder = make_encoder(**EXPERTS, num_layers=2)
    encoder.save_to_preset(tmp_path / "birds", card=CARD)
    assert names(tmp_path / "birds") == {
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    }
    assert (tmp_path / "birds" / "README.md").read_text() == CARD
    assert metadata(tmp_path / "birds") == {
        "format": 1,
        "keras_imp_version": keras_imp.__version__,
        "keras_version": keras.__version__,
        "parameter_count": encoder.count_params(),
        "active_parameter_count": encoder.count_active_params(),
        "modalities": ["text"],
        "weights_dtype": "float32",
        "license": "cc-by-4.0",
    }
    assert encoder.count_active_params() < encoder.count_params()


@pytest.mark.one_backend
def test_what_an_encoder_was_compiled_with_is_not_written(tmp_path):
    encoder = make_encoder()
    encoder.compile("sgd", "mse")
    encoder.save_to_preset(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert list(config) == ["module", "class_name", "config", "registered_name"]


@pytest.mark.one_backend
def test_a_preset_has_the_tokenizer_and_the_preprocessor(tmp_path):
    tokenizer = Tokenizer.train(["a red heart", "a bird"], 60, length=4)
    size = tokenizer.vocabulary_size
    encoder = make_encoder(vocabulary_size=size, max_sequence_length=4)
    encoder.save_to_preset(tmp_path / "a", tokenizer=tokenizer)
    encoder.save_to_preset(
        tmp_path / "b",
        preprocessor=keras_imp.IMPPreprocessor(tokenizer=tokenizer),
    )
    expected = tokenizer(["a red bird"])
    for folder in (tmp_path / "a", tmp_path / "b"):
        again = Tokenizer.from_preset(folder)
        np.testing.assert_array_equal(again(["a red bird"]), expected)
    preprocessor = keras_imp.IMPPreprocessor.from_preset(tmp_path / "b")
    found = preprocessor({"text": ["a red bird"]})
    np.testing.assert_array_equal(found["text"], expected)
    assert "preprocessor.json" not in names(tmp_path / "a")


@pytest.mark.one_backend
def test_what_the_encoder_does_not_take_is_refused(tmp_path):
    tokenizer = Tokenizer.train(["a red heart"], 60, length=3)
    encoder = make_encoder()
    with refused(
        "The encoder must have an id for each of the tokenizer's, "
        f"{tokenizer.vocabulary_size}. Received: vocabulary_size=6."
    ):
        encoder.save_to_preset(tmp_path, tokenizer=tokenizer)
    preprocessor = keras_imp.IMPPreprocessor(image=(8, 8))
    with refused("A modality must be one of ('text',)."):
        encoder.save_to_preset(tmp_path, preprocessor=preprocessor)
    with refused(
        "`tokenizer` must not be given beside a `preprocessor`: that has its "
        "own."
    ):
        small_encoder(("image",), patch_size=(1, 4, 4)).save_to_preset(
            tmp_path, preprocessor=preprocessor, tokenizer=tokenizer
        )
    with refused("`tokenizer` must be a keras_imp.data.Tokenizer.", TypeError):
        encoder.save_to_preset(tmp_path, tokenizer=tokenizer.tokenizer)
    with refused(
        "`preprocessor` must be a keras_imp.IMPPreprocessor. Received: "
        "type='Tokenizer'.",
        TypeError,
    ):
        encoder.save_to_preset(tmp_path, preprocessor=tokenizer)
    with refused("`weights_dtype` must be one of (None, 'float16')."):
        encoder.save_to_preset(tmp_path, weights_dtype="int8")
    assert names(tmp_path) == set()


# Cards ----------------------------------------------------------------------


@pytest.mark.one_backend
def test_without_a_card_the_sizes_are_written(tmp_path):
    encoder = make_encoder()
    encoder.save_to_preset(tmp_path / "birds")
    card = (tmp_path / "birds" / "README.md").read_text()
    assert "\n# birds\n" in card
    assert f"\n| parameters | {encoder.count_params():,} |\n" in card
    assert "does not say yet what it was trained on" in card
    assert metadata(tmp_path / "birds")["license"] is None
    make_encoder(hidden_dim=8).save_to_preset(tmp_path / "birds")
    assert "\n| width | 8 |\n" in (tmp_path / "birds/README.md").read_text()


@pytest.mark.one_backend
def test_a_card_that_somebody_wrote_stays(tmp_path):
    (tmp_path / "README.md").write_text(CARD)
    make_encoder().save_to_preset(tmp_path)
    assert (tmp_path / "README.md").read_text() == CARD
    assert metadata(tmp_path)["license"] == "cc-by-4.0"
    make_encoder().save_to_preset(tmp_path, card="# Others")
    assert (tmp_path / "README.md").read_text() == "# Others"
    assert metadata(tmp_path)["license"] is None


@pytest.mark.one_backend
@pytest.mark.parametrize("card", ["", " \n", "README.md", "docs/card.txt"])
def test_a_card_is_text_and_no_name_of_a_file(tmp_path, card):
    with refused(
        "`card` must be Markdown text, not empty and not the name of a file. "
        f"Received: card={card!r}. Read a file with "
        'pathlib.Path("README.md").read_text().'
    ):
        make_encoder().save_to_preset(tmp_path, card=card)
    with refused("`card` must be Markdown text. Received: type=", TypeError):
        make_encoder().save_to_preset(tmp_path, card=tmp_path)


# Saving again ---------------------------------------------------------------


@pytest.mark.one_backend
def test_weights_of_an_older_preset_are_gone(tmp_path):
    first, second = make_encoder(), make_encoder(num_layers=2)
    first.save_to_preset(tmp_path, max_shard_size=2e-7)
    assert "model.weights.json" in names(tmp_path)
    second.save_to_preset(tmp_path)
    assert names(tmp_path) == {
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    }
    assert load(tmp_path).num_layers == 2
    first.save_to_preset(tmp_path, max_shard_size=2e-7)
    assert "model.weights.h5" not in names(tmp_path)
    assert load(tmp_path).num_layers == 1


@pytest.mark.one_backend
def test_an_encoder_does_not_meet_the_inputs_of_an_older_one(tmp_path):
    tokenizer = Tokenizer.train(["a red heart", "a bird"], 60, length=4)
    size = tokenizer.vocabulary_size
    encoder = make_encoder(vocabulary_size=size, max_sequence_length=4)
    preprocessor = keras_imp.IMPPreprocessor(tokenizer=tokenizer)
    # In a folder that has no encoder yet, they are of the one to come.
    preprocessor.save_to_preset(tmp_path)
    encoder.save_to_preset(tmp_path)
    text = (
        "A preset with a preprocessor or a tokenizer must be replaced by one "
        "with its own: they would be of the older encoder. Received: "
        f"folder={str(tmp_path)!r}, files=['preprocessor.json', "
        "'tokenizer.json']. Give `preprocessor` or `tokenizer`, the old one if "
        "it fits, or remove the files."
    )
    before = names(tmp_path)
    with refused(text):
        make_encoder().save_to_preset(tmp_path)
    assert names(tmp_path) == before
    encoder.save_to_preset(tmp_path, tokenizer=tokenizer)
    assert names(tmp_path) == before - {"preprocessor.json"}
    other = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
    images = keras_imp.IMPPreprocessor(image=(16, 16))
    other.save_to_preset(tmp_path, preprocessor=images)
    expected = before - {"tokenizer.json"}
    assert names(tmp_path) == expected


@pytest.mark.one_backend
@pytest.mark.parametrize("fault", ["shards", "rounding"])
def test_an_older_preset_stays_if_a_new_one_cannot_be_written(tmp_path, fault):
    make_encoder().save_to_preset(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    other = make_encoder(num_layers=2)
    if fault == "shards":
        with pytest.raises(ValueError, match="maximum shard size"):
            other.save_to_preset(tmp_path, max_shard_size=1e-9)
    else:
        other.weights[0].assign(other.weights[0] + 1e6)
        with refused("A weight must be at most 65504 to be saved as float16."):
            other.save_to_preset(tmp_path, weights_dtype="float16")
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


# Shards and float16, on every backend ---------------------------------------


@pytest.mark.parametrize("experts", [{}, EXPERTS], ids=["dense", "sparse"])
@pytest.mark.parametrize("max_shard_size", [10, 4e-6, None])
def test_outputs_are_equal_after_loading(
    tmp_path, rng, experts, max_shard_size
):
    encoder = randomize(small_encoder(**experts), rng)
    encoder.save_to_preset(tmp_path, max_shard_size=max_shard_size)
    shards = len(list(tmp_path.glob("*.h5")))
    assert shards > 2 if max_shard_size == 4e-6 else shards == 1
    inputs = all_inputs(rng)
    assert_same(load(tmp_path)(inputs), encoder(inputs))


@pytest.mark.parametrize("max_shard_size", [10, 4e-6])
def test_weights_rounded_to_float16_are_float32_again(
    tmp_path, rng, max_shard_size
):
    encoder = randomize(small_encoder(**EXPERTS), rng)
    encoder.save_to_preset(
        tmp_path, max_shard_size=max_shard_size, weights_dtype="float16"
    )
    assert metadata(tmp_path)["weights_dtype"] == "float16"
    loaded = load(tmp_path)
    for variable in encoder.weights:
        rounded = to_numpy(variable).astype("float16")
        assert np.any(rounded != to_numpy(variable)) or rounded.size < 9
        variable.assign(rounded.astype("float32"))
    assert {variable.dtype for variable in loaded.weights} == {"float32"}
    for found, expected in zip(loaded.weights, encoder.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))
    inputs = all_inputs(rng)
    assert_same(loaded(inputs), encoder(inputs))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_of_16_bits_stay_as_they_are(tmp_path, rng, dtype):
    encoder = randomize(small_encoder(dtype=dtype), rng)
    encoder.save_to_preset(tmp_path, weights_dtype="float16")
    loaded = load(tmp_path, dtype=dtype)
    for found, expected in zip(loaded.weights, encoder.weights, strict=True):
        np.testing.assert_array_equal(
            to_numpy(found).astype("float32"),
            to_numpy(expected).astype("float32"),
        )


@pytest.mark.one_backend
def test_float16_halves_the_bytes(tmp_path):
    encoder = make_encoder(vocabulary_size=50_000)
    encoder.save_to_preset(tmp_path / "whole")
    encoder.save_to_preset(tmp_path / "half", weights_dtype="float16")
    whole, half = (
        (tmp_path / kind / "model.weights.h5").stat().st_size
        for kind in ("whole", "half")
    )
    assert half < 0.55 * whole
    with h5py.File(tmp_path / "half" / "model.weights.h5") as file:
        group = file["embedder.text/tokens/vars"]
        assert group["0"].dtype == "float16"
        assert group.attrs["name"] == "tokens"


@pytest.mark.parametrize("max_shard_size", [10, 4e-6])
def test_keras_hub_reads_shards_and_float16(tmp_path, rng, max_shard_size):
    keras_hub = pytest.importorskip("keras_hub")
    randomize(small_encoder(("text",)), rng).save_to_preset(
        tmp_path, max_shard_size=max_shard_size, weights_dtype="float16"
    )
    inputs = {"text": all_inputs(rng)["text"]}
    found = keras_hub.models.Backbone.from_preset(str(tmp_path))
    assert_same(found(inputs), load(tmp_path)(inputs))
