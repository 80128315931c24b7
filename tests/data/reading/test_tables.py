import csv
import re

import pytest

from keras_imp.data import read
from keras_imp.data.reading import ReadError
from tests.helpers.files import touch, write

pytestmark = pytest.mark.one_backend


@pytest.fixture
def table(tmp_path):
    def make(content, name="table.csv", **options):
        return read(write(tmp_path, {name: content}) / name, **options)

    return make


def refusal(call, *args, **kwargs):
    with pytest.raises(ReadError) as error:
        call(*args, **kwargs)
    return error.value


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_the_separator_is_the_one_that_the_header_has_most_of(table, separator):
    rows = [["text", "label", "weight"], ['"a, b; c | d"', "cat", "2"]]
    manifest = table("\n".join(separator.join(row) for row in rows))
    assert manifest.row(0) == {
        "text": "a, b; c | d",
        "label": "cat",
        "weight": 2.0,
    }


def test_another_separator_can_be_given(table):
    manifest = table("text label\na cat\n", separator=" ")
    assert manifest.row(0) == {"text": "a", "label": "cat"}


def test_options_that_cannot_be_are_refused(table):
    with pytest.raises(ValueError, match="`separator` must be one character"):
        table("text\na\n", separator="||")
    assert refusal(table, "text\na\n", encoding="utf-9").reason == "encoding"


def test_a_column_that_does_not_exist_is_told_with_the_nearest_name(table):
    error = refusal(
        table, "text,category\na,b\n", columns={"label": "categroy"}
    )
    assert error.reason == "columns"
    assert "Did you mean 'category'? There are: 'text', 'category'." in str(
        error
    )
    error = refusal(table, "text,category\na,b\n", columns={"lable": "text"})
    assert "Did you mean 'label'?" in str(error)


def test_a_column_can_be_named_or_left_out(table):
    content = "text,kind,label\na,b,c\n"
    assert table(content).row(0) == {"text": "a", "label": "c"}
    named = table(content, columns={"label": "kind"})
    assert named.row(0) == {"text": "a", "label": "b"}
    left_out = table(content, columns={"label": None})
    assert left_out.row(0) == {"text": "a"}


def test_columns_that_are_not_used_are_told(table):
    notes = table("id,text,width\n1,a,2\n").summary().notes
    assert notes == ["Columns that are not used: 'id', 'width'."]


def test_the_first_alias_is_taken_and_the_other_told(table):
    manifest = table("title,caption\nshort,long\n")
    assert manifest.row(0) == {"text": "long"}
    assert "'title'" in manifest.summary().notes[0]


def test_numbered_captions_are_several_texts(table):
    manifest = table("file_name,caption_1,caption_2\na.wav,one,\nb.wav,x,y\n")
    assert list(manifest.column("text")) == [("one",), ("x", "y")]
    assert list(manifest.values("text")) == ["one", "x", "y"]


@pytest.mark.parametrize(
    ("ending", "column"),
    [("JPG", "image"), ("mp4", "video"), ("flac", "audio")],
)
def test_a_column_of_files_is_what_their_endings_say(table, ending, column):
    manifest = table(f"path,text\na.{ending},b\n")
    assert manifest.columns == (column, "text")


def test_files_of_several_kinds_in_a_column_are_refused(table):
    error = refusal(table, "path,text\na.jpg,b\na.wav,b\n")
    assert "endings={'image': 1, 'audio': 1}" in str(error)
    assert "columns={'image': 'path'}" in str(error)


def test_seconds_may_be_written_as_a_clock_does(table):
    manifest = table("video,start_time,end_time\na.mp4,00:01:02.5,1:10\n")
    row = manifest.row(0)
    assert (row["start"], row["end"]) == (62.5, 70.0)


@pytest.mark.parametrize("value", ["heavy", "inf", "-inf", "-1", "1:30"])
def test_a_weight_that_is_no_number_is_named_by_line(table, value):
    error = refusal(table, f"text,weight\na,1\nb,{value}\n")
    assert error.reason == "columns"
    assert f"line=3, value={value!r}" in str(error)


def test_a_row_may_have_several_labels(table):
    manifest = table("text,labels\na,dog;cat\nb,\n", label_separator=";")
    assert list(manifest.column("label")) == [("dog", "cat"), None]


