"""The schema as written and the files that its references name, each as a document with its places."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import field, replace
from urllib.parse import quote, unquote

from runner.core.canonical import Json, NotJson, ensure_json, ordered
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass
from runner.core.ports import ReadFile
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Span
from runner.core.workflow import SchemaSource
from runner.output.keywords import every_schema
from runner.output.meta import meta_problems
from runner.output.parse import NotParsed, parse_strictly
from runner.output.places import places

MAX_BYTES = 1_000_000
MAX_FILES = 100
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_LOCAL = "a reference such as '#/$defs/name' or 'file.json#/$defs/name'"


@dataclass(frozen=True, slots=True)
class Document:
    """One schema text. `prefix` is where it will stand in the bundle, `schemas` what stands where in it."""

    file: str
    base: str
    value: Json
    at: Callable[[str], Span]
    prefix: str = ""
    schemas: dict[str, Json] = field(default_factory=dict)
    anchors: dict[str, str] = field(default_factory=dict)
    dynamic_anchors: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Documents:
    """The root document first; then files in the order in which they are first named."""

    read: ReadFile
    found: dict[str, Document] = field(default_factory=dict)
    targets: dict[tuple[str, str], str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def refuse(self, code: str, message: str, span: Span, expected: str = "", near: str = "", fix: str = "") -> None:
        self.problems.append(Problem(code, message, span, expected=expected, nearest=near, fix=fix))


def load_documents(source: SchemaSource, value: Json, read: ReadFile) -> Documents:
    """Reads every file that is named, and finds where each reference leads; problems are gathered, not raised.

    `targets` maps (document, pointer of the schema with the `$ref`) to the pointer in the bundle.
    """
    documents = Documents(read)
    root = Document(source.file, source.base, value, source.at)
    if isinstance(value, dict) and isinstance(value.get("$defs"), dict):
        documents.names.update(value["$defs"])
    _add(root, documents)
    for document in _growing(documents):
        for pointer, schema in document.schemas.items():
            if isinstance(schema, dict):
                _check_schema_keywords(pointer, schema, document, documents)
    _refuse_ambiguous_anchors(documents)
    return documents


def _refuse_ambiguous_anchors(documents: Documents) -> None:
    """Within one file `$dynamicRef` means what `$ref` does; between files it would depend on the way taken."""
    owners: dict[str, str] = {}
    for document in documents.found.values():
        for name, pointer in document.dynamic_anchors.items():
            if name in owners:
                message = f"the files '{owners[name]}' and '{document.file}' both have the dynamic anchor '{name}'"
                place = document.at(f"{pointer}/$dynamicAnchor")
                documents.refuse("refused-ref", message, place, expected="'$anchor' and '$ref'")
            owners.setdefault(name, document.file)


def _growing(documents: Documents) -> Iterator[Document]:
    """Documents in order, those that are added on the way too."""
    position = 0
    while position < len(documents.found):
        yield list(documents.found.values())[position]
        position += 1


def _add(document: Document, documents: Documents) -> None:
    documents.found[document.file] = document
    try:
        ensure_json(document.value)
    except NotJson as problem:
        documents.refuse("invalid-schema", f"the schema holds {_what(problem)}", document.at(problem.pointer))
        return
    if len(ordered(document.value)) > MAX_BYTES:
        documents.refuse("schema-too-large", "the schema has more than 1 MB", document.at(""))
        return
    document.schemas.update(every_schema(document.value))
    documents.problems += meta_problems(document.value, document.schemas, document.at)
    for pointer, schema in document.schemas.items():
        for keyword, names in (("$anchor", document.anchors), ("$dynamicAnchor", document.dynamic_anchors)):
            name = schema.get(keyword) if isinstance(schema, dict) else None
            if not isinstance(name, str):
                continue
            if name in document.anchors:
                documents.refuse(
                    "invalid-schema", f"two schemas have the anchor '{name}'", document.at(f"{pointer}/{keyword}")
                )
            names[name] = document.anchors[name] = pointer


def _what(problem: NotJson) -> str:
    return "values that are nested more than 64 deep" if "deep" in problem.reason else f"no JSON: {problem.reason}"


def _check_schema_keywords(pointer: str, schema: dict[str, Json], document: Document, documents: Documents) -> None:
    draft = schema.get("$schema", DRAFT)
    if isinstance(draft, str) and draft.rstrip("#").replace("http://", "https://", 1) != DRAFT:
        place = document.at(f"{pointer}/$schema")
        documents.refuse("schema-draft", f"'$schema' names '{draft}'", place, expected=f"JSON Schema 2020-12: {DRAFT}")
    if pointer and "$id" in schema:
        message = "'$id' stands inside a schema, where it would change what references mean"
        documents.refuse(
            "invalid-schema", message, document.at(f"{pointer}/$id"), expected="'$anchor', or a name under '$defs'"
        )
    references = [keyword for keyword in ("$ref", "$dynamicRef") if isinstance(schema.get(keyword), str)]
    if len(references) > 1:
        message = "a schema with both '$ref' and '$dynamicRef' is not supported"
        documents.refuse("invalid-schema", message, document.at(f"{pointer}/$dynamicRef"), expected="'$ref' alone")
    for keyword in references[:1]:
        place = document.at(f"{pointer}/{keyword}")
        target = _resolve(keyword, schema[keyword], place, document, documents)
        if target is not None:
            documents.targets[document.file, pointer] = target


def _resolve(keyword: str, ref: str, place: Span, document: Document, documents: Documents) -> str | None:
    """The pointer in the bundle that a reference leads to."""
    if _SCHEME.match(ref):
        message = f"'{keyword}' names the address '{ref}', and nothing is fetched"
        documents.refuse(
            "refused-ref", message, place, expected=_LOCAL, fix="save that schema in the project and name the file"
        )
        return None
    path, _, fragment = ref.partition("#")
    if path and keyword == "$dynamicRef":
        documents.refuse(
            "refused-ref", f"'$dynamicRef' names the file '{path}'", place, expected="an anchor of this schema"
        )
        return None
    target = _document(unquote(path), place, document, documents) if path else document
    if target is None or not target.schemas:
        return None
    inner = _inner_pointer(unquote(fragment), target)
    if inner is None:
        _refuse_unknown(ref, place, target, documents)
        return None
    return target.prefix + inner


def _inner_pointer(fragment: str, target: Document) -> str | None:
    if fragment and not fragment.startswith("/"):
        return target.anchors.get(fragment)
    return fragment if fragment in target.schemas else None


def _refuse_unknown(ref: str, place: Span, target: Document, documents: Documents) -> None:
    path = ref.partition("#")[0]
    known = [f"{path}#{pointer}" for pointer in target.schemas if pointer.startswith(("/$defs/", "/definitions/"))]
    known += [f"{path}#{anchor}" for anchor in target.anchors]
    message = f"'{ref}' leads to no schema"
    documents.refuse("unknown-ref", message, place, expected=listed(known[:20]) or _LOCAL, near=nearest(ref, known))


def _document(path: str, place: Span, document: Document, documents: Documents) -> Document | None:
    """The document of a relative path, read when it is first named."""
    file = posixpath.normpath(posixpath.join(document.base, path))
    if path.startswith("/") or "\\" in path or file.startswith("../") or file == "..":
        documents.refuse("refused-ref", f"'{path}' is no file inside the project", place, expected=_LOCAL)
        return None
    if file in documents.found:
        return documents.found[file]
    if not file.endswith(".json"):
        documents.refuse("refused-ref", f"'{path}' is no .json file", place, expected=_LOCAL)
        return None
    if len(documents.found) > MAX_FILES:
        documents.refuse("schema-too-large", f"the schema reads more than {MAX_FILES} files", place)
        return None
    return _read(file, place, document, documents)


def _read(file: str, place: Span, document: Document, documents: Documents) -> Document | None:
    try:
        data = documents.read(file)
    except RunnerError as error:
        for found in error.problems:
            near = posixpath.relpath(found.nearest, document.base or ".") if found.nearest else ""
            documents.problems.append(replace(found, span=place, nearest=near))
        documents.found[file] = Document(file, "", True, lambda _: place)
        return None
    problem, text, value = "", "", None
    try:
        text = data.decode("utf-8-sig")
        value = parse_strictly(text)
    except UnicodeDecodeError:
        problem = "text that is not UTF-8"
    except NotParsed as error:
        problem = error.reason
    documents.sources[file] = text
    top = Span(file, 1, 1)
    written = SchemaSource(value, top, file=file, spans={} if problem else places(text, file))
    named = Document(file, posixpath.dirname(file), value, written.at, _prefix(file, documents))
    if problem:
        documents.refuse("invalid-schema", f"the file is no JSON: {problem}", top)
        documents.found[file] = named
    elif not isinstance(value, (dict, bool)):
        documents.refuse("invalid-schema", "the file holds no schema", top, expected="a mapping, or true or false")
        documents.found[file] = named
    else:
        _add(named, documents)
    return named


def _prefix(file: str, documents: Documents) -> str:
    """A name under `$defs` that stays the same when the file moves to another folder."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", posixpath.basename(file).removesuffix(".json")) or "schema"
    name, number = stem, 2
    while name in documents.names:
        name, number = f"{stem}_{number}", number + 1
    documents.names.add(name)
    return f"/$defs/{name}"


def as_ref(pointer: str) -> str:
    """A pointer in the bundle as a reference."""
    return "#" + quote(pointer, safe="/~!$&'()*+,;=:@-._")
