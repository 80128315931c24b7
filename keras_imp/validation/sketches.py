"""Images and videos in a few bytes, to find copies that differ a little.

A copy that was compressed anew or scaled has other pixels, so no hash finds
it. Its means over 8 x 8 fields differ by one or two of 255. So they do if it
was made brighter, or mirrored, once that is undone.
"""

import abc
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_imp.validation.findings import WARNING, Finding

SIDE = 8
# Frames of a video, evenly spaced.
FRAMES = 4
# Root mean square differences of a copy, of 255, in brightness and in color:
# JPEG of quality 75 and a scale of 3/4 stay below. Of two images of the bundled
# playground that are of different splits, none comes as near.
_GRAY, _COLOR = 4.0, 9.0
# The same of brightness, of the standard deviation of the fields: what is small
# before a plain background differs little from anything else there.
_RELATIVE = 0.2
# Standard deviation below which images have nothing to compare.
_FLAT = 6.0
# The same in color, when the brightness and the contrast of the other one are
# brought to those of this one, and of its own standard deviation. Clothes come
# as near as 2.4, copies of 28 pixels in a JPEG of quality 70 stay below 2.
_FITTED, _FITTED_RELATIVE = 2.2, 0.1
# Contrasts of copies, at most so many times as high.
_CONTRAST = 1.7
# Rows that are compared at once with how many others: 100 MB.
_BLOCK, _OTHERS = 512, 8192
# Rows of a column and a part that are compared: 200 MB of sketches of videos.
MOST_ROWS = 250_000
# Rows that are compared all with all.
MOST_PAIRED = 20_000
# Parts of red, green and blue in brightness.
LUMA = np.array([0.299, 0.587, 0.114], "float32")


def sketch_of(values: np.ndarray) -> str:
    """The sketch of an image or a video.

    Args:
        values: uint8, shape `(height, width, 3)`, or with frames before that.

    Returns:
        Hexadecimal digits of the fields' colors; `""` of what is smaller than
        8 pixels.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.sketches import sketch_of
        >>> len(sketch_of(np.zeros((30, 50, 3), "uint8")))
        384
    """
    frames = values[None] if values.ndim == 3 else values
    height, width = frames.shape[1:3]
    if min(height, width) < SIDE:
        return ""
    if values.ndim > 3:
        places = np.linspace(0, len(frames) - 1, FRAMES)
        frames = frames[places.round().astype(int)]
    fields = _means(_means(frames.astype("float32"), 1), 2)
    return fields.round().astype("uint8").tobytes().hex()


def _means(values: np.ndarray, axis: int) -> np.ndarray:
    """Means over fields of nearly equal length along an axis."""
    edges = np.linspace(0, values.shape[axis], SIDE + 1).round().astype(int)
    sums = np.add.reduceat(values, edges[:-1], axis=axis)
    lengths = np.diff(edges).reshape([-1 if i == axis else 1 for i in range(4)])
    return sums / lengths


class Near(NamedTuple):
    """Two rows of different parts whose content is nearly the same.

    Attributes:
        row: That of the later part.
        other: One of an earlier part.
        difference: Between them, in the unit of the sketches.
        how: What was undone before, in words.
    """

    row: int
    other: int
    difference: float
    how: str = ""


class Sketches(abc.ABC):
    """The sketches of one column.

    Attributes:
        unit: Of the difference of two.
    """

    unit: str

    def __init__(self) -> None:
        self._rows = array("q")
        self._bytes = bytearray()
        self._kept: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: int, sketch: str, part: int = 0) -> None:
        """Keep the sketch of a row, of the first 250,000 of each part.

        Args:
            row: Its number.
            sketch: Hexadecimal digits, or `""` for none.
            part: Number of its part.
        """
        if sketch and self._kept[part] < MOST_ROWS:
            self._kept[part] += 1
            self._rows.append(row)
            self._bytes += bytes.fromhex(sketch)

    @abc.abstractmethod
    def near(self, part: np.ndarray) -> Iterator[Near]:
        """Rows whose content is nearly that of a row of an earlier part.

        Args:
            part: Part of each row.

        Yields:
            Pairs; of a row, the nearest of those that were compared at once.
        """


