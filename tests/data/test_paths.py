"""Paths of a table stay in their folder, and only regular files are opened."""

import os
import re
import socket
from pathlib import Path

import pytest

from keras_imp.data import Manifest, paths
from keras_imp.data.decoding import BadFile

pytestmark = pytest.mark.one_backend


@pytest.fixture
def folder(tmp_path):
    """A folder of data with one image, and a secret beside it."""
    (tmp_path / "data/image").mkdir(parents=True)
    (tmp_path / "data/image/good.jpg").write_bytes(b"good")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.png").write_bytes(b"secret")
    return tmp_path / "data"


def reason(call):
    with pytest.raises(BadFile) as error:
        call()
    return error.value.reason


def test_a_path_is_found_in_its_folder(folder):
    root = paths.Root(folder)
    assert root.find("image/good.jpg") == folder / "image/good.jpg"
    assert root.find("./image//good.jpg").read_bytes() == b"good"


def test_a_backslash_is_a_slash_where_no_file_has_it_in_its_name(folder):
    root = paths.Root(folder)
    assert root.find("image\\good.jpg") == folder / "image/good.jpg"
    (folder / "image\\good.jpg").write_bytes(b"odd name")
    assert root.find("image\\good.jpg").read_bytes() == b"odd name"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/hostname",
        "\\\\server\\share\\a.jpg",
        "C:\\data\\a.jpg",
        "c:/data/a.jpg",
        "../outside/secret.png",
        "image/../../outside/secret.png",
        "image\\..\\..\\outside\\secret.png",
        "..",
        "http://127.0.0.1:9/x.png",
        "S3://bucket/x.png",
        "file:///etc/hostname",
        "file:\\\\\\etc\\hostname",
        "data:image/png;base64,AAAA",
        "concat://a.mp4",
    ],
)
def test_what_leaves_the_folder_by_its_text_is_refused(folder, path):
    assert reason(lambda: paths.Root(folder).find(path)) == "outside"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/hostname", "It is absolute."),
        ("a/../b", "It has a part '..'."),
        ("http://a.b/c", "It is a URL, and not fetched."),
    ],
)
def test_the_message_says_why_a_path_is_refused(folder, path, text):
    message = (
        "The path leaves the folder of the data. Received: "
        f"file='{path}', reason='outside'. {text}"
    )
    with pytest.raises(BadFile, match=f"^{re.escape(message)}$"):
        paths.Root(folder).find(path)


@pytest.mark.parametrize("name", ["a..b.jpg", "10:30.jpg", "x:y.jpg", "a b"])
def test_names_that_only_look_odd_are_found(folder, name):
    (folder / name).write_bytes(b"x")
    assert paths.Root(folder).find(name) == folder / name


def test_a_link_may_lead_to_another_file_of_the_folder(folder):
    (folder / "link.jpg").symlink_to("image/good.jpg")
    assert paths.Root(folder).find("link.jpg") == folder / "link.jpg"


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_link_that_leaves_the_folder_is_refused(folder, is_folder):
    if is_folder:
        (folder / "link").symlink_to(folder.parent / "outside")
        path = "link/secret.png"
    else:
        (folder / "link.png").symlink_to(folder.parent / "outside/secret.png")
        path = "link.png"
    assert reason(lambda: paths.Root(folder).find(path)) == "outside"
    root = paths.Root(folder, links=[folder.parent / "outside"])
    assert root.find(path).read_bytes() == b"secret"


def test_the_folder_itself_may_be_a_link(folder):
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert paths.Root(link).find("image/good.jpg").read_bytes() == b"good"


@pytest.mark.parametrize(
    "path",
    ["nowhere.jpg", "image/good.jpg/a", "a\0.jpg", "loop.png", "x" * 5000],
    ids=["nothing", "file as folder", "NUL", "circle of links", "long"],
)
def test_what_is_not_there_is_missing(folder, path):
    (folder / "loop.png").symlink_to("loop.png")
    assert reason(lambda: paths.Root(folder).find(path)) == "missing"
    assert reason(lambda: paths.open_regular(folder / path)) == "missing"


def test_the_nearest_name_is_one_without_case_then_one_alike(folder):
    assert paths.nearest(folder, "IMAGE/Good.JPG") == "image/good.jpg"
    assert paths.nearest(folder, "images\\god.jpg") == "image/good.jpg"
    assert paths.nearest(folder, "image/zzzz") is None
    assert paths.nearest(folder / "nowhere", "a") is None


@pytest.mark.parametrize("max_bytes", [None, 4])
def test_a_regular_file_is_opened(folder, max_bytes):
    path = folder / "image/good.jpg"
    with paths.open_regular(path, max_bytes) as file:
        assert file.read() == b"good"


def test_what_is_no_file_is_refused_without_waiting(folder, monkeypatch):
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        # Such a path has 108 bytes at most.
        monkeypatch.chdir(folder)
        server.bind("socket")
        for name in ("pipe", "socket", "image"):
            assert reason(lambda n=name: paths.open_regular(n)) == "not_file"
    assert reason(lambda: paths.open_regular("/dev/zero")) == "not_file"


def test_a_file_that_holds_nothing_or_too_much_is_refused(folder):
    (folder / "zero").touch()
    assert reason(lambda: paths.open_regular(folder / "zero")) == "empty"
    message = (
        "The file would take more memory than is allowed. Received: "
        f"file='{folder}/image/good.jpg', reason='too_large'. It has 4 bytes, "
        "and 3 are allowed."
    )
    with pytest.raises(BadFile, match=f"^{re.escape(message)}$"):
        paths.open_regular(folder / "image/good.jpg", max_bytes=3)


def test_a_file_without_permission_is_unreadable(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(os, "open", refuse)
    path = folder / "image/good.jpg"
    assert reason(lambda: paths.open_regular(path)) == "unreadable"


def test_a_refused_file_is_closed(folder):
    before = len([*Path("/proc/self/fd").iterdir()])
    (folder / "zero").touch()
    for _ in range(5):
        reason(lambda: paths.open_regular(folder / "zero"))
    assert len([*Path("/proc/self/fd").iterdir()]) == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".hidden.jpg", True),
        ("._macos.jpg", True),
        ("Thumbs.db", True),
        ("__MACOSX", True),
        ("-dash.jpg", False),
        ("a.b.jpg", False),
    ],
)
def test_hidden_names(name, expected):
    assert paths.is_hidden(name) is expected


def test_a_name_that_is_no_utf_8_is_shown_by_its_bytes():
    name = os.fsdecode(b"a\xe9.jpg")
    assert paths.shown(name) == "a\\xe9.jpg"
    assert "\\xe9" in str(BadFile("missing", paths.shown(name)))


def test_a_name_with_half_a_character_is_missing(tmp_path):
    """As JSON can hold it, of an emoji that was cut."""
    name = "cut \ud83d.jpg"
    assert paths.shown(name) == "cut \\ud83d.jpg"
    manifest = Manifest({"image": [name], "label": ["a"]}, root=tmp_path)
    (problem,) = manifest.problems()
    assert (problem.column, problem.reason) == ("image", "missing")
    with pytest.raises(BadFile) as error:
        manifest.source(0, "image")
    assert error.value.reason == "missing"
