"""Audio as waveforms: the same as the spectrograms of the encoder's LogMel."""

import dataclasses
import functools
import json
import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.data import LogMel, ResizedArrays, Shape, drop_tokens
from keras_imp.models import Modality, patch_embedder
from keras_imp.models.modalities import modality_of
from keras_imp.models.padded_pass import padded_pass
from keras_imp.models.waveforms import ARGUMENTS
from tests.helpers import models
from tests.helpers.encoders import small_encoder
from tests.helpers.weights import assert_near, randomize, to_numpy

# 9 frames of 4 bins: 3 x 2 patches of the small encoder.
LOG_MEL = {
    "sampling_rate": 8000,
    "frame_length": 64,
    "frame_step": 32,
    "num_mel_bins": 4,
}
SAMPLES, FRAMES, TOKENS = 9 * 32, 9, 6
SAME = 2e-5


def encoder_of(modalities=("audio",), **arguments):
    arguments = {"log_mel": LOG_MEL, "num_layers": 1, **arguments}
    encoder = small_encoder(modalities, **arguments)
    return randomize(encoder, np.random.default_rng(0))


@pytest.fixture(scope="module")
def encoder():
    return encoder_of()


def waveforms(batch=3, samples=SAMPLES):
    rng = np.random.default_rng(1)
    whole = rng.integers(-20_000, 20_000, (batch, samples))
    return (whole / 32768).astype("float32")


def spectrograms(encoder, waves=None):
    waves = waveforms() if waves is None else waves
    return to_numpy(LogMel(**encoder.log_mel)(waves))


def refused(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}")


# What comes out --------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "token", "attention"])
def test_waveforms_give_what_their_spectrograms_give(pooling):
    encoder = encoder_of(pooling=pooling)
    found = encoder({"audio": waveforms()})["audio"]
    expected = to_numpy(encoder({"audio": spectrograms(encoder)})["audio"])
    for name, value in expected.items():
        assert_near(found[name], value, SAME)
    assert found["sequence_output"].shape == (3, TOKENS, 10)


def test_predict_takes_one_form_after_the_other():
    encoder = encoder_of()
    forms = waveforms(), spectrograms(encoder)
    first, second, again = (
        encoder.predict({"audio": forms[i]}, verbose=0)["audio"]
        for i in (0, 1, 0)
    )
    assert_near(second["pooled_output"], first["pooled_output"], SAME)
    assert_near(again["pooled_output"], first["pooled_output"], SAME)


def test_int16_gives_what_float_gives(encoder):
    whole = np.round(waveforms() * 32768).astype("int16")
    found = encoder.predict({"audio": whole}, verbose=0)["audio"]
    expected = encoder.predict({"audio": waveforms()}, verbose=0)["audio"]
    for name, value in expected.items():
        assert_near(found[name], value, SAME)


def test_kept_tokens_are_those_of_the_spectrogram(encoder):
    kept = {"audio": ops.convert_to_tensor([[0, 5], [1, 2], [3, 4]])}
    found = encoder({"audio": waveforms()}, kept=kept)["audio"]
    expected = encoder({"audio": spectrograms(encoder)}, kept=kept)["audio"]
    assert found["sequence_output"].shape == (3, 2, 10)
    assert_near(
        found["sequence_output"], to_numpy(expected["sequence_output"]), SAME
    )


