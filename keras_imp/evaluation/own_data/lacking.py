"""What the weights that a run starts from lack for its tasks."""

from pathlib import Path

from keras_imp._errors import message
from keras_imp.evaluation.own_data.recipe import DataRecipe, RecipeError
from keras_imp.evaluation.own_data.start import (
    Start,
    start_of,
    unknown_tokenizer,
)
from keras_imp.evaluation.run_folder import RunError, load_tokenizer

# Modalities that have one embedder, so either has the weights of both.
_SHARED = {"image", "video"}


def check_start(recipe: DataRecipe) -> None:
    """Raise unless the encoder's weights can be those of the tasks.

    Known before the files are looked at, which may take hours.

    Args:
        recipe: Its tasks have their inputs.

    Raises:
        RecipeError: If they lack a modality, or their tokenizer is not known
            or another one than the recipe's.

    Example:
        >>> from keras_imp.evaluation.own_data.lacking import check_start
        >>> from keras_imp.evaluation.own_data.recipe import (
        ...     DataRecipe, TaskRecipe)
        >>> task = TaskRecipe("birds", inputs=("image", "text"))
        >>> check_start(DataRecipe({"birds": task}, "imp_tiny_playground"))
    """
    start = start_of(recipe.encoder)
    if not start.has_weights:
        return
    _check_modalities(recipe, start)
    reads = {
        name for task in recipe.tasks.values() for name in task.inputs or ()
    }
    if "text" in reads:
        _check_tokenizer(recipe, start)


def _check_modalities(recipe: DataRecipe, start: Start) -> None:
    known = {*start.config.get("modalities", ())}
    if not known:
        return
    if known & _SHARED:
        known |= _SHARED
    for name, task in recipe.tasks.items():
        missing = [each for each in task.inputs or () if each not in known]
        if missing:
            raise RecipeError(
                message(
                    f"Task {name!r}: the encoder's weights must be of all "
                    "modalities that it reads.",
                    "Start from others, or from a size such as 'imp_tiny'; or "
                    "say in a recipe what the task reads: inputs.",
                    missing=missing,
                    encoder=recipe.encoder,
                )
            )


def _check_tokenizer(recipe: DataRecipe, start: Start) -> None:
    if start.tokenizer is None and recipe.tokenizer is None:
        raise RecipeError(unknown_tokenizer(recipe.encoder))
    if start.tokenizer is None or recipe.tokenizer is None:
        return
    try:
        given = load_tokenizer(Path(recipe.tokenizer), start.tokenizer.length)
    except RunError as error:
        raise RecipeError(str(error)) from error
    if given.tokenizer.to_str() != start.tokenizer.tokenizer.to_str():
        raise RecipeError(
            message(
                "`tokenizer` must be that of the encoder's weights: the ids of "
                "another one mean other words.",
                "Leave it out.",
                tokenizer=recipe.tokenizer,
                encoder=recipe.encoder,
            )
        )
