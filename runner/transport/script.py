"""The file of a scripted provider: rules that say which message gets which answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

from runner.core.canonical import Json, NotJson, ensure_json, ordered
from runner.core.errors import FileError
from runner.core.frozen import dataclass
from runner.core.outcome import Failure, FailureKind
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Span

FINISHES: Final = ("stop", "length", "refused")
_KEYS: Final = ("match", "answer", "finish", "fail", "delay_s", "times", "calls")
_FAIL_KEYS: Final = ("status", "message", "kind", "retry_after_s")
_KIND_OF_STATUS: Final[Mapping[int, FailureKind]] = {
    400: FailureKind.BAD_REQUEST,
    401: FailureKind.AUTH,
    403: FailureKind.AUTH,
    404: FailureKind.NOT_FOUND,
    413: FailureKind.BAD_REQUEST,
    422: FailureKind.BAD_REQUEST,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a message that contains `match` gets ("" is in every message); `times` bounds how often, 0 does not."""

    match: str = ""
    answer: str = ""
    finish: str = "stop"
    failure: Failure | None = None
    delay_s: float = 0.0
    times: int = 0
    calls: tuple[Json, ...] = ()


class _Mistake(Exception):
    """What is wrong with one rule, before its place is known."""

    def __init__(self, message: str, *, expected: str = "", near: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.near = near


def read_script(data: bytes, file: str = "the script") -> tuple[Rule, ...]:
    """The rules of a JSON list, of `{"rules": [...]}`, or of JSON lines. Raises FileError with every mistake."""
    rules: list[Rule] = []
    problems: list[Problem] = []
    for line, value in _values(data, file):
        try:
            rules.append(_rule(value))
        except _Mistake as mistake:
            problems.append(
                Problem(
                    "bad-script",
                    f"rule {len(rules) + len(problems) + 1} {mistake.message}",
                    Span(file, line, 1),
                    expected=mistake.expected,
                    nearest=mistake.near,
                )
            )
    if problems:
        raise FileError(problems, {file: data.decode("utf-8", "replace")})
    return tuple(rules)


def _values(data: bytes, file: str) -> list[tuple[int, Json]]:
    """The rules as JSON values, each with its line (1 where the file is one JSON value)."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(Problem("bad-script", f"{file} is not text in UTF-8", Span(file, 1, 1))) from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    whole = _parse(text)
    if isinstance(whole, dict) and isinstance(whole.get("rules"), list):
        whole = whole["rules"]
    if isinstance(whole, list):
        return [(1, value) for value in whole]
    values = [(number, _parse(line)) for number, line in lines]
    broken = [
        Problem("bad-script", "this line is not a rule in JSON", Span(file, number, 1), expected='{"answer": "…"}')
        for number, value in values
        if value is _BROKEN
    ]
    if broken:
        raise FileError(broken, {file: text})
    return values


_BROKEN: Final = object()


def _parse(text: str) -> Json:
    try:
        value = json.loads(text)
        ensure_json(value)
    except (ValueError, RecursionError, NotJson):
        return _BROKEN
    return value


def _rule(value: Json) -> Rule:
    if not isinstance(value, dict):
        raise _Mistake("is not a mapping", expected='{"match": "…", "answer": "…"}')
    _refuse_unknown(value, _KEYS)
    if ("answer" in value or "calls" in value) == ("fail" in value):
        raise _Mistake("needs either 'answer' or 'fail'")
    return Rule(
        match=_text(value, "match"),
        answer=_answer(value.get("answer", "")),
        finish=_finish(value),
        failure=_failure(value["fail"]) if "fail" in value else None,
        delay_s=_seconds(value, "delay_s"),
        times=_times(value),
        calls=_calls(value),
    )


def _refuse_unknown(value: Json, known: tuple[str, ...]) -> None:
    for key in value:
        if key not in known:
            raise _Mistake(f"has the unknown key '{key}'", expected=listed(known), near=nearest(key, known))


def _answer(value: Json) -> str:
    return value if isinstance(value, str) else ordered(value).decode()


def _text(value: Json, key: str) -> str:
    text = value.get(key, "")
    if not isinstance(text, str):
        raise _Mistake(f"has a '{key}' that is not text")
    return text


def _finish(value: Json) -> str:
    finish = value.get("finish", "stop")
    if finish not in FINISHES:
        raise _Mistake("has an unknown 'finish'", expected=listed(FINISHES), near=nearest(str(finish), FINISHES))
    return str(finish)


def _seconds(value: Json, key: str) -> float:
    seconds = value.get(key, 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise _Mistake(f"has a '{key}' that is not a number of seconds")
    return float(seconds)


def _calls(value: Json) -> tuple[Json, ...]:
    calls = value.get("calls", [])
    if not isinstance(calls, list) or any(not isinstance(one, dict) or "tool" not in one for one in calls):
        expected = '[{"tool": "lookup", "arguments": {…}}]'
        raise _Mistake("has 'calls' that are no list of calls", expected=expected)
    return tuple(calls)


def _times(value: Json) -> int:
    times = value.get("times", 0)
    if isinstance(times, bool) or not isinstance(times, int) or times < 0:
        raise _Mistake("has a 'times' that is not a whole number")
    return times


def _failure(value: Json) -> Failure:
    if not isinstance(value, dict):
        raise _Mistake("has a 'fail' that is not a mapping", expected='{"status": 503}')
    _refuse_unknown(value, _FAIL_KEYS)
    status = value.get("status")
    if isinstance(status, bool) or not isinstance(status, int | None):
        raise _Mistake("has a 'status' that is not a number")
    kinds = tuple(kind.value for kind in FailureKind)
    kind = value.get("kind", _KIND_OF_STATUS.get(status or 0, FailureKind.TRANSIENT).value)
    if kind not in kinds:
        raise _Mistake("has an unknown 'kind'", expected=listed(kinds), near=nearest(str(kind), kinds))
    return Failure(
        FailureKind(kind),
        _text(value, "message") or f"the script answers {status or kind}",
        retry_after_s=_seconds(value, "retry_after_s") if "retry_after_s" in value else None,
        status=status,
    )
