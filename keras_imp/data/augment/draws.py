"""Random numbers of each row of a batch, whatever the rest of the batch.

A number is a hash of (seed, index of the batch, row, name of the draw,
position in the draw). Nothing is counted or remembered: a row gets the same
numbers alone or among others, in any order, in any process. The hash is the
output function of SplitMix64 over a sequence that starts at the row's key
(Steele, Lea and Flood, 2014, https://doi.org/10.1145/2714064.2660195).
"""

import hashlib
from typing import Any

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp._repr import ShowsArguments

# Of SplitMix64.
_STEP = 0x9E3779B97F4A7C15
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31
# Bits of a random integer that a float of each type holds exactly.
_BITS = {"float32": 24, "float64": 53}


class Draws(ShowsArguments):
    """Random numbers for the rows of one batch, by name.

    The same name gives the same numbers again, so each draw of a function
    needs a name of its own.

    Args:
        seed: From 0.
        index: Number of the batch, from 0.
        rows: Number of each row in the data, shape `(rows,)`, integer; or how
            many rows, which are then 0, 1, 2 and so on.

    Raises:
        ValueError: If a number is negative or no integer.

    Example:
        >>> from keras_imp.data.augment import Draws
        >>> draws = Draws(seed=0, index=3, rows=[7, 2])
        >>> draws.uniform("angle", -1.0, 1.0).round(3)
        array([-0.687,  0.205], dtype=float32)
        >>> Draws(seed=0, index=3, rows=[2]).uniform("angle", -1, 1).round(3)
        array([0.205], dtype=float32)
    """

    def __init__(self, seed: int, index: int, rows: Any):
        check_integer(0, seed=seed, index=index)
        self.seed = int(seed)
        self.index = int(index)
        self.rows = _row_numbers(rows)
        self._path: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, generator: np.random.Generator, count: int) -> "Draws":
        """Draws whose seed a generator gives, for rows 0 to `count` - 1.

        Args:
            generator: A NumPy generator: one number is drawn from it.
            count: Number of rows.

        Returns:
            The draws.

        Example:
            >>> import numpy as np
            >>> from keras_imp.data.augment import Draws
            >>> draws = Draws.of(np.random.default_rng(0), 3)
            >>> draws.integers("class", 0, 10).shape
            (3,)
        """
        return cls(int(generator.integers(1 << 63)), 0, count)

    def within(self, *names: str) -> "Draws":
        """Draws of the same rows, independent of these.

        Args:
            *names: What they are for; other names give other numbers.

        Returns:
            The draws.

        Example:
            >>> from keras_imp.data.augment import Draws
            >>> draws = Draws(0, 0, 1)
            >>> outer, inner = draws, draws.within("color")
            >>> bool(outer.uniform("part") == inner.uniform("part"))
            False
        """
        inner = Draws(self.seed, self.index, self.rows)
        inner._path = (*self._path, *names)
        return inner

    @property
    def shared(self) -> "Draws":
        """The draws of the whole example, not of one modality or function.

        What must agree between modalities is drawn from them: the place of a
        cut in time, of a video and of its audio.
        """
        return Draws(self.seed, self.index, self.rows)

    def uniform(
        self,
        name: str,
        low: Any = 0.0,
        high: Any = 1.0,
        size: tuple[int, ...] = (),
        dtype: str = "float32",
    ) -> np.ndarray:
        """Numbers from `low` to `high`.

        Args:
            name: Name of the draw.
            low: Least number; it may be an array that broadcasts to the result.
            high: Largest number, as `low`.
            size: Shape of what each row gets.
            dtype: `"float32"` or `"float64"`.

        Returns:
            Shape `(rows, *size)`.
        """
        if dtype not in _BITS:
            raise ValueError(
                message(f"`dtype` must be one of {[*_BITS]}.", dtype=dtype)
            )
        bits = _BITS[dtype]
        unit = (self._bits(name, size) >> np.uint64(64 - bits)).astype(dtype)
        unit *= np.asarray(2.0**-bits, dtype)
        low, high = np.asarray(low, dtype), np.asarray(high, dtype)
        return low + (high - low) * unit

    def integers(
        self, name: str, low: Any, high: Any, size: tuple[int, ...] = ()
    ) -> np.ndarray:
        """Integers from `low` to `high` - 1.

        Args:
            name: Name of the draw.
            low: Least integer; it may be an array that broadcasts to the
                result.
            high: One above the largest integer, as `low`; at most 2^31 above
                `low`.
            size: Shape of what each row gets.

        Returns:
            int64, shape `(rows, *size)`.
        """
        low, span = np.asarray(low, "int64"), np.subtract(high, low)
        if not np.all((span > 0) & (span <= 1 << 31)):
            raise ValueError(
                message(
                    "`high` must be above `low`, by 2^31 at most.",
                    name=name,
                    low=low.tolist(),
                    high=np.asarray(high).tolist(),
                )
            )
        high_bits = (self._bits(name, size) >> np.uint64(32)).astype("uint64")
        return low + (
            (high_bits * span.astype("uint64")) >> np.uint64(32)
        ).astype("int64")

    def bernoulli(
        self, name: str, probability: Any, size: tuple[int, ...] = ()
    ) -> np.ndarray:
        """True with a probability.

        Args:
            name: Name of the draw.
            probability: From 0, never, to 1, always; it may be an array that
                broadcasts to the result.
            size: Shape of what each row gets.

        Returns:
            bool, shape `(rows, *size)`.
        """
        return self.uniform(name, size=size, dtype="float64") < probability

    def permutation(self, name: str, count: int) -> np.ndarray:
        """The integers from 0 to `count` - 1, in random order.

        Args:
            name: Name of the draw.
            count: How many.

        Returns:
            int64, shape `(rows, count)`.
        """
        return np.argsort(self._bits(name, (count,)), axis=1, kind="stable")

    def choice(self, name: str, weights: Any) -> np.ndarray:
        """A position in each row, drawn in proportion to weights.

        Args:
            name: Name of the draw.
            weights: From 0, shape `(choices,)` or `(rows, choices)`; the sum
                of a row must be above 0.

        Returns:
            int64, shape `(rows,)`.
        """
        weights = np.asarray(weights, "float64")
        sums = np.cumsum(weights, axis=-1)
        # No weight, a negative one or NaN.
        if not (
            weights.size and np.all(weights >= 0) and np.all(sums[..., -1] > 0)
        ):
            raise ValueError(
                message(
                    "`weights` must not be negative, and some must be above 0.",
                    name=name,
                    shape=weights.shape,
                )
            )
        # At most the last sum less one bit: never past the last weight.
        places = self.uniform(name, dtype="float64") * sums[..., -1]
        return (sums <= places[:, None]).sum(axis=-1)

    def _bits(self, name: str, size: tuple[int, ...]) -> np.ndarray:
        """64 random bits for each number."""
        stream = _stream(self.seed, self.index, (*self._path, name))
        keys = _mix(self.rows.view("uint64") ^ np.uint64(stream))
        if not size:
            return _mix(keys + np.uint64(_STEP))
        steps = np.arange(1, int(np.prod(size)) + 1, dtype="uint64")
        steps *= np.uint64(_STEP)
        return _mix(keys[:, None] + steps).reshape(len(keys), *size)


def _stream(seed: int, index: int, names: tuple[str, ...]) -> int:
    """64 bits for all rows of one draw. `repr` keeps names apart."""
    text = repr((seed, index, names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _mix(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's bijection of 64 bits, in which each bit changes all."""
    for shift, factor in _MIXERS:
        bits = bits ^ (bits >> np.uint64(shift))
        bits *= np.uint64(factor)
    return bits ^ (bits >> np.uint64(_LAST_SHIFT))


def _row_numbers(rows: Any) -> np.ndarray:
    if isinstance(rows, int | np.integer):
        check_integer(0, rows=rows)
        return np.arange(rows)
    numbers = np.asarray(rows)
    # An empty list is of floats.
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise ValueError(
            message(
                "`rows` must be one row number per example, or how many.",
                shape=numbers.shape,
                dtype=numbers.dtype.name,
            )
        )
    if numbers.size and numbers.min() < 0:
        raise ValueError(
            message("Row numbers must be at least 0.", least=int(numbers.min()))
        )
    return numbers.astype("int64")
