"""LoRA changes nothing at the start, trains alone, and merges exactly."""

import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.models.weight_places import place_of
from tests.helpers import adapted
from tests.helpers.gradients import gradients
from tests.helpers.weights import copy_weights, to_numpy

WAY = pytest.mark.parametrize(
    "options", adapted.WAYS.values(), ids=adapted.WAYS.keys()
)


def refused(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


@WAY
def test_it_starts_without_a_difference_and_trains_lora_alone(options):
    encoder = adapted.make_encoder(**options)
    before = adapted.outputs(encoder)
    encoder.enable_lora(2, adapted.ALL_TARGETS)
    np.testing.assert_array_equal(adapted.outputs(encoder), before)
    base = adapted.base_weights(encoder)
    adapted.fit(adapted.make_model(encoder))
    for now, then in zip(adapted.base_weights(encoder), base, strict=True):
        np.testing.assert_array_equal(now, then)
    assert np.abs(adapted.outputs(encoder) - before).max() > 0.01
    for updates in encoder.lora_updates().values():
        for a, b in updates.pairs:
            assert np.abs(to_numpy(b.value)).max(axis=(-1, -2)).all(), a.path


@WAY
def test_a_merged_encoder_computes_the_same(rng, options):
    encoder = adapted.make_encoder(rank=2, **options)
    adapted.randomized(encoder, rng)
    expected = adapted.outputs(encoder)
    plain = adapted.make_encoder(**options)
    encoder.merge_lora()
    np.testing.assert_allclose(adapted.outputs(encoder), expected, atol=1e-6)
    for kind in ("weights", "trainable_weights"):
        names = [v.path for v in getattr(plain, kind)]
        assert [v.path for v in getattr(encoder, kind)] == names
    assert encoder.lora_rank is None


def test_a_kernel_gets_alpha_over_rank_times_the_product(rng):
    encoder = adapted.make_encoder(**adapted.EXPERTS)
    encoder.enable_lora(2, ("value", "expand"), alpha=6)
    adapted.randomized(encoder, rng)
    stack = encoder.body.stacks[1]
    before = {v.name: to_numpy(v.value) for v in stack.stacked}
    factors = {v.name: to_numpy(v.value) for v in stack.lora.variables}
    encoder.merge_lora()
    for variable in stack.stacked:
        expected = before[variable.name]
        if f"lora_a_{variable.name}" in factors:
            a, b = (factors[f"lora_{x}_{variable.name}"] for x in "ab")
            expected = expected + 3 * np.einsum("...ir,...rj->...ij", a, b)
        np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)
    assert {name.removeprefix("lora_a_") for name in factors if "_a_" in name} \
        == {"value_kernel", "experts_expand_kernel"}  # fmt: skip


