"""One preprocessor for training, evaluation and serving, saved and loaded."""

import json
import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.data import Tokenizer
from tests.helpers.weights import to_numpy

TEXTS = ["a red heart", "a red apple", "a blue bird"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS, 60, length=6)


@pytest.fixture(scope="module")
def preprocessor(tokenizer):
    return keras_imp.IMPPreprocessor(
        image=(16, 16),
        video=(4, 16, 16),
        video_stride=2,
        audio_seconds=0.256,
        tokenizer=tokenizer,
    )


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return keras_imp.IMPEncoder.from_preset(
        "imp_tiny",
        modalities=("image", "video", "audio", "text"),
        num_layers=1,
        vocabulary_size=tokenizer.vocabulary_size,
    )


def examples(rng, count=3):
    """Files as they are decoded: each of another size, rate and form."""
    return {
        "image": [
            rng.integers(0, 256, (20 + 9 * i, 37, 3), "uint8")
            for i in range(count)
        ],
        "video": [
            rng.integers(0, 256, (3 + 5 * i, 18, 25, 3), "uint8")
            for i in range(count)
        ],
        "audio": [
            (rng.uniform(-0.3, 0.3, (9000, 1 + i)).astype("float32"), rate)
            for i, rate in zip(range(count), (16_000, 44_100, 8_000))
        ],
        "text": TEXTS[:count],
    }


def refused(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}")


# What comes out --------------------------------------------------------------


def test_a_batch_has_the_shapes_and_dtypes_that_are_told(preprocessor, rng):
    x = preprocessor(examples(rng))
    for name, spec in preprocessor.input_specs.items():
        assert x[name].shape == (3, *spec.shape[1:])
        assert x[name].dtype == spec.dtype
    assert list(x) == list(preprocessor.modalities)


def test_audio_may_be_int16_for_half_the_bytes(rng):
    made = keras_imp.IMPPreprocessor(audio_seconds=0.01, audio_dtype="int16")
    x = made({"audio": rng.uniform(-1, 1, 160)})
    assert x["audio"].dtype == made.input_specs["audio"].dtype == "int16"
    with refused("`audio_dtype` must be one of ('float32', 'int16')."):
        keras_imp.IMPPreprocessor(audio_seconds=1.0, audio_dtype="float16")


def test_one_example_is_a_row_of_the_batch(preprocessor, rng):
    several = examples(rng)
    batch = preprocessor(several)
    for row in range(3):
        one = preprocessor({name: several[name][row] for name in several})
        for name, value in one.items():
            np.testing.assert_array_equal(value, batch[name][row])


def test_some_of_the_modalities_are_enough(preprocessor):
    assert preprocessor({"text": "a red heart"})["text"].shape == (6,)


def test_the_batch_is_what_the_encoder_takes(preprocessor, encoder, rng):
    x = preprocessor(examples(rng))
    encoder.check_inputs(x)
    features = encoder.predict(x, verbose=0)
    assert features["audio"]["pooled_output"].shape == (3, 128)


# Training --------------------------------------------------------------------


def test_training_draws_and_the_generator_repeats_it(preprocessor, rng):
    x = examples(rng)
    first, again, other, middle = (
        preprocessor(x, training=seed is not None, generator=generator)
        for seed, generator in (
            (0, np.random.default_rng(0)),
            (0, np.random.default_rng(0)),
            (1, np.random.default_rng(1)),
            (None, None),
        )
    )
    for name in ("image", "video", "audio"):
        np.testing.assert_array_equal(first[name], again[name])
        assert (first[name] != other[name]).any()
        assert (first[name] != middle[name]).any()
    np.testing.assert_array_equal(first["text"], other["text"])


