"""What providers and networks do to a question, in every protocol: the kind of the failure, how often it is asked, how long
is waited, and that nothing is kept that is no answer. Each row is one fault; the columns are the protocols.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app import api

DIALECTS = ("gemini", "openai-chat", "openai-responses", "anthropic")
FLOW = """
format: 1
defaults: {model: box/some-model, retries: 2, timeout: 5s}
steps:
  moon:
    prompt: How big is the moon?
    max_output_tokens: 2000
    fields: {radius: integer}
    repair: 1
"""
SAID = '{"radius": 1737}'


@pytest.fixture(autouse=True)
def waits(skipped_waits: list[float]) -> list[float]:
    return skipped_waits


def start(folder: Path, counting_server: Any, dialect: str, flow: str = FLOW) -> Any:
    server = counting_server(lambda _d, _b, _n: counting_server.Answer(SAID), key="")
    url = server.chat_url if dialect.startswith("openai") else server.base_url
    (folder / "runner.yaml").write_text(
        f"providers:\n  box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: free}}\n", encoding="utf-8"
    )
    (folder / "flow.yaml").write_text(flow, encoding="utf-8")
    return server


def kept(folder: Path) -> tuple[int, int]:
    """How many answers and failures are stored."""
    layers = [layer for name, layer in api.cache_stats(folder).items() if name != "folders"]
    return sum(layer["answers"] for layer in layers), sum(layer["failures"] for layer in layers)


def wire(body: bytes, *, status: str = "200 OK", kind: str = "application/json", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {size}\r\n\r\n".encode() + body


def error_of(dialect: str, message: str, *, code: str = "", kind: str = "", status: int = 200) -> bytes:
    """An error in the shape of a protocol."""
    if dialect == "gemini":
        return json.dumps({"error": {"code": status, "message": message, "status": code}}).encode()
    if dialect == "anthropic":
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code or None}}).encode()


TEXT = {"content-type": "text/plain; charset=utf-8"}
QUOTA = {
    "gemini": json.dumps(
        {
            "error": {
                "code": 429,
                "message": "Spent.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
                    }
                ],
            }
        }
    ).encode(),
    "openai-chat": error_of("openai-chat", "Spent.", code="insufficient_quota", kind="insufficient_quota"),
    "openai-responses": error_of("openai-responses", "Spent.", code="insufficient_quota", kind="insufficient_quota"),
    "anthropic": error_of("anthropic", "Spent.", kind="billing_error"),
}
BAD_KEY = {
    "gemini": json.dumps(
        {
            "error": {
                "code": 400,
                "message": "API key not valid.",
                "status": "INVALID_ARGUMENT",
                "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
            }
        }
    ).encode(),
    "openai-chat": error_of("openai-chat", "Incorrect API key.", code="invalid_api_key"),
    "openai-responses": error_of("openai-responses", "Incorrect API key.", code="invalid_api_key"),
    "anthropic": error_of("anthropic", "invalid x-api-key", kind="authentication_error"),
}
TOO_LONG = {
    "gemini": error_of("gemini", "The input token count exceeds the maximum.", code="INVALID_ARGUMENT", status=400),
    "openai-chat": error_of("openai-chat", "Too long.", code="context_length_exceeded", kind="invalid_request_error"),
    "openai-responses": error_of("openai-responses", "Too long.", code="context_length_exceeded"),
    "anthropic": error_of("anthropic", "prompt is too long", kind="invalid_request_error"),
}
BUSY_IN_200 = {
    "gemini": error_of("gemini", "Busy.", code="UNAVAILABLE", status=503),
    "openai-chat": error_of("openai-chat", "Busy.", code="server_error", kind="server_error"),
    "openai-responses": json.dumps(
        {"id": "r", "object": "response", "status": "failed", "output": [], "model": "m",
         "error": {"code": "server_error", "message": "Busy."}}
    ).encode(),
    "anthropic": error_of("anthropic", "Busy.", kind="overloaded_error"),
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What every request is answered with, and what becomes of a run with two retries and one repair.

    `answers` go before `answer`, by protocol. `stored` are answers and failures in the store behind it.
    """

    id: str
    kind: str
    requests: int
    exit_code: int = 3
    answer: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, bytes] = field(default_factory=dict)
    stored: tuple[int, int] = (0, 0)


