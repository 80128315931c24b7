import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.models.weight_places import place_of
from keras_imp.training.optimizers import AdamW
from keras_imp.training.optimizers.variable_rules import variable_rules
from tests.helpers import models
from tests.helpers.encoders import ALL, small_encoder

pytestmark = pytest.mark.one_backend

# Which layers have experts: 1 and 2 of 4, so stacks of one kind repeat.
UNIFORM = {
    "num_layers": 4,
    "num_experts": 3,
    "num_moe_layers": 2,
    "moe_placement": "uniform",
}


def full_model(**options):
    """All modalities, a head of each kind."""
    encoder = small_encoder(ALL, name="encoder", **options)
    return keras_imp.AlternatingModel(
        encoder,
        [
            keras_imp.tasks.Classification("objects", "image", 3),
            keras_imp.tasks.Contrastive(
                "captions", ("image", "text"), projection_dim=8
            ),
        ],
    )


def short(variable):
    """The path without the model's name."""
    path = variable.path
    return path[path.index("encoder/") :] if "encoder/" in path else path


def rules_of(model, **options):
    variables = model.trainable_variables
    rules = variable_rules(variables, **options)
    return dict(zip(map(short, variables), rules, strict=True))


# Decay ----------------------------------------------------------------------

# "+" decays. Every weight of both models, by hand.
COMMON = """
+ vision/tokens/projection/kernel
- vision/tokens/projection/bias
- vision/positions/table_0
- vision/positions/table_1
- vision/positions/table_2
- vision/positions/norm/gamma
- vision/positions/norm/beta
+ vision/before/kernel
- vision/before/bias
+ vision/after/kernel
- vision/after/bias
+ audio/tokens/projection/kernel
- audio/tokens/projection/bias
- audio/positions/table_0
- audio/positions/table_1
- audio/positions/norm/gamma
- audio/positions/norm/beta
+ audio/before/kernel
- audio/before/bias
+ audio/after/kernel
- audio/after/bias
+ waveform/tokens/projection/kernel
- waveform/tokens/projection/bias
- waveform/positions/table_0
- waveform/positions/norm/gamma
- waveform/positions/norm/beta
+ waveform/before/kernel
- waveform/before/bias
+ waveform/after/kernel
- waveform/after/bias
- text/tokens/table
- text/positions/table_0
- text/positions/norm/gamma
- text/positions/norm/beta
+ text/before/kernel
- text/before/bias
+ text/after/kernel
- text/after/bias
- body/stack/attention_norm_gamma
+ body/stack/query_kernel
+ body/stack/key_kernel
+ body/stack/value_kernel
+ body/stack/output_kernel
- body/stack/feed_forward_norm_gamma
+ body/stack/expand_kernel
+ body/stack/contract_kernel
- final_norm/gamma
- final_norm/beta
+ objects/head/kernel
- objects/head/bias
+ captions/common_space/image_to_text/expand/kernel
- captions/common_space/image_to_text/expand/bias
+ captions/common_space/image_to_text/contract/kernel
- captions/common_space/image_to_text/contract/bias
- captions/common_space/image_to_text/norm/gamma
- captions/common_space/image_to_text/norm/beta
+ captions/common_space/text_to_image/expand/kernel
- captions/common_space/text_to_image/expand/bias
+ captions/common_space/text_to_image/contract/kernel
- captions/common_space/text_to_image/contract/bias
- captions/common_space/text_to_image/norm/gamma
- captions/common_space/text_to_image/norm/beta
- captions/temperature_image_text"""
# A learned first token.
DENSE = """
- encoder/first_token_vision
- encoder/first_token_audio
- encoder/first_token_waveform
- encoder/first_token_text
"""
# Experts, norms of queries and keys, a pooling with a probe.
SPARSE = """
- body/stack/query_norm_gamma
- body/stack/key_norm_gamma
- body/sparse_stack/attention_norm_gamma
+ body/sparse_stack/query_kernel
+ body/sparse_stack/key_kernel
+ body/sparse_stack/value_kernel
+ body/sparse_stack/output_kernel
- body/sparse_stack/query_norm_gamma
- body/sparse_stack/key_norm_gamma
- body/sparse_stack/feed_forward_norm_gamma
+ body/sparse_stack/feed_forward_router_kernel
+ body/sparse_stack/experts_expand_kernel
+ body/sparse_stack/experts_contract_kernel
- pool/probe
+ pool/query/kernel
+ pool/key/kernel
+ pool/value/kernel
+ pool/output/kernel
- pool/norm/gamma
- pool/norm/beta
+ pool/feed_forward/expand/kernel
+ pool/feed_forward/contract/kernel
"""
MODELS = {
    "dense": (DENSE, {"pooling": "token"}),
    "sparse": (
        SPARSE,
        {"pooling": "attention", "num_experts": 3, "num_moe_layers": 1},
    ),
}


