"""Files that are uploaded first: what is sent, what is awaited, and what is remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.core.media import Medium
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.transport import uploads as module
from runner.transport.uploads import Headers, Uploads
from runner.transport.wire import Reply

MakeMedium = Callable[..., Medium]
MakeRoute = Callable[..., Route]

BASE = "http://127.0.0.1:9"
PLACE = Reply(200, {"x-goog-upload-url": f"{BASE}/place/1"}, b"")
NOW = 1_000_000.0


@dataclass
class Asked:
    method: str
    url: str
    headers: dict[str, str]
    content: bytes
    is_trusted: bool


@dataclass
class Service:
    """Answers the requests of uploads in turn."""

    replies: list[Reply]
    asked: list[Asked] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    async def ask(
        self, method: str, url: str, headers: Headers, content: bytes | AsyncIterator[bytes], *, is_trusted: bool = True
    ) -> Reply:
        held = content if isinstance(content, bytes) else b"".join([part async for part in content])
        self.asked.append(Asked(method, url, dict(headers), held, is_trusted))
        await asyncio.sleep(0)
        return self.replies.pop(0)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def uploads(self, memory: Path | None = None, now: float = NOW) -> Uploads:
        return Uploads(memory, now=lambda: now, sleep=self.sleep)


def failure_of(reply: Reply) -> Failure:
    return Failure(FailureKind.AUTH, f"the service says {reply.status}")


def body(value: Any, **headers: str) -> Reply:
    return Reply(200, {name.replace("_", "-"): text for name, text in headers.items()}, json.dumps(value).encode())


def final(**file: Any) -> Reply:
    """The last piece has come; the file is ready unless told otherwise."""
    made = {"name": "files/1", "state": "ACTIVE", "uri": "uri/1", **file}
    return body({"file": made}, x_goog_upload_status="final")


def polled(state: str = "ACTIVE") -> Reply:
    return body({"name": "files/1", "state": state, "uri": "uri/1"})


@pytest.fixture
def gemini(make_route: MakeRoute) -> Route:
    return make_route(dialect="gemini", base_url=f"{BASE}/")


@pytest.fixture
def openai(make_route: MakeRoute) -> Route:
    return make_route(base_url=f"{BASE}/v1/")


def name_of(service: Service, route: Route, medium: Medium, uploads: Uploads | None = None) -> tuple[str, bool]:
    return asyncio.run((uploads or service.uploads()).reference(route, medium, service.ask, failure_of))


def fail(service: Service, route: Route, medium: Medium) -> Failure:
    with pytest.raises(CallFailed) as caught:
        name_of(service, route, medium)
    assert caught.value.requests == 0
    return caught.value.failure


def until(memory: Path) -> float:
    """Until when the only name is remembered."""
    ((_name, until),) = json.loads(memory.read_text("utf-8")).values()
    return float(until)


def test_a_file_goes_to_gemini_in_pieces_that_carry_no_key(
    gemini: Route, make_medium: MakeMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 4)
    medium = make_medium(b"1234567890")
    service = Service([PLACE, Reply(200, {}, b""), Reply(200, {}, b""), final()])
    assert name_of(service, gemini, medium) == ("uri/1", True)
    start, *pieces = service.asked
    assert (start.method, start.url, start.is_trusted) == ("POST", f"{BASE}/upload/v1beta/files", True)
    assert json.loads(start.content) == {"file": {"displayName": medium.sha256, "mimeType": "image/png"}}
    assert start.headers == {
        "content-type": "application/json",
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": "10",
        "x-goog-upload-header-content-type": "image/png",
    }
    assert {(one.method, one.url, one.is_trusted) for one in pieces} == {("POST", f"{BASE}/place/1", False)}
    assert [(*one.headers.values(), one.content) for one in pieces] == [
        ("0", "upload", b"1234"),
        ("4", "upload", b"5678"),
        ("8", "upload, finalize", b"90"),
    ]


def test_a_file_that_is_being_worked_on_is_awaited_ever_more_patiently(gemini: Route, make_medium: MakeMedium) -> None:
    waiting = [polled("PROCESSING")] * 5
    service = Service([PLACE, final(state="PROCESSING"), *waiting, polled()])
    assert name_of(service, gemini, make_medium()) == ("uri/1", True)
    assert service.slept == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert {(one.method, one.url, one.content) for one in service.asked[2:]} == {("GET", f"{BASE}/v1beta/files/1", b"")}


def test_a_file_that_is_never_ready_is_given_up(gemini: Route, make_medium: MakeMedium) -> None:
    service = Service([PLACE, final(state="PROCESSING"), *[polled("PROCESSING")] * 100])
    failure = fail(service, gemini, make_medium())
    assert failure.message == "media/a.png could not be uploaded: 'box' was not done with it within 600 s"
    assert failure.kind is FailureKind.TRANSIENT
    assert 600 <= sum(service.slept) < 610


@pytest.mark.parametrize("headers", [{}, {"x-goog-upload-url": "http://127.0.0.2:9/place"}])
def test_a_file_is_sent_to_no_other_host(gemini: Route, make_medium: MakeMedium, headers: dict[str, str]) -> None:
    service = Service([Reply(200, headers, b"")])
    failure = fail(service, gemini, make_medium())
    assert failure.message == "media/a.png could not be uploaded: 'box' names no place of its own for the upload"
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "last",
    [
        body({"file": {"state": "ACTIVE"}}, x_goog_upload_status="active"),
        body({"file": None}, x_goog_upload_status="final"),
        body([], x_goog_upload_status="final"),
        Reply(200, {"x-goog-upload-status": "final"}, b"<html>"),
    ],
)
def test_an_upload_without_an_end_is_none(gemini: Route, make_medium: MakeMedium, last: Reply) -> None:
    failure = fail(Service([PLACE, last]), gemini, make_medium())
    assert failure.message == "media/a.png could not be uploaded: the upload was not brought to its end"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"state": "FAILED"}, "FAILED"),
        ({"state": 7}, "no reason is given"),
        ({"uri": None}, "ACTIVE"),
        ({"state": "FAILED", "error": {}}, "no reason is given"),
        ({"state": "FAILED", "error": {"message": " too\n long\x1b[1m "}}, "too long?[1m"),
        ({"state": "FAILED", "error": {"message": "x" * 300}}, "x" * 200),
    ],
)
def test_a_file_that_cannot_be_used_tells_why(
    gemini: Route, make_medium: MakeMedium, file: dict[str, Any], said: str
) -> None:
    failure = fail(Service([PLACE, final(**file)]), gemini, make_medium())
    assert failure.message == f"media/a.png could not be uploaded: 'box' cannot use it: {said}"
    assert failure.kind is FailureKind.BAD_REQUEST


@pytest.mark.parametrize(
    ("stamp", "expires"),
    [
        ("2026-11-24T10:00:00.123456789Z", 1_795_514_400.0),
        ("soon", NOW + 172_800),
        (None, NOW + 172_800),
    ],
)
def test_a_name_at_gemini_lasts_as_long_as_it_says_else_two_days(
    gemini: Route, make_medium: MakeMedium, tmp_path: Path, stamp: str | None, expires: float
) -> None:
    service = Service([PLACE, final(expirationTime=stamp)])
    name_of(service, gemini, make_medium(), service.uploads(tmp_path / "names.json"))
    assert until(tmp_path / "names.json") == expires


@pytest.mark.parametrize("before", [[], [PLACE], [PLACE, final(state="PROCESSING")]])
def test_an_upload_that_is_refused_fails_as_the_dialect_reads_it(
    gemini: Route, make_medium: MakeMedium, before: list[Reply]
) -> None:
    failure = fail(Service([*before, Reply(403, {}, b"no")]), gemini, make_medium())
    assert failure == Failure(FailureKind.AUTH, "the service says 403")


@pytest.mark.parametrize(
    ("mime", "suffix"), [("image/png", "png"), ("image/jpeg", "jpg"), ("text/plain", "txt"), ("application/pdf", "pdf")]
)
def test_a_file_goes_to_openai_as_a_form(openai: Route, make_medium: MakeMedium, mime: str, suffix: str) -> None:
    medium = make_medium(b"holds\r\nthis", mime=mime)
    service = Service([body({"id": "file-1", "expires_at": 2_000_000})])
    assert name_of(service, openai, medium) == ("file-1", True)
    (sent,) = service.asked
    boundary = sent.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    assert (sent.method, sent.url, sent.is_trusted) == ("POST", f"{BASE}/v1/files", True)
    assert sent.headers["content-length"] == str(len(sent.content))
    assert sent.content.decode().split(f"--{boundary}") == [
        "",
        '\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n',
        '\r\ncontent-disposition: form-data; name="expires_after[anchor]"\r\n\r\ncreated_at\r\n',
        '\r\ncontent-disposition: form-data; name="expires_after[seconds]"\r\n\r\n172800\r\n',
        (
            f'\r\ncontent-disposition: form-data; name="file"; filename="{medium.sha256}.{suffix}"\r\n'
            f"content-type: {mime}\r\n\r\nholds\r\nthis\r\n"
        ),
        "--\r\n",
    ]


def test_a_form_that_brings_no_id_is_a_failure(openai: Route, make_medium: MakeMedium) -> None:
    failure = fail(Service([body({"id": 1})]), openai, make_medium())
    assert failure.message == "media/a.png could not be uploaded: 'box' gives it no id"


@pytest.mark.parametrize(("expires_at", "expires"), [(1_500_000, 1_500_000.0), (None, NOW + 172_800)])
def test_a_name_at_openai_lasts_as_long_as_it_says_else_two_days(
    openai: Route, make_medium: MakeMedium, tmp_path: Path, expires_at: int | None, expires: float
) -> None:
    service = Service([body({"id": "file-1", "expires_at": expires_at})])
    name_of(service, openai, make_medium(), service.uploads(tmp_path / "names.json"))
    assert until(tmp_path / "names.json") == expires


def test_questions_at_the_same_time_upload_a_file_once(openai: Route, make_medium: MakeMedium) -> None:
    service = Service([body({"id": "file-1"})])
    medium = make_medium()

    async def both() -> list[tuple[str, bool]]:
        uploads = service.uploads()
        return await asyncio.gather(
            *(uploads.reference(openai, medium, service.ask, failure_of) for _ in range(3)),
        )

    assert asyncio.run(both()) == [("file-1", True), ("file-1", False), ("file-1", False)]


def test_a_name_is_remembered_from_run_to_run_by_its_owner_alone(
    openai: Route, make_medium: MakeMedium, tmp_path: Path
) -> None:
    memory, medium = tmp_path / "new" / "names.json", make_medium()
    service = Service([body({"id": "file-1"})])
    name_of(service, openai, medium, service.uploads(memory))
    assert name_of(service, openai, medium, service.uploads(memory)) == ("file-1", False)
    assert [path.name for path in memory.parent.iterdir()] == ["names.json"]
    assert memory.stat().st_mode & 0o777 == 0o600


def test_a_name_in_the_last_minutes_of_its_life_is_not_used(
    openai: Route, make_medium: MakeMedium, tmp_path: Path
) -> None:
    memory, medium = tmp_path / "names.json", make_medium()
    service = Service([body({"id": "file-1", "expires_at": int(NOW) + 700}), body({"id": "file-2"})])
    name_of(service, openai, medium, service.uploads(memory))
    assert name_of(service, openai, medium, service.uploads(memory, now=NOW + 99)) == ("file-1", False)
    assert name_of(service, openai, medium, service.uploads(memory, now=NOW + 100)) == ("file-2", True)


def test_a_name_that_has_to_last_longer_is_not_used_when_it_does_not(openai: Route, make_medium: MakeMedium) -> None:
    medium = make_medium()
    service = Service([body({"id": "file-1", "expires_at": int(NOW) + 7000}), body({"id": "file-2"})])
    uploads = service.uploads()

    def name(lasts_s: float) -> str:
        asked = uploads.reference(openai, medium, service.ask, failure_of, lasts_s=lasts_s)
        return asyncio.run(asked)[0]

    assert [name(6999), name(6999), name(7000)] == ["file-1", "file-1", "file-2"]


def test_names_of_other_runs_are_kept_while_they_live(openai: Route, make_medium: MakeMedium, tmp_path: Path) -> None:
    memory, medium = tmp_path / "names.json", make_medium()
    service = Service([body({"id": "file-1"})])
    uploads = service.uploads(memory)
    uploads.forget(openai, medium)  # reads the memory, which is empty
    memory.write_text(json.dumps({"living": ["file-8", NOW + 1], "dead": ["file-9", NOW]}), "utf-8")
    name_of(service, openai, medium, uploads)
    known = json.loads(memory.read_text("utf-8"))
    assert known == {f"{BASE}/v1 image/png {medium.sha256}": ["file-1", NOW + 172_800], "living": ["file-8", NOW + 1]}


@pytest.mark.parametrize("damaged", ["{", "[]", '{"a": 1}', '{"a": [1]}', '{"a": ["x", "soon"]}'])
def test_a_damaged_memory_remembers_nothing_and_is_made_anew(
    openai: Route, make_medium: MakeMedium, tmp_path: Path, damaged: str
) -> None:
    memory = tmp_path / "names.json"
    memory.write_text(damaged, "utf-8")
    service = Service([body({"id": "file-1"})])
    assert name_of(service, openai, make_medium(), service.uploads(memory)) == ("file-1", True)
    assert until(memory) == NOW + 172_800


def test_a_memory_that_cannot_be_written_is_none(openai: Route, make_medium: MakeMedium, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", "utf-8")
    service = Service([body({"id": "file-1"})])
    uploads = service.uploads(tmp_path / "taken" / "names.json")
    medium = make_medium()
    assert name_of(service, openai, medium, uploads) == ("file-1", True)
    assert (tmp_path / "taken").read_text("utf-8") == "a file"


def test_a_name_that_is_forgotten_is_not_used_again(openai: Route, make_medium: MakeMedium) -> None:
    service = Service([body({"id": "file-1"}), body({"id": "file-2"})])
    uploads, medium = service.uploads(), make_medium()
    name_of(service, openai, medium, uploads)
    uploads.forget(openai, medium)
    assert name_of(service, openai, medium, uploads) == ("file-2", True)


def test_an_upload_that_fails_is_not_remembered(openai: Route, make_medium: MakeMedium, tmp_path: Path) -> None:
    fail(Service([Reply(500, {}, b"")]), openai, make_medium())
    service = Service([Reply(500, {}, b"")])
    with pytest.raises(CallFailed):
        name_of(service, openai, make_medium(), service.uploads(tmp_path / "names.json"))
    assert not (tmp_path / "names.json").exists()


def test_a_file_that_has_changed_is_not_uploaded(openai: Route, make_medium: MakeMedium) -> None:
    medium = make_medium()
    Path(medium.path).write_bytes(b"other")
    failure = fail(Service([]), openai, medium)
    assert failure.message == "media/a.png has changed while the run went on; run it again"
