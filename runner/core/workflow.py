"""What the author of a workflow meant: frozen, typed, every value with its place.

Nothing after `config/` knows that YAML exists. Each object carries `spans`, which maps the path of one of its keys
(such as `thinking`, `cache.salt` or `ensure.0`) to the place of the value in its file; `at()` falls back to the
object's own place.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from runner.core.canonical import Json
from runner.core.context import ContextCache
from runner.core.derivation import Derivation
from runner.core.frozen import dataclass, replace
from runner.core.limits import RateLimit
from runner.core.located import Located as Located  # noqa: PLC0414  # known from here
from runner.core.located import SchemaSource as SchemaSource  # noqa: PLC0414  # known from here
from runner.core.located import Template as Template  # noqa: PLC0414  # known from here
from runner.core.media import Clip, MediumKind, Resolution
from runner.core.model import FactsGiven, Price, Provider
from runner.core.span import Span
from runner.core.tool import DEFAULT_MAX_TURNS, Tool, ToolUse
from runner.core.values import Expression as Expression  # noqa: PLC0414  # known from here
from runner.core.values import Value

OnError = Literal["fail", "skip"]
CacheUse = Literal["auto", "refresh", "off"]
EscalatedKind = Literal["invalid", "cut", "refused", "transport"]
Way = Literal["", "online", "batch"]
VECTOR: Json = {"type": "array", "items": {"type": "number"}, "minItems": 1}
"""What a step with `embed` gives."""
DataFormat = Literal["jsonl", "csv", "json", "yaml", "parquet"]


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """One entry of `messages`."""

    role: Literal["user", "assistant"]
    text: Template
    span: Span


@dataclass(frozen=True, slots=True)
class RepeatedMessages:
    """An entry of `messages` that is repeated per element: `{for_each: list, as: name, messages: [...]}`."""

    items: Expression
    name: str
    messages: tuple[MessageTemplate, ...]
    span: Span


MessageEntry = MessageTemplate | RepeatedMessages


@dataclass(frozen=True, slots=True)
class FileTemplate:
    """One entry of `files`: what kind of file, and its path."""

    kind: MediumKind
    path: Template
    span: Span
    clip: Clip | None = None
    resolution: Resolution | None = None


@dataclass(frozen=True, slots=True)
class RepeatedFiles:
    """An entry of `files` that is repeated per element: `{for_each: list, as: name, files: [...]}`."""

    items: Expression
    name: str
    files: tuple[FileTemplate, ...]
    span: Span


FileEntry = FileTemplate | RepeatedFiles


@dataclass(frozen=True, slots=True)
class FanOut:
    """`for_each` and `as`: the expression names the lane; `name` is what the element is called besides `item`."""

    items: Expression
    name: str = "item"


@dataclass(frozen=True, slots=True)
class CachePolicy:
    use: CacheUse = "auto"
    salt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Located):
    """A model that is asked next, with settings of its own: what is None is left to the model, the cap to the step."""

    model: str
    thinking: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation(Located):
    """Which models are asked in turn, and for what: an answer of which `when` holds, or a failure of a kind in `on`."""

    to: tuple[Target, ...]
    when: Expression | None = None
    on: frozenset[EscalatedKind] = frozenset({"invalid", "cut", "refused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(Located):
    """Steps that are walked turn by turn, at most `max` times, with a state that is an object of `schema`.

    `next` computes keys of the next state. The loop ends after the turn for which `until` holds, or with the elements
    of `over`; then `over.name` is what the element is called.
    """

    max: int
    schema: SchemaSource
    start: Mapping[str, Value]
    steps: Mapping[str, Step]
    next: Mapping[str, Expression] = field(default_factory=dict)
    until: Expression | None = None
    over: FanOut | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Located):
    """One named use of a model, with the defaults filled in. `prompt` is `messages` with one user entry.

    `own` are the keys that the step itself sets; `transport` is "" where the command decides. With `is_embedding` the one
    message is the text of which the model gives a vector, a list of numbers as `schema` says. A step with a `call`
    runs a tool instead of asking a model. `toolbox` has what `runner.yaml` says of the tools that the step names.
    """

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    model: str = ""
    thinking: str | None = None
    system: Template | None = None
    messages: tuple[MessageEntry, ...] = ()
    files: tuple[FileEntry, ...] = ()
    schema: SchemaSource | None = None
    is_enforced_locally: bool = False
    is_embedding: bool = False
    ensure: tuple[Expression, ...] = ()
    repair: int = 0
    escalate: Escalation | None = None
    loop: Loop | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    needs: tuple[str, ...] | None = None
    when: Expression | None = None
    for_each: FanOut | None = None
    on_error: OnError = "fail"
    min_success: float | None = None
    max_parallel: int | None = None
    samples: int | None = None
    timeout_s: float | None = None
    retries: int | None = None
    transport: Way = ""
    cache: CachePolicy = CachePolicy()
    context_cache: ContextCache | None = None
    options: Mapping[str, Json] = field(default_factory=dict)
    save: Template | None = None
    call: ToolUse | None = None
    tools: tuple[str, ...] = ()
    tool_choice: str = ""
    max_turns: int = DEFAULT_MAX_TURNS
    toolbox: Mapping[str, Tool] = field(default_factory=dict)
    own: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    @property
    def rungs(self) -> Mapping[str, Step]:
        """The step as each further model is asked, by the name `STEP.escalate.1` and so on."""
        targets = self.escalate.to if self.escalate else ()
        return {f"{self.name}.escalate.{number}": _asking(self, one) for number, one in enumerate(targets, 1)}

    @property
    def asked(self) -> Mapping[str, Step]:
        """All that asks a model: the step and its rungs, or those of the steps of its loop, as `LOOP.STEP`."""
        if self.loop is None:
            return {self.name: self, **self.rungs}
        inner = (step.asked for step in self.loop.steps.values())
        return {f"{self.name}.{name}": step for asked in inner for name, step in asked.items()}


# The settings that a further model has of its own, or not at all.
_OF_THE_MODEL = ("model", "thinking", "temperature", "top_p", "seed", "options", "max_output_tokens")


def _asking(step: Step, target: Target) -> Step:
    cap = step.max_output_tokens if target.max_output_tokens is None else target.max_output_tokens
    kept = {
        path: span
        for path, span in step.spans.items()
        if path == "max_output_tokens" or path.partition(".")[0].removeprefix("name of ") not in _OF_THE_MODEL
    }
    return replace(
        step,
        spans={**kept, **target.spans},
        model=target.model,
        thinking=target.thinking,
        temperature=target.temperature,
        top_p=target.top_p,
        max_output_tokens=cap,
        seed=target.seed,
        options=target.options,
        context_cache=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec(Located):
    """A declared input: a JSON Schema, and where its value comes from when none is given.

    `default` holds a one-element tuple when there is one, so that null can be a default.
    `from_file` is relative to the root.
    """

    name: str
    schema: SchemaSource
    description: str = ""
    default: tuple[Json] | None = None
    from_env: str = ""
    from_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource(Located):
    """A declared source of rows. `file` is relative to the root, or "-" for standard input.

    With `glob` the rows are files instead: a pattern, relative to `base`, the folder (relative to the root) of the
    file that declares the source. `shape` is what the file itself says of its rows: it types them, and judges none.
    With `made` the rows come from another source, and no file is named here.
    """

    name: str
    file: str
    format: DataFormat
    key: str = ""
    schema: SchemaSource | None = None
    shape: SchemaSource | None = None
    glob: str = ""
    base: str = ""
    made: Derivation | None = None

    @property
    def folder(self) -> str:
        """The folder, relative to the root, that a path in a row starts from."""
        return self.base if self.glob else posixpath.dirname(self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAlias(Located):
    """A name for a model: `use` is `provider/model` or another alias."""

    name: str
    use: str
    thinking: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputValue(Located):
    name: str
    expression: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputTable(Located):
    """A table streamed to `file` (relative to the root; `.jsonl`, `.csv` or `.parquet`), one row per element of `rows`."""

    name: str
    rows: Expression
    file: str
    columns: Mapping[str, Expression]


Output = OutputValue | OutputTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Located):
    """What one run may take; None where it is not bounded. `calls` are requests, repairs and retries among them."""

    usd: float | None = None
    calls: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow(Located):
    """One workflow file with its includes merged and its defaults filled in.

    `includes` has the places where the included files (relative to the root) are named.
    """

    file: str
    name: str
    description: str = ""
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    data: Mapping[str, DataSource] = field(default_factory=dict)
    models: Mapping[str, ModelAlias] = field(default_factory=dict)
    steps: Mapping[str, Step] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    includes: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)
    budget: Budget | None = None

    @property
    def asked(self) -> Mapping[str, Step]:
        """All that asks a model, by its full name: the steps, and behind each the models that it escalates to."""
        return {name: one for step in self.steps.values() for name, one in step.asked.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Located):
    """`runner.yaml`: providers, model aliases, tools, limits and the budget of the project. Empty without such a file.

    `facts` maps `provider/model` to what the project says of a model, `prices` maps `provider/model` to what it costs there, whatever the catalogue says.
    """

    file: str = ""
    providers: Mapping[str, Provider] = field(default_factory=dict)
    models: Mapping[str, ModelAlias] = field(default_factory=dict)
    facts: Mapping[str, FactsGiven] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    budget: Budget | None = None
    tools: Mapping[str, Tool] = field(default_factory=dict)
    limits: tuple[RateLimit, ...] = ()
