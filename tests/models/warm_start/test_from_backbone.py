"""What `from_backbone` takes, makes and refuses."""

import json
import re

import keras
import keras_hub
import numpy as np
import pytest

import keras_imp
from keras_imp.models.warm_start.families import FAMILIES
from keras_imp.models.warm_start.names import NAMES, TOWERS, backbone_presets
from tests.helpers import backbones
from tests.helpers.backbones import CASES, MODELS, SIZES, largest_difference
from tests.helpers.weights import to_numpy

from_backbone = keras_imp.IMPEncoder.from_backbone


@pytest.fixture(scope="module")
def vit():
    return backbones.random_backbone(CASES["ViT"], np.random.default_rng(3))


@pytest.fixture(scope="module")
def pair():
    """Both towers of CLIP, with another width each."""
    rng = np.random.default_rng(4)
    vision, text = (
        backbones.random_backbone(CASES[name], rng)
        for name in ("CLIP vision", "CLIP text")
    )
    return MODELS.CLIPBackbone(vision, text, projection_dim=8)


def image(rng, case):
    return backbones.inputs_of(case, rng)


def test_a_still_video_has_the_outputs_of_its_image(rng, vit):
    encoder = from_backbone(vit, modalities=("video", "image"))
    assert encoder.patch_size == (4, 16, 16)
    assert encoder.position_buckets == (16, 3, 4)
    x, theirs = image(rng, CASES["ViT"])
    expected = backbones.outputs_of(CASES["ViT"], vit, theirs)
    video = np.repeat(x[:, None], 4, axis=1)
    features = encoder({"video": video, "image": x})
    for parts in features.values():
        assert largest_difference(parts, expected) < 1e-4


def test_frames_are_the_users(rng, vit):
    encoder = from_backbone(
        vit,
        modalities=("video",),
        patch_size=(2, 16, 16),
        position_buckets=[8, 3, 4],
    )
    video = rng.integers(0, 256, (2, 6, 48, 64, 3), dtype="uint8")
    found = encoder({"video": video})["video"]["sequence_output"]
    assert tuple(found.shape) == (2, 3 * 12, 24)


def test_floats_are_the_same_pixels(rng, vit):
    encoder = from_backbone(vit)
    x, _ = image(rng, CASES["ViT"])
    floats = (x / 127.5 - 1).astype("float32")
    a, b = (to_numpy(encoder({"image": v}))["image"] for v in (x, floats))
    np.testing.assert_allclose(
        a["pooled_output"], b["pooled_output"], atol=1e-5
    )


def test_another_size_has_resampled_positions(rng, vit):
    encoder = from_backbone(vit)
    x = rng.integers(0, 256, (2, 96, 32, 3), dtype="uint8")
    found = to_numpy(encoder({"image": x}))["image"]
    assert found["sequence_output"].shape == (2, 12, 24)
    assert np.isfinite(found["pooled_output"]).all()


def test_other_modalities_start_at_random(rng, vit):
    encoder = from_backbone(
        vit,
        modalities=("image", "text", "audio"),
        vocabulary_size=11,
        text_pooling="last",
    )
    text = rng.integers(1, 11, (2, 5))
    features = encoder({"text": text})["text"]
    assert tuple(features["pooled_output"].shape) == (2, 24)
    assert encoder.name != vit.name
    assert set(encoder.embedders) == {"vision", "text", "audio"}


def test_a_pair_gives_one_of_its_towers(rng, pair):
    for modalities, name in (
        (None, "CLIP vision"),
        (("text", "image"), "CLIP vision"),
        (("text",), "CLIP text"),
    ):
        case = CASES[name]
        tower = {
            "CLIP vision": pair.vision_encoder,
            "CLIP text": pair.text_encoder,
        }[name]
        encoder = from_backbone(pair, modalities=modalities)
        x, theirs = backbones.inputs_of(case, rng)
        expected = backbones.outputs_of(case, tower, theirs)
        found = encoder({case.modality: x})[case.modality]
        assert largest_difference(found, expected) < 1e-4


def test_a_mask_of_padding_can_be_asked_for(rng, pair):
    """Causal text does not see what stands after its end."""
    encoder = from_backbone(pair, modalities=("text",), mask_padding=True)
    case = CASES["CLIP text"]
    ids, _ = backbones.inputs_of(case, rng)
    ids = np.where(ids == 0, 1, ids)
    ids[0, 10:] = 0
    expected = backbones.outputs_of(case, pair.text_encoder, {"token_ids": ids})
    found = to_numpy(encoder({"text": ids}))["text"]
    assert not found["padding_mask"][0, 10:].any()
    np.testing.assert_allclose(
        found["pooled_output"], expected["pooled_output"], atol=1e-4
    )


def test_pixels_may_be_normalized_in_another_way(rng, vit):
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    encoder = from_backbone(vit, pixel_mean=mean, pixel_std=std)
    x, _ = image(rng, CASES["ViT"])
    theirs = {"images": ((x / 255 - mean) / std).astype("float32")}
    expected = backbones.outputs_of(CASES["ViT"], vit, theirs)
    assert largest_difference(encoder({"image": x})["image"], expected) < 1e-4


