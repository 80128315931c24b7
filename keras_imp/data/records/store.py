"""Arrays of one shape by key, in memory at first and then in a folder."""

import functools
import threading
import time
import warnings
import weakref
from pathlib import Path

import numpy as np

from keras_imp._errors import message
from keras_imp.data.records.shards import (
    KEY,
    Shard,
    read_shards,
    remove_abandoned,
    write_shard,
)

# When what is in memory is written: a kill loses no more than that.
WRITTEN_BYTES, WRITTEN_SECONDS = 1 << 26, 60.0
# Files that are open at once: each has a descriptor of the process.
OPEN_FILES = 128
# Keys that are added one by one before all are sorted anew.
_SORTED = 1 << 16


class Store:
    """Arrays of one shape by key, for several threads and processes.

    What is put is written some time later, by the threads that put and get.
    Files of other processes are seen when a store is made. A full disk is a
    warning, after which nothing more is written: what is stored can be made
    again, so no run needs to end for it.

    Args:
        folder: Where its files are; no other store with another shape or dtype
            has it. It is made.
        shape: Of one array.
        dtype: Of the arrays.

    Raises:
        OSError: If the folder cannot be made.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from keras_imp.data.records.store import Store
        >>> store = Store(Path("cache"), (2,), "uint8")
        >>> store.put(b"0123456789abcdef", np.array([1, 2], "uint8"))
        >>> store.write()
        >>> Store(Path("cache"), (2,), "uint8").get(b"0123456789abcdef")
        array([1, 2], dtype=uint8)
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str):
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        self.folder = folder
        self.shape = shape
        self.dtype = dtype
        self._index = _Index(read_shards(folder, shape, dtype))
        self._new = _New(folder)
        # At the end of the process, too.
        weakref.finalize(self, self._new.write)
        shards = self._index.shards
        # Without a reference to this object, which would never end then.
        self._opened = functools.lru_cache(OPEN_FILES)(
            lambda number: shards[number].values(shape, dtype)
        )

    def __reduce__(self) -> tuple:
        return type(self), (self.folder, self.shape, self.dtype)

    def __len__(self) -> int:
        return len(self._index)

    def get(self, key: bytes) -> np.ndarray | None:
        """The array of a key.

        Args:
            key: 16 bytes.

        Returns:
            A copy, or None if there is none.
        """
        if self._new.is_due():
            self.write()
        found = self._new.get(key)
        if found is not None:
            return found.copy()
        place = self._index.find(key)
        if place is None:
            return None
        try:
            return np.array(self._opened(place[0])[place[1]])
        except OSError:  # Somebody removed the file.
            return None

    def put(self, key: bytes, values: np.ndarray) -> None:
        """Keep the array of a key.

        Args:
            key: 16 bytes.
            values: The array.
        """
        if values.shape == self.shape and values.dtype == self.dtype:
            self._new.add(key, values)
            if self._new.is_due():
                self.write()

    def write(self) -> None:
        """Write what is in memory."""
        shard = self._new.write()
        if shard is not None:
            self._index.add(shard)


def shared_store(folder: Path, shape: tuple[int, ...], dtype: str) -> Store:
    """The store of a folder in this process: one for all that use it.

    Args:
        folder: As for `Store`.
        shape: As for `Store`.
        dtype: As for `Store`.

    Returns:
        The store, with what others have put in it.

    Raises:
        OSError: If the folder cannot be made.
    """
    name = folder.absolute()
    with _LOCK:
        store = _STORES.get(name)
        if store is None:
            store = _STORES[name] = Store(name, shape, dtype)
        return store


def write_stores() -> None:
    """Write what the stores of this process have in memory.

    A store that something still refers to would write at the end of the
    process only: call this at the end of a run.
    """
    with _LOCK:
        stores = list(_STORES.values())
    for store in stores:
        store.write()


_STORES: weakref.WeakValueDictionary[Path, Store] = (
    weakref.WeakValueDictionary()
)
_LOCK = threading.Lock()


class _New:
    """Arrays that are not written yet."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()
        self._arrays: dict[bytes, np.ndarray] = {}
        self._bytes = 0
        self._since = 0.0
        self._is_full = False

    def get(self, key: bytes) -> np.ndarray | None:
        return self._arrays.get(key)

    def add(self, key: bytes, values: np.ndarray) -> None:
        if self._is_full:
            return
        with self._lock:
            if not self._arrays:
                self._since = time.monotonic()
            self._arrays[key] = values
            self._bytes += values.nbytes

    def is_due(self) -> bool:
        return bool(self._arrays) and (
            self._bytes >= WRITTEN_BYTES
            or time.monotonic() - self._since >= WRITTEN_SECONDS
        )

    def write(self) -> Shard | None:
        """Write all that is here; meanwhile, other threads do without it."""
        with self._lock:
            arrays, self._arrays, self._bytes = self._arrays, {}, 0
        if not arrays or self._is_full:
            return None
        try:
            return write_shard(self._folder, [*arrays], [*arrays.values()])
        except OSError as error:
            self._is_full = True
            text = message(
                "The cache cannot be written any more, so what is not in it is "
                "decoded each time.",
                "The batches are the same.",
                cache=str(self._folder),
                error=str(error),
            )
            warnings.warn(text, RuntimeWarning, stacklevel=2)
            return None


class _Index:
    """In which file an array is, and where in it, by its key."""

    def __init__(self, shards: list[Shard]):
        self.shards: list[Shard] = []
        self._lock = threading.Lock()
        # Sorted keys, and the place of each.
        self._sorted = (np.empty(0, KEY), np.empty((0, 2), "int64"))
        self._added: dict[bytes, tuple[int, int]] = {}
        for shard in shards:
            self.add(shard)

    def __len__(self) -> int:
        return len(self._sorted[0]) + len(self._added)

    def add(self, shard: Shard) -> None:
        with self._lock:
            number = len(self.shards)
            self.shards.append(shard)
            keys = shard.keys.tobytes()
            self._added.update(
                (keys[16 * row : 16 * row + 16], (number, row))
                for row in range(len(shard.keys))
            )
            if len(self._added) >= _SORTED:
                self._sort()

    def find(self, key: bytes) -> tuple[int, int] | None:
        added, (keys, places) = self._added, self._sorted
        if key in added:
            return added[key]
        wanted = np.frombuffer(key, KEY)
        row = int(np.searchsorted(keys, wanted)[0])
        if row == len(keys) or keys[row : row + 1].tobytes() != key:
            return None
        number, place = places[row].tolist()
        return number, place

    def _sort(self) -> None:
        """Bring what was added to the sorted keys, which take less memory."""
        keys, places = self._sorted
        added = np.frombuffer(b"".join(self._added), KEY)
        keys = np.concatenate([keys, added])
        places = np.concatenate([places, [*self._added.values()]])
        order = np.argsort(keys, kind="stable")
        # In this order: a key must be found by who reads meanwhile.
        self._sorted = keys[order], places[order]
        self._added = {}
