"""Images and a sound to a video file."""

from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image

FRAME_RATE = 25
_BACKGROUND = (96, 128, 64)
# Samples of a frame of AAC.
_AAC_FRAME = 1024


def write_video(
    path: Path, frames: list[tuple[Path, int]], sound: Path | None
) -> None:
    """Write H.264, with the sound from the start as AAC.

    Args:
        path: The file.
        frames: Images with milliseconds; transparent parts become grass.
        sound: A file of audio, or None.
    """
    images = [np.asarray(_opaque(file)) for file, _ in frames]
    # Even sides, as the encoder needs them; smaller images are centered.
    height = max(image.shape[0] for image in images) // 2 * 2
    width = max(image.shape[1] for image in images) // 2 * 2
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FRAME_RATE)
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        video.options = {"crf": "18"}
        samples, rate = _samples(sound)
        audio = None if samples is None else container.add_stream("aac", rate)
        for image, (_, milliseconds) in zip(images, frames):
            shown = av.VideoFrame.from_ndarray(_centered(image, height, width))
            for _ in range(max(1, round(milliseconds * FRAME_RATE / 1000))):
                container.mux(video.encode(shown))
                shown.pts = None
        container.mux(video.encode(None))
        if audio is not None and samples is not None:
            _add_sound(container, audio, samples, rate)


def _opaque(file: Path) -> Image.Image:
    """An image on the background."""
    with Image.open(file) as opened:
        image = opened.convert("RGBA")
    whole = Image.new("RGBA", image.size, (*_BACKGROUND, 255))
    return Image.alpha_composite(whole, image).convert("RGB")


def _centered(image: np.ndarray, height: int, width: int) -> np.ndarray:
    canvas = np.empty((height, width, 3), "uint8")
    canvas[:] = _BACKGROUND
    part = image[:height, :width]
    top, left = (height - part.shape[0]) // 2, (width - part.shape[1]) // 2
    canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
    return canvas


def _samples(sound: Path | None) -> tuple[np.ndarray | None, int]:
    """Samples of one channel, float32, with their rate."""
    if sound is None:
        return None, 0
    samples, rate = soundfile.read(sound, dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


def _add_sound(container, stream, samples: np.ndarray, rate: int) -> None:
    for start in range(0, len(samples), _AAC_FRAME):
        part = samples[None, start : start + _AAC_FRAME]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(part), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = rate, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
