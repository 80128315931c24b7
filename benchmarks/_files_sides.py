"""Sides of files.py: how each library reads a batch of files.

Every side decodes the same files to the same arrays with the same filter, two
at a time where it can, and reads nothing ahead: what is measured of a batch is
the work of that batch.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
from _timing import NotAvailableError

SIZE, CROP = 224, 375
SECONDS, RATE = 8.0, 16_000
FRAMES, STRIDE = 16, 2
Step = tuple[Callable[[], None], dict]


@dataclasses.dataclass(frozen=True)
class Work:
    """What is read.

    Attributes:
        medium: `"image"`, `"audio"` or `"video"`.
        folder: Folder of the files, `0.jpg` and so on.
        files: How many there are.
        batch: Files of a batch.
    """

    medium: str
    folder: str
    files: int = 64
    batch: int = 16

    @property
    def paths(self) -> list[str]:
        """The files, in order."""
        ending = {"image": "jpg", "audio": "wav", "video": "mp4"}[self.medium]
        return [f"{self.folder}/{i}.{ending}" for i in range(self.files)]


def keras_imp_records(work: Work) -> Step:
    """`keras_imp.data.Records`, two threads."""
    import keras_imp

    sizes = {
        "image": {"image": (SIZE, SIZE)},
        "audio": {"audio_seconds": SECONDS, "sampling_rate": RATE},
        "video": {"video": (FRAMES, SIZE, SIZE), "video_stride": STRIDE},
    }
    names = [pathlib.Path(path).name for path in work.paths]
    data = keras_imp.data.Records(
        keras_imp.data.Manifest({work.medium: names}, root=work.folder),
        keras_imp.IMPPreprocessor(**sizes[work.medium]),
        work.batch,
        inputs=(work.medium,),
        shuffle=False,
        threads=2,
    )
    numbers = _endless(len(data))
    return _step(lambda: data[next(numbers)][0][work.medium])


def tf_data(work: Work) -> Step:
    """`tf.data`, two calls at a time; videos by PyAV in a `numpy_function`."""
    import tensorflow as tf

    def image(path):
        pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        pixels = tf.image.resize_with_crop_or_pad(pixels, CROP, CROP)
        pixels = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        return tf.cast(tf.round(pixels), tf.uint8)

    def audio(path):
        samples, _ = tf.audio.decode_wav(tf.io.read_file(path))
        return tf.reduce_mean(samples, axis=1)

    def video(path):
        return tf.numpy_function(
            lambda p: _video(p.decode()), [path], tf.uint8, stateful=False
        )

    decode = {"image": image, "audio": audio, "video": video}[work.medium]
    data = tf.data.Dataset.from_tensor_slices(work.paths).repeat()
    data = data.map(decode, num_parallel_calls=2).batch(work.batch)
    return _step(iter(data.as_numpy_iterator()).__next__)


def grain(work: Work) -> Step:
    """`grain.MapDataset`, two threads."""
    try:
        from grain import MapDataset, ReadOptions
    except ImportError as error:
        raise NotAvailableError("pip install grain") from error
    data = MapDataset.source(work.paths).repeat().map(_DECODE[work.medium])
    # Read ahead by file, not by batch: what is measured is one batch's work.
    ahead = ReadOptions(num_threads=2, prefetch_buffer_size=2)
    data = data.to_iter_dataset(ahead).batch(work.batch)
    return _step(iter(data).__next__)


def torch_loader(work: Work) -> Step:
    """A `DataLoader` of torch in one process: workers would add copies."""
    import torch

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return work.files

        def __getitem__(self, index):
            return torch.from_numpy(_DECODE[work.medium](work.paths[index]))

    def batches():
        while True:
            yield from torch.utils.data.DataLoader(Files(), work.batch)

    found = batches()
    return _step(lambda: next(found).numpy())


def _image(path: str) -> np.ndarray:
    """The middle of an image by Pillow, as its users write it."""
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    left, top = (image.width - CROP) // 2, (image.height - CROP) // 2
    image = image.crop((left, top, left + CROP, top + CROP))
    return np.array(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def _audio(path: str) -> np.ndarray:
    """One channel by soundfile."""
    import soundfile

    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.mean(axis=1)


def _video(path: str) -> np.ndarray:
    """Every second frame from the middle by PyAV, scaled by Pillow."""
    import av
    from PIL import Image

    images = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        skipped = (stream.frames - ((FRAMES - 1) * STRIDE + 1)) // 2
        for number, frame in enumerate(container.decode(stream)):
            place, rest = divmod(number - skipped, STRIDE)
            if number < skipped or rest:
                continue
            image = frame.to_image()
            images.append(
                np.asarray(
                    image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
                )
            )
            if place == FRAMES - 1:
                break
    return np.stack(images)


_DECODE = {"image": _image, "audio": _audio, "video": _video}


def _endless(count: int):
    while True:
        yield from range(count)


def _step(batch: Callable[[], np.ndarray]) -> Step:
    """A step that reads a batch, and what the first one has, to compare."""
    first = np.asarray(batch())
    values = first.astype("float64")
    facts = {
        "shape": list(first.shape),
        "mean": float(values.mean()),
        "std": float(values.std()),
    }

    def step() -> None:
        batch()

    return step, facts


SIDES = {
    "keras-imp Records": ("torch", keras_imp_records),
    "tf.data": ("tensorflow", tf_data),
    "grain": ("torch", grain),
    "torch DataLoader": ("torch", torch_loader),
}
