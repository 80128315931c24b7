"""What one task is tested on, no other task trains on."""

import csv
import shutil

import pytest
from PIL import Image

from keras_imp.data import read
from keras_imp.evaluation.own_data.choices import choose_sizes
from keras_imp.evaluation.own_data.inference import infer
from keras_imp.evaluation.own_data.recipe import DataRecipe, TaskRecipe
from keras_imp.evaluation.own_data.rows import Limits, fix_rows
from keras_imp.evaluation.own_data.show import told_of
from tests.helpers import own_files

pytestmark = pytest.mark.one_backend


def fix(folder, manifests, **choices):
    """The rows of several tasks."""
    recipe = DataRecipe({n: TaskRecipe(n) for n in manifests}, **choices)
    recipe = choose_sizes(infer(recipe, manifests), manifests)
    folder.mkdir(exist_ok=True)
    return fix_rows(recipe, manifests, folder, Limits())


def table_of(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture
def classes(tmp_path):
    return own_files.class_folders(tmp_path / "photos" / "classes")


@pytest.fixture
def captions(classes):
    """A caption for each file of `classes`, whose paths are others here."""
    files = sorted(classes.rglob("*.png"))
    return table_of(
        classes.parent / "captions.csv",
        [("image", "text")]
        + [
            (f"classes/{file.parent.name}/{file.name}", f"caption {number}")
            for number, file in enumerate(files)
        ],
    )


def names_in(part, from_folder=""):
    return {from_folder + name for name in part.manifest.values("image")}


@pytest.mark.parametrize("seed", range(3))
def test_a_file_of_two_data_sets_is_in_one_part_of_both(
    tmp_path, classes, captions, seed
):
    tasks = fix(
        tmp_path / "run",
        {"kinds": read(classes), "captions": read(captions)},
        validation_fraction=0.4,
        seed=seed,
    )
    kinds, texts = tasks["kinds"], tasks["captions"]
    for part in ("train", "validation"):
        assert names_in(getattr(kinds, part), "classes/") == names_in(
            getattr(texts, part)
        )
    assert not kinds.scan.elsewhere
    assert not texts.scan.elsewhere


def test_so_is_an_image_that_was_written_in_another_format(tmp_path, classes):
    others = tmp_path / "others"
    others.mkdir()
    rows = [("image", "text")]
    for number, file in enumerate(sorted(classes.rglob("*.png"))):
        Image.open(file).save(others / f"{number}.bmp")
        rows.append((f"{number}.bmp", f"caption {number}"))
    table = table_of(others / "captions.csv", rows)
    tasks = fix(
        tmp_path / "run",
        {"kinds": read(classes), "captions": read(table)},
        validation_fraction=0.4,
    )
    order = [
        f"{file.parent.name}/{file.name}"
        for file in sorted(classes.rglob("*.png"))
    ]
    held_out = {
        order[int(name.removesuffix(".bmp"))]
        for name in names_in(tasks["captions"].validation)
    }
    assert held_out == names_in(tasks["kinds"].validation)


def test_a_file_that_has_gone_is_left_to_those_that_read_it(
    tmp_path, classes, captions
):
    manifests = {"kinds": read(classes), "captions": read(captions)}
    (classes / "red/3.png").unlink()
    recipe = DataRecipe({n: TaskRecipe(n) for n in manifests})
    recipe = choose_sizes(infer(recipe, manifests), manifests)
    tasks = fix_rows(recipe, manifests, tmp_path, Limits(max_bad=0.5))
    assert tasks["kinds"].scan.reasons == {"missing": 1}


def test_copies_in_one_data_set_stay_together_in_the_other_one(
    tmp_path, classes, captions
):
    shutil.copy(classes / "red/0.png", classes / "red/again.png")
    tasks = fix(
        tmp_path / "run",
        {"kinds": read(classes), "captions": read(captions)},
        validation_fraction=0.4,
    )
    # Those of the captions do not have the copy.
    assert names_in(tasks["kinds"].validation, "classes/") - {
        "classes/red/again.png"
    } == names_in(tasks["captions"].validation)


def test_what_given_splits_train_on_elsewhere_is_told(tmp_path, classes):
    files = sorted(classes.rglob("*.png"))

    def table(name, column, held_out):
        return table_of(
            classes / name,
            [("image", column, "split")]
            + [
                (
                    f"{file.parent.name}/{file.name}",
                    file.parent.name if column == "label" else f"text {number}",
                    "validation" if number in held_out else "train",
                )
                for number, file in enumerate(files)
            ],
        )

    out = {0, 1, 2, 3, 13, 14}
    manifests = {
        "kinds": read(table("kinds.csv", "label", out)),
        "captions": read(table("captions.csv", "text", out - {2, 13})),
    }
    tasks = fix(tmp_path / "run", manifests)
    (told,) = tasks["kinds"].scan.elsewhere
    assert told == (
        "2 of 6 rows held out show what task 'captions' trains on. The first "
        f"one: {classes / 'kinds.csv'}, line 4, as {classes / 'captions.csv'}, "
        "line 4. A column `split` that agrees prevents it."
    )
    assert f"Task 'kinds': {told}" in told_of(tasks["kinds"])
    assert tasks["captions"].scan.elsewhere == []
    # A run that goes on says it again.
    again = fix(tmp_path / "run", manifests)
    assert again["kinds"].scan.elsewhere == [told]


def test_one_data_set_is_not_compared_with_itself(tmp_path, captions):
    manifest = read(captions)
    tasks = fix(tmp_path / "run", {"captions": manifest})
    assert tasks["captions"].scan.roots is None
