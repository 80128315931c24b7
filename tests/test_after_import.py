import importlib
import importlib.util
import math
import sys

import pytest

from keras_imp._after_import import after_import

pytestmark = pytest.mark.one_backend


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that nobody has imported."""
    (tmp_path / "not_there_yet.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    yield "not_there_yet"
    sys.modules.pop("not_there_yet", None)


def test_an_imported_module_is_there_at_once():
    seen = []
    after_import("math", seen.append)
    assert seen == [math]


def test_a_module_is_waited_for(module):
    seen = []
    after_import(module, lambda found: seen.append(found.value))
    assert seen == []
    assert importlib.util.find_spec(module).name == module
    assert seen == []
    importlib.import_module(module)
    assert seen == [1]


def test_several_can_wait_for_one_module(module):
    seen = []
    after_import(module, lambda found: seen.append("first"))
    after_import(module, lambda found: seen.append("second"))
    importlib.import_module(module)
    assert sorted(seen) == ["first", "second"]


def test_a_watched_module_looks_as_any_other(module):
    after_import(module, lambda found: None)
    found = importlib.import_module(module)
    loader = importlib.machinery.SourceFileLoader
    assert type(found.__loader__) is loader
    assert type(found.__spec__.loader) is loader
    assert importlib.reload(found).value == 1


def test_a_module_that_cannot_be_imported_raises_as_without(module):
    after_import("no_such_module", lambda found: None)
    with pytest.raises(ModuleNotFoundError, match="'no_such_module'"):
        importlib.import_module("no_such_module")


def test_other_modules_are_not_touched(module):
    after_import("no_such_module", lambda found: None)
    assert importlib.import_module(module).value == 1
