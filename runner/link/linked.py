"""A workflow with its references resolved: needs, lanes and what every text compiles to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from runner.core.frozen import replace
from runner.core.ports import ReadFile
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import (
    Expression,
    FileEntry,
    FileTemplate,
    MessageEntry,
    MessageTemplate,
    OutputValue,
    RepeatedFiles,
    RepeatedMessages,
    SchemaSource,
    Step,
    Template,
    Workflow,
)
from runner.link.derived import link_sources
from runner.link.leads import lead_of
from runner.link.loops import link_loop, seen_from, with_inner
from runner.link.needs import circle_problem, ordered_needs
from runner.link.outputs import link_output
from runner.link.parts import (
    BESIDE,
    Lane,
    Linked,
    LinkedFile,
    LinkedLoop,
    LinkedMessage,
    LinkedOutput,
    LinkedSource,
    LinkedStep,
    TextBeside,
    ValueOf,
)
from runner.link.readings import ReadText, Typing, type_readings
from runner.link.row_types import RowTypes, typed_sources
from runner.link.scope import Place, Use, data_inside, name_problem, use_of
from runner.link.shared import shared_entries
from runner.link.shifts import shifting_index
from runner.link.stages import Stage, cut_stages, find_circle
from runner.link.subjects import Subjects
from runner.link.tools import link_tools
from runner.link.values import value_of
from runner.output.schema import CompiledSchema, SchemaProblems, compile_schema
from runner.templates.environment import Environment
from runner.templates.expression import CompiledExpression, compile_expression
from runner.templates.problems import TemplateProblem
from runner.templates.references import readings_of, references_of
from runner.templates.text import compile_template
from runner.templates.trail import ELEMENT, Readings, Reference

__all__ = ["Lane", "Linked", "LinkedLoop", "LinkedMessage", "LinkedOutput", "LinkedStep", "link"]

_S = TypeVar("_S")
_C = TypeVar("_C")
OUTPUTS = "outputs"


def link(
    workflow: Workflow,
    environment: Environment,
    read: ReadFile,
    *,
    texts: Sequence[TextBeside] = (),
    names: frozenset[str] = frozenset(),
) -> Linked:
    """Resolve every reference once. Problems are gathered, never raised.

    `texts` stand beside the workflow (in a suite) and are typed with it; `names` are known to its steps beyond their own.
    """
    linker = _Linker(workflow, environment, read, names)
    steps = {name: linker.step(step) for name, step in workflow.steps.items()}
    outputs = tuple(link_output(linker, output) for output in workflow.outputs.values())
    for text in texts:
        linker.beside(text)
    lanes = {name: lane for name, lane in linker.lanes.items() if name}
    problems = linker.problems
    circle = find_circle(steps, lanes)
    stages: tuple[Stage, ...] = ()
    if circle:
        problems.append(circle_problem(circle, steps, lanes))
    elif not any(problem.is_error for problem in problems):
        stages = cut_stages(steps, lanes)
    told, readers = _without_echoes(problems), frozenset(linker.output_readers)
    typing, sources = linker.typing(steps)
    return Linked(workflow, steps, lanes, stages, outputs, told, typing, readers, sources)


def _without_echoes(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """A name that is no function is told as such, not as an unknown name too."""
    called = {problem.span for problem in problems if problem.code == "unknown-function"}
    return tuple(one for one in problems if one.code != "unknown-name" or one.span not in called)


class _Linker:
    """Walks the texts of one workflow and gathers what they read."""

    def __init__(self, workflow: Workflow, environment: Environment, read: ReadFile, names: frozenset[str]) -> None:
        self.workflow = workflow
        self.names = names
        self.environment = environment
        self.read = read
        self.problems: list[Problem] = []
        self.texts: list[ReadText] = []
        self.lanes: dict[str, Lane] = {}
        self.lane_of: dict[str, str] = {}
        self.unknown_lanes: set[str] = set()
        self.output_readers: set[str] = set()
        self._schemas: dict[int, tuple[SchemaSource, CompiledSchema | None]] = {}
        self.sources: dict[str, LinkedSource] = {}
        for step in workflow.steps.values():
            self.lane_of[step.name] = self._lane_name(step)
        for source in link_sources(self):
            self.sources[source.name] = source
        for step in workflow.steps.values():
            if step.for_each is not None:
                self.open_lane(step.for_each.items, f"for_each of step '{step.name}'")

    # Lanes

    def _lane_name(self, step: Step) -> str:
        if step.for_each is None:
            return ""
        return self._canonical(step.for_each.items)

    def _canonical(self, expression: Expression) -> str:
        try:
            compiled = compile_expression(self.environment, expression)
        except TemplateProblem:
            return expression.text.strip()  # reported when the lane is opened
        return ".".join(compiled.path) if compiled.path else compiled.canonical

    def open_lane(self, items: Expression, title: str) -> str:
        """The lane that walks these items, by its name."""
        name = self._canonical(items)
        if name in self.lanes:
            return name
        told = len(self.problems)
        compiled = self.compile(compile_expression, items)
        if compiled is None:
            self.unknown_lanes.add(name)
            return name
        place = Place(title, reads_data=True)
        uses = self.uses(items, place, "for_each")
        path = compiled.path or ()
        is_data = len(path) == 2 and path[0] == "data"
        if len(path) != 2 and path != ("data",):
            self.problems += data_inside(references_of(self.environment, items), title)
        made = self.sources.get(path[1]) if is_data else None
        uses = made.uses if made else uses
        self.lanes[name] = Lane(
            name=name,
            items=compiled,
            data=path[1] if is_data else "",
            needs=frozenset(use.step for use in uses),
            barriers=frozenset(use.step for use in uses if use.is_barrier),
            uses=uses,
        )
        if len(self.problems) > told:
            self.unknown_lanes.add(name)
        return name

    def names_of(self, lane: str) -> frozenset[str]:
        """What there is to read of an item."""
        source = self.workflow.data.get(self.lanes[lane].data) if lane in self.lanes else None
        keeps_groups = source is not None and source.made is not None and source.made.keeps_groups
        return frozenset({"item", "group"} if keeps_groups else {"item"})

    def is_below(self, name: str, lane: str) -> bool:
        """Whether a step walks rows that were made for each row of this lane."""
        made = self.sources.get(self.lane_of[name].removeprefix("data."))
        return made is not None and lane.removeprefix("data.") in made.above

    # Steps

    def step(self, step: Step) -> LinkedStep:
        lane = self.lane_of[step.name]
        names = self.names_of(lane) | {step.for_each.name} if step.for_each else frozenset()
        place = Place(f"step '{step.name}'", lane=lane, item_names=names, owner=step.name, others=self.names)
        return self.plain(step, place) if step.loop is None else link_loop(self, step, step.loop, place)

    def plain(self, step: Step, place: Place) -> LinkedStep:
        """A step that asks a model."""
        carried = {name for name, _ in place.elements} | ({"state"} if place.loop else set())
        lane, names = place.lane, place.item_names - carried - {"group"}
        own = replace(place, answer="output" if step.schema else "text")
        texts: list[tuple[Template | Expression, Place, str]] = []
        if step.system:
            texts.append((step.system, place, "system"))
        messages = tuple(self._message(entry, place, texts) for entry in step.messages)
        files = tuple(self._file(entry, place, texts) for entry in step.files)
        arguments = self._arguments(step, place, texts)
        prompt_count = len(texts)
        texts += [(line, own, "ensure") for line in step.ensure]
        goes_on = step.escalate.when if step.escalate else None
        texts += [(goes_on, own, "escalate.when")] if goes_on else []
        texts += [(text, place, role) for text, role in ((step.when, "when"), (step.save, "save")) if text is not None]
        first = len(self.texts)
        uses = tuple(use for text, where, role in texts for use in self.uses(text, where, role, _named_at(step, role)))
        prompt_texts = self.texts[first:][:prompt_count]
        prompt_references = [one for text in prompt_texts for one in text.readings.references]
        prompt_uses = [use for text in prompt_texts for use in text.uses]
        hard = frozenset(use.step for use in uses if not use.is_soft)
        soft = frozenset(use.step for use in uses) - hard
        below = frozenset(use.step for use in uses if use.is_barrier and self.is_below(use.step, lane))
        linked = LinkedStep(
            step=step,
            lane=lane,
            system=self.compile(compile_template, step.system),
            messages=messages,
            files=files,
            when=self.compile(compile_expression, step.when),
            ensure=tuple(filter(None, (self.compile(compile_expression, line) for line in step.ensure))),
            escalates=self.compile(compile_expression, goes_on),
            save=self.compile(compile_template, step.save),
            schema=self.schema(step.schema),
            uses=uses,
            hard=hard,
            soft=soft,
            ordered=ordered_needs(step, hard | soft, self.workflow.steps, self.problems),
            inputs=frozenset(_fields_read(prompt_references, frozenset({"inputs"}))),
            item_fields=frozenset(_fields_read(prompt_references, names)),
            reads_group=any(one.path[0] == "group" for one in prompt_references),
            answers=frozenset(use.step for use in prompt_uses),
            models=frozenset(use.step for use in prompt_uses if use.field == "model"),
            cited=frozenset(use.step for use in prompt_uses if use.field == "sources"),
            tool_readers=frozenset(use.step for use in prompt_uses if use.field == "tool_calls"),
            carried=frozenset(one.path[0] for one in prompt_references) & carried,
            walked={name: path[:-1] for name, path in place.elements if path},
            tools=link_tools(step.toolbox.values(), self.schema, self.problems),
            arguments=arguments,
            shared=shared_entries(step, place, prompt_texts, self.lane_of, below) if step.context_cache else None,
            below=below,
        )
        crossing = {use.step for use in uses if use.is_barrier}
        crossing |= {name for name in linked.ordered if self.lane_of[name] not in ("", lane)}
        return replace(linked, barriers=frozenset(crossing))

    def _arguments(
        self, step: Step, place: Place, texts: list[tuple[Template | Expression, Place, str]]
    ) -> dict[str, ValueOf]:
        """What a tool is given."""

        def compiled(text: Expression) -> CompiledExpression | None:
            texts.append((text, place, "with"))
            return self.compile(compile_expression, text)

        given = step.call.arguments if step.call else {}
        return {name: value_of(value, compiled) for name, value in given.items()}

    def _message(
        self, entry: MessageEntry, place: Place, texts: list[tuple[Template | Expression, Place, str]]
    ) -> LinkedMessage:
        if isinstance(entry, MessageTemplate):
            texts.append((entry.text, place, "prompt"))
            return LinkedMessage(role=entry.role, text=self.compile(compile_template, entry.text))
        texts.append((entry.items, place, "messages"))
        items, inside = self._repeated(entry, place)
        inner = tuple(self._message(message, inside, texts) for message in entry.messages)
        return LinkedMessage(items=items, name=entry.name, inner=inner)

    def _repeated(
        self, entry: RepeatedMessages | RepeatedFiles, place: Place
    ) -> tuple[CompiledExpression | None, Place]:
        """The list of an entry that is repeated, and the place of what stands inside."""
        items = self.compile(compile_expression, entry.items)
        path = (*items.path, ELEMENT) if items and items.path else ()
        elements = (*place.elements, (entry.name, path))
        return items, replace(place, item_names=place.item_names | {entry.name}, elements=elements)

    def _file(
        self, entry: FileEntry, place: Place, texts: list[tuple[Template | Expression, Place, str]]
    ) -> LinkedFile:
        if isinstance(entry, FileTemplate):
            texts.append((entry.path, place, "files"))
            path = self.compile(compile_template, entry.path)
            return LinkedFile(file=entry, path=path, lead=lead_of(entry.path.text, place.elements))
        texts.append((entry.items, place, "files"))
        items, inside = self._repeated(entry, place)
        inner = tuple(self._file(file, inside, texts) for file in entry.files)
        return LinkedFile(items=items, name=entry.name, inner=inner)

    def schema(self, source: SchemaSource | None) -> CompiledSchema | None:
        if source is None:
            return None
        if id(source) not in self._schemas:  # what a tool of several steps returns is told once
            self._schemas[id(source)] = (source, self._compiled(source))
        return self._schemas[id(source)][1]

    def _compiled(self, source: SchemaSource) -> CompiledSchema | None:
        try:
            return compile_schema(source, self.read)
        except SchemaProblems as error:
            self.problems += error.problems
            return None

    # Texts

    def beside(self, text: TextBeside) -> None:
        self.compile(compile_expression, text.expression)
        self.uses(text.expression, Place(text.title, others=text.names), BESIDE)

    def compile(self, compile_text: Callable[[Environment, _S], _C], source: _S | None) -> _C | None:
        if source is None:
            return None
        try:
            return compile_text(self.environment, source)
        except TemplateProblem as error:
            self.problems += error.problems
            return None

    def readings(self, source: Template | Expression) -> Readings:
        """All that a text reads, nothing where it is mistaken."""
        try:
            return readings_of(self.environment, source)
        except TemplateProblem:
            return Readings()  # told by compile

    def uses(self, source: Template | Expression, place: Place, role: str, span: Span | None = None) -> tuple[Use, ...]:
        """The steps that a text reads; all that it reads is kept."""
        readings = self.readings(source)
        uses = tuple(self._resolve(readings.references, place))
        self.texts.append(ReadText(place, role, source, span or source.origin.span(), readings, uses))
        return uses

    def _resolve(self, references: Iterable[Reference], place: Place) -> Iterable[Use]:
        for reference in references:
            if reference.path[0] == OUTPUTS and OUTPUTS in place.others and place.owner:
                yield from self._through_outputs(reference, place)
                continue
            use, problem = self._one(reference, place)
            if problem is not None:
                self.problems += () if reference.is_echo(problem.span) else (problem,)
            elif use is not None:
                lane = self.lanes.get(self.lane_of.get(use.step, ""))
                self.problems += shifting_index(reference, use, self.workflow, lane.items if lane else None)
                yield use

    def _through_outputs(self, reference: Reference, place: Place) -> Iterator[Use]:
        """What is read with an output of the workflow. It is null where a step was skipped, so that nothing is needed."""
        self.output_readers.add(place.owner.partition(".")[0])
        names = reference.path[1:2] or tuple(self.workflow.outputs)
        read = (self.workflow.outputs.get(name) for name in names)
        for output in (output for output in read if isinstance(output, OutputValue)):
            for inner in self.readings(output.expression).references:
                use, _ = self._one(inner, Place(place.title))
                if use is not None:
                    yield replace(use, span=reference.span, is_soft=True)

    def _one(self, reference: Reference, place: Place) -> tuple[Use | None, Problem | None]:
        if reference.path[0] == "steps":
            workflow, lanes = seen_from(place, self.workflow, self.lane_of)
            use, problem = use_of(reference, place, workflow, lanes)
            is_unclear = problem is not None and problem.code == "wrong-field"
            if is_unclear and self.unknown_lanes & {place.lane, lanes[reference.path[1]]}:
                return None, None  # which items are meant is not known until the list is mended
            return use and replace(use, step=place.local.get(use.step, use.step)), problem
        return None, name_problem(reference, place, self.workflow)

    def typing(self, steps: Mapping[str, LinkedStep]) -> tuple[Typing, Mapping[str, LinkedSource]]:
        """The type of everything that is read, and the rows that are made."""
        lists = {name: (lane.data, lane.items.path or ()) for name, lane in self.lanes.items()}
        known, workflow, states = with_inner(steps, self.workflow)
        answers = {name: step.schema for name, step in known.items()}
        rows = RowTypes(self.sources)
        subjects = Subjects(workflow, lists, answers, self.read, states, rows)
        return type_readings(self.texts, known, subjects), typed_sources(self.sources, rows, subjects)

    def tell_circle(self, steps: Mapping[str, LinkedStep]) -> None:
        """A circle among the steps of a loop."""
        circle = find_circle(steps, {})
        if circle:
            self.problems.append(circle_problem(circle, steps, {}))


def _named_at(step: Step, role: str) -> Span:
    """Where the step says which text it is; a `prompt` is one entry of `messages`."""
    return step.at("messages" if role == "prompt" and "prompt" not in step.spans else role)


def _fields_read(references: Iterable[Reference], roots: frozenset[str]) -> Iterable[str]:
    """What is read of these names, the empty text for the whole."""
    return (
        reference.path[1] if len(reference.path) > 1 else "" for reference in references if reference.path[0] in roots
    )
