"""The versions of an example that a prediction is the mean over."""

import numpy as np
import pytest

from keras_imp.evaluation.playground.splits import log_mel
from keras_imp.evaluation.playground.views import ONE_VIEW, VIEWS
from keras_imp.evaluation.views import (
    mean_probabilities,
    mean_vectors,
    rows_of_views,
)

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize("frames", [(), (3,)])
def test_images_and_videos_are_moved_by_a_pixel(frames):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, *frames, 6, 5, 3), "uint8")
    found = VIEWS.of_images(images)
    assert found.shape == (10, *frames, 6, 5, 3)
    assert found.dtype == np.uint8
    of_second = found[5:]
    np.testing.assert_array_equal(of_second[0], images[1])
    # One pixel to the right, with the left edge repeated.
    np.testing.assert_array_equal(
        of_second[1][..., 1:, :], images[1][..., :-1, :]
    )
    np.testing.assert_array_equal(of_second[1][..., 0, :], images[1][..., 0, :])
    # One pixel up.
    np.testing.assert_array_equal(
        of_second[4][..., :-1, :, :], images[1][..., 1:, :, :]
    )


def test_recordings_are_played_in_other_pitches_and_later():
    time = np.arange(16384) / 16000
    tone = np.sin(2 * np.pi * 1000 * time).astype("float32")
    waveforms = np.stack([tone * 0.1, tone * np.linspace(0, 1, 16384)])
    waveforms = waveforms.astype("float32")
    found = VIEWS.of_waveforms(waveforms)
    count = VIEWS.count("audio")
    assert len(found) == 2 * count
    of_first, of_second = found[:count], found[count:]
    plain = log_mel(waveforms)
    np.testing.assert_allclose(of_second[0], plain[1], atol=1e-5)
    loudest = {
        pitch: view.mean(axis=0).argmax()
        for (pitch, frames), view in zip(VIEWS.sounds, of_first)
        if not frames
    }
    assert sorted(loudest.values()) == [loudest[p] for p in sorted(loudest)]
    assert loudest[-3] < loudest[0] < loudest[3]
    (place,) = (i for i, view in enumerate(VIEWS.sounds) if view == (0, 4))
    np.testing.assert_allclose(of_second[place][4:], plain[1][:-4], atol=1e-5)
    np.testing.assert_allclose(
        of_second[place][:4], plain[1][:1].repeat(4, 0), atol=1e-5
    )


def test_one_view_is_the_example():
    images = np.arange(24, dtype="uint8").reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(ONE_VIEW.of_images(images), images)
    assert ONE_VIEW.count("video") == ONE_VIEW.count("audio") == 1


def test_means_are_over_the_views_of_one_example():
    vectors = rows_of_views(
        [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0]] * 2)]
    )
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        mean_vectors(vectors, 2), [[half, half], [0.0, 1.0]]
    )
    logits = np.log([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    np.testing.assert_allclose(
        mean_probabilities(logits, 2), [[0.7, 0.3], [0.3, 0.7]]
    )
