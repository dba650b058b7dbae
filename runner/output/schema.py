"""A schema as the author wrote it → one self-contained JSON Schema, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from graphlib import CycleError, TopologicalSorter
from urllib.parse import unquote

from runner.core.canonical import MAX_DEPTH, Json, NotJson, digest, ensure_json, escape_pointer, ordered
from runner.core.frozen import dataclass
from runner.core.ports import ReadFile
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import SchemaSource
from runner.output.documents import MAX_BYTES, Document, Documents, as_ref, load_documents
from runner.output.engines import build_engine
from runner.output.fields import fields_schema
from runner.output.keywords import HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE, every_schema, same_value_schemas
from runner.output.misfit import Unusable
from runner.output.problems import SchemaProblems

__all__ = ["CompiledSchema", "SchemaProblems", "compile_schema", "fields_schema"]

# Identity and remarks: they say nothing about an answer, and every reference in a bundle is a plain pointer.
_LEFT_OUT = frozenset(("$schema", "$id", "$anchor", "$dynamicAnchor", "$vocabulary", "$comment"))
_MOST_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """`bundled` needs no file and keeps the author's order; `digest` is that of its bytes in this order.

    `at` gives the place of a pointer in `bundled`, in whichever file it stands.
    """

    bundled: Json
    digest: str
    source: SchemaSource
    at: Callable[[str], Span] = field(compare=False, repr=False)


def compile_schema(source: SchemaSource, read: ReadFile) -> CompiledSchema:
    """Checks a schema and bundles the files that it names. Raises SchemaProblems with every finding.

    `read` is asked for files relative to the project root, and refuses those outside it.
    """
    if source.is_fields:
        return _compiled(fields_schema(source.value, source.at), source, lambda pointer: source.at(_in_fields(pointer)))
    if not isinstance(source.value, (dict, bool)):
        raise SchemaProblems(
            Problem("invalid-schema", "the schema is no mapping", source.at(""), expected="a JSON Schema")
        )
    documents = load_documents(source, source.value, read)
    if documents.problems:
        raise SchemaProblems(documents.problems, documents.sources)
    bundled = _bundle(documents)
    problem = _oversize(bundled, documents) or _circle(bundled, documents) or _unusable(bundled, documents)
    if problem is not None:
        raise SchemaProblems(problem, documents.sources)
    return _compiled(bundled, source, lambda pointer: _place(pointer, documents))


def _compiled(bundled: Json, source: SchemaSource, at: Callable[[str], Span]) -> CompiledSchema:
    return CompiledSchema(bundled, digest(ordered(bundled)), source, at)


def _in_fields(pointer: str) -> str:
    """The pointer in the short form of what stands at a pointer in the schema that it means."""
    found, parts = "", iter(pointer.split("/")[1:])
    for part in parts:
        if part not in ("properties", "items"):
            break
        found += "/0" if part == "items" else f"/{next(parts, '')}".rstrip("/")
    return found


def _oversize(bundled: Json, documents: Documents) -> Problem | None:
    try:
        ensure_json(bundled)
    except NotJson as problem:
        message = f"with its files, the schema is nested more than {MAX_DEPTH} deep"
        return Problem("schema-too-large", message, _place(problem.pointer, documents))
    if len(ordered(bundled)) > MAX_BYTES:
        return Problem("schema-too-large", "with its files, the schema has more than 1 MB", _place("", documents))
    return None


def _unusable(bundled: Json, documents: Documents) -> Problem | None:
    """What the standard allows and the validator cannot do, such as a pattern of monstrous size."""
    try:
        build_engine(bundled)
    except Unusable as error:
        return Problem("invalid-schema", "this part of the schema cannot be used", _place(error.pointer, documents))
    return None


def _bundle(documents: Documents) -> Json:
    """The root document with the others under its `$defs`."""
    root, *others = documents.found.values()
    bundled = _rewritten(root.value, "", root, documents)
    if others:
        definitions = {document.prefix.removeprefix("/$defs/"): document for document in others}
        added = {name: _rewritten(document.value, "", document, documents) for name, document in definitions.items()}
        bundled["$defs"] = {**bundled.get("$defs", {}), **added}
    return bundled


def _rewritten(schema: Json, pointer: str, document: Document, documents: Documents) -> Json:
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Json] = {}
    for keyword, value in schema.items():
        if keyword in _LEFT_OUT:
            continue
        place = f"{pointer}/{keyword}"
        if keyword in ("$ref", "$dynamicRef"):
            is_plain = (
                keyword == "$ref" and not document.prefix and value.startswith(("#/", "#")) and value[1:2] in ("", "/")
            )
            result["$ref"] = value if is_plain else as_ref(documents.targets[document.file, pointer])
        elif keyword in HOLDS_ONE:
            result[keyword] = _rewritten(value, place, document, documents)
        elif keyword in HOLDS_LIST and isinstance(value, list):
            result[keyword] = [_rewritten(inner, f"{place}/{i}", document, documents) for i, inner in enumerate(value)]
        elif keyword in HOLDS_NAMED and isinstance(value, dict):
            result[keyword] = {
                name: _rewritten(inner, f"{place}/{escape_pointer(name)}", document, documents)
                for name, inner in value.items()
            }
        else:
            result[keyword] = value
    return result


def _circle(bundled: Json, documents: Documents) -> Problem | None:
    """References that lead back to themselves at the same value, or that multiply beyond measure."""
    schemas = dict(every_schema(bundled))
    follows = {pointer: _same_value(pointer, schema) for pointer, schema in schemas.items()}
    sorter = TopologicalSorter(follows)
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        return _circle_problem(error.args[1], schemas, documents)
    steps: dict[str, int] = {}
    for pointer in order:
        steps[pointer] = 1 + sum(steps[inner] for inner in follows[pointer])
        if steps[pointer] > _MOST_STEPS:
            message = f"one value would be checked in more than {_MOST_STEPS} steps"
            return Problem(
                "schema-too-large", message, _place(pointer, documents), expected="fewer references to references"
            )
    return None


def _same_value(pointer: str, schema: Json) -> list[str]:
    inner = [pointer + path for path in same_value_schemas(schema)]
    return [*inner, unquote(schema["$ref"][1:])] if isinstance(schema, dict) and "$ref" in schema else inner


def _circle_problem(circle: list[str], schemas: dict[str, Json], documents: Documents) -> Problem:
    path = " → ".join(f"#{pointer}" for pointer in reversed(circle))
    start = next(pointer for pointer in circle if isinstance(schemas[pointer], dict) and "$ref" in schemas[pointer])
    message = "the references go in a circle without coming to a value further inside"
    return Problem("circular-ref", message, _place(f"{start}/$ref", documents), notes=(("circle", path),))


def _place(pointer: str, documents: Documents) -> Span:
    """The place in its file of a pointer in the bundle."""
    root, *others = documents.found.values()
    for document in others:
        if pointer == document.prefix or pointer.startswith(f"{document.prefix}/"):
            return document.at(pointer.removeprefix(document.prefix))
    return root.at(pointer)
