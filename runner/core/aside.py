"""Room for what a run needs again before its end: pieces of bytes, and tables by key. Where it lies is not said here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Protocol

import orjson

from runner.core.canonical import Json


class Pieces(Protocol):
    """Bytes that are put aside piece by piece, and taken again by their place."""

    def put(self, data: bytes) -> int:
        """The place of the piece. Raises StorageError."""
        ...

    def get(self, place: int, size: int) -> bytes: ...


class Table(Protocol):
    """Short texts by key. Raises StorageError."""

    def get(self, key: str, /) -> str | None: ...

    def __setitem__(self, key: str, value: str, /) -> None: ...

    def keys(self) -> Iterable[str]: ...


class Aside(Protocol):
    """Where things are put aside. Nothing of it outlives the process."""

    def pieces(self) -> Pieces: ...

    def table(self) -> Table: ...


class PiecesInMemory:
    """One piece after the other in one array of bytes."""

    def __init__(self) -> None:
        self._data = bytearray()

    def put(self, data: bytes) -> int:
        place = len(self._data)
        self._data += data
        return place

    def get(self, place: int, size: int) -> bytes:
        return bytes(self._data[place : place + size])


class InMemory:
    """Fills the port for what is known to be small."""

    def pieces(self) -> Pieces:
        return PiecesInMemory()

    def table(self) -> Table:
        return {}


def pack(value: Json) -> bytes:
    """A value as JSON, which NaN is not. What orjson cannot say exactly (half characters, very large integers) begins with a blank."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return b" " + json.dumps(value).encode("ascii")


def pack_list(packed: Sequence[bytes]) -> bytes:
    """Packed values as one packed list."""
    blank = b" " if any(one.startswith(b" ") for one in packed) else b""
    return blank + b"[" + b",".join(packed) + b"]"


def pack_lists(packed: Iterable[Sequence[bytes]]) -> bytes:
    """Packed lists as one packed list, put together at once: what is in them may be large."""
    parts: list[bytes] = []
    for one in packed:
        parts.append(b",[" if parts else b"[")
        for number, value in enumerate(one):
            parts += (b",", value) if number else (value,)
        parts.append(b"]")
    blank = b" " if any(part.startswith(b" ") for part in parts) else b""
    return b"".join((blank, b"[", *parts, b"]"))


def unpack(data: bytes) -> Json:
    return json.loads(data) if data.startswith(b" ") else orjson.loads(data)
