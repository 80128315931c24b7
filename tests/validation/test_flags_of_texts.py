import numpy as np
import pytest
import soundfile

import keras_imp
from keras_imp.validation import scan_and_flag
from keras_imp.validation.texts import notes_of_text
from tests.helpers.flagged import flags_of

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("????? ???", ["text_encoding"]),
        ("what???", []),
        ("Tom &amp; Jerry", ["text_markup"]),
        ("two<br/>lines", ["text_markup"]),
        ("a < b and c > d", []),
        ("R&B; soul", []),
        ("caf&eacute;", ["text_markup"]),
        ('<a href="x">y</a>', ["text_markup"]),
        ("a<b and c>d", []),
        ("['a cat', \"a cat's tail\"]", ["text_markup"]),
        ('["a cat"]', ["text_markup"]),
        ("['tis the season", []),
        ("[a cat]", []),
        ("None", []),
        ("???", ["text_encoding"]),
        ("N/A", ["text_placeholder"]),
        (" todo ", ["text_placeholder"]),
        ("--", ["text_placeholder"]),
        ("[inaudible]", ["text_placeholder"]),
        ("(Music)", ["text_placeholder"]),
        ("[laughs] and music", []),
        ("IMG_2041.JPG", ["text_placeholder"]),
        ("see IMG_2041.JPG", []),
        ("none of them", []),
        ("to do list", []),
        ("TODO: transcribe", ["text_placeholder"]),
        # UTF-8 that was read as Windows-1251, and what is none.
        ("РџСЂРёРІРµС‚", ["text_encoding"]),
        ("Привет, «Ёлка» № 5", []),
        ("Ґанок і їжак", []),
    ],
)
def test_what_shows_in_a_text_alone(text, flags):
    assert notes_of_text(text) == flags


def motions(*pairs):
    return {
        "text": [f"thing {k}, {named}" for k, (named, _) in enumerate(pairs)],
        "label": [label for _, label in pairs],
    }


def test_a_text_that_names_another_label_is_told(tmp_path):
    named = ["moving left", "moving right"] * 30
    pairs = [(label, label) for label in named]
    pairs[7] = "moving left", "moving right"
    manifest = keras_imp.data.Manifest(motions(*pairs), root=tmp_path)
    (finding,) = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (finding.flag, finding.row) == ("text_label", 7)
    assert finding.detail == "'moving left', not 'moving right'"


def test_other_forms_of_a_label_name_it(tmp_path):
    pairs = [
        ("a dog on grass", "dog"),
        ("two dogs chase a cat", "dog"),
        ("a cat asleep", "cat"),
        ("a Golden-Retriever", "golden_retriever"),
    ] * 25
    assert flags_of(tmp_path, motions(*pairs)) == []
    pairs[3] = "a golden retriever", "cat"
    assert flags_of(tmp_path, motions(*pairs)) == [("text_label", 3)]


def test_a_word_that_is_a_label_elsewhere_is_none(tmp_path):
    """Texts of strings do not name them, and a double bass is one."""
    pairs = [("drum", "drum"), ("bass", "bass"), ("double bass", "strings")]
    assert flags_of(tmp_path, motions(*pairs * 30)) == []


SENTENCE = """
all lines are busy please hold the agent will take your call after this message
press one for more options or wait until someone is there again
"""


def test_texts_that_were_cut_at_a_length_are_told(tmp_path):
    generator = np.random.default_rng(1)
    texts = [
        " ".join(generator.choice(SENTENCE.split(), size))
        for size in generator.integers(2, 14, 600)
    ]
    columns = {"text": texts, "label": [f"label {k}" for k in range(600)]}
    assert flags_of(tmp_path, columns) == []
    columns["text"] = [
        text[:24] if row % 2 else text for row, text in enumerate(texts)
    ]
    found = {
        row for flag, row in flags_of(tmp_path, columns) if flag == "text_cut"
    }
    cut = {row for row, text in enumerate(texts) if row % 2 and len(text) > 24}
    of_that_length = {k for k, t in enumerate(columns["text"]) if len(t) == 24}
    assert cut <= found == of_that_length


