import json
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

import keras_imp
from keras_imp.data.decoding import BadFile
from keras_imp.validation import scan_and_flag
from keras_imp.validation.scan import FILE
from tests.data.conftest import OddFiles
from tests.data.odd_files import data_path, make_odd_files

pytestmark = pytest.mark.one_backend


def save(path, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), "uint8")
    Image.fromarray(pixels).save(path)


def records(folder):
    return [json.loads(line) for line in (folder / FILE).open()]


def test_a_row_is_a_line_with_features_and_flags(tmp_path):
    save(tmp_path / "a.png")
    manifest = keras_imp.data.Manifest(
        {"image": ["a.png"], "text": ["a heart"], "label": ["x"]}, root=tmp_path
    )
    scan_and_flag(manifest, tmp_path, workers=1)
    (record,) = records(tmp_path)
    assert record["kind"] == "image"
    assert record["part"] == "all"
    assert set(record["flags"].values()) == {0}
    features = record["features"]
    assert features["image_height"] == 24
    assert features["image_width"] == 32
    assert features["image_format"] == "PNG"
    assert features["image_mode"] == "RGB"
    assert features["image_bytes"] == (tmp_path / "a.png").stat().st_size
    assert 120 < features["image_brightness"] < 135
    assert features["text_words"] == 2
    assert features["label"] == ["x"]


def test_a_file_that_crashes_or_hangs_a_decoder_is_unreadable(tmp_path):
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    manifest = keras_imp.data.Manifest(
        {"image": ["a.png", "b.png"]}, root=tmp_path
    )
    scan = scan_and_flag(
        manifest,
        tmp_path,
        workers=1,
        seconds=1.0,
        target="tests.validation.faults:decode_or_hang",
    )
    assert [(f.row, f.flag, f.detail) for f in scan.findings] == [
        (0, "unreadable", "crash"),
        (1, "unreadable", "hang"),
    ]


def test_members_of_an_archive_are_decoded(tmp_path):
    save(tmp_path / "a.png", 1)
    save(tmp_path / "b.png", 1)
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.add(tmp_path / "a.png", "a.png")
        archive.add(tmp_path / "b.png", "b.png")
    scan = scan_and_flag(
        keras_imp.data.read(tmp_path / "data.tar"), tmp_path, workers=1
    )
    assert scan.counts() == {"duplicate": 1}


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory):
    root = tmp_path_factory.mktemp("odd")
    return OddFiles(root, make_odd_files(root))


@pytest.mark.parametrize("column", ["image", "audio", "video"])
def test_odd_files_are_unreadable_where_they_cannot_be_used(
    odd_files, column, tmp_path
):
    # Hidden files are left out of folders only, and these are named.
    chosen = [
        case
        for case in odd_files.of(column)
        if case.expect != "refuse" and case.reason != "hidden"
    ]
    manifest = keras_imp.data.Manifest(
        {column: list(map(data_path, chosen))}, root=odd_files.root / "data"
    )
    scan = scan_and_flag(manifest, tmp_path)
    bad = {f.row for f in scan.findings if f.flag == "unreadable"}
    expected = {"use": set(), "skip": set(), "warn": set()}
    for row, case in enumerate(chosen):
        expected[case.expect].add(row)
    assert len(expected["use"]) > 5
    assert expected["skip"] <= bad
    assert not expected["use"] & bad


def test_a_video_tells_of_its_images_and_its_audio(odd_files, tmp_path):
    names = ["video/good.mp4", "video/silent_track.mp4"]
    manifest = keras_imp.data.Manifest(
        {"video": names}, root=odd_files.root / "data"
    )
    scan_and_flag(manifest, tmp_path, workers=1)
    both, images = (record["features"] for record in records(tmp_path))
    assert both["video_seconds"] == pytest.approx(2.0, abs=0.1)
    assert both["video_rate"] == 25.0
    assert both["video_has_audio"] == "audio: 1"
    assert both["audio_seconds"] == pytest.approx(2.0, abs=0.1)
    assert both["video_motion"] > 1
    assert images["video_has_audio"] == "audio: 0"
    assert "audio_seconds" not in images