def test_the_backbone_is_left_as_it_was(rng, vit):
    before = [v.copy() for v in vit.get_weights()]
    encoder = from_backbone(vit)
    for variable in encoder.trainable_variables:
        variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
    for a, b in zip(before, vit.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_trains_with_rates_by_layer(rng, vit):
    encoder = from_backbone(vit, dropout=0.1)
    model = keras_imp.AlternatingModel(
        encoder, [keras_imp.tasks.Classification("kinds", "image", 2)]
    )
    model.compile(
        keras_imp.optimizers.AdamW(
            1e-3, layer_decay=0.5, frozen_layers=range(2)
        )
    )
    before = to_numpy(encoder.body.stacks[0].stacked[1].value).copy()
    x, _ = image(rng, CASES["ViT"])
    source = keras_imp.TaskMixture({"kinds": [({"image": x}, [0, 1, 1])]})
    model.fit(source, steps_per_epoch=1, verbose=0)
    after = to_numpy(encoder.body.stacks[0].stacked[1].value)
    np.testing.assert_array_equal(before[:2], after[:2])
    assert (before[2] != after[2]).any()


def bert():
    return MODELS.BertBackbone(
        vocabulary_size=20,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
    )


def dinov3():
    sizes = {k: v for k, v in SIZES.items() if k != "hidden_dim"}
    return MODELS.DINOV3Backbone(
        patch_size=16, hidden_dim=24, image_shape=(32, 32, 3), **sizes
    )


def quantized():
    backbone = backbones.vit()
    backbone.quantize("int8")
    return backbone


REFUSED = {
    "gated DINOv2": (
        lambda: backbones.dinov2(use_swiglu_ffn=True),
        "Feed-forward networks must have two dense layers, not a gate. "
        "Received: backbone='DINOV2Backbone', use_swiglu_ffn=True.",
    ),
    "rotary positions": (
        dinov3,
        "Positions must be added to the tokens, not turn queries and keys.",
    ),
    "BERT": (
        bert,
        "Norms must stand before the attention and the feed-forward network of "
        "a block, not after them.",
    ),
    "another class": (
        lambda: keras.Sequential([keras.layers.Dense(2)], name="other"),
        "It must be one of keras_hub.models: ViTBackbone, CLIPVisionEncoder, "
        "CLIPTextEncoder, SigLIPVisionEncoder, SigLIPTextEncoder, "
        "DINOV2Backbone, CLIPBackbone, SigLIPBackbone. "
        "Received: backbone='Sequential'.",
    ),
    "activation": (
        lambda: backbones.clip_vision(intermediate_activation="relu"),
        "The activation must be one of ('gelu', 'gelu_approximate', "
        "'quick_gelu'). Received: backbone='CLIPVisionEncoder', "
        "intermediate_activation='relu'.",
    ),
    "head of another width": (
        lambda: backbones.text_of(MODELS.SigLIPTextEncoder, projection_dim=8),
        "`projection_dim` must be `hidden_dim`. Received: "
        "backbone='SigLIPTextEncoder', projection_dim=8, hidden_dim=24.",
    ),
    "gray images": (
        lambda: backbones.vit(image_shape=(48, 64, 1)),
        "Images must have 3 channels. Received: backbone='ViTBackbone', "
        "image_shape=(48, 64, 1).",
    ),
    "quantized": (
        quantized,
        "Its weights must be floating-point numbers. Received: "
        "backbone='ViTBackbone', layer=",
    ),
}


@pytest.mark.parametrize(("make", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_mapped_is_refused_with_what_is_in_the_way(make, text):
    start = "No encoder can have the outputs of this backbone. "
    with pytest.raises(ValueError, match=re.escape(start + text)):
        from_backbone(make())


def test_the_layer_in_the_way_is_named():
    with pytest.raises(ValueError, match="layer='transformer_layer_0 "):
        from_backbone(bert())
    with pytest.raises(ValueError, match=r"layer='\w*rope\w* \(DINOV3Rope"):
        from_backbone(dinov3())


def test_no_model_is_refused():
    text = "`backbone` is no Keras model. It must be one of keras_hub.models"
    with pytest.raises(TypeError, match=re.escape(text)):
        from_backbone("vit_base_patch16_224_imagenet")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"hidden_dim": 32},
            "`hidden_dim` must be that of the backbone, 24. Received: "
            "hidden_dim=32. Omit it, or use hidden_dim=24.",
        ),
        (
            {"patch_size": (1, 8, 8)},
            "`patch_size` must be that of the backbone, (1, 16, 16).",
        ),
        (
            {"pooling": "mean"},
            "`pooling` must be that of the backbone, 'token'.",
        ),
        (
            {"num_experts": 4, "num_moe_layers": 1},
            "`num_experts` must be that of the backbone, 0. Received: "
            "num_experts=4. Use keras_imp.upcycle on the encoder to give it "
            "experts.",
        ),
        (
            {"modalities": ("text", "audio")},
            "`modalities` must have 'image' or 'video', which the backbone "
            "knows. Received: modalities=('text', 'audio').",
        ),
        (
            {"pixel_mean": (0.5, 0.5, 0.5)},
            "`pixel_mean` and `pixel_std` must be given together, with a "
            "number for each of 3 channels, and for images only.",
        ),
        (
            {"pixel_mean": (0.5,) * 3, "pixel_std": (0.5, 0.5, 0.0)},
            "`pixel_std` must be greater than 0.",
        ),
    ],
)
def test_options_must_fit_the_backbone(vit, options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        from_backbone(vit, **options)


def test_a_text_has_no_pixels():
    backbone = backbones.text_of(MODELS.CLIPTextEncoder)
    with pytest.raises(ValueError, match="for images only"):
        from_backbone(backbone, pixel_mean=(0,) * 3, pixel_std=(1,) * 3)
    with pytest.raises(ValueError, match="`modalities` must have 'text'"):
        from_backbone(backbone, modalities=("image",))


def test_a_preset_of_a_backbone_loads_and_maps_in_one_call(rng, vit, tmp_path):
    folder = str(tmp_path / "vit")
    vit.save_to_preset(folder)
    x, theirs = image(rng, CASES["ViT"])
    expected = backbones.outputs_of(CASES["ViT"], vit, theirs)
    encoder = keras_imp.IMPEncoder.from_preset(
        folder, modalities=("image", "text"), vocabulary_size=11
    )
    assert encoder.modalities == ("image", "text")
    assert largest_difference(encoder({"image": x})["image"], expected) < 1e-4
    empty = keras_imp.IMPEncoder.from_preset(folder, load_weights=False)
    assert largest_difference(empty({"image": x})["image"], expected) > 1e-2


def test_a_preset_says_how_pixels_are_scaled(rng, vit, tmp_path):
    folder = str(tmp_path / "vit")
    vit.save_to_preset(folder)
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.6])
    keras_hub.layers.ViTImageConverter(
        scale=(1 / (255 * std)).tolist(), offset=(-mean / std).tolist()
    ).save_to_preset(folder)
    encoder = keras_imp.IMPEncoder.from_preset(folder)
    x, _ = image(rng, CASES["ViT"])
    theirs = {"images": ((x / 255 - mean) / std).astype("float32")}
    expected = backbones.outputs_of(CASES["ViT"], vit, theirs)
    assert largest_difference(encoder({"image": x})["image"], expected) < 1e-4


