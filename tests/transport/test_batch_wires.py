"""The calls of the batch interfaces: what is sent where, what is understood, and what every odd answer comes to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.core.batch import BatchWire, JobError, JobState, JobStatus
from runner.core.model import Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.transport import batch_gemini, batch_http, batch_openai
from runner.transport.batch_gemini import GeminiBatchWire
from runner.transport.batch_http import BatchHttp
from runner.transport.batch_openai import OpenAIBatchWire
from runner.transport.secrets import Secrets, Trust

MakeRoute = Callable[..., Route]
MakeProvider = Callable[..., Provider]
Answer = Callable[[httpx.Request], httpx.Response]

CANARY = "sk-canary-1234567890"
ENVIRON = {"HOME": "/home/me", "BOX_KEY": CANARY, "BOX_ORG": "org-1"}
PAGES = 3


def failure_of(_dialect: str, status: int, _headers: Mapping[str, str], body: bytes) -> Failure:
    """A dialect that shows all it is given."""
    return Failure(FailureKind.TRANSIENT, f"{status}: {body.decode()}")


class Stream(httpx.AsyncByteStream):
    """A body that comes in pieces; an exception among them is raised in its place."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def http_of(answer: Callable[[httpx.Request], Any], environ: Mapping[str, str] = ENVIRON) -> BatchHttp:
    return BatchHttp(Secrets(environ, Trust()), failure_of, inner=httpx.MockTransport(answer))


def said(*values: Any) -> tuple[Answer, list[httpx.Request]]:
    """A server that gives these answers one after the other, and all that was asked of it."""
    asked: list[httpx.Request] = []
    left = iter(values)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        value = next(left)
        return value if isinstance(value, httpx.Response) else httpx.Response(200, json=value)

    return answer, asked


def failure_in(http: BatchHttp, act: Callable[[], Awaitable[Any]]) -> CallFailed:
    async def run() -> None:
        try:
            await act()
        finally:
            await http.aclose()

    with pytest.raises(CallFailed) as caught:
        asyncio.run(run())
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


async def collect(lines: AsyncIterator[bytes]) -> list[bytes]:
    return [line async for line in lines]


# One call


def test_a_call_carries_the_key_and_the_headers_of_the_provider(make_provider: MakeProvider) -> None:
    answer, asked = said({}, {})
    http = http_of(answer)

    async def run() -> None:
        await http.call(make_provider(header_env=(("openai-organization", "BOX_ORG"),)), "GET", "/batches")
        await http.call(make_provider(dialect="gemini"), "GET", "/batches")
        await http.aclose()

    asyncio.run(run())
    assert asked[0].headers["authorization"] == f"Bearer {CANARY}"
    assert asked[0].headers["openai-organization"] == "org-1"
    assert (asked[1].headers["x-goog-api-key"], "authorization" in asked[1].headers) == (CANARY, False)
    assert (str(asked[0].url), asked[0].headers["accept-encoding"]) == ("http://127.0.0.1:9/v1/batches", "identity")


def test_a_provider_without_a_key_is_called_without_one(make_provider: MakeProvider) -> None:
    answer, asked = said({}, httpx.Response(200, stream=Stream(b"{}\n")))
    http = http_of(answer)
    provider = make_provider(key_env="")

    async def run() -> list[bytes]:
        await http.call(provider, "GET", "/batches")
        return await collect(http.lines(provider, "/files/f/content"))

    assert asyncio.run(run()) == [b"{}"]
    assert not {"authorization", "x-goog-api-key"} & {name.lower() for request in asked for name in request.headers}


def test_a_refusal_is_told_in_the_words_of_the_dialect_without_the_key(make_provider: MakeProvider) -> None:
    http = http_of(said(httpx.Response(401, text=f"no: {CANARY}"))[0])
    failure = failure_in(http, lambda: http.call(make_provider(), "GET", "/batches")).failure
    assert failure == Failure(FailureKind.TRANSIENT, "401: no: ***", status=401)


