"""Text that any file and any terminal can take."""


def printable(text: str) -> str:
    r"""A text without what UTF-8 cannot hold.

    Args:
        text: The text. Half of a character, as of a label that was cut, is
            shown by its number.

    Returns:
        The text.

    Example:
        >>> from keras_imp._printable import printable
        >>> print(printable("cut \ud83d"))
        cut \ud83d
    """
    return text.encode("utf-8", "backslashreplace").decode()