def test_a_scale_of_pixels_without_an_offset_is_one(rng, vit, tmp_path):
    folder = str(tmp_path / "vit")
    vit.save_to_preset(folder)
    keras_hub.layers.ViTImageConverter(scale=1 / 255).save_to_preset(folder)
    encoder = keras_imp.IMPEncoder.from_preset(folder)
    x, _ = image(rng, CASES["ViT"])
    theirs = {"images": (x / 255).astype("float32")}
    expected = backbones.outputs_of(CASES["ViT"], vit, theirs)
    assert largest_difference(encoder({"image": x})["image"], expected) < 1e-4


def test_names_of_keras_hub_are_known():
    assert set(FAMILIES) == set(TOWERS)
    for kind in NAMES:
        for name in getattr(MODELS, kind).presets:
            assert name in backbone_presets(name)
    assert backbone_presets("bert_base_en") == []


def test_a_name_of_keras_hub_loads_what_keras_hub_loads(monkeypatch, vit):
    asked = []

    def from_preset(preset, **arguments):
        asked.append((preset, arguments))
        return vit

    monkeypatch.setattr(MODELS.Backbone, "from_preset", from_preset)
    monkeypatch.setattr(
        keras_hub.layers.ImageConverter, "from_preset", no_converter
    )
    name = "vit_base_patch16_224_imagenet"
    encoder = keras_imp.IMPEncoder.from_preset(name, modalities=("video",))
    assert encoder.modalities == ("video",)
    assert asked == [(name, {"load_weights": True})]


def no_converter(preset):
    raise FileNotFoundError(preset)


def test_a_name_that_is_nearly_one_of_keras_hub_is_told():
    text = "Did you mean 'vit_base_patch16_224_imagenet'"
    with pytest.raises(ValueError, match=text):
        keras_imp.IMPEncoder.from_preset("vit_base_patch16_224_imagnet")
    text = "This is a backbone of keras-hub, whose other parts only keras-hub"
    with pytest.raises(ValueError, match=text):
        keras_imp.IMPPreprocessor.from_preset("vit_base_patch16_224_imagenet")


def test_a_preset_that_names_something_foreign_is_refused(vit, tmp_path):
    folder = tmp_path / "vit"
    vit.save_to_preset(str(folder))
    config = json.loads((folder / "config.json").read_text())
    config["config"]["name"] = {
        "module": "os",
        "class_name": "system",
        "config": {"command": "true"},
        "registered_name": None,
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="os"):
        keras_imp.IMPEncoder.from_preset(str(folder))
