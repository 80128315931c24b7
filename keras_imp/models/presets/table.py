"""All presets that this process can load by name, as a table."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from keras_imp.models.presets import BUILT_IN_FOLDERS, PRESETS
from keras_imp.models.presets.card import read_card
from keras_imp.models.presets.files import (
    CONFIG_FILE,
    SHARDS_FILE,
    WEIGHTS_FILE,
    PresetFiles,
)
from keras_imp.models.presets.installed import (
    Installed,
    check_full_names,
    installed,
)

_THIS_PACKAGE = "keras-imp"
# Of the constructor: what a size that names none has.
_MODALITIES = ("image", "video", "audio", "text")
# Letters of a license or a modality that are shown.
_LONGEST = 40
_UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclasses.dataclass(frozen=True)
class PresetInfo:
    """What is known of a preset without loading it.

    Attributes:
        name: What `IMPEncoder.from_preset` takes.
        package: Name of the package that brings it.
        parameters: Number of parameters, with all its modalities; None if the
            preset does not say it.
        active_parameters: Those that a token meets, on average.
        modalities: Names of its modalities.
        has_weights: Whether it has weights, or is an architecture only.
        license: License of the weights; None if its card states none.
        card: What its authors say of it, in Markdown.

    Example:
        >>> import keras_imp
        >>> keras_imp.list_presets()["imp_tiny"].active_parameters
        1462272
    """

    name: str
    package: str
    parameters: int | None
    active_parameters: int | None
    modalities: tuple[str, ...]
    has_weights: bool
    license: str | None
    card: str


class PresetTable(Mapping[str, PresetInfo]):
    """Presets by name, smallest first; printed, it is a table.

    Args:
        presets: The presets.

    Example:
        >>> import keras_imp
        >>> table = keras_imp.list_presets()
        >>> [name for name, preset in table.items()
        ...  if (preset.active_parameters or 0) < 2e6][:2]
        ['imp_moe_tiny_playground', 'imp_tiny_playground']
    """

    def __init__(self, presets: list[PresetInfo]):
        self._presets = {preset.name: preset for preset in presets}

    def __getitem__(self, name: str) -> PresetInfo:
        return self._presets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._presets)

    def __len__(self) -> int:
        return len(self._presets)

    def __repr__(self) -> str:
        rows = [_HEADINGS, *(cells(preset) for preset in self.values())]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join(
            "  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip()
            for row in rows
        )


_HEADINGS = (
    "preset",
    "package",
    "parameters",
    "active",
    "modalities",
    "weights",
    "license",
)


def list_presets() -> PresetTable:
    """All presets that `IMPEncoder.from_preset` knows by name.

    Those of this package come first, then those of other packages, which are
    found by their entry points; no code of these packages runs.

    Returns:
        A mapping from name to what is known of the preset, which prints as a
        table.

    Raises:
        ValueError: If two packages bring presets of the same full name.

    Example:
        >>> import keras_imp
        >>> table = keras_imp.list_presets()
        >>> table["imp_moe_tiny"].parameters > table["imp_tiny"].parameters
        True
    """
    found = installed()
    check_full_names(found)
    for preset in found:
        if preset.problem:
            warnings.warn(preset.complaint, stacklevel=2)
    others = map(_of_installed, found)
    return PresetTable([*built_in(), *filter(None, others)])


def built_in() -> list[PresetInfo]:
    """The presets of this package: those with weights, then the sizes.

    Returns:
        The presets.

    Example:
        >>> from keras_imp.models.presets.table import built_in
        >>> built_in()[-1].name
        'imp_ginormous'
    """
    trained = [
        _of_files(PresetFiles.of_folder(folder, name), _THIS_PACKAGE)
        for name, folder in BUILT_IN_FOLDERS.items()
    ]
    return [*trained, *(_of_size(name) for name in PRESETS)]


def cells(preset: PresetInfo) -> tuple[str, ...]:
    """A preset as words for the columns of a table.

    Args:
        preset: The preset.

    Returns:
        Name, package, parameters, active ones, modalities, whether there are
        weights, and license.

    Example:
        >>> import keras_imp
        >>> from keras_imp.models.presets.table import cells
        >>> cells(keras_imp.list_presets()["imp_tiny"])[2:4]
        ('1.5 M', '1.5 M')
    """
    return (
        preset.name,
        preset.package,
        _rounded(preset.parameters),
        _rounded(preset.active_parameters),
        ", ".join(preset.modalities) or "?",
        "yes" if preset.has_weights else "no",
        preset.license or "not stated",
    )


def _of_size(name: str) -> PresetInfo:
    size = PRESETS[name]
    return PresetInfo(
        name,
        _THIS_PACKAGE,
        size["parameters"],
        size["active_parameters"],
        tuple(size["config"].get("modalities", _MODALITIES)),
        False,
        "Apache-2.0",
        size["description"],
    )


def _of_installed(preset: Installed) -> PresetInfo | None:
    """A preset of another package; None if it cannot be used."""
    if preset.problem or preset.folder is None:
        return None
    try:
        return _of_files(
            PresetFiles.of_folder(preset.folder, preset.name),
            preset.distribution.rpartition(" ")[0],
        )
    except (OSError, ValueError) as error:
        warnings.warn(f"{preset.name}: {error}", stacklevel=3)
        return None


def _of_files(files: PresetFiles, package: str) -> PresetInfo:
    """What a preset says of itself: anybody may have written it."""
    metadata = files.read_metadata()
    config = files.read(CONFIG_FILE).get("config")
    arguments = config if isinstance(config, dict) else {}
    modalities = arguments.get("modalities")
    stated = metadata.get("license")
    return PresetInfo(
        files.name,
        _plain(package),
        _integer(metadata.get("parameter_count")),
        _integer(metadata.get("active_parameter_count")),
        tuple(map(_plain, modalities if isinstance(modalities, list) else ())),
        any(files.get(file) for file in (WEIGHTS_FILE, SHARDS_FILE)),
        _plain(stated) if stated else None,
        read_card(files),
    )


def _plain(text: Any) -> str:
    """Text of strangers, without what could move a terminal's cursor."""
    shown = "".join(c for c in str(text) if c.isprintable())
    return shown[:_LONGEST]


def _integer(value: Any) -> int | None:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer else None


def _rounded(count: int | None) -> str:
    if count is None:
        return "?"
    for unit, letter in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {letter}"
    return str(count)
