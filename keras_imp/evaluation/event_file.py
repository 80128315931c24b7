"""What TensorBoard shows, written by its own package: without TensorFlow."""

import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from keras_imp._optional import require

# What the first event of a file must say.
VERSION = "brain.Event:2"
_numbers = itertools.count()


class EventFile:
    """A file of a run of TensorBoard; it is made when it is first written to.

    The writer of `tensorboard` itself loads TensorFlow, if it is installed.

    Args:
        folder: Folder of the run.

    Example:
        >>> import tempfile
        >>> from keras_imp.evaluation.event_file import EventFile
        >>> file = EventFile(tempfile.mkdtemp())
        >>> file.write(0, {"loss": 2.5})
        >>> file.close()
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._file: BinaryIO | None = None

    def write(
        self,
        step: int,
        scalars: Mapping[str, float] | None = None,
        images: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write values of a step, at once.

        Args:
            step: The step, or the epoch.
            scalars: Numbers by tag.
            images: Contents of PNG files by tag.

        Raises:
            ImportError: If `tensorboard` is not installed.
        """
        summary = _module("compat.proto.summary_pb2").Summary
        event = _module("compat.proto.event_pb2").Event
        values = [
            summary.Value(tag=tag, simple_value=float(value))
            for tag, value in (scalars or {}).items()
        ]
        values += [
            summary.Value(
                tag=tag, image=summary.Image(encoded_image_string=png)
            )
            for tag, png in (images or {}).items()
        ]
        if self._file is None:
            self._file = self._opened()
            _add(self._file, event(file_version=VERSION))
        _add(self._file, event(summary=summary(value=values), step=step))

    def close(self) -> None:
        """Close it; another is made when it is written to again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO:
        """A new file, which TensorBoard reads after those that are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        unique = f"{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        name = f"events.out.tfevents.{int(time.time()):010d}.{unique}"
        return (self.folder / name).open("wb")


def _add(file: BinaryIO, event: Any) -> None:
    event.wall_time = time.time()
    writer = _module("summary.writer.record_writer").RecordWriter(file)
    writer.write(event.SerializeToString())
    # At once, for those who watch.
    file.flush()


def _module(name: str) -> ModuleType:
    return require(f"tensorboard.{name}", extra="data")
