"""What can happen in a run, as plain records. The journal, the screen and the summary are folds over these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import Attempt, Outcome

RunStatus = Literal["done", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """`steps` in order of execution, each with its route's name (`provider/model`)."""

    run: str
    workflow: str
    file: str
    steps: Mapping[str, str]
    version: str


@dataclass(frozen=True, slots=True)
class StepExpected:
    """How many items a step will have, known once its lane is; `thinking` is the level sent, "" for none."""

    step: str
    items: int
    model: str
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class AttemptMade:
    """One answer was taken from the store or received. With `ingredients` it is a line of the place index."""

    step: str
    item: str
    attempt: Attempt
    ingredients: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContextKept:
    """What all questions of a step share is kept at the provider, for `seconds` from now on.

    What it took to hand it over and what keeping it costs is None where the price is not known, and 0 unless it
    `is_new`: then an earlier run has paid.
    """

    step: str
    model: str
    name: str
    tokens: int
    seconds: float
    made_usd: float | None
    kept_usd: float | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class ContextEnded:
    """It was deleted after `seconds`; `kept_usd` is what keeping it has cost."""

    step: str
    name: str
    seconds: float
    kept_usd: float | None


@dataclass(frozen=True, slots=True)
class Retrying:
    """A request failed and will be sent again after `wait_s`."""

    step: str
    item: str
    tries: int
    wait_s: float
    message: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A (step, item) has its outcome."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to tell that is no failure of an item: a damaged entry, a file that was written."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """`outputs` is what went to standard output."""

    run: str
    status: RunStatus
    exit_code: int
    seconds: float
    outputs: Json = None


@dataclass(frozen=True, slots=True)
class Heard:
    """Text of an answer while it comes; told to who listens, and no part of the record: it is provisional."""

    step: str
    item: str
    text: str
    part: str = ""
    turn: int = 0
    sample: int = 0
    repair: int = 0


Event: TypeAlias = (
    RunStarted | StepExpected | AttemptMade | ContextKept | ContextEnded | Retrying | Settled | Noted | RunFinished
)
