"""Do test-time views help? The validation split, with finished runs.

    keras-imp train --seed 0 --out runs/0        # and with other seeds
    python benchmarks/playground_views.py runs/*

Measures the model of each run with one view of an example and with several,
on the validation split; the test split is not read. Differences to one view are
paired by run, with 95 % intervals. Writes results/playground_views.json.
"""

import argparse
import dataclasses
import pathlib
from typing import Any

import _study
from _timing import write_json

ONE = "one view"


def arms() -> dict[str, Any]:
    """The views that are compared, by name."""
    from keras_imp.evaluation.playground.views import ONE_VIEW, VIEWS

    pitches = tuple(view for view in VIEWS.sounds if not view[1])
    times = tuple(view for view in VIEWS.sounds if not view[0])
    return {
        ONE: ONE_VIEW,
        "other pitches": dataclasses.replace(ONE_VIEW, sounds=pitches),
        "other times": dataclasses.replace(ONE_VIEW, sounds=times),
        "all views": VIEWS,
    }


def measure(folder: pathlib.Path) -> dict[str, dict[str, float]]:
    """The scores of a run's model on the validation split, by arm."""
    import keras

    import keras_imp  # noqa: F401  (registers the classes)
    from keras_imp.data import Tokenizer
    from keras_imp.evaluation.playground import measures
    from keras_imp.evaluation.playground.splits import load_split

    model = keras.models.load_model(folder / "model.keras")
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    split = load_split("validation")
    return {
        arm: {
            row.what: round(row.value, 4)
            for row in measures.measure(model, split, tokenizer, views)
        }
        for arm, views in arms().items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    found = [measure(folder) for folder in arguments.runs]
    results = {
        arm: [{"scores": scores[arm]} for scores in found] for arm in arms()
    }
    names = tuple(found[0][ONE])
    pairs = [(arm, ONE) for arm in results if arm != ONE]
    differences = _study.compare(results, pairs, names)
    title = f"Validation split, {len(found)} runs"
    _study.print_differences(title, results, ONE, differences, names)
    content = {"runs": results, "differences": differences}
    print(write_json("playground_views", content))


if __name__ == "__main__":
    main()
