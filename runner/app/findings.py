"""Workflow files looked at together: what is wrong with them, and what of it can be mended safely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from runner.app.checking import Checking
from runner.app.types import CheckReport
from runner.config.load import ProjectFiles
from runner.core.editing import apply_edits, by_file
from runner.core.errors import FileError
from runner.core.frozen import dataclass, replace
from runner.core.problem import Edit, Problem

MOST_TRIED = 200

Contents = Mapping[Path, bytes]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """All findings of some workflow files with what their files are taken to hold; `owners` says of a shown name whose it is."""

    paths: tuple[Path, ...]
    models: Mapping[str, str]
    contents: Contents
    found: CheckReport
    is_strict: bool
    owners: Mapping[str, tuple[ProjectFiles, str]] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.found.problems

    def report(self, mendable: Collection[Problem]) -> CheckReport:
        """What is told of it; only what is mendable keeps its edits."""
        kept = frozenset(mendable)
        problems = [problem if problem in kept else replace(problem, edits=()) for problem in self.problems]
        return replace(self.found, problems=tuple(problems))

    def read(self, name: str) -> tuple[Path, bytes] | None:
        """The real path and the bytes of a file that was read, if it may be written."""
        owner = self.owners.get(name)
        try:
            return None if owner is None else (owner[0].locate(owner[1]), owner[0].read(owner[1]))
        except FileError:
            return None


def look(
    paths: Sequence[Path],
    models: Mapping[str, str],
    contents: Contents,
    *,
    folders: Sequence[Path] = (),
    is_strict: bool = False,
    is_walking: bool = True,
) -> Look:
    """Check workflow and suite files as if their files held `contents`; `folders` were searched for them.

    Without `is_walking` rows and unused files, which cannot be mended, are not looked at.
    """
    checking = Checking(paths, models, contents, is_strict=is_strict, is_walking=is_walking)
    for path in paths:
        checking.take(path)
    if is_walking:
        checking.problems += checking.unused(folders)
    return Look(
        paths=tuple(paths),
        models=models,
        contents=contents,
        found=checking.report(),
        is_strict=is_strict,
        owners=checking.owners,
    )


@dataclass(frozen=True, slots=True)
class Mended:
    """Findings that can be repaired, and a look at the files with their edits made."""

    problems: tuple[Problem, ...]
    after: Look


def mend(before: Look) -> Mended:
    """Make the edits that stand the test of a second look: the finding is gone, and what was written is not wrong."""
    wanted = [problem for problem in before.problems if problem.edits]
    together = _without_overlaps(before, wanted)
    tried = _try(before, together)
    if tried is not None and len(together) == len(wanted):
        return Mended(tuple(together), tried)
    kept = together if tried is not None else []
    after = tried or before
    for problem in wanted[:MOST_TRIED]:
        if problem not in kept:
            found = _try(before, [*kept, problem])
            kept, after = ([*kept, problem], found) if found is not None else (kept, after)
    return Mended(tuple(kept), after)


def _without_overlaps(before: Look, problems: Sequence[Problem]) -> list[Problem]:
    """Of edits that cannot be made together the first wins."""
    if _made(before, problems) is not None:
        return list(problems)
    kept: list[Problem] = []
    for problem in problems[:MOST_TRIED]:
        if _made(before, [*kept, problem]) is not None:
            kept.append(problem)
    return kept


_Written = dict[Edit, tuple[Place, Place]]


def _made(before: Look, problems: Sequence[Problem]) -> tuple[dict[Path, bytes], _Written] | None:
    """The new contents of files and the places of what was written, or None where an edit cannot be made."""
    contents: dict[Path, bytes] = {}
    written: _Written = {}
    edits = dict.fromkeys(edit for problem in problems for edit in problem.edits)
    for name, group in by_file(edits).items():
        found = before.read(name)
        changed = None if found is None else apply_edits(found[1], group)
        if found is None or changed is None:
            return None
        contents[found[0]] = changed.data
        written |= changed.written
    return contents, written


def _try(before: Look, problems: Sequence[Problem]) -> Look | None:
    made = _made(before, problems)
    if made is None or not problems:
        return None
    contents, written = made
    after = look(
        before.paths, before.models, {**before.contents, **contents}, is_strict=before.is_strict, is_walking=False
    )
    return (
        after
        if _are_gone(problems, written, before, after) and not _is_wrong(problems, written, after.problems)
        else None
    )


def _are_gone(problems: Sequence[Problem], written: _Written, before: Look, after: Look) -> bool:
    """Whether each finding is told once less where its edits were made."""
    counts = Counter((problem.code, problem.message) for problem in problems)
    edits = [edit for problem in problems for edit in problem.edits]
    old = {(edit.file, edit.line) for edit in edits} | {(p.span.file, p.span.line) for p in problems if p.span}
    new = {(e.file, line) for e in edits for line in range(written[e][0][0], written[e][1][0] + 1)}
    adding = [edit for edit in edits if "\n" in edit.new]
    new |= {(file, _moved(file, line, adding)) for file, line in old}
    told = _told(before.problems, old) - counts
    left = _told(after.problems, new)
    return all(left[key] <= told[key] for key in counts)


def _moved(file: str, line: int, edits: Sequence[Edit]) -> int:
    """Where a line stands behind the lines that were added before it."""
    return line + sum(edit.new.count("\n") for edit in edits if edit.file == file and edit.line < line)


def _told(problems: Sequence[Problem], lines: Collection[tuple[str, int]]) -> Counter[tuple[str, str]]:
    return Counter((p.code, p.message) for p in problems if p.span and (p.span.file, p.span.line) in lines)


def _is_wrong(mended: Sequence[Problem], written: _Written, found: Sequence[Problem]) -> bool:
    """Whether something that was written is itself an error, such as for another workflow that uses the file.

    One of another kind that can be mended in its turn is a step ahead: quotes first, then the braces inside.
    """
    codes = {problem.code for problem in mended}
    starts = {(edit.file, *first) for edit, (first, _) in written.items()}
    wrong = (
        problem.span for problem in found if problem.is_error and not (problem.edits and problem.code not in codes)
    )
    return any(span and (span.file, span.line, span.column) in starts for span in wrong)
