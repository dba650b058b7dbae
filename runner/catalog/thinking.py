"""Which thinking level a step sends."""

from __future__ import annotations

from runner.core.model import THINKING_LEVELS, Route, ThinkingLevel
from runner.core.problem import Problem, nearest
from runner.core.span import Span


def thinking_for(route: Route, step_thinking: str | None, span: Span | None) -> ThinkingLevel | Problem | None:
    """The level to send, None for a model without the control; a level that the model lacks is a Problem at `span`.

    Unset (or `default`) is the alias's level, else the catalogue's default, which is sent explicitly.
    """
    levels = route.facts.thinking_levels
    if step_thinking is None or step_thinking == "default":
        return route.thinking or route.facts.default_thinking
    asked = next((level for level in THINKING_LEVELS if level == step_thinking), None)
    if asked is None:
        return Problem(
            "thinking-level",
            f"'{step_thinking}' is no thinking level",
            span,
            expected=f"one of {', '.join(levels or THINKING_LEVELS)}, default",
            nearest=nearest(step_thinking, levels or THINKING_LEVELS),
        )
    if not levels:
        return _without_control(route, span)
    if asked not in levels:
        return Problem(
            "thinking-level",
            f"{route.name} has no thinking level '{asked}'",
            span,
            expected=f"one of {', '.join(levels)}",
            nearest=min(levels, key=lambda level: abs(_rank(level) - _rank(asked))),
        )
    return asked


def _rank(level: ThinkingLevel) -> int:
    return THINKING_LEVELS.index(level)


def _without_control(route: Route, span: Span | None) -> Problem:
    facts = route.facts
    is_known = facts.is_listed or facts.title
    message = (
        f"{route.name} has no thinking levels" if is_known else f"the thinking levels of {route.name} are not known"
    )
    notes = (("note", f"{facts.title} {facts.note}"),) if facts.note else ()
    return Problem("thinking-level", message, span, fix="leave out thinking for this model", notes=notes)
