"""Ways to make one log-mel spectrogram, each a step for `_timing.serve`."""

import dataclasses

import numpy as np

RATE = 16_000
LOW, HIGH, OFFSET = 80.0, 7600.0, 1e-6


@dataclasses.dataclass(frozen=True)
class Work:
    """What a step computes.

    Attributes:
        batch: Recordings.
        samples: Samples of each, int16.
        length: Samples of a frame, and of the transform.
        step: Samples from one frame to the next.
        bins: Mel bins.
    """

    batch: int = 32
    samples: int = 131_072
    length: int = 2048
    step: int = 1024
    bins: int = 128


def waveforms(work: Work) -> np.ndarray:
    rng = np.random.default_rng(0)
    time = np.arange(work.samples) / RATE
    pitch = rng.uniform(100, 4000, (work.batch, 1))
    tones = 0.3 * np.sin(2 * np.pi * pitch * time)
    noise = 0.05 * rng.normal(size=tones.shape)
    return np.round(32768 * (tones + noise)).clip(-32768, 32767).astype("int16")


def ours(work: Work, jit: bool = True):
    """`LogMel` as an encoder calls it, in a compiled function."""
    import keras

    from keras_imp.data import LogMel

    layer = LogMel(
        frame_length=work.length,
        frame_step=work.step,
        num_mel_bins=work.bins,
    )
    values = waveforms(work)
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        compiled = jax.jit(lambda x: layer(x))

        def run():
            return np.asarray(compiled(values))

    else:
        import tensorflow as tf

        compiled = tf.function(layer, jit_compile=jit)

        def run():
            return compiled(tf.constant(values)).numpy()

    return _checked(run, values, work)


def tf_signal(work: Work, where: str = "graph"):
    """`tf.signal` by its documentation: in tf.data, or as one function."""
    import tensorflow as tf

    values = waveforms(work)
    weights = tf.signal.linear_to_mel_weight_matrix(
        work.bins, work.length // 2 + 1, RATE, LOW, HIGH
    )

    def log_mel(samples):
        x = tf.cast(samples, tf.float32) / 32768.0
        frames = tf.signal.stft(
            x, work.length, work.step, work.length, pad_end=True
        )
        return tf.math.log(tf.tensordot(tf.abs(frames), weights, 1) + OFFSET)

    if where == "graph":
        compiled = tf.function(log_mel)

        def run():
            return compiled(tf.constant(values)).numpy()

        return _checked(run, values, work)
    dataset = (
        tf.data.Dataset.from_tensor_slices(values)
        .repeat()
        .map(log_mel, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(work.batch)
    )
    batches = iter(dataset)

    def next_batch():
        return next(batches).numpy()

    return _checked(next_batch, values, work)


def numpy_rfft(work: Work):
    """What a loader in plain NumPy does."""
    values = waveforms(work)

    def run():
        return oracle(values, work)

    return _checked(run, values, work)


def transforms_alone(work: Work):
    """The Fourier transforms of ready frames: nothing can take less."""
    import scipy.fft

    count = -(-work.samples // work.step)
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(work.batch, count, work.length))
    frames = frames.astype("float32")

    def run():
        # Recording by recording, whose frames stay in the cache.
        for one in frames:
            scipy.fft.rfft(one, overwrite_x=False)

    return run, {"largest_difference": None}


def oracle(values: np.ndarray, work: Work) -> np.ndarray:
    """The definition: docs/method.md, Modalities and tokenization."""
    from keras_imp.layers.log_mel import mel_weights

    weights = mel_weights(RATE, work.length, work.bins, LOW, HIGH)
    window = 0.5 - 0.5 * np.cos(
        2 * np.pi * np.arange(work.length) / work.length
    )
    window = window.astype("float32")
    padded = np.pad(
        values.astype("float32") / 32768, [(0, 0), (0, work.length - 1)]
    )
    views = np.lib.stride_tricks.sliding_window_view(
        padded, work.length, axis=1
    )
    magnitudes = np.abs(np.fft.rfft(views[:, :: work.step] * window))
    return np.log(magnitudes.astype("float32") @ weights + OFFSET)


def _checked(run, values, work):
    """The step, and by how much its first result differs from the oracle."""
    expected = oracle(values, work)
    found = run()[:, : expected.shape[1]]
    differs = float(np.abs(found - expected).max())
    if differs > 0.05:
        raise AssertionError(f"Another spectrogram: off by {differs}.")
    return run, {"largest_difference": round(differs, 5)}


SIDES = {
    "ours": ours,
    "tf_signal": tf_signal,
    "numpy_rfft": numpy_rfft,
    "transforms_alone": transforms_alone,
}
