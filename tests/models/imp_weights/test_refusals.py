"""What does not fit is refused with both names, and changes no weight."""

import dataclasses
import functools

import numpy as np
import pytest

import keras_imp
from keras_imp.models import Modality, imp_config, load_imp_weights
from keras_imp.models.modalities import modality_of
from tests.helpers import first_implementation as first
from tests.helpers.weights import to_numpy

pytestmark = pytest.mark.one_backend

DENSE = first.Sizes(layers=2)
SPARSE = dataclasses.replace(DENSE, experts=2, routed=(1,), qk_norm=True)
QUERY = "transformer_encoder/layer_scan/self_attention/q/kernel"
KERNEL = "vision_token_raw_to_embed/rgb_to_embedding/kernel"


@pytest.fixture
def tree(rng):
    return first.random_tree(DENSE, rng)


@functools.cache
def shared_encoder():
    """One for all tests that must not change it."""
    return encoder_of(first.random_tree(DENSE, np.random.default_rng(0)))


def encoder_of(tree, **arguments):
    config = {**imp_config(tree), "modalities": ("image", "text")}
    return keras_imp.IMPEncoder(
        **{**config, "patch_size": (2, 4, 4), **arguments}
    )


def refusal(tree, encoder=None):
    """The message, after a look at whether a weight has changed."""
    encoder = encoder or shared_encoder()
    before = to_numpy([v.value for v in encoder.weights])
    with pytest.raises(ValueError, match="Received: ") as error:
        load_imp_weights(encoder, tree)
    after = to_numpy([v.value for v in encoder.weights])
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    return str(error.value)


def test_a_missing_array_is_named_with_its_weight(tree):
    del tree[KERNEL]
    message = refusal(tree)
    assert f"'{KERNEL}': 'vision/tokens/projection/kernel'" in message
    assert ": 1 of " in message


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        (KERNEL, slice(None, -1)),
        (
            "text_token_id_pre_encoder_projection/kernel",
            (slice(None), slice(4)),
        ),
    ],
)
def test_a_wrong_shape_is_named_with_its_weight(tree, name, axes):
    tree[name] = tree[name][axes]
    message = refusal(tree)
    assert name in message
    assert str(tree[name].shape) in message
    assert "kernel needs (" in message


def test_other_heads_of_the_same_width_are_refused(tree):
    tree[QUERY] = tree[QUERY].reshape(2, 8, 4, 2)
    message = refusal(tree)
    assert "query_kernel needs (2, 8, 2, 4), not (2, 8, 4, 2)" in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named_with_its_weight(tree, value):
    tree[QUERY][1, 0, 0, 0] = value
    message = refusal(tree)
    assert QUERY in message
    assert "weight='body/stack/query_kernel'" in message
    assert "not_finite=1" in message


def test_numbers_must_be_floating(tree):
    tree[KERNEL] = tree[KERNEL].astype("int8")
    assert "int8" in refusal(tree)


@pytest.mark.parametrize(
    "name",
    [
        "transformer_encoder/layer_scan/self_attention/q/bias",
        "transformer_encoder/layer_scan/self_attention/layer_norm_q/scale",
        "vision_token_raw_to_embed/rgb_seg_encoding/embedding",
        "text_token_id_post_encoder_projection/lora_a",
    ],
)
def test_an_array_that_would_change_the_outputs_is_refused(tree, name):
    tree[name] = np.ones((2, 8), "float32")
    assert name in refusal(tree)


def test_a_low_rank_update_is_ignored_only_if_it_is_0(tree):
    module = QUERY.removesuffix("kernel")
    left, right = module + "kernel_left", module + "kernel_right"
    tree[left] = np.ones((2, 8, 4), "float32")
    assert left in refusal(tree)
    tree[right] = np.zeros((2, 4, 2, 4), "float32")
    report = load_imp_weights(encoder_of(tree), tree)
    assert {left, right} <= set(report.unused)
    tree[right][0, 0, 0, 0] = 1e-3
    message = refusal(tree)
    assert left in message
    assert "scale * kernel_left @ kernel_right" in message


def test_an_encoder_with_other_layers_is_refused(rng):
    tree = first.random_tree(SPARSE, rng)
    message = refusal(tree)
    assert "encoder={'layers': 2, 'routed': ()}" in message
    assert "weights={'layers': 2, 'routed': (1,)}" in message
    assert "imp_config" in message


