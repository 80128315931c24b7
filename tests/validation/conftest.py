import shutil

import pytest

import keras_imp
from keras_imp.validation import find_tfdv, scan_and_flag, validate
from tests.helpers.playground_files import write_playground, write_table
from tests.validation.plantings import Copy, all_plantings


@pytest.fixture(scope="session")
def playground_rows(tmp_path_factory):
    """Folder and rows of the clean data."""
    folder = tmp_path_factory.mktemp("clean")
    return folder, write_playground(folder)


@pytest.fixture(scope="session")
def clean(playground_rows):
    return keras_imp.data.read(playground_rows[0] / "data.csv")


@pytest.fixture(scope="session")
def planted(playground_rows, tmp_path_factory):
    """The plantings, and the manifest of a copy that has them."""
    source, rows = playground_rows
    folder = tmp_path_factory.mktemp("planted") / "data"
    shutil.copytree(source, folder)
    copy = Copy(folder, [dict(row) for row in rows])
    plantings = all_plantings()
    for planting in plantings:
        planting.row = planting.plant(copy)
    write_table(folder, copy.rows)
    # Numbers of the rows, which are those of the manifest.
    numbers = {id(row): number for number, row in enumerate(copy.rows)}
    for planting in plantings:
        if planting.row is not None:
            kind = "image" if planting.row.get("image") else "audio"
            planting.place = kind, planting.row["split"]
            planting.row = numbers[id(planting.row)]
    return plantings, keras_imp.data.read(folder / "data.csv")


@pytest.fixture(scope="session")
def clean_scan(clean, tmp_path_factory):
    return scan_and_flag(clean, tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="session")
def planted_scan(planted, tmp_path_factory):
    return scan_and_flag(planted[1], tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="session")
def tfdv_python():
    found = find_tfdv()
    if found.python is None:
        pytest.skip(found.reason)
    return found.python


@pytest.fixture(scope="session")
def validated(tfdv_python, clean, planted, tmp_path_factory):
    """What all checks find in the clean data, and in the planted one."""
    folder = tmp_path_factory.mktemp("validated")
    return (
        validate(clean, folder / "clean", tfdv_python=tfdv_python),
        validate(planted[1], folder / "planted", tfdv_python=tfdv_python),
    )
