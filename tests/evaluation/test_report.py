import io
import json

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from keras_imp.evaluation import Report
from keras_imp.evaluation.classified import report_of_classes
from keras_imp.evaluation.intervals import Estimate, wilson

pytestmark = pytest.mark.one_backend


def report_of(classes):
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(200, classes))
    labels = generator.integers(0, classes, 200)
    names = [f"class $_{k}" for k in range(classes)]
    return report_of_classes("guesses", scores, labels, names, prompts=["{}"])


def test_json_has_all_of_a_report(tmp_path):
    report = report_of(8)
    text = report.to_json(tmp_path / "report.json")
    content = json.loads(text)
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == text
    assert content["values"]["accuracy"]["value"] == report["accuracy"]
    assert set(content["values"]) == {
        "accuracy",
        "accuracy among 5",
        "mean recall of classes",
    }
    assert len(content["per_class"]) == 8
    assert content["settings"] == {"prompts": ["{}"]}


def test_guesses_are_no_better_than_chance():
    report = report_of(8)
    for name, estimate in report.values.items():
        assert estimate.low < report.chance[name] + 0.02


def test_a_table_shows_values_chance_and_intervals():
    report = Report(
        "search",
        {"R@1": wilson(1, 4), "median rank": Estimate(1234.5, 2.0, 5.0)},
        4,
        {"R@1": 0.25},
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.table())
    shown = console.export_text()
    for text in ("search (4 examples)", "0.250", "0.046 to 0.699", "1,234.5"):
        assert text in shown


@pytest.mark.parametrize("classes", [3, 60])
def test_a_plot_shows_values_and_at_most_40_classes(tmp_path, classes):
    report_of(classes).plot(tmp_path / "report.png")
    height, width, _ = matplotlib.image.imread(tmp_path / "report.png").shape
    assert width > 600
    assert height > (400 if classes == 3 else 1200)
