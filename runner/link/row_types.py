"""What the rows can be that are made from other rows, as JSON Schema: columns have the types of what they are read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Protocol

from runner.core.canonical import Json
from runner.core.frozen import replace
from runner.link.parts import LinkedSource
from runner.link.paths import Typed, may_be_null, most_elements, type_at, types_at, words_at
from runner.link.scope import Place
from runner.link.subjects import Found, Subject
from runner.output.keywords import HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE
from runner.templates.expression import CompiledExpression
from runner.templates.trail import ELEMENT, Path

# What the alternatives of a type have spread out already.
_SPREAD = frozenset(
    ("$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "$defs", "definitions")
)


class FindsTypes(Protocol):
    """What is asked of the subjects of a workflow."""

    def find(self, path: Path, place: Place) -> Found | None: ...

    def type_at(self, subject: Subject, path: Path) -> Typed: ...

    def rows_of(self, name: str) -> Json: ...


class RowTypes:
    """The types of the rows of all sources that are made from others, each worked out when it is first asked for."""

    def __init__(self, sources: Mapping[str, LinkedSource]) -> None:
        self._sources = sources
        self._stages: dict[str, tuple[Json, Json, Json]] = {}
        self._rows: dict[str, Json] = {}

    def stages_of(self, name: str, subjects: FindsTypes) -> tuple[Json, Json, Json]:
        """A row as it comes in, as it is before it is grouped, and a group. True says nothing."""
        if name not in self._sources:
            return True, True, True
        if name not in self._stages:
            self._stages[name] = (item := self._item(name, subjects), item, True)  # what `each` is read from
            before = self._before(name, item, subjects)
            grouped = _closed({field: _at(before, (field,)) for field in self._sources[name].made.group})
            self._stages[name] = (item, before, grouped)
        return self._stages[name]

    def _item(self, name: str, subjects: FindsTypes) -> Json:
        source = self._sources[name]
        parent = subjects.rows_of(source.parent)
        return _beside(parent, source.joined, subjects.rows_of(source.joined)) if source.joined else parent

    def _before(self, name: str, item: Json, subjects: FindsTypes) -> Json:
        source = self._sources[name]
        if source.made.each is None:
            return _sifted(item, "item", source)
        path = source.place.elements[0][1]
        found = _schema_of(_read(path, replace(source.place, elements=()), subjects)) if path else True
        return _sifted(found, "each", source)

    def row_of(self, name: str, subjects: FindsTypes) -> Json:
        """The rows as they are walked: of the columns, where there are any."""
        if name not in self._sources:
            return True
        if name not in self._rows:
            source = self._sources[name]
            _, before, grouped = self.stages_of(name, subjects)
            self._rows[name] = grouped if source.made.group else before
            if source.made.columns:
                place = _beside_columns(source)
                columns = {one: _of(source, one, place, subjects) for one in source.made.columns}
                self._rows[name] = _closed(columns)
        return self._rows[name]

    def parent_of(self, name: str) -> str:
        """The source that it is made from; "" where that is not known."""
        source = self._sources.get(name)
        return source.parent if source else ""


def _beside_columns(source: LinkedSource) -> Place:
    if not source.made.group:
        return source.place
    names = frozenset({"item", "group"})
    return replace(source.place, lane="", item_names=names, elements=(), is_grouped=True)


def typed_sources(sources: Mapping[str, LinkedSource], rows: RowTypes, subjects: FindsTypes) -> dict[str, LinkedSource]:
    """The sources with what is known of their rows."""
    return {name: _typed(source, rows, subjects) for name, source in sources.items()}


def _typed(source: LinkedSource, rows: RowTypes, subjects: FindsTypes) -> LinkedSource:
    each = _found(source.each, replace(source.place, elements=()), subjects) if source.each is not None else None
    _, before, _ = rows.stages_of(source.name, subjects)
    counts = [_how_many(type_at(before, (name,), before)) for name in source.made.group]
    known = [count for count in counts if count is not None]
    return replace(
        source,
        schema=rows.row_of(source.name, subjects),
        incoming=subjects.rows_of(source.parent),
        partner=subjects.rows_of(source.joined) if source.joined else True,
        before=before,
        most_each=most_elements(each[0]) if each is not None else None,
        most_groups=prod(known) if known and len(known) == len(counts) else None,
    )


def _how_many(found: Typed) -> int | None:
    """How many values there are, where they are listed or nothing but true, false and null."""
    words = words_at(found)
    if words is not None:
        return len(words)
    types = types_at(found)
    return len(types) + ("boolean" in types) if types <= {"boolean", "null"} else None


def _of(source: LinkedSource, name: str, place: Place, subjects: FindsTypes) -> Json:
    """The type of a column. Whether it is null is not known where `where` asks for it."""
    column = source.columns.get(name)
    found = None if column is None else _found(column, place, subjects)
    is_asked = column is not None and column.path in source.asked and not source.made.group
    return True if found is None or (is_asked and may_be_null(found[0])) else _schema_of(found)


def _sifted(schema: Json, root: str, source: LinkedSource) -> Json:
    """The rows of which `where` holds: what it asks for is there, and may be null or not."""
    asked = [path[1:] for path in sorted(source.asked) if len(path) > 1 and path[0] == root]
    if schema is True or any(may_be_null(type_at(schema, path, schema)) for path in asked):
        return True
    for path in sorted(source.facts):
        if len(path) > 1 and path[0] == root and ELEMENT not in path:
            schema = _both(schema, _having(path[1:]))
    return schema


def _having(path: Path) -> Json:
    """A mapping that has something at a path."""
    if not path:
        return True
    return {"type": "object", "required": [path[0]], "properties": {path[0]: _having(path[1:])}}


def _both(schema: Json, more: Json) -> Json:
    """What fits two schemas."""
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {"allOf": [{key: value for key, value in schema.items() if key != "$defs"}, more], **definitions}


def _found(expression: CompiledExpression, place: Place, subjects: FindsTypes) -> tuple[Typed, Json] | None:
    return _read(expression.path, place, subjects) if expression.path else None


def _read(path: Path, place: Place, subjects: FindsTypes) -> tuple[Typed, Json] | None:
    """What stands at a path, with the schema that its references lead into."""
    found = subjects.find(path, place)
    if found is None or len(found.path) < found.subject.start:
        return None
    return subjects.type_at(found.subject, found.path[found.subject.start :]), found.subject.root


# --- schemas of their own


def _at(schema: Json, path: Path) -> Json:
    return _schema_of((type_at(schema, path, schema), schema))


def _closed(fields: Mapping[str, Json]) -> Json:
    """A mapping with just these fields. Each brings the definitions that its references lead to."""
    definitions: dict[str, Json] = {}
    properties: dict[str, Json] = {}
    for number, (name, schema) in enumerate(fields.items()):
        properties[name] = _moved(schema, f"#/$defs/{number}") if schema is not True else True
        if _has_references(schema):
            definitions[str(number)] = _moved(schema, f"#/$defs/{number}")
    whole: dict[str, Json] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {**whole, "$defs": definitions} if definitions else whole


def _beside(row: Json, name: str, partner: Json) -> Json:
    """A row with its partner under a name."""
    both = _closed({name: partner})
    added: dict[str, Json] = {key: both[key] for key in ("type", "properties", "required")}
    definitions: dict[str, Json] = {"row": _moved(row, "#/$defs/row"), **both.get("$defs", {})}
    found = type_at(row, (), row)
    if row is True or found.kind != "value":
        return {**added, "$defs": definitions}
    opened = [[_opened(_moved(one, "#/$defs/row"), name) for one in plain] for plain in found.alternatives]
    return {**added, "anyOf": [{"allOf": plain} for plain in opened], "$defs": definitions}


def _opened(plain: Mapping[str, Json], name: str) -> Json:
    """The same mapping, which may have one field more."""
    kept = {key: value for key, value in plain.items() if key not in _SPREAD}
    if "properties" in kept or kept.get("additionalProperties") is False:
        kept["properties"] = {**kept.get("properties", {}), name: True}
    return kept


def _schema_of(found: tuple[Typed, Json] | None) -> Json:
    """A type as a schema that stands alone."""
    if found is None or found[0].kind != "value":
        return True
    typed, root = found
    choices = [_all_of(alternative) for alternative in typed.alternatives]
    if any(choice is True for choice in choices):
        return True
    whole = choices[0] if len(choices) == 1 else {"anyOf": choices}
    if not _has_references(whole):
        return whole
    return {**_moved(whole, "#/$defs/root"), "$defs": {"root": _moved(root, "#/$defs/root")}}


def _all_of(alternative: tuple[Mapping[str, Json], ...]) -> Json:
    plain = [{key: value for key, value in one.items() if key not in _SPREAD} for one in alternative]
    told = [one for one in plain if one]
    return True if not told else told[0] if len(told) == 1 else {"allOf": told}


def _has_references(schema: Json) -> bool:
    found: list[bool] = []
    _walk(schema, lambda _: found.append(True))
    return bool(found)


def _moved(schema: Json, to: str) -> Json:
    """A schema whose references find its root elsewhere."""
    return _walk(schema, lambda ref: to + ref.removeprefix("#"))


def _walk(schema: Json, see: Callable[[str], str | None]) -> Json:
    """A copy of a schema with what `see` makes of each reference."""
    if not isinstance(schema, dict):
        return schema
    copy: dict[str, Json] = {}
    for keyword, value in schema.items():
        if keyword == "$ref":
            copy[keyword] = see(value)
        elif keyword in HOLDS_ONE:
            copy[keyword] = _walk(value, see)
        elif keyword in HOLDS_LIST:
            copy[keyword] = [_walk(inner, see) for inner in value]
        elif keyword in HOLDS_NAMED:
            copy[keyword] = {name: _walk(inner, see) for name, inner in value.items()}
        else:
            copy[keyword] = value
    return copy
