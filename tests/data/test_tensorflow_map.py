"""A preprocessor within `tf.data.Dataset.map`, as keras-hub's own are used."""

import re

import numpy as np
import pytest

import keras_imp
from keras_imp.data import Tokenizer

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.one_backend

TEXTS = ["a red heart", "a blue bird", "a red bird"]


@pytest.fixture(scope="module")
def arguments():
    return {
        "image": (8, 12),
        "video": (2, 8, 8),
        "audio_seconds": 0.01,
        "tokenizer": Tokenizer.train(TEXTS, 60, length=6),
    }


@pytest.fixture(scope="module")
def preprocessor(arguments):
    return keras_imp.IMPPreprocessor(**arguments)


@pytest.fixture
def examples(rng):
    return {
        "image": rng.integers(0, 256, (3, 20, 17, 3), "uint8"),
        "video": rng.integers(0, 256, (3, 5, 9, 14, 3), "uint8"),
        # Samples and channels, or it would be one recording.
        "audio": rng.uniform(-1, 1, (3, 200, 2)).astype("float32"),
        "text": TEXTS,
    }


# `run_preprocessor_test` is left out: it is for preprocessors of text alone,
# with `sequence_length` and `token_ids`.
def test_a_preprocessor_is_a_layer_of_keras_hub(
    keras_hub_contract, arguments, examples
):
    """Called, saved, in tf.data and in Grain, one example or a batch."""
    keras_hub_contract.run_preprocessing_layer_test(
        keras_imp.IMPPreprocessor, arguments, examples
    )


def test_tf_data_knows_the_shapes_and_dtypes(preprocessor, examples):
    rows = tf.data.Dataset.from_tensor_slices(examples)
    for specs, of_batch in (
        (rows.map(preprocessor).element_spec, False),
        (rows.batch(2).map(preprocessor).element_spec, True),
    ):
        for name, spec in preprocessor.input_specs.items():
            shape = spec.shape if of_batch else spec.shape[1:]
            assert tuple(specs[name].shape) == shape
            assert specs[name].dtype == spec.dtype


def test_recordings_of_another_rate_are_resampled(preprocessor, rng):
    samples = rng.uniform(-1, 1, 400).astype("float32")
    rows = tf.data.Dataset.from_tensors({"audio": (samples, 44_100)})
    (found,) = rows.map(preprocessor).as_numpy_iterator()
    expected = preprocessor({"audio": (samples, 44_100)})
    np.testing.assert_array_equal(found["audio"], expected["audio"])


def test_training_draws_anew_for_each_example(preprocessor, rng):
    image = rng.integers(0, 256, (8, 60, 3), "uint8")
    rows = tf.data.Dataset.from_tensors({"image": image}).repeat(4)
    drawn = rows.map(
        lambda x: preprocessor(x, True, np.random.default_rng(0))["image"]
    )
    found = {x.tobytes() for x in drawn.as_numpy_iterator()}
    assert len(found) == 4


def test_a_tensor_of_unknown_rank_is_refused(preprocessor):
    rows = tf.data.Dataset.from_generator(
        lambda: iter([{"image": np.zeros((8, 8, 3), "uint8")}]),
        output_signature={"image": tf.TensorSpec(None, "uint8")},
    )
    text = (
        "A tensor must have a known rank. Received: modality='image', "
        "rank=None. Use tf.ensure_shape or set_shape before."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        rows.map(preprocessor)
