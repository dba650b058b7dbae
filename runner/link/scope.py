"""Which names a text may read where, and what is wrong with one that it may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from runner.core.frozen import dataclass
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import only_near, renaming
from runner.core.span import Span
from runner.core.workflow import Step, Workflow
from runner.templates.trail import Reference

# What an outcome offers to readers; the first four are answers.
ANSWER_FIELDS = ("output", "text", "samples", "outputs", "texts")
STATE_FIELDS = ("skipped", "failed", "model", "sources")
BARRIER_FIELDS = ("outputs", "texts")
_WHERE_MADE = {
    "each": "in 'where' and 'columns' of data with 'each'",
    "group": "in 'columns' of data with 'group', and where such data without 'columns' is walked",
}
LOOP_FIELDS = ("state", "turns", "last", "finished")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands: for the scope, and for messages.

    `lane` is "" at the root; `item_names` are the names of the fan-out's element; `answer` is "output" or "text"
    where a step's own answer can be read (ensure, escalate). `reads_data` is true for `for_each` and the rows of a table.
    `elements` has the names of repeated messages, each with the path of its element, () where that is not plain.
    `others` are names that exist here and of which nothing is known (those of a suite). Inside a loop, `loop` is its
    step, and `local` has the full names of the steps that are known by their short ones. `made` is the data source whose rows are
    made here; with `is_grouped` they are groups.
    """

    title: str
    lane: str = ""
    item_names: frozenset[str] = frozenset()
    answer: str = ""
    reads_data: bool = False
    owner: str = ""
    elements: tuple[tuple[str, tuple[str, ...]], ...] = ()
    others: frozenset[str] = frozenset()
    loop: str = ""
    local: Mapping[str, str] = field(default_factory=dict)
    made: str = ""
    is_grouped: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """One reading of a step: `field` of `step`; a soft one stands behind `default`, `is defined` or `.skipped`."""

    step: str
    field: str
    path: tuple[str, ...]
    span: Span
    is_soft: bool

    @property
    def is_barrier(self) -> bool:
        return self.field in BARRIER_FIELDS


def right_field(target: Step, reader_lane: str, target_lane: str) -> str:
    """The one answer field of `target` that a reader in `reader_lane` may use."""
    if target_lane and target_lane != reader_lane:
        return "outputs" if target.schema or target.loop else "texts"
    if target.loop is not None:
        return "state"
    if target.samples is not None:
        return "samples"
    return "output" if target.schema else "text"


def use_of(
    reference: Reference, place: Place, workflow: Workflow, lanes: Mapping[str, str]
) -> tuple[Use | None, Problem | None]:
    """What a reference to `steps…` reads, or what is wrong with it."""
    path, spans = reference.path, reference.spans
    if len(path) == 1:
        return None, Problem(
            "bad-reference",
            f"{place.title} reads 'steps' as a whole, and only the answer of one step can be read",
            reference.span,
            expected="steps.NAME.output, .text or .outputs",
        )
    name = path[1]
    target = workflow.steps.get(name)
    if target is None:
        others = workflow.steps.keys() - {place.owner}
        near = nearest(name, others)
        return None, Problem(
            "unknown-step",
            f"{place.title} reads step '{name}', but no step has that name",
            spans[1],
            expected=f"a step of this workflow: {listed(others)}" if others else "",
            nearest=near,
            fix=".".join(["steps", near, *path[2:]]) if near else "",
            edits=renaming(spans[1], name, others, is_identifier=True),
        )
    right = right_field(target, place.lane, lanes[name])
    if len(path) == 2:
        return None, Problem(
            "bad-reference",
            f"{place.title} reads step '{name}' as a whole, and only one field of it can be read",
            reference.span,
            expected=f"steps.{name}.{right}",
            fix=f"steps.{name}.{right}",
        )
    field = path[2]
    problem = _field_problem(field, target, right, place, lanes[name], spans[2], workflow)
    if problem is not None:
        return None, problem
    use = Use(name, field, path[3:], reference.span, reference.is_guarded or field in ("skipped", "failed"))
    return use, None


