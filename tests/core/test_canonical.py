from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import (
    MAX_DEPTH,
    Json,
    NotJson,
    canonical,
    digest,
    digest_of,
    ensure_json,
    escape_pointer,
    ordered,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


def shuffled(value: Json, random: Any) -> Json:
    if isinstance(value, dict):
        items = [(key, shuffled(inner, random)) for key, inner in value.items()]
        random.shuffle(items)
        return dict(items)
    return [shuffled(inner, random) for inner in value] if isinstance(value, list) else value


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_enter_canonical_bytes(value: Json, random: Any) -> None:
    other = shuffled(value, random)
    assert canonical(other) == canonical(value)
    assert digest_of(other) == digest_of(value)


@given(VALUES)
def test_bytes_read_back_give_the_same_value_and_the_same_bytes(value: Json) -> None:
    ensure_json(value)
    for write in (canonical, ordered):
        data = write(value)
        assert write(json.loads(data)) == data
        assert b"\n" not in data


@given(VALUES, VALUES)
def test_different_values_have_different_bytes(one: Json, other: Json) -> None:
    assert (canonical(one) == canonical(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


@given(st.dictionaries(TEXTS, st.integers(0, 9)))
def test_the_order_of_the_author_is_kept(value: dict[str, int]) -> None:
    assert list(json.loads(ordered(value))) == list(value)


def test_keys_are_sorted_by_code_point() -> None:
    assert (
        canonical({"é": 1, "b": 2, "B": 3, "a": {"d": 1, "c": 2}}) == '{"B":3,"a":{"c":2,"d":1},"b":2,"é":1}'.encode()
    )


def nested(levels: int) -> Json:
    value: Json = 1
    for number in range(levels):
        value = [value] if number % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "pointer", "reason"),
    [
        (math.nan, "", "nan is not a JSON number"),
        ({"a": [1, math.inf]}, "/a/1", "inf is not a JSON number"),
        (2**64, "", "an integer beyond 64 bits"),
        ([-(2**63) - 1], "/0", "an integer beyond 64 bits"),
        ({"a/b~c": {5: 1}}, "/a~1b~0c", "key 5 is not text"),
        ("\ud800", "", "text with half a character (a lone surrogate)"),
        ({"\udfff": 1}, "", "text with half a character (a lone surrogate)"),
        ({"a": b""}, "/a", "a bytes is not a JSON value"),
        ({"a": {1}}, "/a", "a set is not a JSON value"),
    ],
)
def test_what_json_cannot_say_is_refused_at_its_place(value: object, pointer: str, reason: str) -> None:
    with pytest.raises(NotJson) as caught:
        ensure_json(value)
    assert (caught.value.pointer, caught.value.reason) == (pointer, reason)
    assert str(caught.value) == f"{pointer or '(root)'}: {reason}"


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), True, None, 0.1, "😀", (1, 2), {}, []])
def test_what_json_can_say_is_let_through(value: object) -> None:
    ensure_json(value)


def test_deep_nesting_is_refused() -> None:
    ensure_json(nested(MAX_DEPTH))
    for levels in (MAX_DEPTH + 1, 5_000):
        with pytest.raises(NotJson, match="nested too deeply"):
            ensure_json(nested(levels))
    with pytest.raises(NotJson, match="/x/0: nested too deeply"):
        ensure_json([[1]], max_depth=0, pointer="/x")


@given(TEXTS)
def test_a_pointer_token_is_unescaped_to_the_same_key(key: str) -> None:
    token = escape_pointer(key)
    assert "/" not in token
    assert token.replace("~1", "/").replace("~0", "~") == key


def test_a_digest_is_that_of_the_bytes() -> None:
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest("abc") == digest(b"abc") == expected
    assert len(digest("\ud800")) == 64
