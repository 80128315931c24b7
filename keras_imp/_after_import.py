"""Run something as soon as another package has been imported."""

import importlib.abc
import importlib.machinery
import itertools
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Action = Callable[[ModuleType], None]


def after_import(name: str, action: Action) -> None:
    """Call `action` once a package is there: now, or when it is imported.

    Args:
        name: The package, such as `"keras"`.
        action: Called with the imported package, before the code that
            imported it continues.

    Example:
        >>> import math
        >>> from keras_imp._after_import import after_import
        >>> after_import("math", lambda module: print(module.sqrt(4.0)))
        2.0
    """
    module = sys.modules.get(name)
    if module is None:
        sys.meta_path.insert(0, _Watcher(name, action))
    else:
        action(module)


class _Watcher(importlib.abc.MetaPathFinder):
    """Finds one package as the others do, and adds the action to its loader.

    Args:
        name: The package.
        action: What to call.
    """

    def __init__(self, name: str, action: Action):
        self.name = name
        self.action = action

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        # Those behind this one: two watchers must not ask each other.
        finders = itertools.dropwhile(lambda f: f is not self, sys.meta_path)
        for finder in itertools.islice(finders, 1, None):
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self.action)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """Executes a module as its own loader does, then calls the action.

    Args:
        loader: The module's own loader.
        action: What to call.
    """

    def __init__(self, loader: Any, action: Action):
        self.loader = loader
        self.action = action

    def create_module(
        self, spec: importlib.machinery.ModuleSpec
    ) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module looks as if nobody had watched.
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.action(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
