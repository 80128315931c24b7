"""The example of the documentation runs, and its task learns."""

import pathlib
import runpy

import keras
import pytest

import keras_imp

pytestmark = pytest.mark.one_backend

FILE = pathlib.Path(__file__).parents[1] / "examples" / "own_task.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(FILE))


def test_the_task_learns_on_bundled_data(example):
    history = example["main"](epochs=4, steps_per_epoch=40, verbose=0).history
    # Chance is a quarter.
    assert history["turns/accuracy"][-1] > 0.35
    assert history["turns/loss"][-1] < history["turns/loss"][0]
    assert history["clothes/loss"][-1] < history["clothes/loss"][0]


def test_the_task_saves_and_loads(example, tmp_path):
    encoder = keras_imp.IMPEncoder(
        8, 16, 1, 2, modalities=("image",), patch_size=(1, 4, 4)
    )
    model = keras_imp.AlternatingModel(encoder, [example["Turns"]("turns")])
    model.compile(optimizer="adam", jit_compile=False)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    image = keras.random.uniform((3, 8, 8, 3), seed=1)
    image = keras.ops.convert_to_numpy(image)
    for a, b in zip(
        model.predict(image, verbose=0), loaded.predict(image, verbose=0)
    ):
        assert a.tolist() == b.tolist()


def test_the_class_takes_no_more_than_40_lines():
    text = FILE.read_text()
    body = text[text.index("class Turns") : text.index("\n\n\ndef main")]
    code = [line for line in body.splitlines() if line.strip()]
    assert len(code) <= 40
