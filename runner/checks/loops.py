"""The state of a loop: where it starts and what `next` makes of it, against its schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from runner.checks.conditions import place_of, types_of
from runner.checks.context import CheckContext
from runner.checks.fitting import OF_LISTS, OF_SCALARS, as_far_as
from runner.checks.schemas import look_into, told
from runner.checks.spelling import ELEMENT, say_path
from runner.checks.verdicts import TypeOf, Values, kinds_in, values_of
from runner.core.canonical import Json
from runner.core.condition import Calculated, Condition, Entries, Known, Listed
from runner.core.frozen import dataclass, replace
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.span import Span
from runner.core.values import Computed, Fields, ListOfValues, Plain, Value, literal
from runner.core.workflow import Step
from runner.link.parts import LinkedLoop
from runner.link.paths import Typed, type_at, types_at
from runner.link.readings import ReadText
from runner.output.describe import TYPE_WORDS, show
from runner.output.validate import Validator


def check_loops(context: CheckContext) -> Iterator[Problem]:
    """Keys that a state lacks, and values that can never fit it."""
    linked = context.linked
    type_of = types_of(linked)
    texts = {id(text.source): text for text in linked.typing.texts if text.role.startswith("loop.")}
    for step in linked.steps.values():
        if step.loop is not None and step.loop.schema is not None:
            state = _State(step.step, step.loop, step.loop.schema.bundled, texts.get, type_of)
            if not step.loop.schema.source.is_fields:
                yield from (told(finding, step.loop.schema) for finding in look_into(step.loop.schema.bundled))
            yield from state.problems()


# Keywords by which one field of a state decides over another.
_DEPENDING = frozenset(("if", "dependentRequired", "dependentSchemas", "dependencies", "not"))


@dataclass(frozen=True, slots=True)
class _Target:
    """A part of the state: what is written there by the words `title`, at `span` where nothing nearer is known."""

    title: str
    path: tuple[str, ...]
    span: Span

    def at(self, part: str, span: Span | None = None) -> _Target:
        return replace(self, path=(*self.path, part), span=span or self.span)

    def __str__(self) -> str:
        return say_path(self.path)


@dataclass(frozen=True, slots=True)
class _State:
    step: Step
    loop: LinkedLoop
    schema: Json
    text_of: Callable[[int], ReadText | None]
    type_of: Callable[[ReadText], TypeOf]

    def problems(self) -> Iterator[Problem]:
        whole = type_at(self.schema, (), self.schema)
        if "object" not in types_at(whole):
            source = self.loop.schema.source if self.loop.schema else None
            message = f"the state of '{self.step.name}' is a mapping, and its schema allows none"
            yield Problem("state-misfit", message, source.span if source else self.step.span)
            return
        yield from self._start(whole)
        for name, expression in self.loop.next.items():
            if (unknown := self._unknown(name, "next")) is not None:
                yield unknown
            elif (text := self.text_of(id(expression.expression))) is not None:
                target = _Target(f"next.{name}", (name,), place_of(text))
                yield from self._of_condition(expression.condition(), target, self.type_of(text))

    # Where it starts

    def _start(self, whole: Typed) -> Iterator[Problem]:
        start = self.loop.loop.start
        for name in _required(whole):
            if name not in start:
                yield Problem(
                    "state-misfit",
                    f"the start of '{self.step.name}' lacks '{name}', which its state must have",
                    self.loop.loop.at("state.start"),
                    fix=f"{name}: …, or leave it out of 'required'",
                )
        literals = self._literal_misfits(whole)
        for name, value in start.items():
            unknown = self._unknown(name, "start")
            if unknown is not None:
                yield unknown
            elif name in literals:
                yield literals[name]
            else:
                yield from self._of_value(value, _Target(f"start.{name}", (name,), value.span))

    def _literal_misfits(self, whole: Typed) -> dict[str, Problem]:
        """By key the first way in which a value that the file itself says does not fit. Where fields of the state depend
        on one another, nothing is said of one by itself.
        """
        if len(whole.alternatives) != 1 or any(_DEPENDING & schema.keys() for schema in whole.alternatives[0]):
            return {}
        start = self.loop.loop.start
        known = {name: found[0] for name, value in start.items() if (found := literal(value)) is not None}
        told: dict[str, Problem] = {}
        for violation in Validator(self.schema).violations(known):
            name, *inside = _parts_of(violation.pointer) or ("",)
            if name not in start or name in told:
                continue
            which = f" is {violation.found}, which" if violation.found else ""
            told[name] = Problem(
                "state-misfit",
                f"the start of '{self.step.name}' at {say_path((name, *inside))}{which} does not fit the state",
                _span_inside(start[name], inside),
                expected=violation.expected,
            )
        return told

    def _unknown(self, name: str, key: str) -> Problem | None:
        typed = type_at(self.schema, (name,), self.schema)
        if typed.kind != "missing":
            return None
        span = self.loop.loop.at(f"name of {key}.{name}")
        return Problem(
            "unknown-field",
            f"the state of '{self.step.name}' has no field '{name}'",
            span,
            expected=f"a field of the state: {listed(typed.names)}" if typed.names else "",
            nearest=nearest(name, typed.names),
            fix=f"add '{name}' to the state of '{self.step.name}'",
            edits=renaming(span, name, typed.names),
        )

    def _of_value(self, value: Value, target: _Target) -> Iterator[Problem]:
        """A value of which the file says some parts at least."""
        typed = self._typed(target)
        match value:
            case Computed():
                yield from self._of_computed(value, target)
            case Plain(json=None | bool() | str() | int() | float() as json):
                yield from self._misfit(json, target, typed)
            case ListOfValues():
                misfit = list(self._misfit([None] * len(value.items), target, typed))
                yield from misfit or (one for item in value.items for one in self._inner(item, ELEMENT, target))
            case Fields():
                misfit = list(self._misfit({}, target, typed))
                yield from misfit or (
                    one for name, item in value.entries.items() for one in self._inner(item, name, target)
                )

    def _inner(self, value: Value, part: str, target: _Target) -> Iterator[Problem]:
        yield from self._of_value(value, target.at(part, value.span))

    def _of_computed(self, value: Computed, target: _Target) -> Iterator[Problem]:
        text = self.text_of(id(value.expression))
        compiled = next((one for one in self.loop.computed if one.expression is value.expression), None)
        if text is not None and compiled is not None:
            placed = replace(target, span=place_of(text))
            yield from self._of_condition(compiled.condition(), placed, self.type_of(text))

    # What is computed

    def _of_condition(self, condition: Condition, target: _Target, type_of: TypeOf) -> Iterator[Problem]:
        """The first way in which a value can never stand at its place."""
        typed = self._typed(target)
        values = values_of(condition, type_of)
        wrong = list(self._misfits(values, target, typed))
        wrong += self._fields(condition, target, typed) if not wrong else ()
        if not wrong:
            wrong = [
                one for part, deeper in _parts(condition, target) for one in self._of_condition(part, deeper, type_of)
            ]
        yield from wrong[:1]

    def _fields(self, condition: Condition, target: _Target, typed: Typed) -> Iterator[Problem]:
        """The keys of a mapping that is written out, against those that its schema has and needs."""
        match condition:
            case Entries(entries=entries):
                names = [name for name, _ in entries]
            case Known(value=dict() as known):
                names = list(known)
            case _:
                return
        for name in names:
            deeper = type_at(self.schema, (*target.path, name), self.schema)
            if deeper.kind == "missing":
                yield self._told(
                    f"the field '{name}'", target, f"one of {listed(deeper.names)}", near=nearest(name, deeper.names)
                )
        for name in _required(typed):
            if name not in names:
                yield self._told(f"no field '{name}'", target, f"all of {listed(_required(typed))}")

    def _misfits(self, values: Values, target: _Target, typed: Typed) -> Iterator[Problem]:
        if values is None or typed.kind != "value":
            return
        if isinstance(values, tuple):
            wrong = [list(self._misfit(value, target, typed)) for value in values]
            if wrong and all(wrong):
                yield wrong[0][0]
            return
        kinds = kinds_in(values) or frozenset()
        allowed = types_at(typed)
        if kinds and not kinds & allowed:
            yield self._told(_kinds(kinds), target, _kinds(allowed))

    def _misfit(self, json: Json, target: _Target, typed: Typed) -> Iterator[Problem]:
        """A value against what its schema says of it by itself."""
        if typed.kind != "value":
            return
        is_list = isinstance(json, list)
        keywords: Sequence[str] = OF_LISTS if is_list else ("type",) if isinstance(json, dict) else OF_SCALARS
        for violation in Validator(as_far_as(keywords, typed.alternatives)).violations(json)[:1]:
            found = "a list" if is_list else "a mapping" if isinstance(json, dict) else show(json)
            yield self._told(found, target, violation.expected)

    def _told(self, found: str, target: _Target, expected: str, near: str = "") -> Problem:
        return Problem(
            "state-misfit",
            f"{target.title} of '{self.step.name}' gives {found} for {target}, which never fits the state",
            target.span,
            expected=expected,
            nearest=near,
        )

    def _typed(self, target: _Target) -> Typed:
        return type_at(self.schema, target.path, self.schema)


def _required(typed: Typed) -> list[str]:
    """The fields that every value has, where each is a mapping."""
    if typed.kind != "value" or types_at(typed) != {"object"}:
        return []
    of_each = [{name for schema in one for name in schema.get("required", ())} for one in typed.alternatives]
    return sorted(set.intersection(*of_each)) if of_each else []


def _parts(condition: Condition, target: _Target) -> Iterator[tuple[Condition, _Target]]:
    """What a value is put together from: the elements of a list, and of lists that are added to one another."""
    match condition:
        case Listed():
            yield from ((item, target.at(ELEMENT)) for item in condition.items)
        case Entries():
            yield from ((item, target.at(name)) for name, item in condition.entries)
        case Known(value=dict() as fields):
            yield from ((Known(value), target.at(name)) for name, value in fields.items())
        case Known(value=list() as values):
            yield from ((Known(value), target.at(ELEMENT)) for value in values)
        case Calculated(sign="+"):
            for side in (condition.left, condition.right):
                yield from _parts(side, target)


def _kinds(kinds: frozenset[str]) -> str:
    return " or ".join(TYPE_WORDS[kind] for kind in sorted(kinds))


def _parts_of(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _span_inside(value: Value, parts: Sequence[str]) -> Span:
    """The place of a part of a literal value."""
    for part in parts:
        if isinstance(value, Fields) and part in value.entries:
            value = value.entries[part]
        elif isinstance(value, ListOfValues):
            value = value.items[int(part)]
    return value.span
