"""`keras-imp evaluate NAME`: a preset with weights, on the playground."""

from pathlib import Path
from typing import TYPE_CHECKING

from keras_imp._errors import message
from keras_imp._optional import require
from keras_imp.cli import run_options
from keras_imp.cli.run_options import UsageError

if TYPE_CHECKING:
    from keras_imp.evaluation.report import Report


def names_preset(run: Path) -> bool:
    """Whether this is no folder but a preset that the package has trained.

    Args:
        run: What the user typed.

    Returns:
        Whether it is.
    """
    from keras_imp.models.presets import BUILT_IN_FOLDERS

    return not run.exists() and str(run) in BUILT_IN_FOLDERS


def evaluate_preset(
    name: str, shuffled: bool, backend: str | None, refused: dict[str, bool]
) -> dict[str, "Report"]:
    """Measure a preset on the playground's test split.

    Args:
        name: Name of the preset.
        shuffled: Whether each example gets the answer of another one.
        backend: Keras backend, or None for the default.
        refused: By option that is for runs only: whether it was given.

    Returns:
        The reports by their titles.

    Raises:
        UsageError: If an option does not fit.
        ImportError: If a package is missing.
    """
    for option, is_given in refused.items():
        if is_given:
            raise UsageError(
                message(
                    f"{option} is for runs on own data. A preset is measured "
                    "on the test split of the playground.",
                    preset=name,
                )
            )
    chosen = backend or run_options.default_backend()
    run_options.check_backend(chosen)
    run_options.check_installed(chosen)
    require("sklearn", extra="probe")
    run_options.load_backend(chosen)
    from keras_imp.data.preprocessor import IMPPreprocessor
    from keras_imp.evaluation.playground.preset_reports import PresetReports
    from keras_imp.training.alternating_model import AlternatingModel

    model = AlternatingModel.from_preset(name)
    tokenizer = IMPPreprocessor.from_preset(name).tokenizer
    reports = PresetReports(model, tokenizer, shuffled=shuffled).all()
    return {report.title: report for report in reports}
