"""Where in the author's files an ingredient that changed is written."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from runner.core.span import Span
from runner.core.workflow import FileTemplate, MessageTemplate, RepeatedFiles, Step, Template, Workflow

_KEYS = {
    "model": ("model",),
    "thinking": ("thinking",),
    "schema": ("schema", "fields"),
    "salt": ("cache.salt", "cache"),
}
_WHOLE = {"system": ("system",), "sample": ("samples",), "data": ("for_each",)}


def place_of_change(word: str, step: Step, workflow: Workflow) -> Span | None:
    """The place of a reason word, None where no file has one."""
    kind, _, name = word.partition(":")
    match kind:
        case "template":
            return next((span for span in _templates(step) if f"{span.file}:{span.line}" == name), None)
        case "input":
            return workflow.inputs[name].span if name in workflow.inputs else None
        case "upstream":
            return workflow.steps[name].span if name in workflow.steps else None
        case "option":
            return _first(step, (name, f"options.{name}")) or _place_of_look(name, list(_files(step)))
        case "file":
            return _place_of_file(name, list(_files(step))) or _first(step, ("files",))
        case _:
            return _first(step, (_KEYS | _WHOLE).get(kind, ()))


def _first(step: Step, keys: tuple[str, ...]) -> Span | None:
    return next((step.spans[key] for key in keys if key in step.spans), None)


def _place_of_file(name: str, files: list[FileTemplate]) -> Span | None:
    """Where a path is written that comes to this file, as far as that is certain."""
    if len(files) == 1:
        return files[0].span
    return next((entry.span for entry in files if _plain(entry) == name), None)


def _place_of_look(name: str, files: list[FileTemplate]) -> Span | None:
    """The file that is looked at in this way, where it is the only one."""
    looks = {
        "clip": [one.span for one in files if one.clip],
        "resolution": [one.span for one in files if one.resolution],
    }
    found = looks.get(name, [])
    return found[0] if len(found) == 1 else None


def _plain(entry: FileTemplate) -> str:
    """The path of a file whose template is plain text, relative to the root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(entry.span.file), entry.path.text.strip()))


def _files(step: Step) -> Iterator[FileTemplate]:
    for entry in step.files:
        yield from entry.files if isinstance(entry, RepeatedFiles) else (entry,)


def _templates(step: Step) -> Iterator[Span]:
    for text in _texts(step):
        yield text.origin.span()


def _texts(step: Step) -> Iterator[Template]:
    if step.system:
        yield step.system
    for entry in step.messages:
        if isinstance(entry, MessageTemplate):
            yield entry.text
        else:
            yield from (inner.text for inner in entry.messages)
