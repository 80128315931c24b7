"""What may be given as the examples of a modality: one, or several."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imp._errors import check_integer, message, outline

# Most axes of an array that is one example.
RANKS = {"image": 3, "video": 4, "audio": 2}


def size_of(
    name: str, size: Any, axes: tuple[str, ...]
) -> tuple[int, ...] | None:
    """The size of a modality, checked.

    Args:
        name: Modality, for the message.
        size: Length of each axis, or None.
        axes: Their names.

    Returns:
        The size as a tuple, or None.

    Raises:
        ValueError: If it has other axes, or a length is no positive integer.

    Example:
        >>> from keras_imp.data.examples import size_of
        >>> size_of("image", [32, 48], ("height", "width"))
        (32, 48)
    """
    if size is None:
        return None
    given = tuple(size) if isinstance(size, list | tuple) else (size,)
    if len(given) != len(axes):
        raise ValueError(
            message(f"`{name}` must be ({', '.join(axes)}).", **{name: size})
        )
    for axis, length in zip(axes, given):
        check_integer(**{f"{name} ({axis})": length})
    return given


def check_examples(x: Any, modalities: tuple[str, ...]) -> None:
    """Raise unless examples are a dict of known modalities.

    Args:
        x: What was given.
        modalities: Those that have a size.

    Raises:
        TypeError: If it is no dict, or empty.
        ValueError: If a modality has no size.
    """
    if not isinstance(x, dict) or not x:
        raise TypeError(
            message(
                "`x` must be a dict from modality to examples.",
                'Use {"image": image}, for example.',
                x=outline(x),
            )
        )
    for name in x:
        if name not in modalities:
            raise ValueError(
                message(
                    f"The preprocessor has sizes of {modalities}.",
                    "Give it one of this modality too, or leave the modality "
                    "out.",
                    modality=name,
                )
            )


def check_generator(training: bool, generator: Any) -> None:
    """Raise if training lacks what draws the part that is kept.

    Args:
        training: Whether a random part is kept.
        generator: What was given.

    Raises:
        ValueError: If it is no `numpy.random.Generator`.
    """
    if training and not isinstance(generator, np.random.Generator):
        raise ValueError(
            message(
                "`generator` must be given for training: it draws what is "
                "kept.",
                "Use np.random.default_rng(seed).",
                generator=outline(generator),
            )
        )


def rows_of(x: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Several examples, one by one.

    Args:
        x: By modality one example, or several.

    Returns:
        The examples by modality, one dict each; None if `x` is one example.

    Raises:
        ValueError: If numbers differ, or there is none.

    Example:
        >>> from keras_imp.data.examples import rows_of
        >>> rows_of({"text": ["a heart", "an apple"]})
        [{'text': 'a heart'}, {'text': 'an apple'}]
    """
    batches = {name: several_of(name, value) for name, value in x.items()}
    if all(batch is None for batch in batches.values()):
        return None
    counts = {
        name: "one" if batch is None else len(batch)
        for name, batch in batches.items()
    }
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise ValueError(
            message(
                "All modalities must have the same number of examples, as "
                "lists of at least one, or one example each.",
                examples=counts,
            )
        )
    columns = [batch or [] for batch in batches.values()]
    return [dict(zip(x, row)) for row in zip(*columns)]


def several_of(name: str, value: Any) -> list | None:
    """The examples of a modality.

    Args:
        name: Modality.
        value: One example, or a list or an array of them.

    Returns:
        The examples; None if it is one.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.examples import several_of
        >>> len(several_of("image", np.zeros((2, 8, 8, 3))))
        2
        >>> several_of("text", "a red heart")
    """
    if isinstance(value, list):
        return value
    if name == "text":
        is_batch = not isinstance(value, str) and hasattr(value, "__len__")
    else:
        is_batch = isinstance(value, np.ndarray) and value.ndim > RANKS[name]
    return list(value) if is_batch else None


def as_text(value: Any) -> str:
    """One text, checked.

    Args:
        value: A string.

    Returns:
        The string.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(value, str):
        raise TypeError(
            message("A text must be a string.", type=type(value).__name__)
        )
    return value


def with_rate(audio: Any) -> tuple[np.ndarray, int | None]:
    """Samples, and their rate if it is given with them.

    Args:
        audio: An array; a pair of one and its rate; or a dict of `array` and
            `sampling_rate`, as the `datasets` package has it.

    Returns:
        The array, and its rate or None.

    Raises:
        ValueError: If the rate is no positive integer, or the dict has other
            keys.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.examples import with_rate
        >>> with_rate({"array": np.zeros(4), "sampling_rate": 8000})[1]
        8000
    """
    if isinstance(audio, Mapping):
        if not {"array", "sampling_rate"} <= set(audio):
            raise ValueError(
                message(
                    "A dict of audio must have `array` and `sampling_rate`.",
                    keys=sorted(map(str, audio)),
                )
            )
        audio = (audio["array"], audio["sampling_rate"])
    if not isinstance(audio, tuple):
        return np.asarray(audio), None
    if len(audio) != 2:
        raise ValueError(
            message(
                "A tuple of audio must be an array and its rate.",
                "Give several recordings as a list.",
                length=len(audio),
            )
        )
    check_integer(sampling_rate=audio[1])
    return np.asarray(audio[0]), int(audio[1])
