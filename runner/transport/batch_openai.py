"""OpenAI's batch interface: a file is uploaded, a job is started over it, two files come back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

from runner.core.batch import JobError, JobState, JobStatus
from runner.core.canonical import Json
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.transport.batch_http import UPLOAD_S, BatchHttp, value_of

NAME: Final = "runner_batch"
"""The field of a job's metadata that holds its name."""
MOST_PAGES: Final = 200
_ENDS: Final = {
    "completed": JobStatus.ENDED,
    "expired": JobStatus.EXPIRED,
    "cancelled": JobStatus.CANCELLED,
    "failed": JobStatus.FAILED,
}


class OpenAIBatchWire:
    """Fills `BatchWire`. The base URL of a provider holds the version already."""

    def __init__(self, http: BatchHttp) -> None:
        self._http = http

    async def upload(self, route: Route, name: str, path: Path) -> str:
        with path.open("rb") as file:
            form = ({"purpose": "batch"}, (f"{name}.jsonl", file, "application/jsonl"))
            reply = await self._http.call(route.provider, "POST", "/files", form=form, timeout_s=UPLOAD_S)
        return text_at(value_of(reply), "id")

    async def create(self, route: Route, endpoint: str, name: str, file: str) -> str:
        body = {
            "input_file_id": file,
            "endpoint": f"/v1{endpoint}",
            "completion_window": "24h",
            "metadata": {NAME: name},
        }
        return text_at(value_of(await self._http.call(route.provider, "POST", "/batches", body=body)), "id")

    async def find(self, route: Route, name: str) -> str | None:
        after: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            params = {"limit": "100", **after}
            page = value_of(await self._http.call(route.provider, "GET", "/batches", params=params))
            if not isinstance(mapping_of(page).get("data"), list):
                raise without("data")  # to take it for an empty list would be to hand the job over twice
            jobs = list_in(page, "data")
            for job in jobs:
                if mapping_in(job, "metadata").get(NAME) == name:
                    return text_at(job, "id")
            if not jobs or not mapping_of(page).get("has_more"):
                return None
            after = {"after": text_at(jobs[-1], "id")}
        return None

    async def look(self, route: Route, job: str) -> JobState:
        said = value_of(await self._http.call(route.provider, "GET", f"/batches/{job}"))
        text_at(said, "status")  # what is no job would be on its way for ever
        return read_state(said)

    async def lines(self, route: Route, file: str) -> AsyncIterator[bytes]:
        async for line in self._http.lines(route.provider, f"/files/{file}/content"):
            yield line

    async def aclose(self) -> None:
        await self._http.aclose()


def read_state(job: Json) -> JobState:
    """A batch object in our terms; a status that is not known is one on the way."""
    fields = mapping_of(job)
    counts = mapping_in(fields, "request_counts")
    total = _count(counts.get("total"))
    files = (fields.get("output_file_id"), fields.get("error_file_id"))
    return JobState(
        _ENDS.get(str(fields.get("status")), JobStatus.RUNNING),
        tuple(file for file in files if isinstance(file, str) and file),
        done=_count(counts.get("completed")) + _count(counts.get("failed")) if total else None,
        total=total or None,
        errors=tuple(_error(error) for error in list_in(mapping_in(fields, "errors"), "data")),
    )


def _count(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _error(error: Mapping[str, Json]) -> JobError:
    line = error.get("line")
    return JobError(
        str(error.get("code") or ""), str(error.get("message") or ""), line if isinstance(line, int) else None
    )


def mapping_of(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def mapping_in(value: Json, name: str) -> Mapping[str, Json]:
    """The object at a field of an answer, {} for anything else."""
    return mapping_of(mapping_of(value).get(name))


def list_in(value: Json, name: str) -> list[Mapping[str, Json]]:
    """The objects of a list at a field of an answer, [] for anything else."""
    found = mapping_of(value).get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def text_at(value: Json, name: str) -> str:
    """A field that an answer must have. Raises CallFailed."""
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, str) and found:
        return found
    raise without(name)


def without(name: str) -> CallFailed:
    return CallFailed(Failure(FailureKind.BAD_ANSWER, f"the batch interface answered without '{name}'", status=200))
