import itertools
import re

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import layer_oracles as oracles
from tests.helpers.compiled import in_one
from tests.helpers.encoders import (
    ALL,
    BATCH,
    TOKENS,
    all_inputs,
    small_encoder,
)
from tests.helpers.weights import (
    assert_near,
    copy_weights,
    named_weights,
    to_numpy,
)

POOLINGS = ("mean", "token", "attention")
PARTS = {"sequence_output", "padding_mask", "pooled_output"}


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(7)
    return small_encoder()


@pytest.fixture(scope="module")
def encode(encoder):
    """A call of `encoder`; what one test compiled serves the others."""
    return in_one(encoder)


@pytest.fixture(scope="module", params=POOLINGS)
def pooled(request):
    """An encoder for each pooling, and a call of it."""
    keras.utils.set_random_seed(7)
    encoder = small_encoder(pooling=request.param)
    return encoder, in_one(encoder)


@pytest.fixture
def inputs(rng):
    return all_inputs(rng)


def assert_equal_features(first, second, tolerance):
    first, second = to_numpy(first), to_numpy(second)
    assert first.keys() == second.keys()
    for name, part in itertools.product(first, PARTS):
        np.testing.assert_allclose(
            first[name][part],
            second[name][part],
            rtol=tolerance,
            atol=tolerance,
            err_msg=f"{name} {part}",
        )


def test_output_shapes_and_types(encoder, inputs):
    names = []

    def run(inputs):
        features = encoder(inputs)
        names[:] = features  # A program sorts them.
        return features

    features = in_one(encoder, run)(inputs)
    assert names == list(ALL)
    assert features.keys() == set(ALL)
    for name, parts in features.items():
        assert parts.keys() == PARTS
        tokens = TOKENS[name]
        assert tuple(parts["sequence_output"].shape) == (BATCH, tokens, 10)
        assert tuple(parts["padding_mask"].shape) == (BATCH, tokens)
        assert tuple(parts["pooled_output"].shape) == (BATCH, 10)
        mask = to_numpy(parts["padding_mask"])
        expected = inputs[name] != 0 if name == "text" else np.ones_like(mask)
        np.testing.assert_array_equal(mask, expected)
        assert mask.dtype == bool


def test_any_subset_of_modalities_gives_the_same_features(encode, inputs):
    together = encode(inputs)
    for name in ALL:
        alone = encode({name: inputs[name]})
        assert_equal_features(
            alone, {name: together[name]}, oracles.SAME_MATH_TOLERANCE
        )
    pair = encode({name: inputs[name] for name in ("text", "image")})
    assert set(pair) == {"text", "image"}


def eight_tokens_each(rng):
    """Of one shape behind the embedders: JAX compiles each operation once."""
    return {
        "image": rng.normal(size=(BATCH, 6, 20, 3)).astype("float32"),
        "video": rng.normal(size=(BATCH, 4, 6, 10, 3)).astype("float32"),
        "audio": rng.normal(size=(BATCH, 12, 4)).astype("float32"),
        "waveform": rng.normal(size=(BATCH, 56)).astype("float32"),
        "text": rng.integers(0, 11, size=(BATCH, 8), dtype="int32"),
    }


def test_symbolic_eager_and_compiled_calls_agree(encoder, rng):
    inputs = eight_tokens_each(rng)
    symbols = {
        name: keras.Input(x.shape[1:], dtype=x.dtype.name, name=name)
        for name, x in inputs.items()
    }
    symbolic = encoder(symbols)
    eager = encoder(inputs)
    compiled = encoder.predict(inputs, batch_size=BATCH, verbose=0)
    assert_equal_features(compiled, eager, oracles.SAME_MATH_TOLERANCE)
    for name, part in itertools.product(ALL, PARTS):
        assert symbolic[name][part].shape[1:] == eager[name][part].shape[1:]
        assert keras.backend.standardize_dtype(
            symbolic[name][part].dtype
        ) == keras.backend.standardize_dtype(eager[name][part].dtype)


