import pytest

from keras_imp import _files

pytestmark = pytest.mark.one_backend


class PowerCutError(BaseException):
    """Where the process dies."""


def test_a_text_file_has_its_text(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("first\n", "second\r\n"):
        _files.write_text(path, text)
        assert path.read_bytes() == text.encode()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("at", ["write_text", "replace"])
def test_a_file_stays_as_it_was_until_the_new_one_is_whole(
    tmp_path, monkeypatch, at
):
    path = tmp_path / "a.txt"
    _files.write_text(path, "old")

    def die(*args, **kwargs):
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(f"pathlib.Path.{at}", die)
        with pytest.raises(PowerCutError):
            _files.write_text(path, "new")
    assert path.read_text() == "old"
    _files.write_text(path, "new")
    assert path.read_text() == "new"


def test_the_data_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr("os.fsync", lambda file: order.append("fsync"))
    real = _files.Path.replace
    monkeypatch.setattr(
        "pathlib.Path.replace",
        lambda *paths: order.append("rename") or real(*paths),
    )
    _files.write_text(tmp_path / "a.txt", "text")
    assert order == ["fsync", "rename", "fsync"]
