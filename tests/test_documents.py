"""README and docs: their code runs, their links and words hold.

A block of Python that cannot run in a test has a comment on the line before it,
`<!-- not run: reason -->`; `NOT_RUN` lists all of them.
"""

import re
import runpy
from pathlib import Path
from typing import NamedTuple

import keras
import pytest

pytestmark = pytest.mark.one_backend

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
# README comes first: `test_readme.py` runs its code on every backend.
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "examples" / "README.md",
    ROOT / "examples" / "preset_package" / "README.md",
    ROOT / "keras_imp" / "data" / "playground" / "files" / "README.md",
    ROOT / "keras_imp" / "data" / "playground" / "written" / "README.md",
    *PAGES,
]
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n+)?"
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
NOT_RUN: dict[str, list[str]] = {}

# What a new reader would not understand at once, and the field's word for it.
WORDS = {
    r"pictures?": "image, plot, diagram",
    r"sounds?": "audio",
    # CLIP is a model.
    r"(?-i:[Cc]lips?)": "video; clipped",
    r"(?<!standard )deviations?": "standard deviation",
    r"(?:go|goes|going|went) on": "resume, continue",
    r"shares? (?:of|that)|(?:the|its|their|equal|own) shares?": "fraction",
    r"errands?": "deferred reduction",
    r"moments": "optimizer state",
    r"twins?": "dense counterpart",
    r"(?:experts|tokens) (?:that )?choose": "expert choice, token choice",
    r"hides?": "mask",
    r"decks?|dealt|stand-ins?": "plain description",
    r"runs before|earlier runs|used to be|no longer": "the present state",
    r"imp\.md|performance notes|architecture\.md|learning\.md": "docs/...",
    # American spelling.
    r"colou?rs?(?<!colors)(?<!color)": "color",
    r"behaviours?|neighbou?rs?(?<!neighbors)(?<!neighbor)": "behavior",
    r"licences?|centres?|grey|favours?|labelled|modelling": "American",
    r"\w*(?:malis|timis|ialis|alys|eralis|oris)(?:es?|ed|ing|ation)": "-ize",
}
ONLY_IN_METHOD = r"first implementation"


class Block(NamedTuple):
    """A fenced block: where its code starts, and what it holds."""

    line: int
    language: str
    code: str
    reason: str | None


def blocks(path: Path) -> list[Block]:
    text = path.read_text("utf-8")
    return [
        Block(
            text.count("\n", 0, match.start("code")) + 1,
            match["language"],
            match["code"],
            match["reason"],
        )
        for match in FENCE.finditer(text)
    ]


def prose(path: Path) -> str:
    """The text without code and addresses, on one line per paragraph."""
    text = FENCE.sub("", path.read_text("utf-8"))
    text = re.sub(r"`[^`]*`", "`code`", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"[ \t]*\n(?!\n)[ \t>]*", " ", text)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def by_name(paths: list[Path]):
    return pytest.mark.parametrize("path", paths, ids=name_of)


def run_document(path: Path) -> None:
    """Run all blocks of a document in one namespace, in order."""
    namespace = {"__name__": "document"}
    for block in blocks(path):
        if block.language != "python" or block.reason:
            continue
        # Line numbers of errors are those of the document.
        source = "\n" * (block.line - 1) + block.code
        exec(compile(source, str(path), "exec"), namespace)


@by_name([path for path in DOCUMENTS[1:] if "```python" in path.read_text()])
def test_the_code_of_a_document_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    run_document(path)


def test_an_error_points_at_the_line_of_the_document(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(
        "# Page\n\n```python\nx = 1\n```\n\n```python\n\nx / 0\n```\n"
    )
    with pytest.raises(ZeroDivisionError) as error:
        run_document(path)
    assert error.traceback[-1].path == path
    assert error.traceback[-1].lineno + 1 == 9


def test_every_block_that_is_not_run_is_listed():
    found = {
        name_of(path): [b.reason for b in blocks(path) if b.reason]
        for path in DOCUMENTS
    }
    assert {name: reasons for name, reasons in found.items() if reasons} == (
        NOT_RUN
    )


def test_every_fence_is_closed_and_known():
    for path in DOCUMENTS:
        fences = re.findall(r"^\s*```", path.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(path)), name_of(path)
        languages = {block.language for block in blocks(path)}
        assert languages <= {"", "python", "toml"}, name_of(path)


def anchors(path: Path) -> set[str]:
    """Anchors of the headings, by GitHub's rule."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@by_name(DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_readme_or_the_index():
    text = (ROOT / "README.md").read_text() + "".join(
        line.replace("](", "](docs/")
        for line in (ROOT / "docs" / "README.md").open()
    )
    for page in PAGES:
        assert f"]({name_of(page)}" in text, name_of(page)


@by_name(DOCUMENTS)
def test_a_document_names_files_that_are_there(path):
    names = re.findall(
        r"(?<![\w/.-])((?:keras_imp|benchmarks|docs|examples|scripts|tests"
        r"|\.ci)/[\w./<>*-]*[\w/>])",
        path.read_text("utf-8"),
    )
    for name in names:
        if "." not in name and not name.endswith("/"):
            continue  # Such as examples/s.
        pattern = re.sub(r"<\w+>", "*", name)
        assert list(ROOT.glob(pattern)), name


@by_name(DOCUMENTS)
def test_commands_of_a_document_have_the_options_that_they_give(path):
    text = path.read_text("utf-8").replace("\\\n", " ")
    commands = re.findall(r"(?:python (\S+\.py)|(keras-imp) )([^`\n]*)", text)
    for script, _, arguments in commands:
        folder = ROOT / (Path(script).parent if script else "keras_imp/cli")
        known = "".join(file.read_text() for file in folder.glob("*.py"))
        for option in re.findall(r"--[a-z][\w-]*", arguments):
            spelled = (option, option[2:].replace("-", "_") + ":")
            assert any(s in known for s in spelled), f"{script} {option}"


@by_name(DOCUMENTS)
def test_a_document_uses_the_words_of_the_field(path):
    text = prose(path)
    wrong = [
        f"{match[0]!r}: {instead} (...{text[match.start() - 40 : match.end()]})"
        for pattern, instead in WORDS.items()
        for match in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_page_on_the_method_speaks_of_the_first_implementation():
    for path in DOCUMENTS:
        if path != ROOT / "docs" / "method.md":
            assert not re.search(ONLY_IN_METHOD, prose(path)), name_of(path)


@pytest.mark.parametrize(
    ("name", "most"), [("README.md", 130), ("CONTRIBUTING.md", 80)]
)
def test_the_first_documents_are_short(name, most):
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= most


def test_the_diagram_of_the_readme_can_be_drawn_again(tmp_path, monkeypatch):
    path = tmp_path / "diagram.png"
    monkeypatch.setattr("sys.argv", ["draw", "--out", str(path)])
    runpy.run_path(
        str(ROOT / "scripts" / "draw_readme_picture.py"), run_name="__main__"
    )
    assert path.read_bytes().startswith(b"\x89PNG")
