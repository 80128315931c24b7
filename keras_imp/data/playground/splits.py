"""Read one split of the bundled data, or one part of a fold."""

import dataclasses

from keras_imp.data.playground.emoji import Emoji, load_emoji
from keras_imp.data.playground.fashion import Fashion, load_fashion
from keras_imp.data.playground.parts import check
from keras_imp.data.playground.sounds import Sounds, load_sounds


@dataclasses.dataclass(frozen=True)
class PlaygroundSplit:
    """One split of the playground.

    Attributes:
        fashion: Images with a class.
        emoji: Images with words.
        sounds: Sounds with a family and words.

    Example:
        >>> from keras_imp.data import playground
        >>> split = playground.load("validation")
        >>> sorted(vars(split))
        ['emoji', 'fashion', 'sounds']
    """

    fashion: Fashion
    emoji: Emoji
    sounds: Sounds


def load(split: str, fold: int | None = None) -> PlaygroundSplit:
    """Read one split of the bundled data, or one part of a fold.

    To choose between two ways of training, compare them by cross-validation:
    train on `load("train", fold=k)` and score on `load("validation", fold=k)`
    for each `k` of `range(FOLDS)`. The folds divide the training and
    validation splits together by concept, by instrument and, for Fashion, by
    image, so that every example is scored at most once and the test split is
    left for the end. Concepts of more than 20 images, and the only instrument
    of a family, train in every fold.

    Needs Pillow and soundfile: `pip install 'keras-imp[data]'`.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        fold: None for the three splits as they are, or which of the `FOLDS`
            folds is the validation data, from 0.

    Returns:
        The decoded arrays with their labels and captions, as a
        `PlaygroundSplit`.

    Raises:
        ValueError: If the split or the fold is unknown, if a fold of the test
            split is asked for, or if a data file is damaged.
        FileNotFoundError: If a data file is missing.
        ImportError: If Pillow or soundfile is not installed.

    Example:
        >>> from keras_imp.data import playground
        >>> data = playground.load("validation")
        >>> data.fashion.images.shape, data.fashion.labels.shape
        ((1000, 32, 32, 3), (1000,))
        >>> data.emoji.images.shape, len(data.emoji.captions[0])
        ((137, 32, 32, 3), 3)
        >>> data.sounds.waveforms.shape
        (95, 16384)
        >>> playground.load("validation", fold=0).fashion.images.shape
        (1800, 32, 32, 3)
    """
    part = check(split, fold)
    return PlaygroundSplit(
        fashion=load_fashion(part),
        emoji=load_emoji(part),
        sounds=load_sounds(part),
    )