def test_video_and_audio_are_cut_at_one_proportion(preprocessor):
    # Frame i and sample i say when they are.
    video = np.arange(100, dtype="uint8")[:, None, None, None]
    video = np.broadcast_to(video, (100, 16, 16, 3))
    audio = np.arange(20_000, dtype="int16")  # Times 32768 below.
    generator = np.random.default_rng(3)
    spare_frames, spare_samples = 100 - 7, 20_000 - 4096
    for _ in range(5):
        x = preprocessor(
            {"video": video, "audio": audio}, True, generator=generator
        )
        proportion = 32768 * x["audio"][0] / spare_samples
        start = x["video"][0, 0, 0, 0] / spare_frames
        assert start == pytest.approx(proportion, abs=0.006)


def test_an_image_is_cut_alike_whatever_is_beside_it(preprocessor, rng):
    x = examples(rng)
    alone, beside = (
        preprocessor(part, True, np.random.default_rng(0))["image"]
        for part in ({"image": x["image"]}, x)
    )
    np.testing.assert_array_equal(alone, beside)


def test_training_needs_a_generator(preprocessor):
    with refused("`generator` must be given for training: it draws what is"):
        preprocessor({"text": "a"}, training=True)
    with refused("`generator` must be given for training"):
        preprocessor({"text": "a"}, training=True, generator=0)


# Training and serving --------------------------------------------------------


def test_serving_gives_what_evaluation_gives(
    preprocessor, encoder, rng, tmp_path
):
    """From decoded data to predictions: a model here, and as it is loaded."""
    tasks = [
        keras_imp.tasks.Contrastive("captions", pairs=[("image", "text")]),
        keras_imp.tasks.Classification("sounds", "audio", 2),
    ]
    model = keras_imp.AlternatingModel(encoder, tasks)
    model.compile("sgd", jit_compile=False)
    data = examples(rng)
    train = preprocessor(data, training=True, generator=rng)
    model.fit(
        keras_imp.TaskMixture(
            {
                "captions": [({n: train[n] for n in ("image", "text")},)],
                "sounds": [({"audio": train["audio"]}, np.array([0, 1, 0]))],
            }
        ),
        steps_per_epoch=2,
        verbose=0,
    )
    evaluated = preprocessor(data)
    encoder.save_to_preset(str(tmp_path))
    preprocessor.save_to_preset(tmp_path)
    served_by = keras_imp.IMPEncoder.from_preset(str(tmp_path))
    served = keras_imp.IMPPreprocessor.from_preset(tmp_path)(data)
    for name, values in evaluated.items():
        np.testing.assert_array_equal(served[name], values)
    here = model.encoder.predict(evaluated, verbose=0)
    there = served_by.predict(served, verbose=0)
    for name in here:
        np.testing.assert_allclose(
            there[name]["pooled_output"],
            here[name]["pooled_output"],
            rtol=1e-5,
            atol=1e-5,
        )
    # What the compiled step of `evaluate` saw is what a plain call sees.
    predicted = model.predict(evaluated["audio"], task="sounds", verbose=0)
    plain = model({"sounds": {"audio": served["audio"]}})
    np.testing.assert_allclose(predicted, to_numpy(plain), rtol=1e-4, atol=1e-5)


# Saving ----------------------------------------------------------------------


def test_a_preset_has_its_files_beside_those_of_the_encoder(
    preprocessor, encoder, tmp_path
):
    encoder.save_to_preset(str(tmp_path))
    preprocessor.save_to_preset(str(tmp_path))
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "preprocessor.json", "tokenizer.json"} <= names
    saved = json.loads((tmp_path / "preprocessor.json").read_text())
    assert saved["registered_name"] == "keras_imp>IMPPreprocessor"
    assert "tokenizer" not in saved["config"]
    again = keras_imp.IMPPreprocessor.from_preset(str(tmp_path))
    assert again.get_config() == preprocessor.get_config()
    other = keras_imp.IMPPreprocessor.from_preset(
        tmp_path, image=(32, 32), text=4
    )
    assert other.image == (32, 32)
    assert other(dict.fromkeys(["text"], "a red heart"))["text"].shape == (4,)


def test_without_text_there_is_no_tokenizer_file(tmp_path):
    keras_imp.IMPPreprocessor(image=(8, 8)).save_to_preset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["preprocessor.json"]
    assert keras_imp.IMPPreprocessor.from_preset(tmp_path).image == (8, 8)


