"""What `retrieval.py` compares: one process each, on the same vectors."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import _timing
import numpy as np

# Positives of a query, as the captions of an image are.
GROUP = 5
KS = (1, 5, 10)


@dataclasses.dataclass(frozen=True)
class Work:
    """Sizes of a search of vectors of whole numbers.

    Products of whole numbers this small are exact in float32, whatever order
    they are added in: all sides must give the same numbers to the last bit.
    """

    queries: int = 1000
    items: int = 1_000_000
    width: int = 256
    k: int = 10


def write_vectors(folder: Path, work: Work) -> None:
    """Write items, in float16 and float32, and queries near some of them."""
    rng = np.random.default_rng(0)
    items = np.empty((work.items, work.width), "float16")
    for start in range(0, work.items, 65536):
        shape = items[start : start + 65536].shape
        items[start : start + 65536] = np.rint(4 * rng.standard_normal(shape))
    rows = rng.choice(work.items, work.queries, replace=False)
    # The more noise, the worse the rank.
    noise = rng.uniform(4, 24, (work.queries, 1))
    noise = noise * rng.standard_normal((work.queries, work.width))
    queries = np.rint(items[rows] + noise)
    np.save(folder / "items16.npy", items)
    np.save(folder / "items32.npy", items.astype("float32"))
    np.save(folder / "queries.npy", queries.astype("float32"))
    np.save(folder / "groups.npy", rows // GROUP)


def ours_ranks(folder: Path, work: Work):
    """What `evaluate_retrieval` computes in one direction, from float32."""
    from keras_imp.evaluation.ranks import ranks

    items, queries, groups = _read(folder, "items32")
    of_items = np.arange(work.items) // GROUP

    def step(found: dict) -> None:
        found["ranks"] = ranks(queries, items, groups, of_items)

    return step, items.nbytes


def ours_index(folder: Path, work: Work):
    """What `Index.search` does with a million: float16, mapped."""
    from keras_imp.evaluation.nearest import nearest

    _, queries, _ = _read(folder, None)
    items = np.load(folder / "items16.npy", mmap_mode="r")
    items.max()  # Mapped pages count as memory once they are read.

    def step(found: dict) -> None:
        found["positions"], found["products"] = nearest(queries, items, work.k)

    return step, items.nbytes


def ours_nearest(folder: Path, work: Work):
    """The same from float32 in memory."""
    from keras_imp.evaluation.nearest import nearest

    items, queries, _ = _read(folder, "items32")

    def step(found: dict) -> None:
        found["positions"], found["products"] = nearest(queries, items, work.k)

    return step, items.nbytes


def faiss_flat(folder: Path, work: Work):
    """`IndexFlatIP`: exact, float32, in memory."""
    try:
        import faiss
    except ImportError as error:
        raise _timing.NotAvailableError("pip install faiss-cpu") from error
    faiss.omp_set_num_threads(_timing.CORES)
    _, queries, _ = _read(folder, None)
    items = np.load(folder / "items32.npy", mmap_mode="r")
    index = faiss.IndexFlatIP(work.width)
    for start in range(0, work.items, 65536):
        index.add(np.array(items[start : start + 65536]))
    size = items.nbytes
    del items

    def step(found: dict) -> None:
        found["products"], found["positions"] = index.search(queries, work.k)

    return step, size


SIDES: dict[str, Callable] = {
    "ranks": ours_ranks,
    "index": ours_index,
    "nearest": ours_nearest,
    "faiss": faiss_flat,
}


def prepare(name: str, folder: Path, work: Work):
    """One side: its step, and what it found in a first one.

    Args:
        name: Key of `SIDES`.
        folder: With the vectors.
        work: Their sizes.

    Returns:
        The step without a result, and facts: memory, and a checksum of what
        was found.
    """
    _timing.find_package()
    call, size = SIDES[name](folder, work)
    found: dict[str, np.ndarray] = {}
    more = _timing.more_bytes(lambda: call(found))
    facts = {
        "vectors_mb": round(size / 1e6),
        "more_mb": round(more / 1e6),
        **_figures(found),
    }
    return lambda: call({}), facts


def brute_force(folder: Path, work: Work) -> dict:
    """The same figures from all products of a query at once.

    Args:
        folder: With the vectors.
        work: Their sizes.

    Returns:
        As the facts of a side: those of `ranks` and those of `nearest`.
    """
    items, queries, groups = _read(folder, "items32")
    of_items = np.arange(work.items) // GROUP
    ranks = np.empty(work.queries, "int64")
    positions = np.empty((work.queries, work.k), "int64")
    products = np.empty((work.queries, work.k), "float32")
    for start in range(0, work.queries, 20):
        for row, found in enumerate(
            queries[start : start + 20] @ items.T, start
        ):
            right = of_items == groups[row]
            rivals = (found >= found[right].max()) & ~right
            ranks[row] = 1 + np.count_nonzero(rivals)
            border = np.partition(found, -work.k)[-work.k]
            near = np.flatnonzero(found >= border)
            # The largest first; of equal ones the first.
            near = near[np.lexsort((near, -found[near]))][: work.k]
            positions[row], products[row] = near, found[near]
    return _figures(
        {"ranks": ranks, "positions": positions, "products": products}
    )


def _figures(found: dict[str, np.ndarray]) -> dict:
    """A checksum of each array; the figures of a report from ranks."""
    figures: dict = {}
    for name, values in found.items():
        content = np.ascontiguousarray(values).tobytes()
        figures[f"{name}_sha256"] = hashlib.sha256(content).hexdigest()[:16]
    with contextlib.suppress(KeyError):
        ranks = found["ranks"]
        figures |= {f"R@{k}": float((ranks <= k).mean()) for k in KS}
        figures["median_rank"] = float(np.median(ranks))
    return figures


def _read(folder: Path, items: str | None):
    return (
        None if items is None else np.load(folder / f"{items}.npy"),
        np.load(folder / "queries.npy"),
        np.load(folder / "groups.npy"),
    )
