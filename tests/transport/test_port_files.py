"""Requests that show files, over HTTP: bodies read while they are sent, uploads, and names that are forgotten."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from runner.core.media import Attachment, Medium
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport import port, sending
from runner.transport.port import HttpTransport
from runner.transport.secrets import Secrets, Trust

MakeMedium = Callable[..., Medium]
MakeRoute = Callable[..., Route]

CANARY = "sk-canary-1234567890"
ENVIRON = {"HOME": "/home/me", "BOX_KEY": CANARY}


class Service:
    """Takes uploads at /v1/files, the first of which is called file-1; `refuses` is what questions are answered with."""

    def __init__(self, refuses: list[int] | None = None, upload: httpx.Response | None = None) -> None:
        self.refuses = refuses or []
        self.upload = upload
        self.uploads: list[httpx.Request] = []
        self.questions: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/files":
            self.uploads.append(request)
            return self.upload or httpx.Response(200, json={"id": f"file-{len(self.uploads)}"})
        self.questions.append(request)
        return httpx.Response(self.refuses.pop(0) if self.refuses else 200, content=b"told")

    @property
    def named(self) -> list[str]:
        return [json.loads(one.content)["file"] for one in self.questions]


def failure_of(_request: Request, status: int, _headers: Mapping[str, str], body: bytes) -> Failure:
    return Failure(FailureKind.TRANSIENT, f"{status} {body.decode()}")


def transport(inner: httpx.AsyncBaseTransport) -> HttpTransport:
    return HttpTransport(Secrets(ENVIRON, Trust()), failure_of, inner=inner)


def asks(medium: Medium, *, by_upload: bool = False) -> Request:
    one = Attachment(medium, b"@1", (b'"file":"', b'"'), (b'"file":"', b'"'), by_upload=by_upload)
    return Request("openai-chat", 1, "box", "/chat/completions", b"{@1}", attachments=(one,))


def send(inner: httpx.AsyncBaseTransport, route: Route, *requests: Request) -> list[bytes]:
    async def all_of() -> list[bytes]:
        http = transport(inner)
        try:
            return [await http.send(route, request, timeout_s=5) for request in requests]
        finally:
            await http.aclose()

    return asyncio.run(all_of())


def fail(inner: httpx.AsyncBaseTransport, route: Route, *requests: Request) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        send(inner, route, *requests)
    assert CANARY not in repr(caught.value.failure)
    return caught.value


def test_a_small_file_is_sent_within_the_body(make_route: MakeRoute, make_medium: MakeMedium) -> None:
    service = Service()
    assert send(httpx.MockTransport(service), make_route(), asks(make_medium(b"one"))) == [b"told"]
    assert [one.content for one in service.questions] == [b'{"file":"b25l"}']
    assert service.uploads == []


def test_a_large_file_is_read_while_it_is_sent_and_its_length_is_told(
    make_route: MakeRoute, make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "HELD_BYTES", 0)
    service, request = Service(), asks(make_medium(b"one"))
    assert send(httpx.MockTransport(service), make_route(), request, request) == [b"told", b"told"]
    assert [one.content for one in service.questions] == [b'{"file":"b25l"}'] * 2
    headers = service.questions[0].headers
    assert (headers["content-length"], headers["authorization"]) == ("15", f"Bearer {CANARY}")
    assert "transfer-encoding" not in headers


def test_a_large_file_that_has_changed_stops_the_request_in_its_middle(
    make_route: MakeRoute, make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "HELD_BYTES", 0)
    medium, service = make_medium(b"one"), Service()
    Path(medium.path).write_bytes(b"two")
    failed = fail(httpx.MockTransport(service), make_route(), asks(medium))
    assert failed.failure.message == "media/a.png has changed while the run went on; run it again"
    assert (failed.failure.kind, failed.requests, service.questions) == (FailureKind.RENDER, 0, [])


def test_clients_of_another_loop_are_forgotten(
    make_route: MakeRoute, make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "HELD_BYTES", 0)
    service = Service()
    http, route, request = transport(httpx.MockTransport(service)), make_route(), asks(make_medium())
    told = [asyncio.run(http.send(route, request, timeout_s=5)) for _ in range(2)]
    assert told == [b"told", b"told"]


def test_an_uploaded_file_is_named_and_uploaded_once(make_route: MakeRoute, make_medium: MakeMedium) -> None:
    service, request = Service(), asks(make_medium(), by_upload=True)
    assert send(httpx.MockTransport(service), make_route(), request, request) == [b"told", b"told"]
    assert (service.named, len(service.uploads)) == (["file-1", "file-1"], 1)
    headers = service.uploads[0].headers
    assert (headers["authorization"], headers["user-agent"]) == (f"Bearer {CANARY}", "runner")


def test_the_pieces_that_go_to_the_place_of_an_upload_carry_no_key(
    make_route: MakeRoute, make_medium: MakeMedium
) -> None:
    keyed: dict[str, bool] = {}

    def reply(request: httpx.Request) -> httpx.Response:
        keyed[request.url.path] = CANARY in str(request.headers.raw)
        file = {"state": "ACTIVE", "uri": "uri/1"}
        headers = {"x-goog-upload-url": "http://127.0.0.1:9/place", "x-goog-upload-status": "final"}
        return httpx.Response(200, json={"file": file}, headers=headers)

    route = make_route(dialect="gemini", base_url="http://127.0.0.1:9")
    send(httpx.MockTransport(reply), route, asks(make_medium(), by_upload=True))
    assert keyed == {"/upload/v1beta/files": True, "/place": False, "/chat/completions": True}


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_name_that_the_provider_has_forgotten_is_made_anew_once(
    make_route: MakeRoute, make_medium: MakeMedium, status: int
) -> None:
    service, request = Service([200, status]), asks(make_medium(), by_upload=True)
    assert send(httpx.MockTransport(service), make_route(), request, request) == [b"told", b"told"]
    assert service.named == ["file-1", "file-1", "file-2"]


def test_a_question_that_is_refused_again_after_the_upload_fails(
    make_route: MakeRoute, make_medium: MakeMedium
) -> None:
    service, request = Service([200, 404, 404]), asks(make_medium(), by_upload=True)
    assert fail(httpx.MockTransport(service), make_route(), request, request).failure.message == "404 told"
    assert service.named == ["file-1", "file-1", "file-2"]


def test_another_failure_is_no_reason_to_upload_again(make_route: MakeRoute, make_medium: MakeMedium) -> None:
    service, request = Service([200, 500]), asks(make_medium(), by_upload=True)
    assert fail(httpx.MockTransport(service), make_route(), request, request).failure.message == "500 told"
    assert len(service.uploads) == 1


def test_a_question_about_a_file_just_uploaded_is_not_sent_twice(
    make_route: MakeRoute, make_medium: MakeMedium
) -> None:
    service = Service([404])
    failed = fail(httpx.MockTransport(service), make_route(), asks(make_medium(), by_upload=True))
    assert (failed.failure.message, failed.failure.status) == ("404 told", 404)
    assert (len(service.uploads), len(service.questions)) == (1, 1)


def test_an_upload_that_is_refused_tells_why_without_the_key(make_route: MakeRoute, make_medium: MakeMedium) -> None:
    service = Service(upload=httpx.Response(401, text=f"not with {CANARY}"))
    failed = fail(httpx.MockTransport(service), make_route(), asks(make_medium(), by_upload=True))
    assert (failed.failure.message, failed.failure.status) == ("401 not with ***", 401)
    assert (failed.requests, service.questions) == (0, [])


def test_an_upload_follows_no_redirect(make_route: MakeRoute, make_medium: MakeMedium) -> None:
    service = Service(upload=httpx.Response(307, headers={"location": "http://127.0.0.2/v1/files?a=1"}))
    failed = fail(httpx.MockTransport(service), make_route(), asks(make_medium(), by_upload=True))
    assert failed.failure.message == "'box' redirects to 127.0.0.2, which is not followed; check base_url"
    assert len(service.uploads) == 1


def test_an_upload_whose_connection_breaks_fails_and_may_be_tried_again(
    make_route: MakeRoute, make_medium: MakeMedium
) -> None:
    def reply(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("broken")

    failed = fail(httpx.MockTransport(reply), make_route(), asks(make_medium(), by_upload=True))
    assert failed.failure == Failure(
        FailureKind.TRANSIENT, "a file could not be uploaded to 'box': the connection failed"
    )
    assert (failed.requests, failed.__cause__) == (0, None)


def test_an_upload_that_never_ends_is_given_up(
    make_route: MakeRoute, make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "UPLOAD_S", 0.01)

    async def reply(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    failed = fail(httpx.MockTransport(reply), make_route(), asks(make_medium(), by_upload=True))
    assert failed.failure.message == "a file could not be uploaded to 'box': the connection failed"


def test_a_file_is_uploaded_to_no_address_that_makes_none(make_route: MakeRoute, make_medium: MakeMedium) -> None:
    service, medium = Service(), make_medium()
    one = Attachment(medium, b"@1", (b"", b""), (b"", b""), by_upload=True)
    request = Request("openai-chat", 1, "box", "no path", b"{@1}", attachments=(one,))
    failed = fail(httpx.MockTransport(service), make_route(), request)
    assert failed.failure.message == "the model's name and the base_url of 'box' do not make a valid address"
    assert service.uploads == []