def test_the_config_is_whole(preprocessor):
    config = json.loads(json.dumps(preprocessor.get_config()))
    again = keras_imp.IMPPreprocessor.from_config(config)
    assert again.get_config() == preprocessor.get_config()
    saved = keras.saving.serialize_keras_object(preprocessor)
    loaded = keras.saving.deserialize_keras_object(saved)
    assert loaded.get_config() == preprocessor.get_config()


def test_a_folder_without_one_says_how_to_make_it(tmp_path):
    with refused(
        "A preset of a preprocessor must be a folder with a preprocessor.json.",
        FileNotFoundError,
    ):
        keras_imp.IMPPreprocessor.from_preset(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"config": []}'])
def test_a_file_without_arguments_is_refused(tmp_path, text):
    (tmp_path / "preprocessor.json").write_text(text)
    with refused(
        "`config` in preprocessor.json must hold constructor arguments."
    ):
        keras_imp.IMPPreprocessor.from_preset(tmp_path)


# With an encoder -------------------------------------------------------------


def test_for_an_encoder_audio_fills_whole_patches(encoder):
    made = keras_imp.IMPPreprocessor.for_encoder(encoder, audio_seconds=1.0)
    assert made.audio_samples == 16_384
    assert made.sampling_rate == 16_000
    exact = keras_imp.IMPPreprocessor.for_encoder(encoder, audio_seconds=1.024)
    assert exact.audio_seconds == made.audio_seconds == 1.024
    papers = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("audio",))
    made = keras_imp.IMPPreprocessor.for_encoder(papers, audio_seconds=8)
    assert (made.audio_seconds, made.audio_samples) == (8.192, 131_072)


def test_what_does_not_fit_an_encoder_is_refused(encoder, tokenizer):
    make = keras_imp.IMPPreprocessor
    with refused("`sampling_rate` must be that of the encoder's `log_mel`"):
        make(audio_seconds=1.024, sampling_rate=8000).check_encoder(
            keras_imp.IMPEncoder.from_preset(
                "imp_tiny",
                modalities=("audio",),
                log_mel={"num_mel_bins": 64, "frame_step": 128},
            )
        )
    with refused("`height` must be a multiple of the patch of 4."):
        make.for_encoder(encoder, image=(18, 16))
    with refused("A modality must be one of ('text',)."):
        text = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("text",))
        make.for_encoder(text, image=(16, 16))
    with refused("The encoder must have an id for each of the tokenizer's"):
        small = keras_imp.IMPEncoder(
            8, 16, 1, 2, modalities=("text",), vocabulary_size=5
        )
        make.for_encoder(small, tokenizer=tokenizer)


# Bad arguments and examples --------------------------------------------------


def test_bad_arguments_are_refused(tokenizer):
    make = keras_imp.IMPPreprocessor
    with refused("A preprocessor must have the size of a modality at least."):
        make()
    with refused("`image` must be (height, width). Received: image=224."):
        make(image=224)
    with refused("`audio_seconds` must be greater than 0."):
        make(audio_seconds=0.0)
    with refused("`tokenizer` must be given for text."):
        make(text=16)
    with refused("`video_stride` must be an integer of at least 1."):
        make(video=(4, 16, 16), video_stride=0)


def test_bad_examples_are_refused(preprocessor):
    with refused("`x` must be a dict from modality to examples.", TypeError):
        preprocessor(np.zeros((8, 8, 3), "uint8"))
    with refused("`x` must be a dict from modality to examples.", TypeError):
        preprocessor({})
    with refused("The preprocessor has sizes of ('image', 'video', 'audio',"):
        preprocessor({"depth": np.zeros((8, 8))})
    with refused("A text must be a string.", TypeError):
        preprocessor({"text": ["a", 3]})


def test_it_shows_its_arguments(preprocessor):
    assert repr(keras_imp.IMPPreprocessor(image=(8, 8))) == (
        "IMPPreprocessor(image=(8, 8))"
    )
