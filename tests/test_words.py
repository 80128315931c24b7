"""Docstrings, comments and messages use the words that the documents use."""

import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.test_documents import ROOT, WORDS

pytestmark = pytest.mark.one_backend

CODE = sorted((ROOT / "keras_imp").rglob("*.py"))
EVERYWHERE = [
    *CODE,
    *(
        path
        for folder in ("tests", "benchmarks", "examples", "scripts")
        for path in (ROOT / folder).rglob("*.py")
    ),
]
# Words of the code that are no words of prose: the bundled data has a part
# `sounds` and one of `clips`, values are clipped, AdamW has two moments, and
# prompts are what people write below their images.
PROMPTS = "evaluation/prompts.py"
NAMES = {
    r"sounds?": (
        "data/playground/",
        "evaluation/playground/",
        "sources.py",
        PROMPTS,
    ),
    r"(?-i:[Cc]lips?)": (
        "data/playground/",
        "evaluation/playground/",
        "optimizers/",
        PROMPTS,
    ),
    r"moments": ("optimizers/adamw.py",),
}


def prose_of(path: Path) -> str:
    """Comments and strings that are sentences, without code and examples."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    kinds = (
        tokenize.COMMENT,
        tokenize.STRING,
        # Of Python 3.12; before, an f-string is one string.
        getattr(tokenize, "FSTRING_MIDDLE", -1),
    )
    texts = [
        token.string
        for token in tokens
        if token.type in kinds and " " in token.string
    ]
    text = "\n".join(texts)
    text = re.sub(r"^ *(>>>|\.\.\.).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "`code`", text)


def test_the_code_uses_the_words_of_the_field():
    wrong = []
    for path in CODE:
        name = str(path.relative_to(ROOT))
        text = prose_of(path)
        for pattern, instead in WORDS.items():
            if any(part in name for part in NAMES.get(pattern, ())):
                continue
            wrong += [
                f"{name}: {match[0]!r}: {instead} "
                f"(...{text[max(0, match.start() - 40) : match.end()]})"
                for match in re.finditer(rf"\b(?:{pattern})\b", text, re.I)
            ]
    assert not wrong, "\n".join(wrong)


def test_no_code_names_a_document_that_is_not_there():
    known = {path.name for path in ROOT.rglob("*.md")} | {"page.md"}
    named = {
        (str(path.relative_to(ROOT)), name)
        for path in EVERYWHERE
        for name in re.findall(r"\b[\w-]+\.md\b", prose_of(path))
    }
    assert {(path, name) for path, name in named if name not in known} == set()
