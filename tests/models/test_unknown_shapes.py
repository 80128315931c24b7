"""Functional models and exported programs with lengths known at run time."""

import re

import keras
import numpy as np
import pytest

from keras_imp.layers import PositionEmbedding
from tests.helpers.encoders import small_encoder
from tests.helpers.exported import exported
from tests.helpers.weights import assert_near, to_numpy

LENGTHS = (3, 7, 17)
SAME = 1e-5


def ids_of(length, batch=2):
    rng = np.random.default_rng(length)
    ids = rng.integers(1, 11, (batch, length), dtype="int32")
    ids[0, -1] = 0
    return ids


def classifier(pooling="mean", **arguments):
    """A functional model of text of any length, and its encoder."""
    encoder = small_encoder(("text",), pooling=pooling, **arguments)
    text = keras.Input((None,), dtype="int32", name="text")
    pooled = encoder({"text": text})["text"]["pooled_output"]
    return keras.Model({"text": text}, keras.layers.Dense(2)(pooled)), encoder


class TwoLengths(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {"text": ids_of((3, 5)[index % 2])}, np.array([0, 1])


@pytest.mark.parametrize("pooling", ["mean", "token", "attention"])
def test_text_of_unknown_length_has_known_features(pooling):
    encoder = small_encoder(("text",), pooling=pooling)
    text = keras.Input((None,), dtype="int32")
    found = encoder({"text": text})["text"]
    shapes = {name: tensor.shape for name, tensor in found.items()}
    assert shapes == {
        "sequence_output": (None, None, 10),
        "padding_mask": (None, None),
        "pooled_output": (None, 10),
    }
    dtypes = {name: tensor.dtype for name, tensor in found.items()}
    assert dtypes == {
        "sequence_output": "float32",
        "padding_mask": "bool",
        "pooled_output": "float32",
    }


@pytest.mark.parametrize("pooling", ["mean", "token", "attention"])
def test_a_model_of_unknown_length_predicts_any_length(pooling):
    model, encoder = classifier(pooling)
    for length in LENGTHS:
        ids = ids_of(length)
        pooled = encoder({"text": ids})["text"]["pooled_output"]
        expected = to_numpy(model.layers[-1](pooled))
        assert_near(model.predict({"text": ids}, verbose=0), expected, SAME)


def test_a_model_of_unknown_length_trains_on_several_lengths():
    model, encoder = classifier("token", dropout=0.1)
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    before = [to_numpy(v.value) for v in encoder.trainable_variables]
    history = model.fit(TwoLengths(), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for old, variable in zip(before, encoder.trainable_variables):
        assert (old != to_numpy(variable.value)).any(), variable.path


def test_tokens_of_text_of_unknown_length_can_be_kept():
    encoder = small_encoder(("text",))
    text = keras.Input((None,), dtype="int32", name="text")
    kept = keras.Input((2,), dtype="int32", name="kept")
    found = encoder({"text": text}, kept={"text": kept})["text"]
    assert found["sequence_output"].shape == (None, 2, 10)
    model = keras.Model({"text": text, "kept": kept}, found)
    x = {"text": ids_of(7), "kept": np.array([[0, 4], [3, 6]], "int32")}
    expected = encoder({"text": x["text"]}, kept={"text": x["kept"]})["text"]
    found = model.predict(x, verbose=0)
    for name, values in expected.items():
        assert_near(found[name], to_numpy(values), SAME)


def test_an_exported_program_takes_any_batch_and_length(tmp_path):
    """A SavedModel on TensorFlow, StableHLO on JAX, a .pt2 on torch."""
    model, _ = classifier("token")
    program = exported(model, "text", ids_of(7), most=17, folder=tmp_path)
    for batch, length in ((1, 17), (2, 3), (5, 7)):
        ids = ids_of(length, batch)
        expected = model.predict({"text": ids}, verbose=0)
        assert_near(program(ids), expected, SAME)


@pytest.mark.parametrize(
    ("name", "shape", "axis"),
    [
        ("image", (None, None, 3), "height"),
        ("image", (6, None, 3), "width"),
        ("video", (None, 6, 10, 3), "frames"),
        ("audio", (None, 4), "frames"),
        ("waveform", (None,), "samples"),
    ],
)
def test_every_other_size_must_be_known(name, shape, axis):
    text = (
        f"The {axis} axis of `inputs` must have a fixed size: only the batch, "
        "and the length of text, may be unknown. Received: "
        f"shape={(None, *shape)}. Build one model for each size."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        small_encoder((name,))({name: keras.Input(shape)})


def test_symbols_are_checked_as_values_are():
    encoder = small_encoder(("text",))
    text = "A sequence must not be longer than the 17 positions of its table."
    with pytest.raises(ValueError, match=re.escape(text)):
        encoder({"text": keras.Input((18,), dtype="int32")})
    text = "Token ids must be integers of shape (batch, length). Received: "
    with pytest.raises(ValueError, match=re.escape(text)):
        encoder({"text": keras.Input((None,))})
    text = "The input 'text' must have shape (batch, length). Received: "
    with pytest.raises(ValueError, match=re.escape(text)):
        encoder({"text": keras.Input((3, 7), dtype="int32")})


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        ({"buckets": (8,)}, (None,)),
        ({"buckets": (8, 8), "dilated": False}, (None, 2)),
        (
            {"buckets": (8,), "dilated": False, "coordinates": "bfloat16"},
            (None,),
        ),
    ],
    ids=["dilated", "two axes", "rounded coordinates"],
)
def test_rows_that_depend_on_the_length_need_it(options, grid):
    layer = PositionEmbedding(**options)
    text = (
        "A length may be unknown only where token i has row i: with one axis, "
        'dilated=False and coordinates="integer". Received: '
        f"grid={grid}, dilated={layer.dilated}, "
        f"coordinates={layer.coordinates!r}. Give each axis of the input but "
        "the batch a fixed size."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        layer.check_grid(grid, None)


def test_the_imp_variant_needs_the_length_of_text():
    encoder = small_encoder(("text",), variant="imp")
    text = "A length may be unknown only where token i has row i"
    with pytest.raises(ValueError, match=re.escape(text)):
        encoder({"text": keras.Input((None,), dtype="int32")})


SPARSE = {"num_experts": 2, "num_moe_layers": 1}


@pytest.mark.parametrize("router", ["expert_choice", "token_choice", "soft"])
def test_a_capacity_per_example_needs_the_length(router):
    encoder = small_encoder(("text",), router=router, **SPARSE)
    text = (
        "The size of a group must be known when the model is built: it decides "
        "how many slots an expert has. Received: shape=(None, None, 10), "
        "group_size=None. Give inputs of a known size, or set `group_size` to "
        "a number of tokens."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        encoder({"text": keras.Input((None,), dtype="int32")})


@pytest.mark.parametrize("router", ["expert_choice", "token_choice"])
def test_a_capacity_per_group_does_not_need_the_length(router):
    model, encoder = classifier(
        router=router, router_options={"group_size": 4}, **SPARSE
    )
    for length in LENGTHS:
        ids = ids_of(length)
        pooled = encoder({"text": ids})["text"]["pooled_output"]
        expected = to_numpy(model.layers[-1](pooled))
        assert_near(model.predict({"text": ids}, verbose=0), expected, SAME)
