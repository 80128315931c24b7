"""Drawings of a report, as SVG: histograms of features, waveforms."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

BINS = 24
MOST_BARS = 12
WIDTH, HEIGHT = 220, 72


class Bar(NamedTuple):
    """One bar of a histogram, in units of the drawing.

    Attributes:
        x: Its left side.
        y: Its upper side.
        width: Its width.
        height: Its height.
        title: What it counts.
        part: Number of its part: 0 for the reference.
    """

    x: float
    y: float
    width: float
    height: float
    title: str
    part: int


class Histogram(NamedTuple):
    """How often which values of a feature are, by part.

    Attributes:
        feature: Name of the feature.
        bars: The bars.
        low: What stands at the left end.
        high: What stands at the right end.
    """

    feature: str
    bars: list[Bar]
    low: str
    high: str


def histogram(
    feature: str, values: Mapping[str, Sequence], scale: bool = False
) -> Histogram:
    """Draw a feature: fractions of each part, so that their sizes do not show.

    Args:
        feature: Its name.
        values: Numbers, or words, by part.
        scale: Whether a ratio of numbers is a distance: bins of equal ratio.

    Returns:
        The drawing; of words, those that most rows have.

    Example:
        >>> from keras_imp.validation.drawings import histogram
        >>> drawn = histogram("label", {"train": ["a", "b", "a"]})
        >>> [bar.title for bar in drawn.bars]
        ['train: a, 67 %', 'train: b, 33 %']
    """
    every = [value for own in values.values() for value in own]
    if not every:
        return Histogram(feature, [], "", "")
    if isinstance(every[0], str):
        # An array of words would be as wide as the longest one of all.
        counts = sorted(Counter(every).items(), key=lambda x: (-x[1], x[0]))
        names = [word for word, _ in counts[:MOST_BARS]]
        heights = {
            part: [list(own).count(name) / max(1, len(own)) for name in names]
            for part, own in values.items()
        }
        ends = (names[0], names[-1] if len(names) > 1 else "")
    else:
        edges = _edges(np.array(every, float), scale)
        heights = {
            part: (np.histogram(own, edges)[0] / max(1, len(own))).tolist()
            for part, own in values.items()
        }
        names = [f"{a:.4g} to {b:.4g}" for a, b in itertools.pairwise(edges)]
        ends = (f"{min(every):.4g}", f"{max(every):.4g}")
    return Histogram(feature, _bars(heights, names), *map(_short, ends))


def waveform(low: Sequence[float], high: Sequence[float]) -> str:
    """The outline of a waveform, `points` of a polygon.

    Args:
        low: The least sample of each stretch of time.
        high: The largest one.

    Returns:
        Coordinates, in a drawing that is 128 wide and 48 high.

    Example:
        >>> from keras_imp.validation.drawings import waveform
        >>> waveform([-1.0, 0.0], [1.0, 0.0])
        '0.0,0.0 128.0,24.0 128.0,24.0 0.0,48.0'
    """
    step = 128 / max(1, len(low) - 1)
    above = [(i * step, 24 - 24 * value) for i, value in enumerate(high)]
    below = [(i * step, 24 - 24 * value) for i, value in enumerate(low)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in [*above, *below[::-1]])


def _edges(numbers: np.ndarray, scale: bool) -> np.ndarray:
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    if scale and low > 0:
        edges = np.geomspace(low, high, BINS + 1)
    else:
        edges = np.linspace(low, high, BINS + 1)
    # Rounding must not leave the largest one out.
    edges[0], edges[-1] = low, high
    return edges


def _bars(
    heights: Mapping[str, Sequence[float]], names: Sequence[str]
) -> list[Bar]:
    most = max((h for own in heights.values() for h in own), default=0) or 1.0
    slot = WIDTH / len(names)
    width = slot / len(heights)
    bars = []
    for place, name in enumerate(names):
        for number, (part, own) in enumerate(heights.items()):
            tall = own[place] / most * HEIGHT
            if tall:
                title = f"{part}: {name}, {own[place]:.0%}".replace("%", " %")
                x = place * slot + number * width
                bars.append(
                    Bar(x, HEIGHT - tall, width * 0.9, tall, title, number)
                )
    return bars


def _short(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"
