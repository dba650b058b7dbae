"""JSON to bytes in a fixed order, refusing what JSON cannot say; digests."""

from __future__ import annotations

import hashlib
import math
from typing import Any, TypeAlias

import orjson

# A JSON value. Its shape is known through schemas, not through Python's types, so it stays Any.
Json: TypeAlias = Any

MAX_DEPTH = 64
_AT_ONCE = 1 << 16  # characters
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1


class NotJson(ValueError):
    """A value that has no one JSON spelling; `pointer` says where it stands."""

    def __init__(self, pointer: str, reason: str) -> None:
        self.pointer = pointer
        self.reason = reason
        super().__init__(f"{pointer or '(root)'}: {reason}")


def ensure_json(value: Json, *, max_depth: int = MAX_DEPTH, pointer: str = "") -> None:
    """Refuse NaN, infinity, text keys that are no text, too large integers, lone surrogates and deep nesting.

    Raises NotJson with the JSON pointer of the first offender. orjson would turn NaN into null, so that two
    different requests would share one key.
    """
    if max_depth < 0:
        raise NotJson(pointer, "nested too deeply")
    match value:
        case None | bool():
            return
        case str():
            _ensure_text(value, pointer)
        case int():
            if not _MIN_INT <= value <= _MAX_INT:
                raise NotJson(pointer, "an integer beyond 64 bits")
        case float():
            if not math.isfinite(value):
                raise NotJson(pointer, f"{value} is not a JSON number")
        case dict():
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise NotJson(pointer, f"key {key!r} is not text")
                _ensure_text(key, pointer)
                ensure_json(inner, max_depth=max_depth - 1, pointer=f"{pointer}/{escape_pointer(key)}")
        case list() | tuple():
            for index, inner in enumerate(value):
                ensure_json(inner, max_depth=max_depth - 1, pointer=f"{pointer}/{index}")
        case _:
            raise NotJson(pointer, f"a {type(value).__name__} is not a JSON value")


def _ensure_text(text: str, pointer: str) -> None:
    if text.isascii():  # known without a look at it, and without a copy in UTF-8
        return
    try:
        for start in range(0, len(text), _AT_ONCE):
            text[start : start + _AT_ONCE].encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson(pointer, "text with half a character (a lone surrogate)") from None


def escape_pointer(key: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def canonical(value: Json) -> bytes:
    """Bytes that are equal for equal values: keys sorted by code point, no blanks, UTF-8.

    The value must have passed `ensure_json`. This is not RFC 8785: numbers keep orjson's spelling.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def ordered(value: Json) -> bytes:
    """Bytes that keep the author's order of keys: what goes on the wire."""
    return orjson.dumps(value)


def digest(data: bytes | str) -> str:
    """SHA-256 in hex."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    sha = hashlib.sha256()
    for start in range(0, len(data), _AT_ONCE):  # no copy of a long text
        sha.update(data[start : start + _AT_ONCE].encode("utf-8", "surrogatepass"))
    return sha.hexdigest()


def digest_of(value: Json) -> str:
    """SHA-256 in hex of a JSON value's canonical bytes."""
    return digest(canonical(value))
