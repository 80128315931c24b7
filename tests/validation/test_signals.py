import numpy as np
import pytest

from keras_imp.validation.signals import (
    background_of,
    bandwidth_of,
    direction_of,
    has_hum,
    pause_of,
)

pytestmark = pytest.mark.one_backend
RATE = 16_000


def drawn(background, thing):
    image = np.full((28, 28, 3), background, "uint8")
    image[8:20, 8:20] = thing
    return image


def moving(down, right, frames=8):
    video = np.full((frames, 64, 64, 3), 255, "uint8")
    for frame in range(frames):
        top, left = 24 + down * frame, 24 + right * frame
        video[frame, top : top + 8, left : left + 8] = 0
    return video


@pytest.mark.parametrize(
    ("image", "background"),
    [
        (drawn(0, 200), "dark"),
        (255 - drawn(0, 200), "bright"),
        (drawn(12, 255), "dark"),
        (drawn(128, 0), "mixed"),
        (np.random.default_rng(0).integers(0, 256, (9, 9, 3)), "mixed"),
    ],
)
def test_the_border_tells_the_background(image, background):
    assert background_of(image.astype("uint8")) == background


@pytest.mark.parametrize(
    ("down", "right", "direction"),
    [
        (0, 3, "right"),
        (0, -3, "left"),
        (3, 1, "down"),
        (-3, 0, "up"),
        (0, 0, "nowhere"),
    ],
)
def test_what_moves_moves_somewhere(down, right, direction):
    assert direction_of(moving(down, right)) == direction
    # Flipped, it moves the other way.
    opposite = {"right": "left", "left": "right"}.get(direction, direction)
    assert direction_of(moving(down, right)[:, :, ::-1]) == opposite


def test_one_frame_moves_nowhere():
    assert direction_of(moving(0, 3, frames=1)) == "nowhere"


@pytest.mark.parametrize("frequency", [500, 2000, 6000])
def test_a_tone_has_its_bandwidth(frequency):
    times = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * frequency * times).astype("float32")
    assert bandwidth_of(tone, RATE) == pytest.approx(frequency, abs=100)


def test_short_and_silent_audio_has_a_bandwidth():
    assert bandwidth_of(np.zeros(0, "float32"), RATE) == 0.0
    assert bandwidth_of(np.zeros(1000, "float32"), RATE) == 0.0
    assert bandwidth_of(np.ones(10, "float32"), RATE) > 0.0


def test_silence_at_either_end_is_a_pause():
    noise = np.random.default_rng(0).normal(size=RATE).astype("float32")
    silence = np.zeros(2 * RATE, "float32")
    for parts in ([noise, silence], [silence, noise]):
        assert pause_of(np.concatenate(parts), RATE) == pytest.approx(2, 0.01)
    # In the middle it belongs to what is played.
    both = np.concatenate([noise, silence, noise])
    assert pause_of(both, RATE) < 0.01
    assert pause_of(silence, RATE) == 0.0


def test_a_steady_note_is_no_hum():
    """A note has multiples of its own frequency, and fades."""
    time = np.arange(48_000) / 16_000
    note = sum(np.sin(2 * np.pi * 98 * k * time) / k for k in range(1, 6))
    assert not has_hum(note.astype("float32"), 16_000)
    hum = sum(np.sin(2 * np.pi * 60 * k * time) / k for k in range(1, 6))
    assert has_hum(hum.astype("float32"), 16_000)
    assert not has_hum((hum * np.exp(-2 * time)).astype("float32"), 16_000)


def test_short_audio_has_no_hum_that_could_be_told():
    assert not has_hum(np.ones(100, "float32"), 16_000)
