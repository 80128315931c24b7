"""Write the bundled data as files and tables, as a person would bring them."""

import contextlib
import csv
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp._files import UNFINISHED
from keras_imp._optional import require
from keras_imp.data.playground.reading import FILES
from keras_imp.data.playground.sounds import SAMPLING_RATE
from keras_imp.data.playground.tables import Row, Table, tables

# What is copied as it is: a recipe, and what the files are.
WRITTEN = Path(__file__).parent / "written"
FRAMES_PER_SECOND = 25
Progress = Callable[[int, int], None]


def write_files(
    folder: str | os.PathLike,
    limit: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the playground as files, tables and a recipe: data of your own.

    Images become PNG, audio WAV of 16 bits, and a rendered clip of each emoji
    FFV1 in Matroska. All of them are lossless: decoded, they are the arrays of
    `load`, and audio is as near to them as 16 bits are. A table for each task
    says what is in them: `keras_imp.data.read(folder / "captions.jsonl")`.
    `recipe.toml` trains on all four: `keras-imp train --recipe`.

    The folder is there as a whole or not at all: until all is written, it has
    another name, which begins with `unfinished-`.

    Needs Pillow, soundfile and PyAV: `pip install 'keras-imp[data,video]'`.

    Args:
        folder: The folder to make. It may exist if it is empty.
        limit: Most examples of each label in each split, of each table.
            Defaults to all.
        progress: Called after each file with the number of files that are
            written, and of all.

    Returns:
        The number of images, audio files and videos.

    Raises:
        FileExistsError: If there is something in the folder.
        OSError: If it cannot be written.
        ImportError: If a package is missing.

    Example:
        >>> import keras_imp
        >>> from keras_imp.data import playground
        >>> playground.write_files("some", limit=1)
        208
        >>> keras_imp.data.read("some/captions.jsonl").columns
        ('image', 'text', 'label', 'group', 'split')
    """
    if limit is not None:
        check_integer(limit=limit)
    for module, extra in _NEEDED.items():
        require(module, extra)
    with _as_a_whole(Path(folder)) as unfinished:
        found = tables(limit)
        files = [
            (_WRITERS[table.column], row)
            for table in found
            for row in table.rows
        ]
        for name in {row.file.rpartition("/")[0] for _, row in files}:
            (unfinished / name).mkdir(parents=True)
        for number, (write, row) in enumerate(files, 1):
            write(unfinished / row.file, row.content)
            if progress is not None:
                progress(number, len(files))
        for table in found:
            _write_table(unfinished / table.name, table)
        for path in (*WRITTEN.iterdir(), *FILES.glob("LICENSE*")):
            shutil.copyfile(path, unfinished / path.name)
        shutil.copyfile(FILES / "NOTICE", unfinished / "NOTICE")
    return len(files)


@contextlib.contextmanager
def _as_a_whole(folder: Path) -> Iterator[Path]:
    """A folder to write to, which becomes another one at the end."""
    folder = folder.absolute()
    if folder.exists() and not _is_empty(folder):
        raise FileExistsError(
            message(
                "The folder to write must be a new or an empty one.",
                "Choose another one.",
                folder=str(folder),
            )
        )
    # Of this call alone: two may write at once, and the first one wins.
    name = f"{UNFINISHED}{folder.name}-{uuid.uuid4().hex[:8]}"
    unfinished = folder.with_name(name)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _write_table(path: Path, table: Table) -> None:
    rows = [_values(row, table.column) for row in table.rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False) for row in rows)
            file.writelines(f"{line}\n" for line in lines)
            return
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _values(row: Row, column: str) -> dict[str, str | list[str]]:
    """A row by the names of columns, without those that it has nothing of."""
    values: dict[str, str | list[str]] = {column: row.file}
    if row.texts:
        values["text"] = row.texts[0] if len(row.texts) == 1 else [*row.texts]
    values["label"] = row.label
    if row.group:
        values["group"] = row.group
    values["split"] = row.split
    return values


def _write_image(path: Path, image: np.ndarray) -> None:
    """uint8, shape `(height, width, 3)`."""
    require("PIL.Image", extra="data").fromarray(image).save(path)


def _write_audio(path: Path, waveform: np.ndarray) -> None:
    """float32 in [-1, 1], shape `(samples,)`."""
    # As the decoder divides by 32768; soundfile would multiply by 32767.
    samples = np.clip(np.rint(waveform * 32768.0), -32768, 32767)
    soundfile = require("soundfile", extra="data")
    soundfile.write(path, samples.astype("int16"), SAMPLING_RATE, "PCM_16")


def _write_video(path: Path, frames: np.ndarray) -> None:
    """uint8, shape `(frames, height, width, 3)`."""
    av = require("av", extra="video")
    # Else it would hold a random number, and differ in each writing.
    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("ffv1", rate=FRAMES_PER_SECOND)
        stream.height, stream.width = frames.shape[1:3]
        # Red, green and blue as they are; other formats would round.
        stream.pix_fmt = "bgr0"
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


_WRITERS = {"image": _write_image, "audio": _write_audio, "video": _write_video}
_NEEDED = {"PIL.Image": "data", "soundfile": "data", "av": "video"}
