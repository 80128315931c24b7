"""Names of a package that are loaded when they are first used."""

import importlib
from collections.abc import Callable
from typing import Any


def lazy(
    namespace: dict[str, Any], homes: dict[str, str]
) -> tuple[Callable, Callable]:
    """The `__getattr__` and the `__dir__` of a package.

    Args:
        namespace: The package's `globals()`, which keeps what was loaded.
        homes: Module by name; a name that its module does not have is the
            module itself.

    Returns:
        A function from a name to its value, and one that lists all names.

    Raises:
        AttributeError: By the first function, if a name has no home.

    Example:
        >>> from keras_imp._lazy import lazy
        >>> load, names = lazy({"__name__": "package"}, {"sqrt": "math"})
        >>> load("sqrt")(4.0), names()
        (2.0, ['__name__', 'sqrt'])
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

    def names() -> list[str]:
        return sorted({*namespace, *homes})

    return load, names