def test_the_line_of_a_row_counts_those_inside_of_quotes(table):
    manifest = table('text\n"one\ntwo"\n\nthree\n')
    assert [manifest.where(row).number for row in (0, 1)] == [2, 5]


def test_an_open_quote_is_named_by_the_line_where_its_row_starts(table):
    error = refusal(table, 'text,label\na,b\n"open,c\nd,e\n')
    assert error.reason == "syntax"
    assert "line=3" in str(error)


PLAIN = (
    "Double quotes are read as part of the values, since not all of them "
    "enclose one."
)


@pytest.mark.parametrize("sign", ["\t", "|"])
def test_quotes_that_are_part_of_a_text_stay_in_it(table, sign):
    lines = [
        "path|sentence|up_votes",
        'a.mp3|"Hello," he said.|2',
        'b.mp3|He said "hello" and ""bye"".|0',
        'c.mp3|"All of it."|0',
    ]
    content = "\n".join(lines).replace("|", sign)
    manifest = table(content, "train.tsv")
    assert list(manifest.column("text")) == [
        '"Hello," he said.',
        'He said "hello" and ""bye"".',
        '"All of it."',
    ]
    assert [manifest.where(row).number for row in (0, 2)] == [2, 4]
    assert PLAIN in manifest.summary().notes


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_plain_quotes_are_found_in_any_encoding(table, encoding):
    content = 'text\tlabel\r\n"Hello," he said. ☃\tx\r\n\r\nb\ty\r\n'
    manifest = table(content.encode(encoding), "train.tsv")
    assert list(manifest.column("text")) == ['"Hello," he said. ☃', "b"]
    assert manifest.where(1).number == 4


def test_quotes_at_the_ends_of_two_rows_do_not_make_them_one(table):
    content = 'text\tlabel\tgroup\na\t"Hello\tx\nb\tBye"\ty\n'
    manifest = table(content, "train.tsv")
    assert list(manifest.column("label")) == ['"Hello', 'Bye"']
    assert PLAIN in manifest.summary().notes


@pytest.mark.parametrize(
    "text", ["one\ttwo", "one\ntwo", "one\ttwo\nthree", "one", 'a "b"', ""]
)
@pytest.mark.parametrize("last", [True, False])
def test_quotes_around_what_is_written_by_a_program_are_not_read(
    tmp_path, text, last
):
    path = tmp_path / "train.tsv"
    rows = [["text", "label", "group"], [text, "x", "1"], ["plain", "y", "2"]]
    rows = [row[::-1] if last else row for row in rows]
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        with path.open("w", newline="") as file:
            csv.writer(file, "excel-tab", quoting=quoting).writerows(rows)
        manifest = read(path)
        assert list(manifest.column("text")) == [text or None, "plain"]
        assert manifest.summary().notes == []


def test_lines_of_a_table_of_one_column_may_be_in_quotes(table):
    manifest = table('text\n"one\ntwo"\n', "train.tsv")
    assert list(manifest.column("text")) == ["one\ntwo"]


def test_a_line_of_another_length_is_named_beside_plain_quotes(table):
    error = refusal(
        table, 'text\tlabel\n"Hello," he said.\tx\nno label\n', "a.tsv"
    )
    assert error.faults == ["line 3: 1 values"]


def test_an_open_quote_of_a_table_that_quotes_is_named_by_its_line(table):
    content = 'text\tlabel\n"one\ntwo"\tx\n"open\ty\nd\tz\n'
    error = refusal(table, content, "a.tsv")
    assert (error.reason, "line=4" in str(error)) == ("syntax", True)


@pytest.mark.parametrize("line", ['"one\t"x"', '"say "one""\t"x"'])
def test_a_bad_row_of_a_table_of_quotes_is_named_by_its_line(table, line):
    """Where all names of columns are in quotes, quotes enclose."""
    content = f'"text"\t"label"\n"b"\t"y"\n{line}\n"d"\t"z"\n'
    error = refusal(table, content, "a.tsv")
    assert error.reason in ("syntax", "columns")
    assert "line" in str(error)
    assert "needs a column" not in str(error)


def test_a_first_line_of_plain_quotes_encloses_nothing(table):
    content = '"one" and "two"\tx\n"three\ty\n'
    manifest = table(content, "a.tsv", columns=["text", "label"])
    assert list(manifest.column("text")) == ['"one" and "two"', '"three']


