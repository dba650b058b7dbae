from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.answer import StoredAnswer
from runner.core.errors import StorageError
from runner.core.outcome import FailureKind, Source
from runner.core.problem import render
from runner.core.request import Request
from runner.store import entry
from runner.store.entry import DamagedEntry, decode_entry, encode_entry


def frame(content: bytes, *, flag: int = 0, size: int | None = None, packed: bytes | None = None) -> bytes:
    """An entry with a right checksum around any content: what somebody who forges one would write."""
    rest = struct.pack(">BI", flag, len(content) if size is None else size) + (content if packed is None else packed)
    return b"rnr\x01" + hashlib.sha256(rest).digest()[:16] + rest


def content_of(head: Any, body: bytes = b"{}", payload: bytes = b"{}") -> bytes:
    packed = head if isinstance(head, bytes) else orjson.dumps(head)
    return struct.pack(">II", len(packed), len(body)) + packed + body + payload


def head_of(answer: StoredAnswer) -> dict[str, Any]:
    return {
        "at": 1,
        "dialect": answer.dialect,
        "endpoint": answer.endpoint,
        "failure": None,
        "ingredients": {},
        "key": answer.key,
        "key_version": 1,
        "provider": answer.provider,
        "salt": "",
        "sample": 0,
        "seconds": 0,
    }


def reason(key: str, data: bytes) -> str:
    with pytest.raises(DamagedEntry) as caught:
        decode_entry(key, data)
    return caught.value.reason


def test_an_answer_comes_back_as_it_was_stored(make_answer: Any) -> None:
    answer = make_answer(failure=FailureKind.CUT, ingredients={"thinking": "low"}, sample=2, salt="again")
    assert decode_entry(answer.key, encode_entry(answer)) == replace(answer, source=Source.CACHED)


def test_a_long_answer_is_deflated_and_a_short_one_is_not(make_answer: Any) -> None:
    long, short = make_answer(payload=b"a" * 20_000), make_answer(payload=b"b" * 10)
    assert len(encode_entry(long)) < 1_000
    assert short.payload in encode_entry(short)
    assert decode_entry(long.key, encode_entry(long)).payload == long.payload


def test_equal_answers_give_equal_bytes(make_answer: Any) -> None:
    one = make_answer(ingredients={"b": 1, "a": 2})
    assert encode_entry(one) == encode_entry(make_answer(ingredients={"a": 2, "b": 1}))


@pytest.mark.parametrize("key_version", [1, 2, 17])
def test_the_key_version_of_a_dialect_is_found_from_the_key(make_answer: Any, key_version: int) -> None:
    answer = make_answer(key_version=key_version)
    assert decode_entry(answer.key, encode_entry(answer)).key == answer.key


def test_headers_that_entered_the_key_are_kept_among_the_ingredients(make_answer: Any) -> None:
    answer = make_answer(ingredients={"headers": [["version", "2"]]})
    assert answer.key != make_answer().key
    assert decode_entry(answer.key, encode_entry(answer)).ingredients == {"headers": [["version", "2"]]}


def test_a_key_that_is_not_the_requests_is_refused_before_it_is_stored(make_answer: Any) -> None:
    with pytest.raises(ValueError, match="does not belong to the request to /answers/parrot"):
        encode_entry(replace(make_answer(), key="0" * 64))


def test_an_entry_under_another_key_is_damaged(make_answer: Any) -> None:
    one, other = make_answer("one"), make_answer("other")
    assert reason(other.key, encode_entry(one)) == "it belongs to another request"


