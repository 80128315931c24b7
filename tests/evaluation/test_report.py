import math
import re

import numpy as np
import pytest

import keras_imp
from keras_imp.evaluation import plot_learning_curves, report

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


def test_each_point_of_a_curve_is_at_its_epoch(tmp_path, history, monkeypatch):
    figures = []
    monkeypatch.setattr(
        report, "save_figure", lambda figure, path: figures.append(figure)
    )
    for given in (history, history.table()):
        plot_learning_curves(given, tmp_path / "curves.png", 10)
    for figure in figures:
        lines = {
            (axis.get_title(), line.get_label()): line.get_xydata()
            for axis in figure.axes
            for line in axis.lines
        }
        for key, losses in {
            ("a", "training"): [3.0, 2.0, 1.0],
            ("b", "training"): [4.0, math.nan, 2.0],
            ("b", "validation"): [math.nan, math.nan, 5.0],
        }.items():
            expected = np.stack([[10, 20, 30], losses], axis=1)
            np.testing.assert_array_equal(lines[key], expected)


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
