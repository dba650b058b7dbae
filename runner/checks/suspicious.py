"""What in a schema is most likely not what its author meant, or cannot be met at all. Nothing is said in doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.checks.reach import Reached, reached_schemas, schema_at
from runner.checks.satisfiable import Dead, Node, dead_schemas, fits_simply, is_never, kinds_of, simple_part
from runner.core.canonical import Json, escape_pointer, ordered
from runner.core.frozen import dataclass
from runner.core.problem import Severity, nearest
from runner.output.describe import TYPE_WORDS, describe, show
from runner.output.keywords import HOLDS_LIST
from runner.output.validate import Validator

_SPEAKS_OF = {
    **dict.fromkeys(("minLength", "maxLength", "pattern", "contentEncoding", "contentMediaType"), "string"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"),
    **dict.fromkeys(("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"), "array"),
    **dict.fromkeys(("minContains", "maxContains", "unevaluatedItems"), "array"),
    **dict.fromkeys(("properties", "required", "additionalProperties", "patternProperties"), "object"),
    **dict.fromkeys(("propertyNames", "minProperties", "maxProperties", "unevaluatedProperties"), "object"),
    **dict.fromkeys(("dependentRequired", "dependentSchemas"), "object"),
}
_WHAT = {"string": "text", "number": "numbers", "array": "lists", "object": "objects"}
_WITHOUT = ("default", "examples", "$defs", "definitions")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is found at a pointer of the bundled schema."""

    code: str
    message: str
    pointer: str
    expected: str = ""
    nearest: str = ""
    fix: str = ""
    severity: Severity = "error"


def suspicious_parts(root: Json) -> Iterator[Finding]:
    """All findings of one bundled schema."""
    dead, reached = dead_schemas(root), reached_schemas(root)
    for pointer, way in reached.items():
        schema = schema_at(root, pointer)
        if pointer in dead:
            yield from _unsatisfiable(pointer, schema, dead[pointer], way)
        else:
            yield from _misfits(pointer, schema)
            yield from _unnamed_requirements(pointer, schema, way)
        yield from _idle_keywords(pointer, schema)
        yield from _repeated_values(pointer, schema)
    yield from _endless(dead, reached)


# --- nothing fits


def _unsatisfiable(pointer: str, schema: Json, why: Dead, way: Reached) -> Iterator[Finding]:
    """Where the fault is; what is dead only because of something inside is not told again."""
    if not why.message or (is_never(schema) and pointer and not _is_branch(pointer)):
        return
    name = why.message.split("'")[1] if why.names else ""
    near = nearest(name, why.names)
    yield Finding(
        "unsatisfiable",
        why.message,
        why.pointer,
        nearest=near,
        fix=f"add '{name}' to properties, or take it out of required" if name and not near else "",
        severity="warning" if way.is_choice else "error",
    )


def _is_branch(pointer: str) -> bool:
    return pointer.rpartition("/")[0].endswith(("/anyOf", "/oneOf"))


def _endless(dead: Mapping[str, Dead], reached: Mapping[str, Reached]) -> Iterator[Finding]:
    """Circles of schemas, each of which needs the next one inside it."""
    settled = {pointer for pointer, why in dead.items() if why.message}
    for start in dead:
        way: list[str] = []
        pointer = start
        while pointer not in settled and pointer not in way:
            way.append(pointer)
            pointer = next((one for one in dead[pointer].blame if one not in settled), dead[pointer].blame[0])
        if pointer in way:
            circle = way[way.index(pointer) :]
            if start in reached:
                yield _circle(circle, reached[start])
        settled.update(way)


def _circle(circle: list[str], way: Reached) -> Finding:
    start = circle.index(min(circle))
    circle = [*circle[start:], *circle[:start]]
    path = " → ".join(f"#{pointer}" for pointer in [*circle, circle[0]])
    return Finding(
        "unsatisfiable",
        f"every value needs another one inside it, without end: {path}",
        circle[0],
        fix="make a property on the way optional, or let it be null or an empty list",
        severity="warning" if way.is_choice else "error",
    )


