"""Several losses on one batch."""

import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.tasks import (
    Classification,
    Combined,
    Contrastive,
    MaskedModeling,
    Regression,
)
from keras_imp.tasks.shared_passes import SharedPasses
from tests.helpers import models
from tests.helpers.compiled import in_one
from tests.helpers.weights import to_numpy

BATCH = 6


def some_parts():
    return [
        Classification("kind", "image", 3),
        Regression("size", "image", loss_weight=0.5),
        Contrastive("match", ("image", "text"), projection_dim=8),
    ]


def combined(**options):
    keras.utils.set_random_seed(3)
    return Combined("all", some_parts(), **options)


def batch(rng):
    x = {
        "image": rng.normal(size=(BATCH, 5)).astype("float32"),
        "text": np.arange(1, 1 + BATCH)[:, None] + np.array([0, 2]),
    }
    y = {
        "kind": rng.integers(0, 3, BATCH),
        "size": rng.normal(size=BATCH).astype("float32"),
    }
    return x, y, rng.uniform(0.5, 2, BATCH).astype("float32")


def built(task, encoder=None):
    return keras_imp.AlternatingModel(encoder or models.TinyEncoder(), [task])


class CountingEncoder(models.TinyEncoder):
    """Counts its calls by modality."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = []

    def call(self, inputs, training=None):
        self.calls.append(tuple(inputs))
        return super().call(inputs, training=training)


# Losses ---------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_the_loss_is_that_of_the_parts(rng, reduce):
    task = combined(reduce=reduce)
    model = built(task)

    def both(x, y, weights):
        together = task.compute_loss(x, y, model({"all": x}), weights)
        alone = []
        for part in task.tasks:
            own = {name: x[name] for name in part.modalities}
            y_pred = part(own, encoder=model.encoder)
            alone.append(
                part.compute_loss(own, y.get(part.name), y_pred, weights)
            )
        return together, alone

    found, alone = in_one(model, both)(*batch(rng))
    losses = [
        part.loss_weight * float(loss) for part, loss in zip(task.tasks, alone)
    ]
    expected = sum(losses) / (3 if reduce == "mean" else 1)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_parts_share_one_pass_of_each_input(rng):
    encoder = CountingEncoder()
    model = built(combined(), encoder)
    x, _, _ = batch(rng)
    model({"all": x})
    assert sorted(encoder.calls) == [("image",), ("text",)]


def test_parts_share_a_pass_under_mixed_precision(rng):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        encoder = CountingEncoder()
        model = built(combined(), encoder)
    finally:
        keras.config.set_dtype_policy("float32")
    x, y, _ = batch(rng)
    y_pred = model({"all": x})
    assert sorted(encoder.calls) == [("image",), ("text",)]
    loss = model.tasks["all"].compute_loss(x, y, y_pred)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"


def test_other_tensors_and_other_options_are_passes_of_their_own():
    calls = []

    def encoder(inputs, **options):
        calls.append(options)
        return len(calls)

    encoder.hidden_dim = 8
    shared, image = SharedPasses(encoder), np.zeros(2)
    assert shared({"image": image}, training=True) == 1
    assert shared({"image": image}, training=True) == 1
    assert shared({"image": image}, training=False) == 2
    assert shared({"image": image.copy()}, training=True) == 3
    assert shared({"video": image}, training=True) == 4
    assert shared({"image": image}, training=True, kept=1) == 5
    assert shared({"image": image}, training=True, kept=1) == 6
    # Cut on the host: another dict of the same tensors is the same.
    for _ in range(2):
        cut = {"video": {"patches": image, "positions": image}}
        assert shared(cut, training=True) == 7
    cut = {"video": {"patches": image, "positions": image.copy()}}
    assert shared(cut, training=True) == 8
    assert shared.hidden_dim == 8


def test_equal_losses_added_by_the_encoder_count_once(rng):
    x, y, _ = batch(rng)
    model = built(combined(), models.TinyEncoder(added=0.25))
    whole = model.program.unpack({"all": (x, y)})
    _, added = model.program.forward(whole, training=True)
    assert float(added) == pytest.approx(0.5)  # One for image, one for text.


# In fit ---------------------------------------------------------------------


def test_it_trains_and_logs_each_part(rng):
    model = models.make_model([combined()])
    data = [batch(rng)[:2] for _ in range(2)]
    history = model.fit(
        models.in_turn({"all": data}), steps_per_epoch=8, epochs=4, verbose=0
    ).history
    assert sorted(history) == [
        "all/kind/accuracy",
        "all/kind/loss",
        "all/loss",
        "all/match/image_to_text_top_1",
        "all/match/loss",
        "all/match/text_to_image_top_1",
        "all/size/loss",
        "all/size/mae",
        "loss",
    ]
    for name in ("all/loss", "all/kind/loss", "all/size/loss"):
        assert history[name][-1] < history[name][0]
    total = sum(history[f"all/{part}/loss"][-1] for part in ("kind", "size"))
    total += history["all/match/loss"][-1]
    assert history["all/loss"][-1] == pytest.approx(total, rel=1e-4)


def test_prediction_takes_some_of_the_modalities(rng):
    model = built(combined())
    x, _, _ = batch(rng)
    out = model.predict({"text": x["text"]}, task="all", verbose=0)
    assert list(out) == ["match"]
    assert list(out["match"]) == ["text_to_image"]
    assert sorted(model.predict(x, verbose=0)) == ["kind", "match", "size"]


def test_combinations_may_be_nested(rng):
    inner = Combined("labels", some_parts()[:2])
    task = Combined("all", [inner, some_parts()[2]])
    model = built(task)
    names = {metric.name for metric in task.metrics}
    assert {"all/labels/kind/accuracy", "all/labels/loss"} <= names
    x, y, _ = batch(rng)
    task.check_batch(x, {"labels": y})
    y_pred = model({"all": x})
    assert np.isfinite(float(task.compute_loss(x, {"labels": y}, y_pred)))


def test_masked_modeling_and_classification_of_one_picture(rng):
    encoder = keras_imp.IMPEncoder(
        8, 16, 1, 2, modalities=("image",), patch_size=(1, 4, 4)
    )
    task = Combined(
        "pictures",
        [
            Classification("kind", "image", 3),
            MaskedModeling(
                "hidden",
                "image",
                decoder_dim=8,
                decoder_layers=1,
                decoder_heads=2,
            ),
        ],
    )
    model = built(task, encoder)
    image = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    run = in_one(model, training=True)
    out = to_numpy(run({"pictures": {"image": image}}))
    assert out["kind"].shape == (4, 3)
    assert out["hidden"]["patches"].shape == (4, 3, 48)


# What is refused ------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: Combined("all", []),
            "`tasks` must have at least one task.",
        ),
        (
            lambda: Combined("all", [*some_parts(), some_parts()[1]]),
            "Each task needs a name of its own, but 'size' is there more than "
            "once. Received: names=['kind', 'size', 'match', 'size'].",
        ),
        (
            lambda: Combined("b", Combined("a", some_parts()).tasks),
            "Task 'kind' already belongs to the task 'a': its head would be "
            "shared, so that training one changes what the other predicts. "
            "Received: task='kind'. Make new tasks for each model, such "
            "as in a function that returns them; the encoder may be shared. "
            "To copy one: type(task).from_config(task.get_config()).",
        ),
        (
            lambda: Combined(
                "all", [Regression("size", "image", microbatches=2)]
            ),
            "A part has no microbatches of its own. Received: part='size', "
            "microbatches=2. Give `microbatches` to the task that combines "
            "them.",
        ),
        (
            lambda: combined(drop_tokens={"image": 0.5}),
            "A task of several parts does not encode by itself. Received: "
            "drop_tokens={'image': 0.5}. Give `drop_tokens` to the parts.",
        ),
        (
            lambda: combined(reduce="max"),
            "`reduce` must be one of ('sum', 'mean'). Received: reduce='max'.",
        ),
    ],
    ids=["none", "one name", "two owners", "microbatches", "drop", "reduce"],
)
def test_parts_that_do_not_fit_are_refused(build, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        build()


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (
            np.zeros(BATCH, int),
            "`y` must be a dict from parts, of ['kind', 'size', 'match'], to "
            "their targets. Received: type='ndarray'.",
        ),
        (
            {"color": np.zeros(BATCH)},
            "`y` may have the parts ['kind', 'size', 'match']. Received: "
            "part='color'.",
        ),
        (
            {"kind": np.zeros(BATCH, int)},
            "Part 'size': A batch must be (x, y) or (x, y, sample_weight), "
            "with targets `y`. Received: y=None.",
        ),
        (
            None,
            "Part 'kind': A batch must be (x, y) or (x, y, sample_weight), "
            "with labels `y`. Received: y=None.",
        ),
    ],
    ids=["no dict", "unknown part", "missing part", "no targets"],
)
def test_targets_that_do_not_fit_are_refused(rng, y, text):
    x, _, _ = batch(rng)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        combined().check_batch(x, y)


def test_parts_that_drop_tokens_need_an_encoder_that_counts_them():
    part = Regression("size", "image", drop_tokens={"image": 0.5})
    text = (
        "`drop_tokens` of task 'size' needs an encoder with num_tokens, kept; "
        "see keras_imp.models.TokenEncoder. Received: encoder='TinyEncoder', "
        "missing=['num_tokens', 'kept']. Use an IMPEncoder, or add what is "
        "missing. Or drop tokens on the host."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        built(Combined("all", [part]))


def test_the_encoder_sees_what_the_strictest_part_gives_it():
    text = np.ones((2, 3, 4), int)
    contrastive = Contrastive("match", ("image", "text"))
    x = {"image": np.zeros((2, 5)), "text": text}
    only = Combined("a", [contrastive])
    assert only.encoder_inputs(x)["text"].shape == (6, 4)
    both = [Classification("kind", "text", 3), Contrastive("match")]
    for order in (both, both[::-1]):
        task = Combined(
            "a", [type(p).from_config(p.get_config()) for p in order]
        )
        assert task.encoder_inputs(x)["text"] is text
