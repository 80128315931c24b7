"""Words to token ids, with a tokenizer trained on the captions at hand."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import check_positive
from keras_imp._optional import require

PADDING = "[PAD]"
UNKNOWN = "[UNK]"


class Tokenizer:
    """Text to fixed-length rows of token ids, 0 = padding.

    Wraps the `tokenizers` package; `train` makes a small WordPiece vocabulary,
    `Tokenizer.load` reads any `tokenizer.json`.

    Args:
        tokenizer: A `tokenizers.Tokenizer` whose id 0 is padding.
        length: Ids of a row; longer text is cut.

    Example:
        >>> from keras_imp.data.text import Tokenizer
        >>> tokenizer = Tokenizer.train(["a red heart", "a red apple"],
        ...                             vocabulary_size=60, length=6)
        >>> ids = tokenizer(["a red heart", ""])
        >>> ids.shape, int((ids[0] > 0).sum()), int(ids[1].sum())
        ((2, 6), 3, 0)
    """

    def __init__(self, tokenizer: Any, length: int):
        check_positive(length=length)
        if tokenizer.id_to_token(0) != PADDING:
            raise ValueError(
                f"Id 0 of the tokenizer must be the padding {PADDING!r}. "
                f"Received: id 0={tokenizer.id_to_token(0)!r}."
            )
        self.tokenizer = tokenizer
        self.length = length

    @classmethod
    def train(
        cls, texts: Iterable[str], vocabulary_size: int, length: int
    ) -> "Tokenizer":
        """Train a lower-case WordPiece tokenizer.

        Args:
            texts: Captions.
            vocabulary_size: Largest number of ids.
            length: Ids of a row.

        Returns:
            The tokenizer. The same texts give the same tokenizer.
        """
        library = require("tokenizers", extra="data")
        tokenizer = library.Tokenizer(
            library.models.WordPiece(unk_token=UNKNOWN)
        )
        tokenizer.normalizer = library.normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
        trainer = library.trainers.WordPieceTrainer(
            vocab_size=vocabulary_size,
            special_tokens=[PADDING, UNKNOWN],
            show_progress=False,
        )
        # Sorted, since the trainer breaks ties by order of appearance.
        tokenizer.train_from_iterator(sorted(set(texts)), trainer)
        return cls(tokenizer, length)

    @classmethod
    def load(cls, path: str | Path, length: int) -> "Tokenizer":
        """Read a `tokenizer.json`.

        Args:
            path: The file.
            length: Ids of a row.

        Returns:
            The tokenizer.
        """
        library = require("tokenizers", extra="data")
        return cls(library.Tokenizer.from_file(str(path)), length)

    def save(self, path: str | Path) -> None:
        """Write a `tokenizer.json`.

        Args:
            path: The file.
        """
        self.tokenizer.save(str(path))

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, padding included."""
        return self.tokenizer.get_vocab_size()

    def __call__(self, texts: Iterable[str]) -> np.ndarray:
        """Token ids of some texts.

        Args:
            texts: Captions.

        Returns:
            int32, shape `(texts, length)`.
        """
        rows = [self.tokenizer.encode(text).ids for text in texts]
        ids = np.zeros((len(rows), self.length), "int32")
        for row, values in zip(ids, rows):
            kept = values[: self.length]
            row[: len(kept)] = kept
        return ids
