"""Vectors and sprites for TensorBoard's projector."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

import keras_imp
from keras_imp.callbacks import EmbeddingProjector
from keras_imp.evaluation.pooled import features_of
from tests.helpers import models

NUM = 3
LABELS = ["red\tthing", "green", "blue and a very long name indeed"]


def make_model():
    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder(
        8,
        16,
        1,
        2,
        modalities=("image", "video", "text"),
        vocabulary_size=9,
        patch_size=(2, 8, 8),
        dropout=0.3,
    )
    model = keras_imp.AlternatingModel(
        encoder,
        [
            keras_imp.tasks.Classification("objects", "image", 3),
            keras_imp.tasks.Combined(
                "both",
                [
                    keras_imp.tasks.Contrastive(
                        "texts", ("video", "text"), projection_dim=4
                    )
                ],
            ),
        ],
    )
    model.compile(
        "adam", jit_compile=models.default_jit(), **models.few_steps()
    )
    return model


def inputs():
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], "uint8")
    image = np.broadcast_to(colors[:, None, None], (NUM, 16, 16, 3))
    video = np.broadcast_to(colors[:, None, None, None], (NUM, 2, 16, 16, 3))
    return {
        "image": np.array(image),
        "video": video.astype("float32") / 127.5 - 1.0,
        "text": np.arange(1, NUM + 1)[:, None],
    }


def some(*names):
    return {name: inputs()[name] for name in names}


def fit(callbacks, model=None):
    model = model or make_model()
    y = np.arange(NUM)
    model.fit(
        models.in_turn(
            {
                "objects": [(some("image"), y)],
                "both": [(some("video", "text"),)],
            }
        ),
        steps_per_epoch=2,
        epochs=2,
        verbose=0,
        callbacks=callbacks,
    )
    return model


def vectors_in(folder):
    return np.loadtxt(folder / "vectors.tsv", delimiter="\t")


def test_a_search_has_the_vectors_of_both_modalities(tmp_path):
    x = some("video", "text")
    projector = EmbeddingProjector(tmp_path, "both/texts", x, LABELS)
    model = fit([projector])
    folder = tmp_path / "projector_both_texts"
    found = model.predict(x, task="both", verbose=0)["texts"]
    expected = np.concatenate([found["video_to_text"], found["text_to_video"]])
    np.testing.assert_allclose(vectors_in(folder), expected, atol=1e-5)
    assert (folder / "metadata.tsv").read_text().splitlines() == [
        "label\tmodality",
        "red thing\tvideo",
        "green\tvideo",
        "blue and a very long name indeed\tvideo",
        "red thing\ttext",
        "green\ttext",
        "blue and a very long name indeed\ttext",
    ]


def test_a_classification_has_the_vectors_that_its_head_is_given(tmp_path):
    x = some("image")
    model = fit([EmbeddingProjector(tmp_path, "objects", x)])
    expected = features_of(model.encoder, "image", x["image"])
    folder = tmp_path / "projector_objects"
    np.testing.assert_allclose(vectors_in(folder), expected, atol=1e-4)
    assert (folder / "metadata.tsv").read_text() == (
        "label\tmodality\n0\timage\n1\timage\n2\timage\n"
    )


def test_each_sprite_is_the_picture_of_its_row(tmp_path):
    fit([EmbeddingProjector(tmp_path, "both/texts", some("video", "text"))])
    sheet = Image.open(tmp_path / "projector_both_texts" / "sprites.png")
    # Six of them in rows of three: videos, then texts, black on yellow.
    assert sheet.size == (192, 192)
    centers = [sheet.getpixel((32 + 64 * i, 32)) for i in range(NUM)]
    assert centers == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    text = np.asarray(sheet)[64:128, :64].reshape(-1, 3)
    assert text.min() < 100
    assert tuple(text[-1]) == (255, 243, 176)


def test_tensorboard_finds_all_of_it(tmp_path):
    from tensorboard.backend import application
    from tensorboard.backend.event_processing import data_provider
    from tensorboard.backend.event_processing import (
        plugin_event_multiplexer as multiplexers,
    )
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector import projector_plugin
    from werkzeug.test import Client

    x = some("video", "text")
    fit([EmbeddingProjector(tmp_path, "both/texts", x, LABELS)])
    multiplexer = multiplexers.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    plugin = projector_plugin.ProjectorPlugin(
        base_plugin.TBContext(
            logdir=str(tmp_path),
            data_provider=data_provider.MultiplexerDataProvider(
                multiplexer, str(tmp_path)
            ),
        )
    )
    client = Client(application.TensorBoardWSGI([plugin]))
    prefix = "/data/plugin/projector"
    (run,) = client.get(f"{prefix}/runs").json
    assert run == "projector_both_texts"
    (embedding,) = client.get(f"{prefix}/info?run={run}").json["embeddings"]
    assert embedding["tensorName"] == "both/texts, epoch 1"
    assert embedding["tensorShape"] == [2 * NUM, 4]
    name = embedding["tensorName"].replace(" ", "%20")
    for what, start in (
        ("tensor", None),
        ("metadata", b"label\tmodality"),
        ("sprite_image", b"\x89PNG"),
    ):
        found = client.get(f"{prefix}/{what}?run={run}&name={name}")
        assert found.status_code == 200
        assert start is None or found.data.startswith(start)


def test_training_is_the_same_bit_for_bit_with_and_without_it(tmp_path):
    states = []
    x = some("video", "text")
    for callbacks in ([], [EmbeddingProjector(tmp_path, "both/texts", x)]):
        keras.utils.set_random_seed(1)
        states.append(models.state(fit(callbacks)))
    models.assert_same(*states)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("task", "names", "labels", "expected"),
    [
        (
            "objects",
            ("image", "text"),
            None,
            "`x` must have one modality of the task. Received: "
            "modalities=['image', 'text']. Those of 'objects' are ('image',).",
        ),
        (
            "objects",
            ("image",),
            ["a"],
            "Each row must have an entry of everything. Received: "
            "rows={'image': 3, 'labels': 1}.",
        ),
        (
            "birds",
            ("image",),
            None,
            "The model has the tasks ['objects', 'both', 'both/texts']. "
            "Received: task='birds'.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, task, names, labels, expected):
    projector = EmbeddingProjector(tmp_path, task, some(*names), labels)
    with pytest.raises(ValueError, match=re.escape(expected)):
        fit([projector])


@pytest.mark.one_backend
def test_more_sprites_than_tensorboard_takes_are_refused(tmp_path):
    x = {"image": np.zeros((16385, 1, 1, 3), "uint8")}
    with pytest.raises(ValueError, match="at most 16,384 vectors") as error:
        fit([EmbeddingProjector(tmp_path, "objects", x)])
    assert str(error.value) == (
        "The projector takes at most 16,384 vectors with sprites. Received: "
        "vectors=16385. Give some of the rows."
    )
