"""Sizes that fit the data and the encoder, where a recipe has none."""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_imp.data.decoding import (
    BadFile,
    decode_audio,
    decode_image,
    decode_video,
)
from keras_imp.data.manifest import Manifest
from keras_imp.data.records.row_reader import FRAME_SECONDS
from keras_imp.evaluation.own_data.recipe import DataRecipe, Sizes, TaskRecipe
from keras_imp.evaluation.own_data.start import start_of

# Files that are opened, and texts that are counted, of each task.
SAMPLED_FILES, SAMPLED_TEXTS = 16, 2000
# An encoder with patches of this size or more is meant for photographs.
LARGE_PATCH = 14
# Patches of small encoders: 64 tokens for an image, 128 for a video.
PATCH, AUDIO_PATCH = (4, 8, 8), (16, 16)
SMALL_SIDE, SIDE, LARGE_SIDE = 32, 64, 224
# Images of at most this many times the size of the inputs are not cut.
ROOM = 1.5
FRAMES, VIDEO_SECONDS = 8, 4.0
AUDIO_SECONDS = 8.0
TEXT_STEP, MOST_TEXT = 8, 64
# Sizes that each modality needs.
NEEDED = {
    "image": ("image", "patch"),
    "video": ("video", "video_stride", "patch"),
    "audio": ("audio_seconds", "audio_patch"),
    "text": ("text",),
}
# Token ids of a word of a caption, in the mean, of a small vocabulary.
IDS_OF_WORD = 1.5


def choose_sizes(
    recipe: DataRecipe, manifests: Mapping[str, Manifest]
) -> DataRecipe:
    """A recipe with the sizes of all modalities that its tasks have.

    Args:
        recipe: Its tasks have their inputs.
        manifests: Rows by task.

    Returns:
        The recipe, with how each task cuts images and videos. What it says
        stays. An encoder that starts from trained weights has the sizes that
        these were trained with.

    Raises:
        RecipeError: If there is no such encoder, or it has other patches than
            the recipe.
    """
    modalities = {
        n for task in recipe.tasks.values() for n in task.inputs or ()
    }
    if _is_complete(recipe, modalities):
        # As of a run that is evaluated: what it started from may be gone.
        return recipe
    start = start_of(recipe.encoder)
    start.check(recipe.sizes)
    config = start.config
    patch = config.get("patch_size", (4, 16, 16))
    is_small = patch[1] < LARGE_PATCH
    samples = _Samples(recipe.tasks, manifests)
    chosen: dict[str, Any] = {}
    sides: dict[str, float] = {}
    if modalities & {"image", "video"}:
        chosen["patch"] = PATCH if is_small else tuple(patch)
    if "image" in modalities:
        facts = samples.facts("image", decode_image)
        sides["image"] = _median_side(facts)
        is_tiny = sides["image"] <= SMALL_SIDE * ROOM
        side = (SMALL_SIDE if is_tiny else SIDE) if is_small else LARGE_SIDE
        chosen["image"] = (side, side)
    if "video" in modalities:
        side = SIDE if is_small else LARGE_SIDE
        chosen["video"] = (FRAMES, side, side)
        decode = functools.partial(decode_video, frames=1)
        facts = samples.facts("video", decode)
        sides["video"] = _median_side(facts)
        chosen["video_stride"] = _stride(facts)
    if "audio" in modalities:
        given = config.get("audio_patch_size", (16, 16))
        chosen["audio_patch"] = AUDIO_PATCH if is_small else tuple(given)
        decode = functools.partial(decode_audio, seconds=0.01)
        chosen["audio_seconds"] = _seconds(samples.facts("audio", decode))
    if "text" in modalities:
        chosen["text"] = _length(samples.texts())
    given = {k: v for k, v in dataclasses.asdict(recipe.sizes).items() if v}
    trained = {k: v for k, v in start.sizes.items() if k in chosen}
    sizes = Sizes(**{**chosen, **trained, **given})
    tasks = {
        name: _with_crop(task, sizes, sides)
        for name, task in recipe.tasks.items()
    }
    return dataclasses.replace(recipe, sizes=sizes, tasks=tasks)


