from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.dialects.payload import SHOWN_CHARACTERS, is_shallow, show, show_bytes


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abc123def456. You can find it",
        "Incorrect API key provided: sk-pr***************wxyz.",
        "bad key: hunter2hunter2",
        'got {"api_key": "hunter2hunter2"}',
        "Authorization: Bearer hunter2hunter2==",
        "https://x.example/v1?key=hunter2hunter2&alt=sse",
        "token=hunter2hunter2 expired",
        "AIzaSyA1234567890abcdef is blocked",
        "AQ.Ab1234567890 is blocked",
    ],
)
def test_a_key_in_a_message_is_starred(text: str) -> None:
    shown = show(text)
    assert "***" in shown
    for secret in ("hunter2", "abc123", "wxyz", "1234567890"):
        assert secret not in shown


def test_ordinary_words_about_keys_are_left_alone() -> None:
    text = "API key not valid. Please pass a valid API key. max_tokens: 5000000 is too large"
    assert show(text) == text


def test_unprintable_characters_are_spelled_out_on_one_line() -> None:
    assert show("a\r\n  b\x1b[31m\u202e\x00") == "a b\\x1b[31m\\u202e\\x00"
    assert show("\ud800") == "\\ud800"


def test_a_long_text_is_cut() -> None:
    shown = show("x" * 1000)
    assert (len(shown), shown[-1]) == (SHOWN_CHARACTERS, "…")


@given(st.text(st.characters(), max_size=600))
def test_whatever_is_shown_is_short_and_printable(text: str) -> None:
    shown = show(text)
    assert len(shown) <= SHOWN_CHARACTERS
    assert shown.isprintable()


@given(st.binary(max_size=600))
def test_any_bytes_can_be_shown(data: bytes) -> None:
    assert show_bytes(data).isprintable()


def test_brackets_inside_texts_are_no_depth() -> None:
    assert is_shallow(b'{"text": "' + b"[" * 1000 + b'\\"' + b"{" * 1000 + b'"}')
    assert is_shallow(b"[" * 64 + b"]" * 64)
    assert is_shallow(b"[" + b"[]," * 1000 + b"1]")
    assert not is_shallow(b"[" * 65 + b"]" * 65)


@given(st.integers(0, 200), st.text(max_size=20))
def test_depth_is_counted_like_a_parser_would(depth: int, text: str) -> None:
    import orjson

    payload = b'{"a":' * depth + orjson.dumps(text) + b"}" * depth
    assert is_shallow(payload) == (depth <= 64)
