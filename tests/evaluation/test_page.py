import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from keras_imp.evaluation import Figure, Score, ScoreTable, write_page
from tests.helpers.pages import Page

pytestmark = pytest.mark.one_backend

HOSTILE = "<script src='https://x'>\"&"


def png():
    file = io.BytesIO()
    Image.fromarray(np.zeros((2, 3, 3), "uint8")).save(file, "png")
    return file.getvalue()


@pytest.fixture
def write(tmp_path):
    """From sections to the page."""

    def write(sections, title="Run"):
        write_page(tmp_path / "page.html", title, sections)
        return Page((tmp_path / "page.html").read_text("utf-8"))

    return write


def test_all_text_is_escaped(write):
    table = ScoreTable(
        (HOSTILE,), [Score((HOSTILE,), 0.5, 0.1, 0.2)], HOSTILE, HOSTILE
    )
    parts = [HOSTILE, {HOSTILE: HOSTILE}, Figure(png(), HOSTILE), table]
    page = write({HOSTILE: parts}, title=HOSTILE)
    assert "script" not in page.tags
    assert page.headings == [HOSTILE]
    assert page.rows[0] == [HOSTILE, HOSTILE]
    assert page.images[0]["alt"] == HOSTILE
    # Nothing is lost: title, heading, link, section, paragraph, a table, a
    # caption, and a table of scores with its key.
    assert page.text.count(HOSTILE) == 15


def test_pictures_are_in_the_page(write, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    parts = [Figure(tmp_path / "a.png", "file"), Figure(png(), "bytes")]
    page = write({"Pictures": parts})
    (tmp_path / "a.png").unlink()
    for image in page.images:
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data) == png()


def test_a_page_needs_no_network(write):
    page = write({"A": ["text"], "B": [Figure(png(), "b")]})
    assert {address.split(",")[0] for address in page.addresses} == {
        "#section-1",
        "#section-2",
        "data:image/png;base64",
    }
    assert not page.tags & {"script", "link", "iframe", "object"}


def test_scores_are_numbers_and_bars(write, tmp_path):
    rows = [
        Score(("a",), 0.8, chance=0.1, baseline=0.7),
        Score(("b",), 0.6, chance=0.1, baseline=0.7),
        Score(("c",), 0.6, chance=0.1),
        Score(("d",), 0.05, chance=0.1),
        Score(("e",), 1.0),
    ]
    page = write({"Results": [ScoreTable(("task",), rows, "own", "linear")]})
    assert page.rows == [
        ["task", "chance", "linear", "own", "from 0 to 1"],
        ["a", "0.100", "0.700", "0.800", ""],
        ["b", "0.100", "0.700", "0.600", ""],
        ["c", "0.100", "–", "0.600", ""],
        ["d", "0.100", "–", "0.050", ""],
        ["e", "–", "–", "1.000", ""],
    ]
    text = (tmp_path / "page.html").read_text("utf-8")
    bars = re.findall(
        r'<i class="(above|below)" style="width:([\d.]+)%"></i>(?!</span>)',
        text,
    )
    assert bars == [
        ("above", "80.00"),
        ("below", "60.00"),
        ("above", "60.00"),
        ("below", "5.00"),
        ("above", "100.00"),
    ]
    assert re.findall(r'"baseline" style="left:([\d.]+)%"', text) == [
        "70.00",
        "70.00",
        "50",
    ]


@pytest.mark.parametrize(
    ("parts", "error", "text"),
    [
        ("text", TypeError, "Put a single part into a list."),
        ({"a": 1}, TypeError, "type='dict'"),
        ([3], TypeError, "type='int'"),
        ([Figure(b"GIF89a", "x")], ValueError, "A figure must be a PNG."),
        (
            [ScoreTable(("a", "b"), [Score(("x",), 0.5)])],
            ValueError,
            "a label for each column",
        ),
        (
            [ScoreTable(("a",), [Score(("x",), 0.5, chance=10.0)])],
            ValueError,
            "chance=10.0",
        ),
        (
            [ScoreTable(("a",), [Score(("x",), float("nan"))])],
            ValueError,
            "value=nan",
        ),
    ],
)
def test_what_no_page_can_show_is_refused(tmp_path, parts, error, text):
    with pytest.raises(error, match=re.escape(text)):
        write_page(tmp_path / "page.html", "Run", {"A": parts})
    assert not (tmp_path / "page.html").exists()
