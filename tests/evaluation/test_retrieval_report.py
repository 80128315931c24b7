import re

import numpy as np
import pytest

import keras_imp
from keras_imp import evaluate_retrieval
from keras_imp.evaluation import recall_at

NUM = 48


@pytest.fixture(scope="module")
def trained():
    """A model that finds images of one color by a word."""
    encoder = keras_imp.IMPEncoder(
        16, 32, 1, 2, ("image", "text"), vocabulary_size=NUM + 1
    )
    task = keras_imp.tasks.Contrastive("captions", projection_dim=16)
    model = keras_imp.AlternatingModel(encoder, [task])
    model.compile(keras_imp.optimizers.AdamW(1e-2))
    colors = np.random.default_rng(0).uniform(-1, 1, (NUM, 1, 1, 3))
    x = {
        "image": np.broadcast_to(colors, (NUM, 16, 16, 3)).astype("float32"),
        "text": np.arange(1, NUM + 1)[:, None],
    }
    mixture = keras_imp.TaskMixture(
        {"captions": keras_imp.data.Arrays(x, batch_size=NUM)}, seed=0
    )
    model.fit(mixture, steps_per_epoch=60, verbose=0)
    return model, x


def test_figures_are_those_of_all_similarities(trained):
    model, x = trained
    report = evaluate_retrieval(model, "captions", x, ks=(1, 5), chunk=7)
    vectors = model.predict(x, task="captions", batch_size=NUM, verbose=0)
    similarities = vectors["image_to_text"] @ vectors["text_to_image"].T
    for direction, values in (
        ("image to text", similarities),
        ("text to image", similarities.T),
    ):
        expected = recall_at(values, np.eye(NUM, dtype=bool), ks=(1, 5))
        assert report[f"{direction}, R@1"] == expected["recall@1"]
        assert report[f"{direction}, R@5"] == expected["recall@5"]
        assert report[f"{direction}, median rank"] == expected["median_rank"]
        low = report.values[f"{direction}, R@5"].low
        assert (
            low > report.chance[f"{direction}, R@5"] == pytest.approx(5 / NUM)
        )


def test_shuffled_captions_fall_to_chance(trained):
    model, x = trained
    order = np.random.default_rng(1).permutation(NUM)
    report = evaluate_retrieval(
        model, "captions", {**x, "text": x["text"][order]}, ks=(5,)
    )
    for direction in ("image to text", "text to image"):
        estimate = report.values[f"{direction}, R@5"]
        assert estimate.low < report.chance[f"{direction}, R@5"]


def test_rows_of_one_text_answer_each_other(trained):
    model, x = trained
    # Half of the answers are wrong: then intervals are widest.
    wrong = {
        **x,
        "text": np.concatenate(
            [x["text"][1:24], x["text"][:1], x["text"][24:]]
        ),
    }
    twice = {m: np.concatenate([v, v]) for m, v in wrong.items()}
    report = evaluate_retrieval(model, "captions", twice, ks=(1,))
    once = evaluate_retrieval(model, "captions", wrong, ks=(1,))
    name = "image to text, R@1"
    assert report[name] == once[name]
    # As many texts as before are independent: the interval is as wide.
    width = report.values[name].high - report.values[name].low
    assert width > 0.85 * (once.values[name].high - once.values[name].low)
    assert report.chance[name] == pytest.approx(2 / (2 * NUM))


def test_a_text_of_several_rows_is_one_item(trained):
    model, x = trained
    # The word of row 0 is that of the first 20 rows.
    text = np.concatenate([np.repeat(x["text"][:1], 20), x["text"][20:, 0]])
    report = evaluate_retrieval(
        model, "captions", {**x, "text": text[:, None]}, ks=(1, 2)
    )
    items = NUM - 19
    assert report.chance["image to text, R@2"] == pytest.approx(2 / items)
    # Rows of the other words are found, though those 20 are nearer to some.
    vectors = model.predict(x, task="captions", batch_size=NUM, verbose=0)
    words = np.r_[0, 20:NUM]
    similarities = vectors["image_to_text"] @ vectors["text_to_image"][words].T
    right = np.r_[np.zeros(20, int), 1:items]
    expected = (similarities.argmax(axis=1) == right).mean()
    assert report["image to text, R@1"] == pytest.approx(expected)


def test_groups_may_be_given(trained):
    model, x = trained
    everything = np.zeros(NUM, int)
    report = evaluate_retrieval(model, "captions", x, groups=everything)
    assert report["image to text, R@1"] == 1.0


@pytest.mark.parametrize(
    ("task", "change", "text"),
    [
        ("captons", {}, "The model has the tasks ['captions']."),
        ("captions", {"text": None}, "`x` must have at least two modalities"),
        ("captions", {"text": np.ones((3, 1), int)}, "Each row must have"),
    ],
    ids=["task", "one modality", "rows"],
)
def test_what_does_not_fit_is_refused(trained, task, change, text):
    model, x = trained
    x = {k: v for k, v in {**x, **change}.items() if v is not None}
    with pytest.raises(ValueError, match=re.escape(text)):
        evaluate_retrieval(model, task, x)
