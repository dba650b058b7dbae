"""Lines of batch files: what is sent is what is keyed, and every line of an answer is a row, a failure or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.batch import BatchRow
from runner.core.call import Call, Message
from runner.core.model import ModelFacts, Provider, Route
from runner.core.outcome import FailureKind
from runner.dialects import ASKED
from runner.dialects.batch import BATCH_FORMATS, job_failure, offers_batch

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize("name", BATCH_FORMATS)
@given(text=TEXTS, system=st.none() | TEXTS, sample=st.integers(0, 3))
def test_a_line_holds_the_very_bytes_that_are_keyed(name: str, text: str, system: str | None, sample: int) -> None:
    route = Route("box/m", Provider("box", name, identity="box"), "m", ModelFacts("box", "m"))
    request = ASKED[name].encode(Call("m", (Message("user", text),), system=system, sample=sample), route)
    line = BATCH_FORMATS[name].head(request.key, request) + bytes(request.body) + b"}"
    assert b"\n" not in line
    assert line[-1 - len(request.body) : -1] == request.body
    value = json.loads(line)
    assert (value.get("body") or value["request"]) == json.loads(bytes(request.body))
    assert (value.get("custom_id") or value["key"]) == request.key
    assert value.get("url") in {None, "/v1/chat/completions", "/v1/responses", "/v1/embeddings"}


@pytest.mark.parametrize("name", BATCH_FORMATS)
@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b"{}", b'{"custom_id": 1}', b'{"key": null}'])
def test_what_is_no_row_is_none(name: str, line: bytes) -> None:
    assert BATCH_FORMATS[name].row(line) is None


@pytest.mark.parametrize(
    ("name", "line", "kind"),
    [
        ("openai-chat", {"custom_id": "k", "response": None, "error": {"code": "batch_expired", "message": "Late."}},
         FailureKind.TRANSIENT),
        ("openai-chat", {"custom_id": "k", "response": None, "error": {"code": "odd", "message": None}},
         FailureKind.BAD_REQUEST),
        ("openai-chat", {"custom_id": "k", "response": {"status_code": 500, "body": {}}}, FailureKind.TRANSIENT),
        ("openai-chat", {"custom_id": "k"}, FailureKind.BAD_ANSWER),
        ("gemini", {"key": "k", "error": {"code": 3, "message": "No."}}, FailureKind.BAD_REQUEST),
        ("gemini", {"key": "k", "status": {"code": 14, "message": "Busy."}}, FailureKind.TRANSIENT),
        ("gemini", {"key": "k", "error": {"code": 404, "message": "None."}}, FailureKind.NOT_FOUND),
        ("gemini", {"key": "k", "error": {}}, FailureKind.TRANSIENT),
        ("gemini", {"key": "k"}, FailureKind.BAD_ANSWER),
    ],
)  # fmt: skip
def test_an_error_row_has_a_kind(name: str, line: Any, kind: FailureKind) -> None:
    row = BATCH_FORMATS[name].row(json.dumps(line).encode())
    assert row is not None
    assert row.failure is not None
    assert (row.key, row.payload, row.failure.kind) == ("k", None, kind)


def test_a_job_is_refused_in_the_providers_words() -> None:
    failure = job_failure("invalid_model", "No batches.")
    assert (failure.kind, failure.message) == (FailureKind.BAD_REQUEST, "the batch did not answer: No batches.")
    assert job_failure("token_limit_exceeded", "").kind is FailureKind.TRANSIENT


def test_a_gateway_has_no_batch_interface() -> None:
    assert offers_batch(Provider("openai", "openai-responses"))
    assert not offers_batch(Provider("cometapi", "openai-chat", settings={"server": "gateway"}))
    assert not offers_batch(Provider("anthropic", "anthropic"))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("openai-chat", {"custom_id": "k", "response": {"status_code": 200, "body": {"b": 1, "a": 2}}}),
        ("gemini", {"key": "k", "response": {"b": 1, "a": 2}}),
    ],
)
def test_an_answered_row_is_the_payload_of_a_single_call(name: str, line: Any) -> None:
    assert BATCH_FORMATS[name].row(json.dumps(line).encode()) == BatchRow("k", payload=b'{"b":1,"a":2}')