def test_agrees_with_the_oracle(encoder, encode, inputs):
    """The whole way of a text: embed, encode, project, pool."""
    text, mask = inputs["text"], inputs["text"] != 0
    embedder = encoder.embedders["text"]
    x = oracles.token_embedding(text, named_weights(embedder.tokens))
    x = oracles.position_embedding(
        x, (7,), named_weights(embedder.positions), dilated=False
    )
    dense = {
        f"{layer.name}/{name}": value
        for layer in (embedder.before, embedder.after)
        for name, value in named_weights(layer).items()
    }
    x = oracles.dense(x, dense, "before")
    x = oracles.encoder_stack(x, block_weights(encoder.body.stacks[0]), 2, mask)
    norm = named_weights(encoder.final_norm)
    x = oracles.layer_norm(x, norm["gamma"], norm["beta"])
    x = oracles.dense(x, dense, "after")
    found = encode({"text": text})["text"]
    assert_near(found["sequence_output"], x, 5 * oracles.FLOAT32_TOLERANCE)
    assert_near(
        found["pooled_output"],
        oracles.mean_pooling(x, mask),
        5 * oracles.FLOAT32_TOLERANCE,
    )


def block_weights(stack):
    names = [v.name for v in stack.stacked]
    return [
        {
            "/".join(name.rsplit("_", 1)): value
            for name, value in zip(names, stack.block_weights(i))
        }
        for i in range(stack.num_layers)
    ]


@pytest.mark.parametrize(
    ("modalities", "embedders"),
    [
        (("text",), {"text"}),
        (("image",), {"vision"}),
        (("image", "video"), {"vision"}),
        (("audio", "waveform"), {"audio", "waveform"}),
        (ALL, {"vision", "audio", "waveform", "text"}),
    ],
)
def test_only_configured_embedders_get_weights(modalities, embedders):
    encoder = small_encoder(modalities)
    assert set(encoder.embedders) == embedders
    inside = (
        encoder.body.stacks[0].count_params()
        + encoder.final_norm.count_params()
    )
    outside = sum(e.count_params() for e in encoder.embedders.values())
    assert encoder.count_params() == inside + outside


def test_all_weights_exist_before_the_first_call():
    encoder = small_encoder()
    assert encoder.built
    paths = [v.path for v in encoder.weights]
    assert len(paths) == len(set(paths))


def test_an_image_equals_the_video_that_repeats_it(encode, inputs):
    image = inputs["image"]
    video = np.repeat(image[:, None], 2, axis=1)
    assert_equal_features(
        {"x": encode({"image": image})["image"]},
        {"x": encode({"video": video})["video"]},
        5 * oracles.SAME_MATH_TOLERANCE,
    )


@pytest.mark.parametrize("name", ["image", "video"])
def test_uint8_pixels_equal_scaled_floats(encode, inputs, rng, name):
    pixels = rng.integers(0, 256, size=inputs[name].shape, dtype="uint8")
    scaled = (pixels / 127.5 - 1).astype("float32")
    assert_equal_features(
        encode({name: pixels}),
        encode({name: scaled}),
        5 * oracles.SAME_MATH_TOLERANCE,
    )


def test_pooling_gives_one_vector_per_example(inputs, pooled):
    _, encode = pooled
    features = to_numpy(encode(inputs))
    for name, parts in features.items():
        assert parts["pooled_output"].shape == (BATCH, 10)
        # The learned token is not one of the sequence.
        assert parts["sequence_output"].shape == (BATCH, TOKENS[name], 10)
        assert parts["padding_mask"].shape == (BATCH, TOKENS[name])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_more_padding_does_not_change_pooled_output(inputs, pooling):
    encode = in_one(small_encoder(("text",), pooling=pooling))
    text = inputs["text"]
    longer = np.pad(text, ((0, 0), (0, 4)))
    assert_near(
        encode({"text": longer})["text"]["pooled_output"],
        to_numpy(encode({"text": text})["text"]["pooled_output"]),
        oracles.SAME_MATH_TOLERANCE,
    )


