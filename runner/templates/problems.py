"""Errors of templates in their author's words, at their place in the author's file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jinja2.exceptions import TemplateSyntaxError

from runner.core.errors import RunnerError
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Origin, Span
from runner.templates.bounds import LimitReached
from runner.templates.places import Place
from runner.templates.values import Missing, MissingRead, Refused

_SPOKEN = {
    "end of print statement": "}}",
    "end of statement block": "%}",
    "begin of print statement": "{{",
    "begin of statement block": "{%",
}
_TYPE_NAMES = {
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "NoneType": "null",
    "dict": "a mapping",
    "list": "a list",
    "tuple": "a list",
}
_NAMES_SHOWN = 12
_RAW_FIX = "braces that are meant as text stand between {% raw %} and {% endraw %}"


class _Located(RunnerError):
    @property
    def problem(self) -> Problem:
        """The first problem; `problems` has all."""
        return self.problems[0]

    def __str__(self) -> str:
        return f"{self.problem.span}: {self.problem.message}"


class TemplateProblem(_Located):
    """A template or expression that cannot be used, found before anything is rendered."""


class RenderFailed(_Located):
    """A template or expression that did not work out for these values."""

    exit_code = 1


def sources_of(text: str, origin: Origin) -> dict[str, str]:
    """The text by its file's name, if it is a whole file; what stands inside a YAML file is not."""
    return {origin.file: text} if origin == Origin(origin.file) else {}


def describe_syntax(error: TemplateSyntaxError, text: str, origin: Origin, *, is_expression: bool = False) -> Problem:
    """A syntax error of Jinja's at its exact place."""
    place = error.lineno if isinstance(error.lineno, Place) else Place.at(error.lineno or 1, 1)
    message = error.message or "the template cannot be read"
    for theirs, ours in _SPOKEN.items():
        message = message.replace(theirs, ours)
    if "end of template" in message:
        place, opened = _last_opened(text, place)
        if opened:
            return Problem("template-syntax", f"'{opened}' is never closed", _span(origin, place), fix=_RAW_FIX)
        message = "the expression ends too early"
    message = re.sub(r"^unexpected char (.+) at \d+$", r"unexpected character \1", message)
    message = re.sub(r"^expected token '(.+)', got '(.*)'$", r"expected '\1' and found '\2'", message)
    message = re.sub(r"^Expected an expression, got '(.*)'$", r"an expression is missing before '\1'", message)
    fix = "" if is_expression or "is never closed" in message or "there is no tag" in message else _RAW_FIX
    if is_expression and (match := re.search(r"unexpected character '([&|!])'", message)):
        fix = {"&": "and", "|": "or", "!": "not"}[match[1]]
    return Problem("template-syntax", message[:1].lower() + message[1:], _span(origin, place), fix=fix)


def _last_opened(text: str, place: Place) -> tuple[Place, str]:
    """The last `{{` or `{%` up to a place; an expression has none."""
    lines = text.split("\n")[: int(place)]
    for number in range(len(lines), 0, -1):
        column = max(lines[number - 1].rfind("{{"), lines[number - 1].rfind("{%"))
        if column >= 0:
            opened = lines[number - 1][column : column + 2]
            return Place.at(number, column + 1, opened), opened
    return place, ""


def _span(origin: Origin, place: Place) -> Span:
    return origin.span(int(place), place.column, place.length)


def describe_failure(error: Exception, span: Span) -> Problem:
    """What went wrong in a rendering."""
    match error:
        case MissingRead():
            return _describe_missing(error.value, span)
        case LimitReached():
            return Problem("template-limit", str(error), span)
        case Refused():
            return Problem("render-failed", str(error), span, expected=error.expected, fix=error.fix)
        case RecursionError():
            return Problem("template-limit", "the template calls or includes itself too deeply", span)
        case MemoryError():
            return Problem("template-limit", "the template needs more memory than there is", span)
        case _:
            return Problem("render-failed", _reword(error), span)


def _describe_missing(value: Missing, span: Span) -> Problem:
    expected, closest = "", ""
    if isinstance(value.holder, Mapping):
        names = [str(name) for name in value.holder]
        shown = listed(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
        expected = f"one of: {shown}" if names else "nothing: the mapping is empty"
        closest = nearest(value.hole.rpartition(".")[2], names)
    return Problem("undefined-value", value.describe(), span, expected=expected, nearest=closest)


def _reword(error: Exception) -> str:
    compared = re.match(r"'(.+?)' not supported between instances of '(\w+)' and '(\w+)'", str(error))
    if compared:
        sign, left, right = compared.groups()
        return f"'{sign}' cannot compare {_TYPE_NAMES.get(left, left)} with {_TYPE_NAMES.get(right, right)}"
    contained = re.match(r"argument of type '(\w+)' is not iterable", str(error))
    if contained:
        return f"'in' cannot look into {_TYPE_NAMES.get(contained[1], contained[1])}"
    return f"the template cannot be rendered: {error}"
