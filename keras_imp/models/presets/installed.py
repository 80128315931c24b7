"""Presets that other packages bring, found without importing these packages.

Such a package has an entry point of the group `keras_imp.presets`. Its name is
what stands before the slash in `"package/preset"`, its value a package whose
subfolders are presets. Only the folder of that package is looked up: none of
its code runs.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple

from keras_imp._errors import message
from keras_imp.models.presets.files import CONFIG_FILE

GROUP = "keras_imp.presets"
# What names of presets of other packages must not begin with.
RESERVED = "imp_"
_RESERVED_PACKAGES = ("keras_imp", "keras-imp")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class Installed(NamedTuple):
    """A preset of another package.

    Attributes:
        package: Name of the entry point.
        preset: Name of the folder; empty if a whole package has a problem.
        folder: The folder, if there is one.
        distribution: Name and version of what pip has installed.
        problem: Why it cannot be used; empty if it can.
    """

    package: str
    preset: str
    folder: Path | None
    distribution: str
    problem: str = ""

    @property
    def name(self) -> str:
        """The full name: `"package/preset"`."""
        return f"{self.package}/{self.preset}"

    @property
    def complaint(self) -> str:
        """The problem, as a sentence."""
        what = f"preset {self.name!r}" if self.preset else "presets"
        return (
            f"The {what} of {self.distribution} cannot be used: "
            f"{self.problem}. Tell its authors."
        )


def installed() -> list[Installed]:
    """All presets of installed packages.

    Returns:
        Presets by package, in the order of their names. A package that cannot
        be used is one line with its problem.

    Example:
        >>> from keras_imp.models.presets.installed import installed
        >>> all(found.distribution for found in installed())
        True
    """
    found: dict[tuple[str, Path | None], Installed] = {}
    for entry_point in sorted(entry_points(group=GROUP)):
        for preset in _presets_of(entry_point):
            # One package may be found by two entries of `sys.path`.
            found.setdefault((preset.name, preset.folder), preset)
    return list(found.values())


def check_full_names(presets: Iterable[Installed]) -> None:
    """Raise if two packages bring presets of the same full name.

    Args:
        presets: All presets of other packages.

    Raises:
        ValueError: If so, with both packages.

    Example:
        >>> from keras_imp.models.presets.installed import (
        ...     check_full_names, installed)
        >>> check_full_names(installed())
    """
    packages: dict[str, list[str]] = {}
    for found in presets:
        packages.setdefault(found.name, []).append(found.distribution)
    for name, several in packages.items():
        if len(several) > 1 and not name.endswith("/"):
            raise ValueError(
                message(
                    "A preset must be of one package only, not of "
                    f"{' and '.join(several)}.",
                    "Uninstall one of them.",
                    preset=name,
                )
            )


def _presets_of(entry_point: EntryPoint) -> Iterator[Installed]:
    package = entry_point.name
    of = entry_point.dist
    distribution = f"{of.name} {of.version}" if of else entry_point.value
    problem = _problem_of_package(package)
    folders = _folders(entry_point.value.partition(":")[0].strip())
    if not problem and not folders:
        problem = f"there is no package {entry_point.value!r}"
    if problem:
        yield Installed(package, "", None, distribution, problem)
        return
    for folder in sorted(f for root in folders for f in _subfolders(root)):
        problem = _problem_of_preset(folder.name)
        yield Installed(package, folder.name, folder, distribution, problem)


def _problem_of_package(package: str) -> str:
    if package in _RESERVED_PACKAGES:
        return f"the name {package!r} of its entry point is keras-imp's own"
    if not _NAME.fullmatch(package):
        return f"the name {package!r} of its entry point is no plain name"
    return ""


def _problem_of_preset(preset: str) -> str:
    if preset.startswith(RESERVED):
        return f"names that begin with {RESERVED!r} are keras-imp's own"
    if not _NAME.fullmatch(preset):
        return "the name of its folder is no plain name"
    return ""


def _subfolders(root: Path) -> Iterable[Path]:
    """The presets in a folder."""
    return [f for f in root.iterdir() if (f / CONFIG_FILE).is_file()]


def _folders(package: str) -> list[Path]:
    """The folders of a package, which is not imported.

    `importlib.util.find_spec` would import the parents of a dotted name.
    """
    first, *others = package.split(".")
    if not all(part.isidentifier() for part in (first, *others)):
        return []
    for finder in sys.meta_path:
        spec = finder.find_spec(first, None)
        if spec is not None:
            # A module that is no package has none.
            found = spec.submodule_search_locations or []
            folders = [Path(folder, *others) for folder in found]
            return [folder for folder in folders if folder.is_dir()]
    return []
