import io

import numpy as np
import pytest
import soundfile

import keras_imp
from keras_imp.data import playground
from keras_imp.validation import scan_and_flag
from keras_imp.validation.audio_sketches import (
    RATE,
    AudioSketches,
    audio_sketch_of,
)

pytestmark = pytest.mark.one_backend


@pytest.fixture(scope="module")
def notes():
    """Recordings of single notes, by split."""
    return {
        name: playground.load(name).sounds.waveforms
        for name in ("train", "validation", "test")
    }


def near(sounds_of_parts):
    """Rows that are told, of sketches of several parts."""
    sketches, part = AudioSketches(), []
    for number, sounds in enumerate(sounds_of_parts):
        for samples in sounds:
            sketches.add(len(part), audio_sketch_of(samples))
            part.append(number)
    return [pair[:2] for pair in sketches.near(np.array(part))]


def compressed(samples):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="OGG", subtype="VORBIS")
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


CHANGES = {
    "half the level": (lambda x: x / 2, 1.0),
    "compressed": (compressed, 0.9),
    "cut at the end": (lambda x: x[:-800], 0.7),
}


@pytest.mark.parametrize("how", CHANGES)
def test_changed_copies_are_found(notes, how):
    change, least = CHANGES[how]
    train = notes["train"]
    rows = np.random.default_rng(0).permutation(len(train))[:60]
    found = set(near([train, [change(train[row]) for row in rows]]))
    right = [(len(train) + k, row) in found for k, row in enumerate(rows)]
    assert np.mean(right) >= least


def test_a_cut_at_the_start_is_found_in_what_goes_on():
    """Of a note, the start is most of it; of speech, one sound of many."""
    generator = np.random.default_rng(0)
    levels = np.repeat(generator.uniform(0, 1, 30), 1600)
    sound = (levels * generator.normal(0, 0.1, len(levels))).astype("float32")
    assert near([[sound], [sound[800:] / 3]]) == [(1, 0)]


def test_notes_of_other_instruments_are_not_near(notes):
    assert near(notes.values()) == []


@pytest.mark.parametrize("samples", [0, 639, 16_000])
def test_silence_and_less_than_40_ms_have_no_sketch(samples):
    assert audio_sketch_of(np.zeros(samples, "float32")) == ""


def test_a_scan_tells_a_quieter_copy_once(tmp_path, notes):
    train = notes["train"]
    for name, samples in zip(
        ("a", "b", "quiet", "same"),
        (train[0], train[1], train[0] / 2, train[0]),
        strict=True,
    ):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    manifest = keras_imp.data.Manifest(
        {
            "audio": ["a.wav", "b.wav", "quiet.wav", "same.wav"],
            "split": ["train", "train", "test", "test"],
        },
        root=tmp_path,
    )
    scan = scan_and_flag(manifest, tmp_path, workers=1)
    assert [
        (f.flag, f.row, f.other)
        for f in scan.findings
        if f.flag.startswith(("leak", "near"))
    ] == [("leak_audio", 3, 0), ("near_audio", 2, 0)]
