"""What the encoder of a run starts from: a size, or trained weights."""

from pathlib import Path
from typing import Any, NamedTuple

from keras_imp._errors import message
from keras_imp.data import Tokenizer
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.reading.matching import nearest
from keras_imp.evaluation.own_data.recipe import RecipeError, Sizes
from keras_imp.models.presets import BUILT_IN_FOLDERS, PRESETS
from keras_imp.models.presets.files import (
    CONFIG_FILE,
    METADATA_FILE,
    PREPROCESSOR_FILE,
    SHARDS_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
)
from keras_imp.models.presets.finding import find_files
from keras_imp.models.presets.installed import installed
from keras_imp.models.warm_start.names import names_backbone

# Of a run: its encoder, as a preset.
OF_RUN = "encoder"
# One of these is in each preset with weights. The folder of a run has a
# config.json, too, and presets of version 0.1.0 have no metadata.
_OF_WEIGHTS = (METADATA_FILE, WEIGHTS_FILE, SHARDS_FILE)


class Start(NamedTuple):
    """What an encoder starts from.

    Attributes:
        name: Name of a size or a preset, or the folder of a preset.
        config: Arguments of the encoder that it says.
        preprocessor: What made the inputs of its weights, if it says that.
        tokenizer: That of its weights for texts, if it has one.
        has_weights: Whether it has weights, or is a size only.

    Example:
        >>> from keras_imp.evaluation.own_data.start import start_of
        >>> start_of("imp_tiny").has_weights
        False
        >>> start_of("imp_tiny_playground").preprocessor.image
        (32, 32)
    """

    name: str
    config: dict[str, Any]
    preprocessor: IMPPreprocessor | None
    tokenizer: Tokenizer | None
    has_weights: bool

    @property
    def sizes(self) -> dict[str, Any]:
        """Sizes that its weights were trained with, by name in `Sizes`."""
        found: dict[str, Any] = {}
        if self.preprocessor is not None:
            for name in ("image", "video", "audio_seconds"):
                found[name] = getattr(self.preprocessor, name)
            if self.preprocessor.video is not None:
                found["video_stride"] = self.preprocessor.video_stride
        if self.tokenizer is not None:
            found["text"] = self.tokenizer.length
        if self.has_weights:
            for name in ("patch", "audio_patch"):
                found[name] = self._patch(name)
        return {name: each for name, each in found.items() if each}

    def check(self, sizes: Sizes) -> None:
        """Raise if other patches are asked for than those of the weights.

        Args:
            sizes: What is asked for.

        Raises:
            RecipeError: If they are.
        """
        if not self.has_weights:
            return
        for name in ("patch", "audio_patch"):
            given, own = getattr(sizes, name), self._patch(name)
            if given is not None and own is not None and given != own:
                raise RecipeError(
                    message(
                        f"`sizes.{name}` must be that of the encoder's "
                        f"weights, {list(own)}.",
                        "Leave it out.",
                        value=list(given),
                        encoder=self.name,
                    )
                )

    def _patch(self, name: str) -> tuple[int, ...] | None:
        value = self.config.get(
            {"patch": "patch_size", "audio_patch": "audio_patch_size"}[name]
        )
        return None if value is None else tuple(value)


def start_of(encoder: str) -> Start:
    """Look up what an encoder starts from.

    Args:
        encoder: What `resolve` returned.

    Returns:
        What is known of it.

    Raises:
        RecipeError: If there is none, or it cannot be read.
    """
    if encoder in PRESETS:
        return Start(encoder, PRESETS[encoder]["config"], None, None, False)
    try:
        files = find_files(encoder)
        files.need(CONFIG_FILE, "It must be the preset of an encoder.")
        if names_backbone(files.read(CONFIG_FILE)):
            raise ValueError(
                "This is a backbone of keras-hub. Convert it: "
                "IMPEncoder.from_backbone(...).save_to_preset(FOLDER)."
            )
        preprocessor = tokenizer = None
        if files.get(PREPROCESSOR_FILE) is not None:
            preprocessor = IMPPreprocessor.from_preset(encoder)
        if files.get(TOKENIZER_FILE) is not None:
            tokenizer = Tokenizer.from_preset(encoder)
        config = files.read_arguments(CONFIG_FILE)
    except (ValueError, OSError) as error:
        raise _refused(encoder, str(error)) from error
    return Start(encoder, config, preprocessor, tokenizer, True)


def resolve(encoder: str, folder: Path) -> str:
    """The full name of what an encoder starts from.

    Args:
        encoder: A size, the name or the address of a preset, the folder of a
            preset, or that of a run of `keras-imp train`.
        folder: Where relative paths start.

    Returns:
        The name, or the absolute path of the preset's folder.

    Raises:
        RecipeError: If there is none, or a preset and a folder have the name.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.evaluation.own_data.start import resolve
        >>> resolve("imp_tiny", Path("."))
        'imp_tiny'
    """
    place = folder / Path(encoder).expanduser()
    for each in (place, place / OF_RUN):
        if (each / CONFIG_FILE).is_file() and any(
            (each / name).is_file() for name in _OF_WEIGHTS
        ):
            if _is_named(encoder):
                raise _ambiguous(encoder, each)
            return str(each.resolve())
    if encoder in PRESETS:
        return encoder
    try:
        files = find_files(encoder)
        has_weights = any(files.get(name) is not None for name in _OF_WEIGHTS)
    except (ValueError, OSError) as error:
        hint = nearest(encoder, [*PRESETS, *BUILT_IN_FOLDERS])
        if _is_named(encoder):
            hint = str(error)
        raise _refused(encoder, hint) from error
    if not has_weights:
        hint = "The folder has none. That of a run has one when it has ended."
        raise _refused(encoder, hint)
    return encoder


def unknown_tokenizer(encoder: str) -> str:
    """What to say of weights for texts without their tokenizer.

    Args:
        encoder: The weights that were asked for.

    Returns:
        The message.
    """
    return message(
        "The tokenizer that the encoder's weights were trained with must be "
        "known: the ids of another one mean other words.",
        "Name its file in a recipe: tokenizer. Or start from a size such as "
        "'imp_tiny'.",
        encoder=encoder,
    )


def _is_named(encoder: str) -> bool:
    """Whether a size or a preset of some package has the name."""
    return encoder in (*PRESETS, *BUILT_IN_FOLDERS) or any(
        encoder in (preset.name, preset.preset) for preset in installed()
    )


def _ambiguous(encoder: str, folder: Path) -> RecipeError:
    return RecipeError(
        message(
            "`encoder` must stand for one preset only. A folder has the name, "
            "too.",
            f"Use './{encoder}' for the folder; for the preset, give the "
            "folder another name.",
            encoder=encoder,
            folder=str(folder.resolve()),
        )
    )


def _refused(encoder: str, why: str) -> RecipeError:
    return RecipeError(
        message(
            "`encoder` must be a size such as 'imp_tiny', a preset with "
            "weights, or the folder of a preset or of a run.",
            why,
            encoder=encoder,
        )
    )
