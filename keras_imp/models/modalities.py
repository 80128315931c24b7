"""The modalities that are known: five of the package, and a user's own."""

from typing import Any

from keras_imp._errors import message
from keras_imp.layers.log_mel import LogMel
from keras_imp.models.embedders import patch_embedder, token_embedder
from keras_imp.models.modality import EmbedderOptions, Modality
from keras_imp.models.resizing import (
    crop_time,
    keep_first,
    resize_images,
    resize_videos,
)
from keras_imp.models.value_checks import (
    check_pixels,
    check_samples,
    check_spectrogram,
    check_waveform,
)


def _vision(options: EmbedderOptions) -> Any:
    return patch_embedder(
        options,
        patch_size=options.patch_size,
        buckets=options.position_buckets,
        axis_names=("frames", "height", "width"),
        num_channels=3,
    )


def _audio(options: EmbedderOptions) -> Any:
    return patch_embedder(
        options,
        patch_size=options.audio_patch_size,
        buckets=options.audio_position_buckets,
        axis_names=("frames", "bins"),
        log_mel=LogMel(**options.log_mel),
    )


def _waveform(options: EmbedderOptions) -> Any:
    return patch_embedder(
        options,
        patch_size=(options.waveform_patch_size,),
        buckets=(options.waveform_position_buckets,),
        axis_names=("samples",),
    )


def _text(options: EmbedderOptions) -> Any:
    return token_embedder(
        options,
        vocabulary_size=options.vocabulary_size,
        max_length=options.max_sequence_length,
    )


BUILT_IN = {
    modality.name: modality
    for modality in (
        Modality(
            name="image",
            axes=("height", "width", 3),
            embedder="vision",
            make_embedder=_vision,
            resize=resize_images,
            check_values=check_pixels,
        ),
        Modality(
            name="video",
            axes=("frames", "height", "width", 3),
            embedder="vision",
            make_embedder=_vision,
            resize=resize_videos,
            only_shrinks=("frames",),
            check_values=check_pixels,
        ),
        Modality(
            name="audio",
            axes=("frames", "bins"),
            make_embedder=_audio,
            resize=crop_time,
            only_shrinks=("frames",),
            keeps=("bins",),
            check_values=check_spectrogram,
            raw=Modality(
                name="audio",
                axes=("samples",),
                make_embedder=_audio,
                resize=crop_time,
                only_shrinks=("samples",),
                check_values=check_samples,
            ),
        ),
        Modality(
            name="waveform",
            axes=("samples",),
            make_embedder=_waveform,
            resize=crop_time,
            only_shrinks=("samples",),
            check_values=check_waveform,
        ),
        Modality(
            name="text",
            axes=("length",),
            make_embedder=_text,
            token_ids=True,
            resize=keep_first,
            only_shrinks=("length",),
        ),
    )
}
# Those of the package first, then a user's own in the order of registration.
MODALITIES: dict[str, Modality] = dict(BUILT_IN)


def register_modality(modality: Modality, replace: bool = False) -> Modality:
    """Add a modality, so that encoders, shapes and tasks know its name.

    Call it where a module is imported, not in a function: a saved encoder
    names its modalities, and a process that loads it must have registered
    them by importing that module.

    Args:
        modality: The record.
        replace: Whether it may take the place of an earlier one of the same
            name, as in a cell of a notebook that runs twice. Encoders that
            were made before keep theirs.

    Returns:
        `modality`.

    Raises:
        TypeError: If it is no `Modality`.
        ValueError: If the name is taken, or another modality with the same
            embedder makes it by another function.

    Example:
        >>> import dataclasses, keras_imp
        >>> from keras_imp.models.modalities import modality_of
        >>> thermal = keras_imp.models.register_modality(
        ...     dataclasses.replace(modality_of("image"), name="thermal"))
        >>> encoder = keras_imp.IMPEncoder(
        ...     8, 16, 1, 2, modalities=("image", thermal))
        >>> encoder.embedder_of("thermal") is encoder.embedder_of("image")
        True
    """
    if not isinstance(modality, Modality):
        raise TypeError(
            message(
                "`modality` must be a keras_imp.models.Modality.",
                type=type(modality).__name__,
            )
        )
    may_replace = replace and modality.name not in BUILT_IN
    if modality.name in MODALITIES and not may_replace:
        raise ValueError(
            message(
                "A modality must not have the name of one that is registered.",
                "Choose another name, or replace one of your own with "
                "replace=True.",
                name=modality.name,
                replace=replace,
            )
        )
    for other in MODALITIES.values():
        if (
            other.name != modality.name
            and other.embedder == modality.embedder
            and other.make_embedder is not modality.make_embedder
        ):
            raise ValueError(
                message(
                    "Modalities that share an embedder must have the same "
                    f"`make_embedder`, that of {other.name!r} here.",
                    "Choose another name for the embedder.",
                    name=modality.name,
                    embedder=modality.embedder,
                )
            )
    MODALITIES[modality.name] = modality
    return modality


def modality_of(name: str) -> Modality:
    """The record of a modality.

    Args:
        name: Its name.

    Returns:
        The record.

    Raises:
        ValueError: If no modality has the name.

    Example:
        >>> from keras_imp.models.modalities import modality_of
        >>> modality_of("video").size_axes
        ('frames', 'height', 'width')
    """
    if name not in MODALITIES:
        raise ValueError(
            message(
                f"A modality must be one of {tuple(MODALITIES)}.",
                "Use one of these names. A modality of your own is known once "
                "the module that calls keras_imp.models.register_modality is "
                "imported.",
                modality=name,
            )
        )
    return MODALITIES[name]


def modalities_of(given: Any) -> tuple[Modality, ...]:
    """The records of an encoder's modalities.

    Args:
        given: Names, or records that are registered.

    Returns:
        The records.

    Raises:
        TypeError: If it is one name instead of several.
        ValueError: If there is none, one is unknown, or one is named twice.

    Example:
        >>> from keras_imp.models.modalities import modalities_of
        >>> [modality.name for modality in modalities_of(("text", "image"))]
        ['text', 'image']
    """
    if isinstance(given, (str, Modality)):
        raise TypeError(
            message(
                "`modalities` must be a tuple of names.",
                "Put it in parentheses, with a comma behind it.",
                modalities=getattr(given, "name", given),
            )
        )
    records = tuple(map(_record, given))
    names = [modality.name for modality in records]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            message(
                "`modalities` must have at least one name, and each only once.",
                modalities=tuple(names),
            )
        )
    return records


def check_modality(name: str, known: tuple[str, ...]) -> None:
    """Raise unless a modality is one of an encoder's.

    Args:
        name: Modality.
        known: Names that are allowed.

    Raises:
        ValueError: If it is not.

    Example:
        >>> from keras_imp.models.modalities import check_modality
        >>> check_modality("image", known=("image", "text"))
    """
    if name not in known:
        raise ValueError(
            message(
                f"A modality must be one of {tuple(known)}.",
                "Rename the key, or add the modality to `modalities` of the "
                "encoder.",
                modality=name,
            )
        )


def _record(given: Any) -> Modality:
    if not isinstance(given, Modality):
        return modality_of(given)
    if MODALITIES.get(given.name) is not given:
        raise ValueError(
            message(
                "A `Modality` must be registered before an encoder uses it: "
                "the encoder is saved with its name only.",
                "Call keras_imp.models.register_modality where its module is "
                "imported.",
                modality=given.name,
            )
        )
    return given
