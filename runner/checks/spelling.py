"""Paths in words, and names that are most likely misspelt."""

from __future__ import annotations

from collections.abc import Sequence

ELEMENT = "[]"
_SHORTEST = 3


def say_part(part: str) -> str:
    """A part of a path as it is written behind another."""
    if part.isdigit():
        return f"[{part}]"
    return f".{part}" if part.isidentifier() else f'["{part}"]'


def say_path(path: Sequence[str]) -> str:
    """A path inside a value: `'address.city'`, `an element of 'lines'`, "" for the whole."""
    if not path:
        return ""
    if path[-1] == ELEMENT:
        inner = say_path(path[:-1])
        return f"an element of {inner}" if inner else "an element"
    spelled = "".join(ELEMENT if part == ELEMENT else say_part(part) for part in path)
    return f"'{spelled.removeprefix('.')}'"


def is_slip(name: str, other: str) -> bool:
    """Whether two names differ by one slip of the keyboard or by their style, and not as `line_1` and `line_2` do."""
    if _folded(name) == _folded(other):
        return name != other
    if min(len(name), len(other)) < _SHORTEST or name.rstrip("s") == other.rstrip("s"):
        return False
    changed = set(name) ^ set(other)
    return not any(letter.isdigit() for letter in changed) and _is_one_edit(name, other)


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _is_one_edit(name: str, other: str) -> bool:
    """One letter more, less or (in longer names) different, or two neighbours exchanged."""
    start = next((i for i, (a, b) in enumerate(zip(name, other, strict=False)) if a != b), min(len(name), len(other)))
    left, right = name[start:], other[start:]
    is_swapped = len(left) > 1 and left[:2] == right[1::-1] and left[2:] == right[2:]
    is_changed = len(name) > _SHORTEST and left[1:] == right[1:]
    return is_swapped or is_changed or left[1:] == right or left == right[1:]
