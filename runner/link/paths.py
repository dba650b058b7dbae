"""The type of a path through a schema: the one place that says which fields a value can have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from runner.core.canonical import Json
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Span
from runner.link.scope import Place
from runner.output.schema import CompiledSchema
from runner.templates.references import ELEMENT, Reference

MOST_ALTERNATIVES = 50
# Keywords under which a value may have fields that `properties` does not name.
_OPEN = ("patternProperties", "allOf", "if", "then", "else", "dependentSchemas", "unevaluatedProperties", "not")
_IN_WORDS = {
    "string": "text",
    "integer": "a number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
}


@dataclass(frozen=True, slots=True)
class Typed:
    """What a value may be: alternative schemas within one bundle. `title` is how it is called in a message."""

    title: str
    schemas: tuple[Json, ...]
    root: Json
    file: str = ""


@dataclass(frozen=True, slots=True)
class Lacking:
    """A field that no alternative has; `known` are those that there are, `kind` says what has none at all."""

    known: frozenset[str]
    is_closed: bool
    kind: str = ""


def typed(title: str, schema: CompiledSchema) -> Typed:
    """The whole value that a schema describes."""
    return Typed(title, (schema.bundled,), schema.bundled, schema.source.file)


def follow(value: Typed, path: Sequence[str]) -> Typed | None:
    """The type at a path below a value, None where it is not known."""
    for part in path:
        inner = into(value, part)
        if not isinstance(inner, Typed):
            return None
        value = inner
    return value


def into(value: Typed, part: str) -> Typed | Lacking | None:
    """One part of a path further, what is lacking, or None where nothing is known."""
    alternatives = list(_alternatives(value.schemas, value.root))
    if not alternatives or len(alternatives) > MOST_ALTERNATIVES or not all(isinstance(a, dict) for a in alternatives):
        return None
    steps = [_step(schema, part) for schema in alternatives if schema.get("type") != "null"]
    if not steps or any(step is None for step in steps):
        return None
    found = tuple(step for step in steps if not isinstance(step, Lacking))
    if found:
        return Typed(value.title, found, value.root, value.file)
    lacking = [step for step in steps if isinstance(step, Lacking)]
    known = frozenset[str]().union(*(step.known for step in lacking))
    kinds = {step.kind for step in lacking}
    return Lacking(known, all(step.is_closed for step in lacking), kinds.pop() if len(kinds) == 1 else "")


def _alternatives(schemas: Sequence[Json], root: Json) -> Iterator[Json]:
    """The schemas with references and choices resolved; those that say more than one thing at once stay whole."""
    waiting, seen = list(schemas), 0
    while waiting and seen <= MOST_ALTERNATIVES:
        schema, seen = waiting.pop(0), seen + 1
        if isinstance(schema, dict) and len(schema.keys() & {"$ref", "anyOf", "oneOf"}) == 1 and not _says_more(schema):
            inner = [_target(schema["$ref"], root)] if "$ref" in schema else schema.get("anyOf") or schema["oneOf"]
            waiting += inner
        else:
            yield schema
    if waiting:
        yield True  # anything, since not all could be looked at


def _says_more(schema: Mapping[str, Json]) -> bool:
    return bool(schema.keys() & {"properties", "items", "additionalProperties", *_OPEN})


def _target(ref: str, root: Json) -> Json:
    found = root
    for token in unquote(ref.removeprefix("#")).split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError, TypeError, ValueError):
            return True
    return found


def _step(schema: Mapping[str, Json], part: str) -> Json | Lacking | None:
    """The schema of a part of a value, what is lacking, or None where nothing is known."""
    if schema.keys() & {"$ref", "anyOf", "oneOf", "allOf", "$dynamicRef"}:
        return None
    types = _types(schema)
    if part == ELEMENT or part.lstrip("-").isdigit():
        return schema.get("items") if types == {"array"} and "prefixItems" not in schema else None
    if not types:
        return None
    if "object" not in types:
        words = {_IN_WORDS.get(word, word) for word in types}
        return Lacking(frozenset(), is_closed=True, kind=words.pop() if len(words) == 1 else "")
    properties = schema.get("properties", {})
    if part in properties:
        return properties[part]
    extra = schema.get("additionalProperties", True)
    if types != {"object"} or any(schema.get(keyword, False) for keyword in _OPEN) or isinstance(extra, dict):
        return extra if isinstance(extra, dict) and types == {"object"} else None
    is_closed = extra is False
    return Lacking(frozenset(properties), is_closed) if properties or is_closed else None


def _types(schema: Mapping[str, Json]) -> set[str]:
    found = schema.get("type")
    if found is None:
        return {"object"} if "properties" in schema else set()
    return {word for word in (found if isinstance(found, list) else [found]) if word != "null"}


def path_problem(value: Typed, reference: Reference, start: int, place: Place, used_by: Span | None) -> Problem | None:
    """What is wrong with the parts of a reference from `start` on, read from a value of this type."""
    for index in range(start, len(reference.path)):
        part = reference.path[index]
        inner = into(value, part)
        if isinstance(inner, Lacking):
            return _problem(value, inner, reference, index, place, used_by, start)
        if inner is None:
            return None
        value = inner
    return None


def _problem(
    value: Typed, lacking: Lacking, reference: Reference, index: int, place: Place, used_by: Span | None, start: int
) -> Problem | None:
    part = reference.path[index]
    if not lacking.is_closed and reference.is_guarded:
        return None
    inside = "".join(f"'{name}' in " for name in reversed(reference.path[start:index]) if name != ELEMENT)
    near = nearest(part, lacking.known)
    owner = value.file or "its schema"
    kind = f"{lacking.kind}, which has no field" if lacking.kind else ""
    has = f"is {kind} '{part}'" if kind else f"has no field '{part}'"
    if not lacking.is_closed:
        has = f"has a schema that does not name '{part}'"
    spelled = ".".join((*reference.path[:index], near))
    return Problem(
        "unknown-field",
        f"{inside}{value.title} {has}",
        reference.spans[index],
        expected=f"a property of {owner}: {listed(lacking.known)}" if lacking.known else "",
        nearest=near,
        notes=(("used by", f"{place.title}, {used_by}"),) if used_by and used_by.file != reference.span.file else (),
        fix=(f"{spelled}, or add '{part}' to {owner}" if near and ELEMENT not in spelled else ""),
        severity="error" if lacking.is_closed else "warning",
    )
