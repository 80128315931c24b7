import hashlib
import json
import re
import tracemalloc

import numpy as np
import pytest
import rich.protocol
from rich.console import Console

from keras_imp.data import Manifest, paths, read
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.reading import ReadError
from tests.helpers.files import touch, write

pytestmark = pytest.mark.one_backend


@pytest.fixture
def manifest(tmp_path):
    touch(tmp_path, *[f"{number}.jpg" for number in range(6)])
    return Manifest(
        {
            "image": [f"{number}.jpg" for number in range(6)],
            "text": [["a", "b"], ["c"], [], ["d"], ["e"], ["f"]],
            "label": ["x", "y", "x", None, "z", "y"],
            "weight": [1, 2.5, None, 4, 5, 6],
        },
        root=tmp_path,
    )


def test_a_row_has_all_columns_and_none_where_it_has_no_value(manifest):
    assert manifest.columns == ("image", "text", "label", "weight")
    assert manifest.row(2) == {
        "image": "2.jpg",
        "text": None,
        "label": "x",
        "weight": None,
    }
    assert manifest.row(-1)["weight"] == 6.0
    assert [row["image"] for row in manifest][1] == "1.jpg"


def test_texts_of_a_row_are_none_one_or_several(manifest):
    found = [manifest.texts_of(row, "text") for row in range(3)]
    assert found == [("a", "b"), ("c",), ()]
    assert manifest.texts_of(0, "label") == ("x",)
    assert manifest.texts_of(3, "label") == ()
    with pytest.raises(ValueError, match="no such column"):
        manifest.texts_of(0, "video")


def test_values_leave_out_what_is_missing(manifest):
    assert list(manifest.values("text")) == ["a", "b", "c", "d", "e", "f"]
    assert list(manifest.values("label")) == ["x", "y", "x", "z", "y"]


@pytest.mark.parametrize("row", [6, -7, 100])
def test_a_row_that_is_not_there_is_refused(manifest, row):
    with pytest.raises(IndexError, match=f"row={row}, rows=6"):
        manifest.row(row)


def test_a_source_is_a_path_in_the_folder(manifest, tmp_path):
    assert manifest.source(1, "image") == tmp_path / "1.jpg"
    with pytest.raises(ValueError, match=re.escape("column='text'")):
        manifest.source(1, "text")
    with pytest.raises(ValueError, match="Did you mean 'image'"):
        manifest.source(1, "images")
    (tmp_path / "1.jpg").unlink()
    with pytest.raises(BadFile) as error:
        manifest.source(1, "image")
    assert error.value.reason == "missing"


@pytest.mark.parametrize("folder", ["", "deep/er/"])
def test_plain_files_are_looked_at_by_one_call_each(
    tmp_path, monkeypatch, folder
):
    names = [f"{folder}{number}.jpg" for number in range(50)]
    touch(tmp_path, *names)
    found = []
    find = paths.Root.find
    monkeypatch.setattr(
        paths.Root, "find", lambda self, p: found.append(p) or find(self, p)
    )
    manifest = Manifest({"image": [*names, f"{folder}none.jpg"]}, tmp_path)
    assert found in ([], ["deep/er"])
    assert manifest.column("image").states.tolist() == [0] * 50 + [1]


def test_a_row_without_a_file_has_no_source(tmp_path):
    touch(tmp_path, "a.jpg")
    manifest = Manifest(
        {"image": ["a.jpg", None], "text": ["a", "b"]}, tmp_path
    )
    assert manifest.source(1, "image") is None


def test_rows_are_selected_by_number_bools_function_and_value(manifest):
    def labels(*args, **kwargs):
        return list(manifest.select(*args, **kwargs).column("label"))

    assert labels([4, 0, 0]) == ["z", "x", "x"]
    assert labels(np.arange(6) < 2) == ["x", "y"]
    assert labels(lambda row: row["weight"] == 2.5) == ["y"]
    assert labels(label=["z", "y"]) == ["y", "z", "y"]
    assert labels(text="b") == ["x"]
    assert labels([5, 0], label="y") == ["y"]


def test_a_selection_of_what_is_not_there_is_refused(manifest):
    with pytest.raises(ValueError, match="no such value"):
        manifest.select(label="w")
    with pytest.raises(ValueError, match="Did you mean 'label'"):
        manifest.select(labels="x")
    with pytest.raises(ValueError, match="must leave rows"):
        manifest.select([])
    with pytest.raises(ValueError, match="Bools must be one per row"):
        manifest.select([True])


def test_where_survives_selections(tmp_path):
    write(tmp_path, {"t.csv": "text\na\nb\nc\n"})
    selected = read(tmp_path / "t.csv").select([2, 1]).select([1])
    assert str(selected.where(0)) == f"{tmp_path / 't.csv'}, line 3"


def test_columns_must_be_known_and_of_one_length():
    for columns, pattern in (
        ({"texts": ["a"]}, "Did you mean 'text'"),
        ({"text": ["a"], "label": []}, "one length"),
        ({"text": []}, "must have rows"),
        ({"label": ["a"]}, "needs a column of images"),
        ({"text": [b"a"]}, "texts or numbers"),
    ):
        with pytest.raises(ReadError, match=pattern):
            Manifest(columns)


