"""How suites are getting on while their cases are asked: a block on a terminal, elsewhere lines each ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.cli.console import Console
from runner.cli.live import LiveBlock
from runner.cli.watching import SentSpans, event_printer, metrics_file
from runner.core.events import Event, Retrying, RunFinished, RunStarted, Settled
from runner.core.outcome import Status
from runner.core.ports import EventSink
from runner.core.traffic import SeeTraffic
from runner.record.summary import Summariser
from runner.report.figures import Standing, figure_lines
from runner.report.format import count

PROGRESS_EVERY_S = 10.0


class SuiteProgress:
    """Each sink of events is one suite; used as a context, so that the block always ends."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._said_at = now()
        self._under_way: list[_Suite] = []
        self._see: SeeTraffic = tuple
        self._block = self._made()

    def _made(self) -> LiveBlock | None:
        return LiveBlock(self._console, self.block_lines) if self._console.has_live_story else None

    def __enter__(self) -> Self:
        if self._block:
            self._block.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._block:
            self._block.stop()

    def ask(self, question: str) -> bool:
        """A question on the terminal, while nothing else is drawn there."""
        if self._block:
            self._block.stop()
        try:
            return self._console.confirm(question)
        finally:
            self._block = self._made()
            if self._block:
                self._block.start()

    def watch(self, see: SeeTraffic) -> None:
        """Where to look at the requests under way."""
        self._see = see

    def sink(self) -> Callable[[Event], None]:
        """A sink for the events of one more suite."""
        suite = _Suite(self._now)

        def take(event: Event) -> None:
            with self._console.lock:  # the live block adds up in its own thread
                suite.take(event)
                if isinstance(event, RunStarted):
                    self._under_way.append(suite)
                elif isinstance(event, RunFinished) and suite in self._under_way:
                    self._under_way.remove(suite)
            self._say()

        return take

    def _say(self) -> None:
        """Without a live block."""
        if self._block or not self._console.look.has_progress or self._now() - self._said_at < PROGRESS_EVERY_S:
            return
        self._said_at = self._now()
        for line in self.block_lines():
            self._console.story(line)

    def block_lines(self) -> list[str]:
        with self._console.lock:
            return [line for suite in self._under_way for line in suite.lines(self._see)]


class SuitesWatched:
    """Who is told what happens in suites: the screen, and what options name."""

    def __init__(
        self, stack: ExitStack, console: Console, metrics: Path | None, spans_to: str, *, is_jsonl: bool
    ) -> None:
        self._console = console
        self._is_jsonl = is_jsonl
        self._progress = stack.enter_context(SuiteProgress(console))
        self.ask = self._progress.ask
        self._metrics = stack.enter_context(metrics_file(metrics, console)) if metrics else None
        self._spans = stack.enter_context(SentSpans(spans_to, console)) if spans_to else None

    def watch(self, see: SeeTraffic) -> None:
        """Where to look at the requests under way."""
        self._progress.watch(see)
        if self._metrics:
            self._metrics.watch(see)

    def sinks(self) -> Sequence[EventSink]:
        """For one more suite."""
        lines = [event_printer(self._console)] if self._is_jsonl else []
        more = [one.sink() for one in (self._metrics, self._spans) if one]
        return [self._progress.sink(), *lines, *more]


class _Suite:
    """What the events of one suite come to."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._summariser = Summariser()
        self._name = ""
        self._began_at = 0.0
        self._last_error = ""

    def take(self, event: Event) -> None:
        self._summariser(event)
        match event:
            case RunStarted():
                self._name, self._began_at = event.workflow, self._now()
            case Retrying(step, item, message=message):
                self._last_error = f"{step}[{item}]: {message}"
            case Settled(outcome) if outcome.status is Status.FAILED and outcome.failure:
                self._last_error = f"{outcome.step}[{outcome.item}]: {outcome.failure.message}"
            case _:
                pass

    def lines(self, see: SeeTraffic) -> Sequence[str]:
        standing = Standing(self._summariser.summary(), see(), self._now() - self._began_at, self._last_error)
        return [f"{self._name}   {count(standing.done, 'answer')}", *figure_lines(standing)]
