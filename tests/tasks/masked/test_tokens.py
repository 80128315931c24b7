"""What becomes of the words of a text, and what counts in the loss."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.tasks import MaskedModeling
from tests.helpers import layer_oracles
from tests.helpers import task_oracles as oracles
from tests.helpers.gradients import gradients
from tests.helpers.masked import (
    MASK,
    UNKNOWN,
    WIDTH,
    WORDS,
    built,
    call,
    is_float32,
    loss_of,
)
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)

LENGTH = 12


def texts(rng, count=64, length=LENGTH):
    """Words 2 to 9, some unknown ones, and padding at the end."""
    text = rng.integers(2, MASK, size=(count, length)).astype("int32")
    text[rng.random(text.shape) < 0.1] = UNKNOWN
    ends = rng.integers(0, length + 1, count)
    text[np.arange(length) >= ends[:, None]] = 0
    return text


def seen_by(task, text, training=True):
    """The text that the encoder got, and what the task returned."""
    out, seen, _ = call(task, None, text, training)
    return seen, out


# What is chosen -------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_each_text_has_its_share_of_words_chosen(rng, rate):
    task, _ = built("text", mask_rate=rate)
    text = texts(rng)
    _, out = seen_by(task, text)
    words = ((text != 0) & (text != UNKNOWN)).sum(1)
    expected = np.minimum(np.maximum(np.round(rate * words), 1), words)
    np.testing.assert_array_equal(out["chosen"].sum(1), expected)
    assert out["chosen"].shape[1] == np.round(rate * LENGTH)


def test_neither_padding_nor_special_ids_are_chosen_or_changed(rng):
    task, _ = built("text", mask_rate=0.5)
    text = texts(rng)
    seen, out = seen_by(task, text)
    targets = np.take_along_axis(text, out["positions"], 1)[out["chosen"]]
    assert set(targets.tolist()) == set(range(2, MASK))
    kept = (text == 0) | (text == UNKNOWN)
    np.testing.assert_array_equal(seen[kept], text[kept])
    # Nor drawn as a replacement.
    assert not np.isin(seen[~kept], [0, UNKNOWN]).any()


def test_a_position_is_chosen_once_and_only_chosen_ones_change(rng):
    task, _ = built("text", mask_rate=0.5)
    text = texts(rng)
    seen, out = seen_by(task, text)
    chosen = np.zeros(text.shape, int)
    for row, at, real in zip(chosen, out["positions"], out["chosen"]):
        np.add.at(row, at[real], 1)
    assert chosen.max() == 1
    np.testing.assert_array_equal(seen[chosen == 0], text[chosen == 0])


def test_eight_of_ten_are_masked_one_is_random_and_one_stays(rng):
    task, _ = built("text", mask_rate=0.5)
    text = rng.integers(2, MASK, size=(400, 20)).astype("int32")
    seen, out = seen_by(task, text)
    before = np.take_along_axis(text, out["positions"], 1)
    after = np.take_along_axis(seen, out["positions"], 1)
    assert before.size == 4000
    # Of the random words, one in eight is the word itself.
    shares = (after == MASK).mean(), (after == before).mean()
    assert shares == pytest.approx((0.8, 0.1 + 0.1 / 8), abs=0.025)
    random = after[(after != MASK) & (after != before)]
    assert set(random.tolist()) == set(range(2, MASK))


def test_each_example_and_each_step_has_its_own_draw(rng):
    task, _ = built("text", mask_rate=0.5)
    text = np.full((8, LENGTH), 3, "int32")
    first, second = (seen_by(task, text)[0] for _ in range(2))
    assert (first != second).any()
    assert len({row.tobytes() for row in first}) > 1


def test_a_seed_gives_the_same_draws(rng):
    text = texts(rng)
    first, second = (
        seen_by(built("text", seed=5)[0], text)[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_without_training_the_mask_is_the_same_every_time(rng):
    text = texts(rng)
    task, _ = built("text", seed=1)
    first, _ = seen_by(task, text, training=False)
    seen_by(task, text, training=True)
    other, _ = built("text", seed=2)
    for again in (task, other):
        second, _ = seen_by(again, text, training=False)
        np.testing.assert_array_equal(first, second)
    assert (first != text).any()


# What is predicted ----------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_logits_equal_the_oracle(rng, tied):
    task, encoder = built("text", tied=tied)
    randomize(task, rng)
    text = texts(rng, 5)
    out, seen, _ = call(task, encoder, text)
    tokens = to_numpy(encoder({"text": seen})["text"]["sequence_output"])
    positions = out["positions"][..., None]
    x = np.take_along_axis(tokens.astype("float64"), positions, 1)
    weights = named_weights(task.objective)
    x = layer_oracles.gelu(layer_oracles.dense(x, weights, "transform"))
    x = layer_oracles.layer_norm(x, weights["norm/gamma"], weights["norm/beta"])
    if tied:
        table = to_numpy(encoder.embedder_of("text").tokens.table)
        expected = x @ table.T / np.sqrt(WIDTH) + weights["bias"]
    else:
        expected = layer_oracles.dense(x, weights, "words")
    np.testing.assert_allclose(out["logits"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_the_loss_is_the_mean_over_chosen_words(rng, weighted):
    task, encoder = built("text", mask_rate=0.4)
    text = texts(rng, 9)
    weights = rng.uniform(0, 2, 9).astype("float32") if weighted else None
    out, _, _ = call(task, encoder, text)
    found = loss_of(task, text, out, weights)
    targets = np.take_along_axis(text, out["positions"], 1)
    losses = oracles.token_losses(out["logits"].astype("float64"), targets)
    each = np.broadcast_to(
        np.ones(9) if weights is None else weights, losses.T.shape
    ).T
    expected = np.average(losses, weights=each * out["chosen"])
    assert_near(found, expected, oracles.TOLERANCE)
    assert is_float32(found)


def test_accuracy_is_the_share_of_chosen_words_found():
    task, _ = built("text")
    logits = np.zeros((2, 2, WORDS), "float32")
    logits[0, 0, 5] = logits[0, 1, 6] = logits[1, 0, 7] = 1
    out = {
        "logits": ops.array(logits),
        "positions": ops.array([[0, 2], [1, 0]]),
        "chosen": ops.array([[True, True], [True, False]]),
    }
    x = {"text": ops.array([[5, 3, 4], [6, 7, 0]])}
    # Found are the 5 and the 7, missed is the 4; the last one is a filler.
    task.update_metrics(x, None, out)
    assert float(task.accuracy_metric.result()) == pytest.approx(2 / 3)
    task.accuracy_metric.reset_state()
    task.update_metrics(x, None, out, np.array([1.0, 2.0]))
    assert float(task.accuracy_metric.result()) == pytest.approx(3 / 4)
    assert task.accuracy_metric.name == "hidden/accuracy"


def test_accuracy_counts_each_token_alike_in_batches_of_unlike_length():
    task, _ = built("text")
    for chosen, is_found in ((1, True), (4, False)):
        logits = np.zeros((1, chosen, WORDS), "float32")
        logits[..., 5 if is_found else 6] = 1
        out = {
            "logits": ops.array(logits),
            "positions": ops.array([[*range(chosen)]]),
            "chosen": ops.ones((1, chosen), "bool"),
        }
        text = ops.full((1, chosen), 5, "int32")
        task.update_metrics({"text": text}, None, out)
    assert float(task.accuracy_metric.result()) == pytest.approx(1 / 5)


def test_a_batch_of_padding_has_a_loss_of_zero():
    task, encoder = built("text")
    text = np.zeros((3, LENGTH), "int32")
    out, _, _ = call(task, encoder, text)
    assert float(loss_of(task, text, out)) == 0.0


def test_several_captions_equal_as_many_examples(rng):
    task, encoder = built("text", mask_rate=0.4)
    flat = texts(rng, 6)
    text = flat.reshape(2, 3, LENGTH)
    out, seen, _ = call(task, encoder, text)
    assert seen.shape == (6, LENGTH)
    for values in out.values():
        assert values.shape[:2] == (2, 3)
    again = {name: v.reshape(6, *v.shape[2:]) for name, v in out.items()}
    weights = np.array([1.0, 2.0], "float32")
    found = loss_of(task, text, out, weights)
    expected = loss_of(task, flat, again, np.repeat(weights, 3))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    # Whether draws agree is up to the backend; what is predicted follows.
    changed = np.take_along_axis(seen, again["positions"], 1)
    targets = np.take_along_axis(flat, again["positions"], 1)
    assert (changed[~again["chosen"]] == targets[~again["chosen"]]).all()


# What learns ----------------------------------------------------------------


def test_only_chosen_positions_get_a_gradient(rng):
    task, _ = built("text", mask_rate=0.4)
    text = texts(rng, 5)
    tokens = rng.normal(size=(5, LENGTH, WIDTH)).astype("float32")
    tokens = keras.Variable(tokens)

    def encoder(inputs, training=None):
        return {"text": {"sequence_output": ops.convert_to_tensor(tokens)}}

    out, _, _ = call(task, encoder, text, training=False)

    def loss():
        y_pred = task({"text": text}, encoder=encoder)
        return task.compute_loss({"text": text}, None, y_pred)

    (slope,) = gradients(loss, [tokens])
    reached = np.abs(slope).max(-1) > 0
    expected = np.zeros((5, LENGTH), bool)
    for row, at, real in zip(expected, out["positions"], out["chosen"]):
        row[at[real]] = True
    np.testing.assert_array_equal(reached, expected)


def test_a_tied_head_has_no_table_of_its_own():
    sizes = {
        tied: built("text", tied=tied)[0].count_params()
        for tied in (True, False)
    }
    assert sizes[False] - sizes[True] == WIDTH * WORDS


# Arguments ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"modality": "text"},
            "`mask_id` must be given for text. Received: mask_id=None. Build "
            "the encoder with one id more than the tokenizer has, and use "
            "that one.",
        ),
        (
            {"modality": "image", "mask_id": 3},
            "`mask_id` is for text only: patches are not replaced but left "
            "out. Received: mask_id=3.",
        ),
        (
            {"modality": "audio", "special_ids": (1,)},
            "`special_ids` is for text only: patches are not replaced but "
            "left out. Received: special_ids=(1,).",
        ),
        (
            {"modality": "text", "mask_id": 3, "mask_rate": 0.0},
            "`mask_rate` must be greater than 0. Received: mask_rate=0.0.",
        ),
        (
            {"modality": "image", "mask_rate": 1.0},
            "`mask_rate` must be in [0, 1). Received: mask_rate=1.0.",
        ),
        (
            {"modality": "smell"},
            "A modality must be one of ('image', 'video', 'audio', "
            "'waveform', 'text'). Received: modality='smell'. Use one of "
            "these names. A modality of your own is known once the module "
            "that calls keras_imp.models.register_modality is imported.",
        ),
    ],
)
def test_an_argument_out_of_range_is_refused(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        MaskedModeling("hidden", **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mask_id", {"mask_id": WORDS}),
        ("mask_id", {"mask_id": 0}),
        ("special_ids", {"special_ids": (1, WORDS + 4)}),
    ],
)
def test_ids_outside_the_vocabulary_are_refused(name, options):
    found = options[name]
    found = found[-1] if isinstance(found, tuple) else found
    text = (
        f"`{name}` must be in [1, 11), the encoder's vocabulary without "
        f"padding. Received: {name}={found}. Build the encoder with one id "
        "more than the tokenizer has, and use that one as `mask_id`."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        built("text", **options)


def test_text_of_another_rank_is_refused():
    text = (
        "`text` must have shape (batch, length) or (batch, captions, length). "
        "Received: shape=(3,)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        built("text")[0].check_batch({"text": np.zeros(3, int)}, None)


def test_an_encoder_that_cannot_hide_tokens_is_refused():
    from tests.helpers import models

    text = (
        "Task 'words': Masked modeling needs an encoder with embedder_of, "
        "kept; see keras_imp.models.TokenEncoder. Received: "
        "encoder='TinyEncoder', missing=['embedder_of', 'kept']. Use an "
        "IMPEncoder, or add what is missing."
    )
    task = MaskedModeling("words", "text", mask_id=3)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        keras_imp.AlternatingModel(models.TinyEncoder(), [task])
