from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from runner.catalog.facts import facts_for
from runner.catalog.resolve import Catalog
from runner.core.model import THINKING_LEVELS, LongPrice, ModelFacts, Price, Provider
from runner.dialects import DIALECTS


def test_the_built_in_providers_are_complete(catalog: Catalog) -> None:
    assert {name: (p.dialect, p.base_url, p.key_env, p.is_free) for name, p in catalog.providers.items()} == {
        "gemini": ("gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY", False),
        "vertex": ("vertex", "https://aiplatform.googleapis.com", "GOOGLE_API_KEY", False),
        "openai": ("openai-responses", "https://api.openai.com/v1", "OPENAI_API_KEY", False),
        "openai-chat": ("openai-chat", "https://api.openai.com/v1", "OPENAI_API_KEY", False),
        "anthropic": ("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", False),
        "cometapi": ("openai-chat", "https://api.cometapi.com/v1", "COMETAPI_KEY", False),
        "local": ("llama", "", "", True),
        "scripted": ("scripted", "", "", True),
    }
    assert all(p.is_builtin and p.identity == p.name for p in catalog.providers.values())
    assert len(catalog.providers["local"].settings["weights_sha256"]) == 64
    assert all(provider.dialect in DIALECTS for provider in catalog.providers.values())


def test_every_model_is_well_formed(catalog: Catalog) -> None:
    for (owner, model), facts in catalog.models.items():
        assert (facts.provider, facts.model) == (owner, model)
        assert owner in catalog.providers
        assert facts.is_listed
        assert facts.title
        assert facts.context_tokens or facts.gives == "vector"
        assert set(facts.thinking_levels) <= set(THINKING_LEVELS), model
        assert list(facts.thinking_levels) == sorted(facts.thinking_levels, key=THINKING_LEVELS.index), model
        assert (facts.default_thinking in facts.thinking_levels) is bool(facts.thinking_levels), model
        if facts.retired:
            date.fromisoformat(facts.retired)
        if facts.replacement:
            assert (owner, facts.replacement) in catalog.models
        if facts.price:
            assert date.fromisoformat(facts.price.date) == date(2026, 11, 22)
            assert facts.price.output >= facts.price.input
            assert facts.price.input >= (facts.price.cached_input or 0)


def test_what_no_source_says_of_embedding_models_is_unknown(catalog: Catalog) -> None:
    known = {(owner, model): facts for (owner, model), facts in catalog.models.items() if facts.gives == "vector"}
    assert {facts.price for facts in known.values()} == {None}
    assert {(owner, facts.context_tokens) for (owner, _), facts in known.items()} == {
        ("gemini", None),
        ("vertex", None),
        ("openai", 8192),
        ("openai-chat", 8192),
    }


def test_the_projects_models_are_as_listed(catalog: Catalog) -> None:
    lite = catalog.models["gemini", "gemini-3.1-flash-lite"]
    assert (lite.thinking_levels, lite.default_thinking) == (("minimal", "low", "medium", "high"), "minimal")
    assert (lite.context_tokens, lite.max_output_tokens) == (1_048_576, 65_536)
    assert lite.price == Price(0.25, 1.5, 0.025, "2026-11-22", batch=0.5, storage=1.0)
    pro = catalog.models["gemini", "gemini-3.1-pro-preview"].price
    assert pro is not None
    assert pro.long == LongPrice(200_000, 4.0, 18.0, 0.4)
    chat = catalog.models["openai-chat", "gpt-5.3-chat-latest"]
    assert (chat.thinking_levels, chat.default_thinking, chat.retired) == ((), None, "2026-08-10")
    assert {"temperature", "top_p"} <= set(chat.refuses)
    assert (chat.context_tokens, chat.max_output_tokens) == (128_000, 16_384)
    local = catalog.models["local", "smollm2-135m"]
    assert (local.structured, local.thinking_levels, local.price) == ("grammar", (), Price(0, 0, None, "2026-11-22"))


@pytest.mark.parametrize("owner", ["gemini", "vertex", "cometapi"])
def test_no_gemini_model_since_3_can_stop_thinking(catalog: Catalog, owner: str) -> None:
    models = [model for model in catalog.models_of(owner) if model.startswith("gemini-") and "-2.5-" not in model]
    assert len(models) > 3
    assert not any("none" in catalog.models[owner, model].thinking_levels for model in models)


