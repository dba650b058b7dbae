"""Asking for the answers of a suite: one background thread with its own loop, in the order of the cases."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from runner.app.changed_texts import kept_texts
from runner.app.drive import first_of
from runner.app.explaining import TEXTS
from runner.app.looking import leases_of
from runner.app.looping import run_in_loop
from runner.app.suite_money import check_suite_money
from runner.app.transports import SystemClock, make_transport, not_ready, secrets_of
from runner.core.budget import Allowance, allowance
from runner.core.errors import UsageError
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import Transport
from runner.core.workflow import Budget
from runner.dialects.beside import read_beside
from runner.execute.gate import Gate
from runner.execute.limits import InFlight, Limits
from runner.execute.perform import Performer, Ports, Shared
from runner.execute.spending import Purse
from runner.record.texts import keep_texts

if TYPE_CHECKING:
    from runner.app.suite_session import SuiteSession, Walk
    from runner.core.model import Route

STOPPED = Failure(FailureKind.INTERRUPTED, "stopped before it was asked")


class Asking:
    """Walks cases to their end with calls. What ends the thread before its time is raised where it is waited for."""

    def __init__(self, session: SuiteSession, pending: Sequence[Walk]) -> None:
        self._session = session
        self._pending = tuple(pending)
        self._asked = {id(walk) for walk in self._pending}
        self._allowance = self._bounds()
        self._performers: list[Performer] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._is_stopped = False
        self.purse: Purse | None = None

    def start(self) -> None:
        """Check what the calls need, and begin. Raises RunnerError."""
        self._check_ready()
        programs = [walk.drive.state.program for walk in self._pending if walk.drive is not None]
        check_suite_money(self._session, programs, self._allowance)
        self._thread = threading.Thread(target=self._run, name="suite-asker", daemon=True)
        self._thread.start()

    def wait(self, walk: Walk) -> None:
        """Until a case is done, or will not be. Raises what ended the thread."""
        if id(walk) not in self._asked:
            return
        walk.settled.wait()
        if self._error is not None and not walk.is_done:
            raise self._error

    def stop(self) -> None:
        """Send nothing more; returns when what was under way has been kept."""
        self._is_stopped = True
        loop, thread = self._loop, self._thread
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(self._stop_performers)
        if thread is not None:
            thread.join()

    def _stop_performers(self) -> None:
        for performer in self._performers:
            performer.interrupt(STOPPED)

    # Before the first call

    def _bounds(self) -> Allowance:
        """What all cases together may take: the suite's budget, the project's, and the option."""
        own = self._session.suite.suite.budget
        budget = Budget(own.span, own.spans, usd=own.usd, calls=own.calls, tokens=own.tokens) if own else None
        settings = self._session.suite.project.settings
        return allowance((budget, settings.budget), self._session.options.max_cost)

    def _check_ready(self) -> None:
        options, project = self._session.options, self._session.suite.project
        secrets = secrets_of(options)
        ready = (not_ready(route, secrets, options, project) for route in self._routes())
        found = [problem for problem in ready if problem is not None]
        if found:
            raise UsageError(list(dict.fromkeys(found)))

    def _routes(self) -> Iterator[Route]:
        """The models that may be asked, once each. A case that lacks one answer may lack those behind it."""
        told: set[str] = set()
        for walk in self._pending:
            steps = walk.drive.state.program.steps.values() if walk.drive else ()
            for step in (part for whole in steps for part in whole.reached):
                if step.route.name not in told:
                    told.add(step.route.name)
                    yield step.route

    # The thread

    def _run(self) -> None:
        try:
            run_in_loop(self._ask_all())
        except BaseExceptionGroup as group:
            self._error = first_of(group)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
            self._error = error
        finally:
            for walk in self._pending:
                walk.settled.set()

    async def _ask_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        session, options = self._session, self._session.options
        session.answers.commit([])  # a store that cannot keep answers is found before one is paid
        self.purse = Purse(self._allowance)
        leases = leases_of(session.suite.project.files.root, options)
        limits = Limits(SystemClock(), random.random, session.suite.project.settings.limits)
        if options.watch is not None:
            options.watch(limits.traffic)
        parts = _Parts(Gate(session.answers, leases), InFlight(options.max_parallel), self.purse, Shared(limits))
        keep_texts(session.suite.project.files.root / TEXTS, kept_texts(session.suite.programs()))
        transport = make_transport(secrets_of(options), options, session.suite.project.files)
        room = asyncio.Semaphore(max(2, options.max_parallel))
        try:
            async with asyncio.TaskGroup() as group:
                for walk in self._pending:
                    await room.acquire()
                    if self._is_stopped:
                        break
                    group.create_task(self._one(walk, room, transport, parts))
        finally:
            try:
                await transport.aclose()
            finally:
                await parts.gate.aclose()
                if leases is not None:
                    leases.close()

    async def _one(self, walk: Walk, room: asyncio.Semaphore, transport: Transport, parts: _Parts) -> None:
        assert walk.drive is not None
        session = self._session
        explain = walk.drive.settings.explain
        ports = Ports(transport, SystemClock(), session.told_by(walk), explain, random.random, read_beside=read_beside)
        performer = Performer(walk.drive.state.program, parts.gate, ports, parts.limit, parts.purse, parts.shared)
        self._performers.append(performer)
        try:
            await walk.drive.walk(performer)
            if performer.unkept is not None:
                session.trouble.append(performer.unkept)
            walk.end()
        finally:
            self._performers.remove(performer)
            room.release()


class _Parts:
    """What all cases share."""

    def __init__(self, gate: Gate, limit: InFlight, purse: Purse, shared: Shared) -> None:
        self.gate = gate
        self.limit = limit
        self.purse = purse
        self.shared = shared
