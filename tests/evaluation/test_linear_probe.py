import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.data import playground
from keras_imp.evaluation import LinearProbe, NearestNeighbors
from keras_imp.evaluation.pooled import features_of

CLASSES = list(playground.FASHION_CLASSES)


@pytest.fixture(scope="module")
def encoder():
    # Whatever ran before: shuffled labels are at chance in the mean only.
    keras.utils.set_random_seed(0)
    return keras_imp.IMPEncoder(
        32, 64, 1, 4, ("image", "text"), patch_size=(1, 8, 8)
    )


@pytest.fixture(scope="module")
def clothes():
    fashion = playground.load("validation").fashion
    rows = np.random.default_rng(0).permutation(len(fashion.labels))[:800]
    return fashion.images[rows], fashion.labels[rows]


@pytest.mark.parametrize("layer", ["pooled", "tokens"])
def test_a_probe_of_an_untrained_encoder_beats_chance(encoder, clothes, layer):
    images, labels = clothes
    probe = LinearProbe(encoder, "image", CLASSES, layer, (0.01, 1.0))
    report = probe.fit(images[:600], labels[:600]).evaluate(
        images[600:], labels[600:]
    )
    assert report.values["accuracy"].low > 0.4
    assert report.settings["strength"] in (0.01, 1.0)
    assert len(report.per_class) == 10


def test_neighbors_of_an_untrained_encoder_beat_chance(encoder, clothes):
    images, labels = clothes
    near = NearestNeighbors(encoder, "image", CLASSES, k=5)
    report = near.fit(images[:600], labels[:600]).evaluate(
        images[600:], labels[600:]
    )
    assert report.values["accuracy"].low > 0.3


@pytest.mark.parametrize("kind", [LinearProbe, NearestNeighbors])
def test_shuffled_labels_fall_to_chance(encoder, clothes, kind):
    images, labels = clothes
    shuffled = np.random.default_rng(0).permutation(labels[:600])
    report = (
        kind(encoder, "image", CLASSES)
        .fit(images[:600], shuffled)
        .evaluate(images[600:], labels[600:])
    )
    assert report.values["accuracy"].low < 0.12


def test_the_strength_is_chosen_on_the_validation_data(encoder, clothes):
    images, labels = clothes
    probe = LinearProbe(encoder, "image", CLASSES, strengths=(1e-6, 1.0))
    probe.fit(images[:300], labels[:300], (images[300:], labels[300:]))
    assert probe.evaluate(images[300:], labels[300:]).settings["strength"] == 1


def test_few_shots_are_drawn_of_each_class(encoder, clothes):
    images, labels = clothes
    probe = LinearProbe(encoder, "image", CLASSES, strengths=(0.1,))
    few = probe.fit(images, labels, shots=2, seed=1).predict(images[:20])
    again = probe.fit(images, labels, shots=2, seed=1).predict(images[:20])
    other = probe.fit(images, labels, shots=2, seed=2).predict(images[:20])
    np.testing.assert_array_equal(few, again)
    assert not np.array_equal(few, other)


def test_padding_does_not_count_among_the_tokens(encoder):
    short = features_of(encoder, "text", np.array([[3, 4]]), "tokens")
    padded = features_of(encoder, "text", np.array([[3, 4, 0, 0]]), "tokens")
    np.testing.assert_allclose(short, padded, atol=1e-5)


def test_what_does_not_fit_is_refused(encoder, clothes):
    images, labels = clothes
    probe = LinearProbe(encoder, "image", CLASSES)
    for call, text in (
        (lambda: probe.predict(images), "Call `fit` first."),
        (lambda: probe.fit(images, labels, shots=999), "as many examples"),
        (lambda: probe.fit(images[:1], labels[:1]), "examples of two classes"),
        (lambda: probe.fit(images, labels, shots=1), "must have two examples"),
        (
            lambda: features_of(encoder, "audio", images),
            "The encoder has the modalities ('image', 'text')",
        ),
        (
            lambda: features_of(encoder, "image", images, "third"),
            "`layer` must be one of",
        ),
        (
            lambda: NearestNeighbors(encoder, "image", CLASSES, k=0),
            "`k` must be",
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            call()