def test_a_level_of_a_model_that_counts_tokens_has_its_number(catalog: Catalog) -> None:
    """The ranges are the vendor's: 0 to 24,576 for Flash, 0 or 512 to 24,576 for Flash-Lite, 128 to 32,768 for Pro."""
    for model, least, most in (("flash", 512, 24_576), ("flash-lite", 512, 24_576), ("pro", 128, 32_768)):
        facts = catalog.models["gemini", f"gemini-2.5-{model}"]
        assert set(facts.thinking_words) == set(facts.thinking_levels)
        numbers = [facts.thinking_words[level] for level in facts.thinking_levels]
        assert numbers == sorted(numbers, key=int)
        assert {int(number) for number in numbers if number} <= set(range(least, most + 1))
        assert ("none" in facts.thinking_levels) is (0 in numbers) is (model != "pro")


def test_max_is_the_highest_effort_that_a_model_takes(catalog: Catalog) -> None:
    said = {
        model: catalog.models["openai", model].thinking_words.get("max", "max")
        for model in catalog.models_of("openai")
        if "max" in catalog.models["openai", model].thinking_levels
    }
    assert {model for model, word in said.items() if word == "xhigh"} == {
        *("gpt-5.2", "gpt-5.3-codex", "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano", "gpt-5.5"),
    }
    assert {said[model] for model in said if model.startswith(("gpt-5.6", "gpt-6"))} == {"max"}


def test_claude_is_told_to_think_as_its_generation_takes_it(catalog: Catalog) -> None:
    facts = {model: catalog.models["anthropic", model] for model in catalog.models_of("anthropic")}
    assert {model for model, known in facts.items() if known.thinking_words} == {"claude-haiku-4-5"}
    always = {model for model, known in facts.items() if "none" not in known.thinking_levels}
    assert always == {"claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5-5"}


def test_models_of_one_vendor_are_the_same_behind_both_of_its_services(catalog: Catalog) -> None:
    assert catalog.models_of("vertex") == catalog.models_of("gemini")
    lite = catalog.models["gemini", "gemini-3.1-flash-lite"]
    assert catalog.models["vertex", "gemini-3.1-flash-lite"] == replace(lite, provider="vertex")
    assert set(catalog.models_of("openai")) - set(catalog.models_of("openai-chat")) == {"gpt-5.3-codex"}


@pytest.mark.parametrize(
    ("model", "dialect", "base_url"),
    [
        ("gemini-3.1-flash-lite-thinking", "gemini", "https://api.cometapi.com"),
        ("gpt-5.3-chat-latest", "openai-chat", "https://api.cometapi.com/v1"),
        ("claude-sonnet-4-6", "anthropic", "https://api.cometapi.com"),
        ("gpt-5.3-codex", "openai-responses", "https://api.cometapi.com/v1"),
        ("gpt-5.4-pro", "openai-responses", "https://api.cometapi.com/v1"),
        ("o3", "openai-responses", "https://api.cometapi.com/v1"),
        ("some-other", "openai-chat", "https://api.cometapi.com/v1"),
    ],
)
def test_a_gateway_is_spoken_to_as_the_model_asks(catalog: Catalog, model: str, dialect: str, base_url: str) -> None:
    provider = catalog.provider_for("cometapi", model)
    assert provider is not None
    assert (provider.name, provider.dialect, provider.base_url) == ("cometapi", dialect, base_url)
    assert (provider.key_env, provider.identity, provider.is_builtin) == ("COMETAPI_KEY", "cometapi", True)


def test_an_unlisted_model_of_a_built_in_provider_has_unknown_facts(catalog: Catalog) -> None:
    facts = facts_for(catalog.providers["gemini"], "gemini-9", catalog)
    assert facts == ModelFacts("gemini", "gemini-9", is_listed=False, accepts=(), gives="")


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
    unknown = ModelFacts("box", "qwen3", price=price, is_listed=False, accepts=(), gives="")
    assert facts_for(provider, "qwen3", catalog) == unknown
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
