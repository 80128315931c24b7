"""Imports of optional packages, with an error that names the extra."""

import importlib
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
        package = module.split(".")[0]
        raise ImportError(
            f"This needs the package {package!r}, which is not installed. "
            f"Received: module={module!r}. "
            f"Install it with: pip install 'keras-imp[{extra}]'"
        ) from error
