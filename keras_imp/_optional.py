"""Imports of optional packages, with an error that names the extra."""

import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Return an optional module, or say which extra installs it.

    Args:
        module: Dotted name, such as `"PIL.Image"`.
        extra: The extra of keras-imp that brings it, such as `"data"`.

    Returns:
        The imported module.

    Raises:
        ImportError: If the package is not installed.

    Example:
        >>> from keras_imp._optional import require
        >>> require("json", extra="data").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(_missing(module, extra)) from error


def check_installed(modules: Iterable[str], extra: str) -> None:
    """Raise unless packages are installed, without loading them.

    Args:
        modules: Names of packages to import.
        extra: The extra of keras-imp that brings them.

    Raises:
        ImportError: If one is not installed.

    Example:
        >>> from keras_imp._optional import check_installed
        >>> check_installed(["json"], extra="data")
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ImportError(_missing(module, extra))


def _missing(module: str, extra: str) -> str:
    package = module.split(".")[0]
    return (
        f"This needs the package {package!r}, which is not installed. "
        f"Received: module={module!r}. "
        f"Install it with: pip install 'keras-imp[{extra}]'"
    )
