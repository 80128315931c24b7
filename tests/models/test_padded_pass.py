"""Several inputs in one padded pass give what each gives alone."""

import keras
import numpy as np
import pytest

from keras_imp.models.padded_pass import padded_pass
from tests.models.encoders import BATCH, TOKENS, all_inputs, small_encoder
from tests.weights import randomize, to_numpy

ROUTERS = {
    "expert_choice": {},
    "token_choice": {"num_selected": 2},
    "soft": {"slots_per_expert": 2},
}
SPARSE = [
    {
        "num_experts": 3,
        "num_moe_layers": 1,
        "router": router,
        "router_options": options,
    }
    for router, options in ROUTERS.items()
]
CASES = {
    "dense": {},
    "dense, scan": {"scan_layers": True},
    "token pooling": {"pooling": "token"},
    "attention pooling": {"pooling": "attention"},
    **dict(zip(ROUTERS, SPARSE)),
}
NAMES = ("video", "text", "image", "text")


def assert_equal_features(found, expected):
    found, expected = to_numpy(found), to_numpy(expected)
    assert found.keys() == expected.keys()
    for part, value in expected.items():
        np.testing.assert_allclose(
            found[part], value, atol=1e-5, rtol=1e-5, err_msg=part
        )


def real_tokens(features):
    """Where a feature means something: not at the padding of a text."""
    mask = to_numpy(features["padding_mask"])
    sequence = to_numpy(features["sequence_output"])
    return {**features, "sequence_output": sequence * mask[..., None]}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_features_are_those_of_separate_passes(options, rng):
    encoder = randomize(small_encoder(**options), rng)
    inputs = all_inputs(rng)
    parts = [encoder.embed(name, inputs[name]) for name in NAMES]
    features, wasted = padded_pass(encoder, parts)
    assert len(features) == len(NAMES)
    for name, found in zip(NAMES, features):
        alone = encoder({name: inputs[name]})[name]
        assert_equal_features(real_tokens(found), real_tokens(alone))
    # All are as long as the video; the texts have 5, 7 and 1 tokens.
    first = int(options.get("pooling") == "token")
    real = BATCH * (TOKENS["video"] + TOKENS["image"]) + 2 * (5 + 7 + 1)
    real += len(NAMES) * BATCH * first
    slots = len(NAMES) * BATCH * (TOKENS["video"] + first)
    assert float(wasted) == pytest.approx(1 - real / slots, rel=1e-5)


def test_dropped_tokens_are_dropped_before_the_padding(rng):
    encoder = randomize(small_encoder(), rng)
    inputs = all_inputs(rng)
    kept = np.array([[0, 3, 6], [1, 2, 7], [4, 5, 6]])
    parts = [
        encoder.embed("video", inputs["video"], kept),
        encoder.embed("image", inputs["image"]),
    ]
    features, wasted = padded_pass(encoder, parts)
    alone = encoder({"video": inputs["video"]}, kept={"video": kept})["video"]
    assert features[0]["sequence_output"].shape == (BATCH, 3, 10)
    assert_equal_features(features[0], alone)
    assert float(wasted) == pytest.approx(1 / 8)  # Three tokens beside four.


def test_the_routing_of_each_modality_is_counted_as_in_separate_passes(rng):
    keras.utils.set_random_seed(3)
    together, alone = (small_encoder(**SPARSE[0]) for _ in range(2))
    randomize(together, rng)
    alone.set_weights(together.get_weights())
    inputs = all_inputs(rng)
    names = ("video", "text", "text")
    parts = [together.embed(name, inputs[name]) for name in names]
    padded_pass(together, parts, training=False)
    for name in names:
        alone({name: inputs[name]}, training=False)
    for name in ("video", "text"):
        found = to_numpy(together.routing_metrics[name].result())
        expected = to_numpy(alone.routing_metrics[name].result())
        assert found.keys() == expected.keys()
        for figure, value in expected.items():
            if not figure.endswith("z_loss"):  # That of all parts.
                np.testing.assert_allclose(
                    found[figure], value, atol=1e-5, err_msg=figure
                )
        np.testing.assert_allclose(
            together.routing_metrics[name].load(),
            alone.routing_metrics[name].load(),
            atol=1e-6,
        )


def test_the_routers_loss_counts_once_for_each_part(rng):
    encoder = randomize(small_encoder(**SPARSE[0]), rng)
    text = {"text": all_inputs(rng)["text"]}
    encoder(text, training=True)
    once = float(sum(encoder.losses))
    assert once > 0
    encoder.body._clear_losses()
    part = encoder.embed("text", text["text"])
    padded_pass(encoder, [part, part, part], training=True)
    assert float(sum(encoder.losses)) == pytest.approx(3 * once, rel=1e-5)
