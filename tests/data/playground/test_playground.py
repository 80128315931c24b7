"""The bundled data: real decoding, captions, sizes, errors."""

import json
import subprocess
import sys

import numpy as np
import pytest

from keras_imp.data import playground

pytestmark = pytest.mark.one_backend

COUNTS = {
    "train": (8_000, 1_414, 573),
    "validation": (1_000, 137, 95),
    "test": (2_000, 355, 207),
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A copy of the validation files that a test may damage."""
    for path in playground.FILES.glob("*_validation*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr("keras_imp.data.playground.reading.FILES", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", playground.SPLITS)
def test_counts_and_types(splits, name):
    split = splits[name]
    pictures, emoji, sounds = COUNTS[name]
    assert split.fashion.images.shape == (pictures, 32, 32, 3)
    assert split.fashion.images.dtype == np.uint8
    assert split.fashion.labels.shape == (pictures,)
    assert split.fashion.labels.dtype == np.int32
    assert split.emoji.images.shape == (emoji, 32, 32, 3)
    assert split.emoji.images.dtype == np.uint8
    assert split.emoji.is_flag.shape == (emoji,)
    for column in (
        "names",
        "captions",
        "categories",
        "subcategories",
        "concepts",
        "short_names",
        "keywords",
    ):
        assert len(getattr(split.emoji, column)) == emoji
    assert split.sounds.waveforms.shape == (sounds, 16_384)
    assert split.sounds.waveforms.dtype == np.float32
    assert split.sounds.family_labels.dtype == np.int32
    for column in ("families", "instruments", "notes", "captions"):
        assert len(getattr(split.sounds, column)) == sounds


@pytest.mark.parametrize("name", playground.SPLITS)
def test_fashion_is_balanced_and_bordered(splits, name):
    fashion = splits[name].fashion
    assert len(set(np.bincount(fashion.labels, minlength=10))) == 1
    assert not fashion.images[:, :2].any()
    assert not fashion.images[:, :, -2:].any()
    assert np.array_equal(fashion.images[..., 0], fashion.images[..., 2])


def test_fashion_labels_belong_to_their_images(splits):
    # Trousers (1) leave the middle of the lower half dark; bags (8) fill it.
    fashion = splits["train"].fashion
    gap = fashion.images[:, 20:28, 15:17].mean(axis=(1, 2, 3))
    assert gap[fashion.labels == 1].mean() < gap[fashion.labels == 8].mean()


def test_emoji_stand_on_white_and_differ(splits):
    emoji = splits["test"].emoji
    corners = emoji.images[~emoji.is_flag][:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 255).all(axis=-1).mean() > 0.8
    assert emoji.images.min() == 0
    assert len({image.tobytes() for image in emoji.images}) > 350


def test_emoji_captions(splits):
    emoji = splits["train"].emoji
    grapes = emoji.names.index("grapes")
    assert emoji.captions[grapes] == [
        "grapes",
        "grapes, food fruit",
        "grapes, food and drink",
    ]
    assert emoji.short_names[grapes] == "grapes"
    assert emoji.keywords[grapes] == ["dionysus", "fruit", "grape", "grapes"]
    assert emoji.categories[grapes] == "Food & Drink"
    assert not emoji.is_flag[grapes]


@pytest.mark.parametrize("name", playground.SPLITS)
def test_each_family_is_in_every_split(splits, name):
    sounds = splits[name].sounds
    assert set(sounds.families) == set(playground.FAMILIES)
    assert [
        playground.FAMILIES[label] for label in sounds.family_labels
    ] == sounds.families


@pytest.mark.parametrize("name", playground.SPLITS)
def test_clips_are_loud_and_aligned(splits, name):
    waveforms = splits[name].sounds.waveforms
    assert np.abs(waveforms).max() <= 1.0
    # Encoded at a peak of 0.9; the MP3 loses partials above 7 kHz, which
    # are most of the attack of a few high bells.
    peaks = np.abs(waveforms).max(axis=1)
    assert peaks.min() > 0.2
    assert np.median(peaks) > 0.8
    # Each clip ends in a fade: an offset of the decoder would show here.
    end = np.abs(waveforms[:, -16:]).max(axis=1)
    assert np.median(end) < 0.02


def test_sound_captions(splits):
    sounds = splits["train"].sounds
    item = sounds.instruments.index("soprano saxophone")
    assert sounds.captions[item] == [
        "a soprano saxophone note, reed wind instrument",
        "the sound of a soprano saxophone playing A",
        "reed wind instrument: soprano saxophone",
    ]


def test_loading_twice_gives_the_same(splits):
    again = playground.load("test")
    for kind, column in [
        ("fashion", "images"),
        ("emoji", "images"),
        ("sounds", "waveforms"),
    ]:
        first = getattr(getattr(splits["test"], kind), column)
        second = getattr(getattr(again, kind), column)
        np.testing.assert_array_equal(first, second)


def test_files_stay_small_and_licensed():
    sizes = {path.name: path.stat().st_size for path in files_in_package()}
    assert sum(sizes.values()) < 15_000_000
    assert {
        "NOTICE",
        "LICENSE-Apache-2.0.txt",
        "LICENSE-MIT.txt",
        "LICENSE-emoji-data.txt",
        "LICENSE-fashion-mnist.txt",
        "LICENSE-fluidr3mono.txt",
        "LICENSE-musescore-general.txt",
        "LICENSE-symbola.txt",
        "LICENSE-unicode.txt",
    } <= set(sizes)


def files_in_package():
    return [path for path in playground.FILES.iterdir() if path.is_file()]


def test_baselines_have_one_shape():
    text = (playground.FILES / "baselines.json").read_text(encoding="utf-8")
    for task, row in json.loads(text).items():
        assert {"metric", "chance", "linear", "n_test"} <= set(row), task
        # On an unseen style or source a linear model may know nothing.
        if not task.startswith("unseen source"):
            assert row["linear"] > row["chance"], task


def test_import_is_light():
    code = (
        "import sys; from keras_imp.data import playground; "
        "print({'PIL', 'soundfile', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_unknown_split():
    with pytest.raises(ValueError, match="split") as error:
        playground.load("valid")
    assert str(error.value) == (
        '`split` must be "train", "validation" or "test". '
        "Received: split='valid'. Use one of the three names."
    )


@pytest.mark.parametrize(
    "name",
    [
        "fashion_validation.json",
        "fashion_validation.png",
        "emoji_validation.png",
        "emoji_validation_noto-v1.webp",
        "sounds_validation.mp3",
    ],
)
def test_missing_file(files, name):
    (files / name).unlink()
    with pytest.raises(FileNotFoundError) as error:
        playground.load("validation")
    assert str(error.value) == (
        "Every file of the playground must be installed. "
        f"Received: no file {name!r}. Reinstall the package: "
        "pip install --force-reinstall 'keras-imp[data]'"
    )


@pytest.mark.parametrize("keep", [0, 1_000])
@pytest.mark.parametrize(
    "name",
    [
        "emoji_validation.json",
        "emoji_validation.png",
        "emoji_validation_circle-flags.webp",
    ],
)
def test_truncated_file(files, name, keep):
    (files / name).write_bytes((files / name).read_bytes()[:keep])
    with pytest.raises(ValueError, match="whole") as error:
        playground.load("validation")
    assert str(error.value) == (
        "The files of the playground must be whole. "
        f"Received: {name!r} (not readable). Reinstall the package: "
        "pip install --force-reinstall 'keras-imp[data]'"
    )


def test_truncated_sound(files):
    path = files / "sounds_validation.mp3"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"sounds_validation\.mp3"):
        playground.load("validation")


def test_too_few_images(files):
    (files / "fashion_validation.json").write_text(
        json.dumps({"labels": "1" * 2_000})
    )
    with pytest.raises(ValueError, match="whole") as error:
        playground.load("validation")
    assert "'fashion_validation.png' (1000 images, expected 2000)" in str(
        error.value
    )
