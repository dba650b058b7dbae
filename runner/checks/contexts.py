"""Steps that keep at the provider what their questions share: whether it can, and whether they share anything."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.model import Route
from runner.core.problem import Problem
from runner.core.workflow import MessageTemplate, Step, Template
from runner.dialects.contexts import keeps_contexts
from runner.link.parts import LinkedStep
from runner.link.shared import SharedEntries

LEAST_TTL_S = 60
_BY_ITSELF = frozenset({"openai-chat", "openai-responses"})


def check_contexts(context: CheckContext) -> Iterator[Problem]:
    """What a step sets itself; what `defaults` says is meant for those that can."""
    asked = context.linked.workflow.asked
    for name, route in context.routes.items():
        step = asked[name]
        if step.context_cache is None or "context_cache" not in step.own:
            continue
        why = _why_not(step, route)
        if why is not None:
            yield why
        elif context.is_whole:
            yield from _shared(step, context.linked.asked[name], route)


def _why_not(step: Step, route: Route) -> Problem | None:
    assert step.context_cache is not None, "only such steps are looked at"
    if not keeps_contexts(route.provider):
        return _other_provider(step, route)
    if step.for_each is None:
        message = f"step '{step.name}' keeps what its questions share, and without for_each it asks one"
        return _no(step, message, fix="leave context_cache out")
    if step.transport == "batch":
        message = f"step '{step.name}' is asked in batches, whose questions are sent whole"
        return _no(step, message, fix="leave context_cache or transport out")
    if step.tool_choice not in ("", "auto"):
        message = f"step '{step.name}' keeps its tools, and tool_choice says otherwise for its first question only"
        return _no(step, message, fix="leave tool_choice or context_cache out")
    if step.context_cache.ttl_s < LEAST_TTL_S:
        message = f"step '{step.name}' keeps what its questions share for {step.context_cache.ttl_s:g} s only"
        return Problem("no-context-cache", message, step.at("context_cache.ttl"), expected="at least 1m")
    return None


def _other_provider(step: Step, route: Route) -> Problem:
    provider = route.provider.name
    if route.provider.dialect in _BY_ITSELF:
        message = f"step '{step.name}' keeps what its questions share, and '{provider}' is not told what to keep: long beginnings of questions are cached by the service itself"
    else:
        message = f"step '{step.name}' keeps what its questions share, and '{provider}' keeps nothing of them that is known here"
    expected = "a model of gemini or vertex, or of a provider of your own that speaks like one of them"
    return _no(step, message, expected, "leave context_cache out")


def _no(step: Step, message: str, expected: str = "", fix: str = "") -> Problem:
    return Problem("no-context-cache", message, step.at("context_cache"), expected=expected, fix=fix)


def _shared(step: Step, linked: LinkedStep, route: Route) -> Iterator[Problem]:
    found = linked.shared
    assert found is not None, "what a step shares is found where it is to be kept"
    if not found.is_system:
        yield _nothing(
            step, f"the system text of step '{step.name}' changes from item to item, and nothing goes before it"
        )
        return
    messages = min(found.messages, len(step.messages) - 1)
    if step.system is None and not messages and not found.files and not step.tools:
        yield _nothing(step, f"the questions of step '{step.name}' begin with what changes from item to item")
        return
    yield from _size(step, found, messages, route)


def _nothing(step: Step, message: str) -> Problem:
    fix = "put what is the same for all items into system, files or a message of its own before the others"
    return Problem("nothing-to-keep", message, step.at("context_cache"), fix=fix)


def _size(step: Step, found: SharedEntries, messages: int, route: Route) -> Iterator[Problem]:
    """Texts that are known to their last byte: no token is shorter than one."""
    least = route.facts.least_kept_tokens
    entries = step.messages[:messages]
    texts: list[Template] = [step.system] if step.system is not None else []
    texts += [entry.text for entry in entries if isinstance(entry, MessageTemplate)]
    is_known = not found.files and not step.tools and len(texts) == len(entries) + (step.system is not None)
    if least is None or not is_known or any("{" in text.text for text in texts):
        return
    size = sum(len(text.text.encode()) for text in texts)
    if size < least:
        yield Problem(
            "too-small-to-keep",
            f"the questions of step '{step.name}' share {size:,} bytes, which are fewer tokens than {route.name} keeps, so that they are sent with each",
            step.at("context_cache"),
            expected=f"at least {least:,} tokens",
            fix="leave context_cache out",
            severity="warning",
        )