@pytest.mark.parametrize("experts", [{}, adapted.EXPERTS], ids=["", "experts"])
def test_gradients_are_the_same_however_layers_run(rng, experts):
    def found(**options):
        encoder = adapted.make_encoder(rank=2, **experts, **options)
        copy_weights(first, encoder)

        def loss():
            x = encoder({"text": adapted.TEXTS}, training=True)
            pooled = x["text"]["pooled_output"]
            return keras.ops.sum(keras.ops.multiply(pooled, target))

        return gradients(loss, encoder.trainable_variables)

    first = adapted.make_encoder(rank=2, **experts)
    adapted.randomized(first, rng)
    target = rng.normal(size=(3, first.hidden_dim)).astype("float32")
    expected = found(scan_layers=False)
    assert len(expected) == len(first.trainable_variables)
    for options in (
        {"scan_layers": True},
        {"scan_layers": True, "remat": True},
        {"scan_layers": False, "remat": True},
    ):
        for ours, theirs in zip(found(**options), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_it_counts_what_trains():
    encoder = keras_imp.IMPEncoder.from_preset(
        "imp_tiny", modalities=("image",)
    )
    count = encoder.count_params()
    encoder.enable_lora(4)
    trained = sum(np.prod(v.shape) for v in encoder.trainable_variables)
    # 4 layers, 2 kernels of 128 x 128, each with 128 x 4 and 4 x 128.
    assert trained == 4 * 2 * 2 * 128 * 4 == 8192
    assert encoder.count_params() == count + trained


def test_a_token_meets_its_experts_share_of_their_updates():
    encoder = adapted.make_encoder(**adapted.EXPERTS)
    active = encoder.count_active_params()
    encoder.enable_lora(2, ("expand",))
    dense = 10 * 2 + 2 * 13
    assert encoder.count_active_params() == active + 2 * dense


@pytest.mark.parametrize("free_again", [False, True])
def test_parts_that_are_freed_after_it_train_too(free_again):
    encoder = adapted.make_encoder(rank=2, targets=("query",))
    if free_again:
        encoder.final_norm.trainable = True
    before = to_numpy(encoder.final_norm.gamma.value)
    adapted.fit(adapted.make_model(encoder))
    moved = np.abs(to_numpy(encoder.final_norm.gamma.value) - before).max()
    assert (moved > 0) == free_again


def test_an_encoder_that_was_frozen_can_be_adapted():
    encoder = adapted.make_encoder()
    encoder.body.trainable = False
    encoder.trainable = False
    encoder.enable_lora(2)
    assert len(encoder.trainable_variables) == 4
    encoder.merge_lora()
    assert len(encoder.trainable_variables) == len(encoder.weights)


def test_a_merged_encoder_can_be_adapted_again(rng):
    encoder = adapted.make_encoder(rank=2)
    adapted.randomized(encoder, rng)
    encoder.merge_lora()
    before = adapted.outputs(encoder)
    encoder.enable_lora(3, ("key",))
    np.testing.assert_array_equal(adapted.outputs(encoder), before)
    assert [v.name for v in encoder.trainable_variables] == [
        "lora_a_key_kernel",
        "lora_b_key_kernel",
    ]


def test_what_was_compiled_before_computes_with_it(rng):
    encoder = adapted.make_encoder()
    model = adapted.make_model(encoder)
    x = {"text": adapted.TEXTS}

    def found():
        of_encoder = encoder.predict(x, verbose=0)["text"]["pooled_output"]
        return of_encoder, model.predict(x, task="words", verbose=0)

    plain = found()
    encoder.enable_lora(2)
    adapted.randomized(encoder, rng)
    with_lora = found()
    encoder.merge_lora()
    merged = found()
    for before, now, after in zip(plain, with_lora, merged, strict=True):
        assert np.abs(now - before).max() > 1e-3
        np.testing.assert_allclose(after, now, atol=1e-5)


def test_rows_of_it_belong_to_their_layers():
    encoder = adapted.make_encoder(rank=2, num_layers=3, **adapted.EXPERTS)
    first, last = encoder.lora_updates().values()
    assert [*encoder.lora_updates()] == ["layers_0_to_1", "layers_2_to_2"]
    assert {place_of(v).depths for v in first.variables} == {(1, 2)}
    assert {place_of(v).depths for v in last.variables} == {(3,)}
    assert {v.path.rpartition("/")[0] for v in encoder.trainable_variables} == {
        "body/stack/lora",
        "body/sparse_stack/lora",
    }


def test_frozen_layers_of_the_optimizer_hold_for_it():
    encoder = adapted.make_encoder(rank=2, targets=("query",))
    before = [to_numpy(v.value) for v in encoder.trainable_variables]
    optimizer = keras_imp.optimizers.AdamW(0.05, frozen_layers=[0])
    adapted.fit(adapted.make_model(encoder, optimizer))
    for variable, then in zip(encoder.trainable_variables, before, strict=True):
        moved = np.abs(to_numpy(variable.value) - then).max(axis=(1, 2))
        assert moved[0] == 0 < moved[1]


def test_bfloat16_can_be_adapted():
    encoder = adapted.make_encoder(rank=2, dtype="bfloat16")
    assert {v.dtype for v in encoder.trainable_variables} == {"bfloat16"}
    adapted.fit(adapted.make_model(encoder))
    before = adapted.outputs(encoder)
    encoder.merge_lora()
    np.testing.assert_allclose(adapted.outputs(encoder), before, atol=0.05)


def test_a_sparse_encoder_and_its_dense_twin_are_told_apart():
    sparse = adapted.make_encoder(rank=2, **adapted.EXPERTS)
    twin = sparse.dense_twin()
    assert twin.lora_rank is None
    assert len(twin.trainable_variables) == len(twin.weights)


# Bad input ------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, -1, 1.5, True, None])
def test_a_rank_is_at_least_one(rank):
    encoder = adapted.make_encoder()
    text = f"`rank` must be an integer of at least 1. Received: rank={rank!r}."
    with refused(text):
        encoder.enable_lora(rank)
    assert len(encoder.trainable_variables) == len(encoder.weights)


@pytest.mark.parametrize(
    ("targets", "hint"),
    [
        (("query", "vale"), " Did you mean 'value'?"),
        (("Expand",), " Did you mean 'expand'?"),
        (("router",), ""),
        ((), ""),
    ],
)
def test_an_unknown_target_brings_the_nearest_one(targets, hint):
    encoder = adapted.make_encoder()
    text = (
        f"`targets` must be some of {adapted.ALL_TARGETS}. Received: "
        f"targets={targets!r}.{hint}"
    )
    with refused(text):
        encoder.enable_lora(2, targets)


def test_a_single_string_is_no_list_of_targets():
    text = (
        "`targets` must be a list or tuple of names. Received: "
        "targets='query'. Use targets=('query',)."
    )
    with refused(text, TypeError):
        adapted.make_encoder().enable_lora(2, "query")


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_alpha_is_a_positive_number(alpha):
    text = f"`alpha` must be positive and finite. Received: alpha={alpha!r}."
    with refused(text):
        adapted.make_encoder().enable_lora(2, alpha=alpha)


def test_it_is_enabled_once():
    encoder = adapted.make_encoder(rank=2)
    text = (
        "LoRA must not be enabled twice. Received: lora_rank=2. Call "
        "merge_lora() first, or make the encoder anew."
    )
    with refused(text):
        encoder.enable_lora(2)


def test_it_needs_the_weights_of_the_encoder():
    encoder = adapted.make_encoder()
    encoder.built = False
    text = (
        "An encoder must have its weights before LoRA is enabled. Received: "
        "built=False. Call enable_lora after its constructor."
    )
    with refused(text):
        encoder.enable_lora(2)


@pytest.mark.parametrize("method", ["merge_lora", "save_lora_weights"])
def test_without_it_there_is_nothing_to_merge_or_save(method, tmp_path):
    path = [] if method == "merge_lora" else [tmp_path / "a.lora.h5"]
    text = (
        f"`{method}` needs an encoder with LoRA weights. Received: "
        "lora_rank=None. Call enable_lora(rank) first."
    )
    with refused(text):
        getattr(adapted.make_encoder(), method)(*path)


def test_the_optimizer_must_know_of_it():
    encoder = adapted.make_encoder()
    model = adapted.make_model(encoder)
    adapted.fit(model, steps=1)
    encoder.enable_lora(2)
    with pytest.raises(ValueError, match=r"Call model\.compile\(\.\.\.\) with"):
        adapted.fit(model, steps=1)


def test_experts_are_no_copies_of_an_adapted_network():
    text = (
        "`encoder` must have no LoRA weights, which its experts would not be "
        "copies with. Received: lora_rank=2. Call encoder.merge_lora() first."
    )
    with refused(text):
        keras_imp.upcycle(
            adapted.make_encoder(rank=2), num_experts=2, num_moe_layers=1
        )
