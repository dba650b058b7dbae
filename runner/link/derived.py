"""Sources of rows that are made from other rows: what their texts read, and what must have ended before they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from runner.core.derivation import Derivation
from runner.core.frozen import replace
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import DataSource, Expression, Template, Workflow
from runner.link.parts import LinkedSource
from runner.link.scope import Place, Use
from runner.templates.environment import Environment
from runner.templates.expression import CompiledExpression, compile_expression
from runner.templates.trail import ELEMENT, Readings

_S = TypeVar("_S")
_C = TypeVar("_C")


class Linking(Protocol):
    """What linking a source needs of the whole."""

    @property
    def problems(self) -> list[Problem]: ...

    @property
    def workflow(self) -> Workflow: ...

    def compile(self, compile_text: Callable[[Environment, _S], _C], source: _S | None) -> _C | None: ...

    def uses(
        self, source: Template | Expression, place: Place, role: str, span: Span | None = None
    ) -> tuple[Use, ...]: ...

    def readings(self, source: Template | Expression) -> Readings: ...

    def open_lane(self, items: Expression, title: str) -> str: ...

    def names_of(self, lane: str) -> frozenset[str]: ...

    def is_below(self, name: str, lane: str) -> bool: ...


def link_sources(linking: Linking) -> Iterator[LinkedSource]:
    """The sources that are made from others, each after those; one that cannot be linked is told and left out."""
    waiting = dict(_made(linking.workflow))
    parents = {name: tuple(_named(linking, name, made)) for name, made in waiting.items()}
    known: dict[str, LinkedSource] = {}
    while waiting:
        name = next((one for one in waiting if not waiting.keys() & set(parents[one])), "")
        if not name:
            circle = _circle_in(parents, waiting)
            linking.problems.append(_circle(circle, waiting))
            for one in circle[:-1]:
                del waiting[one]
            continue
        made = waiting.pop(name)
        is_whole = len(parents[name]) == 1 + (made.join is not None)
        if is_whole and all(one in known or linking.workflow.data[one].made is None for one in parents[name]):
            known[name] = _link(linking, linking.workflow.data[name], made, parents[name], known)
            yield known[name]


def _made(workflow: Workflow) -> Iterator[tuple[str, Derivation]]:
    return ((name, source.made) for name, source in workflow.data.items() if source.made is not None)


def _named(linking: Linking, name: str, made: Derivation) -> Iterator[str]:
    """The sources that a source is made from, those of them that there are."""
    other = ((made.join.other, "join.with"),) if made.join else ()
    for expression, role in ((made.rows, "rows"), *other):
        compiled = linking.compile(compile_expression, expression)
        path = compiled.path if compiled else None
        if path is not None and len(path) <= 2 and path[0] == "data":
            linking.uses(expression, Place(f"data source '{name}'", reads_data=True), role)
            if path[-1] in linking.workflow.data and len(path) == 2:
                yield path[1]
        elif compiled is not None:
            linking.problems.append(
                Problem(
                    "bad-reference",
                    f"'{role}' of data source '{name}' is to name another source, and nothing else",
                    expression.origin.span(1, 1, len(expression.text)),
                    expected="data.NAME",
                )
            )


def _circle_in(parents: Mapping[str, Iterable[str]], waiting: Mapping[str, Derivation]) -> list[str]:
    """A path that ends where it starts."""
    path = [next(iter(waiting))]
    while path[-1] not in path[:-1]:
        path.append(next(one for one in parents[path[-1]] if one in waiting))
    return path[path.index(path[-1]) :]


def _circle(path: list[str], waiting: Mapping[str, Derivation]) -> Problem:
    span = waiting[path[0]].at("rows")
    if len(path) == 2:
        return Problem("circle", f"data source '{path[0]}' is made from itself", span)
    message = f"data sources are made from each other in a circle: {' → '.join(path)}"
    return Problem("circle", message, span, fix="let one of them be made from a file")


def _link(
    linking: Linking, source: DataSource, made: Derivation, parents: tuple[str, ...], known: Mapping[str, LinkedSource]
) -> LinkedSource:
    lane = linking.open_lane(made.rows, f"rows of data source '{source.name}'")
    place = Place(f"data source '{source.name}'", lane=lane, item_names=linking.names_of(lane), made=source.name)

    def linked(text: Expression | None, where: Place, role: str) -> tuple[CompiledExpression | None, tuple[Use, ...]]:
        if text is None:
            return None, ()
        return linking.compile(compile_expression, text), linking.uses(text, where, role)

    each, each_uses = linked(made.each, place, "each")
    inside = _inside(place, made, each)
    where, where_uses = linked(made.where, inside, "where")
    beside = replace(place, lane="", item_names=frozenset({"item", "group"}), is_grouped=True) if made.group else inside
    columns = {name: linked(text, beside, "columns") for name, text in made.columns.items()}
    column_uses = tuple(use for _, uses in columns.values() for use in uses)
    row_uses = (*each_uses, *where_uses, *(() if made.group else column_uses))
    others = [known[parent] for parent in parents if parent in known]
    uses = (*row_uses, *(column_uses if made.group else ()), *(use for one in others for use in one.uses))
    sifting = linking.readings(made.where) if made.where is not None else Readings()
    return LinkedSource(
        source=source,
        made=made,
        parent=parents[0],
        lane=lane,
        place=inside,
        each=each,
        where=where,
        columns={name: column for name, (column, _) in columns.items() if column is not None},
        joined=parents[1] if made.join else "",
        row_uses=row_uses,
        group_uses=column_uses if made.group else (),
        uses=uses,
        below=frozenset(use.step for use in row_uses if use.is_barrier and linking.is_below(use.step, lane)),
        above=_above(made, parents[0], known),
        facts=sifting.facts,
        asked=frozenset(one.path for one in sifting.references),
    )


def _inside(place: Place, made: Derivation, each: CompiledExpression | None) -> Place:
    """What `where` and `columns` see besides: the element."""
    if made.each is None:
        return place
    path = (*each.path, ELEMENT) if each and each.path else ()
    return replace(place, item_names=place.item_names | {"each"}, elements=(("each", path),))


def _above(made: Derivation, parent: str, known: Mapping[str, LinkedSource]) -> frozenset[str]:
    """The sources of which each row has rows of its own here."""
    if made.is_barrier:
        return frozenset()
    further = known[parent].above if parent in known else frozenset[str]()
    return further | {parent} if made.each is not None else further
