"""A linked workflow: what every text compiles to, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from runner.core.call import Role
from runner.core.canonical import Json
from runner.core.derivation import Derivation
from runner.core.frozen import dataclass, replace
from runner.core.problem import Problem
from runner.core.tool import Tool
from runner.core.workflow import DataSource, Expression, FileTemplate, Loop, OutputTable, OutputValue, Step, Workflow
from runner.link.readings import Typing
from runner.link.scope import Place, Use
from runner.link.shared import SharedEntries
from runner.link.stages import Stage
from runner.output.schema import CompiledSchema
from runner.templates.expression import CompiledExpression
from runner.templates.text import CompiledTemplate
from runner.templates.trail import Path

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
    only. `barriers` (a subset of the three) are read for all their items; those of them `below` walk rows that were made
    for each item here, and are read for these. `inputs`, `item_fields` and `answers` (of
    steps; `models` of those whose model it names, `cited` whose sources, `tool_readers` whose tool calls) are what its prompt reads; "" among the first two means the whole. With `reads_group` it reads the rows of its group.
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
    below: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    item_fields: frozenset[str] = frozenset()
    reads_group: bool = False
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
class LinkedSource:
    """A source whose rows are made from those of `parent`, and of `joined`; `lane` is that of the parent's rows.

    `place` is where `where` and `columns` stand. Of the readings in `row_uses` there is one for each of the parent's rows, of
    `group_uses` for each group; `uses` has those of the sources before it too. `above` are the sources of which each
    row has rows of its own here, `below` the steps that are read for a row's own rows only. Paths in `facts` are
    there wherever `where` holds, those in `asked` are read by it. What a row can be is in `schema`,
    what it comes from in `incoming`, its partner in `partner`, and what is grouped in `before`; `most_each` is how many elements there can be of a row,
    and `most_groups` how many groups, None where nothing bounds them.
    """

    source: DataSource
    made: Derivation
    parent: str
    lane: str
    place: Place
    each: CompiledExpression | None = None
    where: CompiledExpression | None = None
    columns: Mapping[str, CompiledExpression] = field(default_factory=dict)
    joined: str = ""
    row_uses: tuple[Use, ...] = ()
    group_uses: tuple[Use, ...] = ()
    uses: tuple[Use, ...] = ()
    above: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()
    schema: Json = True
    facts: frozenset[Path] = frozenset()
    asked: frozenset[Path] = frozenset()
    incoming: Json = True
    partner: Json = True
    before: Json = True
    most_each: int | None = None
    most_groups: int | None = None

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def needs(self) -> frozenset[str]:
        """The steps that must have ended before the last row can be made."""
        return frozenset(use.step for use in self.uses)


@dataclass(frozen=True, slots=True)
class LinkedOutput:
    """An output, compiled: a value, or the columns of a table over a lane's items. `uses` are what it reads."""

    output: OutputValue | OutputTable
    value: CompiledExpression | None = None
    lane: str = ""
    columns: Mapping[str, CompiledExpression] = field(default_factory=dict)
    column_uses: Mapping[str, tuple[Use, ...]] = field(default_factory=dict)
    value_uses: tuple[Use, ...] = ()
    below: frozenset[str] = frozenset()

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
    sources: Mapping[str, LinkedSource] = field(default_factory=dict)

    @property
    def files_walked(self) -> frozenset[str]:
        """The sources that are read from files because something walks them, or rows that are made from them."""
        return self.files_of(lane.data for lane in self.lanes.values() if lane.data)

    def files_of(self, names: Iterable[str]) -> frozenset[str]:
        """The sources that are read from files for the rows of these."""
        waiting, found = set(names), set[str]()
        while waiting:
            name = waiting.pop()
            found.add(name)
            made = self.sources.get(name)
            waiting |= ({made.parent, made.joined} - {""} if made else set()) - found
        return frozenset(found - self.sources.keys())

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
