from __future__ import annotations

from typing import Any

import pytest

from runner.catalog.resolve import Catalog, resolve, warnings_for
from runner.core.model import FactsGiven, Price, Provider, Route
from runner.core.problem import Problem, render
from runner.core.span import Span
from runner.core.workflow import ModelAlias

HERE = Span("w.yaml", 9, 12, 4)
BOX = Provider("box", "openai-chat", "http://127.0.0.1:8080/v1", is_free=True)


def alias(name: str, use: str, thinking: str | None = None, line: int = 1) -> ModelAlias:
    spans = {"use": Span("runner.yaml", line, 9), "thinking": Span("runner.yaml", line, 40)}
    return ModelAlias(name=name, use=use, thinking=thinking, span=Span("runner.yaml", line, 3), spans=spans)


def find(name: str, catalog: Catalog, *aliases: ModelAlias, **overrides: str) -> Route | Problem:
    known = {each.name: each for each in aliases}
    return resolve(name, aliases=known, overrides=overrides, providers={"box": BOX}, catalog=catalog, span=HERE)


def route(name: str, catalog: Catalog, *aliases: ModelAlias, **overrides: str) -> Route:
    found = find(name, catalog, *aliases, **overrides)
    assert isinstance(found, Route)
    return found


def text(found: Any) -> str:
    assert isinstance(found, Problem)
    return render(found, {})


def test_a_full_name_is_a_route(catalog: Catalog) -> None:
    found = route("gemini/gemini-3.1-flash-lite", catalog)
    assert (found.name, found.provider.name, found.model) == (
        *("gemini/gemini-3.1-flash-lite", "gemini", "gemini-3.1-flash-lite"),
    )
    assert found.facts is catalog.models["gemini", "gemini-3.1-flash-lite"]
    assert found.thinking is None


def test_only_the_first_slash_parts_provider_and_model(catalog: Catalog) -> None:
    assert route("scripted/tests/answers.json", catalog).model == "tests/answers.json"
    assert route("box/org/model", catalog).model == "org/model"


def test_aliases_are_followed_and_the_first_level_counts(catalog: Catalog) -> None:
    first, second = alias("fast", "cheap", "low"), alias("cheap", "gemini/gemini-3.5-flash", "high")
    found = route("fast", catalog, first, second)
    assert (found.name, found.thinking) == ("gemini/gemini-3.5-flash", "low")
    assert route("cheap", catalog, first, second).thinking == "high"


def test_an_alias_may_say_default(catalog: Catalog) -> None:
    found = route("a", catalog, alias("a", "b", "default"), alias("b", "gemini/gemini-3.5-flash", "low"))
    assert found.thinking == "low"


def test_an_override_takes_the_place_of_an_alias_with_its_level(catalog: Catalog) -> None:
    found = route("fast", catalog, alias("fast", "gemini/gemini-3.5-flash", "high"), fast="local/smollm2-135m")
    assert (found.name, found.thinking) == ("local/smollm2-135m", None)


def test_an_override_may_name_an_alias_and_need_not_replace_one(catalog: Catalog) -> None:
    assert route("fast", catalog, alias("strong", "gemini/gemini-3.5-flash"), fast="strong").model == "gemini-3.5-flash"


def test_an_unlisted_model_of_a_built_in_provider_works(catalog: Catalog) -> None:
    assert not route("gemini/gemini-9-ultra", catalog).facts.is_listed


def test_the_project_knows_its_models_better(catalog: Catalog) -> None:
    given = {"box/qwen3": FactsGiven(thinking_levels=("none", "high")), "gemini/gemini-9": FactsGiven(context_tokens=7)}
    prices = {"box/qwen3": Price(1.0, 2.0)}

    def found(name: str) -> Route:
        route = resolve(
            name,
            aliases={},
            overrides={},
            providers={"box": BOX},
            catalog=catalog,
            span=HERE,
            given=given,
            prices=prices,
        )
        assert isinstance(route, Route)
        return route

    own = found("box/qwen3").facts
    assert (own.thinking_levels, own.default_thinking, own.price) == (("none", "high"), "none", Price(1.0, 2.0))
    assert (found("gemini/gemini-9").facts.context_tokens, found("gemini/gemini-9").facts.is_listed) == (7, True)
    assert warnings_for(found("gemini/gemini-9"), catalog, "2026-11-22", None) == ()


