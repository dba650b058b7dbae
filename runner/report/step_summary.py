"""A page of Markdown for the summary of a CI step. Pure; all that comes from a model stands in fences or is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from runner.core.frozen import dataclass
from runner.core.harmless import safe

MOST_BYTES = 900_000
"""The service takes 1 MiB for a step and shows nothing of a larger page."""
MOST_OF_ONE = 20_000
_FENCES = re.compile("`{3,}")
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:@/])")


@dataclass(frozen=True, slots=True)
class Failed:
    """A case that is not as expected: its id, one line, and the whole story."""

    case: str
    brief: str
    story: str


def step_summary(title: str, closing: str, failed: Sequence[Failed], table: Sequence[Sequence[str]]) -> str:
    """The verdict, the failures, the cells. What does not fit is counted."""
    head = [f"## {_inline(title)}", "", _inline(closing), ""]
    tail = [*_rows(table), ""] if table else []
    room = MOST_BYTES - len("\n".join([*head, *tail]).encode()) - 200
    parts: list[str] = []
    for number, one in enumerate(failed):
        part = _failure(one)
        room -= len(part.encode()) + 1
        if room < 0:
            left = len(failed) - number
            parts.append(
                f"**Cut here: {left} more {'failure is' if left == 1 else 'failures are'} in the log of this step.**\n"
            )
            break
        parts.append(part)
    return "\n".join([*head, *parts, *tail])


def _failure(one: Failed) -> str:
    story = safe(one.story, is_ci=True)
    if len(story) > MOST_OF_ONE:
        story = f"{story[:MOST_OF_ONE]}\n… cut: {len(story) - MOST_OF_ONE:,} more characters"
    fence = "`" * max([3, *(len(found) + 1 for found in _FENCES.findall(story))])
    return f"### {_inline(one.case)}\n\n{_inline(one.brief)}\n\n{fence}text\n{story}\n{fence}\n"


def _rows(table: Sequence[Sequence[str]]) -> list[str]:
    head, *rows = table
    lines = [_row(head), _row(["---"] * len(head), is_plain=True)]
    return lines + [_row(row) for row in rows]


def _row(cells: Sequence[str], *, is_plain: bool = False) -> str:
    return f"| {' | '.join(cell if is_plain else _inline(cell) for cell in cells)} |"


def _inline(text: str) -> str:
    """One line of plain text: nothing in it is Markdown, HTML, a link, a mention or a command."""
    line = " ".join(safe(text, is_ci=True).split())[:1000]
    return _MARKS.sub(r"\\\1", html.escape(line, quote=False)).replace("\\#\\#\\[", "\\#\\# \\[")
