"""The parts of a run that asks in batches, put together. Imported only where a batch is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.batch_jobs import BatchPorts
from runner.app.batching import Filler, Filling
from runner.app.drive import Drive, DriveSettings
from runner.app.transports import UPLOADS, failure_of
from runner.core.batch import BatchWire
from runner.core.events import Event, Noted, Retrying
from runner.core.frozen import replace
from runner.core.media import Medium
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import Clock, Hear, Transport
from runner.core.request import Request
from runner.dialects import ASKED
from runner.execute.ahead import Ahead
from runner.execute.contexts import ContextUse
from runner.execute.spending import Purse
from runner.plan.stages import RunState
from runner.record.batches import BatchFolder
from runner.store.lock import one_at_a_time
from runner.transport.batch_gemini import GeminiBatchWire
from runner.transport.batch_http import BatchHttp
from runner.transport.batch_openai import OpenAIBatchWire
from runner.transport.secrets import Secrets

if TYPE_CHECKING:
    from runner.app.session import Session
    from runner.transport.port import HttpTransport

BATCHES = Path(".runner") / "batches"
LOCK_WAIT_S = 600.0
FILES_LAST_S = 30 * 3600.0
"""For how long an uploaded file has to be known when a job names it: jobs take a day."""


class Stop:
    """Ends a pause before its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def pause(self, seconds: float) -> bool:
        """Wait; whether the run was stopped meanwhile."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        stopping = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait((sleeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()
        return self._event.is_set()


def wires(secrets: Secrets) -> tuple[Callable[[Route], BatchWire], BatchHttp]:
    """The batch interface of a route's provider, and what closes them all."""
    http = BatchHttp(secrets, lambda dialect, *answer: ASKED[dialect].failure(*answer))
    by_dialect: dict[str, BatchWire] = {
        **dict.fromkeys(("gemini", "gemini-embed"), GeminiBatchWire(http)),
        **dict.fromkeys(("openai-chat", "openai-responses", "openai-embed"), OpenAIBatchWire(http)),
    }
    return lambda route: by_dialect[route.provider.dialect], http


@asynccontextmanager
async def alone(lock: Path) -> AsyncIterator[None]:
    """No other process hands over a batch job of this project meanwhile."""
    held = one_at_a_time(lock, wait_s=LOCK_WAIT_S)
    await asyncio.to_thread(held.__enter__)
    try:
        yield
    finally:
        held.__exit__(None, None, None)


class _KeptOpen:
    """A transport that is closed by somebody else."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        return await self._inner.send(route, request, timeout_s=timeout_s)

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Hear) -> bytes:
        return await self._inner.stream(route, request, timeout_s=timeout_s, hear=hear)

    async def aclose(self) -> None:
        return


class BatchRun:
    """The filling of one run; made inside its loop."""

    def __init__(
        self,
        session: Session,
        transport: Transport,
        clock: Clock,
        random: Callable[[], float],
        contexts: ContextUse | None = None,
    ) -> None:
        assert session.secrets is not None
        self._session = session
        self._transport = _KeptOpen(transport)
        self._clock = clock
        self._random = random
        self._contexts = contexts
        self._stop = Stop(clock)
        self._online: Drive | None = None
        self._uploading: HttpTransport | None = None
        self.purse = Purse(session.drive.settings.allowance)
        wire_of, self._http = wires(session.secrets)
        folder = BatchFolder(session.project.files.root / BATCHES)
        ports = BatchPorts(
            folder=folder,
            wire_of=wire_of,
            answers=session.answers,
            clock=clock,
            emit=session.emit,
            random=random,
            pause=self._stop.pause,
            alone=lambda: alone(folder.lock),
            upload=self._upload,
            forget=lambda route, medium: self._files().forget(route, medium),
        )
        self.filler = Filler(self._filling(session), ports, self.purse)

    def _files(self) -> HttpTransport:
        """What uploads the files of questions, and remembers them as for questions that are asked online."""
        if self._uploading is None:
            from runner.transport.port import HttpTransport
            from runner.transport.uploads import Uploads

            session = self._session
            assert session.secrets is not None
            uploads = Uploads(session.project.files.root / UPLOADS, now=self._clock.now, sleep=self._clock.sleep)
            self._uploading = HttpTransport(session.secrets, failure_of, uploads=uploads)
        return self._uploading

    async def _upload(
        self, route: Route, request: Request, numbers: Sequence[int]
    ) -> tuple[dict[int, str], list[Medium]]:
        return await self._files().upload(route, request, numbers, lasts_s=FILES_LAST_S)

    def _filling(self, session: Session) -> Filling:
        state = session.drive.state
        return Filling(
            run=session.run,
            fresh_state=lambda: RunState(state.program, state.data, state.aside, keeps="steps"),
            program=state.program,
            answers=session.quiet_answers(),
            received=session.received,
            explain=session.explainer.reason,
            ask_online=self._ask_online,
            waits=not session.options.is_detached,
            is_fail_fast=session.options.is_fail_fast,
        )

    async def fill(self) -> Ahead:
        """Raises StorageError."""
        try:
            await self.filler.fill()
        finally:
            await self._http.aclose()
            if self._uploading is not None:
                await self._uploading.aclose()
        return self.filler.ahead

    async def _ask_online(self, ahead: Ahead) -> None:
        """Ask what batch steps wait for; it is told when its turn comes in the run itself."""
        session = self._session
        settings: DriveSettings = replace(session.drive.settings, check_asks=lambda _: None)
        state = session.drive.state
        drive = Drive(
            RunState(session.program, state.data, state.aside, keeps="steps"), session.answers, self._tell, settings
        )
        if not drive.replay():
            self._online = drive
            await drive.ask(self._transport, self._clock, self._random, self.purse, ahead, self._contexts)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Retrying) or (isinstance(event, Noted) and event.code == "storage"):
            self._session.emit(event)

    def stop(self, failure: Failure) -> None:
        """End the waiting; what was handed over goes on at its provider."""
        self.filler.stop(failure)
        self._stop.set()
        if self._online is not None:
            self._online.interrupt()
