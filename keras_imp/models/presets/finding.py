"""From what a user types to the files of a preset.

A name stands for a preset of this package, then of another package; a path for
a folder; an address for a hub. A name that could mean several is refused.
"""

import difflib
import os
import re
from pathlib import Path
from typing import NamedTuple

from keras_imp._errors import message
from keras_imp.models.presets import BUILT_IN_FOLDERS, PRESETS
from keras_imp.models.presets.files import (
    CONFIG_FILE,
    PREPROCESSOR_FILE,
    TOKENIZER_FILE,
    PresetFiles,
)
from keras_imp.models.presets.installed import installed
from keras_imp.models.presets.remote import is_handle, remote_files
from keras_imp.models.warm_start.names import backbone_presets

# A name, or a package and a name; everything else is a path.
_NAME = re.compile(r"[^./\\~][^/\\]*(/[^./\\][^/\\]*)?")


class Candidate(NamedTuple):
    """What a name may stand for.

    Attributes:
        folder: Where its files are; None for a size, which has none.
        words: What to call it in a message.
    """

    folder: Path | None
    words: str


def find_preset(preset: str | os.PathLike) -> PresetFiles | None:
    """The files of a preset.

    Args:
        preset: Name of a preset, `"package/preset"`, a folder, or an address
            that begins with `hf://` or `kaggle://`.

    Returns:
        The files, none of them for one of the sizes in `PRESETS`. None for
        what only keras-hub knows: an address with another scheme, or the name
        of a backbone that an encoder can start from.

    Raises:
        TypeError: If it is neither a string nor a path.
        ValueError: If nothing has the name, or several presets have it.

    Example:
        >>> from keras_imp.models.presets.finding import find_preset
        >>> find_preset("imp_tiny").read("config.json")
        {}
    """
    if not isinstance(preset, str | os.PathLike):
        raise TypeError(
            message(
                "`preset` must be a name, a folder or an address.",
                type=type(preset).__name__,
            )
        )
    if isinstance(preset, str) and is_handle(preset):
        return remote_files(preset)
    name = os.fspath(preset)
    if not isinstance(preset, str) or not _NAME.fullmatch(preset):
        return _of_path(name)
    candidates = _candidates(name)
    if len(candidates) > 1:
        listed = "; ".join(candidate.words for candidate in candidates)
        raise ValueError(
            message(
                f"The name of a preset must stand for one only, not for "
                f"{len(candidates)}: {listed}.",
                'Use "package/preset" for one of a package, "./name" for a '
                "folder; of two packages with one name, uninstall one.",
                preset=name,
            )
        )
    if not candidates:
        if name in backbone_presets(name):
            return None
        raise ValueError(unknown_name(name))
    if candidates[0].folder is None:
        return PresetFiles(name, lambda file: None, size=name)
    return PresetFiles.of_folder(candidates[0].folder, name)


def find_files(preset: str | os.PathLike) -> PresetFiles:
    """The files of a preset that keras-hub cannot read either.

    Args:
        preset: As for `find_preset`.

    Returns:
        The files.

    Raises:
        TypeError: If it is neither a string nor a path.
        ValueError: If nothing has the name, several presets have it, or the
            address has a scheme that is not known.
    """
    files = find_preset(preset)
    if files is None and not is_handle(os.fspath(preset)):
        raise ValueError(
            message(
                "This is a backbone of keras-hub, whose other parts only "
                "keras-hub loads.",
                "Use keras_hub.models.Preprocessor.from_preset.",
                preset=preset,
            )
        )
    if files is None:
        raise ValueError(
            message(
                "The address of a preset must begin with hf:// or kaggle://.",
                "Download the files, and give their folder.",
                preset=preset,
            )
        )
    return files


def _of_path(path: str) -> PresetFiles:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ValueError(
            message(
                "The folder of a preset must exist.",
                "Presets have names, which keras_imp.list_presets() shows, or "
                "are folders that `save_to_preset` wrote.",
                preset=path,
            )
        )
    return PresetFiles.of_folder(folder, path)


def _candidates(name: str) -> list[Candidate]:
    """All that a name may stand for."""
    found = []
    if name in PRESETS:
        found.append(Candidate(None, f"the preset {name!r} of keras-imp"))
    elif name in BUILT_IN_FOLDERS:
        found.append(
            Candidate(
                BUILT_IN_FOLDERS[name], f"the preset {name!r} of keras-imp"
            )
        )
    else:
        found += [
            Candidate(
                preset.folder, f"{preset.name!r} of {preset.distribution}"
            )
            for preset in installed()
            if name in (preset.name, preset.preset) and not preset.problem
        ]
    if _is_preset(Path(name)):
        folder = Path(name).absolute()
        found.append(Candidate(folder, f"the folder {str(folder)!r}"))
    return found


def _is_preset(folder: Path) -> bool:
    files = (CONFIG_FILE, PREPROCESSOR_FILE, TOKENIZER_FILE)
    return any((folder / file).is_file() for file in files)


def unknown_name(name: str) -> str:
    """What to say of a name that nothing has.

    Args:
        name: What the user typed.

    Returns:
        The message, with the nearest names.

    Example:
        >>> from keras_imp.models.presets.finding import unknown_name
        >>> "Did you mean 'imp_tiny'" in unknown_name("imp_tinny")
        True
    """
    others = installed()
    package, _, preset = name.rpartition("/")
    for found in others:
        is_meant = found.package == package and found.preset in ("", preset)
        if found.problem and is_meant:
            return message(found.complaint, preset=name)
    known = [*PRESETS, *BUILT_IN_FOLDERS, *backbone_presets(name)]
    for found in others:
        if not found.problem:
            known += [found.name, found.preset]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.7)
    hint = "keras_imp.list_presets() shows all names."
    if near:
        hint = f"Did you mean {' or '.join(map(repr, near))}? {hint}"
    rule = "`preset` must be the name or the folder of a preset."
    if Path(name).is_dir():
        rule = f"The folder of a preset must have a {CONFIG_FILE}."
    return message(rule, hint, preset=name)