def test_what_stands_for_padding_does_not_change_pooled_output(inputs):
    encoder = small_encoder(("text",))
    encode = in_one(encoder)
    table = encoder.embedders["text"].tokens.table
    before = to_numpy(encode({"text": inputs["text"]})["text"])
    values = to_numpy(table.value)
    values = np.concatenate([values[:1] + 100, values[1:]])
    table.assign(values)
    after = to_numpy(encode({"text": inputs["text"]})["text"])
    np.testing.assert_array_equal(
        before["pooled_output"], after["pooled_output"]
    )


def test_token_pooling_has_one_learned_token_per_embedder():
    plain = small_encoder()
    token = small_encoder(pooling="token")
    assert set(token.first_tokens) == {"vision", "audio", "waveform", "text"}
    assert token.count_params() - plain.count_params() == 4 * 10


def test_text_of_padding_only_is_finite(encode):
    text = np.zeros((BATCH, 7), "int32")
    features = to_numpy(encode({"text": text}))["text"]
    assert np.isfinite(features["sequence_output"]).all()
    np.testing.assert_array_equal(features["pooled_output"], 0)


def test_padding_same_takes_sizes_that_are_no_multiple(rng):
    encoder = small_encoder(("image", "video", "audio"), padding="same")
    features = in_one(encoder)(
        {
            "image": rng.normal(size=(2, 7, 11, 3)).astype("float32"),
            "video": rng.normal(size=(2, 1, 6, 10, 3)).astype("float32"),
            "audio": rng.normal(size=(2, 7, 3)).astype("float32"),
        }
    )
    tokens = {n: f["sequence_output"].shape[1] for n, f in features.items()}
    # 3 x 3 patches, 1 x 2 x 2 patches, 3 x 2 patches.
    assert tokens == {"image": 9, "video": 4, "audio": 6}


def test_mixed_precision_keeps_float32_weights(inputs, pooled):
    exact, encode = pooled
    encoder = small_encoder(pooling=exact.pooling, dtype="mixed_bfloat16")
    copy_weights(exact, encoder)
    assert {v.dtype for v in encoder.weights} == {"float32"}
    found, expected = in_one(encoder)(inputs), to_numpy(encode(inputs))
    for name, part in itertools.product(ALL, PARTS - {"padding_mask"}):
        x = found[name][part]
        assert keras.backend.standardize_dtype(x.dtype) == "bfloat16"
        error = np.abs(to_numpy(x) - expected[name][part]).mean()
        assert error < oracles.BFLOAT16_TOLERANCE


def test_dropout_acts_in_training_only(inputs):
    encoder = small_encoder(("text",), dropout=0.5)
    text = {"text": inputs["text"]}
    train, infer = (in_one(encoder, training=x) for x in (True, False))
    first, second = (
        to_numpy(train(text)["text"]["pooled_output"]) for _ in range(2)
    )
    assert (first != second).any()
    still, again = (
        to_numpy(infer(text)["text"]["pooled_output"]) for _ in range(2)
    )
    np.testing.assert_array_equal(still, again)


def test_the_imp_variant_has_its_initialization_and_coordinates():
    encoder = small_encoder(
        ("waveform",), variant="imp", hidden_dim=64, num_heads=4
    )
    assert encoder.embedders["waveform"].positions.coordinates == "bfloat16"
    query = named_weights(encoder.body.stacks[0])["query_kernel"]
    # One over the root of 64 * 4.
    assert abs(query.std() - 1 / 16) < 5e-3
    assert encoder.body.stacks[0].dropout_broadcast


@pytest.mark.parametrize(
    ("variant", "word", "position"),
    # One over the root of a width of 100 in the first implementation.
    [("fixed", 0.5, 0.1), ("imp", 0.1, 1.0)],
)
def test_deviations_of_words_and_positions_at_the_start(
    variant, word, position
):
    encoder = small_encoder(
        ("text",), variant=variant, hidden_dim=100, vocabulary_size=101
    )
    embedder = encoder.embedders["text"]
    table = named_weights(embedder.tokens)["table"]
    assert abs(table.std() / word - 1) < 0.03
    scale = named_weights(embedder.positions)["norm/gamma"]
    np.testing.assert_allclose(scale, position, rtol=1e-6)