def test_half_a_character_of_a_label_is_written_by_its_number(tmp_path):
    """TensorFlow Data Validation refuses what is no UTF-8."""
    columns = {"text": ["a", "b"], "label": ["x", "cut \ud83d"]}
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    scan_and_flag(manifest, tmp_path, workers=1)
    _, cut = records(tmp_path)
    assert cut["features"]["label"] == ["cut \\ud83d"]


def test_a_blank_image_hides_no_leak_of_a_video_beside_it(odd_files, tmp_path):
    """Such as a thumbnail of a first frame that is black."""
    Image.new("RGB", (16, 16), "black").save(tmp_path / "black.png")
    for name in ("a.mp4", "b.mp4"):
        source = odd_files.root / "data/video/good.mp4"
        shutil.copy(source, tmp_path / name)
    manifest = keras_imp.data.Manifest(
        {
            "image": ["black.png"] * 2,
            "video": ["a.mp4", "b.mp4"],
            "split": ["train", "test"],
        },
        root=tmp_path,
    )
    counts = scan_and_flag(manifest, tmp_path, workers=1).counts()
    assert counts["leak_video"] == 1
    assert "leak_image" not in counts


def test_labels_that_are_numbers_are_one_feature(tmp_path):
    manifest = keras_imp.data.Manifest(
        {"text": ["a", "b"], "label": ["0.5", "1.5"]}, root=tmp_path
    )
    scan_and_flag(manifest, tmp_path)
    assert [r["features"]["label_number"] for r in records(tmp_path)] == [
        0.5,
        1.5,
    ]


def test_half_a_scan_leaves_no_features(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    manifest = keras_imp.data.Manifest({"image": ["a.png"]}, root=tmp_path)
    with pytest.raises(RuntimeError):
        scan_and_flag(manifest, tmp_path, target="tests.no_module:none")
    assert not (tmp_path / FILE).exists()


def test_rows_of_one_number_in_two_shards_are_two_files(tmp_path):
    """Rows of Parquet files have numbers for names, in each file anew."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for number, split in enumerate(("test", "train")):
        files = []
        for k in range(3):
            save(tmp_path / "x.png", 3 * number + k)
            files.append((tmp_path / "x.png").read_bytes())
        (tmp_path / "x.png").unlink()
        kind = pyarrow.struct(
            [("bytes", pyarrow.binary()), ("path", pyarrow.string())]
        )
        images = [{"bytes": file, "path": None} for file in files]
        table = pyarrow.table(
            {"image": pyarrow.array(images, kind), "text": list("abc")}
        )
        parquet.write_table(table, tmp_path / f"{split}-00000-of-00001.parquet")
    scan = scan_and_flag(keras_imp.data.read(tmp_path), tmp_path, workers=1)
    assert scan.rows == {"train": 3, "test": 3}
    assert [f for f in scan.findings if f.flag != "leak_text"] == []
    brightness = {r["features"]["image_brightness"] for r in scan.records()}
    assert len(brightness) == 6


def test_answers_stay_with_their_rows_where_a_file_is_lost(
    tmp_path, monkeypatch
):
    """A file that can be opened once only, as on a network that fails."""
    names = ["a.png", "b.png", "c.png"]
    for seed, name in enumerate(names):
        save(tmp_path / name, seed)
    manifest = keras_imp.data.Manifest({"image": names}, root=tmp_path)
    whole = scan_and_flag(manifest, tmp_path, workers=1)
    expected = [record["hashes"] for record in whole.records()]
    source, seen = keras_imp.data.Manifest.source, []

    def once(self, row, column):
        if row == 1:
            seen.append(row)
            if len(seen) > 1:
                raise BadFile("unreadable", "b.png")
        return source(self, row, column)

    monkeypatch.setattr(keras_imp.data.Manifest, "source", once)
    again = scan_and_flag(manifest, tmp_path, workers=1)
    assert [record["hashes"] for record in again.records()] == expected


def test_a_segment_without_length_is_no_fault_of_its_file(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    wave = np.random.default_rng(0).normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "a.wav", wave, 8000)
    columns = {
        "audio": ["a.wav", "a.wav"],
        "text": ["a", "b"],
        "start": [0.0, 1.5],
        "end": [1.0, 0.5],
    }
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    scan = scan_and_flag(manifest, tmp_path, workers=1)
    assert [(f.row, f.flag, f.detail) for f in scan.findings] == [
        (1, "incomplete", "no_time")
    ]