def test_an_encoder_with_weights_of_another_kind_is_refused(rng):
    tree = first.random_tree(SPARSE, rng)
    soft = encoder_of(tree, router="soft")
    assert "weights=['body/sparse_stack/feed_forward_scale']" in (
        refusal(tree, soft)
    )
    shared = encoder_of(tree, router_options={"shared_expert": True})
    assert (
        "'moe_transformer_encoder/layer_scan_moe/feed_forward/wi/kernel': "
        "'body/sparse_stack/expand_kernel'"
    ) in refusal(tree, shared)


@pytest.mark.parametrize(
    "options",
    [{"activation": "quick_gelu"}, {"causal_text": True}, {"use_bias": True}],
)
def test_an_encoder_that_computes_something_else_is_refused(tree, options):
    (name,) = options
    found = refusal(tree, encoder_of(tree, **options))
    assert ("self_attention/q/bias" if name == "use_bias" else name) in found


def test_a_first_token_must_be_in_the_weights(tree):
    encoder = encoder_of(tree, pooling="token")
    message = refusal(tree, encoder)
    assert "vision_token_raw_agg_token/embedding" in message
    assert "first_token_vision" in message


def test_a_head_must_be_in_the_weights(tree):
    task = keras_imp.tasks.Contrastive("c", projection_dim=6, space="joint")
    model = keras_imp.AlternatingModel(encoder_of(tree), [task])
    with pytest.raises(
        ValueError, match="vision_token_raw_joint_projection/to_common"
    ):
        load_imp_weights(model, tree)


def test_layers_without_one_of_them_are_refused(rng):
    sizes = dataclasses.replace(DENSE, layers=3, scanned=False)
    tree = first.random_tree(sizes, rng)
    gap = {k: v for k, v in tree.items() if "layer_1/" not in k}
    with pytest.raises(ValueError, match="without a gap"):
        imp_config(gap)


def test_routed_layers_at_other_places_are_refused(rng):
    sizes = dataclasses.replace(SPARSE, layers=3, routed=(0, 1), scanned=False)
    with pytest.raises(ValueError, match="constant stride"):
        imp_config(first.random_tree(sizes, rng))


def test_other_trees_are_refused(tree):
    with pytest.raises(ValueError, match=r"one encoder.*encoders=\[\]"):
        imp_config({"a/kernel": np.ones(3)})
    twice = {f"{a}/{k}": v for k, v in tree.items() for a in ("params", "mu")}
    with pytest.raises(ValueError, match="without the state of an optimizer"):
        imp_config(twice)


def test_a_tree_that_is_not_flat_is_refused():
    with pytest.raises(TypeError, match="flatten_dict"):
        imp_config({"params": {"a": np.ones(3)}})


def test_what_is_no_encoder_is_refused(tree):
    with pytest.raises(TypeError, match="IMPEncoder"):
        load_imp_weights(None, tree)
    with pytest.raises(TypeError, match="path of an npz file"):
        imp_config(None)


def test_what_has_no_place_is_listed(tree):
    more = {"step": np.zeros(()), "params/own_head/kernel": np.ones((8, 3))}
    tree = {f"params/{name}": value for name, value in tree.items()}
    encoder = encoder_of(tree)
    report = load_imp_weights(encoder, {**tree, **more})
    assert report.loaded == report.total == len(encoder.weights)
    used = ["transformer_encoder/"] + [
        f"{source}_{module}"
        for source in ("vision_token_raw", "text_token_id")
        for module in ("to_embed", "pre_encoder", "post_encoder")
    ]
    unused = {
        name
        for name in tree
        if not name.startswith(tuple(f"params/{x}" for x in used))
    }
    assert {*report.unused} == unused | {*more}
    assert "params/temperature/temperature_text_vision" in unused


def test_parts_of_an_encoder_that_are_its_own_keep_their_values(tree):
    keras_imp.models.register_modality(
        dataclasses.replace(
            modality_of("audio"), name="radar", embedder="radar"
        )
    )
    encoder = encoder_of(
        tree,
        modalities=("image", "radar"),
        audio_patch_size=(4, 2),
        pooling="attention",
    )
    before = to_numpy(encoder.embedders["radar"].before.kernel.value)
    report = load_imp_weights(encoder, tree)
    assert {path.split("/")[0] for path in report.new} == {"radar", "pool"}
    np.testing.assert_array_equal(
        to_numpy(encoder.embedders["radar"].before.kernel.value), before
    )
    assert isinstance(
        keras_imp.models.modalities.modality_of("radar"), Modality
    )
