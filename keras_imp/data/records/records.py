"""Batches of files, each a pure function of its number."""

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp.data.augment.draws import Draws
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.decoding.threads import default_threads
from keras_imp.data.description import describe_array
from keras_imp.data.manifest import Manifest
from keras_imp.data.order import Order, OrderInShapes
from keras_imp.data.ordered_batches import Augment, OrderedBatches, batch_of
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records.files import describe_files
from keras_imp.data.records.quarantine import Quarantine, QuarantinePart
from keras_imp.data.records.row_reader import RowReader
from keras_imp.data.records.shapes import preprocessor_for
from keras_imp.data.records.targets import targets_of
from keras_imp.data.shapes.dropping import drop_tokens
from keras_imp.data.shapes.plan import PlannedShape

# Rows of a batch, unless it is said otherwise.
BATCH_SIZE = 32
# Rows that are tried in the place of one whose file is bad.
TRIES = 100
# Streams of random numbers, beside those of `OrderedBatches` and `Order`.
_DROP, _REPLACE = 2, 4


class Records(OrderedBatches):
    """Batches of the rows of a manifest, decoded when they are asked for.

    Batch `i` is a pure function of (seed, i): as a source of a `TaskMixture`,
    a resumed run reads the very batches that come next, without reading those
    before. How a row is cut depends on the seed, `i` and the row. The files of
    a batch are decoded by threads, in any order; the batch does not depend on
    it. A model of Keras may read the data alone, pass by pass, as for
    `Arrays`: give `shuffle=False` for what is not trained on.

    A row whose file cannot be used goes to the quarantine, and another one,
    which follows from the seed, `i` and the row, takes its place; never an
    empty image.

    Args:
        manifest: The rows: `keras_imp.data.read`.
        preprocessor: Sizes, sampling rate and tokenizer.
        batch_size: Rows of a batch.
        inputs: Modalities to read. Defaults to those of the preprocessor that
            the manifest has.
        target: `"label"`, `"labels"`, `"number"`, `"group"` or `"file"`; see
            `keras_imp.data.records.targets.targets_of`. Defaults to no target.
        classes: Names of the classes, in order. Defaults to all labels.
        shapes: Several sizes in place of the preprocessor's: `plan[task]` of a
            `TokenBudget`. They have batch sizes of their own; every pass is
            shuffled, and every batch full.
        drop_on_host: Whether to drop the tokens that the shapes say.
        training: Whether to draw how examples are cut, and which caption is
            taken. Defaults to `shuffle`.
        crop: As for `RowReader`.
        augment: As for `Arrays`; it gets what the preprocessor returned.
        shuffle: Whether to shuffle each pass. Rows of one group, by
            `manifest.groups()`, are then not in one batch where that can be
            avoided.
        drop_last: As for `Arrays`.
        seed: Seed of everything.
        quarantine: Where to note rows that cannot be used. Defaults to one in
            memory that allows 1 % of the rows.
        cache: Folder for what files are decoded to: each is decoded once, and
            the batches are the same. Other data may use it too, and other
            processes at once; it may be removed at any time. A file that
            changes is decoded anew. Of audio and videos that are longer than
            what is read, a random part is decoded each time. On a full disk, a
            warning says that no more is kept. Defaults to none.
        threads: How many decode. Defaults to one per core, at most 4.
        host: Which of how many processes this is: each decodes its part of
            the rows of the one batch that all share.
        **kwargs: Arguments of `keras.utils.PyDataset`, such as `workers`, of
            which each has threads of its own.

    Raises:
        ValueError: If an argument does not fit, a label is unknown, there are
            fewer rows than a batch, too many rows cannot be used
            (`TooManyBadFilesError`), the cache cannot be written, or a random
            part of each image is taken, which no cache has.

    Example:
        >>> from PIL import Image
        >>> import keras_imp
        >>> for name in ("a.png", "b.png"):
        ...     Image.new("RGB", (80, 60), "red").save(name)
        >>> data = keras_imp.data.Records(
        ...     keras_imp.data.Manifest(
        ...         {"image": ["a.png", "b.png"], "label": ["cat", "dog"]}),
        ...     keras_imp.IMPPreprocessor(image=(32, 32)),
        ...     batch_size=2, target="label", shuffle=False)
        >>> x, y = data[0]
        >>> x["image"].shape, y.tolist()
        ((2, 32, 32, 3), [0, 1])
    """

    def __init__(
        self,
        manifest: Manifest,
        preprocessor: IMPPreprocessor,
        batch_size: int = BATCH_SIZE,
        *,
        inputs: tuple[str, ...] | None = None,
        target: str | None = None,
        classes: Sequence[str] | None = None,
        shapes: Sequence[PlannedShape] | None = None,
        drop_on_host: bool = True,
        training: bool | None = None,
        crop: str = "inception",
        augment: Augment | None = None,
        shuffle: bool = True,
        drop_last: bool | None = None,
        seed: int = 0,
        quarantine: Quarantine | QuarantinePart | None = None,
        cache: str | os.PathLike | None = None,
        threads: int | None = None,
        host: tuple[int, int] = (0, 1),
        **kwargs: Any,
    ):
        super().__init__(augment, **kwargs)
        if shapes is not None:
            _check_order(batch_size, shuffle, drop_last)
        self.manifest = manifest
        self.preprocessor = preprocessor
        self.target = target
        self.classes = classes
        self.shapes = None if shapes is None else tuple(shapes)
        self.drop_on_host = drop_on_host
        self.training = shuffle if training is None else training
        self.host = _checked_host(host)
        self.order = self._order(batch_size, shuffle, drop_last, seed)
        # An empty one is false.
        self.quarantine = (
            Quarantine(len(manifest)) if quarantine is None else quarantine
        )
        self.cache = cache
        self._readers = [
            RowReader(manifest, each, inputs, crop, cache)
            for each in self._preprocessors()
        ]
        if cache is not None and self.training:
            _check_cached(self.inputs, crop)
        self._y = target and targets_of(manifest, target, classes)
        self._weights = _weights(manifest)
        threads = default_threads() if threads is None else threads
        check_integer(1, threads=threads)
        self.threads = threads

    def __getstate__(self) -> dict[str, Any]:
        """All but the threads, for a process of Keras."""
        return {k: v for k, v in vars(self).items() if k != "_pool"}

    @functools.cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, "keras_imp.decode")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Modalities of a batch."""
        return self._readers[0].inputs

    @property
    def crop(self) -> str:
        """How images and videos are cut in training."""
        return self._readers[0].crop

    def batch_at(self, index: int) -> tuple:
        """Batch `index`, counted over all passes through the rows.

        Args:
            index: From 0, without end.

        Returns:
            `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

        Raises:
            TooManyBadFilesError: If too many rows cannot be used.
        """
        rows = self._part_of_host(self.order.rows_at(index))
        shape = self._shape_at(index)
        read = functools.partial(self._read_or_replace, index, shape)
        found = list(self._pool.map(read, rows.tolist()))
        rows = np.array([row for row, _ in found])
        examples = [example for _, example in found]
        x = {
            name: np.stack([example[name] for example in examples])
            for name in self.inputs
        }
        weights = self._weights
        batch = batch_of(
            x,
            None if self._y is None else self._y[rows],
            None if weights is None else weights[rows],
        )
        return self._dropped(self._augmented(batch, rows, index), shape, index)

    def describe(self) -> dict[str, Any]:
        """What decides the batches, for `Backup`: it refuses other data.

        Returns:
            What JSON can hold.
        """
        facts = {
            "manifest": self.manifest.describe(),
            "files": describe_files(self.manifest),
            "preprocessor": describe_array(
                [repr(sorted(self.preprocessor.get_config().items()))]
            ),
            "inputs": list(self.inputs),
            "target": self.target,
            "y": None if self._y is None else describe_array(self._y),
            "training": self.training,
            "crop": self.crop,
            **self._describe_order(),
        }
        if self.shapes is not None:
            facts["shapes"] = [one.describe() for one in self.shapes]
        return facts

    def _order(self, batch_size, shuffle, drop_last, seed) -> Order:
        rows, groups = len(self.manifest), self.manifest.groups()
        if self.shapes is None:
            return Order(
                rows,
                batch_size,
                shuffle=shuffle,
                drop_last=drop_last,
                seed=seed,
                groups=groups,
            )
        return OrderInShapes(
            rows,
            [one.batch_size for one in self.shapes],
            [one.shape.weight for one in self.shapes],
            seed=seed,
            groups=groups,
        )

    def _preprocessors(self) -> list[IMPPreprocessor]:
        """That of each shape, or the only one."""
        if self.shapes is None:
            return [self.preprocessor]
        return [
            preprocessor_for(self.preprocessor, one.shape)
            for one in self.shapes
        ]

    def _shape_at(self, index: int) -> int:
        if isinstance(self.order, OrderInShapes):
            return self.order.shape_at(index)
        return 0

    def _part_of_host(self, rows: np.ndarray) -> np.ndarray:
        number, count = self.host
        return rows[
            len(rows) * number // count : len(rows) * (number + 1) // count
        ]

    def _read_or_replace(
        self, index: int, shape: int, row: int
    ) -> tuple[int, dict[str, np.ndarray]]:
        """A row's example; of the next one that can be used, if it is bad."""
        example = self._read(index, shape, row)
        if example is not None:
            return row, example
        generator = self.order.generator(_REPLACE, index, row)
        for _ in range(TRIES):
            other = int(generator.integers(len(self.manifest)))
            example = self._read(index, shape, other)
            if example is not None:
                return other, example
        raise ValueError(
            message(
                "Rows that can be used must be found in the place of a bad "
                "one.",
                "Scan the data, and leave out the bad rows.",
                tries=TRIES,
                bad=len(self.quarantine),
                rows=len(self.manifest),
            )
        )

    def _read(
        self, index: int, shape: int, row: int
    ) -> dict[str, np.ndarray] | None:
        """A row's example, or None if it cannot be used."""
        if row in self.quarantine:
            return None
        draws = Draws(self.seed, index, [row]) if self.training else None
        try:
            return self._readers[shape].read(row, draws)[0]
        except BadFile as error:
            self.quarantine.add(row, str(self.manifest.where(row)), error)
            return None

    def _dropped(self, batch: tuple, shape: int, index: int) -> tuple:
        if self.shapes is None or not self.drop_on_host:
            return batch
        planned = self.shapes[shape]
        if not planned.shape.drop:
            return batch
        generator = self.order.generator(_DROP, index)
        x = drop_tokens(
            batch[0], planned.shape.drop, planned.patchings, generator
        )
        return (x, *batch[1:])


def _check_order(
    batch_size: int, shuffle: bool, drop_last: bool | None
) -> None:
    """Raise if what only an order without shapes has is asked of one."""
    given: dict[str, Any] = {}
    if batch_size != BATCH_SIZE:
        given["batch_size"] = batch_size
    if not shuffle:
        given["shuffle"] = shuffle
    if drop_last is not None:
        given["drop_last"] = drop_last
    if given:
        names = ", ".join(f"`{name}`" for name in given)
        raise ValueError(
            message(
                "`shapes` have batch sizes of their own, every pass of them is "
                "shuffled, and every batch is full.",
                f"Omit {names}, or `shapes`.",
                **given,
            )
        )


def _weights(manifest: Manifest) -> np.ndarray | None:
    """Weight of each row; 1 where a row has none."""
    if "weight" not in manifest.columns:
        return None
    column = manifest.column("weight")
    values = [column[row] for row in range(len(manifest))]
    return np.array([1.0 if v is None else v for v in values], "float32")


def _check_cached(inputs: tuple[str, ...], crop: str) -> None:
    """Raise if a cache would hold nothing of images or videos."""
    cut = [name for name in inputs if name in ("image", "video")]
    if cut and crop != "center":
        raise ValueError(
            message(
                "With a cache, images and videos must be cut in the center: a "
                "random part of a file is another one in each pass, and made "
                "from all of its pixels.",
                'Use crop="center", and vary what is decoded by `augment`, '
                "such as images.affine; or do without a cache.",
                inputs=cut,
                crop=crop,
            )
        )


def _checked_host(host: tuple[int, int]) -> tuple[int, int]:
    number, count = host
    check_integer(1, hosts=count)
    check_integer(0, host=number)
    if number >= count:
        raise ValueError(
            message(
                "`host` must be a number and how many there are.", host=host
            )
        )
    return number, count
