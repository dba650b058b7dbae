from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.request import KEY_FORMAT, Request, cache_key

REQUEST = Request(
    dialect="gemini",
    key_version=1,
    provider="gemini",
    endpoint="/v1beta/models/m:generateContent",
    body=b'{"contents":[]}',
    headers=(("x-beta", "one"), ("x-version", "2")),
)

CHANGED: dict[str, object] = {
    "dialect": "openai-chat",
    "key_version": 2,
    "provider": "vertex",
    "endpoint": "/v1beta/models/n:generateContent",
    "body": b'{"contents": []}',
    "headers": (("x-version", "2"),),
    "sample": 1,
    "salt": "again",
}


def test_every_field_of_a_request_changes_its_key() -> None:
    """What the transport puts into the body is named there by its digest."""
    assert CHANGED.keys() == {field.name for field in dataclasses.fields(Request)} - {"attachments"}
    keys = {name: replace(REQUEST, **{name: value}).key for name, value in CHANGED.items()}  # type: ignore[arg-type] # by name
    assert len({REQUEST.key, *keys.values()}) == len(keys) + 1


def test_the_order_of_headers_changes_nothing() -> None:
    assert replace(REQUEST, headers=REQUEST.headers[::-1]).key == REQUEST.key


def test_sample_0_and_no_salt_leave_no_trace() -> None:
    assert replace(REQUEST, sample=0, salt="").key == REQUEST.key


# A change here invalidates every stored answer: a major version.
@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (REQUEST, "37c88b361cd4e4a0ba12b255e60ef731e9166fc69e58170f0480c004737297a7"),
        (replace(REQUEST, sample=2), "ba819bdea5d808077eefc19f3af9cbf6b102c12cc16c458ab606c7d008ab5ee2"),
        (replace(REQUEST, salt="again"), "748867cac974e58565c06ad536d2588caf77e264cf5b1c6adf986864f3802600"),
        (replace(REQUEST, sample=2, salt="again"), "6ef7b20d8c54b1c5aa686f6927ddd4976c7501a4d5a27b66c99a4c31661e1ed7"),
    ],
)
def test_keys_are_golden(request_: Request, key: str) -> None:
    assert KEY_FORMAT == 1
    assert cache_key(request_) == key


PARTS = st.text(st.characters(codec="utf-8"), max_size=5)
REQUESTS = st.builds(
    Request,
    dialect=PARTS,
    key_version=st.integers(0, 2),
    provider=PARTS,
    endpoint=PARTS,
    body=st.binary(max_size=5),
    headers=st.lists(st.tuples(PARTS, PARTS), max_size=2).map(lambda pairs: tuple(sorted(pairs))),
    sample=st.integers(0, 2),
    salt=PARTS,
)


@given(REQUESTS, REQUESTS)
def test_two_requests_share_a_key_only_if_they_are_equal(one: Request, other: Request) -> None:
    assert (one.key == other.key) == (one == other)
    assert len(one.key) == 64
