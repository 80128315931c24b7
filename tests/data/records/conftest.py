import pytest

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
