"""Many requests handed over at once and answered later: what the parts of a batch say to one another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from runner.core.frozen import dataclass
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.request import Request


class JobStatus(StrEnum):
    """How far a job is. All but RUNNING are ends; what was answered until then can be fetched after each of them."""

    RUNNING = "running"
    ENDED = "ended"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobError:
    """Why the provider refused a job, or one line of it (from 1), in the provider's words."""

    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as the provider tells it.

    `files` hold its rows, in any order. `done` of `total` rows are answered, None where that is not said.
    """

    status: JobStatus
    files: tuple[str, ...] = ()
    done: int | None = None
    total: int | None = None
    errors: tuple[JobError, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchRow:
    """What became of one request: the payload of a complete 200 answer, or why there is none."""

    key: str
    payload: bytes | None = None
    failure: Failure | None = None


class BatchFormat(Protocol):
    """How a protocol writes requests into a file and answers into another; pure. One file takes so much at most."""

    most_lines: int
    most_bytes: int

    def head(self, key: str, request: Request) -> bytes:
        """What goes before the body in the line of a request, which is named by its key; a brace goes behind it."""
        ...

    def row(self, line: bytes) -> BatchRow | None:
        """One answer; None for a line that is none."""
        ...


class BatchWire(Protocol):
    """The calls of a provider's batch interface. All raise CallFailed and never retry."""

    async def upload(self, route: Route, name: str, path: Path) -> str:
        """Hand over a file of requests; its id."""
        ...

    async def create(self, route: Route, endpoint: str, name: str, file: str) -> str:
        """Start the job over an uploaded file; its id."""
        ...

    async def find(self, route: Route, name: str) -> str | None:
        """The job of that name, if it was started before."""
        ...

    async def look(self, route: Route, job: str) -> JobState: ...

    def lines(self, route: Route, file: str) -> AsyncIterator[bytes]:
        """The lines of a file of answers."""
        ...

    async def aclose(self) -> None: ...
