import numpy as np
import pytest
import soundfile
from PIL import Image

import keras_imp
from keras_imp.validation import scan_and_flag
from keras_imp.validation.features import features_of
from keras_imp.validation.flags_of_features import unusual_features
from keras_imp.validation.rows import RowKeys
from keras_imp.validation.texts import features_of_text

pytestmark = pytest.mark.one_backend


def write_audio(folder, rates):
    generator = np.random.default_rng(0)
    for number, rate in enumerate(rates):
        samples = generator.uniform(-0.5, 0.5, 4000)
        soundfile.write(folder / f"{number}.wav", samples, rate)
    return {
        "audio": [f"{number}.wav" for number in range(len(rates))],
        "text": [f"text {number}" for number in range(len(rates))],
    }


def test_a_rate_that_nine_of_ten_do_not_have_is_told(tmp_path):
    columns = write_audio(tmp_path, [16000] * 36 + [32000, 8000])
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    first, second = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (first.flag, first.row, first.column) == (
        "unusual",
        36,
        "audio_rate",
    )
    assert first.detail == "32000 Hz, where others have 16000 Hz"
    assert second.row == 37


def test_each_kind_of_row_has_its_own_rate(tmp_path):
    columns = write_audio(tmp_path, [16000] * 40 + [48000] * 3)
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.png")
    columns["image"] = [None] * 40 + ["a.png"] * 3
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    counts = scan_and_flag(manifest, tmp_path, workers=1).counts()
    assert "unusual" not in counts


def test_of_many_rates_none_is_unusual(tmp_path):
    columns = write_audio(tmp_path, [16000] * 30 + [32000] * 8)
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    assert scan_and_flag(manifest, tmp_path, workers=1).findings == []


def test_colors_tell_of_channels_in_another_order(tmp_path):
    pixels = np.zeros((90, 200, 3), "uint8")
    pixels[..., 0] = 200
    found = []
    for name, values in (("rgb", pixels), ("bgr", pixels[..., ::-1])):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
        features = features_of(tmp_path / f"{name}.png", "image")["features"]
        found.append((features["image_red_blue"], features["image_saturation"]))
    assert found == [(200.0, 200.0), (-200.0, 200.0)]


def test_audio_with_an_offset_is_told_where_others_are_centered(tmp_path):
    columns = write_audio(tmp_path, [16000] * 40)
    samples, rate = soundfile.read(tmp_path / "7.wav")
    soundfile.write(tmp_path / "7.wav", samples / 4 + 0.5, rate)
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    (finding,) = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (finding.row, finding.column) == (7, "audio_offset")
    assert finding.detail == "offset, where others have centered"


def keys_with(name, values, labels):
    """Rows with a feature and a label."""
    keys = RowKeys()
    for value, label in zip(values, labels, strict=True):
        keys.add(
            0,
            {
                "kind": name.partition("_")[0],
                "features": {name: value},
                "places": {},
                "is_segment": False,
                "hashes": {},
                "texts": [],
                "labels": [label] if label else [],
            },
        )
    return keys


def test_a_video_stands_still_where_those_of_its_label_move():
    labels = ["standing", "turning"] * 40
    moves = ["still", "moves"] * 40
    moves[41] = "still"
    # A label of few rows tells of nothing usual, and one that is none neither.
    labels += ["rare", None] * 10
    moves += ["still"] * 20
    (finding,) = unusual_features(keys_with("video_moves", moves, labels))
    assert (finding.row, finding.column) == (41, "video_moves")
    assert finding.detail == (
        "still, where others with the label 'turning' have moves"
    )


def test_videos_move_another_way_where_labels_tell_the_way():
    ways = ["left", "right", "up", "nowhere"]
    labels = [f"to {way}" for way in ways] * 40
    moved = ways * 40
    assert (
        list(unusual_features(keys_with("video_direction", moved, labels)))
        == []
    )
    # A quarter of one label was flipped; of what goes nowhere, nothing is told.
    moved[1:40:4] = ["left"] * 10
    moved[3:60:4] = ["up"] * 15
    found = list(unusual_features(keys_with("video_direction", moved, labels)))
    assert [finding.row for finding in found] == [*range(1, 40, 4)]
    assert found[0].detail == (
        "left, where others with the label 'to right' have right"
    )


def test_ways_of_one_label_are_usual_where_labels_do_not_tell_them():
    labels = ["walking"] * 60 + ["running"] * 60
    moved = ["right"] * 45 + ["left"] * 15 + ["left"] * 30 + ["right"] * 30
    assert (
        list(unusual_features(keys_with("video_direction", moved, labels)))
        == []
    )


@pytest.mark.parametrize(
    ("usual", "other", "count"),
    [("dark", "bright", 3), ("dark", "mixed", 0), ("mixed", "dark", 0)],
)
def test_images_before_another_background_are_told(usual, other, count):
    values = [usual] * 40 + [other] * 3
    keys = keys_with("image_background", values, ["a"] * 43)
    assert len(list(unusual_features(keys))) == count


def test_audio_that_was_cut_at_a_length_is_told(tmp_path):
    generator = np.random.default_rng(0)
    lengths = generator.integers(4000, 20000, 80).tolist()
    columns = {"audio": [], "text": []}
    for number, length in enumerate(lengths + [8000] * 24):
        name = f"{number}.wav"
        samples = generator.uniform(-0.5, 0.5, length)
        soundfile.write(tmp_path / name, samples, 16000)
        columns["audio"].append(name)
        columns["text"].append(f"text {number}")
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    findings = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert {f.flag for f in findings} == {"audio_cut"}
    assert [f.row for f in findings] == [*range(80, 104)]
    assert findings[0].detail == "24 files of 0.5 s"


def test_audio_of_one_length_was_meant_so(tmp_path):
    columns = write_audio(tmp_path, [16000] * 60)
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    assert scan_and_flag(manifest, tmp_path, workers=1).findings == []


def test_small_images_made_large_are_told_among_others(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(40):
        side = 6 if number == 7 else 32
        pixels = generator.integers(0, 255, (side, side, 3), "uint8")
        image = Image.fromarray(pixels).resize((32, 32))
        image.save(tmp_path / f"{number}.png")
    manifest = keras_imp.data.Manifest(
        {"image": [f"{number}.png" for number in range(40)]}, root=tmp_path
    )
    (finding,) = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (finding.flag, finding.row) == ("unusual", 7)
    assert finding.detail == "blurred, where others have sharp"


def test_numbers_that_were_read_as_samples_are_told(tmp_path):
    columns = write_audio(tmp_path, [16000] * 40)
    generator = np.random.default_rng(1)
    noise = generator.choice([-0.9, 0.9], 4000) * generator.uniform(
        0.8, 1, 4000
    )
    soundfile.write(tmp_path / "7.wav", noise, 16000)
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    (finding,) = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (finding.flag, finding.row) == ("unusual", 7)
    assert finding.detail == "near full scale, where others have quieter"


def test_capitals_are_a_feature_of_texts():
    assert features_of_text(("A Cat",))["text_capitals"] == 50.0
    assert features_of_text(("CAT", "cat"))["text_capitals"] == 50.0
    assert features_of_text(("12",))["text_capitals"] == 0.0
