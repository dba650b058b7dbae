"""What is packed in pieces: content of megabytes is neither put together nor inflated as a whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from runner.core.long_text import CHUNK, Body, LongBody, chunks_of


class Unpackable(Exception):
    """Packed bytes that do not give what they should; says why."""


def pack_in_pieces(parts: Iterable[Body]) -> Iterator[bytes]:
    """What the parts are deflated to, one after the other."""
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -15, 8)
    for part in parts:
        for chunk in chunks_of(part):
            yield squeezer.compress(chunk)
    yield squeezer.flush()


def unpack_in_pieces(packed: memoryview) -> Iterator[bytes]:
    """Raises Unpackable."""
    stream = zlib.decompressobj(-15)
    try:
        for start in range(0, len(packed), CHUNK):
            rest: bytes | memoryview = packed[start : start + CHUNK]
            while rest:
                if piece := stream.decompress(rest, CHUNK):
                    yield piece
                rest = stream.unconsumed_tail
        while piece := stream.decompress(b"", CHUNK):
            yield piece
    except zlib.error:
        raise Unpackable("it cannot be inflated") from None


class Content:
    """The content of a packed entry, inflated as it is read. Raises Unpackable where it has another size."""

    def __init__(self, packed: memoryview) -> None:
        self._pieces = unpack_in_pieces(packed)
        self._piece = memoryview(b"")

    def chunks(self, size: int) -> Iterator[memoryview]:
        """The next bytes, so many of them."""
        while size:
            if not self._piece:
                piece = next(self._pieces, None)
                if piece is None:
                    raise Unpackable("its content has another size than it says")
                self._piece = memoryview(piece)
            chunk, self._piece = self._piece[:size], self._piece[size:]
            size -= len(chunk)
            yield chunk

    def take(self, size: int) -> bytes:
        return b"".join(self.chunks(size))

    def skip(self, size: int) -> None:
        for _ in self.chunks(size):
            pass

    def end(self) -> None:
        if self._piece or next(self._pieces, None) is not None:
            raise Unpackable("its content has another size than it says")


class PackedBody(LongBody):
    """The body of an entry, inflated each time that it is read."""

    __slots__ = ("_at", "_packed")

    def __init__(self, packed: memoryview, at: int, size: int) -> None:
        super().__init__(size)
        self._packed, self._at = packed, at

    def chunks(self) -> Iterator[bytes]:
        content = Content(self._packed)
        content.skip(self._at)
        for chunk in content.chunks(self._size):
            yield bytes(chunk)
