"""Long texts and bodies in pieces are, read as a whole, what they would be without them."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import long_text
from runner.core.canonical import digest, ordered
from runner.core.long_text import (
    CHUNK,
    LongText,
    SpelledBody,
    Stretch,
    chunks_of,
    chunks_of_text,
    join_texts,
    size_of,
    spell,
)
from runner.core.request import Request, cache_key
from runner.core.words import least_tokens

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LONG = 'Said she: "no".\n\t\x00 Grüße, \U0001f600 \\ ' * 40_000


def whole(text: str) -> LongText:
    return LongText((Stretch(text, 0, len(text)),))


@given(st.lists(TEXTS))
def test_joined_pieces_are_the_text_that_they_make(pieces: list[str]) -> None:
    with mock.patch.object(long_text, "LONG", 20), mock.patch.object(long_text, "_LEAST_PIECE", 8):
        joined = join_texts([Stretch(f"({piece})", 1, 1 + len(piece)) if len(piece) % 2 else piece for piece in pieces])
    assert str(joined) == "".join(pieces)
    assert len(joined) == len("".join(pieces))
    assert isinstance(joined, LongText) == (len(joined) >= 20)


@given(st.lists(TEXTS, max_size=3))
def test_a_value_with_texts_in_pieces_is_spelt_as_with_whole_ones(texts: list[str]) -> None:
    spelt = spell({"model": "m", "messages": [{"text": whole(text)} for text in texts], "last": [1, None]})
    plain = ordered({"model": "m", "messages": [{"text": text} for text in texts], "last": [1, None]})
    assert bytes(spelt) == plain
    assert isinstance(spelt, SpelledBody) == bool(texts)
    assert (spelt, len(spelt), b"".join(chunks_of(spelt))) == (plain, len(plain), plain)


def test_a_long_text_is_read_in_chunks_that_are_none_of_them_large() -> None:
    body = spell({"text": whole(LONG)})
    assert max(map(len, chunks_of(body))) <= 6 * CHUNK
    assert max(map(len, chunks_of_text(whole(LONG)))) == max(map(len, chunks_of_text(LONG))) == CHUNK
    assert "".join(chunks_of_text(LONG)) == LONG
    assert list(chunks_of_text("short")) == ["short"]
    assert b"".join(chunks_of(LONG.encode())) == LONG.encode()


def test_what_is_no_json_is_refused_beside_long_texts() -> None:
    with pytest.raises(TypeError) as caught:
        spell({"text": whole("a"), "other": {1, 2}})
    assert str(caught.value.__cause__) == "set is no JSON value"


def test_a_key_is_the_same_whether_its_body_is_in_pieces() -> None:
    def key(body: bytes | SpelledBody) -> str:
        return cache_key(Request("openai-chat", 1, "openai", "/chat/completions", body))

    body = spell({"text": whole(LONG)})
    assert isinstance(body, SpelledBody)
    assert key(body) == key(bytes(body)) == key(ordered({"text": LONG}))


def test_bodies_are_equal_by_what_they_hold() -> None:
    body, same, other = (spell({"text": whole(text)}) for text in ("ab", "ab", "ac"))
    assert (body == same, hash(body) == hash(same)) == (True, True)
    assert (body == other, body == bytes(body), body == "text") == (False, True, False)


def test_another_beginning_leaves_the_rest_of_a_body() -> None:
    body = spell({"text": whole("ab")})
    assert isinstance(body, SpelledBody)
    assert bytes(body.opened_with(b'{"stream":true,')) == b'{"stream":true,"text":"ab"}'


@given(st.lists(TEXTS, min_size=1))
def test_the_size_of_a_text_is_that_of_its_bytes(texts: list[str]) -> None:
    text = LongText(tuple(Stretch(text, 0, len(text)) for text in texts))
    assert size_of(text) == size_of(str(text)) == len(str(text).encode())


@given(st.lists(st.text("ab  \n"), min_size=1))
def test_pieces_never_have_more_words_than_the_text(texts: list[str]) -> None:
    text = LongText(tuple(Stretch(f"x{text}x", 1, 1 + len(text)) for text in texts))
    words = least_tokens(str(text))
    assert max(0, words - len(texts)) <= least_tokens(text) <= words


def test_the_digest_of_a_long_text_is_that_of_its_bytes() -> None:
    assert digest(LONG + "\ud800") == digest((LONG + "\ud800").encode("utf-8", "surrogatepass"))