@pytest.mark.parametrize("kind", list(MODELS))
def test_every_weight_of_a_model_decays_or_not(kind):
    own, options = MODELS[kind]
    rules = rules_of(full_model(**options))
    found = [f"{'+' if r.decays else '-'} {n}" for n, r in rules.items()]
    assert sorted(found) == sorted((COMMON + own).strip().splitlines())


def test_a_soft_router_decays_and_its_scale_does_not():
    options = {"num_experts": 3, "num_moe_layers": 1, "router": "soft"}
    rules = rules_of(full_model(**options))
    prefix = "body/sparse_stack/feed_forward_"
    assert rules[f"{prefix}router_kernel"].decays
    assert not rules[f"{prefix}scale"].decays


# Layers ---------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, UNIFORM], ids=["dense", "uniform"])
def test_layer_decay_falls_from_the_heads_to_the_embedders(options):
    model = full_model(**{"num_layers": 4, "pooling": "token", **options})
    optimizer = AdamW(layer_decay=0.5)
    optimizer.build(model.trainable_variables)
    encoder = model.encoder
    expected = {}
    layer = 0
    for stack in encoder.body.stacks:
        for v in stack.stacked:
            layers = layer + np.arange(stack.num_layers)
            expected[id(v)] = 0.5 ** (4.0 - layers)
        layer += stack.num_layers
    assert layer == 4
    for name, embedder in encoder.embedders.items():
        for v in [*embedder.trainable_variables, encoder.first_tokens[name]]:
            expected[id(v)] = [0.5**5]
        for v in embedder.after.trainable_variables:
            expected[id(v)] = [1.0]
    for v in model.trainable_variables:
        factor = optimizer.rule(v).factor
        values = expected.get(id(v), [1.0])
        np.testing.assert_allclose(np.ravel(factor), values, err_msg=v.path)
        if np.ndim(factor):
            # Along the first axis.
            assert np.broadcast_shapes(factor.shape, v.shape) == tuple(v.shape)
    heads = [v for task in model.task_list for v in task.trainable_variables]
    assert heads
    assert not any(id(v) in expected for v in heads)


def test_factors_multiply():
    model = full_model(num_layers=2)
    rules = rules_of(
        model,
        layer_decay=0.5,
        multipliers={"kernel": 2.0, "body/": 3.0},
        frozen_layers=[1],
    )
    (kernel,) = (r for n, r in rules.items() if n.endswith("query_kernel"))
    assert kernel.factor.shape == (2, 1, 1)
    assert kernel.factor.ravel().tolist() == [0.25 * 6.0, 0.0]
    assert kernel.frozen_rows.ravel().tolist() == [False, True]
    assert not kernel.is_frozen
    (table,) = (r for n, r in rules.items() if n.endswith("tokens/table"))
    assert table == (0.125, False)
    assert table.frozen_rows is None


