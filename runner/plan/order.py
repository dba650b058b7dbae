"""The order of JSON values, as bytes that compare as the values do."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from runner.core.canonical import Json, canonical
from runner.core.derivation import DESCENDING

_END = b"\x00\x00"
_FLIPPED = bytes(255 - byte for byte in range(256))
_HALF, _WHOLE = 2**63, 2**64


def key_of(row: Json, fields: Iterable[str]) -> bytes:
    """What a row is sorted by: first null and what is not there, then false, true, numbers, texts, and all else as JSON.

    A field with `-` before it is sorted by backwards.
    """
    found = b""
    for name in fields:
        plain = name.removeprefix(DESCENDING)
        value = row.get(plain) if isinstance(row, dict) else None
        key = key_of_value(value)
        found += key.translate(_FLIPPED) if plain != name else key
    return found


def key_of_value(value: Json) -> bytes:
    """No key of a value is the beginning of another one's."""
    match value:
        case None:
            return b"\x00"
        case bool():
            return b"\x02" if value else b"\x01"
        case int() | float():
            return b"\x03" + _number(value)
        case str():
            return b"\x04" + value.encode("utf-8", "surrogatepass").replace(b"\x00", b"\x00\xff") + _END
        case _:
            return b"\x05" + canonical(value).replace(b"\x00", b"\x00\xff") + _END


def _number(value: float) -> bytes:
    """The nearest float, and how far an integer is from it."""
    try:
        near = float(value)
    except OverflowError:
        near = float("inf") if value > 0 else float("-inf")
    (bits,) = struct.unpack(">Q", struct.pack(">d", near + 0.0))
    ordered = _WHOLE - 1 - bits if bits >= _HALF else bits + _HALF
    far = int(value) - int(near) if isinstance(value, int) and abs(near) != float("inf") else 0
    return struct.pack(">QQ", ordered, min(max(far, -_HALF), _HALF - 1) + _HALF)
