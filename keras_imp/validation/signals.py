"""What images, videos and audio are like, beside their means.

Each of these is alike for all rows of most data sets, or for all of a label:
what differs was drawn, filmed or recorded in another way.
"""

import numpy as np

# Levels of 255 from black and from white that are still a plain background, and
# the fraction of the border that must be.
_PLAIN, _MOST_OF_BORDER = 16, 0.95
# Energy of second differences of pixels, of that of first ones, below which an
# image is as smooth as one that was scaled up several times: of the bundled
# images the least is 0.8. The middle of a larger image tells.
_BLURRED, _MIDDLE = 0.25, 512
# Difference of a pixel from its mean over time, of 255, that is movement.
_MOVED = 24
# Fraction of the width or the height that a thing must move by.
_FAR = 0.08
# Fraction of the energy of audio that its bandwidth holds.
_ENERGY = 0.99
# Samples of a window whose spectrum is taken.
_WINDOW = 512
# Samples of a longer one, which tells 50 Hz from 60, and seconds of audio that
# are looked at so.
_LONG_WINDOW, _MOST_SECONDS = 4096, 60
# Frequencies of power lines, and how many multiples of them make a hum.
_POWER_LINES, _MULTIPLES = (50.0, 60.0), 5
# Energy is compared between these frequencies, where it is quietest: percent.
_HUM_FROM, _HUM_TO, _QUIETEST = 30.0, 1000.0, 10
# Fraction of it that the multiples have, and that the lowest of them has: a
# note may have the others.
_OF_QUIET, _OF_LOWEST = 0.8, 0.02
# Fraction that they have then of what they have in the middle: a hum does not
# fade as a note does.
_STEADY = 0.85
# Amplitude of silence, of the loudest sample.
_QUIET = 1e-3

MIXED, NOWHERE = "mixed", "nowhere"


def background_of(image: np.ndarray) -> str:
    """What an image stands on, as its border shows.

    Args:
        image: uint8, shape `(height, width, 3)`.

    Returns:
        `"dark"`, `"bright"`, or `"mixed"` for any other.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.signals import background_of
        >>> background_of(np.full((8, 8, 3), 255, "uint8"))
        'bright'
    """
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    border = np.concatenate(edges).astype("int16")
    if np.mean(border.max(axis=-1) <= _PLAIN) >= _MOST_OF_BORDER:
        return "dark"
    if np.mean(border.min(axis=-1) >= 255 - _PLAIN) >= _MOST_OF_BORDER:
        return "bright"
    return MIXED


