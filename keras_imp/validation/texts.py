"""What is told of a text: how long it is, its script, whether it is garbled."""

import functools
import hashlib
import html
import re
import unicodedata
from collections import Counter
from typing import Any

from keras_imp.data.reading.aliases import MEDIA, SUFFIXES

# Letters that are looked at, enough for any caption.
_MOST = 2000
# Languages that mix scripts: Japanese is written in all three.
_SAME_SCRIPT = {"CJK": "HAN", "HIRAGANA": "HAN", "KATAKANA": "HAN"}
NO_LETTERS = "no letters"
# UTF-8 that was read as Windows-1252: its first byte shows as one of these,
# with or without what follows it.
_GARBLED = re.compile("Ã[\u0080-\u00bf\u0152-\u2122]|Â[\u00a0-\u00bf]|â€")
# What decoders put in the place of bytes that they do not know, and control
# characters that no text has.
_LOST = re.compile("[\ufffd\u0080-\u009f]")
_NOT_ASCII = re.compile("[^\x00-\x7f]{4,}")
# A program that knows few letters writes question marks for all others.
_MANY = 3
# A list of texts that a program wrote as one text.
_LIST = re.compile(r"""\[\s*['"].*['"],?\s*\]""", re.DOTALL)
# Markup of web pages: an entity, or the tag of an element.
_ENTITY = re.compile(r"&#?\w+;")
_TAG = re.compile(
    r"</?(a|b|br|div|em|font|i|img|li|p|span|strong|u)(\s+[\w-]+=[^<>]*)?\s*/?>",
    re.IGNORECASE,
)
_ENDINGS = "|".join(suffix[1:] for kind in MEDIA for suffix in SUFFIXES[kind])
# What is written where there is nothing to be said yet.
_PLACEHOLDER = re.compile(
    r"[-.]+|#(n/a|name\?|null!|ref!|value!)|<na>"
    r"|\(?(n/a|nan|null|undefined|not available)\)?|\((none|nil|blank)\)"
    r"|tba|tbd|to ?do(:.*)?|xxx+|lorem ipsum"
    r"|no (caption|description|text|title)"
    # What a program or a person writes who could not tell.
    r"|[\[(<](inaudible|unintelligible|unclear|crosstalk|noise|music|silence"
    r"|no speech|unknown|redacted|missing|deleted|removed)[\])>]"
    # The name of a file.
    rf"|[\w-]+\.({_ENDINGS})",
    re.IGNORECASE,
)


def features_of_text(texts: tuple[str, ...]) -> dict[str, Any]:
    """What is told of the captions of a row.

    Args:
        texts: The captions, at least one.

    Returns:
        Features by name; words and characters are those of the longest one,
        capitals a percentage of all letters.

    Example:
        >>> from keras_imp.validation.texts import features_of_text
        >>> features_of_text(("a heart", "red"))
        {'text_words': 2, 'text_characters': 7, 'text_capitals': 0.0, \
'text_script': 'LATIN'}
    """
    whole = "".join(texts)
    letters = _letters(whole)
    capitals = sum(map(str.isupper, letters))
    return {
        "text_words": max(len(text.split()) for text in texts),
        "text_characters": max(map(len, texts)),
        "text_capitals": round(100 * capitals / max(1, len(letters)), 1),
        "text_script": script_of(whole),
    }


def script_of(text: str) -> str:
    """The script that most letters of a text are of.

    Args:
        text: The text.

    Returns:
        The first word of Unicode's names of its letters; Han characters and
        kana are one.

    Example:
        >>> from keras_imp.validation.texts import script_of
        >>> script_of("a heart"), script_of("心"), script_of("7")
        ('LATIN', 'HAN', 'no letters')
    """
    letters = _letters(text)
    if not letters:
        return NO_LETTERS
    return Counter(map(_script, letters)).most_common(1)[0][0]


def is_garbled(text: str) -> bool:
    """Whether a text was decoded with another encoding than its own.

    Args:
        text: The text.

    Returns:
        True if characters were lost, or are question marks only, or the text
        is UTF-8 that was read as Windows-1252, Latin-1 or Windows-1251.

    Example:
        >>> from keras_imp.validation.texts import is_garbled
        >>> is_garbled("a cafÃ©"), is_garbled("a café")
        (True, False)
    """
    if _LOST.search(text) or _GARBLED.search(text):
        return True
    if text.count("?") >= _MANY and not any(map(str.isalnum, text)):
        return True
    return any(_is_utf8(run) for run in _NOT_ASCII.findall(text))


def notes_of_text(text: str) -> list[str]:
    """What is odd about a text, whatever other texts are like.

    Args:
        text: The text.

    Returns:
        Flags.

    Example:
        >>> from keras_imp.validation.texts import notes_of_text
        >>> notes_of_text("Salt &amp; pepper"), notes_of_text("N/A")
        (['text_markup'], ['text_placeholder'])
    """
    found = {
        "text_encoding": is_garbled(text),
        "text_markup": _has_markup(text),
        "text_placeholder": _PLACEHOLDER.fullmatch(text.strip()),
    }
    return [flag for flag, has_it in found.items() if has_it]


def is_name_of(text: str, file: str) -> bool:
    """Whether a text is the name of a file, and no words.

    Args:
        text: The text.
        file: The file, with or without folders.

    Returns:
        True if it is the name without its ending, with letters and a digit, a
        hyphen or an underscore.

    Example:
        >>> from keras_imp.validation.texts import is_name_of
        >>> is_name_of("vm-goodbye", "en/vm-goodbye.wav")
        True
        >>> is_name_of("goodbye", "en/goodbye.wav")
        False
    """
    stem = re.split(r"[/\\]", file)[-1].rpartition(".")[0]
    is_no_word = re.search(r"[\d_-]", stem) and re.search(r"[^\W\d_]", stem)
    return text.strip() == stem and bool(is_no_word)


def hash_of_text(text: str) -> str:
    """A hash of a text, whatever its case, spaces and last stop.

    Args:
        text: The text.

    Returns:
        Hexadecimal digits.

    Example:
        >>> from keras_imp.validation.texts import hash_of_text
        >>> hash_of_text("A heart.") == hash_of_text(" a  heart")
        True
    """
    plain = " ".join(text.casefold().split()).rstrip(" .!")
    data = plain.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _has_markup(text: str) -> bool:
    entities = _ENTITY.findall(text)
    is_known = any(html.unescape(entity) != entity for entity in entities)
    is_list = _LIST.fullmatch(text.strip())
    return bool(is_known or _TAG.search(text) or is_list)


def _letters(text: str) -> list[str]:
    """The letters at the start of a text, enough for any caption."""
    return [letter for letter in text[:_MOST] if letter.isalpha()]


@functools.lru_cache(4096)
def _script(letter: str) -> str:
    name = unicodedata.name(letter, NO_LETTERS).split()[0]
    return _SAME_SCRIPT.get(name, name)


def _is_utf8(run: str) -> bool:
    """Whether characters, as bytes of another encoding, are valid UTF-8."""
    for encoding in ("cp1252", "cp1251"):
        try:
            run.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        return True
    return False
