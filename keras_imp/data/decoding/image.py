"""Image files to arrays: turned, in colors, cropped and scaled in one call."""

import io
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from keras_imp._errors import check_integer
from keras_imp._optional import require
from keras_imp.data.decoding.errors import BadFile, Decoded, decoding
from keras_imp.data.decoding.resampling import (
    DRAFT_FACTOR,
    Box,
    check_box,
    is_blank,
    resample,
)
from keras_imp.data.decoding.source import (
    Source,
    has_other_ending,
    kind_of,
    name_of,
    opened,
)

# What Pillow may open: no format that starts another program, such as EPS.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
MAX_PIXELS = 64_000_000
MAX_BYTES = 1 << 28
_UNSUPPORTED = {
    "AVIF", "DICOM", "EPS", "HEIF", "ICO", "JPEG 2000", "JPEG XL", "PDF",
    "PNM", "PSD", "SVG",
}  # fmt: skip
_ORIENTATION = 0x0112
# Orientations of EXIF that swap height and width, and to the turn of Pillow
# that brings each upright (`PIL.Image.Transpose`).
_SWAPPING = range(5, 9)
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
_TINY_PIXELS = 8
_LONGEST_ASPECT = 20


def decode_image(
    source: Source,
    size: tuple[int, int] | None = None,
    box: Box | Callable[[int, int], Box] | None = None,
    *,
    background: tuple[int, int, int] = (255, 255, 255),
    name: str = "",
    max_pixels: int = MAX_PIXELS,
) -> Decoded:
    """Decode an image as a viewer shows it.

    It is turned as its EXIF data says. Gray, palettes and CMYK become RGB;
    16 bits become 8, divided by 257; transparent parts show the background.
    Color profiles are ignored. Cropping and scaling are one step of Pillow
    with a filter that averages over all pixels of the original (antialiased,
    bilinear). A JPEG file much larger than `size` is decoded at a half, a
    quarter or an eighth.

    Args:
        source: A path, or the bytes of a file.
        size: Height and width of the result. Defaults to those of the box.
        box: Top, left, height and width in pixels of the turned image, shape
            `(4,)`, or several boxes `(views, 4)`; or a function of height and
            width that gives them, such as one of
            `keras_imp.data.augment.crops`. Defaults to the whole image.
        background: The color under transparent parts, red, green and blue.
        name: How messages name the file. Defaults to the path.
        max_pixels: Number of pixels above which the file is refused, from its
            header. Decoding takes 4 bytes for each (JPEG) to 26 (WebP).

    Returns:
        uint8 of shape `(height, width, 3)`, or `(views, height, width, 3)` for
        several boxes; notes `animated`, `pages`, `aspect`, `blank`, `extension`
        and `tiny`; facts `format`, `mode`, `height` and `width`.

    Raises:
        BadFile: If the file cannot be used.
        ValueError: If `size` or `box` are none, or the box leaves the image.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> from keras_imp.data.decoding import decode_image
        >>> file = io.BytesIO()
        >>> Image.new("L", (80, 60), 100).save(file, "JPEG")
        >>> image = decode_image(file.getvalue(), size=(32, 32))
        >>> image.values.shape, image.values.max(), image.notes
        ((32, 32, 3), np.uint8(100), ('blank',))
    """
    if size is not None:
        check_integer(1, height=size[0], width=size[1])
    name = name_of(source, name)
    with opened(source, MAX_BYTES) as file:
        with decoding(name):
            image = _open(file, name, max_pixels)
            orientation = _orientation(image)
        height, width = image.height, image.width
        if orientation in _SWAPPING:
            height, width = width, height
        boxes = check_box(box, height, width)
        with decoding(name):
            facts = {
                "format": image.format,
                "mode": image.mode,
                "height": height,
                "width": width,
            }
            notes = _notes_of_header(image, name, height, width)
            if size is not None:
                _draft(image, size, boxes, height, width)
            pixels = _in_colors(image, background)
            if orientation in _TURNS:
                pixels = pixels.transpose(_TURNS[orientation])
            values = resample(pixels, size, boxes, height, width)
    if "tiny" not in notes and is_blank(values):
        notes.append("blank")
    return Decoded(values, tuple(notes), facts)


