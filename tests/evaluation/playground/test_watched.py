"""What a run of the playground measures at each epoch, if it is asked to."""

import pytest

from keras_imp.callbacks import (
    EmbeddingProjector,
    GradientConflictLogger,
    RetrievalLogger,
)
from keras_imp.data.playground import FASHION_CLASSES
from keras_imp.evaluation.playground import tasks
from keras_imp.evaluation.playground.captions import train_tokenizer
from keras_imp.evaluation.playground.recipe import RECIPE
from keras_imp.evaluation.playground.splits import load_split
from keras_imp.evaluation.playground.watched import watched_rows
from keras_imp.evaluation.watched_rows import MOST, watching

pytestmark = pytest.mark.one_backend


@pytest.fixture(scope="module")
def rows():
    split = load_split("validation")
    tokenizer = train_tokenizer(split.source, RECIPE)
    return watched_rows(split, tokenizer, RECIPE)


def test_each_row_has_its_inputs_its_targets_and_a_label(rows):
    assert list(rows) == ["objects", "captions", "sounds", "clips"]
    for each in rows.values():
        count = len(each.labels)
        assert 0 < count <= MOST
        assert {len(values) for values in each.x.values()} == {count}
        assert all(isinstance(label, str) for label in each.labels)
    objects = rows["objects"]
    assert objects.labels == [FASHION_CLASSES[i] for i in objects.y]


def test_searches_have_recall_and_what_has_vectors_a_projector(rows, tmp_path):
    made = tasks.make_tasks(RECIPE)
    found = watching(
        {task.name: task for task in made}, rows, tmp_path, steps_per_epoch=10
    )
    kinds = [(type(each), getattr(each, "task", None)) for each in found]
    assert kinds == [
        (GradientConflictLogger, None),
        (EmbeddingProjector, "objects"),
        (RetrievalLogger, "captions/texts"),
        (EmbeddingProjector, "captions/texts"),
        (RetrievalLogger, "sounds/texts"),
        (EmbeddingProjector, "sounds/texts"),
        (RetrievalLogger, "clips"),
        (EmbeddingProjector, "clips"),
    ]