def _field_problem(
    field: str, target: Step, right: str, place: Place, target_lane: str, span: Span, workflow: Workflow
) -> Problem | None:
    same = not target_lane or target_lane == place.lane
    name = target.name
    if field == right or (field in STATE_FIELDS and same and not (target.loop and field in ("model", "sources"))):
        return None
    if field == "tool_calls" and same and target.tools:
        return None
    if target.loop is not None and same and field in LOOP_FIELDS:
        return None
    whole_list = "outputs" if target.schema or target.loop else "texts"
    if field == whole_list and target_lane and target.samples is None:
        return None
    reason = _why_not(field, target, target_lane, same=same)
    here = {right, *(STATE_FIELDS if same else ())}
    carried = _carried(target, field, place, target_lane, workflow) if not same else ""
    if target.loop is not None and same:
        here = {*LOOP_FIELDS, "skipped", "failed"}
    return Problem(
        "wrong-field",
        f"{place.title} reads steps.{name}.{field}, but {reason}",
        span,
        expected=listed(f".{name}" for name in here),
        nearest="" if field in ANSWER_FIELDS else nearest(field, here),
        fix=carried or f"steps.{name}.{right}",
        edits=() if field in ANSWER_FIELDS else renaming(span, field, here, is_identifier=True),
    )


def _carried(target: Step, field: str, place: Place, target_lane: str, workflow: Workflow) -> str:
    """The way out where the answer for the row is wanted from which the rows here are made."""
    source = workflow.data.get(place.lane.removeprefix("data."))
    if source is None or source.made is None or source.made.group or source.made.rows.text.strip() != target_lane:
        return ""
    return f"give data.{source.name} a column, {target.name}: steps.{target.name}.{field}, and read item.{target.name}"


def _why_not(field: str, target: Step, target_lane: str, *, same: bool) -> str:
    name = target.name
    if not same and field in ("output", "text", "samples", "tool_calls", *STATE_FIELDS):
        return f"'{name}' runs once per item of {target_lane}, which is not the list that is walked here"
    if target.loop is not None:
        return f"'{name}' is a loop: it has a state and turns, and no answer of its own"
    if field in LOOP_FIELDS:
        return f"'{name}' is no loop"
    if same and field in ("output", "text", *BARRIER_FIELDS) and target.samples is not None:
        return f"'{name}' is asked {target.samples} times: its answers are .samples, to be read in its own lane"
    if field == "tool_calls" and same:
        return f"'{name}' has no tools that its model may call"
    if field in BARRIER_FIELDS and not target_lane:
        return f"'{name}' runs once, it has no list of answers"
    if field in ("output", "outputs"):
        return f"'{name}' has no schema: its answer is text"
    if field in ("text", "texts"):
        return f"'{name}' has a schema: its answer is JSON"
    if field == "samples":
        return f"'{name}' does not set samples"
    return "a step has no such field"


def name_problem(reference: Reference, place: Place, workflow: Workflow) -> Problem | None:
    """What is wrong with a reference whose root is not `steps`, if anything."""
    root = reference.path[0]
    span = reference.spans[0]
    if root == "inputs":
        return _input_problem(reference, place, workflow)
    if root == "data":
        return _data_problem(reference, place, workflow)
    if root in place.item_names or root in place.others:
        return None
    if root == "item":
        return Problem(
            "not-in-scope",
            f"{place.title} reads '{root}', which exists only in a step with for_each",
            span,
            expected=_names_here(place),
            fix="for_each: data.NAME, or a list" if place.owner else "",
        )
    if root in ("state", "turn"):
        return Problem(
            "not-in-scope",
            f"{place.title} reads '{root}', which exists only inside a loop",
            span,
            expected=_names_here(place),
            fix=f"steps.LOOP.{root}" if root == "state" else "",
        )
    if root in ("output", "text"):
        return _own_answer_problem(root, place, span)
    if root in _WHERE_MADE:
        return Problem(
            "not-in-scope",
            f"{place.title} reads '{root}', which exists only {_WHERE_MADE[root]}",
            span,
            expected=_names_here(place),
        )
    names = {"inputs", "steps", *place.item_names, *place.others, *([place.answer] if place.answer else [])}
    far = {**{name: f"steps.{name}" for name in workflow.steps}, **{name: f"inputs.{name}" for name in workflow.inputs}}
    far |= {name: f"data.{name}" for name in workflow.data} if place.reads_data else {}
    close = nearest(root, (*names, *far))
    near = close if close in names else far.get(close, "")
    is_row = not near and len(reference.path) > 1 and "item" in place.item_names
    return Problem(
        "unknown-name",
        f"{place.title} reads '{root}', but there is no such name here",
        span,
        expected=_names_here(place),
        nearest=near,
        fix=".".join(["item", *reference.path[1:]]) if is_row else "",
        edits=renaming(span, root, names, is_identifier=True) if only_near(root, (*names, *far)) in names else (),
    )


