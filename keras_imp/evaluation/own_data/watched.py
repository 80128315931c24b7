"""Rows of own data that are measured at each epoch."""

from collections.abc import Mapping

from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records.targets import targets_of
from keras_imp.evaluation.own_data.examples import Examples, read_examples
from keras_imp.evaluation.own_data.rows import TaskRows
from keras_imp.evaluation.watched_rows import MOST, WatchedRows


def watched_rows(
    tasks: Mapping[str, TaskRows], preprocessor: IMPPreprocessor
) -> dict[str, WatchedRows]:
    """Some rows that are held out, with what a person calls them.

    Args:
        tasks: Rows of all tasks.
        preprocessor: Makes the inputs.

    Returns:
        The rows by task.

    Raises:
        RunError: If a task has no row that can be used.
        TooManyBadFilesError: If there are more bad files than is allowed.
    """
    return {name: _watched(rows, preprocessor) for name, rows in tasks.items()}


def _watched(rows: TaskRows, preprocessor: IMPPreprocessor) -> WatchedRows:
    examples = read_examples(rows, rows.validation, preprocessor, MOST)
    manifest = examples.part.manifest
    targets = targets_of(manifest, rows.target, rows.classes or None)
    if rows.kind == "regression":
        # The head predicts standardized numbers.
        targets = ((targets - rows.mean) / rows.std).astype("float32")
    return WatchedRows(
        examples.x, targets, _labels(rows, examples), rows.batch_size
    )


def _labels(rows: TaskRows, examples: Examples) -> list[str]:
    """Labels of the rows, or their texts, or their files."""
    manifest = examples.part.manifest
    if rows.kind != "contrastive":
        column = manifest.column("label")
        return [_text(column[row]) for row in range(len(examples))]
    if "text" in rows.inputs:
        return examples.texts()
    return [str(manifest.where(row)) for row in range(len(examples))]


def _text(label: object) -> str:
    if isinstance(label, list | tuple):
        return ", ".join(map(str, label))
    return str(label)
