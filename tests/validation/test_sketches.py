import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

import keras_imp
from keras_imp.data import playground
from keras_imp.validation import scan_and_flag
from keras_imp.validation import sketches as sketches_module
from keras_imp.validation.sketches import ImageSketches, near_copies, sketch_of

pytestmark = pytest.mark.one_backend


def changed(image, how):
    """A copy of an image that is not equal to it."""
    image = Image.fromarray(image)
    width, height = image.size
    if how.startswith("jpeg"):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(how[4:]))
        return np.asarray(Image.open(file).convert("RGB"))
    scale = float(how[1:])
    size = (round(width * scale), round(height * scale))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def emoji():
    return {
        name: playground.load(name).emoji.images
        for name in ("train", "validation", "test")
    }


def near(images_of_parts):
    """Rows that are told, of sketches of several parts."""
    sketches, part = ImageSketches(), []
    for number, images in enumerate(images_of_parts):
        for image in images:
            sketches.add(len(part), sketch_of(image), number)
            part.append(number)
    found = near_copies({"image": sketches}, np.array(part), set())
    return [(finding.row, finding.other) for finding in found]


@pytest.mark.parametrize("how", ["jpeg85", "x2", "x1.5", "x0.75"])
def test_changed_copies_are_found(emoji, how):
    """Tiles of 32 pixels are the hardest: a field is four pixels wide."""
    train = emoji["train"]
    rows = np.random.default_rng(0).permutation(len(train))[:100]
    copies = [changed(train[row], how) for row in rows]
    found = dict(near([train, copies]))
    right = [found.get(len(train) + k) == row for k, row in enumerate(rows)]
    assert np.mean(right) >= 0.97


@pytest.mark.parametrize("how", ["darker", "paler", "mirrored"])
def test_copies_that_were_altered_are_found(emoji, how):
    train = emoji["train"]
    rows = np.random.default_rng(0).permutation(len(train))[:100]
    alter = {
        "darker": lambda image: 0.8 * image,
        "paler": lambda image: 0.75 * image + 50,
        "mirrored": lambda image: image[:, ::-1],
    }[how]
    copies = [
        np.clip(alter(train[row].astype("float32")), 0, 255).astype("uint8")
        for row in rows
    ]
    found = dict(near([train, copies]))
    right = [found.get(len(train) + k) == row for k, row in enumerate(rows)]
    assert np.mean(right) >= 0.97


def test_what_was_altered_is_told(emoji):
    image = emoji["train"][5]
    sketches = ImageSketches()
    sketches.add(0, sketch_of(image), 0)
    sketches.add(1, sketch_of(np.ascontiguousarray(image[:, ::-1])), 1)
    (finding,) = near_copies({"image": sketches}, np.array([0, 1]), set())
    assert finding.detail == "differs by 0.0 of 255, mirrored"


def test_images_that_are_only_alike_are_not(emoji):
    """1,700 emoji of one style: yellow faces, flags, clocks."""
    assert near(emoji.values()) == []


def test_flat_images_have_nothing_to_compare():
    gray = np.full((16, 16, 3), 100, "uint8")
    assert near([[gray], [gray + 1]]) == []


def test_small_images_have_no_sketch():
    assert sketch_of(np.zeros((7, 90, 3), "uint8")) == ""


def test_copies_of_one_part_are_not_compared(emoji):
    image = emoji["train"][0]
    assert near([[image, changed(image, "x2")], [emoji["test"][0]]]) == []


def test_pairs_are_those_of_all_comparisons(emoji, monkeypatch):
    """The blocks by brightness leave no pair out."""
    train = emoji["train"][:300]
    copies = [changed(image, "x2") for image in train]
    whole = near([train, copies])
    monkeypatch.setattr("keras_imp.validation.sketches._BLOCK", 7)
    assert near([train, copies]) == whole
    monkeypatch.setattr("keras_imp.validation.sketches._OTHERS", 5)
    assert near([train, copies]) == whole
    assert len(whole) > 290


def test_a_scan_tells_a_changed_copy_once(tmp_path, emoji):
    image, other = emoji["train"][:2]
    names = ["a.png", "b.png", "copy.jpg", "same.png"]
    for name, pixels in zip(names, [image, other, changed(image, "x2"), image]):
        Image.fromarray(pixels).save(tmp_path / name, quality=90)
    manifest = keras_imp.data.Manifest(
        {"image": names, "split": ["train", "train", "test", "test"]},
        root=tmp_path,
    )
    scan = scan_and_flag(manifest, tmp_path, workers=1)
    assert [(f.flag, f.row, f.other) for f in scan.findings] == [
        ("leak_image", 3, 0),
        ("near_image", 2, 0),
    ]


def test_of_many_equal_images_each_has_one_copy(emoji):
    """Frames of a camera that stands still: a million pairs."""
    image = emoji["train"][0]
    found = near([[image] * 1000, [changed(image, "x2")] * 1000])
    assert len(found) == 1000
    assert {row for row, _ in found} == {*range(1000, 2000)}


def test_many_equal_images_are_compared_in_little_memory(emoji):
    sketch = sketch_of(emoji["train"][0])
    sketches = ImageSketches()
    for row in range(40_000):
        sketches.add(row, sketch, row % 2)
    pairs = sketches.near(np.arange(40_000) % 2)
    tracemalloc.start()
    next(pairs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6


def test_each_part_has_room_for_its_rows(emoji, monkeypatch):
    monkeypatch.setattr(sketches_module, "MOST_ROWS", 3)
    train = emoji["train"][:10]
    assert near([train, [train[1], train[9]]]) == [(10, 1)]


def test_altered_copies_are_looked_for_in_each_part(emoji, monkeypatch):
    monkeypatch.setattr(sketches_module, "MOST_PAIRED", 20)
    train = emoji["train"][:30]
    mirrored = np.ascontiguousarray(train[4][:, ::-1])
    assert near([train, [mirrored]]) == [(30, 4)]
