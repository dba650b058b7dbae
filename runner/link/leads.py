"""What a path begins with: a path that comes from a row starts where the rows lie, any other where it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LEAD = re.compile(r"""\s*\{\{-?\s*([A-Za-z_]\w*)((?:\s*\.\s*\w+|\[\s*(?:"[^"\\]*"|'[^'\\]*'|\d+)\s*\])*)""")
_PART = re.compile(r"""\.\s*(\w+)|\[\s*["']?([^"'\]]*?)["']?\s*\]""")


def lead_of(text: str, elements: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """The reference that a template begins with, () when it begins with text or with anything else.

    `elements` are the names of repeated entries around it, each with the path of its element: a name of theirs is told
    as what it stands for, and leads nowhere where that is no reference.
    """
    found = _LEAD.match(text)
    if found is None:
        return ()
    path = (found[1], *(one or other for one, other in _PART.findall(found[2])))
    for name, inner in reversed(elements):
        if name == path[0]:
            if not inner:
                return ()
            path = (*inner, *path[1:])
    return path
