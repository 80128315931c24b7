"""Masked modeling in `fit`: real pictures and captions, saving, precision."""

import functools

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp import TaskMixture, schedules
from keras_imp.data import Arrays, Tokenizer, playground
from keras_imp.tasks import Combined, Contrastive, MaskedModeling
from tests.helpers import models
from tests.helpers.bad_batches import exactly

LENGTH = 12
SMALL = {"width": 8, "num_layers": 1}
FEW_STEPS = {"compile_options": models.few_steps()}


@pytest.fixture(scope="module")
def data():
    """256 pictures of the playground and a caption of each."""
    emoji = playground.load("train").emoji
    captions = [several[2] for several in emoji.captions[:256]]
    tokenizer = Tokenizer.train(captions, vocabulary_size=200, length=LENGTH)
    return {
        "image": emoji.images[:256],
        "text": tokenizer(captions),
        "mask_id": tokenizer.vocabulary_size,
    }


def make_model(
    mask_id,
    width=64,
    num_layers=2,
    make=keras_imp.AlternatingModel,
    optimizer=None,
    compile_options=None,
    **options,
):
    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder(
        width,
        2 * width,
        num_layers,
        num_heads=2,
        modalities=("image", "text"),
        vocabulary_size=mask_id + 1,
        patch_size=(1, 8, 8),
        max_sequence_length=LENGTH,
    )
    model = make(
        encoder,
        [
            MaskedModeling(
                "pixels",
                "image",
                decoder_dim=width,
                decoder_layers=1,
                decoder_heads=2,
                seed=1,
                **options,
            ),
            MaskedModeling("words", "text", mask_id=mask_id, seed=2, **options),
        ],
    )
    # Fewer operations to compile than AdamW, and a state to save too.
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(
        optimizer,
        jit_compile=models.default_jit(),
        **(compile_options or {}),
    )
    return model


def sources(data, batch_size=64, **options):
    return {
        task: Arrays({name: data[name]}, batch_size=batch_size, **options)
        for task, name in (("pixels", "image"), ("words", "text"))
    }


def mixture(data):
    return TaskMixture(sources(data), schedule=schedules.RoundRobin())


@pytest.fixture(scope="module")
def trained(data):
    """A model after a short training, and its history."""
    model = make_model(data["mask_id"], optimizer=keras.optimizers.AdamW(5e-3))
    history = model.fit(
        mixture(data), steps_per_epoch=60, epochs=3, verbose=0
    ).history
    return model, history


def test_pictures_are_rebuilt_better(trained):
    losses = trained[1]["pixels/loss"]
    # A z-scored patch has a squared error of 1 against its own mean.
    assert losses[-1] < 0.9 * losses[0]
    assert losses[-1] < 0.9


def test_words_are_found_more_often(data, trained):
    accuracy = trained[1]["words/accuracy"]
    words = data["text"][data["text"] > 0]
    commonest = np.bincount(words).max() / len(words)
    assert accuracy[-1] > accuracy[0]
    assert accuracy[-1] > 2 * commonest
    assert trained[1]["words/loss"][-1] < trained[1]["words/loss"][0]


def test_two_evaluations_agree(data, trained):
    first, second = (
        trained[0].evaluate(
            TaskMixture.sequential(sources(data, shuffle=False)), verbose=0
        )
        for _ in range(2)
    )
    assert first == second
    assert sorted(first) == [
        "loss",
        "pixels/loss",
        "words/accuracy",
        "words/loss",
    ]


def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(data, tmp_path):
    model = make_model(data["mask_id"], **SMALL, **FEW_STEPS)
    model.fit(mixture(data), steps_per_epoch=2, verbose=0)
    model.save(tmp_path / "model.keras")
    keras.utils.set_random_seed(99)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    # The states of both random generators are among these.
    models.assert_same(models.state(loaded), models.state(model))
    histories = [
        m.fit(mixture(data), steps_per_epoch=4, verbose=0).history
        for m in (model, loaded)
    ]
    assert histories[0] == histories[1]
    models.assert_same(models.state(loaded), models.state(model))


def test_the_weights_of_the_encoder_are_saved_once(data):
    model = make_model(data["mask_id"], **SMALL)
    paths = [variable.path for variable in model.variables]
    assert len(paths) == len(set(paths))
    task = model.tasks["words"]
    own = {id(variable) for variable in task.variables}
    assert not own & {id(variable) for variable in model.encoder.variables}


def test_mixed_precision_trains(data):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_model(data["mask_id"], **SMALL)
        history = model.fit(
            mixture(data), steps_per_epoch=8, epochs=2, verbose=0
        ).history
    finally:
        keras.config.set_dtype_policy("float32")
    for name in ("pixels/loss", "words/loss"):
        assert np.isfinite(history[name]).all()
        assert history[name][-1] < history[name][0]


def test_captions_are_matched_and_masked_in_one_step(data):
    """Three texts for each picture, two losses on them."""
    text = np.stack([data["text"], data["text"][::-1], 0 * data["text"]], 1)
    x = {"image": data["image"], "text": text}
    encoder = make_model(data["mask_id"], **SMALL).encoder
    task = Combined(
        "both",
        [
            Contrastive("match", projection_dim=8),
            MaskedModeling("words", "text", mask_id=data["mask_id"]),
        ],
    )
    model = models.make_model([task], encoder, **models.few_steps())
    history = model.fit(
        TaskMixture({"both": Arrays(x, batch_size=16)}),
        steps_per_epoch=3,
        verbose=0,
    ).history
    assert np.isfinite(history["both/match/loss"]).all()
    assert np.isfinite(history["both/words/accuracy"]).all()


def test_a_batch_in_parts_with_weights_trains(data):
    model = make_model(data["mask_id"], microbatches=2, **SMALL)
    weighted = sources(data, sample_weight=np.linspace(0, 1, 256))
    history = model.fit(
        TaskMixture(weighted, schedule=schedules.RoundRobin()),
        steps_per_epoch=10,
        epochs=2,
        verbose=0,
    ).history
    for name in ("pixels/loss", "words/loss"):
        assert history[name][1] < history[name][0]


def test_one_padded_pass_of_both_gives_the_same_losses(data):
    losses = []
    for strategy in ("sum", "padded"):
        make = functools.partial(keras_imp.CombinedModel, strategy=strategy)
        model = make_model(data["mask_id"], make=make, **SMALL, **FEW_STEPS)
        together = TaskMixture.together(sources(data))
        history = model.fit(together, steps_per_epoch=2, verbose=0).history
        losses.append([history[f"{name}/loss"] for name in model.tasks])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_picture_of_one_patch_is_refused(data):
    model = make_model(data["mask_id"], **SMALL)
    batch = ({"image": np.zeros((4, 8, 8, 3), "uint8")},)
    text = (
        "Task 'pixels': An example must have at least 2 patches: one to see "
        "and one to rebuild. Received: grid=(1, 1, 1). Use larger inputs or "
        "smaller patches."
    )
    with exactly(ValueError, text, "In batch 0 of task 'pixels'."):
        model.evaluate(TaskMixture.sequential({"pixels": [batch]}), verbose=0)
