"""What happens in a run, told as it happens: a line for each finished step, and progress in between."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from runner.cli.console import Console
from runner.cli.exit_codes import INTERRUPTED
from runner.cli.live import LiveBlock
from runner.cli.streaming import StreamedText
from runner.core.events import (
    AttemptMade,
    ContextEnded,
    ContextKept,
    Event,
    Heard,
    Noted,
    Retrying,
    RunFinished,
    RunStarted,
    Settled,
    StepExpected,
)
from runner.core.outcome import UNASKED_KINDS, Outcome, Source, Status
from runner.core.traffic import SeeTraffic
from runner.record.summary import RunSummary, Summariser
from runner.report.figures import Standing, figure_lines
from runner.report.format import duration
from runner.report.text import (
    GAP,
    NARROWEST,
    closing_line,
    context_line,
    left_out_line,
    misfit_lines,
    name_width,
    paid_twice_line,
    progress_line,
    step_line,
)

PROGRESS_EVERY_S = 10.0


class Story:
    """A sink of events that speaks to the console; used as a context, so that the live block always ends."""

    def __init__(
        self, console: Console, *, may_be_live: bool = True, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._now = now
        self._summariser = Summariser()
        self._width = NARROWEST
        self._expected: dict[str, int] = {}
        self._models: dict[str, str] = {}
        self._began_at: dict[str, float] = {}
        self._settled: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._unasked: Counter[str] = Counter()
        self._told: set[str] = set()
        self._said_at = now()
        self._started_at = now()
        self._see: SeeTraffic = tuple
        self._last_error = ""
        self._streamed = StreamedText(console)
        self._block = LiveBlock(console, self.block_lines) if may_be_live and console.has_live_story else None

    def __enter__(self) -> Self:
        if self._block:
            self._block.start()
        return self

    def ask(self, question: str) -> bool:
        """A question on the terminal, while nothing else is drawn there."""
        if self._block:
            self._block.stop()
        try:
            return self._console.confirm(question)
        finally:
            if self._block:
                self._block = LiveBlock(self._console, self.block_lines)
                self._block.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._block:
            self._block.stop()

    def watch(self, see: SeeTraffic) -> None:
        """Where to look at the requests under way."""
        self._see = see

    def hear(self, heard: Heard) -> None:
        """Text of an answer while it comes."""
        self._streamed.hear(heard)

    def __call__(self, event: Event) -> None:
        with self._console.lock:  # the live block adds up in its own thread
            self._summariser(event)
        self._streamed.note(event)
        self._note_error(event)
        match event:
            case Settled(outcome):
                self._settle(outcome)
            case AttemptMade():
                self._attempt(event)
            case StepExpected(step, items, model):
                self._models[step] = model
                self._began_at.setdefault(step, self._now())
                self._expected[step] = self._expected.get(step, 0) + items
                self._told.discard(step)
                if self._settled[step] == self._expected[step]:
                    self._finish(step)
            case RunStarted(run, workflow, file, steps, version):
                self._width = name_width(list(steps))
                self._console.detail(f"{run}: {workflow} ({file}), runner {version}")
            case Retrying(step, item, tries, wait_s, message) if self._is_told_singly(step):
                again = f"{_place(step, item)}: try {tries} failed ({message}); again in {duration(wait_s)}"
                self._console.story(again, "dim")
            case Retrying():
                pass
            case ContextKept():
                self._console.story(context_line(event, self._width), "dim")
            case ContextEnded(step, _, seconds):
                self._console.detail(f"{step}: what it kept was deleted after {duration(seconds)}")
            case Noted("left-out", message):
                self._console.story(left_out_line(message, self._width))
            case Noted(code, message):
                # A warning of the workflow is rendered already, with its own code.
                self._console.story(message if code == "warning" else f"{code}: {message}", "warning")
            case RunFinished():  # pragma: no branch - the last kind
                self._tell_the_unfinished()

    def _note_error(self, event: Event) -> None:
        match event:
            case Retrying(step, item, message=message):
                self._last_error = f"{_place(step, item)}: {message}"
            case Settled(outcome) if outcome.status is Status.FAILED and outcome.failure:
                self._last_error = f"{_place(outcome.step, outcome.item)}: {outcome.failure.message}"
            case _:
                pass

    def _is_told_singly(self, step: str) -> bool:
        """Single steps are told attempt by attempt, items of a fan-out only to those who ask."""
        return self._expected.get(step, 1) == 1 or self._console.look.verbosity > 0

    def _attempt(self, event: AttemptMade) -> None:
        attempt, step = event.attempt, event.step
        is_worth_it = attempt.source is Source.FRESH or self._console.look.verbosity > 0
        if attempt.repair and is_worth_it and self._is_told_singly(step):
            self._console.story(f"{' ' * self._width}{GAP}repair {attempt.repair} answered", "dim")
        if attempt.violations and is_worth_it and self._is_told_singly(step):
            for line in misfit_lines(_place(step, event.item), attempt, self._width):
                self._console.story(line)
        self._progress(step)

    def _settle(self, outcome: Outcome) -> None:
        step = outcome.step
        self._settled[step] += 1
        self._unasked[step] += outcome.failure is not None and outcome.failure.kind in UNASKED_KINDS
        if outcome.status is Status.FAILED:
            self._failed[step] += 1
            if outcome.failure and self._console.look.verbosity:
                self._console.detail(f"{_place(step, outcome.item)}: {outcome.failure.kind}: {outcome.failure.message}")
        if self._settled[step] == self._expected.get(step):
            self._finish(step)
        else:
            self._progress(step)

    def _finish(self, step: str) -> None:
        self._told.add(step)
        found = next(one for one in self._summariser.summary().steps if one.step == step)
        stored_only = not found.calls and not found.failed and not found.blocked
        took_s = self._now() - self._began_at.get(step, self._started_at)
        self._console.story(step_line(found, self._width, took_s), "dim" if stored_only else "")
        self._said_at = self._now()

    def _progress(self, step: str) -> None:
        """Without a live block: a line each ten seconds."""
        console = self._console
        if self._block or not console.look.has_progress or self._expected.get(step, 1) <= 1:
            return
        now = self._now()
        if now - self._said_at >= PROGRESS_EVERY_S:
            self._said_at = now
            console.story(self._progress_line(step))
            for line in self._figures():
                console.story(f"{' ' * self._width}{GAP}{line}")

    def _figures(self) -> list[str]:
        """Speed, money, limits and the last error of the run as a whole."""
        with self._console.lock:
            summary = self._summariser.summary()
        return figure_lines(Standing(summary, self._see(), self._now() - self._started_at, self._last_error))

    def _progress_line(self, step: str) -> str:
        """What was stopped before it was asked is settled, but nothing that was done."""
        done = self._settled[step] - self._unasked[step]
        return progress_line(step, done, self._expected[step], self._failed[step], self._width)

    def _tell_the_unfinished(self) -> None:
        for step in self._expected:
            if step not in self._told and self._settled[step]:
                self._console.story(self._progress_line(step))

    def block_lines(self) -> list[str]:
        """The live block: what is under way, in plain integers."""
        running = [step for step in list(self._expected) if step not in self._told]
        lines = [self._block_line(step) for step in running]
        return [
            *lines,
            *self._figures(),
            f"{duration(self._now() - self._started_at)}, Ctrl-C stops and keeps what was received",
        ]

    def _block_line(self, step: str) -> str:
        """A single step has nothing to count: say who is asked."""
        if self._expected[step] == 1:
            return f"{step:<{self._width}}{GAP}{self._models[step]}"
        return self._progress_line(step)

    def close(self, summary: RunSummary) -> None:
        """The closing lines, said after the result."""
        warning = paid_twice_line(summary)
        if warning:
            self._console.story(warning, "warning")
        self._console.story(closing_line(summary), "bold")
        if summary.exit_code == INTERRUPTED:
            self._console.story("what was received is stored: the same command goes on from there")

    def tell_retry(self, names: Sequence[str], command: str) -> None:
        """The last lines, where rows failed: which files they are in, and what asks them again."""
        self._console.story(f"what failed is in {', '.join(names)}; to ask just that again:\n  {command}")


def _place(step: str, item: str) -> str:
    return f"{step}[{item}]" if item else step
