"""What a run adds up to: a fold over its events.

Only fresh answers are spent money and tokens; what stored ones once cost is what was saved. A price that is not known
makes the sum unknown (None), never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from runner.core.canonical import Json
from runner.core.events import (
    AttemptMade,
    ContextEnded,
    ContextKept,
    Event,
    RunFinished,
    RunStarted,
    Settled,
    StepExpected,
)
from runner.core.frozen import dataclass
from runner.core.outcome import ANSWER_KINDS, Attempt, FailureKind, Outcome, Source, Status
from runner.record.folders import SUMMARY, write_record_file

SUMMARY_FORMAT: Final = 1
MOST_REASONS: Final = 1000

_Told: TypeAlias = tuple[str, Source, int, int, bool]


@dataclass(frozen=True, slots=True)
class StepSummary:
    """One step's numbers. Of `calls`, `repairs` were repairs; `requests` counts HTTP tries, retries included.
    `tools_run` are the tools that were run for models.

    `seconds` is the providers' time for fresh answers, added up over calls that ran side by side. Tokens are those
    that providers counted for fresh answers. `reasons` says why calls were made. A step that the run ended before is
    not reached; one that was, and has nothing to do, has no items. `cached_tokens` are those of the input that
    providers had kept; `kept_tokens` were handed over to be kept, for `keeping_usd`, which is part of the cost.
    """

    step: str
    model: str = ""
    items: int = 0
    good: int = 0
    failed: int = 0
    skipped: int = 0
    blocked: int = 0
    calls: int = 0
    cached: int = 0
    recorded: int = 0
    repairs: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    cost_usd: float | None = 0.0
    saved_usd: float | None = 0.0
    seconds: float = 0.0
    answered_by: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    maybe_paid_twice: int = 0
    is_reached: bool = True
    tools_run: int = 0
    cached_tokens: int = 0
    kept_tokens: int = 0
    keeping_usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run's steps in order of execution, and their totals. `status` is running until the run has ended."""

    run: str = ""
    workflow: str = ""
    status: str = "running"
    exit_code: int = 0
    seconds: float = 0.0
    steps: tuple[StepSummary, ...] = ()

    @property
    def items(self) -> int:
        return self._total(lambda step: step.items)

    @property
    def good(self) -> int:
        return self._total(lambda step: step.good)

    @property
    def failed(self) -> int:
        return self._total(lambda step: step.failed)

    @property
    def skipped(self) -> int:
        return self._total(lambda step: step.skipped)

    @property
    def blocked(self) -> int:
        return self._total(lambda step: step.blocked)

    @property
    def calls(self) -> int:
        return self._total(lambda step: step.calls)

    @property
    def cached(self) -> int:
        return self._total(lambda step: step.cached)

    @property
    def recorded(self) -> int:
        return self._total(lambda step: step.recorded)

    @property
    def repairs(self) -> int:
        return self._total(lambda step: step.repairs)

    @property
    def requests(self) -> int:
        return self._total(lambda step: step.requests)

    @property
    def input_tokens(self) -> int:
        return self._total(lambda step: step.input_tokens)

    @property
    def output_tokens(self) -> int:
        return self._total(lambda step: step.output_tokens)

    @property
    def thinking_tokens(self) -> int:
        return self._total(lambda step: step.thinking_tokens)

    @property
    def cached_tokens(self) -> int:
        return self._total(lambda step: step.cached_tokens)

    @property
    def keeping_usd(self) -> float | None:
        return _add_money(step.keeping_usd for step in self.steps)

    @property
    def maybe_paid_twice(self) -> int:
        return self._total(lambda step: step.maybe_paid_twice)

    @property
    def cost_usd(self) -> float | None:
        return _add_money(step.cost_usd for step in self.steps)

    @property
    def saved_usd(self) -> float | None:
        return _add_money(step.saved_usd for step in self.steps)

    def _total(self, number: Callable[[StepSummary], int]) -> int:
        return sum(map(number, self.steps))


# Nobody answered and nobody bills: not asked at all, or stopped inside this process.
_DROPPED: Final = frozenset({FailureKind.INTERRUPTED, FailureKind.STORAGE})

