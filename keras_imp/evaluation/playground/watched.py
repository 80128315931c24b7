"""Rows of the playground that are measured at each epoch."""

from keras_imp.data import Tokenizer, playground
from keras_imp.evaluation.playground.recipe import Recipe
from keras_imp.evaluation.playground.splits import Split
from keras_imp.evaluation.playground.tasks import (
    arrays_by_task,
    evaluated_captions,
)
from keras_imp.evaluation.watched_rows import WatchedRows, spread_rows


def watched_rows(
    split: Split, tokenizer: Tokenizer, recipe: Recipe
) -> dict[str, WatchedRows]:
    """Some rows of each task, with what a person calls them.

    Args:
        split: The validation data.
        tokenizer: From captions to ids.
        recipe: For the batch sizes.

    Returns:
        The rows by task.
    """
    source = split.source
    _, motions = split.clips
    labels = {
        "objects": [
            playground.FASHION_CLASSES[label] for label in source.fashion.labels
        ],
        "captions": evaluated_captions("emoji", source.emoji.captions),
        "sounds": evaluated_captions("sounds", source.sounds.captions),
        "clips": playground.clip_captions(source.emoji.names, motions),
    }
    return {
        name: spread_rows(x, y, labels[name], recipe.batch_sizes[name])
        for name, (x, y) in arrays_by_task(split, tokenizer, recipe).items()
    }
