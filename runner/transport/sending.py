"""The bytes of a request that shows files: read from the disk while they are sent, so that none is held in memory.

What is sent must be what the key says: a file that no longer holds it stops the request before its last byte.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import orjson

from runner.core.frozen import dataclass
from runner.core.media import Medium
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request

# A multiple of three, so that the pieces of a file in base64 are one text.
CHUNK_BYTES: Final = 3 * 256 * 1024
# Smaller bodies are held in memory, for the client that is quick with many of them.
HELD_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file that is sent in base64."""

    medium: Medium


Piece: TypeAlias = bytes | Encoded


@dataclass(frozen=True, slots=True)
class Streamed:
    """A body that is too large to be held, made anew each time that it is read."""

    pieces: tuple[Piece, ...]

    @property
    def length(self) -> int:
        return length_of(self.pieces)

    def read(self) -> AsyncIterator[bytes]:
        return stream(self.pieces)


async def body_of(request: Request, references: Mapping[int, str]) -> bytes | Streamed:
    """The body of a request with files: whole where it is small, else read from the disk while it is sent."""
    pieces = tuple(pieces_of(request, references))
    if length_of(pieces) > HELD_BYTES:
        return Streamed(pieces)
    return b"".join([part async for part in stream(pieces)])


def pieces_of(request: Request, references: Mapping[int, str]) -> list[Piece]:
    """The body in pieces; `references` are the provider's names of uploaded files, by the number of the attachment.

    Raises CallFailed for a text that is no longer what it was.
    """
    pieces: list[Piece] = []
    body, start = bytes(request.body), 0
    for number, one in enumerate(request.attachments):
        at = body.index(one.mark, start)
        pieces.append(body[start:at])
        if number in references and one.uploaded is not None:
            before, after = one.uploaded
            pieces.append(before + orjson.dumps(references[number])[1:-1] + after)
        else:
            before, after = one.inline
            pieces += [before, _text(one.medium) if one.is_text else Encoded(one.medium), after]
        start = at + len(one.mark)
    return [*pieces, body[start:]]


def length_of(pieces: Sequence[Piece]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else encoded_length(piece.medium) for piece in pieces)


def encoded_length(medium: Medium) -> int:
    """In base64."""
    return -(-medium.size // 3) * 4


async def stream(pieces: Sequence[Piece]) -> AsyncIterator[bytes]:
    """The body as it goes on the wire. Raises CallFailed in the middle for a file that has changed."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        async for chunk in read_checked(piece.medium, CHUNK_BYTES):
            yield base64.b64encode(chunk)


async def read_checked(medium: Medium, size: int) -> AsyncIterator[bytes]:
    """A file in pieces of `size` bytes. The last one is given only when the whole holds what the key says."""
    sha = hashlib.sha256()
    try:
        with await asyncio.to_thread(open, medium.path, "rb") as file:
            chunk = b""
            while following := await _read(file, size):
                if chunk:
                    yield chunk
                sha.update(following)
                chunk = following
            if sha.hexdigest() != medium.sha256:
                raise _changed(medium)
            yield chunk
    except OSError as error:
        raise _unreadable(medium, error) from None


def encode_now(medium: Medium) -> Iterator[bytes]:
    """A file in base64, piece by piece, read at once. Raises CallFailed at its end for one that has changed."""
    sha = hashlib.sha256()
    try:
        with Path(medium.path).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                sha.update(chunk)
                yield base64.b64encode(chunk)
    except OSError as error:
        raise _unreadable(medium, error) from None
    if sha.hexdigest() != medium.sha256:
        raise _changed(medium)


async def _read(file: BinaryIO, size: int) -> bytes:
    return await asyncio.to_thread(file.read, size)


def _text(medium: Medium) -> bytes:
    """The characters of a JSON string that holds the text."""
    try:
        data = Path(medium.path).read_bytes()
    except OSError as error:
        raise _unreadable(medium, error) from None
    if hashlib.sha256(data).hexdigest() != medium.sha256:
        raise _changed(medium)
    return orjson.dumps(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))[1:-1]


def _changed(medium: Medium) -> CallFailed:
    text = f"{medium.shown} has changed while the run went on; run it again"
    return CallFailed(Failure(FailureKind.RENDER, text), requests=0)


def _unreadable(medium: Medium, error: OSError) -> CallFailed:
    text = f"{medium.shown} cannot be read: {(error.strerror or str(error)).lower()}"
    return CallFailed(Failure(FailureKind.RENDER, text), requests=0)