def test_a_call_has_a_deadline(make_provider: MakeProvider) -> None:
    async def answer(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    http = http_of(answer)
    error = failure_in(http, lambda: http.call(make_provider(), "GET", "/batches", timeout_s=0.01))
    assert error.failure == Failure(FailureKind.TRANSIENT, "no connection to 'box' within 0.01 s")


def test_a_connection_that_is_refused_has_certainly_not_delivered(make_provider: MakeProvider) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("slow")

    http = http_of(answer)
    error = failure_in(http, lambda: http.call(make_provider(), "POST", "/batches", body={}))
    assert error.failure == Failure(FailureKind.TRANSIENT, "no connection to 'box' within 10 s")


def test_a_call_counts_as_delivered_once_its_head_is_on_its_way(make_provider: MakeProvider) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        trace = request.extensions["trace"]
        await trace("connection.connect_tcp.started", {})
        await trace("http11.send_request_headers.started", {})
        await trace("http11.send_request_headers.complete", {})
        await asyncio.Event().wait()
        raise AssertionError

    http = http_of(answer)
    error = failure_in(http, lambda: http.call(make_provider(), "POST", "/batches", body={}, timeout_s=0.01))
    text = "'box' did not answer in full within 0.01 s; it may have been paid"
    assert error.failure == Failure(FailureKind.UNKNOWN_DELIVERY, text)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"base_url": "http://box.example"}, FailureKind.BAD_REQUEST,
         "provider 'box' would send prompts to box.example without encryption"),
        ({"key_env": "NO_KEY"}, FailureKind.AUTH, None),
    ],
)  # fmt: skip
def test_no_call_is_made_to_an_unsafe_address_or_without_the_key(
    make_provider: MakeProvider, changes: dict[str, str], kind: FailureKind, message: str | None
) -> None:
    answer, asked = said()
    provider = make_provider(**changes)
    problem = Secrets(ENVIRON, Trust()).check(provider)
    assert problem is not None
    http = http_of(answer)
    error = failure_in(http, lambda: http.call(provider, "GET", "/batches"))
    assert (error.failure, error.requests, asked) == (Failure(kind, message or problem.message), 0, [])


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:10/up", "https://127.0.0.1:9/up", "http://evil.example/up", "http://127.0.0.1:x/up"]
)
def test_the_key_goes_to_no_other_host(make_provider: MakeProvider, address: str) -> None:
    answer, asked = said()
    http = http_of(answer)
    error = failure_in(http, lambda: http.call(make_provider(), "POST", address, content=b""))
    text = "'box' names an address of another host, to which the key is not sent"
    assert (error.failure, error.requests, asked) == (Failure(FailureKind.BAD_ANSWER, text), 0, [])


# Files of answers


def test_lines_are_put_together_from_the_pieces_that_come(make_provider: MakeProvider) -> None:
    http = http_of(said(httpx.Response(200, stream=Stream(b'{"a"', b':1}\n\n \n{"b":2}\n{"c"', b":3}")))[0])
    assert asyncio.run(collect(http.lines(make_provider(), "/f"))) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_a_file_that_is_refused_is_a_failure(make_provider: MakeProvider) -> None:
    http = http_of(said(httpx.Response(404, text="gone"))[0])
    error = failure_in(http, lambda: collect(http.lines(make_provider(), "/f")))
    assert error.failure == Failure(FailureKind.TRANSIENT, "404: gone", status=404)


def test_a_connection_that_breaks_in_a_file_is_worth_another_try(make_provider: MakeProvider) -> None:
    http = http_of(said(httpx.Response(200, stream=Stream(b"{}\n", httpx.ReadError("broken"))))[0])
    error = failure_in(http, lambda: collect(http.lines(make_provider(), "/f")))
    assert error.failure == Failure(FailureKind.TRANSIENT, "the connection to 'box' broke in a file of answers")


def test_a_line_that_repeats_the_key_is_not_kept(make_provider: MakeProvider) -> None:
    http = http_of(said(httpx.Response(200, stream=Stream(f'{{"a":"{CANARY}"}}\n'.encode())))[0])
    error = failure_in(http, lambda: collect(http.lines(make_provider(), "/f")))
    text = "an answer of 'box' repeats the API key, so it is not kept"
    assert error.failure == Failure(FailureKind.BAD_ANSWER, text, status=200)


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch, make_provider: MakeProvider) -> None:
    monkeypatch.setattr(batch_http, "MOST_LINE_BYTES", 10)
    http = http_of(said(httpx.Response(200, stream=Stream(b"0123456789", b"x")))[0])
    error = failure_in(http, lambda: collect(http.lines(make_provider(), "/f")))
    assert error.failure == Failure(FailureKind.BAD_ANSWER, "the answer of 'box' is larger than any answer should be")


# OpenAI