@pytest.mark.parametrize("sign", [",", ";"])
def test_tables_with_commas_or_semicolons_always_quote(table, sign):
    content = f'text{sign}label\n"Hello" he said.{sign}x\n'
    assert refusal(table, content).reason == "syntax"


def test_a_table_without_a_header_may_have_plain_quotes(table):
    manifest = table(
        'LJ001|"Printing," in the\nLJ002|sense\n',
        columns=["audio", "text"],
    )
    assert list(manifest.column("text")) == ['"Printing," in the', "sense"]


def test_repeated_names_of_columns_are_refused(table):
    error = refusal(table, "text,text\na,b\n")
    assert "repeated=['text']" in str(error)


def test_a_missing_folder_of_the_data_is_told(table):
    error = refusal(table, "text\na\n", root="nowhere")
    assert error.reason == "missing"


def test_a_missing_table_is_told(tmp_path):
    error = refusal(read, tmp_path / "none.csv")
    assert error.reason == "missing"
    assert "No such file or directory." in str(error)


def test_files_in_one_folder_beside_the_table_are_found(tmp_path, table):
    touch(tmp_path, "photos/a.jpg", "photos/b.jpg", "other/c.jpg")
    manifest = table("image,label\na.jpg,x\nb.jpg,y\n")
    assert manifest.source(1, "image") == tmp_path / "photos" / "b.jpg"
    assert "'photos'" in manifest.summary().notes[0]
    assert not manifest.problems()


def test_a_folder_that_is_named_as_its_table_comes_first(tmp_path, table):
    touch(tmp_path, "ants/0.jpg", "birds/0.jpg", "cats/0.jpg")
    manifest = table("image,label\n0.jpg,x\n", name="birds.csv")
    assert manifest.source(0, "image") == tmp_path / "birds/0.jpg"


@pytest.mark.parametrize("name", ["a.pkl", "a.pt", "a.npy", "a.pickle"])
def test_pickles_are_never_opened(tmp_path, name):
    assert refusal(read, touch(tmp_path, name) / name).reason == "pickle"


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip", "a.xyz"])
def test_packed_and_unknown_files_are_refused(tmp_path, name):
    assert refusal(read, touch(tmp_path, name) / name).reason == "unsupported"


def test_utf_16_without_a_mark_is_no_table(table):
    error = refusal(table, "text,label\na,b\n".encode("utf-16-le"))
    assert error.reason in ("columns", "encoding")


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_what_the_system_refuses_is_told(tmp_path, monkeypatch, error):
    def refused(*args, **kwargs):
        raise error(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("os.scandir", refused)
    found = refusal(read, tmp_path)
    assert found.reason == (
        "permission" if error is PermissionError else "missing"
    )
    assert str(found).endswith(
        f"Received: path={str(tmp_path)!r}. Permission denied."
    )


def test_json_rows_need_not_have_the_same_keys(table):
    content = '{"text": "a"}\n\n{"text": null, "label": 3}\n'
    manifest = table(content, "rows.jsonl")
    assert list(manifest.column("label")) == [None, "3"]
    assert manifest.where(1).number == 3


def test_a_json_list_counts_entries(table):
    manifest = table('[{"text": "a"}, {"text": "b"}]', "rows.json")
    assert str(manifest.where(1)).endswith("rows.json, entry 2")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[1, 2]", "syntax"),
        ('{"a": 1}', "columns"),
        ("[]", "empty"),
        ("[" * 100_000, "syntax"),
        ('[{"text": {"raw": "a"}}]', "columns"),
        ('[{"image": ["a.jpg", "b.jpg"]}]', "columns"),
        ('[{"text": "a", "weight": 1e400}]', "columns"),
    ],
)
def test_json_of_another_form_is_refused(table, content, reason):
    assert refusal(table, content, "rows.json").reason == reason


def test_a_lone_surrogate_in_json_survives(table):
    manifest = table('{"text": "\\ud800 a"}\n', "rows.jsonl")
    assert manifest.column("text")[0] == "\ud800 a"
    assert "\\ud800 a" in str(manifest.summary())


def test_every_reason_of_an_error_is_documented(table):
    documented = set(re.findall(r'`"(\w+)"`', ReadError.__doc__))
    assert {"columns", "outside", "syntax", "pickle"} <= documented