def test_a_padded_pass_takes_them():
    encoder = encoder_of(("audio", "text"))
    text = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    parts = [
        encoder.embed("audio", waveforms()),
        encoder.embed("text", text),
    ]
    found = padded_pass(encoder, parts).features[0]
    expected = encoder({"audio": waveforms()})["audio"]
    assert_near(
        found["pooled_output"], to_numpy(expected["pooled_output"]), 1e-4
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_the_spectrogram_is_float32_whatever_the_encoder_computes_in(policy):
    encoder = encoder_of(dtype=policy)
    task = keras_imp.tasks.Classification("sounds", "audio", 3, dtype=policy)
    model = keras_imp.AlternatingModel(encoder, [task])
    for run in (
        lambda x: encoder({"audio": x})["audio"]["pooled_output"],
        lambda x: model({"sounds": {"audio": x}}),
    ):
        found, expected = (
            to_numpy(ops.cast(run(x), "float32"))
            for x in (waveforms(), spectrograms(encoder))
        )
        # To the bit, or nearly, where compilers round in another order; the
        # samples alone in bfloat16 would be off by 5e-2.
        np.testing.assert_allclose(found, expected, rtol=0, atol=5e-3)


def test_a_loud_tone_in_bfloat16_keeps_its_quiet_neighbor():
    # At -60 dB beside a loud one, a tone is lost if samples are rounded.
    time = np.arange(SAMPLES) / 8000
    tones = np.sin(2 * np.pi * 500 * time) + 1e-3 * np.sin(
        2 * np.pi * 3000 * time
    )
    waves = (0.5 * tones)[None].astype("float32")
    encoder = encoder_of(dtype="mixed_bfloat16")
    seen = []
    embedder = encoder.embedder_of("audio")
    on_grid = embedder.on_grid
    embedder.on_grid = lambda x: seen.append(on_grid(x)) or seen[-1]
    encoder({"audio": waves})
    np.testing.assert_allclose(
        to_numpy(seen[0]), spectrograms(encoder, waves), atol=1e-5
    )
    assert keras.backend.standardize_dtype(seen[0].dtype) == "float32"


# Shapes are known before anything is computed --------------------------------


def test_tokens_and_shapes_are_known(encoder):
    shape = (None, SAMPLES)
    assert encoder.num_tokens("audio", shape) == TOKENS
    found = encoder.compute_output_shape({"audio": shape})["audio"]
    assert found["sequence_output"] == (None, TOKENS, 10)
    # Any length that makes as many frames.
    assert encoder.num_tokens("audio", (2, SAMPLES - 31)) == TOKENS


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_a_functional_model_of_waveforms(encoder, dtype):
    audio = keras.Input((SAMPLES,), dtype=dtype, name="audio")
    pooled = encoder({"audio": audio})["audio"]["pooled_output"]
    model = keras.Model({"audio": audio}, pooled)
    values = waveforms()
    if dtype == "int16":
        values = np.round(values * 32768).astype("int16")
    found = model.predict({"audio": values}, verbose=0)
    expected = encoder({"audio": waveforms()})["audio"]["pooled_output"]
    assert_near(found, to_numpy(expected), 1e-4)


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="a format of TensorFlow"
)
def test_an_exported_model_takes_waveforms(encoder, tmp_path):
    import tensorflow as tf

    audio = keras.Input((SAMPLES,), dtype="int16", name="audio")
    pooled = encoder({"audio": audio})["audio"]["pooled_output"]
    keras.Model({"audio": audio}, pooled).export(tmp_path / "m", verbose=False)
    whole = np.round(waveforms() * 32768).astype("int16")
    program = tf.saved_model.load(tmp_path / "m")
    found = program.serve({"audio": tf.constant(whole)})
    expected = encoder({"audio": waveforms()})["audio"]["pooled_output"]
    assert_near(found.numpy(), to_numpy(expected), 1e-4)


def test_a_length_that_does_not_fit_says_which_do(encoder):
    text = (
        "A waveform must fill whole patches, of 96 samples each: 3 frames, one "
        "for each 32 samples. Received: samples=200, frames=7. Lengths that "
        "fit are 192 and 288: crop it or append silence; or set "
        'padding="same" to pad with zeros.'
    )
    for run in (
        lambda: encoder({"audio": waveforms(samples=200)}),
        lambda: encoder.check_inputs({"audio": waveforms(samples=200)}),
        lambda: encoder.num_tokens("audio", (None, 200)),
    ):
        with refused(text):
            run()
    padded = encoder_of(padding="same")
    assert padded.num_tokens("audio", (None, 200)) == 6


def test_mel_bins_that_do_not_fit_are_refused():
    encoder = encoder_of(log_mel={**LOG_MEL, "num_mel_bins": 5})
    with refused(
        "The mel bins of an encoder must be a multiple of its patch of 2, if "
        "it is given waveforms. Received: num_mel_bins=5. Set `num_mel_bins` "
        "in its `log_mel`, or `audio_patch_size`."
    ):
        encoder({"audio": waveforms()})
    # Spectrograms are the user's own.
    encoder({"audio": np.zeros((1, 9, 4), "float32")})


def test_another_rank_is_refused(encoder):
    text = (
        "The input 'audio' must have shape (batch, frames, bins) or (batch, "
        "samples). Received: shape=(3,)."
    )
    with refused(text):
        encoder.check_inputs({"audio": np.zeros(3)})


# Values ----------------------------------------------------------------------

