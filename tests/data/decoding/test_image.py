"""Images come out as a viewer shows them, at the size that is asked for."""

import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_imp.data.augment import Draws, crops
from keras_imp.data.decoding import BadFile, decode_image, image

pytestmark = pytest.mark.one_backend

# What the decoder of JPEG halves is not quite what a filter averages.
HALVED_DISTANCE = 1.5
RED, BLUE = (200, 30, 30), (30, 30, 200)


def picture(height=60, width=80):
    """Red on the left, blue on the right, white near the top left."""
    pixels = np.zeros((height, width, 3), "uint8")
    pixels[:, : width // 2] = RED
    pixels[:, width // 2 :] = BLUE
    pixels[5:15, 5:15] = 255
    return pixels


def texture(height, width, rng):
    """Something like a photograph: more detail, less contrast."""
    total = np.zeros((height, width, 3), "float32")
    for step in (4, 16, 64):
        shape = (height // step + 2, width // step + 2, 3)
        noise = Image.fromarray(rng.integers(0, 256, shape, "uint8"))
        total += np.asarray(noise.resize((width, height)), "float32") * step
    return Image.fromarray((total / total.max() * 255).astype("uint8"))


def encoded(image, kind="PNG", **settings):
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, kind, **settings)
    return file.getvalue()


def distance(pixels, others):
    """Root of the mean squared difference, of 255."""
    return np.sqrt(np.mean((pixels.astype("float32") - others) ** 2))


def test_an_image_is_decoded_pixel_by_pixel():
    found = decode_image(encoded(picture()))
    np.testing.assert_array_equal(found.values, picture())
    assert found.values.dtype == "uint8"
    assert found.notes == ()
    assert found.facts == {
        "format": "PNG",
        "mode": "RGB",
        "height": 60,
        "width": 80,
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_as_its_exif_data_says(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture(), kind, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    found = decode_image(data)
    np.testing.assert_array_equal(found.values, expected)
    assert (found.facts["height"], found.facts["width"]) == expected.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_one_of_the_turned_image_also_where_it_is_halved(
    orientation, rng
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(texture(1200, 1600, rng), "JPEG", exif=exif, quality=95)
    whole = decode_image(data).values
    found = decode_image(data, (40, 30), box=(100, 200, 800, 600)).values
    cut = Image.fromarray(whole[100:900, 200:800])
    expected = cut.resize((30, 40), Image.Resampling.BILINEAR)
    assert distance(found, expected) < HALVED_DISTANCE
    assert distance(found[::-1], expected) > 10 * HALVED_DISTANCE


def test_gray_and_cmyk_become_colors():
    gray = decode_image(encoded(np.full((9, 9), 70, "uint8"), "JPEG")).values
    assert gray.shape == (9, 9, 3)
    assert np.all(gray == 70)
    cmyk = Image.fromarray(picture()).convert("CMYK")
    found = decode_image(encoded(cmyk, "JPEG", quality=95)).values
    assert np.abs(found[40, 10].astype(int) - RED).max() < 12


def test_16_bits_are_scaled_and_not_cut():
    ramp = np.array([[0, 128, 129, 257, 32896, 65406, 65407, 65535]], "uint16")
    found = decode_image(encoded(np.repeat(ramp, 9, 0))).values
    assert found[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255, 255]


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_pixels_of_no_known_range_are_not_guessed(dtype):
    data = encoded(np.full((9, 9), 70_000, dtype), "TIFF")
    with pytest.raises(BadFile) as error:
        decode_image(data)
    assert error.value.reason == "unsupported"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_parts_show_the_background(kind):
    pixels = np.dstack([picture(), np.full((60, 80), 255, "uint8")])
    pixels[:, 40:] = (0, 255, 0, 0)
    pixels[:, 20:30] = (0, 0, 0, 51)
    found = decode_image(encoded(pixels, kind, lossless=True)).values
    assert np.all(found[:, 40:] == 255)
    assert np.all(found[:, 20:30] == 204)
    on_gray = decode_image(
        encoded(pixels, kind, lossless=True), background=(100, 100, 50)
    ).values
    assert np.all(on_gray[:, 40:] == (100, 100, 50))
    assert np.all(on_gray[20:, :19] == RED)


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1", "LA"])
def test_each_kind_of_transparency_is_known(mode):
    image = Image.new(mode, (8, 8))
    if mode == "LA":
        data = encoded(image)
    else:
        data = encoded(image, transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert np.all(decode_image(data).values == 255)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_scaling_averages_over_all_pixels(kind, rng):
    image = texture(375, 500, rng)
    data = encoded(image, kind)
    with Image.open(io.BytesIO(data)) as opened:
        expected = opened.resize((32, 48), Image.Resampling.BILINEAR)
    found = decode_image(data, (48, 32)).values
    assert distance(found, expected) < (
        HALVED_DISTANCE if kind == "JPEG" else 1
    )
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    gray = decode_image(encoded(checks.astype("uint8")), (8, 8)).values
    assert np.abs(gray.astype(int) - 128).max() <= 8


def test_a_large_jpeg_is_not_decoded_at_full_size(rng, monkeypatch):
    data = encoded(texture(1500, 2000, rng), "JPEG")
    sizes = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        "resize",
        lambda image, *rest: sizes.append(image.size) or resize(image, *rest),
    )
    decode_image(data, (224, 224))
    decode_image(data, (224, 224), box=(0, 0, 448, 448))
    assert sizes == [(1000, 750), (2000, 1500)]


def test_an_image_that_is_halved_less_is_nearer_to_the_filter_alone(
    rng, monkeypatch
):
    data = encoded(texture(1500, 2000, rng), "JPEG")
    distances = []
    with Image.open(io.BytesIO(data)) as opened:
        expected = opened.resize((224, 224), Image.Resampling.BILINEAR)
    for factor in (1, 2):
        monkeypatch.setattr(image, "DRAFT_FACTOR", factor)
        found = decode_image(data, (224, 224)).values
        distances.append(distance(found, expected))
    assert distances[1] < distances[0]


def test_several_boxes_are_cut_out_of_one_image():
    data = encoded(picture())
    boxes = [(0, 0, 60, 30), (0, 50, 60, 30)]
    found = decode_image(data, (8, 6), boxes).values
    assert found.shape == (2, 8, 6, 3)
    for one, box in zip(found, boxes):
        np.testing.assert_array_equal(one, decode_image(data, (8, 6), box)[0])
    assert np.all(found[1] == BLUE)


def test_a_box_may_be_a_function_of_the_turned_size():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(), "JPEG", exif=exif)
    asked = []

    def box(height, width):
        asked.append((height, width))
        return crops.center_box(height, width, (32, 32))

    assert decode_image(data, (32, 32), box).values.shape == (32, 32, 3)
    assert asked == [(80, 60)]


def test_drawn_boxes_fit():
    data = encoded(picture())
    draws = Draws(0, 0, 50)
    boxes = crops.inception_boxes(60, 80, draws)
    assert decode_image(data, (16, 16), boxes).values.shape == (50, 16, 16, 3)


def test_without_a_size_a_box_keeps_its_own():
    found = decode_image(encoded(picture()), box=(10, 20, 30, 40)).values
    np.testing.assert_array_equal(found, picture()[10:40, 20:60])


def test_only_the_first_frame_of_an_animation_is_taken():
    frames = [Image.fromarray(np.roll(picture(), 9 * i, 1)) for i in range(3)]
    for kind, note in (("GIF", "animated"), ("TIFF", "pages")):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        found = decode_image(data)
        assert found.notes == (note,)
        assert np.abs(found.values.astype(int) - picture()).max() < 30


def test_a_phone_s_several_images_of_one_shot_are_no_animation():
    frames = [Image.fromarray(picture())] * 2
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert decode_image(data, name="a.jpg").notes == ()


@pytest.mark.parametrize(
    ("pixels", "notes"),
    [
        (np.full((60, 80, 3), 9, "uint8"), ("blank",)),
        (picture(4, 4000), ("aspect",)),
        (picture(4000, 4), ("aspect",)),
        (picture(7, 7), ("tiny",)),
        (picture(7, 8), ()),
    ],
    ids=["blank", "wide", "tall", "tiny", "small"],
)
def test_what_is_odd_is_noted(pixels, notes):
    assert decode_image(encoded(pixels)).notes == notes


def test_one_other_pixel_is_not_blank():
    pixels = np.zeros((60, 80, 3), "uint8")
    pixels[33, 35, 1] = 1
    assert decode_image(encoded(pixels)).notes == ()


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("a.png", ()),
        ("a.PNG", ()),
        ("a.jpg", ("extension",)),
        ("a.wav", ("extension",)),
        ("blobs/5f3a", ()),
        ("a.version1", ()),
        ("", ()),
    ],
)
def test_the_content_decides_and_another_ending_is_noted(name, notes):
    assert decode_image(encoded(picture()), name=name).notes == notes


def test_too_many_pixels_are_refused_from_the_header():
    message = (
        "The file would take more memory than is allowed. Received: "
        "file='a.png', reason='too_large'. It has 80 x 60 pixels, and 4799 "
        "are allowed."
    )
    with pytest.raises(BadFile, match=f"^{re.escape(message)}$"):
        decode_image(encoded(picture()), name="a.png", max_pixels=4799)


def test_no_other_program_is_started_for_a_format(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(BadFile, match="It is EPS") as error:
        decode_image(path)
    assert error.value.reason == "unsupported"


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 9),
        (-1, 0, 9, 9),
        (0, 0, 61, 9),
        (0, 0, 9),
        [],
        (0, 0, 9, float("nan")),
    ],
)
def test_a_box_that_is_none_is_an_error_of_the_caller(box):
    message = (
        "`box` must be top, left, height and width in pixels of the image, or "
        "several such boxes. Received: box="
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as error:
        decode_image(encoded(picture()), (8, 8), box)
    assert not isinstance(error.value, BadFile)


def test_an_error_of_the_function_for_boxes_is_no_fault_of_the_file():
    def box(height, width):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decode_image(encoded(picture()), (8, 8), box)


def test_other_bad_arguments():
    with pytest.raises(ValueError, match="`height` must be an integer"):
        decode_image(encoded(picture()), (0, 8))
    message = (
        "`source` must be a `pathlib.Path` or bytes. Received: source='str'. "
        "Check paths of a table with `keras_imp.data.paths.Root`."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        decode_image("a.jpg")


def test_threads_decode_as_one_does(rng):
    files = [encoded(texture(90, 120, rng), "JPEG") for _ in range(8)]
    alone = [decode_image(file, (32, 32)).values for file in files]
    before = threading.active_count()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda f: decode_image(f, (32, 32))[0], files))
    np.testing.assert_array_equal(alone, together)
    assert threading.active_count() == before
