"""A model that knows colors by name, saved as a run, and files to search."""

import keras
import numpy as np
import pytest
from PIL import Image

import keras_imp
from keras_imp.data import Arrays, Manifest, Tokenizer
from keras_imp.search import SearchModel, embed

COLORS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (30, 40, 220),
    "yellow": (230, 220, 30),
    "white": (245, 245, 245),
    "black": (12, 12, 12),
}


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A run, as `keras-imp train` leaves it."""
    folder = tmp_path_factory.mktemp("search") / "run"
    folder.mkdir()
    keras.utils.set_random_seed(0)
    words = Tokenizer.train(list(COLORS), 60, length=8)
    encoder = keras_imp.IMPEncoder(
        16,
        32,
        1,
        2,
        ("image", "text"),
        vocabulary_size=words.vocabulary_size,
        num_experts=2,
        num_moe_layers=1,
    )
    task = keras_imp.tasks.Contrastive("captions", projection_dim=16)
    model = keras_imp.AlternatingModel(encoder, [task])
    model.compile(keras_imp.optimizers.AdamW(1e-2))
    pixels = np.array(list(COLORS.values()), "uint8")[:, None, None]
    x = {
        "image": np.ascontiguousarray(
            np.broadcast_to(pixels, (len(COLORS), 32, 32, 3))
        ),
        "text": words(list(COLORS)),
    }
    mixture = keras_imp.TaskMixture(
        {"captions": Arrays(x, batch_size=len(COLORS))}, seed=0
    )
    model.fit(mixture, steps_per_epoch=80, verbose=0)
    model.save(folder / "model.keras")
    preprocessor = keras_imp.IMPPreprocessor(image=(32, 32), tokenizer=words)
    encoder.save_to_preset(str(folder / "encoder"))
    preprocessor.save_to_preset(folder / "encoder")
    return folder


@pytest.fixture(scope="session")
def search_model(run_folder):
    return SearchModel.load(run_folder)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Files of one color each, and one that is damaged."""
    folder = tmp_path_factory.mktemp("images")
    for name, color in COLORS.items():
        Image.new("RGB", (50, 40), color).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


@pytest.fixture(scope="session")
def manifest(images):
    names = [*COLORS, "broken"]
    columns = {"image": [f"{n}.png" for n in names], "text": names}
    return Manifest(columns, root=images)


@pytest.fixture(scope="session")
def made(manifest, search_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "colors"
    return embed(manifest, search_model, folder, graph=True)


@pytest.fixture(scope="session")
def index(made):
    return made.index
