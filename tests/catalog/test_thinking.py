from __future__ import annotations

import pytest

from runner.catalog.resolve import Catalog, thinking_for
from runner.core.model import ModelFacts, Provider, Route, ThinkingLevel
from runner.core.problem import Problem, render
from runner.core.span import Span

HERE = Span("w.yaml", 4, 15, 4)


def route_to(name: str, catalog: Catalog, thinking: ThinkingLevel | None = None) -> Route:
    owner, _, model = name.partition("/")
    facts = catalog.models.get((owner, model)) or ModelFacts(owner, model, is_listed=False)
    provider = catalog.providers.get(owner) or Provider(owner, "gemini")
    return Route(name, provider, model, facts, thinking)


@pytest.mark.parametrize("unset", [None, "default"])
def test_an_unset_level_is_the_aliass_else_the_catalogues(catalog: Catalog, unset: str | None) -> None:
    assert thinking_for(route_to("gemini/gemini-3.5-flash", catalog), unset, HERE) == "medium"
    assert thinking_for(route_to("gemini/gemini-3.5-flash", catalog, "low"), unset, HERE) == "low"
    assert thinking_for(route_to("local/smollm2-135m", catalog), unset, HERE) is None


def test_a_step_has_the_last_word(catalog: Catalog) -> None:
    assert thinking_for(route_to("gemini/gemini-3.5-flash", catalog, "low"), "high", HERE) == "high"


@pytest.mark.parametrize(
    ("model", "level", "expected"),
    [
        (
            "gemini/gemini-3.1-flash-lite",
            "none",
            (
                "gemini/gemini-3.1-flash-lite has no thinking level 'none'\n"
                "  expected: one of minimal, low, medium, high\n  nearest:  minimal"
            ),
        ),
        (
            "gemini/gemini-3.1-pro-preview",
            "max",
            (
                "gemini/gemini-3.1-pro-preview has no thinking level 'max'\n"
                "  expected: one of low, medium, high\n  nearest:  high"
            ),
        ),
        (
            "openai-chat/gpt-5.4",
            "minimal",
            (
                "openai-chat/gpt-5.4 has no thinking level 'minimal'\n"
                "  expected: one of none, low, medium, high, max\n  nearest:  none"
            ),
        ),
        (
            "gemini/gemini-3.1-flash-lite",
            "hihg",
            "'hihg' is no thinking level\n  expected: one of minimal, low, medium, high, default\n  nearest:  high",
        ),
        (
            "local/smollm2-135m",
            "xx",
            "'xx' is no thinking level\n  expected: one of none, minimal, low, medium, high, max, default",
        ),
        (
            "openai-chat/gpt-5.3-chat-latest",
            "low",
            "openai-chat/gpt-5.3-chat-latest has no thinking levels\n  fix:      leave out thinking for this model",
        ),
        (
            "gemini/gemini-2.5-pro",
            "none",
            (
                "gemini/gemini-2.5-pro has no thinking level 'none'\n"
                "  expected: one of minimal, low, medium, high, max\n  nearest:  minimal"
            ),
        ),
        (
            "anthropic/claude-opus-5-5",
            "none",
            (
                "anthropic/claude-opus-5-5 has no thinking level 'none'\n"
                "  expected: one of low, medium, high, max\n  nearest:  low"
            ),
        ),
        (
            "gemini/gemini-9",
            "low",
            "the thinking levels of gemini/gemini-9 are not known\n  fix:      leave out thinking for this model",
        ),
    ],
)
def test_a_level_that_the_model_lacks_is_explained(catalog: Catalog, model: str, level: str, expected: str) -> None:
    problem = thinking_for(route_to(model, catalog), level, HERE)
    assert isinstance(problem, Problem)
    assert render(problem, {}) == f"w.yaml:4:15: thinking-level: {expected}"
