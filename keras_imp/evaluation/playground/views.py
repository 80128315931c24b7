"""The test-time views of the playground's examples.

An image that is moved by a pixel, or a recording that is played a little
higher, is still the same thing, and what a small model makes of it should not
depend on that. Which views help is told by `benchmarks/playground_views.py`, on
the validation split. The linear models that the encoder is compared with have
the same ones.
"""

import dataclasses

import numpy as np

from keras_imp.data.augment.images import transform
from keras_imp.data.augment.waveforms import shift_pitch
from keras_imp.evaluation.playground.splits import log_mel
from keras_imp.evaluation.views import rows_of_views


@dataclasses.dataclass(frozen=True)
class Views:
    """In which versions each example is shown to a model.

    Attributes:
        moves: Of an image or a video: pixels down, and to the right.
        sounds: Of a recording: semitones higher, and frames later.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.playground.views import Views
        >>> views = Views(moves=((0, 0), (0, 1)))
        >>> image = np.arange(4, dtype="uint8").reshape(1, 2, 2, 1)
        >>> views.of_images(image)[1, ..., 0]
        array([[0, 0],
               [2, 2]], dtype=uint8)
    """

    moves: tuple[tuple[int, int], ...] = ((0, 0),)
    sounds: tuple[tuple[float, int], ...] = ((0, 0),)

    def count(self, modality: str) -> int:
        """Rows of an example of `"image"`, `"video"` or `"audio"`."""
        return len(self.sounds if modality == "audio" else self.moves)

    def of_images(self, images: np.ndarray) -> np.ndarray:
        """Move images or videos; what comes in repeats the edge.

        Args:
            images: Shape `(images, height, width, channels)`, or with an axis
                of frames before the height.

        Returns:
            The views, as `rows_of_views` has them.
        """
        height, width = images.shape[-3:-1]
        return rows_of_views(
            [
                transform(images, shift=(down / height, right / width))
                for down, right in self.moves
            ]
        )

    def of_waveforms(self, waveforms: np.ndarray) -> np.ndarray:
        """Play recordings higher and later, as log-mel spectrograms.

        Args:
            waveforms: float32, shape `(recordings, samples)`.

        Returns:
            The views, as `rows_of_views` has them: float32, shape
            `(recordings * views, 64, 64)`.
        """
        played = {
            semitones: log_mel(shift_pitch(waveforms, semitones))
            for semitones in {pitch for pitch, _ in self.sounds}
        }

        def later(spectrograms: np.ndarray, frames: int) -> np.ndarray:
            count = spectrograms.shape[1]
            places = np.clip(np.arange(count) - frames, 0, count - 1)
            return spectrograms[:, places]

        return rows_of_views(
            [later(played[pitch], frames) for pitch, frames in self.sounds]
        )


ONE_VIEW = Views()
VIEWS = Views(
    moves=((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)),
    sounds=(
        (0, 0),
        *((semitones, 0) for semitones in (-3, -2, -1, 1, 2, 3)),
        *((0, frames) for frames in (-6, -4, -2, 2, 4, 6)),
    ),
)
