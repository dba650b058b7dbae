"""Answer text → JSON value, by rules that are the same on every machine.

Taken: JSON; JSON after a byte order mark; the one fenced block (```` ```json ````, else without a word) of a text;
the one object or list with prose around it.
Refused: nothing at all, two JSON texts, NaN and infinity (also 1e400), integers beyond 64 bits, a property twice, a
trailing comma, half a character (a lone surrogate), more than 64 levels, more than 16 MB, and whatever is not JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter

import orjson

from runner.core.canonical import MAX_DEPTH, Json

MAX_BYTES = 16 * 1024 * 1024
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1

# A string that is never closed reaches to the end: so each scan stays linear, whatever the text.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_TOKEN = re.compile(rf"{_STRING.pattern}|[{{}}\[\]]", re.DOTALL)
_LARGE = re.compile(r"(?<![\w.])([0-9]+)(?:\.[0-9]*+)?(?:[eE]\+?([0-9]++))?")
_OPENING = re.compile(r"[{\[]")
# What begins like this was meant as JSON; in prose, `{name}` and `[as asked]` were not.
_LIKE_JSON = re.compile(r'\{\s*["}]|\[\s*(?:[\[{"\d\]-]|true\b|false\b|null\b)')
_FENCE = re.compile(
    r"^[ \t]*```+[ \t]*(?P<word>[\w.+-]*)[ \t]*\n(?P<body>.*?)(?:^[ \t]*```+[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_DIGITS_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_MANY_DIGITS = b"0" * 19  # no shorter integer is beyond 64 bits
_MOST_OPENINGS = 64
_MOST_UNCLOSED = 4


class NotParsed(ValueError):
    """A text that holds no JSON value, or none that can be taken; `reason` is one of ours, in a few words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def parse_json(text: str) -> Json:
    """The one JSON value that an answer holds. Raises NotParsed."""
    if len(text) > MAX_BYTES:
        raise NotParsed("more than 16 MB")
    stripped = text.removeprefix("\ufeff").strip()
    if not stripped:
        raise NotParsed("an empty answer")
    try:
        return parse_strictly(stripped)
    except NotParsed as whole:
        if stripped[0] in '{["' and _end_of_value(stripped, 0) == len(stripped):
            raise
        block = _fenced(stripped)
        return _inside_prose(stripped, whole) if block is None else parse_strictly(block.strip())


def parse_strictly(text: str) -> Json:
    """A text that is one JSON value and nothing else. Raises NotParsed."""
    if len(text) > MAX_BYTES or (len(text) > MAX_BYTES // 4 and len(text.encode("utf-8", "replace")) > MAX_BYTES):
        raise NotParsed("more than 16 MB")
    bare = _without_strings(text)
    _refuse_depth(bare)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NotParsed(_reason(text)) from None
    if _count_members(value) < bare.count(b":") or _MANY_DIGITS in bare.translate(_DIGITS_TO_ZEROS):
        _read_slowly(text)
    return value


def _without_strings(text: str) -> bytes:
    """What stands outside of strings; exact for JSON, and for other texts something no longer than they are."""
    parts = text.replace("\\\\", "").replace('\\"', "").split('"')
    return "".join(parts[::2]).encode("utf-8", "replace")


def _refuse_depth(bare: bytes) -> None:
    """Peels the brackets from the inside, before a parser that recurses sees the text."""
    if bare.count(b"{") + bare.count(b"[") <= MAX_DEPTH:
        return
    brackets, levels = bare.translate(None, _ALL_BUT_BRACKETS), 0
    while levels <= MAX_DEPTH:
        peeled = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if peeled == brackets:
            break
        brackets, levels = peeled, levels + 1
    if levels > MAX_DEPTH or brackets.count(b"{") + brackets.count(b"[") > MAX_DEPTH:
        raise NotParsed(f"nested more than {MAX_DEPTH} deep")


def _count_members(value: Json) -> int:
    members = 0
    if isinstance(value, dict):
        members, value = len(value), value.values()
    elif not isinstance(value, list):
        return 0
    for inner in value:
        if type(inner) is dict or type(inner) is list:  # far quicker than isinstance, and orjson makes no others
            members += _count_members(inner)
    return members


def _read_slowly(text: str) -> None:
    """Reads once more, with a look at every member and integer; orjson keeps the last of two equal members."""
    json.loads(text, object_pairs_hook=_once_each, parse_int=_within_64_bits)


def _once_each(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise NotParsed(f"the property '{_short(twice)}' twice")
    return members


def _within_64_bits(digits: str) -> int:
    if len(digits) > 21 or not _MIN_INT <= int(digits) <= _MAX_INT:
        raise NotParsed("an integer beyond 64 bits")
    return int(digits)


def _short(name: str) -> str:
    safe = "".join(char if char.isprintable() else "�" for char in name[:41])
    return safe if len(safe) <= 40 else safe[:40] + "…"


def _reason(text: str) -> str:
    """Why orjson refused it. Ours, because the reasons of libraries change with their versions."""
    bare = _STRING.sub('""', text)
    if re.search(r"\bNaN\b|\bInfinity\b", bare):
        return "NaN or Infinity, which is no JSON number"
    if re.search(r",\s*[}\]]", bare):
        return "a trailing comma"
    if any(len(digits) > 308 or len(exponent) > 2 for digits, exponent in _LARGE.findall(bare)):
        return "a number that is too large"
    if _has_half_character(text):
        return "half a character (a lone surrogate)"
    opened = sum(map(bare.count, "{[")) - sum(map(bare.count, "}]"))
    if opened > 0:
        return "an unfinished JSON text"
    return "not JSON"


def _has_half_character(text: str) -> bool:
    for string in _STRING.findall(text):
        try:
            json.loads(string, strict=False).encode("utf-8")
        except UnicodeEncodeError:
            return True
        except ValueError:
            continue
    return False


def _fenced(text: str) -> str | None:
    """The inside of the one fenced block that can be meant; None without any."""
    blocks = [(match["word"].casefold(), match["body"]) for match in _FENCE.finditer(text)]
    for word in ("json", ""):
        meant = [body for found, body in blocks if found == word]
        if len(meant) > 1:
            raise NotParsed("two JSON texts")
        if meant:
            return meant[0]
    return None


def _inside_prose(text: str, whole: NotParsed) -> Json:
    """The one object or list in the text; `whole` says what was wrong with the text as a whole."""
    found: list[Json] = []
    position = openings = unclosed = 0
    while opening := _OPENING.search(text, position):
        start = opening.start()
        end = _end_of_value(text, start)
        openings += 1
        unclosed += end is None
        if openings > _MOST_OPENINGS or unclosed > _MOST_UNCLOSED:
            raise NotParsed("too many brackets around the JSON text")
        is_meant = _LIKE_JSON.match(text, start) is not None
        if end is None and is_meant:
            raise NotParsed("an unfinished JSON text")
        found += _taken(text[start:end], is_meant=is_meant) if end is not None else []
        if len(found) > 1:
            raise NotParsed("two JSON texts")
        position = start + 1 if end is None else end
    if not found:
        raise whole
    return found[0]


def _taken(part: str, *, is_meant: bool) -> list[Json]:
    try:
        return [parse_strictly(part)]
    except NotParsed:
        if is_meant:
            raise
        return []


def _end_of_value(text: str, start: int) -> int | None:
    """Where the brackets that open at `start` are closed again; None when they never are."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        first = token[0]
        if first in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotParsed(f"nested more than {MAX_DEPTH} deep")
        elif first in "}]":
            depth -= 1
        if depth == 0:
            return token.end()
    return None
