"""Is the answer good? A pure decision: the output, another question, or a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import orjson

from runner.core.call import Call, Message
from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import Failure, FailureKind, Violation
from runner.core.response import Finish, Response
from runner.output.parse import NotParsed, parse_json
from runner.output.validate import Validator

# The wording of a repair enters the key of the next call: changing it asks again, and is a major version.
REPAIR_VERSION = 1
MOST_TOLD = 10
_MOST_SCHEMA_BYTES = 20_000
_POINTER_WIDTH = 200


class CannotEvaluate(Exception):
    """An `ensure` line has no truth on this output; `message` says why, in the author's words."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class EnsureLine:
    """The author's line, and whether it holds for an output. `holds` may raise CannotEvaluate."""

    text: str
    holds: Callable[[Json], bool]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a good output is. Without a validator the output is the answer's text.

    `undo` maps an answer to a lowered schema back to the author's; it takes any JSON value.
    """

    validator: Validator | None
    ensure: tuple[EnsureLine, ...] = ()
    undo: Callable[[Json], Json] | None = None


@dataclass(frozen=True, slots=True)
class Good:
    output: Json


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask again, with what was wrong."""

    call: Call
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class UseTools:
    """Run what the model called, then ask it again with the results."""

    response: Response


@dataclass(frozen=True, slots=True)
class Failed:
    failure: Failure


Verdict: TypeAlias = Good | Ask | UseTools | Failed


def judge(call: Call, response: Response, rules: Rules, *, repairs_left: int) -> Verdict:
    """Complete, not refused, parses, fits the schema, every `ensure` line holds: in this order."""
    if response.finish is Finish.TOOLS and call.tools:
        return UseTools(response)
    unfinished = _unfinished(response)
    if unfinished is not None:
        return Failed(unfinished)
    output, violations = _read(response.text, rules)
    if not violations:
        try:
            violations = _broken_lines(output, rules.ensure)
        except CannotEvaluate as problem:
            return Failed(Failure(FailureKind.RENDER, problem.message))
    if not violations:
        return Good(output)
    if repairs_left > 0:
        return Ask(repaired(call, response.text, violations, rules.validator), violations)
    return Failed(Failure(FailureKind.INVALID, summary(violations), violations))


def _unfinished(response: Response) -> Failure | None:
    why = f" ({response.detail})" if response.detail else ""
    match response.finish:
        case Finish.COMPLETE:
            return None
        case Finish.CUT:
            return Failure(FailureKind.CUT, f"the answer was cut off{why}")
        case Finish.REFUSED:
            return Failure(FailureKind.REFUSED, f"the model declined to answer{why}")
    return Failure(FailureKind.INVALID, f"the answer ended for a reason that is not known{why}")


def _read(text: str, rules: Rules) -> tuple[Json, tuple[Violation, ...]]:
    """The output, and what is wrong with it."""
    if rules.validator is None:
        return text, _text_violations(text)
    try:
        value = parse_json(text)
    except NotParsed as problem:
        return None, (Violation("", "json", "one JSON value and nothing else", problem.reason),)
    output = rules.undo(value) if rules.undo else value
    return output, () if rules.validator.fits(output) else rules.validator.violations(output)


def _text_violations(text: str) -> tuple[Violation, ...]:
    if not text.strip():
        return (Violation("", "text", "a text", "an empty answer"),)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return (Violation("", "text", "a text of whole characters", "half a character (a lone surrogate)"),)
    return ()


def _broken_lines(output: Json, lines: Sequence[EnsureLine]) -> tuple[Violation, ...]:
    broken = [Violation("", "ensure", line.text) for line in lines if not line.holds(output)]
    return tuple(sorted(broken, key=lambda violation: violation.expected))


def summary(violations: Sequence[Violation]) -> str:
    """What is wrong with an answer, in one line."""
    first = violations[0]
    place = f"at {first.pointer} " if first.pointer else ""
    if first.keyword == "ensure":
        text = f"the answer does not hold: {first.expected}"
    elif first.keyword in ("json", "text"):
        text = f"the answer is no {'JSON value' if first.keyword == 'json' else 'text'}: {first.found}"
    else:
        text = f"the answer does not fit its schema: {place}expected {first.expected}, found {first.found}"
    more = len(violations) - 1
    return text + (f" (and {more} more)" if more else "")


def repaired(call: Call, answer: str, violations: Sequence[Violation], validator: Validator | None) -> Call:
    """The call with two more turns: the answer, and what was wrong with it."""
    said = answer if answer.strip() else "(empty)"
    turns = (Message("assistant", said), Message("user", repair_wording(call, violations, validator)))
    return replace(call, messages=call.messages + turns)


def repair_wording(call: Call, violations: Sequence[Violation], validator: Validator | None) -> str:
    """Version 1. A schema that was not sent with the call is spelt out, so that the text says enough to mend."""
    lines = list(dict.fromkeys(_told(violation) for violation in violations))
    more = len(lines) - MOST_TOLD
    parts = ["That answer cannot be used. What was expected:", *lines[:MOST_TOLD]]
    if more > 0:
        parts.append(f"- and {more} more of this kind")
    if validator is not None and call.schema is None:
        schema = orjson.dumps(validator.schema).decode()
        if len(schema) <= _MOST_SCHEMA_BYTES:
            parts += ["The answer must fit this JSON Schema:", schema]
    what = "text" if validator is None else "JSON value"
    parts.append(f"Answer again with the whole corrected {what} only, without any explanation.")
    return "\n".join(parts)


def _told(violation: Violation) -> str:
    pointer = violation.pointer[:_POINTER_WIDTH]
    if violation.keyword == "ensure":
        return f"- this must hold: {violation.expected}"
    if violation.keyword in ("json", "text"):
        return f"- {violation.expected} (it was: {violation.found})"
    return f"- {pointer or '(the whole answer)'}: {violation.expected}"
