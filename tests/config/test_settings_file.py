from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.config.load import LoadedSettings, load_settings
from runner.core.limits import RateLimit
from runner.core.model import LongPrice, Price, Provider
from runner.core.span import Span

Write = Callable[..., Path]
Complaints = Callable[[str], str]

WHOLE = """\
format: 1
providers:
  box: {dialect: openai-chat, base_url: "http://127.0.0.1:8080/v1/", key_env: BOX_KEY, price: free, identity: box-qwen3}
  gate:
    dialect: gemini
    base_url: https://gate.example/v1beta
    price: {input: 0.5, output: 2, cached_input: 0.1, batch: 0.5, date: 2026-11-22}
  mine: {dialect: llama, model_path: ~/models/m.gguf}
  said: {dialect: scripted, file: tests/answers.jsonl}
models: {fast: gemini/gemini-3.1-flash-lite, strong: {use: box/qwen, thinking: default}}
prices:
  gemini/gemini-3.1-flash-lite: {input: 0.1, output: 0.4, long: {over: 200000, input: 1, output: 2, cached_input: 0.5}}
  box/qwen:3b: free
budget: {usd: 5, calls: 100}
x-note: free
"""


def _load(write: Write, text: str) -> LoadedSettings:
    return load_settings(write({"runner.yaml": text}))


def _messages(write: Write, text: str) -> list[str]:
    return [problem.message for problem in _load(write, text).problems]


def test_providers_and_models_are_read(write: Write) -> None:
    loaded = _load(write, WHOLE)
    assert loaded.problems == ()
    settings = loaded.settings
    assert settings.providers == {
        "box": Provider(
            name="box",
            dialect="openai-chat",
            base_url="http://127.0.0.1:8080/v1",
            key_env="BOX_KEY",
            identity="box-qwen3",
            is_free=True,
        ),
        "gate": Provider(
            name="gate",
            dialect="gemini",
            base_url="https://gate.example/v1beta",
            identity="https://gate.example/v1beta",
            price=Price(0.5, 2, 0.1, "2026-11-22", batch=0.5),
        ),
        "mine": Provider(
            name="mine",
            dialect="llama",
            identity="~/models/m.gguf",
            settings={"model_path": "~/models/m.gguf"},
        ),
        "said": Provider(
            name="said",
            dialect="scripted",
            identity="tests/answers.jsonl",
            settings={"file": "tests/answers.jsonl"},
        ),
    }
    assert {name: (alias.use, alias.thinking) for name, alias in settings.models.items()} == {
        "fast": ("gemini/gemini-3.1-flash-lite", None),
        "strong": ("box/qwen", None),
    }
    assert settings.prices == {
        "gemini/gemini-3.1-flash-lite": Price(0.1, 0.4, long=LongPrice(200_000, 1, 2, 0.5)),
        "box/qwen:3b": Price(0.0, 0.0),
    }
    assert settings.budget is not None
    assert (settings.budget.usd, settings.budget.calls, settings.budget.tokens) == (5, 100, None)
    assert settings.budget.at("calls") == Span("runner.yaml", 14, 25, 3)
    assert settings.at("providers.box") == Span("runner.yaml", 3, 3, 3)
    assert settings.at("providers.box.key_env") == Span("runner.yaml", 3, 79, 7)
    assert settings.file == "runner.yaml"


def test_without_a_file_the_settings_are_empty(tmp_path: Path) -> None:
    loaded = load_settings(tmp_path)
    assert (loaded.settings.providers, loaded.settings.models, loaded.problems) == ({}, {}, ())
    assert loaded.settings.file == ""


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}\n"])
def test_an_empty_file_is_no_mistake(write: Write, text: str) -> None:
    loaded = _load(write, text)
    assert (loaded.settings.providers, loaded.problems) == ({}, ())


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "runner.yaml").mkdir()
    assert [problem.message for problem in load_settings(tmp_path).problems] == ["runner.yaml is a directory"]


