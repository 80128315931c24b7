"""Each odd or damaged file has the outcome that is right for it.

Those of tables are tested where tables are read.
"""

from collections import Counter

import numpy as np
import pytest

from keras_imp.data import decoding, paths
from tests.data.conftest import NUM_MUTANTS
from tests.data.odd.mutants import modality_of
from tests.data.odd_files import data_path
from tests.helpers.isolated_decoding import decode, decode_all

pytestmark = [
    pytest.mark.one_backend,
    # Pillow's own limit is above ours, of which it does not know.
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

# Above that of a process that has loaded all decoders.
MOST_MEGABYTES = 64


def outcome(odd_files, case):
    """What a run does with a file: expectation, words, what was decoded."""
    root = paths.Root(odd_files.root / "data")
    try:
        path = root.find(data_path(case))
        if paths.is_hidden(path.name):
            return "skip", ("hidden",), None
        found = decode(path, case.modality)
    except decoding.BadFile as error:
        kind = "refuse" if error.reason == "outside" else "skip"
        return kind, (error.reason,), None
    return ("warn" if found.notes else "use"), found.notes, found


def faults(case, found):
    """In what a decoded file differs from its check."""
    values, check = found.values, case.check
    wrong = {}
    if case.modality == "audio":
        expected = check.get("samples_16k", len(values))
        if abs(len(values) - expected) > check.get("tolerance", 0):
            wrong["samples_16k"] = len(values)
        if "peak_hz" in check:
            bins = np.abs(np.fft.rfft(values))
            peak = np.argmax(bins) * 16_000 / len(values)
            if abs(peak - check["peak_hz"]) > 1:
                wrong["peak_hz"] = peak
        return wrong
    is_video = case.modality == "video"
    size = list(values.shape[is_video : is_video + 2])
    if check.get("size", size) != size:
        wrong["size"] = size
    if "left" in check and not np.all(
        np.abs(values[30:, :38] - np.array([200.0, 30, 30])) < 12
    ):
        wrong["left"] = values[30, 0].tolist()
    if is_video and check.get("frames", len(values)) != len(values):
        wrong["frames"] = len(values)
    if "sound" in check and check["sound"] != found.facts["has_audio"]:
        wrong["sound"] = found.facts["has_audio"]
    if abs(check.get("seconds", 0) - found.facts.get("seconds", 0)) > 0.05 and (
        "seconds" in check
    ):
        wrong["seconds"] = found.facts["seconds"]
    return wrong


def test_there_are_115_cases(odd_files):
    assert Counter(case.modality for case in odd_files.cases) == {
        "image": 45,
        "audio": 25,
        "video": 17,
        "table": 28,
    }


@pytest.mark.parametrize("modality", ["image", "audio", "video"])
def test_each_file_has_its_outcome(odd_files, modality):
    wrong = {}
    for case in odd_files.of(modality):
        kind, words, found = outcome(odd_files, case)
        expected = (case.reason,) if case.reason else ()
        if (kind, words) != (case.expect, expected):
            wrong[case.file] = (kind, words)
        elif found is not None and faults(case, found):
            wrong[case.file] = faults(case, found)
    assert wrong == {}


@pytest.mark.parametrize("modality", ["image", "audio", "video"])
def test_bytes_are_decoded_as_files_are(odd_files, modality):
    for case in odd_files.of(modality):
        _, words, found = outcome(odd_files, case)
        if found is None:
            continue
        path = odd_files.path(case)
        function = getattr(decoding, f"decode_{modality}")
        settings = {"seconds": 8.0} if "hours" in case.file else {}
        again = function(path.read_bytes(), name=str(path), **settings)
        assert again.notes == words
        assert again.facts == found.facts
        np.testing.assert_array_equal(again.values, found.values)


def test_damaged_bytes_are_refused_as_files_are(odd_files):
    for case in odd_files.cases:
        kind, words, _ = outcome(odd_files, case)
        path = odd_files.path(case)
        if kind != "skip" or not path.is_file() or words == ("hidden",):
            continue
        function = getattr(decoding, f"decode_{case.modality}")
        with pytest.raises(decoding.BadFile) as error:
            function(path.read_bytes())
        assert error.value.reason == words[0]


@pytest.mark.slow
def test_no_case_and_no_mutant_crashes_hangs_or_takes_much_memory(odd_files):
    """Each in a process of its own, as in `benchmarks/odd_files.py`."""
    files = [
        (odd_files.path(case), case.modality)
        for case in odd_files.cases
        if case.modality != "table"
    ]
    mutants = sorted((odd_files.root / "fuzz").iterdir())
    assert len(mutants) == NUM_MUTANTS
    files += [(path, modality_of(path)) for path in mutants]
    outcomes = decode_all(files)
    assert [one.path for one in outcomes] == [str(path) for path, _ in files]
    assert [one for one in outcomes if one.kind in ("crash", "hang")] == []
    assert max(one.megabytes for one in outcomes) < MOST_MEGABYTES
    words = {word for one in outcomes for word in one.words}
    assert words <= {*decoding.REASONS, *decoding.NOTES}
    # Mutants are used as well as refused, or the test would tell nothing.
    kinds = Counter(one.kind for one in outcomes)
    assert min(kinds[kind] for kind in ("use", "warn", "skip")) > 100


def test_a_crash_and_a_hang_are_told_apart(tmp_path):
    """The limits of the isolated processes themselves."""
    crashed, hung = decode_all(
        [(tmp_path / "crash", "crash"), (tmp_path / "hang", "hang")]
    )
    assert (crashed.kind, crashed.words) == ("crash", ["SIGSEGV"])
    assert (hung.kind, hung.words) == ("hang", ["SIGALRM"])
