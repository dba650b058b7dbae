"""Models against what steps ask of them."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalog.thinking import thinking_for
from runner.checks.context import CheckContext
from runner.core.model import Route
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.workflow import Step
from runner.dialects.batch import offers_batch

SAMPLING = ("temperature", "top_p", "seed", "stop", "max_output_tokens")


def check_models(context: CheckContext) -> Iterator[Problem]:
    """Thinking levels, settings that the model refuses, options that the provider does not know."""
    asked = context.linked.workflow.asked
    for name, route in context.routes.items():
        step = asked[name]
        level = thinking_for(route, step.thinking, step.at("thinking"))
        if isinstance(level, Problem):
            yield level
        yield from _kind(step, route)
        yield from _refused(step, route, context.dialect_of(route).lacks)
        if isinstance(level, str) and level != "none":
            yield from _refused_while_thinking(step, route, level)
        yield from _options(step, route, context.dialect_of(route).options)
        yield from _transport(step, route)


def model_notes(context: CheckContext) -> Iterator[Problem]:
    """What will change without a word: names that move on to other models, and models with an end in sight."""
    asked = context.linked.workflow.asked
    for name, route in context.routes.items():
        span = asked[name].at("model")
        if route.model.endswith("-latest"):
            yield Problem(
                "moving-name",
                f"{route.name} is a moving name: its vendor may answer with another model under it",
                span,
                fix="'run --update-lock' notes the version that answers, and 'run --locked' holds it",
                severity="note",
            )
        if route.facts.retired:
            yield Problem(
                "model-end",
                f"{route.name} is switched off by its vendor on {route.facts.retired}",
                span,
                fix=f"{route.provider.name}/{route.facts.replacement}" if route.facts.replacement else "",
                severity="note",
            )


def _kind(step: Step, route: Route) -> Iterator[Problem]:
    """A model of words is asked for a vector, or one of vectors for words; of many models nobody knows it."""
    if step.is_embedding and route.facts.gives == "text":
        message = f"step '{step.name}' wants a vector, and {route.name} answers in words"
        yield Problem("cannot-embed", message, step.at("model"), expected="an embedding model")
    if not step.is_embedding and route.facts.gives == "vector":
        message = f"step '{step.name}' asks a question, and {route.name} gives vectors only"
        yield Problem("only-embeds", message, step.at("model"), fix="embed: TEXT in place of the prompt")


def _refused(step: Step, route: Route, lacks: frozenset[str]) -> Iterator[Problem]:
    for key in SAMPLING:
        value = getattr(step, key)
        if (key in route.facts.refuses or key in lacks) and value is not None and value != ():
            yield Problem(
                "refused-setting",
                f"step '{step.name}' sets {key}, which {route.name} does not take",
                step.at(key),
                fix=f"leave {key} out",
            )
    if step.tools and ("tools" in lacks or "tools" in route.facts.refuses):
        yield Problem(
            "refused-setting",
            f"step '{step.name}' has tools, which {route.name} does not take",
            step.at("tools"),
            fix="choose a model that takes tools, or run the tool as a step of its own with call",
        )
    cap = route.facts.max_output_tokens
    if cap is not None and step.max_output_tokens is not None and step.max_output_tokens > cap:
        yield Problem(
            "over-the-cap",
            f"step '{step.name}' asks for {step.max_output_tokens} output tokens, more than {route.name} can give",
            step.at("max_output_tokens"),
            expected=f"at most {cap}",
            fix=f"max_output_tokens: {cap}",
        )


def _refused_while_thinking(step: Step, route: Route, level: str) -> Iterator[Problem]:
    """Settings that the model takes only where it does not think; 1, which is its own value, is taken everywhere."""
    for key in route.facts.refuses_thinking:
        value = getattr(step, key)
        if value is not None and value != 1 and key not in route.facts.refuses:
            yield Problem(
                "refused-setting",
                f"step '{step.name}' sets {key}, which {route.name} takes at the thinking level none only, not at {level}",
                step.at(key),
                fix=f"leave {key} out, or set thinking: none",
            )


def _transport(step: Step, route: Route) -> Iterator[Problem]:
    """A step that says itself that it is asked in batches. What `defaults` says is meant for those that can be."""
    if step.transport != "batch" or "transport" not in step.own:
        return
    if not offers_batch(route.provider):
        yield Problem(
            "no-batch",
            f"step '{step.name}' is asked in batches, and '{route.provider.name}' has no batch interface that is known here",
            step.at("transport"),
            expected="a model of gemini, openai, openai-chat, or of a provider of your own that speaks like one of them",
            fix="leave transport out",
        )
    elif step.tools:
        yield Problem(
            "no-batch",
            f"step '{step.name}' is asked in batches, and a conversation with tools takes its turns one by one",
            step.at("transport"),
            fix="leave transport or tools out",
        )
    elif step.cache.use == "off":
        yield Problem(
            "no-batch",
            f"step '{step.name}' is asked in batches, whose answers come by the store, and its cache is off",
            step.at("transport"),
            fix="cache: {use: refresh}",
        )


def _options(step: Step, route: Route, known: frozenset[str]) -> Iterator[Problem]:
    for name in step.options:
        if name not in known:
            near = nearest(name, known)
            yield Problem(
                "unknown-option",
                f"step '{step.name}' passes option '{name}', which the {route.provider.dialect} protocol does not have",
                step.at(f"name of options.{name}"),
                expected=listed(known) if known else "no options",
                nearest=near,
                edits=renaming(step.at(f"name of options.{name}"), name, known),
            )
