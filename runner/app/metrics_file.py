"""The state of runs, kept in a file for a Prometheus collector."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Signal
from threading import Lock, Thread
from types import TracebackType
from typing import Final, Self

from runner.core.errors import StorageError
from runner.core.events import Event, RunFinished, RunStarted
from runner.core.frozen import replace
from runner.core.traffic import SeeTraffic, Traffic
from runner.record.summary import Summariser
from runner.report.metrics import Told, render_metrics
from runner.rows.write import write_text

EVERY_S: Final = 1.0


class MetricsFile:
    """Replaced each second and when the context ends, so that it is never half. Each sink of events is one run.

    A run is not ended by a file about it: what keeps it from being written is told once.
    """

    def __init__(
        self,
        path: Path,
        tell: Callable[[str], None],
        *,
        write: Callable[[Path, str], None] = write_text,
        every_s: float = EVERY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path.resolve()
        self._tell = tell
        self._write = write
        self._every_s = every_s
        self._now = now
        self._runs: list[_Run] = []
        self._see: list[SeeTraffic] = []
        self._lock = Lock()
        self._has_failed = False
        self._stopped = Signal()
        self._thread = Thread(target=self._keep, name="metrics file", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()
        self.write()

    def sink(self) -> Callable[[Event], None]:
        """A sink for the events of one more run."""
        run = _Run(self._lock, self._now)
        self._runs.append(run)
        return run

    def watch(self, see: SeeTraffic) -> None:
        """Where to look at the requests under way."""
        self._see.append(see)

    def _keep(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.write()

    def write(self) -> None:
        """Replace the file with how the runs stand; where none began, what was there is left."""
        with self._lock:
            told = [run.told() for run in self._runs if run.began_at is not None]
        if not told:
            return
        try:
            self._write(self._path, render_metrics(told, self._traffic()))
        except StorageError as error:
            if not self._has_failed:
                self._tell(error.problems[0].message)
            self._has_failed = True

    def _traffic(self) -> Iterator[Traffic]:
        """Each model once, whichever run its requests are of."""
        found: dict[str, Traffic] = {}
        for one in (one for see in self._see for one in see()):
            before = found.get(one.model, Traffic(one.model, 0))
            flying, waiting = before.in_flight + one.in_flight, before.waiting + one.waiting
            found[one.model] = replace(one, in_flight=flying, waiting=waiting)
        yield from found.values()


class _Run:
    """What the events of one run come to."""

    def __init__(self, lock: Lock, now: Callable[[], float]) -> None:
        self._lock = lock
        self._now = now
        self._summariser = Summariser()
        self.began_at: float | None = None
        self._ended_at: float | None = None

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._summariser(event)
            if isinstance(event, RunStarted):
                self.began_at = self._now()
            elif isinstance(event, RunFinished):
                self._ended_at = self._now()

    def told(self) -> Told:
        assert self.began_at is not None
        until = self._now() if self._ended_at is None else self._ended_at
        return Told(self._summariser.summary(), until - self.began_at)
