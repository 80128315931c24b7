"""Rows of a task in memory, each once, to be measured or drawn."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.decoding.threads import default_threads
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records import RowReader
from keras_imp.evaluation.own_data.choices import spread
from keras_imp.evaluation.own_data.rows import Part, TaskRows
from keras_imp.evaluation.run_folder import RunError

# Bytes that the examples of a task may take in memory.
MOST_BYTES = 512 * 2**20


class Examples(NamedTuple):
    """Examples in memory.

    Attributes:
        part: Their rows.
        x: Inputs by modality, with one entry per row.
    """

    part: Part
    x: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.part)

    def texts(self) -> list[str]:
        """The text of each row: the first, where there are several."""
        column = self.part.manifest.column("text")
        texts = [column[row] for row in range(len(self))]
        return [x if isinstance(x, str) else x[0] for x in texts]


def read_examples(
    rows: TaskRows,
    part: Part,
    preprocessor: IMPPreprocessor,
    most: int,
    inputs: Sequence[str] | None = None,
) -> Examples:
    """Read rows, cut in the middle; what cannot be used is left out.

    Args:
        rows: The task, whose quarantine notes what cannot be used.
        part: Rows of it.
        preprocessor: Makes the inputs.
        most: How many rows to read, evenly over the part; fewer if they would
            take too much memory.
        inputs: Modalities. Defaults to those of the task.

    Returns:
        The examples.

    Raises:
        RunError: If no row can be used.
        TooManyBadFilesError: If there are more bad files than is allowed.
    """
    inputs = rows.inputs if inputs is None else tuple(inputs)
    reader = RowReader(
        part.manifest, preprocessor, tuple(inputs), cache=rows.cache
    )
    quarantine = rows.quarantine.part(part.numbers)
    most = min(most, max(1, MOST_BYTES // _bytes_of(preprocessor, inputs)))
    chosen = [
        row for row in spread(len(part), most).tolist() if row not in quarantine
    ]

    def read(row: int) -> dict[str, np.ndarray] | None:
        try:
            return reader.read(row)[0]
        except BadFile as error:
            quarantine.add(row, str(part.manifest.where(row)), error)
            return None

    with ThreadPoolExecutor(default_threads()) as pool:
        found = list(pool.map(read, chosen))
    kept = [row for row, x in zip(chosen, found) if x is not None]
    examples = [x for x in found if x is not None]
    if not kept:
        raise RunError(
            message(
                f"Task {rows.name!r} has no row that can be used.",
                rows=len(part),
            )
        )
    return Examples(
        Part(part.manifest.select(kept), part.numbers[kept]),
        {name: np.stack([x[name] for x in examples]) for name in inputs},
    )


def _bytes_of(preprocessor: IMPPreprocessor, inputs: Sequence[str]) -> int:
    """Bytes of an example."""
    specs = preprocessor.input_specs
    sizes = {"uint8": 1}
    return sum(
        int(np.prod(specs[name].shape[1:])) * sizes.get(specs[name].dtype, 4)
        for name in inputs
    )
