"""The tokenizer of a run, and how much of the texts it knows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.data import Tokenizer
from keras_imp.data.text import UNKNOWN
from keras_imp.evaluation.own_data.choices import spread
from keras_imp.evaluation.own_data.recipe import DataRecipe
from keras_imp.evaluation.own_data.rows import Part, TaskRows
from keras_imp.evaluation.own_data.start import start_of, unknown_tokenizer
from keras_imp.evaluation.run_folder import RunError, load_tokenizer

FILE = "tokenizer.json"
# Rows whose texts a tokenizer is trained on, and that are looked at.
TRAINED, LOOKED_AT = 200_000, 2000
# Fraction of unknown tokens that is told, and that is refused.
TOLD, REFUSED = 0.05, 0.5
# Fraction of texts that are cut that is told.
CUT = 0.05


class Known(NamedTuple):
    """How much of some texts a tokenizer knows.

    Attributes:
        unknown: Fraction of the tokens that are unknown.
        cut: Fraction of the texts that are longer than its rows.
    """

    unknown: float
    cut: float


def tokenizer_of(
    recipe: DataRecipe, tasks: Mapping[str, TaskRows], folder: Path
) -> Tokenizer | None:
    """The tokenizer of a run: of its folder, its recipe, its encoder, or new.

    Args:
        recipe: For the length and the vocabulary.
        tasks: Rows of all tasks.
        folder: Folder of the run, where it is kept.

    Returns:
        The tokenizer; None without texts.

    Raises:
        RunError: If a file is none, or trained weights are of an unknown one.
    """
    reading = [rows for rows in tasks.values() if "text" in rows.inputs]
    if not reading:
        return None
    path = folder / FILE
    if path.exists():
        return load_tokenizer(path, recipe.sizes.text)
    start = start_of(recipe.encoder)
    if recipe.tokenizer is not None:
        tokenizer = load_tokenizer(Path(recipe.tokenizer), recipe.sizes.text)
    elif start.tokenizer is not None:
        # Its ids are those that the weights know.
        start.tokenizer.save(path)
        tokenizer = load_tokenizer(path, recipe.sizes.text)
    elif start.has_weights:
        raise RunError(unknown_tokenizer(recipe.encoder))
    else:
        texts = [x for rows in reading for x in texts_of(rows.train, TRAINED)]
        tokenizer = Tokenizer.train(
            texts, recipe.vocabulary_size, recipe.sizes.text or 16
        )
    tokenizer.save(path)
    return tokenizer


def check_words(
    tokenizer: Tokenizer, tasks: Mapping[str, TaskRows]
) -> list[str]:
    """Look at how much of the texts of all tasks a tokenizer knows.

    Args:
        tokenizer: The tokenizer.
        tasks: Rows of all tasks.

    Returns:
        Sentences on what is worth to be told.

    Raises:
        RunError: If most of the tokens are unknown.
    """
    told = []
    for name, rows in tasks.items():
        if "text" not in rows.inputs:
            continue
        parts = {"training": rows.train, "validation": rows.validation}
        for what, part in parts.items():
            known = look_at(tokenizer, texts_of(part, LOOKED_AT))
            if known.unknown > REFUSED:
                raise RunError(
                    message(
                        f"Task {name!r}: the tokenizer must know most of the "
                        f"{what} texts. These may be of another language.",
                        "Leave `tokenizer` out of the recipe, and start from a "
                        "size, to train one on the training texts.",
                        unknown=f"{known.unknown:.0%} of the tokens",
                    )
                )
            if known.unknown > TOLD:
                told.append(
                    f"Task {name!r}: the tokenizer does not know "
                    f"{known.unknown:.0%} of the tokens of its {what} texts."
                )
            if known.cut > CUT:
                told.append(
                    f"Task {name!r}: {known.cut:.0%} of its {what} texts are "
                    f"longer than {tokenizer.length} token ids, and are cut. "
                    "[sizes] text = ... in a recipe sets the length."
                )
    return told


def look_at(tokenizer: Tokenizer, texts: Iterable[str]) -> Known:
    """How much of some texts a tokenizer knows.

    Args:
        tokenizer: The tokenizer.
        texts: The texts.

    Returns:
        Fractions; 0 without texts.

    Example:
        >>> from keras_imp.data import Tokenizer
        >>> from keras_imp.evaluation.own_data.words import look_at
        >>> tokenizer = Tokenizer.train(["a red heart"], 60, length=6)
        >>> look_at(tokenizer, ["a red heart", "сердце"])
        Known(unknown=0.25, cut=0.0)
    """
    unknown_id = tokenizer.tokenizer.token_to_id(UNKNOWN)
    lengths, unknown = [], 0
    for text in texts:
        ids = tokenizer.tokenizer.encode(text).ids
        lengths.append(len(ids))
        unknown += ids.count(unknown_id)
    if not sum(lengths):
        return Known(0.0, 0.0)
    is_cut = np.array(lengths) > tokenizer.length
    return Known(unknown / sum(lengths), float(is_cut.mean()))


def texts_of(part: Part, most: int) -> list[str]:
    """The texts of some rows.

    Args:
        part: The rows.
        most: From how many of them.

    Returns:
        All texts of these rows.
    """
    return [
        text
        for row in spread(len(part), most).tolist()
        for text in part.manifest.texts_of(row, "text")
    ]
