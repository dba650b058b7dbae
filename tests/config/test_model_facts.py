"""What a project says of models in runner.yaml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.config.load import load_settings
from runner.core.model import FactsGiven

Write = Callable[..., Path]
Complaints = Callable[[str], str]
PROVIDERS = "providers: {box: {dialect: openai-chat, base_url: 'http://127.0.0.1:1/v1', server: vllm}}\n"


def test_facts_stand_beside_aliases(write: Write) -> None:
    text = PROVIDERS + (
        "models:\n"
        "  fast: box/qwen3\n"
        "  box/qwen3:\n"
        "    {title: Qwen3, context: 32768, max_output: 4096, accepts: [text, image], thinking: [high, none],\n"
        "     default_thinking: high, refuses: [seed], retired: 2027-01-01, replacement: qwen4, note: slow}\n"
        "  gemini/gemini-3.5-flash: {context: 1000}\n"
        "  box/plain: {thinking: [], refuses: []}\n"
    )
    loaded = load_settings(write({"runner.yaml": text}))
    assert loaded.problems == ()
    assert list(loaded.settings.models) == ["fast"]
    assert loaded.settings.providers["box"].settings == {"server": "vllm"}
    assert loaded.settings.facts == {
        "box/qwen3": FactsGiven(
            "Qwen3", ("none", "high"), "high", ("text", "image"), 32768, 4096, ("seed",), "2027-01-01", "qwen4", "slow"
        ),
        "gemini/gemini-3.5-flash": FactsGiven(context_tokens=1000),
        "box/plain": FactsGiven(thinking_levels=(), refuses=()),
    }


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (
            "gemni/x: {context: 1}",
            (
                "runner.yaml:1:10: unknown-provider: 'models' names 'gemni/x', but there is no provider 'gemni'\n"
                "    1 | models: {gemni/x: {context: 1}}\n"
                "      |          ^^^^^^^\n"
                "  expected: a provider: anthropic, cometapi, gemini, local, openai, openai-chat, scripted, vertex\n"
                "  nearest:  gemini/x"
            ),
        ),
        (
            "gemini/x: {thinking: [low], default_thinking: high}",
            (
                "runner.yaml:1:56: thinking-level: 'default_thinking' of 'gemini/x' is 'high', which is not among its levels\n"
                "    1 | models: {gemini/x: {thinking: [low], default_thinking: high}}\n"
                "      |                                                        ^^^^\n"
                "  expected: one of low"
            ),
        ),
        (
            "gemini/x: {thinking: [], default_thinking: high}",
            (
                "runner.yaml:1:53: thinking-level: 'default_thinking' of 'gemini/x' is 'high', which is not among its levels\n"
                "    1 | models: {gemini/x: {thinking: [], default_thinking: high}}\n"
                "      |                                                     ^^^^\n"
                "  expected: no such key"
            ),
        ),
        (
            "gemini/x: {accepts: [smell]}",
            (
                "runner.yaml:1:31: bad-value: entry 1 of 'accepts' of model 'gemini/x' cannot be 'smell'\n"
                "    1 | models: {gemini/x: {accepts: [smell]}}\n"
                "      |                               ^^^^^\n"
                "  expected: one of text, image, audio, video, document"
            ),
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_place(settings_complaints: Complaints, models: str, told: str) -> None:
    assert settings_complaints(f"models: {{{models}}}\n") == told


def test_facts_that_are_no_mapping_are_told_once(settings_complaints: Complaints) -> None:
    assert settings_complaints("models: {gemini/x: 5}\n").count("runner.yaml:") == 1
