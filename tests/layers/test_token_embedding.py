import re

import numpy as np
import pytest

from keras_imp.layers import TokenEmbedding
from tests.helpers import layer_oracles as oracles
from tests.helpers.weights import named_weights, to_numpy


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int8"])
def test_agrees_with_the_oracle_for_every_integer_type(rng, dtype):
    layer = TokenEmbedding(11, hidden_dim=5)
    ids = rng.integers(0, 11, size=(2, 7)).astype(dtype)
    out = to_numpy(layer(ids))
    expected = oracles.token_embedding(ids, named_weights(layer))
    np.testing.assert_array_equal(out, expected.astype("float32"))


def test_padding_is_the_id_0():
    layer = TokenEmbedding(11, hidden_dim=5)
    ids = np.array([[3, 0, 10], [0, 0, 0]])
    expected = [[True, False, True], [False, False, False]]
    assert to_numpy(layer.padding_mask(ids)).tolist() == expected


def test_table_starts_with_a_deviation_of_one_over_root_width():
    layer = TokenEmbedding(997, hidden_dim=25)
    layer.build()
    assert abs(named_weights(layer)["table"].std() - 0.2) < 0.005


def test_table_starts_with_a_given_deviation():
    layer = TokenEmbedding(997, hidden_dim=25, stddev=0.5)
    layer.build()
    assert abs(named_weights(layer)["table"].std() - 0.5) < 0.0125


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((3,), "int32"), ((2, 3, 1), "int32"), ((2, 3), "float32")],
)
def test_ids_of_wrong_rank_or_type_are_refused(shape, dtype):
    text = (
        "Token ids must be integers of shape (batch, length). Received: "
        f"shape={shape}, dtype='{dtype}'."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        TokenEmbedding(11, hidden_dim=5)(np.zeros(shape, dtype))


@pytest.mark.parametrize("name", ["vocabulary_size", "hidden_dim"])
def test_sizes_must_be_positive(name):
    sizes = {"vocabulary_size": 11, "hidden_dim": 5, name: 0}
    text = f"`{name}` must be greater than 0. Received: {name}=0."
    with pytest.raises(ValueError, match=re.escape(text)):
        TokenEmbedding(**sizes)