def _open(file: BinaryIO, name: str, max_pixels: int) -> Any:
    """Read the header, and refuse what is no image or too large."""
    pillow = require("PIL.Image", extra="data")
    formats = _known_formats(pillow)
    kind = kind_of(file)
    if kind == "WEBP" and _is_cut_webp(file):
        # The decoder would only say that it cannot be made.
        raise BadFile("truncated", name)
    try:
        image = pillow.open(file, formats=formats)
    except pillow.UnidentifiedImageError as error:
        raise _unknown(kind, formats, name) from error
    if image.width * image.height > max_pixels:
        raise BadFile(
            "too_large",
            name,
            f"It has {image.width} x {image.height} pixels, and {max_pixels} "
            "are allowed.",
        )
    return image


def _is_cut_webp(file: BinaryIO) -> bool:
    """Whether the file is shorter than its header says."""
    size = file.seek(0, io.SEEK_END)
    file.seek(4)
    length = int.from_bytes(file.read(4), "little")
    file.seek(0)
    return 8 + length > size


def _known_formats(pillow: Any) -> tuple[str, ...]:
    """Those that this Pillow was built with: AVIF is not in all."""
    pillow.init()
    return tuple(kind for kind in FORMATS if kind in pillow.OPEN)


def _unknown(kind: str, formats: tuple[str, ...], name: str) -> BadFile:
    if kind in formats:
        return BadFile("damaged", name, f"It starts as {kind}.")
    if kind in _UNSUPPORTED:
        return BadFile("unsupported", name, f"It is {kind}.")
    return BadFile("not_image", name)


def _orientation(image: Any) -> int:
    """The orientation that EXIF gives, from 1, upright, to 8."""
    # Pillow turns TIFF itself, and its size is the turned one.
    if image.format == "TIFF":
        return 1
    return image.getexif().get(_ORIENTATION, 1)


def _notes_of_header(
    image: Any, name: str, height: int, width: int
) -> list[str]:
    # Several images for one shot are a format of their own, and no animation.
    kind = "JPEG" if image.format == "MPO" else image.format
    notes = []
    if kind != "JPEG" and getattr(image, "n_frames", 1) > 1:
        notes.append("pages" if kind == "TIFF" else "animated")
    if has_other_ending(name, kind):
        notes.append("extension")
    if max(height, width) < _TINY_PIXELS:
        notes.append("tiny")
    if max(height, width) > _LONGEST_ASPECT * min(height, width):
        notes.append("aspect")
    return notes


def _draft(
    image: Any,
    size: tuple[int, int],
    boxes: np.ndarray,
    height: int,
    width: int,
) -> None:
    """Let the decoder of JPEG halve an image that is much too large."""
    if image.format not in ("JPEG", "MPO"):
        return
    # Pixels of the image for each of the result, where they are fewest.
    ratio = (boxes[..., 2:] / size).min() / DRAFT_FACTOR
    if (height, width) != (image.height, image.width):
        height, width = width, height
    image.draft(
        image.mode, (max(1, int(width / ratio)), max(1, int(height / ratio)))
    )


def _in_colors(image: Any, background: tuple[int, int, int]) -> Any:
    """Decode, and bring to RGB of 8 bits."""
    pillow = require("PIL.Image", extra="data")
    image.load()
    if image.mode.startswith("I"):
        return _from_16_bits(image, pillow)
    if image.mode == "F":
        raise BadFile("unsupported", detail="Its pixels are floats.")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    # Without a copy for each step: large images take enough memory.
    above = image if image.mode == "RGBA" else image.convert("RGBA")
    shown = pillow.new("RGB", image.size, background)
    shown.paste(above, mask=above)
    return shown


def _from_16_bits(image: Any, pillow: Any) -> Any:
    """Gray of 16 bits, which Pillow would cut at 255."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise BadFile("unsupported", detail="Its pixels have 32 bits.")
    # 65535 is 255 * 257; the half rounds.
    small = ((values.astype("uint32") + 128) // 257).astype("uint8")
    return pillow.fromarray(small).convert("RGB")