def test_openai_uploads_a_form_and_starts_a_job_that_bears_its_name(tmp_path: Path, make_route: MakeRoute) -> None:
    path = tmp_path / "input.jsonl"
    path.write_bytes(b'{"custom_id":"k"}\n')
    answer, asked = said({"id": "file-1"}, {"id": "batch-1"})
    wire: BatchWire = OpenAIBatchWire(http_of(answer))

    async def run() -> tuple[str, str]:
        route = make_route()
        ids = await wire.upload(route, "n", path), await wire.create(route, "/responses", "n", "file-1")
        await wire.aclose()
        return ids

    assert asyncio.run(run()) == ("file-1", "batch-1")
    assert asked[0].url.path == "/v1/files"
    assert b'name="purpose"\r\n\r\nbatch\r\n' in asked[0].content
    assert b'filename="n.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n{"custom_id":"k"}\n\r\n' in asked[0].content
    assert json.loads(asked[1].content) == {
        "input_file_id": "file-1",
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "metadata": {"runner_batch": "n"},
    }


def openai_page(*names: str, has_more: bool = False) -> Any:
    return {"data": [{"id": f"id-{name}", "metadata": {"runner_batch": name}} for name in names], "has_more": has_more}


def test_openai_finds_a_job_by_its_name_on_any_page(make_route: MakeRoute) -> None:
    answer, asked = said(openai_page("a", "b", has_more=True), openai_page("c"))
    assert asyncio.run(OpenAIBatchWire(http_of(answer)).find(make_route(), "c")) == "id-c"
    assert [dict(request.url.params) for request in asked] == [{"limit": "100"}, {"limit": "100", "after": "id-b"}]


@pytest.mark.parametrize(
    "page",
    [
        {"data": []},
        {"data": ["odd", {"id": "x", "metadata": None}, {"id": "x", "metadata": ["c"]}]},
        {"data": [], "has_more": True},
    ],
)
def test_openai_finds_nothing_where_nothing_is(make_route: MakeRoute, page: Any) -> None:
    assert asyncio.run(OpenAIBatchWire(http_of(said(page)[0])).find(make_route(), "c")) is None


def test_a_list_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch, make_route: MakeRoute) -> None:
    monkeypatch.setattr(batch_openai, "MOST_PAGES", PAGES)
    monkeypatch.setattr(batch_gemini, "MOST_PAGES", PAGES)
    answer, asked = said(*[openai_page("a", has_more=True)] * PAGES)
    assert asyncio.run(OpenAIBatchWire(http_of(answer)).find(make_route(), "c")) is None
    assert len(asked) == PAGES
    answer, asked = said(*[{"operations": [], "nextPageToken": "t"}] * PAGES)
    assert asyncio.run(GeminiBatchWire(http_of(answer)).find(make_route(dialect="gemini"), "c")) is None
    assert len(asked) == PAGES


@pytest.mark.parametrize(
    ("job", "state"),
    [
        ({"status": "in_progress", "request_counts": {"total": 3, "completed": 1, "failed": 1}},
         JobState(JobStatus.RUNNING, done=2, total=3)),
        ({"status": "completed", "output_file_id": "o", "error_file_id": "e"}, JobState(JobStatus.ENDED, ("o", "e"))),
        ({"status": "expired", "output_file_id": None, "error_file_id": "e"}, JobState(JobStatus.EXPIRED, ("e",))),
        ({"status": "cancelled", "request_counts": {"total": 0}}, JobState(JobStatus.CANCELLED)),
        ({"status": "failed", "errors": {"data": [{"code": "c", "message": "m", "line": 2}, {"line": "x"}]}},
         JobState(JobStatus.FAILED, errors=(JobError("c", "m", 2), JobError("", "")))),
        ({"status": "odd"}, JobState(JobStatus.RUNNING)),
        ({"status": "validating", "request_counts": [1], "errors": ["no"], "output_file_id": 7},
         JobState(JobStatus.RUNNING)),
        ({"status": "completed", "request_counts": {"total": "3"}, "errors": {"data": {"code": "c"}}},
         JobState(JobStatus.ENDED)),
    ],
)  # fmt: skip
def test_an_openai_job_in_our_terms(make_route: MakeRoute, job: Any, state: JobState) -> None:
    answer, asked = said(job)
    assert asyncio.run(OpenAIBatchWire(http_of(answer)).look(make_route(), "batch-1")) == state
    assert asked[0].url.path == "/v1/batches/batch-1"


@pytest.mark.parametrize("odd", [[], "job", 7, {}, {"id": "x"}, {"status": 3}])
def test_what_is_no_job_is_not_waited_for(make_route: MakeRoute, odd: Any) -> None:
    http = http_of(said(odd)[0])
    error = failure_in(http, lambda: OpenAIBatchWire(http).look(make_route(), "batch-1"))
    assert error.failure == Failure(FailureKind.BAD_ANSWER, "the batch interface answered without 'status'", status=200)