def detail_of(image: np.ndarray) -> str:
    """Whether an image has the detail that its size allows.

    Args:
        image: uint8, shape `(height, width, 3)`.

    Returns:
        `"blurred"` if pixels change as smoothly as those of a small image that
        was scaled up, else `"sharp"`, also of one color.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.signals import detail_of
        >>> ramp = np.arange(0, 240, 4, "uint8")
        >>> detail_of(np.broadcast_to(ramp[:, None], (60, 60, 3)))
        'blurred'
    """
    if min(image.shape[:2]) < 3:
        return "sharp"
    top, left = (max(0, (side - _MIDDLE) // 2) for side in image.shape[:2])
    middle = image[top : top + _MIDDLE, left : left + _MIDDLE]
    gray = middle.mean(axis=-1, dtype="float32")
    first, second = (
        sum(
            float(np.square(np.diff(gray, order, axis=axis)).mean())
            for axis in (0, 1)
        )
        for order in (1, 2)
    )
    return "blurred" if second < _BLURRED * first else "sharp"


def direction_of(video: np.ndarray) -> str:
    """Where to a thing moves before a background that stands still.

    Args:
        video: uint8, shape `(frames, height, width, 3)`.

    Returns:
        `"left"`, `"right"`, `"up"`, `"down"`, or `"nowhere"`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.signals import direction_of
        >>> video = np.zeros((8, 32, 32, 3), "uint8")
        >>> for frame in range(8):
        ...     video[frame, 12:20, 2 + 3 * frame : 10 + 3 * frame] = 255
        >>> direction_of(video)
        'right'
    """
    gray = video.mean(axis=-1)
    apart = np.abs(gray - np.median(gray, axis=0)) >= _MOVED
    seen = np.flatnonzero(apart.any(axis=(1, 2)))
    if len(seen) < 2:
        return NOWHERE
    first, last = (_center(apart[frame]) for frame in (seen[0], seen[-1]))
    down, right = (last - first) / video.shape[1:3]
    if max(abs(down), abs(right)) < _FAR:
        return NOWHERE
    if abs(right) >= abs(down):
        return "right" if right > 0 else "left"
    return "down" if down > 0 else "up"


def bandwidth_of(audio: np.ndarray, rate: int) -> float:
    """The frequency below which nearly all energy of audio is.

    Args:
        audio: float32, shape `(samples,)`.
        rate: Samples of a second.

    Returns:
        In Hz; 0 of silence.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.signals import bandwidth_of
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
        >>> round(bandwidth_of(tone.astype("float32"), 16000), -2)
        1000.0
    """
    count = max(1, len(audio) // _WINDOW)
    padded = np.pad(audio, (0, max(0, _WINDOW - len(audio))))
    windows = padded[: count * _WINDOW].reshape(count, _WINDOW)
    spectra = np.fft.rfft(windows * np.hanning(_WINDOW), axis=1)
    energy = np.cumsum(np.square(np.abs(spectra)).sum(axis=0))
    if energy[-1] <= 0:
        return 0.0
    place = int(np.searchsorted(energy, _ENERGY * energy[-1]))
    return place * rate / _WINDOW


def has_hum(audio: np.ndarray, rate: int) -> bool:
    """Whether audio has the hum of power lines all the time.

    Args:
        audio: float32, shape `(samples,)`. The first minute counts.
        rate: Samples of a second.

    Returns:
        True if multiples of 50 or of 60 Hz are nearly all that is there where
        it is quietest.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.signals import has_hum
        >>> time = np.arange(32000) / 16000
        >>> hum = 0.1 * np.sin(2 * np.pi * 50 * time)
        >>> tone = np.sin(2 * np.pi * 440 * time) * (time < 1)
        >>> has_hum(tone + hum, 16000), has_hum(tone, 16000)
        (True, False)
    """
    audio = audio[: _MOST_SECONDS * rate]
    if len(audio) < 3 * _LONG_WINDOW:
        return False
    frames = np.lib.stride_tricks.sliding_window_view(audio, _LONG_WINDOW)
    frames = frames[:: _LONG_WINDOW // 2] * np.hanning(_LONG_WINDOW)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))
    place = np.arange(power.shape[1]) * rate / _LONG_WINDOW
    quiet = np.percentile(power, _QUIETEST, axis=0)
    total = quiet[(place >= _HUM_FROM) & (place < _HUM_TO)].sum()
    return any(_hums(power, quiet, total, place, line) for line in _POWER_LINES)


def _hums(
    power: np.ndarray,
    quiet: np.ndarray,
    total: float,
    place: np.ndarray,
    lowest: float,
) -> bool:
    """Whether the multiples of one frequency are the hum of audio.

    Args:
        power: Of each frame and frequency.
        quiet: Of each frequency, where it is quietest.
        total: The sum of these.
        place: The frequencies.
        lowest: That of the power line.
    """
    width = place[1]
    multiples = lowest * np.arange(1, _MULTIPLES + 1)
    near = (np.abs(place[:, None] - multiples) <= width).any(axis=1)
    at_lowest = np.abs(place - lowest) <= width
    if quiet[near].sum() <= _OF_QUIET * total:
        return False
    if quiet[at_lowest].sum() <= _OF_LOWEST * total:
        return False
    own = power[:, near].sum(axis=1)
    return bool(np.percentile(own, _QUIETEST) > _STEADY * np.median(own))


def pause_of(audio: np.ndarray, rate: int) -> float:
    """How long audio is silent at its start or its end, whichever is longer.

    Args:
        audio: float32, shape `(samples,)`.
        rate: Samples of a second.

    Returns:
        Seconds; 0 of what is silent all over, which has a flag of its own.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.signals import pause_of
        >>> pause_of(np.float32([0, 0, 1, 0]), 2)
        1.0
    """
    loud = np.abs(audio)
    heard = np.flatnonzero(loud > _QUIET * loud.max(initial=0.0))
    if not len(heard):
        return 0.0
    longest = max(int(heard[0]), len(audio) - 1 - int(heard[-1]))
    return longest / rate


def _center(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)
