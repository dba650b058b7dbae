"""Files that are uploaded before they are shown: sent once, and named again for as long as the provider keeps them.

What is remembered is written only when a file is ready to be used, so that a run that dies in the middle of an upload
leaves nothing behind: the next one begins anew. Uploading costs nothing, and the names never enter a key.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from runner.core.frozen import dataclass
from runner.core.media import Medium
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.transport.sending import read_checked
from runner.transport.wire import Reply

CHUNK_BYTES: Final = 8 * 1024 * 1024
KEPT_S: Final = 48 * 3600
# A name is not used in the last minutes of its life: the question may be long on its way.
MARGIN_S: Final = 600
LONGEST_WAIT_S: Final = 10.0
READY_S: Final = 600.0
SHOWN_CHARACTERS: Final = 200

Headers = Sequence[tuple[str, str]]


class Ask(Protocol):
    """Sends one request of an upload; without `is_trusted` no key goes with it. Raises CallFailed for no answer."""

    async def __call__(
        self, method: str, url: str, headers: Headers, content: bytes | AsyncIterator[bytes], *, is_trusted: bool = True
    ) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What the provider calls a file, and until when (Unix seconds)."""

    reference: str
    expires_at: float


FailureOf = Callable[[Reply], Failure]
Sleep = Callable[[float], Awaitable[None]]