def test_an_own_provider_takes_any_model(catalog: Catalog) -> None:
    found = route("box/qwen3", catalog)
    assert found.provider is BOX
    assert found.facts.price is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "gemni/gemini-3.5-flash",
            (
                "w.yaml:9:12: unknown-model: there is no provider 'gemni'\n"
                "  expected: a provider: anthropic, box, cometapi, gemini, local, openai, openai-chat, scripted, vertex\n"
                "  nearest:  gemini/gemini-3.5-flash"
            ),
        ),
        (
            "zzz/x",
            (
                "w.yaml:9:12: unknown-model: there is no provider 'zzz'\n"
                "  expected: a provider: anthropic, box, cometapi, gemini, local, openai, openai-chat, scripted, vertex"
            ),
        ),
        (
            "gemini-3.1-flash-lite",
            (
                "w.yaml:9:12: unknown-model: 'gemini-3.1-flash-lite' is no alias of a model, and a model is written "
                "provider/model\n  expected: an alias (fast, strong) or provider/model\n"
                "  nearest:  gemini/gemini-3.1-flash-lite"
            ),
        ),
        (
            "fsat",
            (
                "w.yaml:9:12: unknown-model: 'fsat' is no alias of a model, and a model is written provider/model\n"
                "  expected: an alias (fast, strong) or provider/model\n  nearest:  fast"
            ),
        ),
        (
            "strong",
            (
                "runner.yaml:2:9: unknown-model: provider 'local' has no model 'smollm'\n"
                "  expected: smollm2-135m\n  nearest:  local/smollm2-135m"
            ),
        ),
        ("local/", "w.yaml:9:12: unknown-model: 'local/' names no model\n  expected: smollm2-135m"),
    ],
)
def test_a_wrong_name_is_explained(catalog: Catalog, name: str, expected: str) -> None:
    aliases = (alias("fast", "gemini/gemini-3.5-flash"), alias("strong", "local/smollm", line=2))
    assert text(find(name, catalog, *aliases)) == expected


def test_without_aliases_none_are_offered(catalog: Catalog) -> None:
    assert text(find("qqq", catalog)) == (
        "w.yaml:9:12: unknown-model: 'qqq' is no alias of a model, and a model is written provider/model\n"
        "  expected: provider/model"
    )


def test_a_circle_is_shown_with_its_path(catalog: Catalog) -> None:
    circle = (alias("a", "b"), alias("b", "c", line=2), alias("c", "b", line=3))
    assert text(find("a", catalog, *circle)) == (
        "runner.yaml:3:9: model-circle: the alias 'b' leads back to itself: b → c → b"
    )


def test_a_wrong_override_is_named_as_typed(catalog: Catalog) -> None:
    assert text(find("fast", catalog, alias("fast", "gemini/gemini-3.5-flash"), fast="gemni/x")) == (
        "unknown-model: there is no provider 'gemni'\n"
        "  expected: a provider: anthropic, box, cometapi, gemini, local, openai, openai-chat, scripted, vertex\n"
        "  nearest:  gemini/x\n"
        "  given by: --model fast=gemni/x"
    )


def test_a_level_of_an_alias_that_the_model_lacks_is_found_at_the_alias(catalog: Catalog) -> None:
    assert text(find("fast", catalog, alias("fast", "gemini/gemini-3.8-flash", "minimal"))) == (
        "runner.yaml:1:40: thinking-level: gemini/gemini-3.8-flash has no thinking level 'minimal'\n"
        "  expected: one of low, medium, high\n"
        "  nearest:  low"
    )


def warned(name: str, catalog: Catalog, today: str) -> list[str]:
    found = warnings_for(route(name, catalog), catalog, today, HERE)
    assert all(problem.severity == "warning" for problem in found)
    return [render(problem, {}) for problem in found]


def test_a_model_that_is_switched_off_is_warned_of(catalog: Catalog) -> None:
    assert warned("openai-chat/gpt-5.3-chat-latest", catalog, "2026-11-22") == [
        (
            "w.yaml:9:12: warning: retired-model: openai-chat/gpt-5.3-chat-latest was switched off by its vendor on "
            "2026-08-10\n  fix:      openai-chat/gpt-5.5"
        )
    ]


def test_an_end_that_is_near_is_warned_of_and_one_that_is_far_is_not(catalog: Catalog) -> None:
    assert warned("openai-chat/gpt-5", catalog, "2026-11-22") == [
        "w.yaml:9:12: warning: retired-model: openai-chat/gpt-5 will be switched off by its vendor on 2026-12-11"
    ]
    assert warned("openai-chat/gpt-5", catalog, "2026-06-01") == []
    assert warned("openai-chat/gpt-5.1", catalog, "2026-11-22") == []


def test_an_unlisted_model_is_warned_of_with_the_nearest_name(catalog: Catalog) -> None:
    assert warned("gemini/gemini-3.1-flash-lit", catalog, "2026-11-22") == [
        (
            "w.yaml:9:12: warning: unlisted-model: gemini/gemini-3.1-flash-lit is not in the catalogue, so its price, limits "
            "and thinking levels are not known\n  nearest:  gemini/gemini-3.1-flash-lite"
        )
    ]
    assert "nearest" not in warned("gemini/zzz", catalog, "2026-11-22")[0]


def test_models_of_own_providers_and_scripts_are_not_warned_of(catalog: Catalog) -> None:
    assert warned("box/gpt-5.3-chat-latest", catalog, "2026-11-22") == []
    assert warned("scripted/a.json", catalog, "2026-11-22") == []


def test_a_price_of_the_project_goes_before_the_listed_one(catalog: Catalog) -> None:
    prices = {"gemini/gemini-3.1-flash-lite": Price(0.1, 0.4), "box/m": Price(1, 2)}
    found = [
        resolve(name, aliases={}, overrides={}, providers={"box": BOX}, catalog=catalog, span=HERE, prices=prices)
        for name in ("gemini/gemini-3.1-flash-lite", "box/m", "gemini/gemini-3.5-flash")
    ]
    told = [one.facts.price for one in found if isinstance(one, Route)]
    assert told == [Price(0.1, 0.4), Price(1, 2), catalog.models["gemini", "gemini-3.5-flash"].price]
