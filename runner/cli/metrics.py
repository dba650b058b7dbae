"""`run --metrics FILE`: the state of the run, kept in a file for a Prometheus collector."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event as Signal
from threading import Lock, Thread
from types import TracebackType
from typing import Final, Self

from runner.cli import files
from runner.cli.console import Console
from runner.core.errors import StorageError
from runner.core.events import Event, RunStarted
from runner.core.traffic import SeeTraffic
from runner.record.summary import Summariser
from runner.report.metrics import render_metrics

EVERY_S: Final = 1.0


class MetricsFile:
    """A sink of events. The file is replaced each second and when the context ends, so that it is never half.

    A run is not ended by a file about it: what keeps it from being written is told once.
    """

    def __init__(
        self, path: Path, console: Console, *, every_s: float = EVERY_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path.resolve()
        self._console = console
        self._every_s = every_s
        self._now = now
        self._began_at = now()
        self._summariser = Summariser()
        self._see: SeeTraffic = tuple
        self._lock = Lock()
        self._has_started = self._has_failed = False
        self._stopped = Signal()
        self._thread = Thread(target=self._keep, name="metrics file", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()
        self.write()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._summariser(event)
            self._has_started = self._has_started or isinstance(event, RunStarted)

    def watch(self, see: SeeTraffic) -> None:
        """Where to look at the requests under way."""
        self._see = see

    def _keep(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.write()

    def write(self) -> None:
        """Replace the file with how the run stands; a run that never began leaves what was there."""
        with self._lock:
            if not self._has_started:
                return
            summary = self._summariser.summary()
        text = render_metrics(summary, self._see(), self._now() - self._began_at)
        try:
            files.write_whole(self._path, self._console.redacted(text))
        except StorageError as error:
            if not self._has_failed:
                self._console.story(f"--metrics: {error.problems[0].message}", "warning")
            self._has_failed = True