@pytest.mark.parametrize(
    ("text", "messages"),
    [("- a\n", ["runner.yaml is a list"]), ("a: [\n", ["the file ends inside a bracket that is not closed"])],
)
def test_a_file_that_holds_something_else(write: Write, text: str, messages: list[str]) -> None:
    loaded = _load(write, text)
    assert [problem.message for problem in loaded.problems] == messages
    assert loaded.settings.providers == {}


@pytest.mark.parametrize("key", ["cache"])
def test_keys_of_later_versions(settings_complaints: Complaints, key: str) -> None:
    assert settings_complaints(f"{key}: {{a: 1}}\n") == (
        f"runner.yaml:1:1: not-in-this-version: runner.yaml has the key '{key}', which is not in this version\n"
        f"    1 | {key}: {{a: 1}}\n"
        f"      | {'^' * len(key)}"
    )


@pytest.mark.parametrize("dialect", ["gemini", "openai-chat", "openai-responses", "anthropic"])
def test_every_dialect_that_travels_over_http_is_for_own_servers_too(write: Write, dialect: str) -> None:
    loaded = _load(
        write, f"providers: {{a: {{dialect: {dialect}, base_url: 'https://box.example', key_env: BOX_KEY}}}}\n"
    )
    assert loaded.problems == ()
    assert loaded.settings.providers["a"].dialect == dialect


def test_a_built_in_provider_cannot_be_changed(settings_complaints: Complaints) -> None:
    assert settings_complaints("providers: {gemini: {dialect: gemini, base_url: 'https://evil.example'}}\n") == (
        "runner.yaml:1:13: builtin-provider: 'gemini' is a built-in provider, which cannot be changed\n"
        "    1 | providers: {gemini: {dialect: gemini, base_url: 'https://evil.example'}}\n"
        "      |             ^^^^^^\n"
        "  expected: a name other than anthropic, cometapi, gemini, local, openai, openai-chat, scripted, vertex"
    )


@pytest.mark.parametrize("name", ["vertex", "cometapi", "openai", "openai-chat", "anthropic", "local", "scripted"])
def test_no_built_in_provider_is_taken(write: Write, name: str) -> None:
    loaded = _load(write, f"providers: {{{name}: {{dialect: llama, model_path: x}}}}\n")
    assert [problem.code for problem in loaded.problems] == ["builtin-provider"]
    assert loaded.settings.providers == {}


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1",
        "http://127.0.0.1",
        "http://127.9.9.9:80/v1",
        "http://[::1]:8080",
        "https://x.example:8443/a",
    ],
)
def test_urls_that_are_safe(write: Write, url: str) -> None:
    assert _messages(write, f"providers: {{a: {{dialect: openai-chat, base_url: '{url}'}}}}\n") == []


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("http://example.com/v1", "insecure-url", "is not encrypted"),
        ("http://localhost.evil.example", "insecure-url", "is not encrypted"),
        ("http://127.0.0.1.evil.example", "insecure-url", "is not encrypted"),
        ("http://0.0.0.0:80", "insecure-url", "is not encrypted"),
        ("https://user:secret@example.com", "secret-in-file", "holds a user name or password"),
        ("https://user@example.com", "secret-in-file", "holds a user name or password"),
        ("https://example.com/v1?key=secret", "bad-value", "has a query or fragment"),
        ("https://example.com/v1#x", "bad-value", "has a query or fragment"),
        ("https://[::1", "bad-value", "is no URL"),
        ("https://:80", "bad-value", "is no URL"),
        ("https://a:b:c", "bad-value", "is no URL"),
    ],
)
def test_urls_that_are_not(write: Write, url: str, code: str, message: str) -> None:
    loaded = _load(write, f"providers: {{a: {{dialect: openai-chat, base_url: '{url}'}}}}\n")
    assert [(problem.code, problem.message) for problem in loaded.problems] == [
        (code, f"'base_url' of provider 'a' {message}")
    ]
    assert "secret" not in "".join(problem.message + problem.expected + problem.fix for problem in loaded.problems)


