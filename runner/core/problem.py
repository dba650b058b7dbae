"""One finding, its rendering, and the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Literal

from runner.core.frozen import dataclass
from runner.core.span import Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A change inside one line of a file: the text `old`, which starts at the place, becomes `new`.

    It is made only where the file really reads `old` there. Lines and columns count from 1, without a byte-order mark.
    """

    file: str
    line: int
    column: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A static finding, in the author's words; rows that would be empty or a guess are left out.

    `notes` are further labelled rows, such as ("used by", "step 'reply', workflows/triage.yaml:12:13"). `edits`,
    made together, repair the finding without touching what is right.
    """

    code: str
    message: str
    span: Span | None = None
    expected: str = ""
    nearest: str = ""
    fix: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    severity: Severity = "error"
    edits: tuple[Edit, ...] = field(default=(), compare=False)

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


def render(problem: Problem, sources: Mapping[str, str], *, marks_edits: bool = False) -> str:
    """`file:line:column: code: message`, the line with a caret, then the rows that help."""
    place = f"{problem.span}: " if problem.span else ""
    word = "" if problem.is_error else f"{problem.severity}: "
    lines = [f"{place}{word}{problem.code}: {problem.message}"]
    excerpt = problem.span.excerpt(sources) if problem.span else ""
    if excerpt:
        lines.append(excerpt)
    rows = (("expected", problem.expected), ("nearest", problem.nearest), *problem.notes, ("fix", problem.fix))
    if problem.edits and marks_edits:
        rows = (*rows, ("fixable", "runner check --fix"))
    lines += [f"  {label + ':':<9} {text}" for label, text in rows if text]
    return "\n".join(lines)


def render_all(problems: Sequence[Problem], sources: Mapping[str, str], *, marks_edits: bool = False) -> str:
    """All findings in the order of their places, a blank line between them; with a mark on what has edits."""
    return "\n\n".join(render(problem, sources, marks_edits=marks_edits) for problem in in_order(problems))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Findings by file, line and column; those without a place come first. Equal ones are shown once."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda p: (p.span is not None, p.span or Span("", 0, 0), p.code))


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The candidate that is most likely meant, or ""."""
    return _nearest(name, tuple(sorted(set(candidates))))


@lru_cache(maxsize=1024)
def _nearest(name: str, names: tuple[str, ...]) -> str:
    folded = {candidate.casefold().replace("-", "_"): candidate for candidate in names}
    exact = folded.get(name.casefold().replace("-", "_"))
    if exact is not None:
        return exact
    from difflib import get_close_matches  # only where something is wrong

    matches = get_close_matches(name, names, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def listed(names: Iterable[str]) -> str:
    """Names as a sorted list for an `expected` row."""
    return ", ".join(sorted(names))
