import math
import re

import numpy as np
import pytest

import keras_imp
from keras_imp.evaluation import (
    chance_losses,
    learning_curves,
    plot_learning_curves,
)
from keras_imp.tasks import (
    Classification,
    Combined,
    Contrastive,
    MaskedModeling,
    Regression,
)
from tests.helpers.figures import kept

pytestmark = pytest.mark.one_backend


@pytest.fixture
def history():
    """Three epochs: the second does not draw b, the last one validates."""
    found = keras_imp.callbacks.TaskHistory()
    found.set_model(type("Model", (), {})())
    found.on_train_begin()
    found.on_epoch_end(0, {"loss": 3.0, "a/loss": 3.0, "b/loss": 4.0})
    found.on_epoch_end(1, {"loss": 2.0, "a/loss": 2.0})
    found.on_epoch_end(
        2, {"loss": 1.0, "a/loss": 1.0, "b/loss": 2.0, "val_b/loss": 5.0}
    )
    return found


@pytest.fixture
def figures(monkeypatch):
    """Figures in place of files."""
    with kept(monkeypatch, learning_curves, "save_figure") as drawn:
        yield drawn


def lines_of(figure):
    return {
        (axis.get_title(loc="left"), line.get_label()): line.get_xydata()
        for axis in figure.axes
        for line in axis.lines
    }


def test_each_point_of_a_curve_is_at_its_epoch(tmp_path, history, figures):
    for given in (history, history.table()):
        plot_learning_curves(given, tmp_path / "curves.png", 10)
    assert len(figures) == 2
    for figure in figures:
        lines = lines_of(figure)
        # One line across the epoch that does not draw b.
        for key, points in {
            ("a", "training"): [(10, 3.0), (20, 2.0), (30, 1.0)],
            ("b", "training"): [(10, 4.0), (30, 2.0)],
            ("b", "validation"): [(30, 5.0)],
        }.items():
            np.testing.assert_array_equal(lines[key], points)


def test_chance_is_a_line_in_the_panel_of_its_task(tmp_path, history, figures):
    chance = {"a": 2.3, "b": 4.0, "val_b": 3.5}
    plot_learning_curves(history, tmp_path / "x.png", chance=chance)
    (figure,) = figures
    heights = {
        key: set(points[:, 1])
        for key, points in lines_of(figure).items()
        if key[1].startswith("chance")
    }
    # Two lines where training and validation differ.
    assert heights == {
        ("a", "chance"): {2.3},
        ("b", "chance, training"): {4.0},
        ("b", "chance, validation"): {3.5},
    }
    titles = [axis.get_title(loc="right") for axis in figure.axes[:2]]
    assert titles == ["chance 2.30", "chance 4.00 and 3.50"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "training",
        "chance",
        "validation",
        "chance, training",
        "chance, validation",
    ]


def test_names_of_tasks_are_drawn_as_they_are(tmp_path, figures):
    plot_learning_curves({"$a_$b/loss": [1.0]}, tmp_path / "x.png")
    figures[0].canvas.draw()
    assert figures[0].axes[0].get_title(loc="left") == "$a_$b"


def make_model(*tasks):
    encoder = keras_imp.IMPEncoder(
        8, 16, 1, 2, ("image", "text"), vocabulary_size=11
    )
    return keras_imp.AlternatingModel(encoder, list(tasks))


def test_chance_is_that_of_answers_that_score_alike():
    pair = Contrastive("pair", projection_dim=4, loss_weight=3.0, margin=0.5)
    model = make_model(
        Classification("one", "image", 7, label_smoothing=0.1),
        Classification("many", "image", 7, multi_label=True),
        Regression("number", "image"),
        MaskedModeling("words", "text", mask_id=10),
        Combined("both", [pair, Classification("kind", "image", 5)], "mean"),
        Combined("unknown", [Regression("x", "image")]),
    )
    sizes = dict.fromkeys(model.tasks, 8)
    both = (3.0 * (math.log(8) + 0.5) + math.log(5)) / 2
    assert chance_losses(model, sizes, {}) == pytest.approx(
        {
            "one": math.log(7),
            "many": math.log(2),
            "words": math.log(11),
            "both": both,
            "both/pair": 3.0 * (math.log(8) + 0.5),
            "both/kind": math.log(5),
        }
    )


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_chance_of_a_contrastive_task_is_its_loss_on_equal_vectors(loss):
    """The sigmoid's bias is at its best: one match in a batch."""
    bias = math.log(1 / 5 / (4 / 5))
    task = Contrastive(
        "pair",
        ("image", "text"),
        pairs=[("image", "text", 0.7)],
        projection_dim=4,
        loss=loss,
        bias=bias,
    )
    task.build({"image": (None, 8), "text": (None, 8)})
    # Orthogonal: the similarity of each pair is 0, that of a match too.
    x = {
        "image": np.zeros((5, 4, 4, 3)),
        "text": np.arange(1, 11).reshape(5, 2),
    }
    vectors = {
        "image_to_text": np.tile([1.0, 0, 0, 0], (5, 1)).astype("float32"),
        "text_to_image": np.tile([0, 1.0, 0, 0], (5, 1)).astype("float32"),
    }
    loss_of_batch = float(task.compute_loss(x, None, vectors))
    assert task.chance_loss(5) == pytest.approx(loss_of_batch, rel=1e-5)


def test_each_batch_has_the_chance_of_its_size():
    model = make_model(
        Contrastive(
            "parts", projection_dim=4, microbatches=4, accumulate="mean"
        ),
        Contrastive("whole", projection_dim=4, microbatches=4),
    )
    sizes = {"parts": 32, "whole": 32}
    assert chance_losses(model, sizes) == pytest.approx(
        {
            "parts": math.log(8),
            "whole": math.log(32),
            "val_parts": math.log(32),
            "val_whole": math.log(32),
        }
    )
    with pytest.raises(ValueError, match="task='other'"):
        chance_losses(model, {"other": 2})
    with pytest.raises(ValueError, match="examples"):
        chance_losses(model, {"parts": 0})


def test_lists_that_leave_out_epochs_are_refused(tmp_path, history):
    text = (
        "Each curve must have a value for each epoch; the lists of "
        "`history.history` leave epochs out that did not draw a task. "
        "Received: lengths={'a/loss': 3, 'b/loss': 2, 'val_b/loss': 1}. Give "
        "what `fit` returned, or its `table()`."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        plot_learning_curves(history.history, tmp_path / "curves.png")


def test_a_history_without_losses_of_tasks_is_refused(tmp_path):
    text = (
        "`history` must have at least one '<task>/loss'. Received: "
        "names=['loss', 'val_a/loss']."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        plot_learning_curves(
            {"val_a/loss": [1.0], "loss": [1.0]}, tmp_path / "curves.png"
        )