@pytest.mark.parametrize("url", ["ftp://example.com", "example.com/v1", "https://"])
def test_what_does_not_look_like_a_url(settings_complaints: Complaints, url: str) -> None:
    shown = settings_complaints(f"providers: {{a: {{dialect: openai-chat, base_url: '{url}'}}}}\n")
    assert f"bad-value: 'base_url' of provider 'a' cannot be '{url}'" in shown
    assert "  expected: a URL that starts with https://" in shown


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("{dialect: openai-chat}", "provider 'a' lacks the key 'base_url', which the dialect openai-chat needs"),
        ("{dialect: gemini}", "provider 'a' lacks the key 'base_url', which the dialect gemini needs"),
        ("{dialect: llama}", "provider 'a' lacks the key 'model_path', which the dialect llama needs"),
        ("{dialect: scripted}", "provider 'a' lacks the key 'file', which the dialect scripted needs"),
        (
            "{dialect: llama, model_path: x, key_env: K}",
            "provider 'a' has the key 'key_env', which the dialect llama does not use",
        ),
        ("{base_url: 'https://x.example'}", "provider 'a' lacks the key 'dialect'"),
        ("{dialect: chat}", "'dialect' of provider 'a' cannot be 'chat'"),
        ("{dialect: scripted, file: ../x}", "../x lies outside the project"),
        ("{dialect: scripted, file: x, price: cheap}", "'price' of provider 'a' cannot be 'cheap'"),
        ("{dialect: scripted, file: x, price: {input: 1}}", "'price' of provider 'a' lacks the key 'output'"),
        (
            "{dialect: openai-chat, base_url: 'https://x.example', key_env: sk-123}",
            "'key_env' of provider 'a' cannot be 'sk-123'",
        ),
        ("text", "provider 'a' is text"),
    ],
)
def test_what_each_dialect_needs(write: Write, provider: str, message: str) -> None:
    assert _messages(write, f"providers: {{a: {provider}}}\n") == [message]


def test_a_price_of_a_provider_that_nobody_has_is_a_mistake(settings_complaints: Complaints) -> None:
    assert settings_complaints("prices: {gemni/gemini-3.1-flash-lite: free}\n") == (
        "runner.yaml:1:10: unknown-provider: 'prices' names 'gemni/gemini-3.1-flash-lite', "
        "but there is no provider 'gemni'\n"
        "    1 | prices: {gemni/gemini-3.1-flash-lite: free}\n"
        "      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  expected: a provider: anthropic, cometapi, gemini, local, openai, openai-chat, scripted, vertex\n"
        "  nearest:  gemini/gemini-3.1-flash-lite"
    )


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ("cheap", "price 'gemini/g' cannot be 'cheap'"),
        ("{input: 1}", "price 'gemini/g' lacks the key 'output'"),
        ("{input: 1, output: -1}", "'output' of price 'gemini/g' cannot be -1"),
        ("{input: 1, output: 1, long: {input: 1, output: 2}}", "'long' of price 'gemini/g' lacks the key 'over'"),
        ("{input: 1, output: 1, batch: 50}", "'batch' of price 'gemini/g' cannot be 50"),
        ("{input: 1, output: 1, date: today}", "'date' of price 'gemini/g' cannot be 'today'"),
    ],
)
def test_a_price_says_what_both_kinds_of_tokens_cost(write: Write, price: str, message: str) -> None:
    assert _messages(write, f"prices: {{gemini/g: {price}}}\n") == [message]


def test_a_price_names_a_provider_and_a_model(write: Write) -> None:
    assert _messages(write, "prices: {flash: free}\n") == ["'flash' cannot be the name of a price"]


# Limits

