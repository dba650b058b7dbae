"""Entries of megabytes: their bodies stay packed, and nothing else about them differs."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from runner.core.answer import StoredAnswer
from runner.core.canonical import canonical
from runner.core.long_text import LongBody, LongText, Stretch, spell
from runner.core.outcome import Source
from runner.core.request import Request
from runner.store import disk, packed
from runner.store.entry import DamagedEntry, decode_entry, encode_entry
from runner.store.local import LocalStore

WORDS = " ".join(random.Random(7).choices(["mill", "hill", "sea", "road", "Grüße", '"so"'], k=400_000))


@pytest.fixture
def answer(make_answer: Callable[..., StoredAnswer]) -> StoredAnswer:
    """One whose request holds a text of megabytes."""
    some = make_answer()
    body = spell({"model": "m", "text": LongText((Stretch(WORDS, 0, len(WORDS)),))})
    request = Request(some.dialect, 1, some.provider, some.endpoint, body)
    return replace(some, key=request.key, body=body)


def frame(size: int, packed: bytes) -> bytes:
    rest = struct.pack(">BI", 1, size) + packed
    return b"rnr\x01" + hashlib.sha256(rest).digest()[:16] + rest


def deflate(content: bytes) -> bytes:
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -15, 8)
    return squeezer.compress(content) + squeezer.flush()


def content(answer: StoredAnswer) -> bytes:
    return zlib.decompress(encode_entry(answer)[25:], -15)


def reason(key: str, data: bytes) -> str:
    with pytest.raises(DamagedEntry) as caught:
        decode_entry(key, data)
    return caught.value.reason


def test_a_long_answer_comes_back_as_it_was_stored(answer: StoredAnswer) -> None:
    found = decode_entry(answer.key, encode_entry(answer))
    assert found == replace(answer, source=Source.CACHED)
    assert isinstance(found.body, LongBody)
    assert bytes(found.body) == bytes(answer.body)


def test_an_entry_in_pieces_is_the_one_that_a_whole_body_makes(answer: StoredAnswer) -> None:
    assert encode_entry(answer) == encode_entry(replace(answer, body=bytes(answer.body)))


def test_a_long_payload_to_a_short_question_comes_back(make_answer: Callable[..., StoredAnswer]) -> None:
    answer = make_answer(payload=WORDS.encode())
    assert decode_entry(answer.key, encode_entry(answer)) == replace(answer, source=Source.CACHED)


def test_what_differs_from_what_it_says_is_damaged(answer: StoredAnswer) -> None:
    whole, data = content(answer), encode_entry(answer)
    size, key = len(whole), answer.key
    assert reason(key, data[:-1]) == "its checksum is wrong"
    assert reason(key, frame(size + 1, deflate(whole))) == "its content has another size than it says"
    assert reason(key, frame(size - 1, deflate(whole))) == "its content has another size than it says"
    assert reason(key, frame(size, deflate(whole)[:-9])) == "its content has another size than it says"
    assert reason(key, frame(size, b"\xff" * 50)) == "it cannot be inflated"
    assert reason("0" * 64, data) == "it belongs to another request"


def test_a_long_entry_whose_parts_do_not_fit_is_damaged(answer: StoredAnswer) -> None:
    whole = content(answer)
    sizes = struct.pack(">II", 2, len(whole))
    assert reason(answer.key, frame(len(whole), deflate(sizes + whole[8:]))) == "its parts do not fit its size"
    sizes = struct.pack(">II", 2, 2)
    no_head = deflate(sizes + b"{[" + whole[10:])
    assert reason(answer.key, frame(len(whole), no_head)) == "its head is not JSON"
    other_head = canonical({"at": 1})
    forged = struct.pack(">II", len(other_head), 0) + other_head
    forged += whole[len(forged) :]
    assert reason(answer.key, frame(len(whole), deflate(forged))) == (
        "its head lacks a field or has one of another type"
    )


def test_a_bomb_is_inflated_no_further_than_it_says(answer: StoredAnswer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, bits: int) -> None:
            self._stream = real(bits)

        def decompress(self, data: Any, most: int) -> bytes:
            made.append(self._stream.decompress(data, most))
            return made[-1]

        @property
        def unconsumed_tail(self) -> bytes:
            return self._stream.unconsumed_tail

    monkeypatch.setattr("zlib.decompressobj", Counting)
    bomb = deflate(struct.pack(">II", 2, 2) + b"{}{}" + b"0" * 100_000_000)
    assert reason(answer.key, frame(2**20, bomb)) == "its content has another size than it says"
    assert sum(map(len, made)) < 2**21


@pytest.fixture
def store(tmp_path: Any) -> Iterator[LocalStore]:
    made = LocalStore(tmp_path / "local")
    yield made
    made.close()


def test_a_long_value_is_stored_in_pieces_and_replaced(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LONG_BYTES", 1000)
    values = {name: random.Random(name).randbytes(size) for name, size in (("a", 999), ("b", 1000), ("c", 54_321))}
    store.put_many(values)
    assert store.get_many(["a", "b", "c"]) == values
    store.put_many({"a": values["c"], "c": values["a"]})
    assert store.get_many(["a", "c"]) == {"a": values["c"], "c": values["a"]}


@pytest.mark.parametrize("size", [1, 2, 5, 16])
@pytest.mark.parametrize("data", [b"", b"a", b"a" * 5000, random.Random(7).randbytes(300), b"\0" * 300 + b"end"])
def test_content_is_the_same_in_pieces_of_any_size(size: int, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece may hold nothing but the end, or stand for more than may be given at once."""
    monkeypatch.setattr(packed, "CHUNK", size)
    pieces = list(packed.unpack_in_pieces(memoryview(deflate(data))))
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= size for piece in pieces)
