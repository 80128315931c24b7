"""An encoder keeps the contract of keras-hub's backbones, on each backend.

Parts of `keras_hub.src.tests.test_case.TestCase` that have no test here:

- `run_quantization_test`: an encoder refuses to be quantized, and says how an
  exported file is (`models/refusals.py`).
- `run_vision_backbone_test`: beside `run_backbone_test`, it tests feature
  pyramids, which the encoder does not have, and images with channels first:
  inputs are always (batch, height, width, channels).
- `run_task_test`: a task of this package is a head of an `AlternatingModel`
  and no `keras_hub.models.Task`.
"""

import keras
import keras_hub
import pytest

import keras_imp
from tests.helpers.encoders import ALL, SMALL, all_inputs, small_encoder

KINDS = {"dense": {}, "sparse": {"num_experts": 3, "num_moe_layers": 1}}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def arguments(request):
    return {**SMALL, "modalities": ALL, **request.param}


@pytest.fixture
def inputs(rng):
    return all_inputs(rng)


def test_an_encoder_is_a_backbone(keras_hub_contract, arguments, inputs):
    text = inputs["text"]
    # Each modality is compiled, and those of patches are alike.
    some = ("image", "text")
    keras_hub_contract.run_backbone_test(
        keras_imp.IMPEncoder,
        {**arguments, "modalities": some},
        {name: inputs[name] for name in some},
        # The shapes of an output that is nested cannot be told to it.
        expected_output_shape={},
        # By default it cuts axis 1 of all inputs, the height of images too.
        variable_length_data=[{"text": text[:, :n]} for n in (2, 3, 4)],
        run_mixed_precision_check=False,  # Below.
        run_quantization_check=False,
    )


def test_all_parts_of_an_encoder_have_its_precision(
    keras_hub_contract, arguments, inputs
):
    keras_hub_contract.run_precision_test(
        keras_imp.IMPEncoder, arguments, inputs
    )


def test_a_saved_encoder_gives_the_same_numbers(
    keras_hub_contract, arguments, inputs
):
    keras_hub_contract.run_model_saving_test(
        keras_imp.IMPEncoder, arguments, inputs
    )


@pytest.mark.parametrize("name", ["imp_tiny", "imp_moe_tiny"])
def test_an_encoder_comes_from_a_built_in_preset(
    keras_hub_contract, name, inputs
):
    keras_hub_contract.run_preset_test(
        keras_imp.IMPEncoder,
        name,
        {"text": inputs["text"]},
        init_kwargs={"modalities": ("text",), "num_layers": 2},
    )


@pytest.mark.parametrize(
    "cls", [keras_imp.IMPEncoder, keras_hub.models.Backbone]
)
@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_comes_from_its_own_preset(
    keras_hub_contract, cls, kind, inputs, tmp_path
):
    encoder = small_encoder(("text",), **KINDS[kind])
    encoder.save_to_preset(tmp_path / "preset")
    text = {"text": inputs["text"]}
    keras_hub_contract.run_preset_test(
        cls,
        str(tmp_path / "preset"),
        text,
        expected_output=keras.tree.map_structure(
            keras.ops.convert_to_numpy, encoder(text)
        ),
    )