LIMITS = """\
limits:
  - {models: "gemini/*", requests: 4000, tokens: 4000000, per: 1m, in_flight: 500}
  - {models: openai, input_tokens: 100, output_tokens: 50, per: 24h}
  - {models: "*", in_flight: 9}
"""


def test_limits_are_read_with_their_time_in_seconds(write: Write) -> None:
    loaded = _load(write, LIMITS)
    assert loaded.problems == ()
    first, second, third = loaded.settings.limits
    assert first == RateLimit(
        "gemini/*", Span("runner.yaml", 2, 14, 10), requests=4000, tokens=4_000_000, in_flight=500
    )
    assert (second.models, second.input_tokens, second.output_tokens, second.per_s) == ("openai/*", 100, 50, 86_400.0)
    assert (third.models, third.in_flight, third.requests) == ("*", 9, None)


@pytest.mark.parametrize(
    ("models", "fits"),
    [
        ("gemini/*", ["gemini/a", "gemini/a/b"]),
        ("gemini/a", ["gemini/a"]),
        ("*/a", ["gemini/a", "other/a"]),
        ("gem?ni/[a]", []),
        ("*", ["gemini/a", "gemini/a/b", "other/a"]),
    ],
)
def test_a_limit_holds_for_the_models_that_its_pattern_fits(models: str, fits: list[str]) -> None:
    limit = RateLimit(models, Span("runner.yaml", 1, 1))
    assert [name for name in ("gemini/a", "gemini/a/b", "other/a") if limit.fits(name)] == fits


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "limits: [{models: gemni/x, requests: 1}]\n",
            (
                "runner.yaml:1:19: unknown-provider: 'limits' names 'gemni/x', but there is no provider 'gemni'\n"
                "    1 | limits: [{models: gemni/x, requests: 1}]\n"
                "      |                   ^^^^^^^\n"
                "  expected: a provider: anthropic, cometapi, gemini, local, openai, openai-chat, scripted, vertex\n"
                "  nearest:  gemini/x"
            ),
        ),
        (
            "limits: [{models: gemini/x}]\n",
            (
                "runner.yaml:1:10: missing-key: entry 1 of 'limits' of runner.yaml lacks a key\n"
                "    1 | limits: [{models: gemini/x}]\n"
                "      |          ^^^^^^^^^^^^^^^^^^\n"
                "  expected: one of requests, tokens, input_tokens, output_tokens, in_flight"
            ),
        ),
        (
            "limits: [{models: gemini/x, in_flight: 3, per: 1m}]\n",
            (
                "runner.yaml:1:43: missing-key: entry 1 of 'limits' of runner.yaml has the key 'per', which belongs to one of "
                "requests, tokens, input_tokens, output_tokens\n"
                "    1 | limits: [{models: gemini/x, in_flight: 3, per: 1m}]\n"
                "      |                                           ^^^\n"
                "  expected: one of requests, tokens, input_tokens, output_tokens beside it"
            ),
        ),
        (
            "limits: [{models: gemini/x, requests: 0}]\n",
            (
                "runner.yaml:1:39: bad-value: 'requests' of entry 1 of 'limits' of runner.yaml cannot be 0\n"
                "    1 | limits: [{models: gemini/x, requests: 0}]\n"
                "      |                                       ^\n"
                "  expected: a whole number, at least 1"
            ),
        ),
        (
            "limits: [{requests: 1}]\n",
            (
                "runner.yaml:1:10: missing-key: entry 1 of 'limits' of runner.yaml lacks the key 'models'\n"
                "    1 | limits: [{requests: 1}]\n"
                "      |          ^^^^^^^^^^^^^\n"
                "  expected: models: provider/model, where * stands for any letters, such as gemini/*"
            ),
        ),
    ],
)
def test_limits_that_hold_nobody(settings_complaints: Complaints, text: str, complaint: str) -> None:
    assert settings_complaints(text) == complaint
