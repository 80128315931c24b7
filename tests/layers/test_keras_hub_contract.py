"""Layers keep the contract of keras-hub's layers, on each backend.

`run_layer_test` calls a layer on one tensor. Layers that need more are not
here: `CommonSpace`, `DropToken`, `FirstTokenPooling` and those of positions,
which take the lengths of a grid. `test_contract.py` has all of them.
"""

import keras
import pytest

from tests.layers.layer_contract import CASES

ALONE = (
    "attention",
    "attention pooling, all options",
    "encoder block",
    "encoder stack",
    "expert choice",
    "feed forward, all options",
    "mean pooling, no mask",
    "patches of a video",
    "projection head",
    "soft mixture",
    "token choice",
    "token dense",
    "token embedding",
)


@pytest.mark.parametrize("name", ALONE)
# It trains those without weights too.
@pytest.mark.filterwarnings("ignore:The model does not have any trainable")
def test_a_layer_is_one_of_keras_hub(keras_hub_contract, name, rng):
    case = CASES[name]
    (x,) = map(keras.ops.convert_to_tensor, case.inputs(rng).values())
    layer = case.make()
    keras_hub_contract.run_layer_test(
        case.layer,
        case.arguments,
        x,
        expected_output_shape=layer(x).shape,
        expected_num_trainable_weights=len(layer.trainable_weights),
        expected_num_non_trainable_weights=len(layer.non_trainable_weights),
        expected_num_non_trainable_variables=len(layer.non_trainable_variables),
    )