def test_qk_layer_norm_is_off_in_a_dense_encoder_unless_asked_for():
    plain, normed = small_encoder(), small_encoder(qk_layer_norm=True)
    # Two layers, two scales as long as a head is wide.
    assert normed.count_params() - plain.count_params() == 2 * 2 * 5


@pytest.mark.parametrize("scan_layers", [False, True])
def test_remat_and_scan_do_not_change_the_features(
    encoder, encode, inputs, scan_layers
):
    other = small_encoder(remat=True, scan_layers=scan_layers)
    copy_weights(encoder, other)
    assert_equal_features(
        in_one(other)(inputs),
        encode(inputs),
        5 * oracles.SAME_MATH_TOLERANCE,
    )


def test_a_preset_folder_gives_the_encoder_back(inputs, pooled, tmp_path):
    encoder, encode = pooled
    encoder.save_to_preset(str(tmp_path / "preset"))
    loaded = keras_imp.IMPEncoder.from_preset(str(tmp_path / "preset"))
    assert loaded.get_config() == encoder.get_config()
    assert_equal_features(in_one(loaded)(inputs), encode(inputs), 1e-6)


def functional_classifier(encoder):
    image = keras.Input((6, 10, 3), name="image")
    text = keras.Input((7,), dtype="int32", name="text")
    features = encoder({"image": image, "text": text})
    x = keras.layers.Concatenate()(
        [features[name]["pooled_output"] for name in ("image", "text")]
    )
    logits = keras.layers.Dense(4)(x)
    return keras.Model({"image": image, "text": text}, logits)


@pytest.mark.parametrize("pooling", ["token"])
def test_fits_as_a_part_of_a_functional_model(inputs, rng, pooling, tmp_path):
    encoder = small_encoder(("image", "text"), pooling=pooling, dropout=0.1)
    model = functional_classifier(encoder)
    # Moments would be half of what is compiled; XLA compiles slowly on
    # TensorFlow, JAX is slow without it.
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=keras.config.backend() == "jax",
    )
    x = {name: inputs[name] for name in ("image", "text")}
    y = rng.integers(0, 4, size=BATCH)
    before = [to_numpy(v.value) for v in encoder.trainable_variables]
    history = model.fit(x, y, batch_size=BATCH, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for old, variable in zip(before, encoder.trainable_variables):
        assert (old != to_numpy(variable.value)).any(), variable.path
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_near(
        loaded.predict(x, verbose=0),
        model.predict(x, verbose=0),
        oracles.SAME_MATH_TOLERANCE,
    )


def test_kept_tokens_are_the_only_ones_encoded():
    encoder = keras_imp.IMPEncoder(
        8, 16, 1, 2, modalities=("image", "text"), vocabulary_size=10
    )
    image = np.random.default_rng(0).normal(size=(2, 32, 48, 3))
    text = np.array([[1, 2, 3, 0], [4, 5, 0, 0]])
    every = {"image": np.tile(np.arange(6), (2, 1))}
    kept = {"image": np.array([[0, 5], [2, 3]]), "text": np.array([[1, 3]] * 2)}
    encode = in_one(encoder)
    whole = encode({"image": image, "text": text})
    same = encode({"image": image}, kept=every)
    part = encode({"image": image, "text": text}, kept=kept)
    np.testing.assert_allclose(
        to_numpy(same["image"]["sequence_output"]),
        to_numpy(whole["image"]["sequence_output"]),
        atol=1e-6,
    )
    assert part["image"]["sequence_output"].shape == (2, 2, 8)
    np.testing.assert_array_equal(
        to_numpy(part["text"]["padding_mask"]),
        [[True, False], [True, False]],
    )


def test_image_and_video_have_one_embedder(encoder):
    embedder = encoder.embedder_of("image")
    assert embedder is encoder.embedder_of("video")
    assert embedder.tokens.patch_size == (2, 3, 5)
    assert encoder.embedder_of("text").tokens.vocabulary_size == 11


def test_a_modality_that_the_encoder_lacks_has_no_embedder():
    text = (
        "A modality must be one of ('text',). Received: modality='image'. "
        "Rename the key, or add the modality to `modalities` of the encoder."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        small_encoder(("text",)).embedder_of("image")
