"""Files that include others: their sections merged, a name in one of them only."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from runner.config.fields import Record
from runner.config.keys import Keys
from runner.config.nodes import Entry, MappingNode, Node
from runner.config.reading import Reading
from runner.config.verify import Findings, verify
from runner.config.wording import Place
from runner.core.problem import Problem
from runner.core.span import Span

SUITE_ENDINGS = (".suite.yaml", ".suite.yml")


def is_suite_name(file: str) -> bool:
    """Whether a file is a suite by its name."""
    return file.endswith(SUITE_ENDINGS)


# What is left of such a value, or of a mapping without such a key, is not what the author wrote.
_REFUSED = ("tag", "unknown-alias", "bad-number", "key-not-text")


def stem(file: str) -> str:
    """The name of a file without folders and endings."""
    return posixpath.basename(file).partition(".")[0]


def without_echoes(found: Sequence[Problem], told: Sequence[Problem]) -> list[Problem]:
    """What is found beyond what was refused, such as a tag or a number, at the very same place."""
    refused = {
        (problem.span.file, problem.span.line, problem.span.column)
        for problem in told
        if problem.span and problem.code in _REFUSED
    }
    return [p for p in found if p.span is None or (p.span.file, p.span.line, p.span.column) not in refused]


def verified(node: Node, record: Record, called: str, findings: Findings) -> MappingNode | None:
    verify(node, record, Place(called), findings)
    return node if isinstance(node, MappingNode) else None


def included(
    keys: Keys, record: Record, own: tuple[str, str], reading: Reading, findings: Findings
) -> Iterator[tuple[Span, MappingNode]]:
    """The included files: where each is named, and its mapping. They may include nothing themselves.

    `own` is the file that includes and what it is.
    """
    file, title = own
    seen = {file}
    for item in keys.scalars("include"):
        path, node = reading.named_document(item.raw, item.span, "include")
        if not path:
            continue  # it cannot be read, which is told
        if path in seen:
            message = f"{path} is {title} itself" if path == file else f"{path} is included twice"
            reading.problems.append(Problem("bad-include", message, item.span, fix="remove it here"))
            continue
        seen.add(path)
        top = None if node is None else verified(node, record, f"the included file {path}", findings)
        if top is not None:
            yield item.span, top


def merged(
    section: str, noun: str, tops: Sequence[MappingNode], findings: Findings, reading: Reading
) -> tuple[Entry, ...]:
    """One section of all files; a name may stand in one of them only."""
    found: dict[str, Entry] = {}
    for top in reversed(tops):
        for entry in Keys(top, findings.rejected).entries(section):
            other = found.get(entry.key)
            if other is not None:
                reading.problems.append(_defined_twice(noun, entry, other))
            found[entry.key] = entry
    own = [entry.key for top in tops for entry in Keys(top, findings.rejected).entries(section)]
    return tuple(found[key] for key in dict.fromkeys(own))


def _defined_twice(noun: str, entry: Entry, other: Entry) -> Problem:
    return Problem(
        "defined-twice",
        f"{noun} '{entry.key}' is defined in {entry.key_span.file} and in {other.key_span.file}",
        entry.key_span,
        expected="a name that only one of the files defines",
        notes=(("other", str(other.key_span)),),
    )
