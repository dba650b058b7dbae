"""The lines of the journal and of `--jsonl`, as types: what writes them is checked against these, and their schema is made
of them. A new field keeps the format's number; one that goes or changes its meaning raises it.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypeAlias, TypedDict

from runner.core.canonical import Json
from runner.core.events import RunStatus
from runner.core.outcome import FailureKind, Source, Status

Format: TypeAlias = Annotated[Literal[1], "The version of the format."]
Item: TypeAlias = Annotated[str, "The item's id; empty for a step that runs once."]


class CitedRecord(TypedDict):
    url: str
    title: str


class MetaRecord(TypedDict):
    """Clocks and durations: what differs between two equal runs."""

    at: NotRequired[Annotated[float, "When it was told, in seconds since 1970."]]
    seconds: NotRequired[float]
    first_token_s: NotRequired[Annotated[float, "When the text of a streamed answer began."]]
    wait_s: NotRequired[Annotated[float, "How long it is waited before the next request."]]


class ViolationRecord(TypedDict):
    """One way in which an answer does not fit."""

    pointer: Annotated[str, "The place in the answer, as a JSON pointer."]
    keyword: str
    expected: str
    found: str


class UsageRecord(TypedDict):
    """Tokens, as the provider counted them; null where it did not."""

    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    thinking_tokens: int | None


class FailureRecord(TypedDict):
    """Why there is no good output."""

    kind: FailureKind
    message: str
    status: Annotated[int | None, "The status of HTTP, where there was one."]
    violations: list[ViolationRecord]


class StartedRecord(TypedDict):
    """A run begins."""

    format: Format
    event: Literal["started"]
    run: Annotated[str, "The run's id, such as r12."]
    workflow: str
    file: str
    steps: Annotated[dict[str, str], "The models by step, in the order of execution."]
    version: Annotated[str, "The version of the runner."]
    meta: NotRequired[MetaRecord]


class ExpectedRecord(TypedDict):
    """How many items a step will have, told once that is known."""

    format: Format
    event: Literal["expected"]
    step: str
    items: int
    model: str
    thinking: Annotated[str, "The level that is sent; empty for none."]
    meta: NotRequired[MetaRecord]


class AttemptRecord(TypedDict):
    """An answer was received, or taken from the store."""

    format: Format
    event: Literal["attempt"]
    step: str
    item: Item
    part: NotRequired[Annotated[str, "The part of the step that asked, such as STEP.escalate.1."]]
    turn: NotRequired[Annotated[int, "The turn of a loop, from 1."]]
    answers: NotRequired[Annotated[int, "How many answers of tools came before."]]
    number: NotRequired[Annotated[int, "Which call of several in one answer, from 1."]]
    sources: NotRequired[Annotated[list[CitedRecord], "What the answer rests on."]]
    key: Annotated[str, "The cache key of the question."]
    source: Source
    reason: Annotated[str, "Why it was asked, such as new or model."]
    repair: Annotated[int, "Which repair it is; 0 for the first answer."]
    sample: int
    usage: UsageRecord
    cost_usd: Annotated[float | None, "Null where the price is not known."]
    requests: Annotated[int, "Requests over HTTP, retries included."]
    model: str
    violations: list[ViolationRecord]
    failure: FailureKind | None
    maybe_paid_twice: Annotated[int, "Requests that were sent again although the first may have been answered."]
    ingredients: Annotated[dict[str, Json], "What the question was made of: small values, and digests of texts."]
    meta: NotRequired[MetaRecord]


class ContextRecord(TypedDict):
    """What all questions of a step share is kept at the provider."""

    format: Format
    event: Literal["context"]
    step: str
    model: str
    name: Annotated[str, "What the provider calls it."]
    tokens: int
    made_usd: Annotated[float | None, "What handing it over took; null where the price is not known."]
    kept_usd: Annotated[float | None, "What keeping it costs; null where the price is not known."]
    is_new: Annotated[bool, "False where an earlier run has handed it over, and paid."]
    meta: NotRequired[MetaRecord]


class ContextEndedRecord(TypedDict):
    """What was kept at the provider was deleted."""

    format: Format
    event: Literal["context-ended"]
    step: str
    name: str
    kept_usd: Annotated[float | None, "What keeping it has cost."]
    meta: NotRequired[MetaRecord]


class RetryRecord(TypedDict):
    """A request failed and will be sent again."""

    format: Format
    event: Literal["retry"]
    step: str
    item: Item
    tries: int
    message: str
    meta: NotRequired[MetaRecord]


class OutcomeRecord(TypedDict):
    """What became of an item of a step."""

    format: Format
    event: Literal["outcome"]
    step: str
    item: Item
    status: Status
    output: Annotated[Json, "The answer, or with samples their list; null without a good one."]
    failure: FailureRecord | None
    keys: Annotated[list[str], "The cache keys of its attempts."]
    because: Annotated[str, "Why it was skipped or not run."]
    meta: NotRequired[MetaRecord]


class NoteRecord(TypedDict):
    """Something to tell that is no failure of an item."""

    format: Format
    event: Literal["note"]
    code: str
    message: str
    meta: NotRequired[MetaRecord]


class FinishedRecord(TypedDict):
    """The run has ended."""

    format: Format
    event: Literal["finished"]
    run: str
    status: RunStatus
    exit_code: int
    outputs: Annotated[Json, "What went to standard output."]
    meta: NotRequired[MetaRecord]


EventRecord: TypeAlias = (
    StartedRecord
    | ExpectedRecord
    | AttemptRecord
    | ContextRecord
    | ContextEndedRecord
    | RetryRecord
    | OutcomeRecord
    | NoteRecord
    | FinishedRecord
)
