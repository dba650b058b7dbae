"""The `files` of a step → `FileEntry`s."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from runner.config.keys import Keys
from runner.config.nodes import MappingNode, Node, ScalarNode
from runner.config.reading import Reading
from runner.core.media import MEDIUM_KINDS, Clip, Resolution
from runner.core.problem import Problem
from runner.core.workflow import Expression, FileEntry, FileTemplate, RepeatedFiles, Template

ReadTemplate = Callable[[Node | None], Template | None]


def read_files(step: str, keys: Keys, template: ReadTemplate, reading: Reading) -> tuple[FileEntry, ...]:
    """The entries of `files`; what was found wrong is left out."""
    found: list[FileEntry] = []
    for node in keys.mappings("files"):
        entry = Keys(node, keys.rejected)
        if not entry.has("for_each"):
            found += _files((node,), keys, template)
        elif (repeated := read_repeated(step, keys, entry, "file", reading)) is not None:
            inner = _files(entry.mappings("files"), keys, template)
            found.append(RepeatedFiles(*repeated, tuple(inner), node.span))
    return tuple(found)


def read_repeated(step: str, keys: Keys, entry: Keys, noun: str, reading: Reading) -> tuple[Expression, str] | None:
    """`for_each` and `as` of an entry that is repeated; the name may not be that of the step's own element."""
    items, variable = entry.expression("for_each"), entry.text("as")
    if items is None or variable is None:
        return None
    if variable == keys.text("as"):
        message = f"'as' of a {noun} of step '{step}' is {variable!r}, which names the step's own element already"
        expected = f"a name other than {variable}"
        reading.problems.append(Problem("reserved-name", message, entry.place("as"), expected))
    return items, variable


def _files(nodes: tuple[MappingNode, ...], step: Keys, template: ReadTemplate) -> list[FileTemplate]:
    return [found for node in nodes if (found := _file(Keys(node, step.rejected), template)) is not None]


def _file(keys: Keys, template: ReadTemplate) -> FileTemplate | None:
    found = next(((kind, node) for kind in MEDIUM_KINDS if (node := keys.get(kind)) is not None), None)
    if found is None:
        return None
    kind, value = found
    path = _path(value, keys, template)
    resolution = cast(Resolution | None, keys.text("resolution"))
    clip = _clip(keys.below("clip"))
    return None if path is None else FileTemplate(kind, path, value.span, clip, resolution)


def _path(node: Node, keys: Keys, template: ReadTemplate) -> Template | None:
    """A template; `{file: path}` is the file itself, for a file is what the key asks for."""
    if not isinstance(node, MappingNode):
        return template(node)
    path = Keys(node, keys.rejected).get("file")
    return Template(path.raw, path.origin) if isinstance(path, ScalarNode) else None


def _clip(keys: Keys | None) -> Clip | None:
    return None if keys is None else Clip(keys.number("from"), keys.number("to"), keys.number("fps"))