class Uploads:
    """Uploads each file once for each provider, however many questions show it at the same time.

    `memory` is the file that remembers names between runs; None remembers nothing.
    """

    def __init__(
        self, memory: Path | None = None, *, now: Callable[[], float] = time.time, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._memory = memory
        self._now = now
        self._sleep = sleep
        self._known: dict[str, Uploaded] | None = None
        self._locks: dict[str, asyncio.Lock] = {}

    async def reference(
        self, route: Route, medium: Medium, ask: Ask, failure_of: FailureOf, *, lasts_s: float = MARGIN_S
    ) -> tuple[str, bool]:
        """The provider's name of a file, and whether it was uploaded just now. Raises CallFailed.

        A name that is known lasts for `lasts_s` from now on.
        """
        key = _key(route, medium)
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._remembered().get(key)
            if known is not None and known.expires_at - lasts_s > self._now():
                return known.reference, False
            is_gemini = route.provider.dialect == "gemini"
            upload = self._to_gemini if is_gemini else self._to_openai
            found = await upload(route, medium, ask, failure_of)
            self._remember(key, found)
            return found.reference, True

    def forget(self, route: Route, medium: Medium) -> None:
        """The provider no longer knows the name, or not for this key."""
        self._remembered().pop(_key(route, medium), None)

    # Gemini: resumable, then polled until the file can be used

    async def _to_gemini(self, route: Route, medium: Medium, ask: Ask, failure_of: FailureOf) -> Uploaded:
        base = route.provider.base_url.rstrip("/")
        start = [
            ("content-type", "application/json"),
            ("x-goog-upload-protocol", "resumable"),
            ("x-goog-upload-command", "start"),
            ("x-goog-upload-header-content-length", str(medium.size)),
            ("x-goog-upload-header-content-type", medium.mime),
        ]
        body = json.dumps({"file": {"displayName": medium.sha256, "mimeType": medium.mime}}).encode()
        begun = _good(await ask("POST", f"{base}/upload/v1beta/files", start, body), failure_of)
        url = begun.headers.get("x-goog-upload-url", "")
        if urlsplit(url)[:2] != urlsplit(base)[:2]:
            raise _failed(medium, f"'{route.provider.name}' names no place of its own for the upload")
        file = await self._chunks(medium, url, ask, failure_of)
        waited, pause = 0.0, 1.0
        while file.get("state") == "PROCESSING":
            if waited >= READY_S:
                raise _failed(medium, f"'{route.provider.name}' was not done with it within {READY_S:g} s")
            await self._sleep(pause)
            waited, pause = waited + pause, min(pause * 2, LONGEST_WAIT_S)
            file = _value(_good(await ask("GET", f"{base}/v1beta/{file.get('name')}", [], b""), failure_of))
        uri = file.get("uri")
        if file.get("state") != "ACTIVE" or not isinstance(uri, str):
            reason = file.get("error")
            said = _line(reason.get("message") if isinstance(reason, dict) else file.get("state"))
            text = f"'{route.provider.name}' cannot use it: {said or 'no reason is given'}"
            raise _failed(medium, text, FailureKind.BAD_REQUEST)
        return Uploaded(uri, seconds_of_stamp(file.get("expirationTime"), self._now() + KEPT_S))

    async def _chunks(self, medium: Medium, url: str, ask: Ask, failure_of: FailureOf) -> dict[str, Any]:
        """The place itself says who may write there, so that no key goes with the pieces."""
        offset = 0
        reply = Reply(0, {}, b"")
        async for chunk in read_checked(medium, CHUNK_BYTES):
            is_last = offset + len(chunk) >= medium.size
            command = "upload, finalize" if is_last else "upload"
            headers = [("x-goog-upload-offset", str(offset)), ("x-goog-upload-command", command)]
            reply = _good(await ask("POST", url, headers, chunk, is_trusted=False), failure_of)
            offset += len(chunk)
        file = _value(reply).get("file")
        if reply.headers.get("x-goog-upload-status") != "final" or not isinstance(file, dict):
            raise _failed(medium, "the upload was not brought to its end")
        return file

    # OpenAI: one form

    async def _to_openai(self, route: Route, medium: Medium, ask: Ask, failure_of: FailureOf) -> Uploaded:
        boundary = secrets.token_hex(16)
        fields = {"purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": str(KEPT_S)}
        parts = [
            f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        name = f"{medium.sha256}.{_suffix(medium)}"
        parts.append(
            f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
            f"content-type: {medium.mime}\r\n\r\n"
        )
        head, tail = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
        headers = [
            ("content-type", f"multipart/form-data; boundary={boundary}"),
            ("content-length", str(len(head) + medium.size + len(tail))),
        ]
        url = f"{route.provider.base_url.rstrip('/')}/files"
        file = _value(_good(await ask("POST", url, headers, _form(head, medium, tail)), failure_of))
        if not isinstance(file.get("id"), str):
            raise _failed(medium, f"'{route.provider.name}' gives it no id")
        expires = file.get("expires_at")
        return Uploaded(file["id"], float(expires) if isinstance(expires, int) else self._now() + KEPT_S)

    # What is remembered

    def _remembered(self) -> dict[str, Uploaded]:
        if self._known is None:
            self._known = {} if self._memory is None else _read(self._memory)
        return self._known

    def _remember(self, key: str, uploaded: Uploaded) -> None:
        """Beside what other runs have remembered meanwhile; a memory that cannot be written is none."""
        known = self._remembered()
        known[key] = uploaded
        if self._memory is not None:
            alive = {name: one for name, one in _read(self._memory).items() if one.expires_at > self._now()}
            with suppress(OSError):
                _write(self._memory, {**alive, **known})


def _key(route: Route, medium: Medium) -> str:
    return f"{route.provider.base_url.rstrip('/')} {medium.mime} {medium.sha256}"


async def _form(head: bytes, medium: Medium, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    async for chunk in read_checked(medium, CHUNK_BYTES):
        yield chunk
    yield tail


def _suffix(medium: Medium) -> str:
    """The service tells a file by the end of its name."""
    kind = medium.mime.partition("/")[2]
    return {"plain": "txt", "jpeg": "jpg"}.get(kind, kind)


def _value(reply: Reply) -> dict[str, Any]:
    """The JSON object of a body, {} for anything else."""
    try:
        found = json.loads(reply.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _good(reply: Reply, failure_of: FailureOf) -> Reply:
    if reply.status != 200:
        raise CallFailed(failure_of(reply), requests=0)
    return reply


def _failed(medium: Medium, reason: str, kind: FailureKind = FailureKind.TRANSIENT) -> CallFailed:
    return CallFailed(Failure(kind, f"{medium.shown} could not be uploaded: {reason}"), requests=0)


def _line(said: object) -> str:
    """Foreign text for a message: one short line that can be printed."""
    text = " ".join(said.split()) if isinstance(said, str) else ""
    return "".join(char if char.isprintable() else "?" for char in text)[:SHOWN_CHARACTERS]


def seconds_of_stamp(stamp: object, otherwise: float) -> float:
    """A time such as 2026-11-24T10:00:00.123456Z in Unix seconds."""
    if not isinstance(stamp, str):
        return otherwise
    try:
        return datetime.fromisoformat(stamp[:19]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return otherwise


def _read(path: Path) -> dict[str, Uploaded]:
    """A memory that is not there, or damaged, remembers nothing."""
    try:
        entries = json.loads(path.read_bytes())
        return {key: Uploaded(str(name), float(until)) for key, (name, until) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(path: Path, known: Mapping[str, Uploaded]) -> None:
    """All or nothing, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    text = json.dumps({key: [one.reference, one.expires_at] for key, one in sorted(known.items())}, indent=1)
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    aside.replace(path)
