"""From files to an index of their vectors."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.decoding.threads import default_threads
from keras_imp.data.manifest import Manifest
from keras_imp.data.records import RowReader
from keras_imp.search.errors import SearchError
from keras_imp.search.index import Index, check_new
from keras_imp.search.search_model import SearchModel

# Rows that are decoded and embedded at once.
BATCH_SIZE = 64
# Columns of the data that an item keeps.
KEPT = ("text", "label", "group", "split", "start", "end")


@dataclasses.dataclass(frozen=True)
class Embedded:
    """What came of the rows of some data.

    Attributes:
        index: The index.
        bad: Rows that could not be decoded, with the reason: `row`, `file`,
            `reason`.
    """

    index: Index
    bad: list[dict[str, Any]]


def embed(
    manifest: Manifest,
    model: SearchModel,
    folder: str | Path,
    modality: str | None = None,
    graph: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Embedded:
    """Make an index of a data set.

    Args:
        manifest: Rows with files, from `keras_imp.data.read`.
        model: Makes the vectors.
        folder: A folder that is not there yet.
        modality: What to embed. Defaults to the only one that the data and
            the model have, apart from text.
        graph: Whether to add a graph, for an approximate search.
        progress: Called with the number of rows that are done.

    Returns:
        The index, and the rows whose files are bad: they are not in it.

    Raises:
        SearchError: If the folder is there, no modality or several fit and none
            is named, or no file can be decoded.

    Example:
        >>> import keras_imp
        >>> from PIL import Image
        >>> from keras_imp.data import Tokenizer, read
        >>> words = Tokenizer.train(["red", "blue"], 40, length=4)
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image", "text"),
        ...     vocabulary_size=words.vocabulary_size)
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Contrastive("captions", projection_dim=8)])
        >>> model.compile()
        >>> Image.new("RGB", (20, 20), "red").save("red.png")
        >>> search = keras_imp.search.SearchModel(model,
        ...     keras_imp.IMPPreprocessor(image=(16, 16), tokenizer=words))
        >>> made = keras_imp.search.embed(read("."), search, "colors.index")
        >>> len(made.index), made.bad
        (1, [])
    """
    check_new(Path(folder))
    modality = _modality(manifest, model, modality)
    to = model.other(modality)
    items: list[dict[str, Any]] = []
    vectors: list[np.ndarray] = []
    bad: list[dict[str, Any]] = []
    for rows, found in _batches(manifest, model, modality):
        for row, x in zip(rows, found):
            if isinstance(x, BadFile):
                bad.append({"row": row, "file": x.name, "reason": x.reason})
            else:
                items.append(_item(manifest, row, modality))
        inputs = [x for x in found if not isinstance(x, BadFile)]
        if inputs:
            made = model.vectors(modality, np.stack(inputs), to, BATCH_SIZE)
            vectors.append(made.astype("float16"))
        if progress is not None:
            progress(len(items) + len(bad))
    if not items:
        raise SearchError(
            message(
                f"No {modality} of the data can be decoded.",
                rows=len(manifest),
                first=f"{bad[0]['file']}: {bad[0]['reason']}",
            )
        )
    index = Index.write(
        folder,
        items,
        np.concatenate(vectors),
        model_id=model.model_id,
        task=model.task,
        modality=modality,
        to=to,
        graph=graph,
    )
    return Embedded(index, bad)


def _batches(
    manifest: Manifest, model: SearchModel, modality: str
) -> Iterator[tuple[range, list[Any]]]:
    """Rows, and their inputs or what is bad about them."""
    reader = RowReader(manifest, model.preprocessor, (modality,))

    def read(row: int) -> Any:
        try:
            return reader.read(row)[0][modality]
        except BadFile as error:
            return error

    with ThreadPoolExecutor(default_threads()) as pool:
        for start in range(0, len(manifest), BATCH_SIZE):
            rows = range(start, min(start + BATCH_SIZE, len(manifest)))
            yield rows, list(pool.map(read, rows))


def _item(manifest: Manifest, row: int, modality: str) -> dict[str, Any]:
    """What an index keeps of a row."""
    values = manifest.row(row)
    column = modality if values.get(modality) else "video"
    source = manifest.source(row, column)
    # What lies in an archive has no file that a page could show.
    file = str(source.resolve()) if isinstance(source, Path) else None
    kept = {key: values[key] for key in KEPT if values.get(key) is not None}
    return {"row": row, "file": file, "name": str(values[column]), **kept}


def _modality(
    manifest: Manifest, model: SearchModel, modality: str | None
) -> str:
    has = set(manifest.columns)
    fitting = [
        name
        for name in model.modalities
        if name != "text"
        and (name in has or (name == "audio" and "video" in has))
    ]
    if modality is None and len(fitting) == 1:
        return fitting[0]
    if modality not in fitting:
        raise SearchError(
            message(
                "The items to embed must be one modality of the data and of "
                f"task {model.task!r}.",
                f"Both have {', '.join(fitting) or 'none in common'}.",
                modality=modality,
                data=manifest.columns,
            )
        )
    return modality