def _names_here(place: Place) -> str:
    own = {place.answer} if place.answer else set()
    data = {"data.NAME"} if place.reads_data else set()
    return listed({"inputs.NAME", "steps.NAME.…", *place.item_names, *place.others, *own, *data})


def _input_problem(reference: Reference, place: Place, workflow: Workflow) -> Problem | None:
    if len(reference.path) == 1 or reference.path[1] in workflow.inputs:
        return None
    name = reference.path[1]
    near = nearest(name, workflow.inputs)
    return Problem(
        "unknown-input",
        f"{place.title} reads input '{name}', but no input has that name",
        reference.spans[1],
        expected=f"an input of this workflow: {listed(workflow.inputs)}" if workflow.inputs else "",
        nearest=near,
        fix=f"inputs.{near}" if near else f"declare '{name}' under inputs",
        edits=renaming(reference.spans[1], name, workflow.inputs, is_identifier=True),
    )


def _data_problem(reference: Reference, place: Place, workflow: Workflow) -> Problem | None:
    if not place.reads_data:
        return Problem(
            "not-in-scope",
            f"{place.title} reads 'data', which can be read in for_each only",
            reference.spans[0],
            fix="join: {with: data.NAME, on: FIELD}"
            if place.made
            else "give the step for_each: data.NAME and read item",
        )
    if len(reference.path) == 1:
        return Problem(
            "bad-reference",
            f"{place.title} reads 'data' as a whole, and only one source can be walked",
            reference.span,
            expected=f"one of {listed(f'data.{name}' for name in workflow.data)}" if workflow.data else "",
        )
    name = reference.path[1]
    if name not in workflow.data:
        near = nearest(name, workflow.data)
        return Problem(
            "unknown-data",
            f"{place.title} reads data source '{name}', but none has that name",
            reference.spans[1],
            expected=f"a source under data: {listed(workflow.data)}" if workflow.data else "",
            nearest=near,
            fix=f"data.{near}" if near else f"declare '{name}' under data",
            edits=renaming(reference.spans[1], name, workflow.data, is_identifier=True),
        )
    return None


def data_inside(references: Iterable[Reference], title: str) -> Iterator[Problem]:
    """A source that is named inside an expression."""
    for reference in references:
        if reference.path[0] == "data":
            yield Problem(
                "bad-reference",
                f"{title} reads 'data' inside an expression, and a source can only be named alone",
                reference.span,
                expected="for_each: data.NAME, or an expression over inputs and steps",
            )


def _own_answer_problem(root: str, place: Place, span: Span) -> Problem | None:
    if place.answer == root:
        return None
    if place.answer:
        kind = "JSON" if place.answer == "output" else "text"
        return Problem(
            "wrong-field",
            f"{place.title} reads '{root}', but the answer of '{place.owner}' is {kind}",
            span,
            expected=place.answer,
            fix=place.answer,
        )
    return Problem(
        "not-in-scope",
        f"{place.title} reads '{root}', which exists only in the ensure lines and the escalation of a step",
        span,
        expected=_names_here(place),
    )
