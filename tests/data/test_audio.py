"""`LogMel` against a NumPy oracle written from the definition."""

import functools

import keras
import numpy as np
import pytest

from keras_imp.data.audio import LogMel, mel_weights
from tests.helpers.compiled import in_one


def oracle(
    waveform: np.ndarray,
    *,
    rate: float = 16_000,
    length: int = 2048,
    step: int = 1024,
    bins: int = 128,
    low: float = 80.0,
    high: float = 7600.0,
) -> np.ndarray:
    """Log-mel by loops over frames and bands, in float64."""
    frames = -(-len(waveform) // step)
    wave = np.concatenate([waveform, np.zeros(length + step)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    bands = oracle_bands(rate, length, bins, low, high)
    rows = []
    for frame in range(frames):
        part = wave[frame * step : frame * step + length] * window
        rows.append(np.log(np.abs(np.fft.rfft(part)) @ bands + 1e-6))
    return np.stack(rows)


@functools.cache
def oracle_bands(rate, length, bins, low, high):
    mel = [
        1127 * np.log(1 + k * rate / length / 700)
        for k in range(length // 2 + 1)
    ]
    edges = np.linspace(
        1127 * np.log(1 + low / 700), 1127 * np.log(1 + high / 700), bins + 2
    )
    bands = np.zeros((len(mel), bins))
    for band in range(bins):
        for k in range(1, len(mel)):
            left, peak, right = edges[band : band + 3]
            if left < mel[k] <= peak:
                bands[k, band] = (mel[k] - left) / (peak - left)
            elif peak < mel[k] < right:
                bands[k, band] = (right - mel[k]) / (right - peak)
    return bands


def waveforms(samples: int) -> np.ndarray:
    """Two chirps with a little noise."""
    rng = np.random.default_rng(3)
    time = np.arange(samples) / 16_000
    chirps = np.stack(
        [
            0.6 * np.sin(2 * np.pi * (300 + 2000 * time) * time),
            0.2 * np.sin(2 * np.pi * 3000 * time) * np.exp(-5 * time),
        ]
    )
    noise = 0.01 * rng.normal(size=chirps.shape)
    return (chirps + noise).astype("float32")


def to_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("samples", [16_384, 5_000, 1_025, 700])
def test_matches_oracle_with_training_values(samples):
    wave = waveforms(samples)
    result = to_numpy(in_one(LogMel())(wave))
    expected = np.stack([oracle(row) for row in wave])
    assert result.dtype == np.float32
    assert result.shape == (2, -(-samples // 1024), 128)
    np.testing.assert_allclose(result, expected, atol=2e-3)


def test_matches_oracle_with_small_frames():
    wave = waveforms(7_000)
    options = {"frame_length": 1024, "frame_step": 256, "num_mel_bins": 40}
    layer = in_one(LogMel(**options))
    expected = np.stack(
        [oracle(row, length=1024, step=256, bins=40) for row in wave]
    )
    np.testing.assert_allclose(to_numpy(layer(wave)), expected, atol=2e-3)


def test_imp_variant_reads_bands_of_three_times_the_rate():
    wave = waveforms(4_096)
    expected = np.stack([oracle(row, rate=48_000) for row in wave])
    result = to_numpy(in_one(LogMel(variant="imp"))(wave))
    np.testing.assert_allclose(result, expected, atol=2e-3)


def test_imp_variant_uses_fourier_bins_4_to_324():
    weights = mel_weights(48_000, 2048, 128, 80.0, 7600.0)
    used = np.flatnonzero(weights.any(axis=1))
    assert (used.min(), used.max()) == (4, 324)


def test_silence_gives_the_floor():
    result = to_numpy(LogMel()(np.zeros((1, 4_096), "float32")))
    np.testing.assert_allclose(result, np.log(1e-6), rtol=1e-5)


def test_published_length_gives_128_frames():
    assert LogMel().compute_output_shape((5, 131_072)) == (5, 128, 128)


def test_unknown_length_in_a_functional_model():
    waveform = keras.Input((None,))
    model = keras.Model(waveform, LogMel()(waveform))
    assert model.output_shape == (None, None, 128)
    wave = waveforms(5_000)
    expected = to_numpy(in_one(LogMel())(wave))
    result = model.predict(wave, verbose=0)
    np.testing.assert_allclose(result, expected, atol=2e-3)


def test_stays_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = LogMel()
        result = layer(np.zeros((1, 4_096), "float32"))
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"


def test_config_round_trip():
    layer = LogMel(frame_length=512, frame_step=128, num_mel_bins=32, name="m")
    again = LogMel.from_config(layer.get_config())
    wave = waveforms(3_000)
    first, second = (to_numpy(in_one(one)(wave)) for one in (layer, again))
    np.testing.assert_array_equal(second, first)
    assert again.name == "m"


@pytest.mark.parametrize("shape", [(16,), (2, 16, 1)])
def test_wrong_rank(shape):
    with pytest.raises(ValueError, match="shape") as error:
        LogMel()(np.zeros(shape, "float32"))
    assert (
        "A waveform must have the shape (batch, samples). "
        f"Received: shape={shape}. "
        "Average the channels, or add the batch axis."
    ) in str(error.value)


def test_bands_above_half_the_rate():
    with pytest.raises(ValueError, match="bands") as error:
        LogMel(sampling_rate=8_000, max_frequency=7600.0)
    assert str(error.value) == (
        "The bands must lie between 0 and half the sampling rate. "
        "Received: min_frequency=80.0, max_frequency=7600.0, "
        "sampling_rate=8000. Choose 0 <= min_frequency < max_frequency <= "
        "sampling_rate / 2."
    )


@pytest.mark.parametrize(
    ("rate", "edge"), [(8_000, 4_000), (11_025, 5_512.5), (48_000, 7_600)]
)
def test_the_highest_band_ends_where_the_rate_allows(rate, edge):
    layer = LogMel(sampling_rate=rate)
    assert layer.max_frequency == edge
    wave = waveforms(2_100)
    expected = np.stack([oracle(row, rate=rate, high=edge) for row in wave])
    np.testing.assert_allclose(to_numpy(layer(wave)), expected, atol=2e-3)
    assert LogMel.from_config(layer.get_config()).max_frequency == edge


@pytest.mark.parametrize("samples", [1, 2, 1_023])
def test_less_than_a_step_gives_one_frame(samples):
    wave = waveforms(1_100)[:, :samples]
    result = to_numpy(LogMel()(wave))
    assert result.shape == (2, 1, 128)
    np.testing.assert_allclose(
        result, np.stack([oracle(row) for row in wave]), atol=2e-3
    )


@pytest.mark.parametrize("shape", [(2, 0), (0, 3_000)])
def test_a_batch_of_nothing_is_refused(shape):
    text = (
        "A batch of waveforms must have at least one example and one sample. "
        f"Received: shape={shape}. Leave empty recordings out."
    )
    with pytest.raises(ValueError, match="waveforms") as error:
        LogMel()(np.zeros(shape, "float32"))
    assert text in str(error.value)
    with pytest.raises(ValueError, match="waveforms") as error:
        LogMel().compute_output_shape(shape)
    assert str(error.value) == text


def test_int16_is_scaled_by_the_range_of_its_type():
    whole = np.round(32768 * waveforms(5_000)).clip(-32768, 32767)
    layer = in_one(LogMel())
    expected = to_numpy(layer((whole / 32768).astype("float32")))
    np.testing.assert_array_equal(
        to_numpy(layer(whole.astype("int16"))), expected
    )


def test_mean_and_std_scale_the_logarithms():
    wave = waveforms(5_000)
    plain, scaled = (
        to_numpy(in_one(LogMel(**of))(wave))
        for of in ({}, {"mean": -5.0, "std": 9.0})
    )
    np.testing.assert_allclose(scaled, (plain + 5) / 9, atol=1e-6)
    with pytest.raises(ValueError, match="`std` must be greater than 0"):
        LogMel(std=0.0)


def test_other_integers_are_refused():
    text = (
        "A waveform must be int16, or float in [-1, 1]. Received: "
        "dtype='int32'. Divide other integers by the range of their type: "
        "int32 by 2147483648."
    )
    with pytest.raises(TypeError, match="int16, or float") as error:
        LogMel()(np.zeros((2, 3_000), "int32"))
    assert text in str(error.value)