# --- single values that do not fit


def _misfits(pointer: str, schema: Json) -> Iterator[Finding]:
    if not isinstance(schema, dict):
        return
    part = simple_part(schema, without="enum")
    for index, value in enumerate(schema.get("enum", ()) if part.keys() - {"const"} else ()):
        if not fits_simply(value, part):
            message = f"the enum lists {show(value)}, which its schema does not allow"
            yield Finding(
                "enum-misfit", message, f"{pointer}/enum/{index}", expected=_wanted(value, part), severity="warning"
            )
    for path, title, value in _remarks(schema):
        whole = _self_contained(schema)
        violations = Validator(whole).violations(value)
        if violations:
            first = violations[0]
            where = f"{title} at {first.pointer}" if first.pointer else title
            message = f"{where} is {first.found}, which does not fit" if first.found else f"{where} does not fit"
            yield Finding("default-misfit", message, pointer + path, expected=first.expected, severity="warning")


def _wanted(value: Json, part: Node) -> str:
    violations = Validator(part).violations(value)
    return violations[0].expected if violations else describe(part, part)


def _remarks(schema: Node) -> Iterator[tuple[str, str, Json]]:
    if "default" in schema:
        yield "/default", "the default", schema["default"]
    for index, value in enumerate(schema.get("examples", ())):
        yield f"/examples/{index}", "the example", value


def _self_contained(schema: Node) -> Node:
    """As much of a schema as can be asked without the references around it."""
    kept = {keyword: value for keyword, value in schema.items() if keyword not in _WITHOUT}
    return simple_part(schema) if _refers(kept) else kept


def _refers(value: Json) -> bool:
    if isinstance(value, dict):
        return "$ref" in value or any(map(_refers, value.values()))
    return isinstance(value, list) and any(map(_refers, value))


# --- keywords that do nothing


def _unnamed_requirements(pointer: str, schema: Json, way: Reached) -> Iterator[Finding]:
    """Required properties without a schema, where all others have one and no other part could name them."""
    if not isinstance(schema, dict) or not schema.get("properties") or way.is_shared or _has_more(schema):
        return
    for index, name in enumerate(schema.get("required", ())):
        if name not in schema["properties"]:
            near = nearest(name, schema["properties"])
            yield Finding(
                "required-unknown",
                f"the property '{name}' is required, and properties does not name it",
                f"{pointer}/required/{index}",
                nearest=near,
                fix="" if near else f"add '{name}' to properties",
                severity="warning",
            )


def _has_more(schema: Node) -> bool:
    others = ("$ref", "patternProperties", "additionalProperties", "unevaluatedProperties", "dependentSchemas", "if")
    return any(keyword in schema for keyword in (*others, *(HOLDS_LIST - {"prefixItems"})))


def _idle_keywords(pointer: str, schema: Json) -> Iterator[Finding]:
    if not isinstance(schema, dict) or "type" not in schema:
        return
    kinds = kinds_of(schema)
    for keyword in schema:
        of = _SPEAKS_OF.get(keyword)
        if of is None or of in kinds:
            continue
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        allowed = " or ".join(TYPE_WORDS[name] for name in types)
        yield Finding(
            "idle-keyword",
            f"'{keyword}' speaks of {_WHAT[of]}, and the type allows only {allowed}",
            f"{pointer}/{escape_pointer(keyword)}",
            severity="warning",
        )


def _repeated_values(pointer: str, schema: Json) -> Iterator[Finding]:
    values = schema.get("enum", ()) if isinstance(schema, dict) else ()
    seen: set[bytes] = set()
    for index, value in enumerate(values):
        key = ordered(value)
        if key in seen:
            message = f"the enum lists {show(value)} twice"
            yield Finding("repeated-value", message, f"{pointer}/enum/{index}", severity="warning")
        seen.add(key)