RULE = "Samples of audio must be int16, or float in [-1, 1]. Received: "
BAD = {
    "int16 as float": (
        np.full((2, SAMPLES), 3000.0, "float32"),
        f"{RULE}dtype='float32', min=3000.0, max=3000.0. Divide samples of 16 "
        "bits by 32768: x / 32768.",
    ),
    "unit variance": (
        np.full((2, SAMPLES), -4.5, "float32"),
        f"{RULE}dtype='float32', min=-4.5, max=-4.5. Divide by the full range "
        "of the recording, not by a standard deviation.",
    ),
    "16 bits in int32": (
        np.full((2, SAMPLES), -32768, "int32"),
        f"{RULE}dtype='int32'. Cast samples of 16 bits: x.astype(\"int16\").",
    ),
    "32 bits": (
        np.full((2, SAMPLES), 1 << 30, "int32"),
        f"{RULE}dtype='int32'. Divide it by the range of its type: x / "
        "2147483648.",
    ),
    "8 bits": (
        np.full((2, SAMPLES), 128, "uint8"),
        f"{RULE}dtype='uint8'. Scale it by the range of its type: x / 128 - 1.",
    ),
    "booleans": (
        np.ones((2, SAMPLES), bool),
        f"{RULE}dtype='bool'. Use x.astype(\"float32\").",
    ),
    "not a number": (
        np.stack([np.zeros(SAMPLES), np.r_[np.zeros(SAMPLES - 1), np.nan]]),
        "Samples of audio must be finite. Received: row=1, dtype='float64'. "
        "Leave the recording out: a division of silence by its largest value "
        "makes such samples.",
    ),
    "infinite": (
        np.full((2, SAMPLES), -np.inf, "float32"),
        "Samples of audio must be finite. Received: row=0, dtype='float32'.",
    ),
}


