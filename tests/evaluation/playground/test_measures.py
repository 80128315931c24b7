"""Rows of the table, with models that know the answers or nothing."""

import numpy as np
import pytest

from keras_imp.evaluation.playground import measures
from keras_imp.evaluation.playground.recipe import OBJECTIVES, RECIPE
from keras_imp.evaluation.playground.splits import load_split
from keras_imp.evaluation.playground.tasks import arrays_by_task, make_tasks

pytestmark = pytest.mark.one_backend


class Oracle:
    """Vectors of each example's own, the same for its caption."""

    weights = ()

    def __init__(self, split, shuffled=False):
        self.tasks = {task.name: task for task in make_tasks(RECIPE)}
        self.split = split
        self.shuffled = shuffled
        self._vectors = {}

    def predict(self, x, task, batch_size, verbose):
        (modality,) = x
        source = self.split.source

        def of_views(examples):
            return np.repeat(examples, len(x[modality]) // len(examples), 0)

        if task == "objects":
            return of_views(np.eye(10)[source.fashion.labels])
        families = np.eye(12)[source.sounds.family_labels]
        if modality == "text":
            keys, found = x["text"], {}
        else:
            found = {"families": of_views(families)}
            keys = of_views(self._captions(task))
            if self.shuffled:
                keys = np.random.default_rng(0).permutation(keys)
        vectors = np.stack([self._vector(key) for key in keys])
        other = {"captions": "image", "sounds": "audio", "clips": "video"}[task]
        names = ("text", other) if modality == "text" else (other, "text")
        pair = {f"{names[0]}_to_{names[1]}": vectors}
        return pair if task == "clips" else {**found, "texts": pair}

    def _captions(self, task):
        x = arrays_by_task(self.split, words)[task][0]
        return x["text"]

    def _vector(self, key):
        generator = np.random.default_rng(abs(hash(str(key))) % 2**32)
        vector = generator.normal(size=32)
        return vector / np.linalg.norm(vector)


def words(texts):
    """A tokenizer that leaves texts as they are."""
    return np.array(list(texts))


@pytest.fixture(scope="module")
def split():
    return load_split("validation")


def rows_of(model, split):
    rows = measures.measure(model, split, words)
    return {row.what: row.value for row in rows}


def test_a_model_that_knows_all_finds_all(split):
    found = rows_of(Oracle(split), split)
    perfect = [name for name, value in found.items() if value == 1.0]
    assert "Fashion-MNIST class, accuracy" in perfect
    assert "instrument family, accuracy" in perfect
    assert "emoji image to caption, R@10" in perfect
    assert "caption to emoji image without flags, R@10" in perfect
    assert "sound to caption, R@1" in perfect
    assert "rendered clip to caption, R@10" in perfect


def test_shuffled_captions_fall_to_chance(split):
    found = rows_of(Oracle(split, shuffled=True), split)
    captions = len(split.source.emoji.names)
    for name in (
        "emoji image to caption, R@10",
        "rendered clip to caption, R@10",
    ):
        assert found[name] < 5 * 10 / captions


def test_rows_are_those_of_what_was_learned(split):
    model = Oracle(split)
    assert measures.learned(model) == OBJECTIVES
    model.tasks = {"objects": model.tasks["objects"]}
    assert list(rows_of(model, split)) == ["Fashion-MNIST class, accuracy"]
