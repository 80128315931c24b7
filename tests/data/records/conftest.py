import pytest

from keras_imp.data.manifest import identity
from keras_imp.data.records import row_reader
from tests.helpers.rows_of_files import make_manifest, write_rows


@pytest.fixture
def folder(tmp_path):
    """Files of rows, and damaged ones."""
    write_rows(tmp_path)
    return tmp_path


@pytest.fixture
def manifest(folder):
    """The rows of these files."""
    return make_manifest(folder)


@pytest.fixture
def settled(monkeypatch):
    """The files of these tests are new, and nobody writes to them."""
    monkeypatch.setattr(identity, "SETTLED", 0)


@pytest.fixture
def decoded(monkeypatch):
    """Counts of files that are decoded, by function."""
    counts = {}

    def counting(name):
        decode = getattr(row_reader, name)

        def count(*arguments, **settings):
            counts[name] = counts.get(name, 0) + 1
            return decode(*arguments, **settings)

        return count

    for name in ("decode_image", "decode_audio", "decode_video"):
        monkeypatch.setattr(row_reader, name, counting(name))
    return counts
