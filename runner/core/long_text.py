"""Texts of megabytes, and the bodies that hold them: kept as the pieces that they are put together from.

A prompt as long as a book stands in memory once, where it was read. What is made of it (the rendered text, the body
of the request, its key) is walked piece by piece, and never put together as a whole.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import orjson

from runner.core.canonical import Json
from runner.core.frozen import dataclass

LONG: Final = 1 << 20
"""Characters from which on a text stays in pieces: below, a copy costs less than the care."""
CHUNK: Final = 1 << 16
"""Characters, or bytes, that are worked on at a time."""
_LEAST_PIECE: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a text, which is not copied."""

    text: str
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return self.text[self.start : self.end]

    def chunks(self) -> Iterator[str]:
        for start in range(self.start, self.end, CHUNK):
            yield self.text[start : min(start + CHUNK, self.end)]


Piece: TypeAlias = str | Stretch


@dataclass(frozen=True, slots=True)
class LongText:
    """A text in pieces; its length is that of all of them."""

    pieces: tuple[Stretch, ...]

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def __str__(self) -> str:
        return "".join(self.chunks())

    def chunks(self) -> Iterator[str]:
        """The text, a little at a time."""
        for piece in self.pieces:
            yield from piece.chunks()


Text: TypeAlias = str | LongText


def join_texts(pieces: Iterable[Piece]) -> Text:
    """One text of many pieces: a long one stays in pieces, of which none is small."""
    made = list(pieces)
    if sum(map(len, made)) < LONG:
        return "".join(map(str, made))
    found: list[Stretch] = []
    small: list[str] = []
    for piece in made:
        if len(piece) < _LEAST_PIECE:
            small.append(str(piece))
            continue
        found += _joined(small)
        small.clear()
        found.append(piece if isinstance(piece, Stretch) else Stretch(piece, 0, len(piece)))
    return LongText((*found, *_joined(small)))


def _joined(small: Sequence[str]) -> list[Stretch]:
    text = "".join(small)
    return [Stretch(text, 0, len(text))] if text else []


def chunks_of_text(text: Text) -> Iterable[str]:
    """Any text a little at a time; a short one at once."""
    if isinstance(text, LongText):
        return text.chunks()
    return (text,) if len(text) <= CHUNK else Stretch(text, 0, len(text)).chunks()


def size_of(text: Text) -> int:
    """Bytes in UTF-8."""
    if isinstance(text, str) and text.isascii():
        return len(text)
    return sum(len(chunk.encode()) for chunk in chunks_of_text(text))


class LongBody(ABC):
    """Bytes that are made anew each time that they are read, as a whole (`bytes(…)`) or in chunks."""

    __slots__ = ("_size",)

    def __init__(self, size: int = -1) -> None:
        self._size = size

    @abstractmethod
    def chunks(self) -> Iterator[bytes]: ...

    def __len__(self) -> int:
        if self._size < 0:
            self._size = sum(map(len, self.chunks()))
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.chunks())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, bytes | LongBody):
            return NotImplemented
        return len(self) == len(other) and _digest(self) == _digest(other)

    def __hash__(self) -> int:
        return hash(_digest(self))


Body: TypeAlias = bytes | LongBody


def chunks_of(body: Body) -> Iterable[bytes | memoryview]:
    """A body in the chunks that it is sent, hashed or packed in."""
    if isinstance(body, LongBody):
        return body.chunks()
    if len(body) <= CHUNK:
        return (body,)
    whole = memoryview(body)
    return (whole[start : start + CHUNK] for start in range(0, len(body), CHUNK))


def _digest(body: Body) -> bytes:
    sha = hashlib.sha256()
    for chunk in chunks_of(body):
        sha.update(chunk)
    return sha.digest()


class SpelledBody(LongBody):
    """JSON with long texts in it."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[bytes | LongText, ...]) -> None:
        super().__init__()
        self._parts = parts

    def chunks(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                for chunk in part.chunks():
                    yield orjson.dumps(chunk)[1:-1]

    def opened_with(self, begin: bytes) -> SpelledBody:
        """The same with other bytes in place of its first one."""
        first, *others = self._parts
        assert isinstance(first, bytes)
        return SpelledBody((begin + first[1:], *others))


# What stands for a long text while the rest is spelt: nobody can write it, as nobody knows it.
_MARK: Final = os.urandom(16).hex()


def spell(value: Json) -> Body:
    """The bytes of `ordered`, for a value that may hold long texts, too."""
    texts: list[LongText] = []

    def stand_in(one: object) -> str:
        if not isinstance(one, LongText):
            raise TypeError(f"{type(one).__name__} is no JSON value")
        texts.append(one)
        return f"{_MARK}{len(texts) - 1}"

    data = orjson.dumps(value, default=stand_in, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    if not texts:
        return data
    parts: list[bytes | LongText] = []
    for number, text in enumerate(texts):
        before, _, data = data.partition(b'"%s%d"' % (_MARK.encode(), number))
        parts += [before + b'"', text]
        data = b'"' + data
    return SpelledBody((*parts, data))
