"""Every odd table has the outcome that is right for it."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_imp.data import read
from keras_imp.data.reading import ReadError
from tests.data.odd.cases import Cases
from tests.data.odd.images import make_images
from tests.data.odd.names import make_names
from tests.data.odd.tables import make_tables

pytestmark = pytest.mark.one_backend


def tables(out):
    cases = Cases()
    make_images(out / "data" / "image", Cases())
    make_names(out / "data", out / "outside", Cases())
    make_tables(out / "tables", cases)
    return {Path(case.file).name: case for case in cases}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    out = tmp_path_factory.mktemp("odd")
    return out, tables(out)


@pytest.fixture
def opened(odd):
    out, _ = odd
    return lambda name, **options: read(
        out / "tables" / name, root=out / "data", **options
    )


def outcome(open_table):
    """What happened, its reason words, and how many rows can be used."""
    try:
        manifest = open_table()
    except ReadError as error:
        return "refuse", error.reason, None, None
    problems = manifest.problems()
    order = ("use", "warn", "skip")
    worst = max((p.outcome for p in problems), default="use", key=order.index)
    reasons = ",".join(problem.reason for problem in problems)
    try:
        used = len(manifest.usable())
    except ReadError:
        used = 0
    return worst, reasons, len(manifest), used


NAMES = [
    "plain.csv",
    "crlf.csv",
    "bom.csv",
    "utf16.csv",
    "latin1.csv",
    "semicolon.csv",
    "tab.tsv",
    "headerless.csv",
    "other_names.csv",
    "nan_label.csv",
    "number_label.csv",
    "duplicates.csv",
    "missing_files.csv",
    "windows.csv",
    "case.csv",
    "absolute.csv",
    "parent.csv",
    "link.csv",
    "url.csv",
    "nul.csv",
    "ragged.csv",
    "empty.csv",
    "header_only.csv",
    "huge_field.csv",
    "formula.csv",
    "lines.jsonl",
    "broken.jsonl",
    "pickle.npz",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_its_outcome(odd, opened, name):
    case = odd[1][name]
    what, reason, rows, used = outcome(lambda: opened(name))
    assert (what, reason) == (case.expect, case.reason)
    assert case.check.get("rows", rows) == rows
    assert case.check.get("used", used) == used


def test_no_table_is_left_out(odd):
    assert set(odd[1]) == set(NAMES)


def test_texts_arrive_as_they_were_written(opened):
    for name in ("plain.csv", "crlf.csv", "bom.csv", "utf16.csv", "tab.tsv"):
        texts = list(opened(name).column("text"))
        assert texts[1:] == ['it says "hello"', "two\nlines", "naïve café ☃"]


def test_another_encoding_is_named_by_line_and_byte_and_can_be_given(opened):
    with pytest.raises(ReadError, match=r"line=6, byte='0xef'\. .*latin-1"):
        opened("latin1.csv")
    texts = opened("latin1.csv", encoding="latin-1").column("text")
    assert texts[3] == "naïve café o"


def test_a_table_without_a_header_is_read_with_the_columns_in_order(opened):
    with pytest.raises(ReadError, match=re.escape("columns=['image', 'text']")):
        opened("headerless.csv")
    manifest = opened("headerless.csv", columns=["image", "text"])
    assert len(manifest) == 4
    assert str(manifest.where(0)).endswith("headerless.csv, line 1")


def test_what_other_names_were_taken_for_is_in_the_summary(opened):
    lines = str(opened("other_names.csv").summary()).splitlines()
    assert lines[2].split()[:2] == ["image", "'filepath'"]
    assert lines[3].split()[:2] == ["text", "'caption'"]


def test_labels_that_look_like_numbers_stay_texts(opened):
    assert list(opened("number_label.csv").column("label")) == ["007", "7"]


def test_a_path_of_another_case_is_missing_and_the_right_one_is_named(opened):
    (problem,) = opened("case.csv").problems()
    (line,) = problem.lines(opened("case.csv"))
    assert line.endswith(
        "line 2: missing, image 'IMAGE/Good.JPG'; did you mean "
        "'image/good.jpg'?"
    )


def test_a_link_may_leave_into_a_folder_that_is_named(odd, opened):
    manifest = opened("link.csv", links=[odd[0] / "outside"])
    assert len(manifest.usable()) == 1


def test_lists_of_texts_are_several_captions(opened):
    assert opened("lines.jsonl").row(2) == {
        "image": "image/grey.jpg",
        "text": ("two\nlines", "a second caption"),
    }


def test_ragged_rows_are_named_by_line(opened):
    with pytest.raises(ReadError) as error:
        opened("ragged.csv")
    assert error.value.faults == ["line 3: 1 values", "line 4: 3 values"]


def test_a_broken_line_is_named(opened):
    with pytest.raises(ReadError, match=r"line=2\. Expecting value\."):
        opened("broken.jsonl")


def test_a_summary_shows_no_control_characters(tmp_path):
    path = tmp_path / "table.jsonl"
    path.write_text(json.dumps({"text": "\x1b[31mred\nline"}) + "\n")
    assert "\x1b" not in str(read(path).summary())


def test_all_paths_that_leave_are_listed_and_some_are_shown(tmp_path):
    path = tmp_path / "table.csv"
    lines = [f"/etc/{number}.jpg,text" for number in range(9)]
    path.write_text("\n".join(["image,text", *lines]))
    with pytest.raises(ReadError, match=r"line 6: /etc/4\.jpg'\] and 4 more"):
        read(path)
    with pytest.raises(ReadError) as error:
        read(path)
    assert len(error.value.faults) == 9


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_scan_of_the_folder_refuses_the_link_that_leaves(odd):
    with pytest.raises(ReadError) as error:
        read(odd[0] / "data")
    assert error.value.reason == "outside"
    assert [f.split("/")[-1] for f in error.value.faults] == ["link_out.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes")
def test_a_scan_counts_hidden_files_and_skips_pipes_and_circles(odd):
    folder = odd[0] / "data"
    manifest = read(folder, links=[odd[0] / "outside"])
    names = list(manifest.column("image"))
    assert "image/ünïcode ☃.jpg" in names
    assert not any("/." in name or "Thumbs" in name for name in names)
    assert "3 hidden files and folders" in " ".join(manifest.summary().notes)
    skipped = {
        manifest.column("image")[row]: problem.reason
        for problem in manifest.problems()
        if problem.reason in ("missing", "not_file")
        for row in problem.rows
    }
    assert skipped == {
        "image/pipe.png": "not_file",
        "image/loop.png": "missing",
    }


def test_a_name_that_is_not_utf_8_leads_to_its_file(odd):
    manifest = read(odd[0] / "data", links=[odd[0] / "outside"])
    names = list(manifest.column("image"))
    row = names.index("image/latin1-\udce9.jpg")
    assert manifest.source(row, "image").read_bytes()[:2] == b"\xff\xd8"
    line = manifest.select([row]).summary().lines[0]
    assert "\\udce9" in line.example
    assert np.isfinite(manifest.groups()[row])


def mutant(data, how, rng):
    """A file with flipped bits, cut, with random bytes, or with one sign."""
    data = bytearray(data)
    if how == 0:
        for at in rng.integers(0, len(data), 1 + len(data) // 100):
            data[at] ^= 1 << rng.integers(8)
    elif how == 1:
        del data[rng.integers(1, len(data)) :]
    elif how == 2:
        at = rng.integers(0, len(data))
        data[at : at + 20] = rng.bytes(20)
    else:
        data[rng.integers(0, len(data))] = rng.choice([0, 10, 13, 34, 44, 255])
    return bytes(data)


@pytest.mark.parametrize(
    "name", ["plain.csv", "utf16.csv", "tab.tsv", "lines.jsonl"]
)
def test_a_mutant_of_a_table_is_read_or_refused_with_a_reason(odd, name, rng):
    whole = (odd[0] / "tables" / name).read_bytes()
    path = odd[0] / "tables" / f"mutant-{name}"
    reasons = set()
    for number in range(200):
        path.write_bytes(mutant(whole, number % 4, rng))
        try:
            manifest = read(path, root=odd[0] / "data")
        except ReadError as error:
            reasons.add(error.reason)
        else:
            assert len(str(manifest.summary()).splitlines()) > 2
    path.unlink()
    assert reasons <= {"columns", "empty", "encoding", "outside", "syntax"}
    assert len(reasons) > 1
