"""Can a model learn a few examples by heart? If not, what is wrong with them.

A model that cannot do that will not learn more of them either: a wrong pairing,
equal inputs or cut texts show here in a minute, not after days.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_imp.data import Arrays, Tokenizer
from keras_imp.data.manifest import Manifest
from keras_imp.data.records.targets import targets_of
from keras_imp.evaluation.learning_curves import chance_losses
from keras_imp.evaluation.own_data.build import build_model
from keras_imp.evaluation.own_data.examples import Examples, read_examples
from keras_imp.evaluation.own_data.recipe import DataRecipe
from keras_imp.evaluation.own_data.rows import Limits, TaskRows, fix_rows
from keras_imp.evaluation.own_data.words import (
    TOLD,
    look_at,
    tokenizer_of,
)
from keras_imp.evaluation.run_folder import RunError, write_json
from keras_imp.training.input.task_mixture import TaskMixture

# Steps for each task, if none are given.
STEPS = 200
# Fraction of the loss of guessing below which examples are learned.
LEARNED = 0.5


def overfit(
    folder: Path,
    recipe: DataRecipe,
    manifests: Mapping[str, Manifest],
    limits: Limits,
    examples: int,
) -> list[dict[str, Any]]:
    """Train on a few examples of each task, and say whether they are learned.

    Args:
        folder: Folder of the run.
        recipe: All choices; its steps are those taken here.
        manifests: Rows by task.
        limits: What the scan may find.
        examples: How many of each task.

    Returns:
        For each task its `loss` at the end, that of guessing (`chance`, and
        `chance_is` in words), whether they were `learned`, and `causes`,
        sentences on what is wrong where they were not. Also in
        `results.json`.

    Raises:
        RunError: If the data cannot be trained on.
    """
    keras.utils.set_random_seed(recipe.seed)
    tasks = fix_rows(recipe, manifests, folder, limits)
    tokenizer = tokenizer_of(recipe, tasks, folder)
    model, preprocessor = build_model(recipe, tasks, tokenizer)
    chosen = {
        name: read_examples(rows, rows.train, preprocessor, examples)
        for name, rows in tasks.items()
    }
    sizes = {
        name: min(tasks[name].recipe.batch_size, len(each))
        for name, each in chosen.items()
    }
    targets = {name: _targets(tasks[name], chosen[name]) for name in tasks}
    for name, size in sizes.items():
        if size < model.tasks[name].min_examples:
            raise RunError(
                f"Task {name!r} has {size} example, too few for a batch."
            )

    def data(shuffle: bool) -> dict[str, Arrays]:
        return {
            name: Arrays(
                chosen[name].x,
                targets[name],
                batch_size=sizes[name],
                shuffle=shuffle,
                drop_last=True,
                seed=recipe.seed,
            )
            for name in tasks
        }

    model.fit(
        TaskMixture(data(True), seed=recipe.seed),
        steps_per_epoch=recipe.steps,
        epochs=1,
    )
    logs: Any = model.evaluate(
        TaskMixture.sequential(data(False)), return_dict=True, verbose=0
    )
    chances = chance_losses(model, sizes)
    lines = []
    for name, rows in tasks.items():
        chance, words = _chance(rows, sizes[name], chances, targets[name])
        loss = float(logs[f"{name}/loss"])
        is_learned = loss < LEARNED * chance
        causes = []
        if not is_learned:
            causes = find_causes(rows, chosen[name], targets[name], tokenizer)
        lines.append(
            {
                "task": name,
                "examples": len(chosen[name]),
                "loss": round(loss, 4),
                "chance": round(chance, 4),
                "chance_is": words,
                "learned": is_learned,
                "causes": causes,
            }
        )
    write_json(folder / "results.json", {"overfit": lines})
    return lines


def steps_for(recipe: DataRecipe, steps: int | None) -> DataRecipe:
    """A recipe with the steps that a few examples need.

    Args:
        recipe: The recipe.
        steps: How many. Defaults to 200 for each task.

    Returns:
        The recipe.
    """
    return dataclasses.replace(recipe, steps=steps or STEPS * len(recipe.tasks))


def find_causes(
    rows: TaskRows,
    examples: Examples,
    targets: np.ndarray,
    tokenizer: Tokenizer | None,
) -> list[str]:
    """What is wrong with examples that cannot be learned.

    Args:
        rows: The task.
        examples: Some of its rows.
        targets: Their targets.
        tokenizer: That of the texts.

    Returns:
        Sentences; one that says that nothing shows, if nothing does.
    """
    causes = []
    for name, values in examples.x.items():
        answers = _answers(rows, name, examples, targets)
        alike = _alike(values, answers)
        if alike:
            causes.append(
                f"{alike} of {len(values)} examples have the same {name} as "
                "another one with another answer: nothing can tell them apart."
            )
        if name != "text":
            flat = values.reshape(len(values), -1)
            empty = int((flat.max(axis=1) == flat.min(axis=1)).sum())
            if empty:
                causes.append(
                    f"{empty} of {len(values)} examples have {name} that is "
                    "blank or silent."
                )
    if tokenizer is not None and "text" in rows.inputs:
        known = look_at(tokenizer, examples.texts())
        if known.unknown > TOLD:
            causes.append(
                f"The tokenizer does not know {known.unknown:.0%} of the "
                "tokens of the texts."
            )
        if known.cut:
            causes.append(
                f"{known.cut:.0%} of the texts are cut at "
                f"{tokenizer.length} token ids."
            )
    return causes or [
        "Nothing shows in these examples. If the loss still fell at the end, "
        "take more --steps; else try a higher learning_rate, and check that "
        "inputs and answers are in the same order."
    ]


def _targets(rows: TaskRows, examples: Examples) -> np.ndarray:
    found = targets_of(
        examples.part.manifest, rows.target, rows.classes or None
    )
    if rows.kind == "regression":
        found = ((found - rows.mean) / rows.std).astype("float32")
    return found


def _chance(
    rows: TaskRows,
    batch_size: int,
    chances: Mapping[str, float],
    targets: np.ndarray,
) -> tuple[float, str]:
    """The loss of guessing, and what it is in words."""
    if rows.kind == "regression":
        return float(np.square(targets).mean()), "variance of the numbers"
    words = {
        "contrastive": f"ln({batch_size}), the batch",
        "classification": f"ln({len(rows.classes)}), the classes",
        "multi-label": "ln(2)",
    }
    return chances[rows.name], words[rows.kind]


def _answers(
    rows: TaskRows, name: str, examples: Examples, targets: np.ndarray
) -> list[bytes]:
    """What the example of each row is to be told by, from one modality."""
    if rows.kind != "contrastive":
        return [each.tobytes() for each in targets]
    others = [values for other, values in examples.x.items() if other != name]
    return [b"".join(each.tobytes() for each in row) for row in zip(*others)]


def _alike(values: np.ndarray, answers: list[bytes]) -> int:
    """How many rows equal another one that has another answer."""
    hashes = [hashlib.sha256(each.tobytes()).digest() for each in values]
    found: dict[bytes, set[bytes]] = {}
    for key, answer in zip(hashes, answers):
        found.setdefault(key, set()).add(answer)
    return sum(len(found[key]) > 1 for key in hashes)
