"""As much of the wire format of protocol buffers as examples need.

https://protobuf.dev/programming-guides/encoding
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Span(NamedTuple):
    """A range of bytes in a file.

    Attributes:
        start: Its first byte.
        end: After its last byte.
    """

    start: int
    end: int


# A number, bytes of four or eight, or a range of bytes.
Value = int | bytes | Span


def fields(data: Any, span: Span) -> Iterator[tuple[int, Any]]:
    r"""The fields of a message.

    Args:
        data: Bytes, or what is indexed as they are.
        span: Where the message is.

    Yields:
        The number of a field and its value: a number, the bytes of a number
        of fixed size, or the range of what has a length.

    Raises:
        ValueError: If it is no message.
        IndexError: If it ends too early.

    Example:
        >>> from keras_imp.data.reading.protobuf import Span, fields
        >>> list(fields(b"\x08\x96\x01\x12\x01a", Span(0, 6)))
        [(1, 150), (2, Span(start=5, end=6))]
    """
    at = span.start
    while at < span.end:
        key, at = _number(data, at, span.end)
        kind = key & 7
        if kind == 0:
            value, at = _number(data, at, span.end)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _number(data, at, span.end)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"There is no wire type {kind}.")
        if at + size > span.end:
            raise IndexError("A field ends after its message.")
        inner = Span(at, at + size)
        yield key >> 3, inner if kind == 2 else bytes(data[at : at + size])
        at += size


def messages(data: Any, span: Span, number: int) -> Iterator[Span]:
    r"""The fields of one number in a message, all of them with a length.

    Args:
        data: Bytes, or what is indexed as they are.
        span: Where the message is.
        number: The number of the fields.

    Yields:
        Where each of them is.

    Raises:
        ValueError: If one has no length, or it is no message.
        IndexError: If it ends too early.

    Example:
        >>> from keras_imp.data.reading.protobuf import Span, messages
        >>> list(messages(b"\x08\x01\x12\x01a", Span(0, 5), 2))
        [Span(start=4, end=5)]
    """
    for found, value in fields(data, span):
        if found == number:
            if not isinstance(value, Span):
                raise ValueError(f"Field {number} has no length.")
            yield value


def varint(data: Any, value: Value) -> list[int]:
    r"""Integers of a field: one, or several in a range.

    Example:
        >>> from keras_imp.data.reading.protobuf import Span, varint
        >>> varint(b"\x01\x96\x01", Span(0, 3)), varint(b"", 2**64 - 1)
        ([1, 150], [-1])
    """
    if isinstance(value, int):
        return [_signed(value)]
    if isinstance(value, bytes):
        raise ValueError("Integers are no numbers of fixed size.")
    found, at = [], value.start
    while at < value.end:
        number, at = _number(data, at, value.end)
        found.append(_signed(number))
    return found


def packed(form: str) -> Callable[[Any, Value], list[float]]:
    """A function that reads numbers of fixed size.

    Args:
        form: Their format, as for `struct`.

    Returns:
        A function of the data and a field's value.
    """
    number = struct.Struct(form)

    def read(data: Any, value: Value) -> list[float]:
        if isinstance(value, int):
            raise ValueError("Numbers of fixed size are no integers.")
        if isinstance(value, Span):
            value = bytes(data[value.start : value.end])
        return [each for (each,) in number.iter_unpack(value)]

    return read


def _number(data: Any, at: int, end: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise IndexError("An integer ends after its message.")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("An integer has more than ten bytes.")


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
