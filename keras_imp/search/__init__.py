"""Find items by words, or by an image, a video or a recording.

The flow, and the files that show it:

    run > SearchModel > embed (files > vectors) > Index > nearest > page

The vectors are those of a contrastive task. An index knows the model that made
it, and takes queries of no other.
"""

from keras_imp._lazy import lazy

_HOMES = {
    "Hit": "keras_imp.search.index",
    "Index": "keras_imp.search.index",
    "SearchError": "keras_imp.search.errors",
    "SearchModel": "keras_imp.search.search_model",
    "embed": "keras_imp.search.embedding",
    "make_app": "keras_imp.search.app",
    "nearest": "keras_imp.evaluation.nearest",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
