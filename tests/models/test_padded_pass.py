"""Several inputs in one padded pass give what each gives alone."""

import keras
import numpy as np
import pytest

from keras_imp.models.padded_pass import padded_pass
from tests.helpers.compiled import in_one
from tests.helpers.encoders import BATCH, TOKENS, all_inputs, small_encoder
from tests.helpers.weights import randomize, to_numpy

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


def padded(encoder, names, **options):
    """A function of the inputs: those of `names` in one padded pass."""

    def run(inputs, kept=None):
        kept = kept or {}
        parts = [
            encoder.embed(name, inputs[name], kept.get(name)) for name in names
        ]
        return padded_pass(encoder, parts, **options)

    return run


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
    inputs = {k: v for k, v in all_inputs(rng).items() if k in NAMES}
    features, wasted = in_one(encoder, padded(encoder, NAMES))(inputs)
    assert len(features) == len(NAMES)
    # Each modality is a pass of its own.
    alone = in_one(encoder)(inputs)
    for name, found in zip(NAMES, features):
        assert_equal_features(real_tokens(found), real_tokens(alone[name]))
    # All are as long as the video; the texts have 5, 7 and 1 tokens.
    first = int(options.get("pooling") == "token")
    real = BATCH * (TOKENS["video"] + TOKENS["image"]) + 2 * (5 + 7 + 1)
    real += len(NAMES) * BATCH * first
    slots = len(NAMES) * BATCH * (TOKENS["video"] + first)
    assert float(wasted) == pytest.approx(1 - real / slots, rel=1e-5)


def test_dropped_tokens_are_dropped_before_the_padding(rng):
    encoder = randomize(small_encoder(), rng)
    names = ("video", "image")
    inputs = {k: v for k, v in all_inputs(rng).items() if k in names}
    kept = {"video": np.array([[0, 3, 6], [1, 2, 7], [4, 5, 6]])}
    together = in_one(encoder, padded(encoder, names))
    features, wasted = together(inputs, kept=kept)
    alone = in_one(encoder)({"video": inputs["video"]}, kept=kept)["video"]
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
    run = padded(together, names, training=False)
    in_one(together, run)({name: inputs[name] for name in names})
    call = in_one(alone, training=False)
    for name in names:
        call({name: inputs[name]})
    for name in ("video", "text"):
        found = together.routing_metrics[name].result()
        expected = alone.routing_metrics[name].result()
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

    def loss(run):
        def added(inputs):
            run(inputs)
            return sum(encoder.losses)

        return float(in_one(encoder, added)(text))

    once = loss(lambda x: encoder(x, training=True))
    assert once > 0
    encoder.body._clear_losses()
    thrice = loss(padded(encoder, ("text",) * 3, training=True))
    assert thrice == pytest.approx(3 * once, rel=1e-5)
