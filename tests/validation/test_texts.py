import pytest

from keras_imp.validation.texts import is_garbled, script_of

pytestmark = pytest.mark.one_backend
TEXTS = (
    "café – naïve",
    "“quoted” text…",
    "Все линии заняты",
    "所有线路都忙",
    "über den Öltank",
    "ação, coração",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_a_wrong_encoding_is_told(text, encoding):
    wrong = text.encode().decode(encoding, "replace")
    assert is_garbled(wrong)


@pytest.mark.parametrize("text", [*TEXTS, "CAFÉ”", "a heart", "🙂 ok", ""])
def test_a_right_encoding_is_not(text):
    assert not is_garbled(text)


def test_scripts_have_the_names_of_unicode():
    assert script_of("Все линии OK") == "CYRILLIC"
    assert script_of("ひらがなと漢字") == "HAN"
    assert script_of("12:30!") == "no letters"