FAULTS = (
    *(
        Fault(f"{status} without a word", "transient", 3, answer={"status": status, "raw": b""})
        for status in (408, 409, 429, 500, 502, 503, 504, 529)
    ),
    Fault("500 as plain text", "transient", 3, answer={"status": 500, "raw": b"oops", "headers": TEXT}),
    Fault("502 as a web page", "transient", 3, answer={"status": 502, "raw": b"<html>Bad Gateway</html>"}),
    *(
        Fault(f"{status}", kind, 1, answer={"status": status, "text": "No."})
        for status, kind in (
            (400, "bad-request"), (401, "auth"), (402, "quota"), (403, "auth"), (404, "not-found"), (413, "bad-request"),
            (422, "bad-request"),
        )
    ),
    Fault("a quota that is used up", "quota", 1, answer={"status": 429}, raw=QUOTA),
    Fault("a wrong key", "auth", 1, answer={"status": 400}, raw=BAD_KEY),
    Fault("a prompt that is too long", "bad-request", 1, answer={"status": 400}, raw=TOO_LONG),
    Fault("an error inside a 200", "transient", 3, raw=BUSY_IN_200),
    Fault("a web page", "bad-answer", 1, answer={"raw": b"<!DOCTYPE html><html>It works!</html>"}),
    Fault("an empty body", "bad-answer", 1, answer={"raw": b""}),
    Fault("no JSON", "bad-answer", 1, answer={"raw": b"upstream connect error"}),
    Fault("another object", "bad-answer", 1, answer={"raw": b'{"hello": "world"}'}),
    Fault("a list", "bad-answer", 1, answer={"raw": b"[1, 2]"}),
    Fault("a redirect", "bad-answer", 1, answer={"status": 301, "headers": {"location": "https://other.example/"}}),
    Fault("closed at once", "unknown-delivery", 3, answer={"wire": b""}),
    Fault("closed in the middle", "unknown-delivery", 3, answer={"wire": wire(b'{"a', length=99)}),
    Fault("cut without a text", "cut", 1, 1, {"text": "", "finish": "length"}, stored=(0, 1)),
    Fault("cut in a text", "cut", 1, 1, {"text": '{"radi', "finish": "length"}, stored=(0, 1)),
    Fault("cut although the text fits", "cut", 1, 1, {"text": SAID, "finish": "length"}, stored=(0, 1)),
    Fault("refused", "refused", 1, 1, {"text": "No.", "finish": "refused"}, stored=(0, 1)),
    Fault("half a JSON although it stopped", "invalid", 2, 1, {"text": '{"radius": 17'}, stored=(1, 1)),
)  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_has_its_kind_and_its_number_of_requests_and_leaves_nothing(
    tmp_path: Path, counting_server: Any, dialect: str, fault: Fault
) -> None:
    server = start(tmp_path, counting_server, dialect)
    given = {**fault.answer, **({"raw": fault.raw[dialect]} if fault.raw else {})}
    server.respond = lambda *_: counting_server.Answer(**given)
    result = runner.run(tmp_path / "flow.yaml")
    failure = result.failures[0].failure
    assert failure is not None
    assert (str(failure.kind), server.count, server.refused) == (fault.kind, fault.requests, [])
    assert (result.exit_code, kept(tmp_path)) == (fault.exit_code, fault.stored)
    server.respond = lambda *_: counting_server.Answer(SAID)
    server.forget()
    healed = runner.run(tmp_path / "flow.yaml")
    assert (healed.exit_code, healed.outputs, server.count) == (0, {"radius": 1737}, 1)


