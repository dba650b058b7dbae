"""What a suite expects against what the schemas allow, leaf by leaf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.checks.fitting import OF_LISTS, OF_SCALARS, as_far_as
from runner.checks.spelling import say_path
from runner.checks.suite_texts import expectations_of
from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Span
from runner.core.suite import Expectation, Subject, Suite
from runner.core.values import Fields, ListOfValues, Plain, Value
from runner.core.workflow import Workflow
from runner.link.alternatives import Alternative
from runner.link.linked import Linked
from runner.link.paths import type_at
from runner.output.validate import Validator

_MANY = ("outputs", "texts", "samples")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is expected of: its title, its schema, and where in the answer."""

    title: str
    schema: Json
    root: Json
    path: tuple[str, ...] = ()

    def at(self, part: str) -> _Answer:
        return _Answer(self.title, self.schema, self.root, (*self.path, part))

    def __str__(self) -> str:
        inside = say_path(self.path)
        return f"{inside} in {self.title}" if inside else self.title


def check_expectations(suite: Suite, workflow: Workflow, linked: Linked) -> Iterator[Problem]:
    """Names that nothing has, and values that cannot come out."""
    for owner, expect in expectations_of(suite):
        for subject in (*expect.values, *expect.status):
            yield from _named(owner, subject, _span(expect, subject), workflow)
        for subject, value in expect.values.items():
            answer = _answer(subject, workflow, linked)
            if answer is not None:
                yield from _impossible(value, answer)


def _span(expect: Expectation, subject: Subject) -> Span:
    place = str(subject)
    return expect.at(place if place in expect.spans else f"status.{place}")


def _named(owner: str, subject: Subject, span: Span, workflow: Workflow) -> Iterator[Problem]:
    kind, name = ("output", subject.output) if subject.output else ("step", subject.step)
    known: Mapping[str, object] = workflow.outputs if subject.output else workflow.steps
    if kind == "output" and not known:
        return  # then each last step gives one by its own name
    if name not in known:
        noun = "an output" if subject.output else "a step"
        near = nearest(name, known)
        yield Problem(
            f"unknown-{kind}",
            f"{owner} expects something of {kind} '{name}', but no {kind} has that name",
            span,
            expected=f"{noun} of this workflow: {listed(known)}",
            nearest=f"{kind}s.{near}" if near else "",
        )
    elif subject.item and workflow.steps[name].for_each is None:
        message = f"{owner} expects something of item '{subject.item}' of '{name}', which runs once"
        yield Problem("wrong-field", message, span, fix=f"steps.{name}")


def _answer(subject: Subject, workflow: Workflow, linked: Linked) -> _Answer | None:
    """What an expectation is compared with, None where it is not known."""
    if subject.output:
        return _of_output(subject.output, linked)
    step = linked.steps.get(subject.step)
    if step is None or subject.step not in workflow.steps:
        return None
    field = "output" if step.step.schema else "text"
    is_many = bool(step.lane) and not subject.item
    if step.step.samples is not None or (subject.item and not step.lane):
        return None
    return _of_step(subject.step, f"{field}s" if is_many else field, linked)


def _of_step(name: str, field: str, linked: Linked) -> _Answer | None:
    step = linked.steps[name]
    if step.step.schema is None:
        schema: Json = {"type": "string"}
        title = f"the text of '{name}'"
    elif step.schema is None:
        return None
    else:
        schema, title = step.schema.bundled, f"the output of '{name}'"
    if field in _MANY:
        return _Answer(f"the list of the answers of '{name}'", {"type": "array", "items": schema}, schema)
    return _Answer(title, schema, schema)


def _of_output(name: str, linked: Linked) -> _Answer | None:
    """An output that is nothing but a part of an answer."""
    value = next((one.value for one in linked.outputs if one.output.name == name), None)
    match value.path if value is not None else None:
        case ("steps", step, field, *path) if step in linked.steps and field in ("output", "text", "outputs", "texts"):
            answer = _of_step(step, field, linked)
            if answer is None:
                return None
            typed = type_at(answer.schema, path, answer.root)
            if typed.kind != "value":
                return None
            return _Answer(f"output '{name}'", _schema_of(typed.alternatives), answer.root)
        case _:
            return None


def _schema_of(alternatives: tuple[Alternative, ...]) -> Json:
    """With null, which stands for the answer of a step that was skipped."""
    return {"anyOf": [*({"allOf": list(alternative)} for alternative in alternatives), {"type": "null"}]}


# --- one value


def _impossible(value: Value, answer: _Answer) -> Iterator[Problem]:
    typed = type_at(answer.schema, answer.path, answer.root)
    if typed.kind != "value":
        return
    match value:
        case Plain(json=None | bool() | str() | int() | float() as json):
            yield from _misfit(json, OF_SCALARS, value.span, answer, typed.alternatives)
        case ListOfValues():
            size: Json = [None] * len(value.items)
            told = list(_misfit(size, OF_LISTS, value.span, answer, typed.alternatives))
            yield from told
            for index, item in enumerate(value.items) if not told else ():
                yield from _impossible(item, answer.at(str(index)))
        case Fields():
            told = list(_misfit({}, ("type",), value.span, answer, typed.alternatives))
            yield from told
            for name, inner in value.entries.items() if not told else ():
                yield from _impossible_field(name, inner, value.key_spans.get(name, inner.span), answer)
        case _:
            return


def _impossible_field(name: str, inner: Value, span: Span, answer: _Answer) -> Iterator[Problem]:
    if name.lstrip("-").isdigit():
        return  # in a path it would be the position in a list
    typed = type_at(answer.schema, (*answer.path, name), answer.root)
    if typed.kind == "missing":
        yield _no_field(name, span, answer, typed.names)
    else:
        yield from _impossible(inner, answer.at(name))


def _no_field(name: str, span: Span, answer: _Answer, names: tuple[str, ...]) -> Problem:
    return Problem(
        "impossible-expectation",
        f"{answer} has no field '{name}'",
        span,
        expected=f"one of {listed(names)}" if names else "",
        nearest=nearest(name, names),
    )


def _misfit(
    json: Json, keywords: tuple[str, ...], span: Span, answer: _Answer, alternatives: tuple[Alternative, ...]
) -> Iterator[Problem]:
    """Nothing, where one of the alternatives allows the value as far as these keywords say."""
    violations = Validator(as_far_as(keywords, alternatives)).violations(json)
    if violations:
        first = violations[0]
        yield Problem(
            "impossible-expectation",
            f"{answer} is never {'an object' if json == {} else first.found}",
            span,
            expected=first.expected,
        )
