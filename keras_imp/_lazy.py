"""Names of a package that are loaded when they are first used."""

import importlib
from collections.abc import Callable
from typing import Any


def loader(namespace: dict[str, Any], homes: dict[str, str]) -> Callable:
    """The `__getattr__` of a package.

    Args:
        namespace: The package's `globals()`, which keeps what was loaded.
        homes: Module by name; a name that its module does not have is the
            module itself.

    Returns:
        A function from a name to its value.

    Raises:
        AttributeError: If the name has no home.

    Example:
        >>> from keras_imp._lazy import loader
        >>> found = {"__name__": "package"}
        >>> loader(found, {"sqrt": "math"})("sqrt")(4.0)
        2.0
    """

    def load(name: str) -> Any:
        if name not in homes:
            package = namespace["__name__"]
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        module = importlib.import_module(homes[name])
        namespace[name] = value = getattr(module, name, module)
        return value

    return load