@pytest.mark.parametrize(
    "path", ["/etc/a.jpg", "../a.jpg", "http://a/b.jpg", "C:\\a.jpg"]
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    with pytest.raises(ReadError) as error:
        Manifest({"image": [path], "text": ["a"]}, tmp_path)
    assert error.value.reason == "outside"


def split_of(manifest, **arguments):
    first, second = manifest.split(**arguments)
    return set(first.values("text")), set(second.values("text"))


def of_groups(number):
    return Manifest(
        {
            "text": [f"text {row}" for row in range(number)],
            "group": [f"group {row // 3}" for row in range(number)],
        }
    )


def test_no_group_is_in_both_parts_of_a_split():
    first, second = of_groups(300).split(by="group", fraction=0.2)
    assert len(first) + len(second) == 300
    assert not set(first.values("group")) & set(second.values("group"))
    assert 30 < len(second) < 90


def test_a_split_is_stable_when_rows_are_added():
    before, after = of_groups(300), of_groups(600)
    few, more = (split_of(m, fraction=0.2, seed=3) for m in (before, after))
    assert few[0] <= more[0]
    assert few[1] <= more[1]


def test_a_split_depends_on_the_seed_and_the_value_of_the_group_only():
    def number(group):
        key = f"1'{group}'".encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        return int.from_bytes(digest, "little") / 2**64

    _, second = of_groups(300).split(fraction=0.2, seed=1)
    groups = {f"group {number}" for number in range(100)}
    held_out = {group for group in groups if number(group) < 0.2}
    assert set(second.values("group")) == held_out


def test_another_seed_gives_another_split():
    parts = [split_of(of_groups(300), seed=seed)[1] for seed in (0, 1)]
    assert parts[0] != parts[1]


def test_rows_of_one_file_are_a_group_of_their_own_accord(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    manifest = Manifest(
        {"image": ["a.jpg", "b.jpg", "a.jpg"], "text": ["1", "2", "3"]},
        tmp_path,
    )
    groups = manifest.groups()
    assert groups.dtype == np.int64
    assert groups[0] == groups[2] != groups[1]


def test_rows_without_a_group_are_not_one_group():
    manifest = Manifest({"text": ["a", "b", "c"], "group": [None, None, "one"]})
    assert len(set(manifest.groups())) == 3


def test_a_split_that_leaves_a_part_empty_is_refused():
    manifest = Manifest({"text": ["a", "b"], "group": ["one", "one"]})
    with pytest.raises(ValueError, match="groups=1"):
        manifest.split()
    with pytest.raises(ValueError, match=r"`fraction` must be in \(0, 1\)"):
        manifest.split(fraction=1)
    with pytest.raises(ValueError, match="Did you mean 'group'"):
        manifest.split(by="groups")
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        manifest.split(seed=0.5)


def test_a_row_with_fewer_than_two_contents_is_skipped(manifest):
    # Row 2 has an image and a label, row 3 an image and a text.
    assert not manifest.problems()
    pair = Manifest({"text": ["a", "b", "c"], "label": ["x", None, "NaN"]})
    (problem,) = pair.problems()
    assert (problem.reason, problem.outcome) == ("no_label", "skip")
    assert problem.rows.tolist() == [1, 2]
    assert len(pair.usable()) == 1


def test_no_usable_row_is_an_error_that_says_why(tmp_path):
    manifest = Manifest({"image": ["a.jpg"], "text": ["a"]}, tmp_path)
    with pytest.raises(ReadError) as error:
        manifest.usable()
    assert error.value.reason == "empty"
    assert "missing, image 'a.jpg'" in str(error.value)
    assert "root=..." in str(error.value)


def test_rows_that_repeat_others_are_a_warning():
    manifest = Manifest({"text": ["a", "b", "a", "a"]})
    (problem,) = manifest.problems()
    assert (problem.reason, problem.outcome) == ("duplicate", "warn")
    assert problem.rows.tolist() == [2, 3]
    assert manifest.usable() is manifest


def test_the_summary_is_a_plain_table_and_one_of_rich(tmp_path):
    write(tmp_path, {"t.csv": "caption,kind\n[bold]a,x\nb,\n"})
    summary = read(tmp_path / "t.csv", columns={"label": "kind"}).summary()
    assert str(summary).splitlines()[1:] == [
        "column  from       rows  distinct  example",
        "text    'caption'  2               [bold]a",
        "label   'kind'     1     1         x",
        f"1 row left out: no_label, such as {tmp_path / 't.csv'}, line 3: "
        "no_label.",
    ]
    console = Console(width=200, record=True)
    with console.capture() as capture:
        console.print(summary)
    assert "[bold]a" in capture.get()
    assert rich.protocol.is_renderable(summary)


def test_a_description_changes_with_the_rows(manifest):
    description = manifest.describe()
    assert json.loads(json.dumps(description)) == description
    assert description["rows"] == 6
    assert manifest.select([1, 0]).describe() != manifest.describe()


def test_a_manifest_is_shown_by_its_size(manifest):
    assert repr(manifest) == (
        "Manifest(rows=6, columns=['image', 'text', 'label', 'weight'])"
    )


def test_many_rows_take_little_more_than_their_text(tmp_path):
    rows = 20_000
    text = "".join(
        f"{n:06}.jpg,a caption of some words number {n}\n" for n in range(rows)
    )
    write(tmp_path, {"t.csv": "image,text\n" + text, "few.csv": "text\na\n"})
    read(tmp_path / "few.csv")  # What is imported now is not counted below.
    tracemalloc.start()
    manifest = read(tmp_path / "t.csv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Each column has 8 bytes per row, and the lines 8; a file's state is one.
    assert manifest.nbytes < len(text) + 26 * rows
    assert peak < 2 * manifest.nbytes + 2_000_000


def test_a_part_that_ends_before_it_starts_is_skipped(tmp_path):
    touch(tmp_path, "a.wav")
    manifest = Manifest(
        {
            "audio": ["a.wav"] * 4,
            "text": ["a", "b", "c", "d"],
            "start": [1, 2, 3, None],
            "end": [2, 2, None, 3],
        },
        tmp_path,
    )
    (problem,) = manifest.problems()
    assert (problem.reason, problem.rows.tolist()) == ("no_time", [1])
