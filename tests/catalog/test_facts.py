from __future__ import annotations

from datetime import date

import pytest

from runner.catalog.facts import facts_for
from runner.catalog.resolve import Catalog
from runner.core.model import THINKING_LEVELS, LongPrice, ModelFacts, Price, Provider


def test_the_built_in_providers_are_complete(catalog: Catalog) -> None:
    assert {name: (p.dialect, p.base_url, p.key_env, p.is_free) for name, p in catalog.providers.items()} == {
        "gemini": ("gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY", False),
        "openai-chat": ("openai-chat", "https://api.openai.com/v1", "OPENAI_API_KEY", False),
        "local": ("llama", "", "", True),
        "scripted": ("scripted", "", "", True),
    }
    assert all(p.is_builtin and p.identity == p.name for p in catalog.providers.values())
    assert len(catalog.providers["local"].settings["weights_sha256"]) == 64
    assert set(catalog.later) == {"openai", "vertex", "cometapi", "anthropic"}


def test_every_model_is_well_formed(catalog: Catalog) -> None:
    for (owner, model), facts in catalog.models.items():
        assert (facts.provider, facts.model) == (owner, model)
        assert owner in catalog.providers or owner in catalog.later
        assert facts.is_listed
        assert facts.title
        assert facts.context_tokens
        assert set(facts.thinking_levels) <= set(THINKING_LEVELS), model
        assert list(facts.thinking_levels) == sorted(facts.thinking_levels, key=THINKING_LEVELS.index), model
        assert (facts.default_thinking in facts.thinking_levels) is bool(facts.thinking_levels), model
        if facts.retired:
            date.fromisoformat(facts.retired)
        if facts.replacement:
            assert (owner, facts.replacement) in catalog.models
        if facts.price:
            assert date.fromisoformat(facts.price.date) == date(2026, 11, 22)
            assert facts.price.output >= facts.price.input >= (facts.price.cached_input or 0)


def test_the_projects_models_are_as_listed(catalog: Catalog) -> None:
    lite = catalog.models["gemini", "gemini-3.1-flash-lite"]
    assert (lite.thinking_levels, lite.default_thinking) == (("minimal", "low", "medium", "high"), "minimal")
    assert (lite.context_tokens, lite.max_output_tokens) == (1_048_576, 65_536)
    assert lite.price == Price(0.25, 1.5, 0.025, "2026-11-22", batch=0.5)
    pro = catalog.models["gemini", "gemini-3.1-pro-preview"].price
    assert pro is not None
    assert pro.long == LongPrice(200_000, 4.0, 18.0, 0.4)
    chat = catalog.models["openai-chat", "gpt-5.3-chat-latest"]
    assert (chat.thinking_levels, chat.default_thinking, chat.retired) == ((), None, "2026-08-10")
    assert {"temperature", "top_p"} <= set(chat.refuses)
    assert (chat.context_tokens, chat.max_output_tokens) == (128_000, 16_384)
    local = catalog.models["local", "smollm2-135m"]
    assert (local.structured, local.thinking_levels, local.price) == ("grammar", (), Price(0, 0, None, "2026-11-22"))


def test_no_gemini_model_can_stop_thinking(catalog: Catalog) -> None:
    assert not any("none" in catalog.models["gemini", model].thinking_levels for model in catalog.models_of("gemini"))


def test_an_unlisted_model_of_a_built_in_provider_has_unknown_facts(catalog: Catalog) -> None:
    facts = facts_for(catalog.providers["gemini"], "gemini-9", catalog)
    assert facts == ModelFacts("gemini", "gemini-9", is_listed=False)


def test_a_script_takes_every_level_and_costs_nothing(catalog: Catalog) -> None:
    facts = facts_for(catalog.providers["scripted"], "answers/a.json", catalog)
    assert (facts.thinking_levels, facts.default_thinking, facts.is_listed) == (THINKING_LEVELS, None, True)
    assert facts.price == Price(0.0, 0.0)


@pytest.mark.parametrize(
    ("provider", "price"),
    [
        (Provider("box", "openai-chat", "http://127.0.0.1:8080/v1"), None),
        (Provider("box", "openai-chat", "http://127.0.0.1:8080/v1", is_free=True), Price(0.0, 0.0)),
        (Provider("box", "openai-chat", "http://127.0.0.1:8080/v1", price=Price(1.0, 2.0)), Price(1.0, 2.0)),
    ],
)
def test_a_model_of_an_own_provider_costs_what_the_project_says(
    catalog: Catalog, provider: Provider, price: Price | None
) -> None:
    assert facts_for(provider, "qwen3", catalog) == ModelFacts("box", "qwen3", price=price, is_listed=False)
    known = facts_for(provider, "gpt-5.3-chat-latest", catalog)
    assert (known.provider, known.price, known.retired, known.is_listed) == ("box", price, "", False)
    assert "temperature" in known.refuses


def test_an_own_model_file_is_constrained_by_a_grammar(catalog: Catalog) -> None:
    provider = Provider("mine", "llama", settings={"model_path": "x.gguf"})
    assert facts_for(provider, "smollm2-135m", catalog).structured == "grammar"
    assert facts_for(provider, "smollm2-135m", catalog).context_tokens is None


def test_a_known_gateway_has_its_own_models_and_prices(catalog: Catalog) -> None:
    gateway = Provider("comet", "gemini", "https://api.cometapi.com")
    facts = facts_for(gateway, "gemini-3.1-flash-lite-thinking", catalog)
    assert (facts.provider, facts.default_thinking) == ("comet", "minimal")
    assert facts.price == Price(0.2, 1.2, None, "2026-11-22")
    priced = Provider("comet", "gemini", "https://api.cometapi.com", price=Price(1.0, 2.0))
    assert facts_for(priced, "gemini-3.1-flash-lite-thinking", catalog).price == Price(1.0, 2.0)
    assert facts_for(gateway, "gemini-3.5-flash", catalog).thinking_levels[0] == "minimal"