def _is_complete(recipe: DataRecipe, modalities: set[str]) -> bool:
    """Whether nothing is left to be chosen."""
    needed = {name for each in modalities for name in NEEDED[each]}
    crops = [
        task.crop
        for task in recipe.tasks.values()
        if {"image", "video"} & {*(task.inputs or ())}
    ]
    sizes = [getattr(recipe.sizes, name) for name in needed]
    return bool(sizes) and None not in sizes + crops


def _with_crop(
    task: TaskRecipe, sizes: Sizes, sides: Mapping[str, float]
) -> TaskRecipe:
    """Photographs have room to cut; small images are of one thing, in full."""
    cut: dict[str, Any] = {"image": sizes.image, "video": sizes.video}
    names = [name for name in task.inputs or () if name in cut]
    if task.crop is not None or not names:
        return task
    is_whole = all(
        cut[name][-1] <= SMALL_SIDE or sides[name] <= ROOM * cut[name][-1]
        for name in names
    )
    return dataclasses.replace(task, crop="center" if is_whole else "inception")


class _Samples:
    """Some files and texts of all tasks."""

    def __init__(
        self,
        tasks: Mapping[str, TaskRecipe],
        manifests: Mapping[str, Manifest],
    ):
        self._tasks = tasks
        self._manifests = manifests

    def facts(
        self, modality: str, decode: Callable[..., Any]
    ) -> list[dict[str, Any]]:
        """What headers of files say. The scan tells of those that are bad."""
        found = []
        for manifest, rows in self._rows(modality, SAMPLED_FILES):
            is_own = modality in manifest.columns
            column = modality if is_own else "video"
            for row in rows:
                try:
                    source = manifest.source(row, column)
                    if source is not None:
                        found.append(decode(source).facts)
                except BadFile:
                    continue
        return found

    def texts(self) -> list[str]:
        return [
            text
            for manifest, rows in self._rows("text", SAMPLED_TEXTS)
            for row in rows
            for text in manifest.texts_of(row, "text")
        ]

    def _rows(
        self, modality: str, most: int
    ) -> Iterator[tuple[Manifest, list[int]]]:
        for name, task in self._tasks.items():
            if modality in (task.inputs or ()):
                manifest = self._manifests[name]
                yield manifest, spread(len(manifest), most).tolist()


def spread(rows: int, most: int) -> np.ndarray:
    """Some rows, evenly over all.

    Args:
        rows: How many there are.
        most: How many to take.

    Returns:
        int64, shape `(min(rows, most),)`, in order.

    Example:
        >>> from keras_imp.evaluation.own_data.choices import spread
        >>> spread(10, 4).tolist()
        [0, 3, 6, 9]
    """
    return np.linspace(0, rows - 1, min(rows, most)).astype("int64")


def _median_side(facts: list[dict[str, Any]]) -> float:
    """The shorter side of an image in the middle; of none, beyond all."""
    sides = [min(each["height"], each["width"]) for each in facts]
    return float(np.median(sides)) if sides else math.inf


def _stride(facts: list[dict[str, Any]]) -> int:
    """Frames from one to the next, so that all cover a video, or seconds."""
    seconds = [each["seconds"] for each in facts if each["seconds"]]
    covered = min(float(np.median(seconds)) if seconds else 0, VIDEO_SECONDS)
    return max(1, int(covered / FRAME_SECONDS / FRAMES))


def _seconds(facts: list[dict[str, Any]]) -> float:
    seconds = [each["seconds"] for each in facts if each["seconds"]]
    longest = max(seconds, default=AUDIO_SECONDS)
    return min(math.ceil(longest * 10) / 10, AUDIO_SECONDS)


def _length(texts: list[str]) -> int:
    words = [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]
    most = np.percentile(words, 95) * IDS_OF_WORD if words else 0
    steps = max(2, math.ceil(most / TEXT_STEP))
    return min(steps * TEXT_STEP, MOST_TEXT)
