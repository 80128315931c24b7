"""Small backbones of keras-hub with random weights, and what they return."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import keras_hub
import numpy as np

from tests.helpers.weights import to_numpy

MODELS = keras_hub.models
SIZES = {
    "hidden_dim": 24,
    "num_layers": 3,
    "num_heads": 3,
    "intermediate_dim": 40,
}
VOCABULARY, LENGTH = 60, 16
EOS = VOCABULARY - 1
CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711])
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])


class Backbone(NamedTuple):
    """A backbone, and how it is called.

    Attributes:
        make: Makes it.
        modality: `"image"` or `"text"`.
        size: Height and width of its images.
        first: Tokens before the patches in its outputs.
        mean: Of the pixels in [0, 1] that it takes.
        std: The same.
        pools: Whether its output is one vector.
        before_pooling: Name of the layer whose outputs it pools.
    """

    make: Callable[[], keras.Model]
    modality: str = "image"
    size: tuple[int, int] = (48, 48)
    first: int = 1
    mean: Any = 0.5
    std: Any = 0.5
    pools: bool = False
    before_pooling: str = ""


def vit(**options):
    sizes = {**SIZES, "image_shape": (48, 64, 3), "patch_size": 16, **options}
    sizes["mlp_dim"] = sizes.pop("intermediate_dim")
    return MODELS.ViTBackbone(**sizes)


def clip_vision(**options):
    return MODELS.CLIPVisionEncoder(
        **{**SIZES, "patch_size": 16, "image_shape": (48, 48, 3), **options}
    )


def siglip_vision(**options):
    return MODELS.SigLIPVisionEncoder(
        **{**SIZES, "patch_size": 16, "image_shape": (48, 48, 3), **options}
    )


def text_of(kind, **options):
    return kind(
        **{
            **SIZES,
            "vocabulary_size": VOCABULARY,
            "embedding_dim": SIZES["hidden_dim"],
            "max_sequence_length": LENGTH,
            **options,
        }
    )


def dinov2(**options):
    return MODELS.DINOV2Backbone(
        **{
            **SIZES,
            "patch_size": 14,
            "image_shape": (42, 42, 3),
            "position_embedding_shape": (56, 56, 3),
            **options,
        }
    )


CASES = {
    "ViT": Backbone(vit, size=(48, 64)),
    "ViT, no class token, no biases": Backbone(
        lambda: vit(
            use_class_token=False,
            use_mha_bias=False,
            use_mlp_bias=False,
            use_patch_bias=False,
            layer_norm_epsilon=1e-3,
        ),
        size=(48, 64),
        first=0,
    ),
    "CLIP vision": Backbone(clip_vision, mean=CLIP_MEAN, std=CLIP_STD),
    "CLIP vision, GELU": Backbone(
        lambda: clip_vision(intermediate_activation="gelu"),
        mean=CLIP_MEAN,
        std=CLIP_STD,
    ),
    "SigLIP vision": Backbone(
        siglip_vision, first=0, pools=True, before_pooling="post_layer_norm"
    ),
    "DINOv2": Backbone(
        dinov2, size=(42, 42), mean=IMAGENET_MEAN, std=IMAGENET_STD
    ),
    "DINOv2, registers": Backbone(
        lambda: dinov2(num_register_tokens=4, use_mask_token=False),
        size=(42, 42),
        first=5,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    ),
    "CLIP text": Backbone(
        lambda: text_of(MODELS.CLIPTextEncoder), modality="text"
    ),
    "SigLIP text": Backbone(
        lambda: text_of(MODELS.SigLIPTextEncoder, layer_norm_epsilon=1e-5),
        modality="text",
        pools=True,
        before_pooling="post_layer_norm",
    ),
}


def randomize_all(backbone: keras.Model, rng: np.random.Generator):
    """Give every weight of a backbone random values, biases and norms too."""
    for variable in backbone.weights:
        if "int" in keras.backend.standardize_dtype(variable.dtype):
            continue
        shape = tuple(variable.shape)
        values = rng.normal(size=shape)
        if "gamma" in variable.path or "lambda" in variable.path:
            values = 1.0 + 0.2 * values
        elif len(shape) < 2:
            values = 0.2 * values
        else:
            # Outputs of about the size of the inputs.
            fan_in = np.prod(shape[:-1])
            if "query" in variable.path or "value" in variable.path:
                fan_in = shape[0]
            values = values / np.sqrt(max(fan_in, 4))
        variable.assign(values.astype("float32"))
    return backbone


def random_backbone(case: Backbone, rng: np.random.Generator):
    """A backbone of a case, with random weights."""
    return randomize_all(case.make(), rng)


def inputs_of(case: Backbone, rng: np.random.Generator, count=3):
    """What an encoder takes, and what the backbone takes for the same."""
    if case.modality == "image":
        pixels = rng.integers(0, 256, (count, *case.size, 3), dtype="uint8")
        scaled = (pixels / 255 - case.mean) / case.std
        return pixels, {"images": scaled.astype("float32")}
    ids = rng.integers(0, EOS, (count, LENGTH)).astype("int32")
    # One text ends early, with padding after it; one has two ends.
    ids[0, 9], ids[0, 10:] = EOS, 0
    ids[1, -1] = EOS
    ids[2, 5], ids[2, 6:] = EOS, EOS
    return ids, {"token_ids": ids}


def outputs_of(case: Backbone, backbone: keras.Model, inputs: dict):
    """What a backbone returns, by the names of an encoder's features."""
    if not isinstance(backbone.input, dict):
        (inputs,) = inputs.values()
    outputs = to_numpy(backbone(inputs))
    if case.pools:
        last = backbone.get_layer(case.before_pooling)
        sequence = keras.Model(backbone.input, last.output)(inputs)
        if case.modality == "text":
            sequence = backbone.get_layer("head")(sequence)
        return {
            "pooled_output": outputs,
            "sequence_output": to_numpy(sequence),
        }
    if case.modality == "text":
        ids = inputs["token_ids"]
        rows = np.arange(len(ids)), ids.argmax(axis=1)
        return {"pooled_output": outputs[rows], "sequence_output": outputs}
    found = {"sequence_output": outputs[:, case.first :]}
    if case.first:
        found["pooled_output"] = outputs[:, 0]
    return found


def largest_difference(found: dict, expected: dict) -> float:
    """Between the features of an encoder and those of a backbone."""
    return max(
        float(np.abs(to_numpy(found[name]) - value).max())
        for name, value in expected.items()
    )