_COUNTED: Final = (
    *(status.value for status in Status),
    "calls",
    "cached",
    "recorded",
    "repairs",
    "requests",
    "input_tokens",
    "output_tokens",
    "thinking_tokens",
    "maybe_paid_twice",
    "tools_run",
    "cached_tokens",
    "kept_tokens",
)


class _Tally:
    """One step's numbers while they grow; an event costs a few additions."""

    def __init__(self, step: str, model: str = "") -> None:
        self.step = step
        self.model = model
        self.expected = 0
        self.is_expected = False
        self.counts = dict.fromkeys(_COUNTED, 0)
        self.spent: float | None = 0.0
        self.saved: float | None = 0.0
        self.seconds = 0.0
        self.models: dict[str, None] = {}
        self.reasons: dict[str, int] = {}
        # Attempts that were told but whose outcome is still open, so that none is counted twice.
        self.open: dict[str, list[_Told]] = {}
        # What was handed over to be kept, by its name: what that took, and what keeping it costs.
        self.kept: dict[str, tuple[float | None, float | None]] = {}

    def add_attempt(self, attempt: Attempt) -> None:
        counts = self.counts
        if attempt.number:
            counts["tools_run"] += attempt.source is Source.FRESH
            counts["maybe_paid_twice"] += attempt.maybe_paid_twice
            return
        if attempt.model:
            self.models[attempt.model] = None
        if attempt.source is not Source.FRESH:
            counts[attempt.source.value] += 1
            self.saved = _plus(self.saved, attempt.cost_usd)
            return
        if attempt.failure in _DROPPED:
            return
        is_answer = _is_answer(attempt)
        counts["requests"] += attempt.requests
        counts["maybe_paid_twice"] += attempt.maybe_paid_twice
        if not is_answer and not attempt.requests:
            return
        counts["calls"] += 1
        counts["repairs"] += attempt.repair > 0
        counts["input_tokens"] += attempt.usage.input_tokens or 0
        counts["output_tokens"] += attempt.usage.output_tokens or 0
        counts["thinking_tokens"] += attempt.usage.thinking_tokens or 0
        counts["cached_tokens"] += attempt.usage.cached_tokens or 0
        self.seconds += attempt.seconds
        if is_answer or attempt.cost_usd is not None:
            # A request that brought no answer has no bill to know; what may have been paid is counted apart.
            self.spent = _plus(self.spent, attempt.cost_usd)
        if attempt.reason:
            is_one_too_many = len(self.reasons) >= MOST_REASONS and attempt.reason not in self.reasons
            reason = attempt.reason.partition(":")[0] if is_one_too_many else attempt.reason
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def keep(self, event: ContextKept) -> None:
        if event.is_new:
            self.counts["kept_tokens"] += event.tokens
            self.kept[event.name] = (event.made_usd, event.kept_usd)

    def end(self, event: ContextEnded) -> None:
        if event.name in self.kept:
            self.kept[event.name] = (self.kept[event.name][0], event.kept_usd)

    def tell_attempt(self, item: str, attempt: Attempt) -> None:
        self.open.setdefault(item, []).append(_told(attempt))
        self.add_attempt(attempt)

    def add_outcome(self, outcome: Outcome) -> None:
        self.counts[outcome.status.value] += 1
        told = self.open.pop(outcome.item, [])
        for attempt in outcome.attempts:
            one = _told(attempt)
            if one in told:
                told.remove(one)
            else:
                self.add_attempt(attempt)

    def expect(self, items: int, model: str) -> None:
        self.is_expected = True
        self.expected += items
        self.model = model or self.model

    def summarise(self) -> StepSummary:
        settled = sum(self.counts[status.value] for status in Status)
        keeping = _add_money(usd for amounts in self.kept.values() for usd in amounts)
        was_walked = settled or any(self.counts[name] for name in ("calls", "cached", "recorded"))
        return StepSummary(
            step=self.step,
            model=self.model,
            items=max(self.expected, settled),
            cost_usd=_plus(self.spent, keeping),
            keeping_usd=keeping,
            saved_usd=self.saved,
            seconds=self.seconds,
            answered_by=tuple(sorted(self.models)),
            reasons=dict(sorted(self.reasons.items())),
            is_reached=bool(was_walked) or (self.is_expected and not self.expected),
            **self.counts,
        )


