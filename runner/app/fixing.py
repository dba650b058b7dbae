"""`check --fix`: edits that are safe, made until none is left, and files replaced whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from pathlib import Path

from runner.app.findings import Look, look, mend
from runner.app.types import CheckReport
from runner.core.editing import decoded_lines
from runner.core.errors import StorageError
from runner.core.frozen import dataclass
from runner.core.problem import Problem

MOST_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class FixReport:
    """What is left, how many findings were repaired in which files (as shown), and the changes as a unified diff."""

    left: CheckReport
    repaired: int
    files: tuple[str, ...]
    diff: str


def fix(
    paths: Sequence[Path],
    models: Mapping[str, str],
    folders: Sequence[Path] = (),
    *,
    is_strict: bool = False,
    is_writing: bool = True,
) -> FixReport:
    """Repair what is safe. Raises StorageError when a file cannot be written; each file is whole at any time."""
    first = now = look(paths, models, {}, is_strict=is_strict, is_walking=False)
    repaired = 0
    for _ in range(MOST_ROUNDS):
        mended = mend(now)
        if not mended.problems:
            break
        now = mended.after
        repaired += len(mended.problems)
    changes = _changes(first, now)
    if is_writing:
        for path, (before, after) in changes.values():
            replace_file(path, before, after)
    left = look(paths, models, now.contents, folders=folders, is_strict=is_strict)
    diff = "".join(_diff(name, before, after) for name, (_, (before, after)) in changes.items())
    return FixReport(left.report(()), repaired, tuple(changes), diff)


def _changes(first: Look, last: Look) -> dict[str, tuple[Path, tuple[bytes, bytes]]]:
    """The files that differ, by the name that is shown."""
    changes: dict[str, tuple[Path, tuple[bytes, bytes]]] = {}
    seen: set[Path] = set()
    for name in sorted(first.owners):
        found = first.read(name)
        if found is None or found[0] in seen or found[0] not in last.contents:
            continue
        seen.add(found[0])
        after = last.contents[found[0]]
        if after != found[1]:
            changes[name] = (found[0], (found[1], after))
    return changes


def replace_file(path: Path, before: bytes, after: bytes) -> None:
    """Write beside and rename, keeping the file's mode; what was changed meanwhile is left alone."""
    try:
        if path.read_bytes() != before:
            message = f"{path.name} was changed by somebody else meanwhile, so it was left as it is"
            raise StorageError(Problem("changed-meanwhile", message, fix="run the command again"))
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(after)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(path.stat().st_mode & 0o7777)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StorageError(Problem("unwritable-file", f"{path.name} cannot be written: {reason}")) from None


def _diff(name: str, before: bytes, after: bytes) -> str:
    lines = unified_diff(decoded_lines(before), decoded_lines(after), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
