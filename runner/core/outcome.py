"""What became of a step, or of one of its items."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import field
from enum import StrEnum
from typing import TypeVar

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.response import Citation, Usage


class FailureKind(StrEnum):
    """Kinds of failure. The first four are answers that are no good; they are stored as failures."""

    INVALID = "invalid"  # does not parse, does not fit the schema, or an ensure line does not hold
    CUT = "cut"  # the provider stopped at a limit
    TURNS = "turns"  # the model still calls tools in the last turn that it has
    REFUSED = "refused"  # the provider or the model declined
    TRANSIENT = "transient"  # network, overload, rate limit: retried, then given up
    UNKNOWN_DELIVERY = "unknown-delivery"  # sent, but whether it was answered (and paid) is not known
    AUTH = "auth"  # bad or missing key, no permission: stops the provider's calls
    QUOTA = "quota"  # the day's or the account's limit: stops the provider's calls
    NOT_FOUND = "not-found"  # no such model
    BAD_REQUEST = "bad-request"  # the provider does not take the request
    BAD_ANSWER = "bad-answer"  # a 200 that is no answer (HTML, an empty body, an unknown shape)
    TOOL = "tool"  # a tool of the project failed
    RENDER = "render"  # a template or expression failed on this item's values
    ROW = "row"  # the data row itself is bad
    UPSTREAM = "upstream"  # a step that this one reads failed
    NEEDS_CALL = "needs-call"  # not stored, and no call is allowed
    NOT_SELECTED = "not-selected"  # not stored, and -s does not select the step
    STORAGE = "storage"  # the answer could not be kept
    INTERRUPTED = "interrupted"
    BUDGET = "budget"  # not asked: the run had spent what it may
    NOT_ASKED = "not-asked"  # the run was stopped by trouble that every further request would meet


ANSWER_KINDS = frozenset({FailureKind.INVALID, FailureKind.CUT, FailureKind.TURNS, FailureKind.REFUSED})
RETRIED_KINDS = frozenset({FailureKind.TRANSIENT, FailureKind.UNKNOWN_DELIVERY})
UNASKED_KINDS = frozenset({FailureKind.INTERRUPTED, FailureKind.BUDGET, FailureKind.NOT_ASKED})
ROUTE_STOPPERS = frozenset({FailureKind.AUTH, FailureKind.QUOTA, FailureKind.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which an answer does not fit: JSON pointer, keyword, and what was expected, in our words."""

    pointer: str
    keyword: str
    expected: str
    found: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no good output. `retry_after_s` is the provider's own wish, for the retry decision only.

    `is_unsent`: the request reached nobody.
    """

    kind: FailureKind
    message: str
    violations: tuple[Violation, ...] = ()
    retry_after_s: float | None = None
    status: int | None = None
    is_unsent: bool = field(default=False, compare=False)


class Source(StrEnum):
    """Where an answer came from."""

    FRESH = "fresh"
    CACHED = "cached"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One question on the way to an outcome; a repair is the next. `requests` counts HTTP tries, retries included.

    `part` is the part of the step that asked, by its full name (`STEP.escalate.1`), "" for the step itself; `turn` counts
    those of a loop from 1, 0 outside of one. `first_token_s` says when the text of a streamed answer began.
    """

    key: str
    source: Source
    reason: str = ""
    repair: int = 0
    sample: int = 0
    usage: Usage = Usage()
    cost_usd: float | None = None
    seconds: float = 0.0
    requests: int = 0
    model: str = ""
    violations: tuple[Violation, ...] = ()
    failure: FailureKind | None = None
    maybe_paid_twice: int = 0
    part: str = ""
    turn: int = 0
    answers: int = 0
    number: int = 0
    first_token_s: float | None = None
    sources: tuple[Citation, ...] = ()


def in_turn(item: str, turn: int, answers: int = 0, number: int = 0) -> str:
    """An item in a turn of its loop and of its conversation with tools, as it is told and as a place spells it."""
    if not (turn or answers or number):
        return item.strip()
    parts = (("turn", turn), ("after answer", answers), ("call", number))
    return " ".join([item, *(f"{word} {count}" for word, count in parts if count)]).strip()


T = TypeVar("T")


def in_call_order(found: Sequence[T], place: Callable[[T], tuple[Hashable, int]]) -> list[T]:
    """What was told of tools that ran side by side, in the order of their calls; all else stays where it is.

    `place` says to which answer one belongs, and which of its calls it is (0: none of them).
    """
    groups: dict[Hashable, list[int]] = {}
    places = [place(one) for one in found]
    for at, (group, number) in enumerate(places):
        if number:
            groups.setdefault(group, []).append(at)
    ordered = list(found)
    for spots in groups.values():
        for at, source in zip(spots, sorted(spots, key=lambda spot: places[spot][1]), strict=True):
            ordered[at] = found[source]
    return ordered


class Status(StrEnum):
    GOOD = "good"
    FAILED = "failed"
    SKIPPED = "skipped"
    BLOCKED = "blocked"  # not run: something it reads failed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one (step, item). `output` is the JSON value or the text; with samples, their list.

    `because` says why it was skipped or blocked; `model` is the version that says it answered, `sources` what it
    rests on, `tool_calls` what tools it called on its way.
    """

    step: str
    item: str
    status: Status
    output: Json = None
    failure: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    because: str = ""
    seconds: float = field(default=0.0, compare=False)
    model: str = ""
    sources: tuple[Citation, ...] = ()
    tool_calls: tuple[Json, ...] = ()

    def without_attempts(self) -> Outcome:
        """The same outcome for keeping: how it came about is in the record."""
        if not self.attempts:
            return self
        return Outcome(
            self.step,
            self.item,
            self.status,
            self.output,
            self.failure,
            (),
            self.because,
            self.seconds,
            self.model,
            self.sources,
            self.tool_calls,
        )

    @property
    def cited(self) -> list[Json]:
        """The sources as readers see them."""
        return [{"url": source.url, "title": source.title} for source in self.sources]
