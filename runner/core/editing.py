"""Edits made in the bytes of files: line ends, byte-order marks and all that stands beside them stay as they are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from runner.core.frozen import dataclass
from runner.core.problem import Edit
from runner.core.span import breaks_of

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Changed:
    """New bytes of one file, and the places (line, column from 1, first and behind the last) of what was written."""

    data: bytes
    written: dict[Edit, tuple[tuple[int, int], tuple[int, int]]]


def apply_edits(data: bytes, edits: Sequence[Edit]) -> Changed | None:
    """The file with all the edits, or None where it does not read what they expect or two of them overlap."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    start = len(_BOM) if text.startswith(_BOM) else 0
    lines = _line_starts(text, start, edits[0].file) if edits else []
    newline = "\r\n" if "\r\n" in text else "\n"
    cuts: list[tuple[int, int, Edit]] = []
    for edit in edits:
        at = lines[edit.line - 1] + edit.column - 1 if 1 <= edit.line <= len(lines) else len(text) + 1
        if text[at : at + len(edit.old)] != edit.old or at > len(text):
            return None
        cuts.append((at, at + len(edit.old), edit))
    cuts.sort(key=lambda cut: cut[:2])
    if any(one[1] > other[0] or one[0] == other[0] for one, other in pairwise(cuts)):
        return None
    parts, done, written = [text[:start]], start, {}
    length = 0
    for first, last, edit in cuts:
        new = edit.new.replace("\n", newline)
        parts += [text[done:first], new]
        length += first - done
        written[edit] = (length, length + len(new))
        length += len(new)
        done = last
    result = "".join([*parts, text[done:]])
    starts = _line_starts(result, start, edits[0].file) if edits else []
    places = {
        edit: (_place(starts, start + first), _place(starts, start + last)) for edit, (first, last) in written.items()
    }
    return Changed(result.encode(), places)


def decoded_lines(data: bytes) -> list[str]:
    """The lines of a file with their ends, for a comparison."""
    return data.decode("utf-8", "replace").splitlines(keepends=True)


def by_file(edits: Iterable[Edit]) -> dict[str, list[Edit]]:
    files: dict[str, list[Edit]] = {}
    for edit in edits:
        files.setdefault(edit.file, []).append(edit)
    return files


def _line_starts(text: str, start: int, file: str) -> list[int]:
    """Where each line begins, as the parser of this kind of file counts them."""
    return [start, *(match.end() for match in breaks_of(file).finditer(text))]


def _place(starts: Sequence[int], at: int) -> tuple[int, int]:
    line = bisect_right(starts, at)
    return line, at - starts[line - 1] + 1
