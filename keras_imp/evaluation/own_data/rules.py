"""What each key of a recipe may be."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_imp.data.reading.aliases import COLUMNS, MEDIA
from keras_imp.data.records.row_reader import CROPS

KINDS = ("contrastive", "classification", "multi-label", "regression")
MODALITIES = (*MEDIA, "text")
MATCHES = ("file", "group")
# NumPy takes no larger seed.
MAX_SEED = 2**32 - 1


class Rule(NamedTuple):
    """What a value must be.

    Attributes:
        text: In words, after "must be".
        holds: Whether a value is so.
    """

    text: str
    holds: Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, float) or _is_integer(value)
    return is_number and math.isfinite(value)


def _integer(least: int, most: float = math.inf) -> Rule:
    text = f"an integer of at least {least}"
    if most < math.inf:
        text += f" and at most {most}"
    return Rule(text, lambda x: _is_integer(x) and least <= x <= most)


def _one_of(choices: tuple[str, ...]) -> Rule:
    text = f"one of {', '.join(map(repr, choices))}"
    return Rule(text, lambda x: isinstance(x, str) and x in choices)


def _integers(count: int) -> Rule:
    return Rule(
        f"a list of {count} integers of at least 1",
        lambda x: (
            isinstance(x, list)
            and len(x) == count
            and all(_is_integer(each) and each >= 1 for each in x)
        ),
    )


_TEXT = Rule("a text", lambda x: isinstance(x, str) and bool(x))
_POSITIVE = Rule("a number above 0", lambda x: _is_number(x) and x > 0)
_NOT_NEGATIVE = Rule(
    "a number of at least 0", lambda x: _is_number(x) and x >= 0
)
_RATE = Rule("a number in [0, 1)", lambda x: _is_number(x) and 0 <= x < 1)

RULES = {
    # Of the run.
    "encoder": _TEXT,
    "steps": _integer(1),
    "seed": _integer(0, MAX_SEED),
    "learning_rate": _POSITIVE,
    "update_rms": _POSITIVE,
    "warmup": _RATE,
    "weight_decay": _NOT_NEGATIVE,
    "clip_norm": _POSITIVE,
    "dropout": _RATE,
    "projection_dim": _integer(1),
    "temperature": Rule(
        "a number of at least 0.01", lambda x: _is_number(x) and x >= 0.01
    ),
    # Padding, unknown words, and the letters.
    "vocabulary_size": _integer(32),
    "tokenizer": _TEXT,
    "validation_fraction": Rule(
        "a number in (0, 1)", lambda x: _is_number(x) and 0 < x < 1
    ),
    # Sizes.
    "image": _integers(2),
    "video": _integers(3),
    "video_stride": _integer(1),
    "audio_seconds": _POSITIVE,
    "text": _integer(1),
    "patch": _integers(3),
    "audio_patch": _integers(2),
    # Of a task.
    "data": _TEXT,
    "kind": _one_of(KINDS),
    "inputs": Rule(
        f"a list of some of {', '.join(map(repr, MODALITIES))}",
        lambda x: (
            isinstance(x, list)
            and bool(x)
            and all(each in MODALITIES for each in x)
            and len(set(x)) == len(x)
        ),
    ),
    "columns": Rule(
        f"a table from some of {', '.join(map(repr, COLUMNS))} to a name in "
        "the data",
        lambda x: (
            isinstance(x, dict)
            and all(
                name in COLUMNS and isinstance(each, str)
                for name, each in x.items()
            )
        ),
    ),
    "root": _TEXT,
    "label_separator": _TEXT,
    "weight": _POSITIVE,
    "batch_size": _integer(1),
    "crop": _one_of(CROPS),
    "augment": Rule("true or false", lambda x: isinstance(x, bool)),
    "match": _one_of(MATCHES),
}
