"""The inputs that `scripts/fetch_large_inputs.py` writes."""

import dataclasses
import functools
import pathlib

import numpy as np

IMAGE, VIDEO, AUDIO = (64, 64), (16, 64, 64), (512, 64)


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of the larger inputs.

    Attributes:
        name: `"train"` or `"test"`.
        folder: What `scripts/fetch_large_inputs.py` has written.
    """

    name: str
    folder: pathlib.Path

    @functools.cached_property
    def source(self):
        """The playground's split: names and captions of the emoji."""
        from keras_imp.data import playground

        return playground.load(self.name)

    @property
    def names(self) -> list[str]:
        """What each emoji shows."""
        return self.source.emoji.names

    @functools.cached_property
    def images(self) -> np.ndarray:
        """uint8, shape `(emoji, 64, 64, 3)`."""
        return np.load(self.folder / f"emoji_{self.name}.npy")

    @functools.cached_property
    def captions(self) -> list[str]:
        """Name and subcategory of each emoji."""
        return [several[1] for several in self.source.emoji.captions]

    @functools.cached_property
    def clips(self) -> tuple[np.ndarray, np.ndarray]:
        """Videos, uint8, shape `(emoji, 16, 64, 64, 3)`, and their motions."""
        from keras_imp.data import playground

        seed = ("train", "test").index(self.name)
        frames, size, _ = VIDEO
        return playground.render_clips(self.images, seed, frames, size)

    @functools.cached_property
    def music(self) -> tuple[np.ndarray, np.ndarray]:
        """Spectrograms, shape `(excerpts, 512, 64)`, and their pieces."""
        with np.load(self.folder / f"music_{self.name}.npz") as file:
            return file["audio"], file["labels"]

    def kinds(self, known: list[str]) -> np.ndarray:
        """The subcategory of each emoji; -1 if it is not one of the known."""
        places = {kind: place for place, kind in enumerate(known)}
        return np.array(
            [places.get(k, -1) for k in self.source.emoji.subcategories]
        )
