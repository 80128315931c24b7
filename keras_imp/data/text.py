"""Words to token ids, with a tokenizer trained on the captions at hand."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp._files import write_text
from keras_imp._optional import require
from keras_imp._repr import called
from keras_imp.models.presets.files import TOKENIZER_FILE
from keras_imp.models.presets.finding import find_files

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

    def __repr__(self) -> str:
        return called(
            "Tokenizer",
            vocabulary_size=self.vocabulary_size,
            length=self.length,
        )

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
        texts = sorted(set(texts))
        trained = _bert(library, library.models.WordPiece(unk_token=UNKNOWN))
        trainer = library.trainers.WordPieceTrainer(
            vocab_size=vocabulary_size,
            # The trainer numbers letters within words as it meets them, in the
            # order of a hash map, which is another one in each process, and
            # breaks ties by these numbers. Special tokens come first, in order.
            special_tokens=[PADDING, UNKNOWN, *_inner_letters(trained, texts)],
            show_progress=False,
        )
        trained.train_from_iterator(texts, trainer)
        # Once more without them as special tokens.
        model = library.models.WordPiece(trained.get_vocab(), unk_token=UNKNOWN)
        tokenizer = _bert(library, model)
        tokenizer.add_special_tokens([PADDING, UNKNOWN])
        return cls(tokenizer, length)

    @classmethod
    def load(cls, path: str | Path, length: int | None = None) -> "Tokenizer":
        """Read a `tokenizer.json`.

        Args:
            path: The file.
            length: Ids of a row. Defaults to what `save` wrote.

        Returns:
            The tokenizer.

        Raises:
            ValueError: If the file has no length either.
        """
        library = require("tokenizers", extra="data")
        tokenizer = library.Tokenizer.from_file(str(path))
        if length is None:
            length = (tokenizer.truncation or {}).get("max_length")
        if length is None:
            raise ValueError(
                message(
                    "`length` must be given: the file has none.",
                    path=str(path),
                    length=length,
                )
            )
        return cls(_whole(tokenizer), length)

    @classmethod
    def from_preset(
        cls, preset: str | Path, length: int | None = None
    ) -> "Tokenizer":
        """Read the tokenizer of a preset.

        Args:
            preset: A folder, or a name or an address, as for
                `IMPEncoder.from_preset`.
            length: Ids of a row. Defaults to what was saved.

        Returns:
            The tokenizer.

        Raises:
            FileNotFoundError: If the preset has no tokenizer.
            ValueError: If there is no such preset, or it has no length.

        Example:
            >>> import keras_imp
            >>> from keras_imp.data import Tokenizer
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=60)
            >>> encoder.save_to_preset("my_encoder",
            ...     tokenizer=Tokenizer.train(["a red heart"], 60, length=6))
            >>> Tokenizer.from_preset("my_encoder").length
            6
        """
        path = find_files(preset).need(
            TOKENIZER_FILE,
            "Save the encoder with it: encoder.save_to_preset(folder, "
            "tokenizer=tokenizer).",
        )
        return cls.load(path, length)

    @classmethod
    def from_text(cls, text: str, length: int) -> "Tokenizer":
        """A tokenizer from the content of a `tokenizer.json`.

        Args:
            text: The content.
            length: Ids of a row.

        Returns:
            The tokenizer.

        Example:
            >>> from keras_imp.data import Tokenizer
            >>> tokenizer = Tokenizer.train(["a red heart"], 60, length=6)
            >>> Tokenizer.from_text(tokenizer.tokenizer.to_str(), 4).length
            4
        """
        library = require("tokenizers", extra="data")
        return cls(_whole(library.Tokenizer.from_str(text)), length)

    def save(self, path: str | Path) -> None:
        """Write a `tokenizer.json`, or leave the one that is there.

        It has the length of a row too, as the `tokenizers` package writes it:
        as truncation and padding.

        Args:
            path: The file.
        """
        library = require("tokenizers", extra="data")
        whole = library.Tokenizer.from_str(self.tokenizer.to_str())
        whole.enable_truncation(self.length)
        whole.enable_padding(length=self.length, pad_id=0, pad_token=PADDING)
        write_text(Path(path), whole.to_str(pretty=True))

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


def _whole(tokenizer: Any) -> Any:
    """A tokenizer that neither cuts nor pads, which is done here."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _bert(library: Any, model: Any) -> Any:
    """A tokenizer that cuts lower-case text at spaces and punctuation."""
    tokenizer = library.Tokenizer(model)
    tokenizer.normalizer = library.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _inner_letters(tokenizer: Any, texts: list[str]) -> list[str]:
    """Letters within words, as a WordPiece vocabulary has them, sorted."""
    letters = set()
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal):
            letters.update(word[1:])
    return [f"##{letter}" for letter in sorted(letters)]
