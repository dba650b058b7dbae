"""Misfits → violations in our words: the same words whichever library found them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.core.canonical import Json
from runner.core.outcome import Violation
from runner.core.problem import nearest
from runner.output.describe import counted, describe, quoted, show
from runner.output.misfit import Misfit, pointer_of

MOST_VIOLATIONS = 100


def violations_of(misfits: Iterable[Misfit], root: Json) -> tuple[Violation, ...]:
    """Sorted by pointer, then keyword; each once. `root` is where references in the schema lead."""
    found = {violation for misfit in misfits for violation in _violations(misfit, root)}
    ordered = sorted(found, key=lambda violation: (violation.pointer, violation.keyword, violation.expected))
    return tuple(ordered[:MOST_VIOLATIONS])


def _violations(misfit: Misfit, root: Json) -> Iterator[Violation]:
    pointer, schema, instance = pointer_of(misfit.path), misfit.schema, misfit.instance
    keyword = {"minContains": "contains", "maxContains": "contains"}.get(misfit.keyword, misfit.keyword)
    if misfit.is_name:
        expected = "an empty object" if schema is False else f"property names that are {_as_name(schema, root)}"
        yield Violation(pointer, "propertyNames", expected, show(instance))
        return
    match keyword:
        case "required":
            for name in schema["required"]:
                if name not in instance:
                    yield Violation(pointer, keyword, _missing(name, schema, root), show(instance))
        case "dependentRequired":
            yield from _missing_companions(pointer, schema, instance)
        case "additionalProperties":
            for name in misfit.unexpected:
                yield Violation(pointer, keyword, _unwanted(name, schema), show(instance[name]))
        case "anyOf" | "oneOf":
            yield from _alternatives(misfit, pointer, root)
        case _:
            yield Violation(pointer, keyword, _expected(keyword, schema, instance, root), show(instance))


def _expected(keyword: str, schema: Json, instance: Json, root: Json) -> str:
    match keyword:
        case "false":
            return "nothing here"
        case "not":
            return f"anything but {describe(schema['not'], root)}"
        case "contains":
            bounds = counted(schema.get("minContains", 1), schema.get("maxContains"), "element")
            return f"a list{bounds} fitting: {describe(schema['contains'], root)}"
        case "unevaluatedProperties":
            return "no property that the schema does not name"
        case "unevaluatedItems":
            return "no further element"
        case "enum":
            return describe(schema, root) + _hint(instance, schema["enum"])
        case "const":
            return describe(schema, root)
        case _:
            return describe({key: value for key, value in schema.items() if key not in ("const", "enum")}, root)


def _hint(instance: Json, options: Iterable[Json]) -> str:
    if not isinstance(instance, str):
        return ""
    near = nearest(instance[:200], [option for option in options if isinstance(option, str)])
    return f" (did it mean {quoted(near)}?)" if near else ""


def _missing(name: str, schema: dict[str, Json], root: Json) -> str:
    inner = schema.get("properties", {}).get(name, True)
    return f"a property {quoted(name)}" + (f": {describe(inner, root)}" if isinstance(inner, dict) else "")


def _missing_companions(pointer: str, schema: dict[str, Json], instance: dict[str, Json]) -> Iterator[Violation]:
    for name, companions in schema["dependentRequired"].items():
        for companion in companions if name in instance else ():
            if companion not in instance:
                expected = f"a property {quoted(companion)} beside {quoted(name)}"
                yield Violation(pointer, "dependentRequired", expected, show(instance))


def _unwanted(name: str, schema: dict[str, Json]) -> str:
    near = nearest(name[:200], schema.get("properties", {}))
    return f"no property {quoted(name)}" + (f" (did it mean {quoted(near)}?)" if near else "")


def _as_name(schema: Json, root: Json) -> str:
    is_told = schema.keys() & {"const", "enum", "type", "anyOf", "oneOf", "$ref"}
    return describe(schema if is_told else {**schema, "type": "string"}, root)


def _alternatives(misfit: Misfit, pointer: str, root: Json) -> Iterator[Violation]:
    if not misfit.branches or not all(misfit.branches):
        yield Violation(
            pointer, misfit.keyword, "a value that fits only one of the alternatives", show(misfit.instance)
        )
        return
    closest = min(misfit.branches, key=lambda branch: _distance(branch, misfit))
    if _is_of_another_kind(closest, misfit):
        expected = describe({misfit.keyword: misfit.schema[misfit.keyword]}, root)
        yield Violation(pointer, misfit.keyword, expected, show(misfit.instance))
        return
    for inner in closest:
        yield from _violations(inner, root)


def _distance(branch: tuple[Misfit, ...], around: Misfit) -> tuple[bool, int, int]:
    """Farthest is a value of another kind, then one with another tag (`kind: "circle"`), then one with more misfits."""
    below = len(around.path) + 1
    tags = sum(misfit.keyword in ("const", "enum") and len(misfit.path) == below for misfit in branch)
    return _is_of_another_kind(branch, around), tags, len(branch)


def _is_of_another_kind(branch: tuple[Misfit, ...], around: Misfit) -> bool:
    return any(misfit.path == around.path and misfit.keyword in ("type", "const", "enum", "false") for misfit in branch)