def test_a_modality_freezes_with_all_that_is_its_own():
    model = full_model(pooling="token")
    rules = rules_of(model, frozen_modalities=("image", "video", "text"))
    for name, rule in rules.items():
        own = name.startswith(("vision/", "text/"))
        own = own or name.endswith(("token_vision", "token_text"))
        assert rule.is_frozen == own, name
    # An encoder without video has nobody to ask.
    encoder = small_encoder(("image",))
    frozen = [
        rule.is_frozen
        for rule in variable_rules(
            encoder.trainable_variables, frozen_modalities=("image",)
        )
    ]
    assert any(frozen)
    assert not all(frozen)


def test_a_loaded_encoder_knows_its_layers(tmp_path):
    encoder = small_encoder(("text",), **UNIFORM)
    encoder.save_to_preset(str(tmp_path))
    loaded = keras_imp.IMPEncoder.from_preset(str(tmp_path))
    places = [place_of(v) for v in encoder.trainable_variables]
    assert [place_of(v) for v in loaded.trainable_variables] == places
    assert {p.depths for p in places if p} == {
        (0,),
        (1,),
        (2,),
        (3,),
        (4,),
        (5,),
    }


# What is not there ----------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"learning_rate_multipliers": {"captoins": 2.0}},
            "Each pattern of `learning_rate_multipliers` must match the path "
            "of a trainable weight. Received: pattern='captoins'. Print "
            "`[v.path for v in model.trainable_variables]`.",
        ),
        (
            {"learning_rate_multipliers": {"captions": -1.0}},
            "A learning rate multiplier must not be negative. Received: "
            "pattern='captions', multiplier=-1.0.",
        ),
        (
            {"frozen_layers": [0, 2]},
            "`frozen_layers` must be indices of the encoder's 2 layers, from "
            "0. Received: layer=2.",
        ),
        (
            {"frozen_layers": [-1]},
            "`frozen_layers` must be indices of the encoder's 2 layers, from "
            "0. Received: layer=-1.",
        ),
        (
            {"frozen_modalities": ["sound"]},
            "`frozen_modalities` must be modalities with trainable weights of "
            "their own: ('image', 'video', 'audio', 'waveform', 'text'). "
            "Received: modality='sound'.",
        ),
        (
            {"frozen_modalities": ["image", "audio"]},
            "The modalities ('image', 'video') share their weights: all or "
            "none of them must be frozen. Received: "
            "frozen_modalities=('audio', 'image').",
        ),
    ],
)
def test_what_is_not_there_is_refused(options, text):
    optimizer = AdamW(**options)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        optimizer.build(full_model().trainable_variables)


@pytest.mark.parametrize(
    "options",
    [
        {"layer_decay": 0.75},
        {"frozen_layers": [0]},
        {"frozen_modalities": ["image"]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_foreign_encoder_has_no_layers(options):
    text = (
        "`layer_decay`, `frozen_layers` and `frozen_modalities` need the "
        "weights of an `IMPEncoder`, and none is among the trainable ones. Use "
        "`learning_rate_multipliers` with patterns of paths."
    )
    model = models.make_model(models.two_tasks, compiled=False)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        AdamW(**options).build(model.trainable_variables)


def test_kernels_of_keras_layers_decay():
    layers = [
        keras.layers.Conv2D(2, 3),
        keras.layers.LSTM(2),
        keras.layers.Embedding(3, 2),
        keras.layers.BatchNormalization(),
    ]
    for layer, shape in zip(
        layers, [(1, 8, 8, 3), (1, 4, 3), (1, 4), (1, 3)], strict=True
    ):
        layer.build(shape)
    variables = [v for layer in layers for v in layer.trainable_variables]
    decayed = [
        v.name
        for v, rule in zip(variables, variable_rules(variables), strict=True)
        if rule.decays
    ]
    assert decayed == ["kernel", "kernel", "recurrent_kernel"]


def test_lora_weights_decay_and_have_the_rates_of_their_layers():
    encoder = small_encoder(("text",))
    encoder.enable_lora(2, ("query",))
    rules = variable_rules(encoder.trainable_variables, layer_decay=0.5)
    assert [rule.decays for rule in rules] == [True, True]
    for rule in rules:
        assert np.ravel(rule.factor).tolist() == [0.25, 0.5]