def test_short_texts_that_end_in_the_start_of_a_word_are_told(tmp_path):
    """Too few of too many short ones for their length to tell."""
    generator = np.random.default_rng(1)
    texts = [
        " ".join(generator.choice(SENTENCE.split(), size))
        for size in generator.integers(2, 6, 900)
    ]
    columns = {"text": list(texts), "label": [f"label {k}" for k in range(900)]}
    assert flags_of(tmp_path, columns) == []
    cut = {row for row in range(100, 160) if len(texts[row]) > 20}
    for row in cut:
        columns["text"][row] = texts[row][:20]
    found = {
        row for flag, row in flags_of(tmp_path, columns) if flag == "text_cut"
    }
    assert found <= cut
    assert len(found) > len(cut) / 3


@pytest.mark.parametrize(("count", "told"), [(2, [0, 1]), (5, [])])
def test_the_name_of_the_file_stands_for_a_text(tmp_path, count, told):
    """Of some rows; where it is that of many, it is meant to be."""
    names = [f"vm-goodbye-{k}" for k in range(38)] + ["goodbye", "hello"]
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, 8000)
        soundfile.write(tmp_path / f"{name}.wav", noise, 16000)
    texts = [
        name
        if number < count or name in ("goodbye", "hello")
        else f"words {number}"
        for number, name in enumerate(names)
    ]
    columns = {"audio": [f"{name}.wav" for name in names], "text": texts}
    assert flags_of(tmp_path, columns) == [
        ("text_placeholder", row) for row in told
    ]


def test_words_without_spaces_were_not_cut(tmp_path):
    nouns = [chr(0x4E00 + k) + chr(0x5E00 + k) for k in range(40)]
    texts = [*nouns, *(f"{noun}很漂亮" for noun in nouns)]
    columns = {"text": texts, "label": [f"label {k}" for k in range(80)]}
    assert flags_of(tmp_path, columns) == []


def test_texts_of_one_template_were_not_cut(tmp_path):
    generator = np.random.default_rng(1)
    texts = [
        " ".join(generator.choice(SENTENCE.split(), size))
        for size in generator.integers(2, 14, 600)
    ]
    texts += [f"photo {k:04d} of the garden, summer" for k in range(60)]
    columns = {"text": texts, "label": [f"label {k}" for k in range(660)]}
    assert flags_of(tmp_path, columns) == []
    columns = {
        "text": [f"a photo of thing {k:04d}" for k in range(400)],
        "label": [f"label {k}" for k in range(400)],
    }
    assert flags_of(tmp_path, columns) == []


def shared_texts(*changes):
    """Three images of each of thirty things, with two texts each."""
    texts = [[f"thing {k // 3}", "a thing"] for k in range(90)]
    for row, text in changes:
        texts[row] = [text, "a thing"]
    return {
        "image": [f"{row}.png" for row in range(90)] * 2,
        "text": texts * 2,
        "group": [f"group {k // 3}" for k in range(90)] * 2,
    }


def found_by(flag, columns, tmp_path):
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    findings = scan_and_flag(manifest, tmp_path, workers=1).findings
    return [finding.row for finding in findings if finding.flag == flag]


def test_a_text_of_another_group_is_told(tmp_path):
    columns = shared_texts()
    assert found_by("text_group", columns, tmp_path) == []
    columns["text"] = [*columns["text"]]
    columns["text"][7] = ["thing 20", "a thing"]
    assert found_by("text_group", columns, tmp_path) == [7]


def test_texts_of_several_groups_are_of_none(tmp_path):
    columns = shared_texts()
    columns["text"] = [f"a thing of form {k % 4}" for k in range(180)]
    assert found_by("text_group", columns, tmp_path) == []
