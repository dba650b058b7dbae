"""What came of one case, and what was found wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import UNASKED_KINDS, Attempt, FailureKind, Source
from runner.core.span import Span


class Kind(StrEnum):
    """How a case ended. All but the first two say nothing about the answers."""

    PASSED = "passed"
    FAILED = "failed"
    MISSING = "missing"  # a call would be needed, and none is allowed
    TROUBLE = "trouble"  # provider, network or storage
    BUDGET = "budget"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: a line of its own, the details, and the place in the suite file.

    `brief` is what stands in the list at the end; `step` is the step it is about, "" for none.
    """

    title: str
    details: tuple[str, ...]
    span: Span
    brief: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the answers of a case took. `cost_usd` is that of all answers, `spent_usd` of those asked now."""

    calls: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    spent_usd: float | None = 0.0
    seconds: float = 0.0
    models: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Measured:
    """The values of a metric in one case; `problem` says why there are none."""

    of: Json = None
    against: Json = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    unit: str
    kind: Kind
    findings: tuple[Finding, ...] = ()
    taken: Taken = Taken()
    metrics: Mapping[str, Measured] = field(default_factory=dict)
    snapshots: Mapping[str, Json] = field(default_factory=dict)
    """What must stay as it is, to be recorded."""
    since: str = ""
    """When a case that fails last passed, and what changed since; "" where that is not known."""

    @property
    def is_good(self) -> bool:
        return self.kind is Kind.PASSED


@dataclass(frozen=True, slots=True)
class StepAttempt:
    """An answer and the step that asked for it."""

    step: str
    attempt: Attempt


_NEVER_ANSWERED = frozenset({FailureKind.STORAGE, *UNASKED_KINDS})


def taken_by(attempts: tuple[StepAttempt, ...], step: str = "") -> Taken:
    """The sum over the answers of a case, or of one step of it. A price that is not known makes the sum unknown."""
    taken = Taken()
    for attempt in (one.attempt for one in attempts if one.step == step or not step):
        if attempt.failure in _NEVER_ANSWERED:
            continue
        is_fresh = attempt.source is Source.FRESH
        models = taken.models if not attempt.model or attempt.model in taken.models else (*taken.models, attempt.model)
        taken = Taken(
            calls=taken.calls + is_fresh,
            cached=taken.cached + (not is_fresh),
            input_tokens=taken.input_tokens + (attempt.usage.input_tokens or 0),
            output_tokens=taken.output_tokens + (attempt.usage.output_tokens or 0),
            cost_usd=_plus(taken.cost_usd, attempt.cost_usd),
            spent_usd=_plus(taken.spent_usd, attempt.cost_usd if is_fresh else 0.0),
            seconds=taken.seconds + attempt.seconds,
            models=models,
        )
    return taken


def sum_of(several: Iterable[Taken]) -> Taken:
    whole = Taken()
    for one in several:
        whole = Taken(
            calls=whole.calls + one.calls,
            cached=whole.cached + one.cached,
            input_tokens=whole.input_tokens + one.input_tokens,
            output_tokens=whole.output_tokens + one.output_tokens,
            cost_usd=_plus(whole.cost_usd, one.cost_usd),
            spent_usd=_plus(whole.spent_usd, one.spent_usd),
            seconds=whole.seconds + one.seconds,
            models=tuple(dict.fromkeys((*whole.models, *one.models))),
        )
    return whole


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
