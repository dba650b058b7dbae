"""One HTTP/1.1 answer read from the bytes of a connection. Pure: bytes in, in pieces of any size; a `Reply` out."""

from __future__ import annotations

import re
from typing import Final

from runner.transport.wire import Body, Bounds, Reply, Take, TooLarge, UnknownEncoding, is_stream

MAX_HEAD: Final = 1 << 16
MAX_LINE: Final = 4096
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\x00]*)?", re.ASCII)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_UNTIL_CLOSED: Final = -1


class BadReply(Exception):
    """What came is no answer in HTTP, or a part of one."""


class ReplyReader:
    """Reads the one answer that a connection owes.

    Errors keep as much of their body as is allowed, for their status says enough; of a good answer that is too large
    or cannot be inflated nothing is kept.
    """

    def __init__(self, bounds: Bounds, take: Take | None = None) -> None:
        self._bounds = bounds
        self._take = take
        self._buffer = b""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: Body | None = None
        self._left = 0
        """How much of the body, or of the chunk that it comes in, is still to come."""
        self._chunks: _Chunks | None = None
        self.may_be_reused = False
        """Whether the connection may carry another request, once the answer is there."""

    @property
    def is_begun(self) -> bool:
        """Whether the head of the answer is there."""
        return self._body is not None

    def feed(self, data: bytes) -> Reply | None:
        """Take what has come; the answer, once it is whole.

        Raises BadReply, for a good answer TooLarge and UnknownEncoding, and what `take` raises.
        """
        if self._body is None:
            data = self._read_head(self._buffer + data if self._buffer else data)
            if self._body is None:
                return None
        try:
            return self._feed_body(self._body, data)
        except (TooLarge, UnknownEncoding):
            self.may_be_reused = False
            if self._status == 200:
                raise
            return self._reply(self._body)

    def end(self) -> Reply:
        """The other side has hung up. Raises BadReply when something is missing."""
        self.may_be_reused = False
        if self._body is None or self._left != _UNTIL_CLOSED:
            raise BadReply
        return self._reply(self._body)

    # Head

    def _read_head(self, data: bytes) -> bytes:
        """The first bytes behind the head; keeps what has come while there is no end of the head."""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0 or end > MAX_HEAD:
                if len(data) > MAX_HEAD:
                    raise BadReply
                self._buffer = data
                return b""
            version, self._status, self._headers = _read_lines(data[:end].decode("latin-1"))
            data = data[end + 4 :]
            if self._status >= 200:
                break
            if self._status == 101:
                raise BadReply  # nobody asked for another protocol
        self._buffer = b""
        self._frame(version)
        return data

    def _frame(self, version: str) -> None:
        """How the end of the body is told, and whether the connection lives on."""
        headers = self._headers
        self.may_be_reused = version == "1"
        if "connection" in headers:
            tokens = {token.strip().lower() for token in headers["connection"].split(",")}
            self.may_be_reused = "close" not in tokens and (version == "1" or "keep-alive" in tokens)
        coding = headers.get("transfer-encoding")
        length = headers.get("content-length")
        if self._status in {204, 304}:
            self._left = 0
        elif coding is not None:
            if coding.strip().lower() != "chunked":
                raise BadReply
            self._chunks = _Chunks()
            self.may_be_reused = self.may_be_reused and length is None
        elif length is not None:
            if _LENGTH.fullmatch(length) is None:
                raise BadReply
            self._left = int(length)
        else:
            self._left = _UNTIL_CLOSED
            self.may_be_reused = False
        self._body = self._open_body()

    def _open_body(self) -> Body:
        encoding = self._headers.get("content-encoding", "")
        if self._status == 200:
            return Body(encoding, self._bounds.max_bytes, self._take if is_stream(self._headers) else None)
        try:
            return Body(encoding, self._bounds.max_error_bytes)
        except UnknownEncoding:
            return Body("", 0)  # too small for anything: it ends with the first byte

    # Body

    def _feed_body(self, body: Body, data: bytes) -> Reply | None:
        if self._chunks is not None:
            return self._feed_chunks(body, self._chunks, data)
        if self._left == _UNTIL_CLOSED:
            is_wanted = not data or body.take(data)
            return None if is_wanted else self._reply(body)
        if len(data) > self._left:
            self.may_be_reused = False  # more came than was announced
            data = data[: self._left]
        self._left -= len(data)
        is_wanted = not data or body.take(data)
        if self._left and is_wanted:
            return None
        self.may_be_reused = self.may_be_reused and not self._left
        return self._reply(body)

    def _feed_chunks(self, body: Body, chunks: _Chunks, data: bytes) -> Reply | None:
        for part in chunks.feed(data):
            if not body.take(part):
                self.may_be_reused = self.may_be_reused and chunks.is_over
                return self._reply(body)
        if not chunks.is_over:
            return None
        self.may_be_reused = self.may_be_reused and not chunks.rest
        return self._reply(body)

    def _reply(self, body: Body) -> Reply:
        return Reply(self._status, self._headers, body.read())


class _Chunks:
    """A body in chunks, each with its size before it."""

    def __init__(self) -> None:
        self.rest = b""
        self.is_over = False
        self._left = 0
        self._is_in_trailer = False

    def feed(self, data: bytes) -> list[bytes]:
        """The parts of the body in what has come. Raises BadReply."""
        data = self.rest + data if self.rest else data
        parts: list[bytes] = []
        while data and not self.is_over:
            if self._left > 2:  # of the chunk and the end of line behind it
                part = data[: self._left - 2]
                parts.append(part)
                self._left -= len(part)
                data = data[len(part) :]
                continue
            end = data.find(b"\r\n")
            if end < 0:
                if len(data) > MAX_LINE:
                    raise BadReply
                break
            self._read_line(data[:end])
            data = data[end + 2 :]
        self.rest = data
        return parts

    def _read_line(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            raise BadReply
        if self._is_in_trailer:
            self.is_over = not line
        elif self._left:
            if line:
                raise BadReply  # a chunk that is longer than was announced
            self._left = 0
        else:
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise BadReply
            size = int(found[1], 16)
            self._is_in_trailer = not size
            self._left = size + 2 if size else 0


def _read_lines(head: str) -> tuple[str, int, dict[str, str]]:
    """The minor version, the status, and the headers with their names in lower case. Raises BadReply."""
    first, *lines = head.split("\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise BadReply
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or _NAME.fullmatch(name) is None or "\n" in value or "\0" in value:
            raise BadReply
        name, value = name.lower(), value.strip(" \t")
        if name in {"content-length", "transfer-encoding"} and headers.get(name, value) != value:
            raise BadReply
        headers[name] = value
    return status[1], int(status[2]), headers
