"""The options that encoders of other packages need, one promise per test."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.models.padded_pass import padded_pass
from keras_imp.models.weight_places import Place, place_of
from tests.helpers.encoders import BATCH, SMALL, all_inputs, small_encoder
from tests.helpers.gradients import gradients
from tests.helpers.weights import randomize, to_numpy

MODALITIES = ("image", "video", "audio", "text")
# All of them, none at its default.
OPTIONS = {
    "modalities": MODALITIES,
    "positions": "grid",
    "pooling": "token",
    "text_pooling": "eos",
    "num_first_tokens": 3,
    "use_bias": True,
    "activation": "quick_gelu",
    "layer_norm_epsilon": 1e-5,
    "final_norm_epsilon": 1e-4,
    "use_entry_norm": True,
    "causal_text": True,
    "mask_padding": False,
}


def inputs(rng):
    return {
        name: x for name, x in all_inputs(rng).items() if name != "waveform"
    }


def encoder(rng, **options):
    return randomize(small_encoder(**{**OPTIONS, **options}), rng)


def features(encoder, x):
    return {
        f"{name} {part}": value
        for name, parts in to_numpy(encoder(x)).items()
        for part, value in parts.items()
    }


def assert_same_features(first, second, atol=2e-5):
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], atol=atol, err_msg=name)


def text_of(encoder, ids):
    return to_numpy(encoder({"text": ids}))["text"]


def text_encoder(rng, **options):
    return encoder(rng, **{"modalities": ("text",), **options})


def test_a_config_without_them_gives_an_encoder_as_before(rng):
    plain = small_encoder(MODALITIES)
    config = plain.get_config()
    new = [name for name in OPTIONS if name not in SMALL]
    for name in ("modalities", "pooling"):
        new.remove(name)
    older = {k: v for k, v in config.items() if k not in new}
    assert len(older) == len(config) - len(new)
    copy = keras_imp.IMPEncoder.from_config(older)
    assert copy.get_config() == config
    assert [v.path for v in copy.weights] == [v.path for v in plain.weights]


def test_all_options_survive_saving(rng, tmp_path):
    first = encoder(rng)
    x = inputs(rng)
    expected = features(first, x)
    first.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    assert_same_features(features(loaded, x), expected, atol=1e-6)
    for name, value in OPTIONS.items():
        assert loaded.get_config()[name] == value
    first.save_to_preset(tmp_path / "preset")
    loaded = keras_imp.IMPEncoder.from_preset(str(tmp_path / "preset"))
    assert_same_features(features(loaded, x), expected, atol=1e-6)


@pytest.mark.parametrize(
    "experts", [{}, {"num_experts": 3, "num_moe_layers": 1}]
)
def test_scan_and_remat_change_nothing(rng, experts):
    x = inputs(rng)
    first = encoder(rng, scan_layers=False, **experts)
    second = small_encoder(
        **{**OPTIONS, **experts, "scan_layers": True, "remat": True}
    )
    second.set_weights(first.get_weights())
    assert_same_features(features(first, x), features(second, x))

    def loss(encoder):
        outputs = encoder(x, training=True)
        pooled = [parts["pooled_output"] for parts in outputs.values()]
        return sum(ops.sum(ops.square(part)) for part in pooled)

    found = [
        gradients(lambda e=e: loss(e), e.trainable_variables)
        for e in (first, second)
    ]
    for variable, a, b in zip(first.trainable_variables, *found, strict=True):
        limit = 1e-4 * max(1.0, np.abs(a).max())
        np.testing.assert_allclose(a, b, atol=limit, err_msg=variable.path)


@pytest.mark.parametrize("router", ["expert_choice", "token_choice"])
def test_upcycling_changes_no_output(rng, router):
    dense = encoder(rng)
    sparse = keras_imp.upcycle(
        dense, num_experts=3, num_moe_layers=1, router=router
    )
    x = inputs(rng)
    assert_same_features(features(dense, x), features(sparse, x))
    names = {v.name for v in sparse.body.stacks[-1].stacked}
    assert "experts_contract_bias" in names


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16"])
def test_half_precision_is_near(rng, dtype):
    first, x = encoder(rng), inputs(rng)
    second = small_encoder(**OPTIONS, dtype=dtype)
    second.set_weights(first.get_weights())
    found = features(second, x)
    for name, value in features(first, x).items():
        error = np.abs(value.astype("float32") - found[name])
        assert error.mean() <= 0.06 * np.abs(value).max(), name
    outputs, spec = second(x), second.compute_output_spec(x)
    dtypes = keras.tree.map_structure(
        lambda t: keras.backend.standardize_dtype(t.dtype), outputs
    )
    assert dtypes == keras.tree.map_structure(lambda t: t.dtype, spec)


def test_a_text_does_not_see_later_tokens(rng):
    one = text_encoder(rng)
    ids = rng.integers(1, 11, (BATCH, 7))
    other = ids.copy()
    other[:, 4:] = 1 + ids[:, 4:] % 10
    a, b = (text_of(one, x)["sequence_output"] for x in (ids, other))
    np.testing.assert_array_equal(a[:, :4], b[:, :4])
    assert (np.abs(a[:, 4:] - b[:, 4:]).max(-1) > 1e-6).all()


def test_only_text_is_causal(rng):
    one = encoder(rng)
    x = inputs(rng)
    other = {"image": x["image"].copy()}
    other["image"][:, -3:, -5:] += 1.0  # The last patch.
    a = to_numpy(one({"image": x["image"]}))["image"]["pooled_output"]
    b = to_numpy(one(other))["image"]["pooled_output"]
    assert (np.abs(a - b).max(-1) > 1e-6).all()


@pytest.mark.parametrize(
    ("pooling", "mask_padding", "places"),
    [
        ("eos", True, [2, 0, 5]),
        ("eos", False, [2, 0, 5]),
        ("last", True, [4, 6, 5]),
        ("last", False, [6, 6, 6]),
    ],
)
def test_a_text_is_pooled_at_one_of_its_tokens(
    rng, pooling, mask_padding, places
):
    one = text_encoder(rng, text_pooling=pooling, mask_padding=mask_padding)
    ids = np.array(
        [
            [4, 7, 9, 9, 1, 0, 0],
            [9, 3, 3, 3, 3, 3, 5],
            [1, 1, 1, 1, 1, 9, 0],
        ]
    )
    found = text_of(one, ids)
    expected = found["sequence_output"][np.arange(3), places]
    np.testing.assert_array_equal(found["pooled_output"], expected)
    assert found["sequence_output"].shape == (3, 7, 10)


def test_other_modalities_have_their_own_pooling(rng):
    x = inputs(rng)
    one = encoder(rng)
    assert set(one.first_tokens) == {"vision", "audio"}
    assert one.num_first_tokens_of("text") == 0
    assert one.num_first_tokens_of("video") == 3
    parts = to_numpy(one(x))
    assert parts["image"]["sequence_output"].shape == (BATCH, 4, 10)
    assert parts["image"]["padding_mask"].shape == (BATCH, 4)
    assert one.num_tokens("image", x["image"].shape) == 4
    embedded = one.embed("image", x["image"])
    assert tuple(embedded.tokens.shape) == (BATCH, 7, 10)


def test_the_first_of_the_first_tokens_is_the_pooled_one(rng):
    """The blocks left out, the pooled token is the one that was prepended."""
    one = encoder(rng, use_entry_norm=False)
    x = inputs(rng)["image"]
    embedded = one.embed("image", x)
    first = to_numpy(one.first_tokens["vision"].value)
    assert first.shape == (1, 3, 10)
    np.testing.assert_allclose(
        to_numpy(embedded.tokens)[0, :3], first[0], atol=1e-6
    )
    found = one.finish(embedded, embedded.tokens)
    head = one.embedder_of("image").after(one.final_norm(first))
    np.testing.assert_allclose(
        to_numpy(found["pooled_output"]),
        np.tile(to_numpy(head)[:, 0], (BATCH, 1)),
        atol=1e-5,
    )


def test_routed_gates_are_those_of_the_patches(rng):
    one = encoder(rng, num_experts=3, num_moe_layers=1)
    gates = one.routing_gates({"image": inputs(rng)["image"]})["image"]
    assert tuple(gates["gates"].shape) == (BATCH, 1, 4, 3)


def test_the_entry_norm_is_before_the_layers(rng):
    one = small_encoder(**OPTIONS)
    tokens = to_numpy(one.embed("image", inputs(rng)["image"]).tokens)
    np.testing.assert_allclose(tokens.mean(-1), 0.0, atol=1e-5)
    assert place_of(one.entry_norm.gamma) == Place((0,), 3)
    without = small_encoder(**{**OPTIONS, "use_entry_norm": False})
    assert without.entry_norm is None
    assert one.count_params() - without.count_params() == 2 * 10


def test_without_a_mask_every_token_is_real(rng):
    masks = text_encoder(rng, causal_text=False, mask_padding=True)
    one = text_encoder(rng, causal_text=False)
    one.set_weights(masks.get_weights())
    ids = all_inputs(rng)["text"]
    assert text_of(one, ids)["padding_mask"].all()
    full = np.where(ids == 0, 5, ids)
    np.testing.assert_allclose(
        text_of(one, full)["sequence_output"],
        text_of(masks, full)["sequence_output"],
        atol=1e-5,
    )
    padded = text_of(one, ids)["sequence_output"]
    masked = text_of(masks, ids)["sequence_output"]
    assert np.abs(padded[0, :5] - masked[0, :5]).max() > 1e-4


def test_the_norms_have_their_epsilons():
    one = small_encoder(**OPTIONS)
    assert one.entry_norm.epsilon == 1e-5
    assert one.final_norm.epsilon == 1e-4
    block = one.body.stacks[0].make_block()
    assert block.attention_norm.epsilon == block.feed_forward_norm.epsilon
    assert block.attention_norm.epsilon == 1e-5
    same = small_encoder(**{**OPTIONS, "final_norm_epsilon": None})
    assert same.final_norm.epsilon == 1e-5


def test_another_size_has_resampled_positions(rng):
    one = encoder(rng, modalities=("image", "video"))
    image = rng.normal(size=(2, 12, 5, 3)).astype("float32")
    found = to_numpy(one({"image": image}))["image"]
    assert found["sequence_output"].shape == (2, 4, 10)
    video = np.stack([image] * 2, axis=1)
    same = to_numpy(one({"video": video}))["video"]
    np.testing.assert_allclose(
        found["pooled_output"], same["pooled_output"], atol=2e-5
    )


def test_a_part_of_the_patches_is_encoded(rng):
    one = encoder(rng)
    x = inputs(rng)
    kept = np.tile([0, 2], (BATCH, 1))
    found = one({"image": x["image"]}, kept={"image": kept})["image"]
    assert tuple(found["sequence_output"].shape) == (BATCH, 2, 10)
    text = (
        "Tokens of a text must not be dropped where it is pooled at one of "
        "them. Received: modality='text', text_pooling='eos'. Drop tokens of "
        "other modalities only."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        one({"text": x["text"]}, kept={"text": kept})


def test_patches_of_the_host_are_refused(rng):
    one = encoder(rng)
    x = inputs(rng)["image"]
    cut = one.patchings["image"].cut(x, np.tile([0, 2], (BATCH, 1)))
    text = "Rows must not be given to positions of a grid: they do not tell"
    with pytest.raises(ValueError, match=re.escape(text)):
        one({"image": cut})


def test_causal_text_shares_no_padded_pass(rng):
    one, x = encoder(rng), inputs(rng)
    parts = [one.embed(name, x[name]) for name in ("image", "text")]
    text = (
        "Several inputs must not share a pass where one of them is causal. "
        "Received: causal=('text',). Use AlternatingModel, or CombinedModel "
        'without strategy="padded".'
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        padded_pass(one, parts)
    task = keras_imp.tasks.Classification("kinds", "text", 3)
    with pytest.raises(ValueError, match=re.escape(text)):
        keras_imp.CombinedModel(one, [task], strategy="padded")


def test_a_padded_pass_pools_texts_at_their_tokens(rng):
    one, x = encoder(rng, causal_text=False), inputs(rng)
    names = ("image", "text")
    found = padded_pass(one, [one.embed(n, x[n]) for n in names]).features
    for name, part in zip(names, found, strict=True):
        alone = one({name: x[name]})[name]
        np.testing.assert_allclose(
            to_numpy(part["pooled_output"]),
            to_numpy(alone["pooled_output"]),
            atol=2e-5,
        )


def test_they_train(rng):
    model = keras_imp.AlternatingModel(
        small_encoder(**{**OPTIONS, "modalities": ("image", "text")}),
        [
            keras_imp.tasks.Contrastive("pairs", ("image", "text")),
            keras_imp.tasks.MaskedModeling("holes", "image", decoder_heads=2),
        ],
    )
    model.compile(keras_imp.optimizers.AdamW(1e-3, layer_decay=0.5))
    x = inputs(rng)
    pairs = {name: x[name] for name in ("image", "text")}
    source = keras_imp.TaskMixture(
        {"pairs": [(pairs, None)], "holes": [({"image": x["image"]}, None)]},
        schedule=keras_imp.schedules.RoundRobin(),
    )
    history = model.fit(source, steps_per_epoch=2, verbose=0).history
    assert all(np.isfinite(v).all() for v in history.values())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"activation": "relu"}, "`activation` must be one of ('gelu_tanh', "),
        ({"positions": "rotary"}, "`positions` must be one of ('factorized', "),
        ({"text_pooling": "cls"}, "`text_pooling` must be one of (None, 'eos'"),
        ({"num_first_tokens": 0}, "`num_first_tokens` must be an integer of"),
        (
            {"num_first_tokens": 2, "pooling": "mean"},
            '`num_first_tokens` must be 1 unless pooling="token", which is '
            "what prepends them. Received: num_first_tokens=2, pooling='mean'.",
        ),
        (
            {"interpolate_positions": True},
            'positions="grid" must be without `interpolate_positions` and '
            'variant="imp", which are about factorized positions',
        ),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        small_encoder(**{**OPTIONS, **options})
