"""The files that a file names: read once, with their problems shown where they are named."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import field, replace

from runner.config.nodes import MappingNode, Node, pointer_spans, to_value
from runner.config.yaml_nodes import decode, parse_yaml
from runner.core.errors import FileError
from runner.core.frozen import dataclass
from runner.core.ports import ReadFile
from runner.core.problem import Problem
from runner.core.span import Origin, Span, lines_of
from runner.core.workflow import SchemaSource, Template

_ABSOLUTE = re.compile(r"/|~|[A-Za-z]:[\\/]|[a-z][a-z0-9+.-]*://")
_ROOT_BY_SETTINGS = "put an empty runner.yaml into the folder that is to be the project's root"


@dataclass(slots=True)
class Reading:
    """Reads files below the root and gathers what is wrong with them.

    `sources` maps each file that was read to its text, in the order of reading. `root` is the project's root as it is
    shown; it `is_chosen` when a runner.yaml makes it the root.
    """

    read: ReadFile
    root: str = ""
    is_chosen: bool = False
    problems: list[Problem] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    _documents: dict[str, Node | None] = field(default_factory=dict)
    _merges: bool = False
    _looked: int = 0

    def has_merge_keys(self) -> bool:
        """Whether a merge key was refused so far."""
        self._merges = self._merges or any(problem.code == "merge-key" for problem in self.problems[self._looked :])
        self._looked = len(self.problems)
        return self._merges

    def document(self, file: str, data: bytes) -> Node | None:
        """The nodes of a file whose bytes are at hand."""
        text = decode(data, file)
        if isinstance(text, Problem):
            self.problems.append(text)
            return None
        self.sources[file] = text
        node, problems = parse_yaml(text, file)
        self.problems += problems
        return node

    def named_document(self, text: str, span: Span, used_by: str) -> tuple[str, Node | None]:
        """The root-relative path and the nodes of a file that is named at a place."""
        path = self.resolve(text, span)
        if path is None:
            return "", None
        if path not in self._documents:
            data = self._bytes(path, span)
            known = len(self.problems)
            self._documents[path] = None if data is None else self.document(path, data)
            note = ("used by", f"{used_by}, {span}")
            self.problems[known:] = [
                replace(problem, notes=(*problem.notes, note)) for problem in self.problems[known:]
            ]
        return path, self._documents[path]

    def template_file(self, text: str, span: Span) -> Template | None:
        """A prompt file that is named at a place."""
        path = self.resolve(text, span)
        if path is None:
            return None
        if path not in self.sources:
            data = self._bytes(path, span)
            content = None if data is None else decode(data, path)
            if isinstance(content, Problem):
                self.problems.append(replace(content, span=span))
            if not isinstance(content, str):
                return None
            self.sources[path] = content
        return Template(self.sources[path], Origin(path), path)

    def schema_file(self, text: str, span: Span, used_by: str) -> SchemaSource | None:
        """A schema file that is named at a place."""
        path, node = self.named_document(text, span, used_by)
        if node is None:
            return None
        if broken := _broken_json(path, self.sources.get(path, "")):
            self.problems.append(replace(broken, notes=(("used by", f"{used_by}, {span}"),)))
            return None
        if not isinstance(node, MappingNode):
            note = ("used by", f"{used_by}, {span}")
            self.problems.append(
                Problem("wrong-type", f"{path} is no JSON Schema", node.span, "a mapping", notes=(note,))
            )
            return None
        base = posixpath.dirname(path)
        return SchemaSource(to_value(node), span, file=path, base=base, spans=pointer_spans(node))

    def line(self, span: Span) -> str:
        """The line of a file that was read, "" when its text is not at hand."""
        lines = lines_of(span.file, self.sources.get(span.file, ""))
        return "".join(lines[span.line - 1 : span.line])

    def resolve(self, text: str, span: Span) -> str | None:
        """A path of the file that holds `span`, relative to the root; None when it cannot lie below it."""
        return self._below_root(base_of(span), text, span, "the file that names it")

    def resolve_in_root(self, text: str, span: Span) -> str | None:
        """A path that is written relative to the root; None when it cannot lie below it."""
        return self._below_root("", text, span, "the project's root")

    def _below_root(self, base: str, text: str, span: Span, start: str) -> str | None:
        path = posixpath.normpath(posixpath.join(base, text))
        is_absolute = _ABSOLUTE.match(text) is not None
        if not is_absolute and path != ".." and not path.startswith("../"):
            return path
        way_out = "" if is_absolute or self.is_chosen else _ROOT_BY_SETTINGS
        self.problems.append(
            Problem(
                "outside-root",
                f"{text} lies outside the project",
                span,
                expected=f"a path inside the project, relative to {start}",
                notes=(("root", self.root),),
                fix=way_out,
            )
        )
        return None

    def _bytes(self, path: str, span: Span) -> bytes | None:
        try:
            return self.read(path)
        except FileError as error:
            self.problems += [_at(problem, span) for problem in error.problems]
            return None


def _broken_json(path: str, text: str) -> Problem | None:
    """What a file that ends in .json has of YAML: other tools could not read it."""
    if not path.endswith(".json"):
        return None
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        return Problem("invalid-json", f"{path} is no JSON: {reason}", Span(path, error.lineno, error.colno))
    except ValueError:
        return None  # a number with too many digits is told by the schema's own check
    return None


def base_of(span: Span) -> str:
    """The folder of the file that holds a place, relative to the root."""
    return posixpath.dirname(span.file)


def _at(problem: Problem, span: Span) -> Problem:
    """The problem of a file shown where the file is named, with the nearest path as it would be written there."""
    nearest = posixpath.relpath(problem.nearest, base_of(span) or ".") if problem.nearest else ""
    return replace(problem, span=span, nearest=nearest)