class Summariser:
    """An EventSink whose `summary()` can be asked at any time."""

    def __init__(self) -> None:
        self._run = RunSummary()
        self._tallies: dict[str, _Tally] = {}

    def __call__(self, event: Event, /) -> None:
        match event:
            case AttemptMade():
                self._tally(event.step).tell_attempt(event.item, event.attempt)
            case ContextKept():
                self._tally(event.step).keep(event)
            case ContextEnded():
                self._tally(event.step).end(event)
            case Settled(outcome=outcome):
                self._tally(outcome.step).add_outcome(outcome)
            case RunStarted():
                self._run = RunSummary(run=event.run, workflow=event.workflow)
                for step, model in event.steps.items():
                    self._tally(step).model = model
            case StepExpected():
                self._tally(event.step).expect(event.items, event.model)
            case RunFinished():
                self._run = RunSummary(
                    run=event.run or self._run.run,
                    workflow=self._run.workflow,
                    status=event.status,
                    exit_code=event.exit_code,
                    seconds=event.seconds,
                )
            case _:
                pass

    def summary(self) -> RunSummary:
        run = self._run
        steps = tuple(tally.summarise() for tally in self._tallies.values())
        return RunSummary(run.run, run.workflow, run.status, run.exit_code, run.seconds, steps)

    def _tally(self, step: str) -> _Tally:
        tally = self._tallies.get(step)
        if tally is None:
            tally = self._tallies[step] = _Tally(step)
        return tally


def summarise(events: Iterable[Event]) -> RunSummary:
    """The summary of a whole run."""
    fold = Summariser()
    for event in events:
        fold(event)
    return fold.summary()


def summary_to_json(summary: RunSummary) -> dict[str, Json]:
    """The summary with its format number; durations stand under `meta`, so that two summaries can be compared."""
    steps = [{name: value for name, value in asdict(step).items() if name != "seconds"} for step in summary.steps]
    return {
        "format": SUMMARY_FORMAT,
        "run": summary.run,
        "workflow": summary.workflow,
        "status": summary.status,
        "exit_code": summary.exit_code,
        "steps": steps,
        "meta": {"seconds": summary.seconds, "steps": {step.step: step.seconds for step in summary.steps}},
    }


def summary_from_json(value: Json) -> RunSummary:
    """Raises ValueError for another format, or for what is no summary."""
    try:
        if value["format"] != SUMMARY_FORMAT:
            raise ValueError(f"a summary of format {value['format']} cannot be read by this version")
        seconds = value["meta"]["steps"]
        steps = tuple(
            StepSummary(**{**step, "answered_by": tuple(step["answered_by"]), "seconds": seconds[step["step"]]})
            for step in value["steps"]
        )
        return RunSummary(
            run=value["run"],
            workflow=value["workflow"],
            status=value["status"],
            exit_code=value["exit_code"],
            seconds=value["meta"]["seconds"],
            steps=steps,
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError("this is no summary of a run") from None


def write_summary(folder: Path, summary: RunSummary) -> None:
    """`summary.json` in the run's folder. Raises StorageError."""
    write_record_file(
        folder / SUMMARY,
        orjson.dumps(summary_to_json(summary), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
    )


def read_summary(folder: Path) -> RunSummary | None:
    """The summary that a finished run left; None for a run that was killed. Raises ValueError for another format."""
    try:
        data = (folder / SUMMARY).read_bytes()
    except OSError:
        return None
    return summary_from_json(orjson.loads(data))


def _is_answer(attempt: Attempt) -> bool:
    return attempt.failure is None or attempt.failure in ANSWER_KINDS


def _told(attempt: Attempt) -> _Told:
    """What stays the same between the event of an attempt and its place in the outcome, where it has been judged."""
    return (attempt.key, attempt.source, attempt.sample, attempt.repair, _is_answer(attempt))


def _plus(sum_usd: float | None, cost_usd: float | None) -> float | None:
    return None if sum_usd is None or cost_usd is None else sum_usd + cost_usd


def _add_money(amounts: Iterable[float | None]) -> float | None:
    total: float | None = 0.0
    for amount in amounts:
        total = _plus(total, amount)
    return total