@pytest.mark.parametrize("how", ["call", "predict", "check_inputs"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_samples_of_another_scale_or_kind_are_refused(encoder, bad, how):
    values, text = bad
    functions = {
        "call": encoder,
        "predict": functools.partial(encoder.predict, verbose=0),
        "check_inputs": encoder.check_inputs,
    }
    with refused(f"Input 'audio': {text}"):
        functions[how]({"audio": values})


def test_a_resampled_peak_and_no_example_pass(encoder):
    encoder.check_inputs({"audio": np.full((1, SAMPLES), 1.2, "float32")})
    encoder.check_inputs({"audio": np.zeros((0, SAMPLES), "float32")})


# Tasks and shapes ------------------------------------------------------------


@pytest.mark.parametrize("drop", [{}, {"audio": 0.5}], ids=["all", "dropped"])
def test_a_task_learns_from_waveforms(drop):
    encoder = encoder_of()
    task = keras_imp.tasks.Classification(
        "sounds", "audio", 2, drop_tokens=drop, drop_seed=0
    )
    model = keras_imp.AlternatingModel(encoder, [task])
    model.compile(
        keras_imp.optimizers.AdamW(1e-2), jit_compile=models.default_jit()
    )
    whole = np.round(waveforms(4) * 32768).astype("int16")
    batch = ({"audio": whole}, np.array([0, 1, 0, 1]))
    mixture = keras_imp.TaskMixture({"sounds": [batch]})
    history = model.fit(mixture, epochs=2, steps_per_epoch=4, verbose=0).history
    assert history["sounds/loss"][1] < history["sounds/loss"][0]


def test_masked_patches_are_those_of_the_spectrogram():
    encoder = encoder_of()
    task = keras_imp.tasks.MaskedModeling(
        "hidden",
        "audio",
        mask_rate=0.5,
        decoder_dim=8,
        decoder_layers=1,
        decoder_heads=2,
    )
    model = keras_imp.AlternatingModel(encoder, [task])
    model.compile("sgd", jit_compile=models.default_jit())
    losses = [
        model.evaluate(
            keras_imp.TaskMixture.sequential({"hidden": [({"audio": x},)]}),
            return_dict=True,
            verbose=0,
        )["hidden/loss"]
        for x in (waveforms(), spectrograms(encoder))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_plan_knows_lengths_of_waveforms(encoder):
    shapes = [Shape(audio=SAMPLES), Shape(audio=96, drop={"audio": 0.5})]
    plan = keras_imp.TokenBudget(tokens_per_batch=12).plan(
        encoder, {"sounds": shapes}
    )
    assert [one.batch_size for one in plan["sounds"]] == [2, 12]
    assert [one.full_tokens for one in plan["sounds"]] == [6, 2]
    assert plan.num_graphs == 2
    assert "Position rows of audio 288: frames 0-1, 3; bins 0-1." in str(plan)
    assert str(shapes[0]) == "audio 288"
    data = ResizedArrays(
        {"audio": waveforms(40, 2 * SAMPLES)},
        shapes=plan["sounds"],
        drop_on_host=False,
    )
    found = {data.batch_at(i)[0]["audio"].shape for i in range(4)}
    assert found == {(2, SAMPLES), (12, 96)}


def test_the_sizes_of_one_form_do_not_fit_the_other():
    with refused(
        "The size of 'audio' must be (frames, bins) or (samples). Received: "
        "audio=(1, 2, 3)."
    ):
        Shape(audio=(1, 2, 3))
    for stored, size in (((4, 9, 4), (9,)), ((4, 288), (9, 4))):
        form = modality_of("audio").of_shape(stored)
        with refused("The size of 'audio' must be ("):
            form.check_size(stored, size)


def test_the_host_cannot_drop_tokens_of_waveforms(encoder):
    text = (
        "On the host, tokens of 'audio' can be dropped of inputs of shape "
        "(batch, frames, bins) only: others become patches in the encoder. "
        "Received: shape=(3, 288). Use `drop_tokens` of the task, and "
        "drop_on_host=False of data.ResizedArrays."
    )
    with refused(text):
        drop_tokens(
            {"audio": waveforms()},
            {"audio": 0.5},
            encoder.patchings,
            np.random.default_rng(0),
        )
    plan = keras_imp.TokenBudget(tokens_per_batch=12).plan(
        encoder, {"sounds": [Shape(audio=SAMPLES, drop={"audio": 0.5})]}
    )
    with refused(text.split("Received")[0]):
        ResizedArrays({"audio": waveforms(9)}, shapes=plan["sounds"])


# The layer is a part of the encoder ------------------------------------------


def test_its_arguments_are_in_the_config_and_in_a_preset(tmp_path):
    encoder = encoder_of()
    config = json.loads(json.dumps(encoder.get_config()))
    assert tuple(config["log_mel"]) == ARGUMENTS
    assert config["log_mel"]["mean"] == -5.0
    again = keras_imp.IMPEncoder.from_config(config)
    assert again.log_mel == encoder.log_mel
    encoder.save_to_preset(str(tmp_path))
    loaded = keras_imp.IMPEncoder.from_preset(str(tmp_path))
    assert_near(
        loaded({"audio": waveforms()})["audio"]["pooled_output"],
        to_numpy(encoder({"audio": waveforms()})["audio"]["pooled_output"]),
        1e-6,
    )


def test_a_layer_does_as_well_as_its_arguments():
    layer = LogMel(**LOG_MEL, mean=-3.0, std=4.0)
    encoder = encoder_of(log_mel=layer)
    assert encoder.log_mel == {
        **LOG_MEL,
        "min_frequency": 80.0,
        "max_frequency": 4000.0,
        "variant": "fixed",
        "mean": -3.0,
        "std": 4.0,
    }


def test_the_default_is_the_papers_scaled():
    encoder = small_encoder(("text",))
    layer = LogMel(mean=-5.0, std=9.0)
    assert encoder.log_mel == {n: getattr(layer, n) for n in ARGUMENTS}
    first = small_encoder(("text",), variant="imp")
    layer = LogMel(variant="imp")
    assert first.log_mel == {n: getattr(layer, n) for n in ARGUMENTS}


def test_other_arguments_are_refused():
    with refused("`log_mel` must be a dict of arguments of", TypeError):
        encoder_of(log_mel=16_000)
    with refused("`log_mel` must have some of the arguments"):
        encoder_of(log_mel={"sample_rate": 16_000})
    with refused("The bands must lie between 0 and half the sampling rate."):
        encoder_of(log_mel={"max_frequency": 9000.0})


def test_it_is_no_layer_that_a_policy_has_to_fit():
    encoder = encoder_of(dtype="mixed_bfloat16")
    kinds = {type(layer) for layer in encoder._flatten_layers()}
    assert LogMel not in kinds


def test_a_modality_of_ones_own_has_both_forms_too():
    record = dataclasses.replace(modality_of("audio"), name="music")
    assert record.raw.name == "music"
    assert record.shapes == "(batch, frames, bins) or (batch, samples)"


def test_two_forms_of_one_rank_are_refused():
    with refused("`raw` must have another number of axes than its modality"):
        Modality(
            name="depth",
            axes=("height", "width"),
            make_embedder=patch_embedder,
            raw=Modality(
                name="depth",
                axes=("rows", "columns"),
                make_embedder=patch_embedder,
            ),
        )