@pytest.mark.parametrize("odd", [[], "jobs", {}, {"data": None}, {"data": {"id": "x"}}])
def test_what_is_no_list_of_jobs_is_not_taken_for_an_empty_one(make_route: MakeRoute, odd: Any) -> None:
    http = http_of(said(odd)[0])
    error = failure_in(http, lambda: OpenAIBatchWire(http).find(make_route(), "c"))
    assert error.failure == Failure(FailureKind.BAD_ANSWER, "the batch interface answered without 'data'", status=200)


def test_openai_reads_the_content_of_a_file(make_route: MakeRoute) -> None:
    answer, asked = said(httpx.Response(200, stream=Stream(b"{}\n")))
    assert asyncio.run(collect(OpenAIBatchWire(http_of(answer)).lines(make_route(), "file-2"))) == [b"{}"]
    assert asked[0].url.path == "/v1/files/file-2/content"


@pytest.mark.parametrize("value", [[], {}, {"id": ""}, {"id": 1}])
def test_an_answer_without_an_id_is_a_bad_one(make_route: MakeRoute, value: Any) -> None:
    http = http_of(said(value)[0])
    error = failure_in(http, lambda: OpenAIBatchWire(http).create(make_route(), "/responses", "n", "f"))
    assert error.failure == Failure(FailureKind.BAD_ANSWER, "the batch interface answered without 'id'", status=200)


def test_an_answer_that_is_not_json_is_a_bad_one(make_route: MakeRoute) -> None:
    http = http_of(said(httpx.Response(200, text="<html>"))[0])
    error = failure_in(http, lambda: OpenAIBatchWire(http).look(make_route(), "b"))
    text = "the batch interface answered with something that is not JSON"
    assert error.failure == Failure(FailureKind.BAD_ANSWER, text, status=200)


# Gemini


@pytest.fixture
def gemini(make_route: MakeRoute) -> Route:
    return make_route(dialect="gemini", base_url="http://127.0.0.1:9")


STARTED = {"x-goog-upload-url": "http://127.0.0.1:9/uploads/1"}


def test_gemini_uploads_in_pieces_and_starts_a_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gemini: Route
) -> None:
    monkeypatch.setattr(batch_gemini, "PIECE_BYTES", 4)
    path = tmp_path / "input.jsonl"
    path.write_bytes(b"0123456")
    answer, asked = said(httpx.Response(200, headers=STARTED), {}, {"file": {"name": "files/1"}}, {"name": "batches/1"})
    wire: BatchWire = GeminiBatchWire(http_of(answer))

    async def run() -> tuple[str, str]:
        endpoint = "/v1beta/models/m:generateContent"
        ids = await wire.upload(gemini, "n", path), await wire.create(gemini, endpoint, "n", "files/1")
        await wire.aclose()
        return ids

    assert asyncio.run(run()) == ("files/1", "batches/1")
    assert asked[0].headers["x-goog-upload-header-content-length"] == "7"
    pieces = [
        (request.headers["x-goog-upload-offset"], request.headers["x-goog-upload-command"], request.content)
        for request in asked[1:3]
    ]
    assert pieces == [("0", "upload", b"0123"), ("4", "upload, finalize", b"456")]
    assert asked[3].url.path == "/v1beta/models/m:batchGenerateContent"
    assert json.loads(asked[3].content) == {"batch": {"displayName": "n", "inputConfig": {"fileName": "files/1"}}}


def test_gemini_starts_a_job_of_vectors_in_a_way_of_its_own(gemini: Route) -> None:
    answer, asked = said({"name": "batches/1"})
    wire: BatchWire = GeminiBatchWire(http_of(answer))

    async def run() -> str:
        return await wire.create(gemini, "/v1beta/models/v:embedContent", "n", "files/1")

    assert asyncio.run(run()) == "batches/1"
    assert asked[0].url.path == "/v1beta/models/v:asyncBatchEmbedContent"
    assert json.loads(asked[0].content) == {"batch": {"displayName": "n", "inputConfig": {"fileName": "files/1"}}}


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([{}], "the upload was started, but not where it goes"),
        ([httpx.Response(200, headers=STARTED), []], "the batch interface answered without 'name'"),
        ([httpx.Response(200, headers=STARTED), {}], "the batch interface answered without 'name'"),
    ],
)
def test_an_upload_that_comes_to_no_file_is_a_failure(
    tmp_path: Path, gemini: Route, answers: list[Any], message: str
) -> None:
    path = tmp_path / "input.jsonl"
    path.write_bytes(b"{}\n")
    http = http_of(said(*answers)[0])
    error = failure_in(http, lambda: GeminiBatchWire(http).upload(gemini, "n", path))
    assert error.failure == Failure(FailureKind.BAD_ANSWER, message, status=200)


