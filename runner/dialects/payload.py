"""A provider's bytes: read them within bounds, and show pieces of them safely."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import orjson

from runner.core.canonical import MAX_DEPTH, Json, canonical
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.response import Citation

SHOWN_CHARACTERS = 200

_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
# Shapes of keys in use, and whatever follows the words that announce one.
_SECRETS = re.compile(
    r"(\bbearer |\b(?:api[_ -]?)?(?:key|token)(?: provided)?[\"']?\s{0,3}[:=]\s{0,3})[\"']?[\w*./+~-]{6,}=*[\"']?"
    r"|\b(?:sk|pk|rk|gsk|xai)-[\w*.-]{6,}|\bAIza[\w-]{10,}|\bAQ\.[\w-]{10,}|\bya29\.[\w.-]{10,}",
    re.IGNORECASE,
)
WRONG_PATH = "does base_url lead to the API (for most servers it ends in /v1)?"


def read_answer(payload: bytes) -> dict[str, Json]:
    """The JSON object of a 200 payload. Raises CallFailed (bad-answer) when there is none."""
    if not payload.strip():
        raise bad_answer("the answer is empty")
    if is_web_page(payload):
        raise bad_answer(f"the answer is a web page, not JSON: {WRONG_PATH}")
    if not is_shallow(payload):
        raise bad_answer(f"the answer is nested deeper than {MAX_DEPTH} levels")
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise bad_answer(f"the answer is not JSON: {show_bytes(payload)}") from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise bad_answer(f"the answer is JSON, but no object: {show_bytes(payload)}")
    return value


def read_error(body: bytes) -> dict[str, Json]:
    """The JSON object of an error's body, or {}."""
    try:
        return read_answer(body)
    except CallFailed:
        return {}


def scrub_json(payload: bytes, clean: Callable[[dict[str, Json]], None]) -> bytes:
    """The payload with its object cleaned in place, keys sorted; what is no JSON object stays as it is."""
    try:
        value = read_answer(payload)
    except CallFailed:
        return payload
    clean(value)
    return canonical(value)


def bad_answer(message: str) -> CallFailed:
    return CallFailed(Failure(FailureKind.BAD_ANSWER, message, status=200))


def is_web_page(body: bytes) -> bool:
    return body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def is_shallow(payload: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether brackets nest at most `limit` deep, found without a recursive parser."""
    if payload.count(b"{") + payload.count(b"[") <= limit:
        return True
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", payload)):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > limit:
            return False
    return True


def show_bytes(data: bytes) -> str:
    # Enough bytes for the characters that are shown, not a copy of a large body.
    return show(data[: SHOWN_CHARACTERS * 8].decode("utf-8", "backslashreplace"))


def show(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Foreign text for a message: one line, unprintable characters spelled out, keys starred, cut at `limit`."""
    # A plain word such as MAX_TOKENS, which every answer has one of.
    if len(text) <= limit and text.isidentifier() and text.isascii() and (text.isupper() or text.islower()):
        return text
    line = _BLANKS.sub(" ", _SECRETS.sub(r"\1***", text[: limit * 8])).strip()
    line = "".join(char if char.isprintable() else _spell(char) for char in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _spell(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def citations(found: Iterable[tuple[Json, Json]]) -> tuple[Citation, ...]:
    """Addresses and titles, each address once, with the first title that it has."""
    titles: dict[str, str] = {}
    for url, title in found:
        if isinstance(url, str) and url:
            titles[url] = titles.get(url) or text_of(title)
    return tuple(Citation(url, title) for url, title in titles.items())


def text_of(value: Json) -> str:
    return value if isinstance(value, str) else ""


def mapping_of(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def count_of(value: Json) -> int | None:
    """A number of tokens, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
