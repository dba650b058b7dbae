"""A linked workflow: what every text compiles to, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from runner.core.call import Role
from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.problem import Problem
from runner.core.tool import Tool
from runner.core.workflow import Expression, FileTemplate, Loop, OutputTable, OutputValue, Step, Workflow
from runner.link.readings import Typing
from runner.link.scope import Use
from runner.link.shared import SharedEntries
from runner.link.stages import Stage
from runner.output.schema import CompiledSchema
from runner.templates.expression import CompiledExpression
from runner.templates.text import CompiledTemplate

BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class TextBeside:
    """An expression beside a workflow, such as an assertion of a suite. Its readings have the role BESIDE.

    `title` is what it is called in a message, `names` are known to it besides `inputs` and `steps`.
    """

    title: str
    expression: Expression
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class LinkedMessage:
    """One entry of `messages`; with `items` the entries in `inner` are repeated, `name` standing for the element."""

    role: Role = "user"
    text: CompiledTemplate | None = None
    items: CompiledExpression | None = None
    name: str = ""
    inner: tuple[LinkedMessage, ...] = ()


ValueOf = Callable[[Mapping[str, Json]], Json]
"""A value of a file, given what its expressions read. Raises RenderFailed."""


@dataclass(frozen=True, slots=True)
class LinkedLoop:
    """A loop, compiled. The steps are known by their short names, and read one another by these.

    `computed` are the expressions inside `start`.
    """

    loop: Loop
    steps: Mapping[str, LinkedStep]
    schema: CompiledSchema | None
    start: Mapping[str, ValueOf]
    next: Mapping[str, CompiledExpression]
    until: CompiledExpression | None = None
    over: CompiledExpression | None = None
    computed: tuple[CompiledExpression, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """One entry of `files`; with `items` the entries in `inner` are repeated, `name` standing for the element.

    `lead` is the reference that the path begins with, () when it begins with none: a path in a row is relative to
    the rows' own file.
    """

    file: FileTemplate | None = None
    path: CompiledTemplate | None = None
    lead: tuple[str, ...] = ()
    items: CompiledExpression | None = None
    name: str = ""
    inner: tuple[LinkedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkedTool:
    """A tool with its schemas compiled; None where they are wrong, or where nothing is said of what it returns."""

    tool: Tool
    parameters: CompiledSchema | None = None
    returns: CompiledSchema | None = None


@dataclass(frozen=True, slots=True)
class LinkedStep:
    """A step, compiled. `lane` is "" for a step that runs once.

    `hard` are the steps that it reads unguarded, `soft` those it can do without, `ordered` those named in `needs`
    only. `barriers` (a subset of the three) are read for all their items. `inputs`, `item_fields` and `answers` (of
    steps; `models` of those whose model it names, `cited` whose sources, `tool_readers` whose tool calls) are what its prompt reads; "" among the first two means the whole.
    Of the names that a loop gives it, the prompt reads `carried`; `walked` has the path of the list behind such a name,
    where that is plain. `tools` are those that it names; a step that runs one
    itself gives it `arguments`. `shared` is what a step that wants it kept has in common for all items.
    """

    step: Step
    lane: str
    system: CompiledTemplate | None = None
    messages: tuple[LinkedMessage, ...] = ()
    files: tuple[LinkedFile, ...] = ()
    when: CompiledExpression | None = None
    ensure: tuple[CompiledExpression, ...] = ()
    escalates: CompiledExpression | None = None
    save: CompiledTemplate | None = None
    schema: CompiledSchema | None = None
    uses: tuple[Use, ...] = ()
    hard: frozenset[str] = frozenset()
    soft: frozenset[str] = frozenset()
    ordered: frozenset[str] = frozenset()
    barriers: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    item_fields: frozenset[str] = frozenset()
    answers: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    cited: frozenset[str] = frozenset()
    tool_readers: frozenset[str] = frozenset()
    loop: LinkedLoop | None = None
    carried: frozenset[str] = frozenset()
    walked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tools: Mapping[str, LinkedTool] = field(default_factory=dict)
    arguments: Mapping[str, ValueOf] = field(default_factory=dict)
    shared: SharedEntries | None = None

    @property
    def name(self) -> str:
        return self.step.name

    @property
    def asked(self) -> Mapping[str, LinkedStep]:
        """All that asks a model, by its full name: the step itself, and as each further model is asked."""
        if self.loop is None:
            return {self.step.name: self, **{name: replace(self, step=step) for name, step in self.step.rungs.items()}}
        inner = (step.asked for step in self.loop.steps.values())
        return {f"{self.step.name}.{name}": step for asked in inner for name, step in asked.items()}

    @property
    def needs(self) -> frozenset[str]:
        return self.hard | self.soft | self.ordered


@dataclass(frozen=True, slots=True)
class Lane:
    """The steps that walk one list together. `data` names the source when the list is one, else "".

    `needs` are the steps that the list itself reads; `barriers` those of them read for all their items.
    """

    name: str
    items: CompiledExpression
    data: str = ""
    needs: frozenset[str] = frozenset()
    barriers: frozenset[str] = frozenset()
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkedOutput:
    """An output, compiled: a value, or the columns of a table over a lane's items. `uses` are what it reads."""

    output: OutputValue | OutputTable
    value: CompiledExpression | None = None
    lane: str = ""
    columns: Mapping[str, CompiledExpression] = field(default_factory=dict)
    column_uses: Mapping[str, tuple[Use, ...]] = field(default_factory=dict)
    value_uses: tuple[Use, ...] = ()

    @property
    def uses(self) -> tuple[Use, ...]:
        return (*self.value_uses, *(use for uses in self.column_uses.values() for use in uses))


@dataclass(frozen=True, slots=True)
class Linked:
    """What link found. With problems that are errors the rest may be incomplete and must not be run."""

    workflow: Workflow
    steps: Mapping[str, LinkedStep]
    lanes: Mapping[str, Lane]
    stages: tuple[Stage, ...]
    outputs: tuple[LinkedOutput, ...]
    problems: tuple[Problem, ...]
    typing: Typing = field(default_factory=Typing)
    output_readers: frozenset[str] = frozenset()
    """The steps that read outputs of the workflow: judges of a suite."""

    @property
    def asked(self) -> Mapping[str, LinkedStep]:
        """All that asks a model, by its full name."""
        return {name: one for step in self.steps.values() for name, one in step.asked.items()}

    @property
    def questions(self) -> Mapping[str, LinkedStep]:
        """The steps that ask something, those of loops by their full names."""
        found: dict[str, LinkedStep] = {}
        for name, step in self.steps.items():
            inner = {f"{name}.{short}": one for short, one in step.loop.steps.items()} if step.loop else {name: step}
            found |= inner
        return found

    @property
    def final_steps(self) -> tuple[str, ...]:
        """The steps that no other step reads, in the order of the file."""
        read = set().union(*(step.needs for step in self.steps.values()), *(lane.needs for lane in self.lanes.values()))
        return tuple(name for name in self.steps if name not in read)
