"""Gemini's batch interface: a file is uploaded in pieces, a job is started over it, one file comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final

from runner.core.batch import JobError, JobState, JobStatus
from runner.core.canonical import Json
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.transport.batch_http import UPLOAD_S, BatchHttp, value_of
from runner.transport.batch_openai import MOST_PAGES, list_in, mapping_in, mapping_of, text_at, without

VERSION: Final = "/v1beta"
PIECE_BYTES: Final = 8 * 1024 * 1024
# What is asked for one question, and for many.
_CREATES: Final = {"generateContent": "batchGenerateContent", "embedContent": "asyncBatchEmbedContent"}
_ENDS: Final = {
    "SUCCEEDED": JobStatus.ENDED,
    "EXPIRED": JobStatus.EXPIRED,
    "CANCELLED": JobStatus.CANCELLED,
    "FAILED": JobStatus.FAILED,
}


class GeminiBatchWire:
    """Fills `BatchWire`."""

    def __init__(self, http: BatchHttp) -> None:
        self._http = http

    async def upload(self, route: Route, name: str, path: Path) -> str:
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        start = {
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(size),
            "X-Goog-Upload-Header-Content-Type": "application/jsonl",
        }
        body = {"file": {"displayName": name, "mimeType": "application/jsonl"}}
        reply = await self._http.call(route.provider, "POST", f"/upload{VERSION}/files", headers=start, body=body)
        address = reply.headers.get("x-goog-upload-url", "")
        if not address:
            raise CallFailed(
                Failure(FailureKind.BAD_ANSWER, "the upload was started, but not where it goes", status=200)
            )
        with path.open("rb") as file:
            return await self._pieces(route, address, file, size)

    async def _pieces(self, route: Route, address: str, file: IO[bytes], size: int) -> str:
        offset = 0
        while True:
            piece = await asyncio.to_thread(file.read, PIECE_BYTES)
            is_last = offset + len(piece) >= size
            headers = {
                "X-Goog-Upload-Offset": str(offset),
                "X-Goog-Upload-Command": "upload, finalize" if is_last else "upload",
            }
            reply = await self._http.call(
                route.provider, "POST", address, headers=headers, content=piece, timeout_s=UPLOAD_S
            )
            if is_last:
                value = value_of(reply)
                return text_at(value.get("file") if isinstance(value, dict) else None, "name")
            offset += len(piece)

    async def create(self, route: Route, endpoint: str, name: str, file: str) -> str:
        model, _, action = endpoint.rpartition(":")
        path = f"{model}:{_CREATES[action]}"
        body = {"batch": {"displayName": name, "inputConfig": {"fileName": file}}}
        return text_at(value_of(await self._http.call(route.provider, "POST", path, body=body)), "name")

    async def find(self, route: Route, name: str) -> str | None:
        token: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            params = {"pageSize": "100", **token}
            page = value_of(await self._http.call(route.provider, "GET", f"{VERSION}/batches", params=params))
            if not isinstance(page, dict) or not isinstance(page.get("operations", []), list):
                raise without("operations")  # to take it for an empty list would be to hand the job over twice
            for job in list_in(page, "operations"):
                if mapping_in(job, "metadata").get("displayName") == name:
                    return text_at(job, "name")
            if not page.get("nextPageToken"):
                return None
            token = {"pageToken": text_at(page, "nextPageToken")}
        return None

    async def look(self, route: Route, job: str) -> JobState:
        said = value_of(await self._http.call(route.provider, "GET", f"{VERSION}/{job}"))
        text_at(said, "name")  # what is no operation would be on its way for ever
        return read_state(said)

    async def lines(self, route: Route, file: str) -> AsyncIterator[bytes]:
        path, params = f"{VERSION}/{file}:download", {"alt": "media"}
        async for line in self._http.lines(route.provider, path, params):
            yield line

    async def aclose(self) -> None:
        await self._http.aclose()


def read_state(operation: Json) -> JobState:
    """An operation over a batch in our terms; its counts are text, and a state that is not known is one on the way."""
    fields = mapping_of(operation)
    batch = mapping_in(fields, "metadata")
    word = str(batch.get("state") or "").removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")
    output = mapping_in(batch, "output") or mapping_in(fields, "response")
    stats = mapping_in(batch, "batchStats")
    total = _count(stats.get("requestCount"))
    error = mapping_in(fields, "error")
    status = _ENDS.get(word, JobStatus.FAILED if error and fields.get("done") else JobStatus.RUNNING)
    return JobState(
        status,
        tuple(file for file in (output.get("responsesFile"),) if isinstance(file, str) and file),
        done=_count(stats.get("successfulRequestCount")) + _count(stats.get("failedRequestCount")) if total else None,
        total=total or None,
        errors=(JobError(str(error.get("code", "")), str(error.get("message") or "")),) if error else (),
    )


def _count(text: Json) -> int:
    return int(text) if str(text).isdecimal() else 0
