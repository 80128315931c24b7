"""A folder of vectors, of what they are the vectors of, and of whose they are.

    vectors.npy   float16, one unit vector a row
    items.jsonl   one item a line, in the same order
    index.json    the model, its task, the modality, the width
    graph.usearch for an approximate search, where it was asked for

The folder is written under another name and renamed: it is whole, or not there.
"""

import dataclasses
import functools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp._files import unfinished
from keras_imp.evaluation.nearest import nearest
from keras_imp.search import approximate
from keras_imp.search.errors import SearchError

VECTORS, ITEMS, ABOUT, GRAPH = (
    "vectors.npy",
    "items.jsonl",
    "index.json",
    "graph.usearch",
)
FORMAT = 1


class Hit(NamedTuple):
    """An item that a search found.

    Attributes:
        position: Its place in the index.
        similarity: Cosine similarity with the query.
        item: What is known of it: `file`, `text`, `label`, `row`.

    Example:
        >>> from keras_imp.search import Hit
        >>> Hit(3, 0.9, {"file": "a.png"}).similarity
        0.9
    """

    position: int
    similarity: float
    item: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Index:
    """Vectors of items, made by one model.

    Attributes:
        folder: Where it is.
        model_id: Of the model that made it (`SearchModel.model_id`).
        task: The contrastive task.
        modality: What the items are.
        to: The modality that they are compared with.

    Example:
        >>> import numpy as np
        >>> from keras_imp.search import Index
        >>> index = Index.write("birds", [{"file": "a.png"}, {"file": "b.png"}],
        ...     np.eye(2), model_id="1f", task="captions", modality="image",
        ...     to="text")
        >>> index.search(np.array([[0.0, 1.0]]), k=1)[0][0].item["file"]
        'b.png'
    """

    folder: Path
    model_id: str
    task: str
    modality: str
    to: str

    @classmethod
    def write(
        cls,
        folder: str | Path,
        items: Sequence[dict[str, Any]],
        vectors: np.ndarray,
        *,
        model_id: str,
        task: str,
        modality: str,
        to: str,
        graph: bool = False,
    ) -> "Index":
        """Write an index.

        Args:
            folder: A folder that is not there yet.
            items: What is known of each item, as JSON can hold it.
            vectors: Unit vectors, float, shape `(items, width)`.
            model_id: Of the model that made them.
            task: Its task.
            modality: What the items are.
            to: The modality that they are compared with.
            graph: Whether to add a graph, for an approximate search.

        Returns:
            The index.

        Raises:
            SearchError: If the folder is there, or there is no item.
            ImportError: If a graph is asked for and usearch is not installed.
        """
        folder = Path(folder)
        check_new(folder)
        if not len(items) or len(items) != len(vectors):
            raise SearchError(
                message(
                    "An index must have items, each with its vector.",
                    items=len(items),
                    vectors=len(vectors),
                )
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = unfinished(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        halves = np.asarray(vectors, "float16")
        np.save(temporary / VECTORS, halves)
        with (temporary / ITEMS).open("w", encoding="utf-8") as file:
            for item in items:
                file.write(json.dumps(item, ensure_ascii=False) + "\n")
        if graph:
            approximate.build(halves, temporary / GRAPH)
        about = {
            "format": FORMAT,
            "model_id": model_id,
            "task": task,
            "modality": modality,
            "to": to,
            "items": len(items),
            "width": int(halves.shape[1]),
        }
        text = json.dumps(about, indent=2) + "\n"
        (temporary / ABOUT).write_text(text, encoding="utf-8")
        temporary.rename(folder)
        return cls(folder, model_id, task, modality, to)

    @classmethod
    def open(cls, folder: str | Path) -> "Index":
        """The index in a folder.

        Args:
            folder: The folder.

        Returns:
            The index; its vectors are mapped and not read.

        Raises:
            SearchError: If the folder is no index, its parts do not fit, or a
                newer version wrote it.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            index = cls(
                folder,
                *(about[key] for key in ("model_id", "task", "modality", "to")),
            )
            shape = (about["items"], about["width"])
            is_newer = about["format"] > FORMAT
        except (OSError, ValueError, KeyError, TypeError) as error:
            text = f"{type(error).__name__}: {error}"
            raise _no_index(folder, text) from error
        if is_newer:
            raise _no_index(folder, "a newer version of keras-imp wrote it")
        if index.vectors.shape != shape:
            raise _no_index(folder, f"{VECTORS} is not whole")
        return index

    def __len__(self) -> int:
        return len(self.vectors)

    @functools.cached_property
    def vectors(self) -> np.ndarray:
        """The vectors, float16, shape `(items, width)`, in a memory map."""
        try:
            return np.load(self.folder / VECTORS, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise _no_index(self.folder, str(error)) from error

    @functools.cached_property
    def items(self) -> list[dict[str, Any]]:
        """What is known of each item."""
        with (self.folder / ITEMS).open(encoding="utf-8") as file:
            found = [json.loads(line) for line in file]
        if len(found) != len(self):
            raise _no_index(self.folder, f"{ITEMS} is not whole")
        return found

    @property
    def has_graph(self) -> bool:
        """Whether an approximate search is possible."""
        return (self.folder / GRAPH).is_file()

    def search(
        self, queries: np.ndarray, k: int = 10, exactly: bool = True
    ) -> list[list[Hit]]:
        """The nearest items of each query.

        Args:
            queries: Unit vectors, shape `(queries, width)`.
            k: How many to find.
            exactly: Whether to compare with every item. Else the graph is
                followed, which finds nearly all of them.

        Returns:
            For each query its hits, the nearest first.

        Raises:
            SearchError: If shapes do not fit, or there is no graph.
        """
        if exactly:
            positions, products = nearest(queries, self._in_memory, k)
        else:
            positions, products = approximate.nearest(queries, self._graph, k)
        return [
            [
                Hit(int(at), float(value), self.items[at])
                for at, value in zip(*row)
            ]
            for row in zip(positions, products)
        ]

    def check_model(self, model_id: str) -> None:
        """Raise unless a model is the one that made the index.

        Args:
            model_id: Of the model.

        Raises:
            SearchError: If it is another one: its vectors say nothing here.
        """
        if model_id != self.model_id:
            raise SearchError(
                message(
                    "An index is searched by the model that made it.",
                    "Embed the data again by this one: keras-imp embed.",
                    index=str(self.folder),
                    made_by=self.model_id,
                    model=model_id,
                )
            )

    @functools.cached_property
    def _in_memory(self) -> np.ndarray:
        """The vectors; small ones as float32, which is faster."""
        vectors = self.vectors
        if vectors.size <= _FLOATS_IN_MEMORY:
            return np.asarray(vectors, "float32")
        return vectors

    @functools.cached_property
    def _graph(self) -> Any:
        if not self.has_graph:
            raise SearchError(
                message(
                    "The index has no graph.",
                    "Make one: keras-imp embed DATA --graph.",
                    index=str(self.folder),
                )
            )
        return approximate.load(self.folder / GRAPH, self.vectors.shape[1])


# 1 GB.
_FLOATS_IN_MEMORY = 2**28


def check_new(folder: Path) -> None:
    """Raise unless an index can be written as a folder.

    Args:
        folder: The folder.

    Raises:
        SearchError: If it is there.
    """
    if folder.exists():
        raise SearchError(
            message(
                "An index is written into a new folder.",
                "Remove it, or name another one.",
                folder=str(folder),
            )
        )


def _no_index(folder: Path, error: str) -> SearchError:
    return SearchError(
        message(
            "The folder must be an index.",
            "Make one: keras-imp embed DATA --run RUN --out FOLDER.",
            folder=str(folder),
            error=error,
        )
    )