def test_gemini_finds_a_job_by_its_name_on_any_page(gemini: Route) -> None:
    first = {"operations": [{"name": "batches/0"}, {"metadata": {"displayName": "a"}}], "nextPageToken": "t"}
    second = {"operations": [{"name": "batches/1", "metadata": {"displayName": "c"}}]}
    answer, asked = said(first, second)
    assert asyncio.run(GeminiBatchWire(http_of(answer)).find(gemini, "c")) == "batches/1"
    assert [dict(request.url.params) for request in asked] == [
        {"pageSize": "100"},
        {"pageSize": "100", "pageToken": "t"},
    ]


@pytest.mark.parametrize("odd", [[], "jobs", {"operations": None}, {"operations": {"name": "x"}}])
def test_what_is_no_list_of_geminis_jobs_is_not_taken_for_an_empty_one(gemini: Route, odd: Any) -> None:
    http = http_of(said(odd)[0])
    error = failure_in(http, lambda: GeminiBatchWire(http).find(gemini, "c"))
    assert error.failure == Failure(
        FailureKind.BAD_ANSWER, "the batch interface answered without 'operations'", status=200
    )


@pytest.mark.parametrize("odd", [[], "job", {}, {"metadata": {"state": "BATCH_STATE_RUNNING"}}])
def test_what_is_no_operation_is_not_waited_for(gemini: Route, odd: Any) -> None:
    http = http_of(said(odd)[0])
    error = failure_in(http, lambda: GeminiBatchWire(http).look(gemini, "batches/1"))
    assert error.failure == Failure(FailureKind.BAD_ANSWER, "the batch interface answered without 'name'", status=200)


@pytest.mark.parametrize("page", [{}, {"operations": []}, {"operations": ["odd", {"name": "x", "metadata": "c"}]}])
def test_gemini_finds_nothing_where_nothing_is(gemini: Route, page: Any) -> None:
    assert asyncio.run(GeminiBatchWire(http_of(said(page)[0])).find(gemini, "c")) is None


@pytest.mark.parametrize(
    ("operation", "state"),
    [
        ({"metadata": {"state": "BATCH_STATE_RUNNING",
                       "batchStats": {"requestCount": "3", "successfulRequestCount": "1", "failedRequestCount": "x"}}},
         JobState(JobStatus.RUNNING, done=1, total=3)),
        ({"metadata": {"state": "BATCH_STATE_SUCCEEDED", "output": {"responsesFile": "files/2"}}},
         JobState(JobStatus.ENDED, ("files/2",))),
        ({"metadata": {"state": "JOB_STATE_EXPIRED"}, "response": {"responsesFile": "files/2"}},
         JobState(JobStatus.EXPIRED, ("files/2",))),
        ({"metadata": {"state": "BATCH_STATE_CANCELLED"}}, JobState(JobStatus.CANCELLED)),
        ({"done": True, "error": {"code": 3, "message": "No."}},
         JobState(JobStatus.FAILED, errors=(JobError("3", "No."),))),
        ({"error": {"message": None}}, JobState(JobStatus.RUNNING, errors=(JobError("", ""),))),
        ({"metadata": ["odd"], "response": "odd", "error": "odd"}, JobState(JobStatus.RUNNING)),
        ({"metadata": {"state": ["odd"], "batchStats": "odd", "output": {"responsesFile": 7}}},
         JobState(JobStatus.RUNNING)),
    ],
)  # fmt: skip
def test_a_gemini_job_in_our_terms(gemini: Route, operation: Any, state: JobState) -> None:
    answer, asked = said({"name": "batches/1", **operation})
    assert asyncio.run(GeminiBatchWire(http_of(answer)).look(gemini, "batches/1")) == state
    assert asked[0].url.path == "/v1beta/batches/1"


def test_gemini_downloads_a_file(gemini: Route) -> None:
    answer, asked = said(httpx.Response(200, stream=Stream(b"{}\n")))
    assert asyncio.run(collect(GeminiBatchWire(http_of(answer)).lines(gemini, "files/2"))) == [b"{}"]
    assert (asked[0].url.path, dict(asked[0].url.params)) == ("/v1beta/files/2:download", {"alt": "media"})
