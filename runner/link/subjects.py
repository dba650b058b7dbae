"""What the names that a text reads stand for: answers, inputs, rows and elements, each with its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.outcome import FailureKind
from runner.core.ports import ReadFile
from runner.core.workflow import Loop, SchemaSource, Step, Workflow
from runner.link.paths import ANY, Typed, type_inside, type_of
from runner.link.scope import Place
from runner.output.keywords import every_schema
from runner.output.schema import CompiledSchema, SchemaProblems, compile_schema
from runner.templates.trail import ELEMENT, Path

_ANSWER = {"output": False, "text": False, "outputs": True, "texts": True, "samples": True}
_STATE: Mapping[str, Json] = {
    "skipped": {"type": "boolean"},
    "failed": {"enum": [*map(str, FailureKind), None]},
    "model": {"type": "string"},
    "sources": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"url": {"type": "string"}, "title": {"type": "string"}},
            "required": ["url", "title"],
            "additionalProperties": False,
        },
    },
}

_TOOL_CALL: Json = {
    "type": "object",
    "properties": {"tool": {"type": "string"}, "arguments": {}, "result": {}, "error": {"type": ["string", "null"]}},
    "required": ["tool", "arguments", "result", "error"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a path begins with. `title` is how it is called in a message; `start` parts of the path name it.

    `schema` describes it, with references into `root`; `source` is the schema as its author wrote it, `owner` whose
    it is. With `is_list` the path names a list of what the title calls by its name. In rows with `has_all_columns` no
    column is ever left out, whatever the schema says.
    """

    title: str
    start: int
    schema: Json
    root: Json = True
    source: SchemaSource | None = None
    owner: str = ""
    is_list: bool = False
    has_all_columns: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A path without the names that only its text knows: `shift` is how many parts longer it is than as written."""

    path: Path
    shift: int
    subject: Subject


class MadeRows(Protocol):
    """The rows of sources that are made from others."""

    def stages_of(self, name: str, subjects: Subjects) -> tuple[Json, Json, Json]: ...

    def row_of(self, name: str, subjects: Subjects) -> Json: ...

    def parent_of(self, name: str) -> str: ...


class Subjects:
    """Finds the subject of a path. `lists` has the data source of each lane, or "", and the path of its list."""

    def __init__(
        self,
        workflow: Workflow,
        lists: Mapping[str, tuple[str, Path]],
        answers: Mapping[str, CompiledSchema | None],
        read: ReadFile,
        states: Mapping[str, CompiledSchema | None],
        rows: MadeRows,
    ) -> None:
        self._workflow = workflow
        self._lists = lists
        self._answers = answers
        self._read = read
        self._states = states
        self._rows = rows
        self._compiled: dict[int, CompiledSchema | None] = {}
        self._typed: dict[tuple[int, Path], tuple[Json, Typed]] = {}
        self._of_steps: dict[tuple[str, str], Subject | None] = {}

    def find(self, path: Path, place: Place) -> Found | None:
        """The subject of a path that is read at a place, None where nothing is known of it."""
        known = self.plain(path, place)
        subject = known and self._subject(known, place)
        return Found(known, len(known) - len(path), subject) if known and subject else None

    def type_at(self, subject: Subject, path: Path) -> Typed:
        """What stands at a path inside a subject; many texts read the same ones, and others beside them."""
        schema, found = subject.schema, ANY
        for end in range(len(path) + 1):
            known = self._typed.get((id(schema), path[:end]))
            if known is None or known[0] is not schema:
                found = (
                    type_inside(found, path[end - 1], end - 1, subject.root) if end else type_of(schema, subject.root)
                )
                self._typed[id(schema), path[:end]] = (schema, found)
            else:
                found = known[1]
        return found

    def plain(self, path: Path, place: Place) -> Path:
        """The path with its first name replaced by what it stands for; () where that is not known.

        The element of a data source stays `item`, one's own answer becomes `steps.NAME.output`.
        """
        names = [name for name, _ in place.elements]
        if path[0] in names:
            index = len(names) - 1 - names[::-1].index(path[0])
            _, element = place.elements[index]
            outer = replace(place, elements=place.elements[:index])
            return self.plain((*element, *path[1:]), outer) if element else ()
        if path[0] in place.item_names and (place.made or path[0] == "group"):
            return path
        if path[0] in place.item_names:
            source, items = self._lists.get(place.lane, ("", ()))
            if source:
                return ("item", *path[1:])
            return (*items, ELEMENT, *path[1:]) if items else ()
        if path[0] == "steps" and len(path) > 1 and path[1] in place.local:
            return ("steps", place.local[path[1]], *path[2:])
        own = path[0] == place.answer != ""
        return ("steps", place.owner, *path) if own else path

    def _subject(self, path: Path, place: Place) -> Subject | None:
        match path:
            case ("steps", name, field, *_) if name in self._workflow.steps:
                if (name, field) not in self._of_steps:
                    self._of_steps[name, field] = self._of_step(name, self._workflow.steps[name], field)
                return self._of_steps[name, field]
            case ("inputs", name, *_) if name in self._workflow.inputs:
                source = self._workflow.inputs[name].schema
                return self._described(f"input '{name}'", 2, source, f"input '{name}'")
            case ("state", *_) if place.loop:
                return self._state(self._workflow.steps[place.loop], 1)
            case ("turn", *_) if place.loop:
                loop = self._workflow.steps[place.loop].loop
                most = {"maximum": loop.max} if loop else {}
                return Subject("the number of the turn", 1, {"type": "integer", "minimum": 1, **most})
            case ("item", *_) if place.made:
                return self._coming_in(place.made, is_grouped=place.is_grouped)
            case ("group", *_) if place.is_grouped:
                return self._group(place.made)
            case ("group", *_) if place.lane in self._lists:
                return self._group(self._lists[place.lane][0])
            case ("item", *_) if place.lane in self._lists and place.item_names:
                return self._row(self._lists[place.lane][0])
        return None

    def _coming_in(self, name: str, *, is_grouped: bool) -> Subject | None:
        """A row while others are made from it: as it comes from its source, or a group."""
        item, _, grouped = self._rows.stages_of(name, self)
        if is_grouped:
            return Subject(f"a group of '{name}'", 1, grouped, grouped)
        return None if item is True else Subject(f"a row of '{self._rows.parent_of(name)}'", 1, item, item)

    def _group(self, name: str) -> Subject | None:
        """The rows of a group."""
        before = self._rows.stages_of(name, self)[1]
        return Subject(f"the rows of a group of '{name}'", 1, _many(before), before)

    def rows_of(self, name: str) -> Json:
        """The schema of the rows of a source; true where nothing is said of them."""
        subject = self._row(name)
        if subject is None:
            return True
        if subject.has_all_columns:
            return {**subject.schema, "required": list(subject.schema.get("properties", ()))}
        return subject.schema

    def _of_step(self, name: str, step: Step, field: str) -> Subject | None:
        if step.loop is not None and field not in ("skipped", "failed"):
            return self._of_loop(step, step.loop, field)
        if field == "tool_calls" and step.tools:
            return Subject(f"the tool calls of '{name}'", 3, _many(_TOOL_CALL))
        if field in _STATE:
            return Subject(f"'{field}' of '{name}'", 3, _STATE[field])
        if field not in _ANSWER or field.startswith("output" if step.schema is None else "text"):
            return None
        is_list = _ANSWER[field]
        if step.schema is None:
            text: Json = {"type": "string"}
            return Subject(f"the text of '{name}'", 3, _many(text) if is_list else text, is_list=is_list)
        found = self._answers.get(name)
        if found is None:
            return None
        schema = _many(found.bundled) if is_list else found.bundled
        return Subject(f"the output of '{name}'", 3, schema, found.bundled, step.schema, name, is_list)

    def _state(self, step: Step, start: int) -> Subject | None:
        found = self._states.get(step.name)
        if found is None or step.loop is None:
            return None
        title = f"the state of '{step.name}'"
        return Subject(title, start, found.bundled, found.bundled, step.loop.schema, step.name)

    def _of_loop(self, step: Step, loop: Loop, field: str) -> Subject | None:
        match field:
            case "state":
                return self._state(step, 3)
            case "finished":
                return Subject(f"'finished' of '{step.name}'", 3, {"type": "boolean"})
            case "turns" | "last":
                turn = {
                    "type": "object",
                    "properties": {name: self._said(step, inner) for name, inner in loop.steps.items()},
                    "required": list(loop.steps),
                    "additionalProperties": False,
                }
                title = f"the turns of '{step.name}'" if field == "turns" else f"the last turn of '{step.name}'"
                return Subject(title, 3, _many(turn) if field == "turns" else turn)
        return None

    def _said(self, step: Step, inner: Step) -> Json:
        """What a step says in a turn; null where it was skipped."""
        found = self._answers.get(f"{step.name}.{inner.name}")
        if inner.schema is None:
            schema: Json = {"type": "string"}
        elif found is None or _has_references(found.bundled):
            return True
        else:
            schema = found.bundled
        return schema if inner.when is None else {"anyOf": [schema, {"type": "null"}]}

    def _row(self, name: str) -> Subject | None:
        source = self._workflow.data.get(name)
        if source is not None and source.made is not None:
            schema = self._rows.row_of(name, self)
            return None if schema is True else Subject(f"a row of '{name}'", 1, schema, schema, owner=f"data.{name}")
        if source is None:
            return None
        schema = source.schema or source.shape
        if schema is None:
            return None
        is_whole = source.format in ("csv", "parquet")
        return self._described(f"a row of '{name}'", 1, schema, f"data.{name}", is_whole=is_whole)

    def _described(
        self, title: str, start: int, source: SchemaSource, owner: str, *, is_whole: bool = False
    ) -> Subject | None:
        schema = self._schema(source)
        if schema is None:
            return None
        return Subject(title, start, schema.bundled, schema.bundled, source, owner, has_all_columns=is_whole)

    def _schema(self, source: SchemaSource) -> CompiledSchema | None:
        """A schema that cannot be used is told by the checks."""
        if id(source) not in self._compiled:
            try:
                self._compiled[id(source)] = compile_schema(source, self._read)
            except SchemaProblems:
                self._compiled[id(source)] = None
        return self._compiled[id(source)]


def _many(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def _has_references(schema: Json) -> bool:
    """Whether it can stand inside another schema only with its definitions."""
    return any(isinstance(inner, dict) and "$ref" in inner for _, inner in every_schema(schema))