class ImageSketches(Sketches):
    """The sketches of a column of images or videos.

    Example:
        >>> from keras_imp.validation.sketches import ImageSketches
        >>> sketches = ImageSketches()
        >>> sketches.add(3, "00" * 192)
        >>> len(sketches)
        1
    """

    unit = "of 255"

    def near(self, part: np.ndarray, every: bool = False) -> Iterator[Near]:
        """As `Sketches.near`.

        Args:
            part: Part of each row.
            every: Whether to yield all pairs, not only the nearest.

        Yields:
            Pairs.
        """
        if len(set(part[np.asarray(self._rows)])) < 2:
            return
        if not every:
            yield from self._near_when_fitted(part)
        rows, colors = self._with_contrast()
        gray = colors @ LUMA
        brightness = gray.mean(axis=1)
        gray -= brightness[:, None]
        squares = np.square(gray).mean(axis=1)
        for some, others in _blocks(brightness):
            products = gray[some] @ gray[others].T / gray.shape[1]
            apart = brightness[some, None] - brightness[None, others]
            distance = squares[some, None] + squares[None, others]
            distance += np.square(apart) - 2 * products
            least = np.minimum(squares[some, None], squares[None, others])
            is_near = distance <= np.minimum(_GRAY**2, _RELATIVE**2 * least)
            left, right = rows[some], rows[others]
            is_near &= part[left][:, None] != part[right][None]
            # Each pair once.
            is_near = np.triu(is_near, 1 + some.start - others.start)
            if is_near.any():
                yield from _near_in_color(
                    (left, right),
                    (colors[some], colors[others]),
                    is_near,
                    part,
                    every,
                )

    def _near_when_fitted(self, part: np.ndarray) -> Iterator[Near]:
        """Rows that are nearly another one with other brightness, or mirrored.

        The least squares fit of a line leaves of the standard deviation what
        the correlation does not explain.
        """
        rows, vectors = self._first_of_parts(part)
        vectors -= vectors.mean(axis=1, keepdims=True)
        deviation = vectors.std(axis=1)
        kept = np.flatnonzero(deviation >= _FLAT)
        rows, vectors, deviation = rows[kept], vectors[kept], deviation[kept]
        if not len(rows):
            return
        vectors /= deviation[:, None] * vectors.shape[1] ** 0.5
        fields = vectors.reshape(len(rows), -1, SIDE, SIDE, 3)
        mirrored = np.ascontiguousarray(fields[:, :, :, ::-1])
        for start in range(0, len(rows), _BLOCK):
            some = slice(start, start + _BLOCK)
            later = part[rows[some], None] > part[None, rows]
            ratio = deviation[some, None] / deviation
            later &= (ratio <= _CONTRAST) & (ratio >= 1 / _CONTRAST)
            for how, others in (
                ("brighter or darker", vectors),
                ("mirrored", mirrored.reshape(vectors.shape)),
            ):
                alike = np.where(later, vectors[some] @ others.T, -1.0)
                best = alike.argmax(axis=1)
                most = np.clip(alike[np.arange(len(best)), best], 0.0, 1.0)
                left = np.sqrt(1.0 - most**2)
                apart = left * np.maximum(deviation[some], deviation[best])
                near = (left <= _FITTED_RELATIVE) & (apart <= _FITTED)
                for place in np.flatnonzero(near):
                    yield Near(
                        int(rows[some][place]),
                        int(rows[best[place]]),
                        float(apart[place]),
                        how,
                    )

    def vectors(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Some of the sketches, as they are compared.

        Args:
            most: How many; the first ones are taken.

        Returns:
            Their rows, and the colors of their fields, float32, shape
            `(rows, fields * 3)`.
        """
        return self._at(slice(most))

    def _at(self, places: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and colors of the sketches at some places."""
        count = len(self._rows)
        if not count:
            return np.zeros(0, "int64"), np.zeros((0, 0), "float32")
        colors = np.frombuffer(self._bytes, "uint8").reshape(count, -1)
        # Copies: what shares memory with a bytearray keeps it from growing.
        rows = np.array(self._rows, "int64")
        return rows[places], colors[places].astype("float32")

    def _first_of_parts(
        self, part: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some rows of each part, in order, and the colors of their fields."""
        own = part[np.asarray(self._rows)]
        numbers, sizes = np.unique(own, return_counts=True)
        first, left = [], MOST_PAIRED
        # What a small part does not need, the larger ones get.
        for rank, place in enumerate(np.argsort(sizes)):
            most = left // (len(sizes) - rank)
            first.append(np.flatnonzero(own == numbers[place])[:most])
            left -= len(first[-1])
        return self._at(np.sort(np.concatenate(first)))

    def _with_contrast(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and colors of sketches that are not flat, by brightness."""
        rows, vectors = self.vectors(len(self))
        colors = vectors.reshape(len(rows), -1, 3)
        gray = colors @ LUMA
        kept = np.flatnonzero(gray.std(axis=1) >= _FLAT)
        order = kept[np.argsort(gray[kept].mean(axis=1), kind="stable")]
        return rows[order], colors[order]


def squares_apart(
    vectors: np.ndarray, others: np.ndarray
) -> Iterator[np.ndarray]:
    """Squared distances of rows from all others, and from themselves infinity.

    Args:
        vectors: Shape `(rows, size)`.
        others: The same rows, or what was made of them.

    Yields:
        For some rows after others, shape `(some, rows)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.sketches import squares_apart
        >>> vectors = np.array([[0.0], [3.0]])
        >>> next(squares_apart(vectors, vectors)).tolist()
        [[inf, 9.0], [9.0, inf]]
    """
    squares = np.square(others).sum(axis=1)
    for start in range(0, len(vectors), _BLOCK):
        some = vectors[start : start + _BLOCK]
        apart = np.square(some).sum(axis=1)[:, None] + squares
        apart -= 2 * some @ others.T
        each = np.arange(len(some))
        apart[each, start + each] = np.inf
        yield apart


def _blocks(brightness: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Rows that are compared with others: themselves, and those after them.

    What is nearly equal is not far away in the order of brightness. But nearly
    all rows may be near: then there are several blocks of others.
    """
    for start in range(0, len(brightness), _BLOCK):
        some = slice(start, start + _BLOCK)
        last = np.searchsorted(brightness, brightness[some][-1] + _GRAY)
        for first in range(start, int(last), _OTHERS):
            yield some, slice(first, min(first + _OTHERS, int(last)))


def _near_in_color(
    rows: tuple[np.ndarray, np.ndarray],
    colors: tuple[np.ndarray, np.ndarray],
    is_near: np.ndarray,
    part: np.ndarray,
    every: bool,
) -> Iterator[Near]:
    """The nearest in color of some rows, among those nearly as bright.

    Args:
        rows: Numbers of the rows of both sides.
        colors: Of both, shape `(rows, fields, 3)`.
        is_near: Which of the left and the right side are, and of other parts.
        part: Part of each row.
        every: Whether to yield all that are near, not only the nearest.
    """
    # Of millions of pairs of equal frames, only the best are looked at.
    kept = [np.flatnonzero(is_near.any(axis=axis)) for axis in (1, 0)]
    left, right = (side[k] for side, k in zip(rows, kept))
    a, b = (
        side[k].reshape(len(k), -1).astype("float64")
        for side, k in zip(colors, kept)
    )
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None]
    apart = np.sqrt(np.maximum(squares - 2 * a @ b.T, 0) / a.shape[1])
    apart[~is_near[np.ix_(*kept)]] = np.inf
    is_later = part[left][:, None] > part[right][None]
    for later, earlier, distance in (
        (left, right, np.where(is_later, apart, np.inf)),
        (right, left, np.where(is_later, np.inf, apart).T),
    ):
        found = distance <= _COLOR
        if not every:
            best = distance.argmin(axis=1)
            found &= np.arange(len(earlier)) == best[:, None]
        for i, j in np.argwhere(found):
            yield Near(int(later[i]), int(earlier[j]), float(distance[i, j]))


def near_copies(
    sketches: dict[str, Sketches], part: np.ndarray, told: set[tuple[str, int]]
) -> Iterator[Finding]:
    """Rows that nearly show what a row of an earlier part shows.

    Args:
        sketches: By column.
        part: Part of each row.
        told: Columns and rows that are leaks already.

    Yields:
        One finding for a row.
    """
    for column, kept in sketches.items():
        nearest: dict[int, Near] = {}
        for pair in kept.near(part) if len(kept) else ():
            best = nearest.get(pair.row, pair)
            nearest[pair.row] = min(best, pair, key=_by_difference)
        for row, pair in sorted(nearest.items()):
            if (column, row) not in told:
                detail = f"differs by {pair.difference:.1f} {kept.unit}"
                detail += f", {pair.how}" if pair.how else ""
                flag = f"near_{column}"
                yield Finding(row, flag, WARNING, column, detail, pair.other)


def _by_difference(pair: Near) -> tuple[float, int]:
    return pair.difference, pair.other
