"""Answers in HTTP/1.1, read from bytes that come in pieces of any size."""

from __future__ import annotations

import gzip
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.transport.reply_reader import MAX_HEAD, MAX_LINE, BadReply, ReplyReader
from runner.transport.wire import Bounds, Reply, TooLarge, UnknownEncoding

BOUNDS = Bounds(1000, 100, 1.0)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes, bounds: Bounds = BOUNDS) -> tuple[Reply, bool]:
    """The answer in these pieces and the end of the connection, and whether the connection may be used again."""
    reader = ReplyReader(bounds)
    for piece in pieces:
        reply = reader.feed(piece)
        if reply is not None:
            return reply, reader.may_be_reused
    return reader.end(), reader.may_be_reused


@pytest.mark.parametrize(
    ("data", "status", "body", "may_be_reused"),
    [
        (OK + b"Content-Length: 2\r\n\r\n{}", 200, b"{}", True),
        (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
        (OK + b"Content-Length: 2\r\n\r\n{}more", 200, b"{}", False),
        (OK + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}", 200, b"{}", False),
        (OK + b"Content-Length: 2\r\nConnection: Foo, CLOSE\r\n\r\n{}", 200, b"{}", False),
        (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True),
        (OK + b"\r\n{}", 200, b"{}", False),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}", 200, b"{}", True),
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}", 200, b"{}", True),
        (b"HTTP/1.1 204 Empty\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 As It Was\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
        (b"HTTP/1.1 429 Slowly\r\nContent-Length: 2\r\n\r\n{}", 429, b"{}", True),
        (CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 200, b"{}", True),
        (CHUNKED + b"0\r\n\r\n", 200, b"", True),
        (CHUNKED + b"00A ;name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200, b"0123456789", True),
        (CHUNKED + b"0\r\n\r\nmore", 200, b"", False),
        (OK + b"Content-Length: 7\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, b"{}", False),
    ],
)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(
    data: bytes, status: int, body: bytes, may_be_reused: bool
) -> None:
    whole, is_free = read(data)
    assert (whole.status, whole.body, is_free) == (status, body, may_be_reused)
    letters, _ = read(*(data[at : at + 1] for at in range(len(data))))
    assert letters == whole


@given(st.data())
def test_a_chunked_and_compressed_answer_is_the_same_in_whatever_pieces_it_comes(data: st.DataObject) -> None:
    text = data.draw(st.binary(max_size=900))
    packed = gzip.compress(text)
    ends = sorted(data.draw(st.sets(st.integers(1, len(packed)), max_size=5)) | {len(packed)})
    chunks = [packed[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    sent = OK + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent)), max_size=9)) | {len(sent)})
    pieces = [sent[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
    reply, is_free = read(*pieces, bounds=Bounds(2000, 100, 1.0))
    assert (reply.body, is_free) == (text, True)


def test_names_are_in_lower_case_and_values_without_the_spaces_around_them() -> None:
    reply, _ = read(OK + b"X-Note: \t caf\xe9 \r\nEmpty:\r\nContent-Length: 0\r\n\r\n")
    assert reply.headers == {"x-note": "café", "empty": "", "content-length": "0"}


@pytest.mark.parametrize(
    "data",
    [
        b"220 smtp ready\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 2000 Odd\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b": no name\r\n\r\n",
        OK + b"bad name: x\r\n\r\n",
        OK + b"a: b\r\n folded: c\r\n\r\n",
        OK + b"a: b\nc: d\r\n\r\n",
        OK + b"a: b\0\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Length: 0x2\r\n\r\n{}",
        OK + b"Content-Length: -2\r\n\r\n{}",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"x" * MAX_HEAD,
        OK + b"a: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        CHUNKED + b"\r\n",
        CHUNKED + b"x\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"1\r\n{}\r\n",
        CHUNKED + b"f" * 16 + b"\r\n",
        CHUNKED + b"1" * (MAX_LINE + 1),
        CHUNKED + b"1;" + b"x" * MAX_LINE + b"\r\n{\r\n",
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(BadReply):
        ReplyReader(BOUNDS).feed(data)


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200", OK + b"Content-Length: 3\r\n\r\n{}", CHUNKED + b"1\r\n{\r\n0\r\n"]
)
def test_an_answer_that_is_cut_is_none(data: bytes) -> None:
    with pytest.raises(BadReply):
        read(data)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([OK, CHUNKED, b"\r\n", b"1\r\n", b"Content-Length: 5\r\n"])))
def test_nothing_that_comes_breaks_the_reader(pieces: list[bytes]) -> None:
    reader = ReplyReader(BOUNDS)
    with suppress(BadReply, TooLarge, UnknownEncoding):
        for piece in pieces:
            if reader.feed(piece) is not None:
                break


@pytest.mark.parametrize(("head", "error"), [(b"", TooLarge), (b"content-encoding: br\r\n", UnknownEncoding)])
def test_a_good_answer_that_cannot_be_kept_is_refused(head: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        ReplyReader(BOUNDS).feed(OK + head + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001)


def test_an_error_keeps_as_much_of_its_body_as_is_allowed() -> None:
    error = b"HTTP/1.1 500 Oh\r\n"
    long, is_free = read(error + b"Content-Length: 1001\r\n\r\n" + b"x" * 500)
    assert (long.status, long.body, is_free) == (500, b"x" * 100, False)
    strange, is_free = read(error + b"Retry-After: 7\r\nContent-Encoding: br\r\nContent-Length: 9\r\n\r\nx")
    assert (strange.headers["retry-after"], strange.body, is_free) == ("7", b"", False)
    damaged, is_free = read(error + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nno gzip--")
    assert (damaged.status, damaged.body, is_free) == (500, b"", False)


@pytest.mark.parametrize(
    ("head", "body", "may_be_reused"),
    [
        (b"Content-Length: 6\r\n", b"onetwo", True),
        (b"Content-Length: 9\r\n", b"onetwo", False),
        (b"", b"onetwo", False),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", True),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\none\r\n3\r\ntwo\r\n", False),
    ],
)
def test_a_stream_of_events_is_handed_on_until_no_more_is_wanted(head: bytes, body: bytes, may_be_reused: bool) -> None:
    heard = b""

    def take(data: bytes) -> bool:
        nonlocal heard
        heard += data
        return heard != b"onetwo"

    reader = ReplyReader(BOUNDS, take)
    reply = reader.feed(OK + b"content-type: text/event-stream\r\n" + head + b"\r\n" + body)
    assert (heard, reply is not None and reply.body, reader.may_be_reused) == (b"onetwo", b"", may_be_reused)
