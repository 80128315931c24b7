import numpy as np
import pytest
from PIL import Image

from keras_imp.evaluation import confusion, confusion_matrix, plot_confusion
from tests.helpers.figures import kept

pytestmark = pytest.mark.one_backend

TARGETS = np.array([0] * 400 + [1] * 4 + [2] * 2)
PREDICTIONS = np.array([0] * 299 + [2] * 100 + [1] + [1] * 4 + [0, 1])
NAMES = ["$cat$", "dog", "owl", "yak"]


@pytest.fixture
def draw(monkeypatch):
    with kept(monkeypatch, confusion, "save_figure") as figures:

        def draw(*arguments, **options):
            plot_confusion(*arguments, "unused.png", **options)
            (axis,) = figures.pop().axes
            return axis

        yield draw


def texts_of(axis):
    return [text.get_text() for text in axis.texts]


def labels_of(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def test_examples_are_counted_by_class_and_prediction():
    counts = confusion_matrix(TARGETS, PREDICTIONS, 4)
    assert counts.tolist() == [
        [299, 1, 100, 0],
        [0, 4, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
    ]


def test_the_class_that_is_found_best_is_first(draw):
    axis = draw(TARGETS, PREDICTIONS, NAMES)
    # The one without examples is last.
    assert labels_of(axis) == ["dog", "$cat$", "owl", "yak"]
    assert [t.get_text() for t in axis.get_xticklabels()] == labels_of(axis)
    assert texts_of(axis)[-4:] == [
        "100% of 4",
        "75% of 400",
        "0% of 2",
        "no example",
    ]
    assert axis.get_title() == "74.6% of 406 examples right"
    axis = draw(TARGETS, PREDICTIONS, NAMES, sort=False)
    assert labels_of(axis) == NAMES


def test_a_cell_has_the_fraction_of_its_row_and_the_count(draw):
    axis = draw(TARGETS, PREDICTIONS, NAMES)
    cells = {
        text.get_position(): text.get_text()
        for text in axis.texts
        if "\n" in text.get_text()
    }
    # (column, row), sorted.
    assert cells == {
        (0, 0): "100%\n4",
        (0, 1): "<1%\n1",
        (1, 1): "75%\n299",
        (2, 1): "25%\n100",
        (0, 2): "50%\n1",
        (1, 2): "50%\n1",
    }


@pytest.mark.parametrize("classes", [1, 16, 40])
def test_many_classes_are_drawn_too(tmp_path, classes):
    ids = np.arange(classes)
    names = [f"a class with a long name {n}" for n in ids]
    plot_confusion(ids, ids, names, tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as picture:
        assert min(picture.size) > 300


def test_ids_that_are_no_classes_are_refused():
    good = np.array([0, 1])
    with pytest.raises(ValueError, match=r"targets=\(2,\), predictions=\(1,\)"):
        confusion_matrix(good, good[:1], 2)
    with pytest.raises(ValueError, match="highest=1"):
        confusion_matrix(good, good, 1)
    with pytest.raises(ValueError, match="lowest=-1"):
        confusion_matrix(good, good - 1, 2)
    with pytest.raises(TypeError, match="argmax"):
        confusion_matrix(good, good.astype("float32"), 2)
    with pytest.raises(ValueError, match="at least one example"):
        plot_confusion(good[:0], good[:0], ["a"], "unused.png")
