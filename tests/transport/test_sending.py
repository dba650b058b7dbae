"""Bodies that show files: what goes on the wire, and files that are no longer what the key says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.media import Attachment, Medium
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport import sending
from runner.transport.sending import Encoded, Streamed, body_of, encode_now, length_of, stream

MakeMedium = Callable[..., Medium]
PNG = b"\x89PNG and more"


def shown(medium: Medium, mark: bytes = b"@1", **changes: object) -> Attachment:
    made = Attachment(medium, mark, (b'"data":"', b'"'), (b'"uri":"', b'"'))
    return replace(made, **changes)  # type: ignore[arg-type]


def request(body: bytes, *attachments: Attachment) -> Request:
    return Request("gemini", 1, "box", "/m", body, attachments=attachments)


def body(asked: Request, references: dict[int, str] | None = None) -> bytes | Streamed:
    return asyncio.run(body_of(asked, references or {}))


async def joined(streamed: Streamed) -> list[bytes]:
    return [part async for part in streamed.read()]


def fail(asked: Request) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        body(asked)
    assert caught.value.failure.kind is FailureKind.RENDER
    assert caught.value.requests == 0
    return caught.value


def test_a_file_stands_in_the_place_of_its_mark_in_base64(make_medium: MakeMedium) -> None:
    medium = make_medium(PNG)
    expected = b'{"data":"' + base64.b64encode(PNG) + b'","n":1}'
    assert body(request(b'{@1,"n":1}', shown(medium))) == expected


def test_files_of_the_same_mark_stand_in_their_order(make_medium: MakeMedium) -> None:
    one, two = make_medium(b"one"), make_medium(b"two", name="b.png")
    assert body(request(b"[@1,@1]", shown(one), shown(two))) == b'["data":"b25l","data":"dHdv"]'


def test_a_text_stands_as_the_characters_of_a_string_without_a_byte_order_mark(make_medium: MakeMedium) -> None:
    medium = make_medium(b'\xef\xbb\xbfsays "h\xc3\xa4"\n', name="a.txt", mime="text/plain", kind="document")
    assert body(request(b"{@1}", shown(medium, is_text=True))) == '{"data":"says \\"hä\\"\\n"}'.encode()


def test_an_uploaded_file_stands_by_its_name_and_is_not_read(make_medium: MakeMedium) -> None:
    medium = make_medium(PNG)
    Path(medium.path).unlink()
    assert body(request(b"{@1}", shown(medium)), {0: 'files/"1"'}) == b'{"uri":"files/\\"1\\""}'


def test_a_file_that_can_only_be_sent_within_is_so_although_it_has_a_name(make_medium: MakeMedium) -> None:
    assert body(request(b"{@1}", shown(make_medium(b"one"), uploaded=None)), {0: "files/1"}) == b'{"data":"b25l"}'


def test_a_large_body_is_read_from_the_disk_each_time_that_it_is_sent(
    make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "HELD_BYTES", 10)
    monkeypatch.setattr(sending, "CHUNK_BYTES", 3)
    streamed = body(request(b"{@1}", shown(make_medium(b"1234567"))))
    assert isinstance(streamed, Streamed)
    expected = [b"{", b'"data":"', b"MTIz", b"NDU2", b"Nw==", b'"', b"}"]
    assert asyncio.run(joined(streamed)) == asyncio.run(joined(streamed)) == expected
    assert streamed.length == len(b"".join(expected))


def test_a_body_of_just_the_size_that_is_held_is_held(make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "HELD_BYTES", len(b'{"data":"b25l"}'))
    assert body(request(b"{@1}", shown(make_medium(b"one")))) == b'{"data":"b25l"}'
    assert isinstance(body(request(b"{@1 }", shown(make_medium(b"one")))), Streamed)


@given(content=st.binary(max_size=40), size=st.integers(1, 5))
def test_the_pieces_of_a_file_are_one_text_of_the_length_that_is_told(content: bytes, size: int) -> None:
    async def read(medium: Medium) -> bytes:
        return b"".join([base64.b64encode(one) async for one in sending.read_checked(medium, size * 3)])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(content)
        medium = Medium("image", "image/png", hashlib.sha256(content).hexdigest(), len(content), path=str(path))
        assert asyncio.run(read(medium)) == base64.b64encode(content)
        assert length_of([b"ab", Encoded(medium)]) == 2 + len(base64.b64encode(content))


@pytest.mark.parametrize("now", [b"", b"held", b"holds more", b"other"])
@pytest.mark.parametrize("is_text", [False, True])
def test_a_file_that_has_changed_stops_the_request(make_medium: MakeMedium, now: bytes, is_text: bool) -> None:
    medium = make_medium(b"holds")
    Path(medium.path).write_bytes(now)
    told = fail(request(b"{@1}", shown(medium, is_text=is_text))).failure.message
    assert told == "media/a.png has changed while the run went on; run it again"


@pytest.mark.parametrize("is_text", [False, True])
def test_a_file_that_is_gone_stops_the_request(make_medium: MakeMedium, is_text: bool) -> None:
    medium = make_medium()
    Path(medium.path).unlink()
    told = fail(request(b"{@1}", shown(medium, is_text=is_text))).failure.message
    assert told == "media/a.png cannot be read: no such file or directory"


def test_a_file_that_is_encoded_at_once_is_what_its_key_says(
    make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CHUNK_BYTES", 3)
    medium = make_medium(b"1234567")
    assert b"".join(encode_now(medium)) == base64.b64encode(b"1234567")
    Path(medium.path).write_bytes(b"1234568")
    with pytest.raises(CallFailed) as caught:
        list(encode_now(medium))
    assert caught.value.failure.message == "media/a.png has changed while the run went on; run it again"
    Path(medium.path).unlink()
    with pytest.raises(CallFailed) as caught:
        list(encode_now(medium))
    assert caught.value.failure.message == "media/a.png cannot be read: no such file or directory"


def test_the_last_piece_of_a_file_that_has_changed_is_never_given(
    make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CHUNK_BYTES", 3)
    medium = make_medium(b"123456")
    Path(medium.path).write_bytes(b"123457")
    given_out: list[bytes] = []

    async def read() -> None:
        async for part in stream([Encoded(medium)]):
            given_out.append(part)

    with pytest.raises(CallFailed):
        asyncio.run(read())
    assert given_out == [b"MTIz"]
