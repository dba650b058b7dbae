"""What the author of a suite meant: cases of a workflow and what must hold, frozen, every value with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.span import Span
from runner.core.values import Value
from runner.core.workflow import DataFormat, Expression, Located, SchemaSource, Step

# --- what must hold


@dataclass(frozen=True, slots=True, kw_only=True)
class That(Located):
    """An expression that must be true. `label` is the author's word for an assertion, of every kind."""

    condition: Expression
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCheck(Located):
    """Texts that must (or, with `lacks`, must not) occur in what `of` gives; a `regex` is one pattern."""

    of: Expression
    kind: Literal["contains", "lacks", "starts_with", "regex"]
    texts: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCheck(Located):
    """A JSON path that leads somewhere, and to `value` where one is given."""

    of: Expression
    path: str
    value: Value | None = None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthCheck(Located):
    of: Expression
    least: float | None
    most: float | None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityCheck(Located):
    """`by` is the embedding model whose vectors are compared, "" for the letters."""

    of: Expression
    to: Value
    at_least: float
    by: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCheck(Located):
    """The output of a step of `judges` has `verdict: true`."""

    judge: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitCheck(Located):
    """The most that the answers of a case, or of one `step`, may have taken: US dollars, tokens or seconds."""

    kind: Literal["usd", "tokens", "latency"]
    most: float
    step: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotCheck(Located):
    """`of` gives what it gave when the recordings were made."""

    of: Expression
    label: str = ""


Assertion = That | TextCheck | PathCheck | LengthCheck | SimilarityCheck | JudgeCheck | LimitCheck | SnapshotCheck


@dataclass(frozen=True, slots=True)
class Subject:
    """What an expectation is about: a step, one `item` of it, or an output; "" for what it is not."""

    step: str = ""
    item: str = ""
    output: str = ""

    def __str__(self) -> str:
        name = f"outputs.{self.output}" if self.output else f"steps.{self.step}"
        return f"{name}[{self.item}]" if self.item else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation(Located):
    """What must come out: mappings match partly, lists exactly. With `is_recorded`, all as when it was recorded."""

    values: Mapping[Subject, Value] = field(default_factory=dict)
    status: Mapping[Subject, Literal["skipped", "failed"]] = field(default_factory=dict)
    is_recorded: bool = False

    @property
    def asserts_nothing(self) -> bool:
        return not (self.values or self.status or self.is_recorded)


# --- cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Located):
    """Inputs for the workflow and what must hold. `values` are its `with`; `xfail` is the reason of a known failure."""

    name: str
    values: Mapping[str, Value] = field(default_factory=dict)
    expect: Expectation | None = None
    assertions: tuple[Assertion, ...] = ()
    tags: tuple[str, ...] = ()
    xfail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSource(Located):
    """Cases made from rows: of `file`, or of the files that fit `glob` (both relative to the root, one is "")."""

    file: str = ""
    glob: str = ""
    format: DataFormat = "jsonl"
    key: str = ""
    schema: SchemaSource | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    expect: Expectation | None = None
    assertions: tuple[Assertion, ...] = ()
    tags: tuple[str, ...] = ()


# --- variants


@dataclass(frozen=True, slots=True)
class StepChange:
    """`key` of a step replaced: `part` is a step of which only what this key says is to be taken."""

    step: str
    key: str
    part: Step
    span: Span

    @property
    def target(self) -> str:
        return f"{self.step}.{self.key}"


@dataclass(frozen=True, slots=True)
class InputChange:
    """An input replaced."""

    input: str
    value: Value
    span: Span

    @property
    def target(self) -> str:
        return f"inputs.{self.input}"


Change = StepChange | InputChange


@dataclass(frozen=True, slots=True)
class Option:
    """One point of an axis: what it is called, the value as written, and all that it replaces."""

    name: str
    written: Json
    changes: tuple[Change, ...]
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis(Located):
    name: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPattern(Located):
    """Axis names, each with the values (as written) that fit."""

    values: Mapping[str, tuple[Json, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix(Located):
    axes: Mapping[str, Axis] = field(default_factory=dict)
    exclude: tuple[CellPattern, ...] = ()
    include: tuple[CellPattern, ...] = ()
    added: tuple[Mapping[str, Option], ...] = ()
    """The options of the cells in `include`."""


# --- numbers over all cases

MetricKind = Literal[
    "accuracy",
    "precision",
    "recall",
    "f1",
    "confusion",
    "mean",
    "median",
    "percentile",
    "min",
    "max",
    "sum",
    "share",
    "agreement",
    "from",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Located):
    """A number over all cases; `against` belongs to accuracy, f1 and the like, `share` (0 to 1) to a percentile.

    `label` holds the one label that is measured in a tuple, None for the mean of all. For `from`, `of` reads other metrics.
    """

    name: str
    kind: MetricKind
    of: Expression
    against: Expression | None = None
    label: tuple[Json] | None = None
    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Located):
    """What `pass_rate`, `usd` or a metric must be."""

    name: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Located):
    """Metrics against those of a cell, or of a stored file (relative to the root)."""

    cell: CellPattern | None = None
    file: str = ""
    fail_if: Expression | None = None
    significance: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteBudget(Located):
    usd: float | None = None
    calls: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite(Located):
    """One suite file with its includes merged. `workflow` is relative to the root, "" where it cannot be told."""

    file: str
    name: str
    workflow: str
    values: Mapping[str, Value] = field(default_factory=dict)
    assertions: tuple[Assertion, ...] = ()
    cases: Mapping[str, Case] = field(default_factory=dict)
    cases_from: CaseSource | None = None
    judges: Mapping[str, Step] = field(default_factory=dict)
    matrix: Matrix | None = None
    samples: int = 1
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    compare: Comparison | None = None
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    budget: SuiteBudget | None = None
    tags: tuple[str, ...] = ()