def test_every_flipped_bit_of_an_entry_is_found(make_answer: Any) -> None:
    for payload in (b'{"text":"Paris"}', b'{"text":"Paris"}' * 100):
        answer = make_answer(payload=payload)
        data = encode_entry(answer)
        for position in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[position // 8] ^= 1 << position % 8
            with pytest.raises(DamagedEntry):
                decode_entry(answer.key, bytes(flipped))


def test_an_entry_cut_at_any_byte_is_damaged(make_answer: Any) -> None:
    answer = make_answer()
    data = encode_entry(answer)
    for size in range(len(data)):
        with pytest.raises(DamagedEntry):
            decode_entry(answer.key, data[:size])


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_damaged(data: bytes) -> None:
    for spelled in (data, frame(data), frame(data, flag=1, size=100), frame(content_of(data))):
        with pytest.raises(DamagedEntry):
            decode_entry("0" * 64, spelled)


@given(body=st.binary(max_size=3000), payload=st.binary(max_size=3000), salt=st.text(st.characters(codec="utf-8")))
def test_any_body_payload_and_salt_come_back_byte_for_byte(body: bytes, payload: bytes, salt: str) -> None:
    request = Request("d", 1, "p", "/e", body, salt=salt)
    answer = StoredAnswer(request.key, "d", "p", "/e", body, payload, salt=salt)
    assert decode_entry(answer.key, encode_entry(answer)) == replace(answer, source=Source.CACHED)


def test_what_a_forger_may_write_with_a_right_checksum_is_damaged(make_answer: Any) -> None:
    answer = make_answer()
    key, head = answer.key, head_of(answer)
    assert reason(key, b"") == "it is too short"
    assert reason(key, b"\x80\x04" + b"." * 40) == "it is not an entry of this format"
    assert reason(key, frame(b"abc")) == "it is too short"
    assert reason(key, frame(struct.pack(">II", 900, 900))) == "its parts do not fit its size"
    assert reason(key, frame(content_of(b"\xff"))) == "its head is not JSON"
    assert reason(key, frame(content_of(b"[" * 100_000))) == "its head is not JSON"
    assert reason(key, frame(b"x" * 50, flag=7)) == "it is not an entry of this format"
    assert reason(key, frame(b"x" * 50, size=2**32 - 1)) == "it is not an entry of this format"
    assert reason(key, frame(b"x" * 50, size=49)) == "its content has another size than it says"
    assert reason(key, frame(b"x" * 50, flag=1)) == "it cannot be inflated"
    assert (
        reason(key, frame(content_of({**head, "sample": "0"}))) == "its head lacks a field or has one of another type"
    )
    assert reason(key, frame(content_of([]))) == "its head lacks a field or has one of another type"
    assert reason(key, frame(content_of({**head, "failure": "transient"}))) == "it names a failure that is never stored"
    assert reason(key, frame(content_of({**head, "ingredients": {"headers": [1]}}))) == "its request has no key"
    assert reason(key, frame(content_of({**head, "ingredients": {"headers": "ab"}}))) == "its request has no key"
    assert reason(key, frame(content_of({**head, "sample": 2**63}))) == "it belongs to another request"
    assert reason(key, frame(content_of(head, body=b"{}"))) == "it belongs to another request"
    assert decode_entry(key, frame(content_of(head, body=answer.body))).payload == b"{}"


def test_a_request_without_a_key_is_damaged(make_answer: Any) -> None:
    answer = replace(make_answer(), salt="\ud800")
    with pytest.raises(DamagedEntry, match="its request has no key"):
        entry.verify_key(answer, 1, answer.key)


def test_a_bomb_is_not_inflated() -> None:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(bytes(50_000_000)) + squeezer.flush()
    assert reason("0" * 64, frame(b"", flag=1, size=1000, packed=bomb)) == "its content has another size than it says"


def test_an_answer_beyond_the_limit_is_refused_in_words(make_answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "MAX_ENTRY_BYTES", 1000)
    with pytest.raises(StorageError) as caught:
        encode_entry(make_answer(payload=b"x" * 2000))
    size = 2000 + len(make_answer(payload=b"").body)
    assert render(caught.value.problems[0], {}).startswith("answer-too-large: an answer of 2,")
    assert render(caught.value.problems[0], {}).endswith("expected: at most 1,000 bytes with its request")
    assert size > 2000


def test_ingredients_that_are_no_json_are_left_out_and_the_answer_is_kept(make_answer: Any) -> None:
    for odd in ("half \ud800", 2**70, float("nan"), object(), {1: 2}):
        answer = make_answer(ingredients={"headers": [["version", "2"]], "odd": odd})
        assert decode_entry(answer.key, encode_entry(answer)).ingredients == {"headers": [["version", "2"]]}


GOLDEN_KEY = "af03dbf6a59d5ae6caae90e5f5952a4cafb5a01ddf68447edd0864696e400cb4"
GOLDEN_ENTRY = (
    "cm5yAfFVuRl6lxAdTHkNdB8DD70AAAABMgAAAP8AAAAbeyJhdCI6MS41LCJkaWFsZWN0Ijoic2NyaXB0ZWQiLCJlbmRwb2ludCI6"
    "Ii9hbnN3ZXJzL3BhcnJvdCIsImZhaWx1cmUiOiJjdXQiLCJpbmdyZWRpZW50cyI6eyJ0aGlua2luZyI6ImxvdyJ9LCJrZXkiOiJh"
    "ZjAzZGJmNmE1OWQ1YWU2Y2FhZTkwZTVmNTk1MmE0Y2FmYjVhMDFkZGY2ODQ0N2VkZDA4NjQ2OTZlNDAwY2I0Iiwia2V5X3ZlcnNp"
    "b24iOjEsInByb3ZpZGVyIjoic2NyaXB0ZWQiLCJzYWx0IjoiIiwic2FtcGxlIjoxLCJzZWNvbmRzIjowLjV9eyJxdWVzdGlvbiI6"
    "IkhvdyBhcmUgeW91PyJ9eyJ0ZXh0IjoiRmluZS4ifQ=="
)


def test_an_entry_of_the_first_release_is_read_and_still_written_the_same() -> None:
    data = base64.b64decode(GOLDEN_ENTRY)
    answer = decode_entry(GOLDEN_KEY, data)
    assert (answer.body, answer.payload) == (b'{"question":"How are you?"}', b'{"text":"Fine."}')
    assert (answer.failure, answer.ingredients, answer.sample) == (FailureKind.CUT, {"thinking": "low"}, 1)
    assert encode_entry(answer) == data