def test_the_seconds_of_a_run_end_an_answer_that_does_not_come(tmp_path: Path, counting_server: Any) -> None:
    for dialect in DIALECTS:
        folder = tmp_path / dialect
        folder.mkdir()
        server = start(folder, counting_server, dialect, FLOW.replace("timeout: 5s", "timeout: 100ms"))
        server.respond = lambda *_: counting_server.Answer(delay_s=30.0)
        result = runner.run(folder / "flow.yaml")
        assert [str(one.failure.kind) for one in result.failures if one.failure] == ["unknown-delivery"]
        assert (server.count, kept(folder)) == (3, (0, 0))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refused_connection_is_tried_again_and_was_never_paid(
    tmp_path: Path, counting_server: Any, dialect: str, waits: list[float]
) -> None:
    server = start(tmp_path, counting_server, dialect)
    server.stop()
    result = runner.run(tmp_path / "flow.yaml")
    assert [str(one.failure.kind) for one in result.failures if one.failure] == ["transient"]
    assert (result.exit_code, server.count) == (3, 0)
    assert len(waits) >= 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_provider_that_wants_a_key_and_has_none_is_told_where_to_name_it(
    tmp_path: Path, counting_server: Any, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(tmp_path, counting_server, dialect)
    server.respond = lambda *_: counting_server.Answer(status=401, text="No key.")
    fixes = [problem.fix for problem in runner.run(tmp_path / "flow.yaml").problems]
    assert fixes == ["runner.yaml: name the variable that holds its key in providers.box.key_env"]
    settings = (tmp_path / "runner.yaml").read_text("utf-8").replace("identity:", "key_env: BOX_KEY, identity:")
    (tmp_path / "runner.yaml").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("BOX_KEY", "a-wrong-one")
    assert [problem.fix for problem in runner.run(tmp_path / "flow.yaml").problems] == [""]


# Waits that a provider asks for

RETRY_INFO = json.dumps(
    {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED",
               "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}]}}
).encode()  # fmt: skip
DATE = {"date": "Sun, 22 Nov 2026 12:00:00 GMT", "retry-after": "Sun, 22 Nov 2026 12:00:21 GMT"}
RESETS = {
    "openai-chat": {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12s"},
    "openai-responses": {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6s"},
    "anthropic": {
        "date": "Sun, 22 Nov 2026 12:00:00 GMT",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-22T12:00:09Z",
    },
}
WISHES: tuple[tuple[str, str, dict[str, Any], float], ...] = (
    *((dialect, "seconds", {"headers": {"retry-after": "11"}}, 11.0) for dialect in DIALECTS),
    *((dialect, "milliseconds", {"headers": {"retry-after-ms": "2500"}}, 2.5) for dialect in DIALECTS),
    *((dialect, "a date", {"headers": DATE}, 21.0) for dialect in DIALECTS),
    ("gemini", "RetryInfo", {"raw": RETRY_INFO}, 37.5),
    ("openai-chat", "a reset", {"headers": RESETS["openai-chat"]}, 12.0),
    ("openai-responses", "a reset", {"headers": RESETS["openai-responses"]}, 6.0),
    ("anthropic", "a reset", {"headers": RESETS["anthropic"]}, 9.0),
)


@pytest.mark.parametrize(
    ("dialect", "answer", "least_s"), [pytest.param(d, a, s, id=f"{d}-{name}") for d, name, a, s in WISHES]
)
def test_a_wait_that_is_asked_for_is_kept_once_for_each_answer(
    tmp_path: Path, counting_server: Any, dialect: str, answer: dict[str, Any], least_s: float, waits: list[float]
) -> None:
    server = start(tmp_path, counting_server, dialect)
    limited, good = counting_server.Answer(status=429, **answer), counting_server.Answer(SAID)
    server.respond = lambda _d, _b, n: limited if n == 1 else good
    result = runner.run(tmp_path / "flow.yaml")
    assert (result.exit_code, server.count) == (0, 2)
    assert least_s <= sum(waits) <= least_s * 1.5 + 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_hint_of_each_answer_is_its_own(
    tmp_path: Path, counting_server: Any, dialect: str, waits: list[float]
) -> None:
    server = start(tmp_path, counting_server, dialect)
    hints = {1: "3", 2: "40"}
    server.respond = lambda _d, _b, n: (
        counting_server.Answer(status=429, headers={"retry-after": hints[n]})
        if n in hints
        else counting_server.Answer(SAID)
    )
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert server.count == 3
    assert 43 <= sum(waits) <= 70


# Stopping early

MANY = """
format: 1
data: {rows: {file: rows.jsonl, key: id}}
defaults: {model: box/some-model, max_parallel: 4}
steps:
  tell:
    for_each: data.rows
    prompt: "Tell of {{ item.id }}."
"""


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("status", "raw"), [(401, BAD_KEY), (429, QUOTA), (404, None)], ids=["key", "quota", "model"])
def test_what_no_other_row_would_fare_better_with_stops_the_run_early(
    tmp_path: Path, counting_server: Any, dialect: str, status: int, raw: Mapping[str, bytes] | None
) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"id": "r{n}"}}\n' for n in range(200)), encoding="utf-8")
    server = start(tmp_path, counting_server, dialect, MANY)
    server.respond = lambda *_: counting_server.Answer(status=status, raw=raw[dialect] if raw else None)
    result = runner.run(tmp_path / "flow.yaml")
    assert (result.exit_code, kept(tmp_path)) == (3, (0, 0))
    assert server.count <= 4 + 10


# Gateways


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_gateways_500_that_means_400_is_asked_once(tmp_path: Path, counting_server: Any, dialect: str) -> None:
    server = start(tmp_path, counting_server, dialect)
    message = "unknown field 'x' (request id: 20261122)"
    body = {"error": {"message": message, "type": "comet_api_error", "code": "invalid_request"}}
    server.respond = lambda *_: counting_server.Answer(status=500, raw=json.dumps(body).encode())
    result = runner.run(tmp_path / "flow.yaml")
    assert [(str(one.failure.kind), one.failure.message) for one in result.failures if one.failure] == [
        ("bad-request", f"the provider answered 500: {message}")
    ]
    assert (result.exit_code, server.count) == (3, 1)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "answer",
    [
        {"status": 301, "headers": {"location": "/v1/"}},
        {"status": 404, "raw": b"<html>Not here</html>"},
        {"raw": b"<html>"},
    ],
    ids=["301", "404 as a web page", "200 as a web page"],
)
def test_a_wrong_path_at_a_gateway_is_asked_once_and_told(
    tmp_path: Path, counting_server: Any, dialect: str, answer: dict[str, Any]
) -> None:
    server = start(tmp_path, counting_server, dialect)
    server.respond = lambda *_: counting_server.Answer(**answer)
    result = runner.run(tmp_path / "flow.yaml")
    assert (result.exit_code, server.count, kept(tmp_path)) == (3, 1, (0, 0))
    assert "base_url" in str(result.failures[0].failure and result.failures[0].failure.message)
