"""The report: what is in it, what cannot be in it."""

import re

import numpy as np
import pytest
from PIL import Image

import keras_imp
from keras_imp.validation import validate
from keras_imp.validation.drawings import histogram, waveform

pytestmark = pytest.mark.one_backend


@pytest.fixture(scope="module")
def no_tfdv():
    """An environment in which TFDV is not found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KERAS_IMP_TFDV_PYTHON", raising=False)
        patch.setenv("XDG_CACHE_HOME", "/nowhere")
        yield


@pytest.fixture(scope="module")
def found(planted, no_tfdv, tmp_path_factory):
    return validate(planted[1], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def text(found):
    return found.report.read_text("utf-8")


def test_it_loads_nothing_and_runs_nothing(text):
    assert "<script" not in text
    links = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"' )>]+)""", text)
    assert links
    assert all(link.startswith(("#", "data:image/png")) for link in links)
    assert "default-src 'none'" in text


def test_it_names_each_flag_with_its_rows(found, text):
    for flag, count in found.scan.counts().items():
        assert re.search(
            rf'href="#{flag}">{flag}</a></td><td class="number">{count}<', text
        )


def test_it_shows_both_images_of_a_leak(text):
    section = text.split('id="leak_image"')[1].split("<h2")[0]
    first, second = re.findall(r'src="(data:image/png;base64,[^"]+)"', section)
    assert first == second


def test_it_shows_waveforms(text):
    section = text.split('id="leak_audio"')[1].split("<h2")[0]
    assert section.count("<polygon") == 2


def test_it_says_what_was_not_checked(found, text):
    assert found.code == 1
    assert "Not checked: TensorFlow Data Validation is not installed" in text


def test_what_data_says_is_text(no_tfdv, tmp_path):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "a.png")
    evil = "<script>alert(1)</script><img src=http://127.0.0.1/x>"
    manifest = keras_imp.data.Manifest(
        {"image": ["a.png"], "text": [evil], "label": [evil]}, root=tmp_path
    )
    text = validate(manifest, tmp_path / "out").report.read_text("utf-8")
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "<img src=http" not in text


def test_large_images_become_small(no_tfdv, tmp_path):
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "a.png")
    manifest = keras_imp.data.Manifest({"image": ["a.png"]}, root=tmp_path)
    report = validate(manifest, tmp_path / "out").report
    assert report.stat().st_size < 20_000


def test_without_tfdv_clean_data_ends_with_3(no_tfdv, clean, tmp_path):
    found = validate(clean, tmp_path)
    assert (found.errors, found.warnings, found.code) == (0, 2, 3)
    assert found.missing.startswith("TensorFlow Data Validation is not inst")


def test_a_fraction_of_bad_files_may_be_allowed(no_tfdv, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    rng = np.random.default_rng(0)
    for name in "ab":
        pixels = rng.integers(0, 255, (16, 16, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    manifest = keras_imp.data.Manifest(
        {"image": ["a.png", "b.png", "bad.png"]}, root=tmp_path
    )
    assert validate(manifest, tmp_path / "out").errors == 1
    allowed = validate(manifest, tmp_path / "out", max_bad=0.5)
    assert (allowed.errors, allowed.warnings) == (0, 1)


def test_a_histogram_has_the_fractions_of_each_part():
    drawn = histogram("x", {"train": [1.0, 1.0, 3.0], "test": [3.0]})
    titles = [bar.title for bar in drawn.bars]
    assert titles == [
        "train: 1 to 1.083, 67 %",
        "train: 2.917 to 3, 33 %",
        "test: 2.917 to 3, 100 %",
    ]
    assert (drawn.low, drawn.high) == ("1", "3")


def test_a_feature_of_one_value_is_one_bar():
    assert len(histogram("x", {"train": [7, 7, 7]}, scale=True).bars) == 1
    assert histogram("x", {"train": []}).bars == []


def test_a_waveform_is_closed():
    points = waveform([-0.5, -1.0], [0.5, 1.0]).split()
    assert points == ["0.0,12.0", "128.0,0.0", "128.0,48.0", "0.0,36.0"]
