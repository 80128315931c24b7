import re
import sys

import pytest

from keras_imp.validation import environment, find_tfdv, install_tfdv, programs

pytestmark = pytest.mark.one_backend


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch, tmp_path):
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environment, "PACKAGE", "a_package_that_nobody_has")


@pytest.fixture
def commands(monkeypatch):
    """Commands that would have run; all succeed."""
    ran = []

    class Done:
        returncode = 0
        stdout = ""

    def run(command, **options):
        ran.append(command)
        return Done()

    monkeypatch.setattr(programs.subprocess, "run", run)
    return ran


def test_nothing_is_found_where_nothing_is():
    found = find_tfdv()
    assert found.python is None
    assert "keras-imp validate --install" in found.reason
    assert environment.VARIABLE in found.reason


def test_the_argument_comes_before_this_environment():
    assert find_tfdv(sys.executable) == (sys.executable, "--tfdv-python")


def test_this_environment_comes_before_the_variable(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGE", "keras_imp")
    monkeypatch.setenv(environment.VARIABLE, "python3")
    assert find_tfdv() == (sys.executable, "this environment")


def test_the_variable_names_an_interpreter(monkeypatch):
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    assert find_tfdv() == (sys.executable, environment.VARIABLE)


def test_an_interpreter_that_is_none_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="must be a program") as error:
        find_tfdv("/nowhere/python")
    assert "tfdv_python='/nowhere/python'" in str(error.value)
    monkeypatch.setenv(environment.VARIABLE, "/nowhere/python")
    with pytest.raises(ValueError, match=environment.VARIABLE):
        find_tfdv()


def test_an_environment_that_was_made_is_found(commands, monkeypatch):
    monkeypatch.setattr(environment.shutil, "which", lambda name: "uv")
    folder = environment.cache_folder()
    folder.mkdir(parents=True)
    said = []
    python = install_tfdv(say=said.append)
    assert find_tfdv() == (str(python), str(folder))
    assert [" ".join(command) for command in commands] == said
    assert said[0] == f"uv venv --quiet --clear --python 3.11 {folder}"
    assert "--constraint" in commands[1]
    # A second time, nothing is to do.
    assert install_tfdv() == python
    assert len(commands) == 3


def test_half_an_environment_is_none(monkeypatch):
    class Failed:
        returncode = 1
        stdout = "no space left"

    monkeypatch.setattr(environment.shutil, "which", lambda name: "uv")
    monkeypatch.setattr(programs.subprocess, "run", lambda *a, **k: Failed())
    with pytest.raises(RuntimeError, match="no space left"):
        install_tfdv()
    assert find_tfdv().python is None


def test_without_uv_pip_is_used_with_the_same_constraints():
    first, second, third = environment.commands_to_install(
        None, "python3.11", "folder"
    )
    assert first == ["python3.11", "-m", "venv", "--clear", "folder"]
    assert second[1:4] == ["-m", "pip", "install"]
    assert str(environment.CONSTRAINTS) in second
    assert third[1] == "-c"


def test_the_constraints_are_versions_only():
    lines = environment.CONSTRAINTS.read_text().splitlines()
    assert len(lines) > 100
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line
    assert environment.REQUIREMENTS[0] in lines
