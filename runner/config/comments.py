"""Where the comments of a YAML text stand: a `#` inside a value is none."""

from __future__ import annotations

import re

import yaml

from runner.core.frozen import dataclass

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SIGN = re.compile(r"(?:^|(?<=[ \t]))#")


@dataclass(frozen=True, slots=True)
class Comments:
    """The first signs of comments as (line, column), and for each line that opens a block the block's last line."""

    places: tuple[tuple[int, int], ...]
    blocks: tuple[tuple[int, int], ...]


def comments(text: str) -> Comments:
    """The comments of a text; where it is no YAML, those above the place where it stops."""
    lines = text.split("\n")
    inside: dict[int, list[tuple[int, int]]] = {}
    blocks: list[tuple[int, int]] = []
    end = len(lines)
    try:
        for token in yaml.scan(text, Loader=_LOADER):
            if not isinstance(token, yaml.ScalarToken):
                continue
            first, last = token.start_mark, token.end_mark
            if token.style in ("|", ">"):
                closing = last.line - 1 if last.column == 0 else last.line
                blocks.append((first.line + 1, closing + 1))
                for row in range(first.line + 1, closing + 1):
                    inside.setdefault(row, []).append((0, len(lines[row])))
                continue
            for row in range(first.line, last.line + 1):
                start = first.column if row == first.line else 0
                stop = last.column if row == last.line else len(lines[row])
                inside.setdefault(row, []).append((start, stop))
    except yaml.MarkedYAMLError as error:
        end = error.problem_mark.line if error.problem_mark else 0
    places = []
    for row, line in enumerate(lines[:end]):
        for found in _SIGN.finditer(line):
            if not any(start <= found.start() < stop for start, stop in inside.get(row, ())):
                places.append((row + 1, found.start() + 1))
                break
    return Comments(tuple(places), tuple(blocks))
