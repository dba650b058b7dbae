"""`runner.yaml` that is checked by itself, as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.app import api
from runner.core.problem import render_all

TYPO = "models: {fast: gemini/gemini-3.1-flash-lite}\nprovders: {}\n"


def told(root: Path, text: str, *further: str, is_strict: bool = False) -> str:
    (root / "runner.yaml").write_text(text, "utf-8")
    report = api.check([root / "runner.yaml", *(root / name for name in further)], is_strict=is_strict)
    assert report.files[0] == "runner.yaml"
    return render_all(report.problems, report.sources)


def test_the_keys_are_those_of_settings_not_of_a_workflow(tmp_path: Path) -> None:
    assert told(tmp_path, TYPO) == (
        "runner.yaml:2:1: unknown-key: runner.yaml has no key 'provders'\n"
        "    2 | provders: {}\n"
        "      | ^^^^^^^^\n"
        "  expected: a key of runner.yaml: budget, format, limits, models, prices, providers, tools\n"
        "  nearest:  providers"
    )


def test_a_name_that_leads_to_no_model_is_told_although_no_step_uses_it(tmp_path: Path) -> None:
    assert told(tmp_path, "models:\n  fast: gemni/x\n  same: fast\n") == (
        "runner.yaml:2:9: unknown-model: there is no provider 'gemni'\n"
        "    2 |   fast: gemni/x\n"
        "      |         ^^^^^^^\n"
        "  expected: a provider: anthropic, cometapi, gemini, local, openai, openai-chat, scripted, vertex\n"
        "  nearest:  gemini/x"
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "models: {fast: gemini/gemini-3.1-flash-lite}\n"])
def test_what_is_right_is_no_finding(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text) == ""


def test_beside_a_workflow_each_mistake_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text("steps: {a: {model: fast, prompt: x}}\n")
    assert told(tmp_path, TYPO, "flow.yaml").count("unknown-key") == 1


def test_a_comment_silences_a_finding_of_settings_too(tmp_path: Path) -> None:
    unlisted = "models: {old: gemini/gemini-2.0-flash}  # runner: ignore[%s]\n"
    assert "unlisted-model" in told(tmp_path, unlisted % "other-code")
    assert told(tmp_path, unlisted % "unlisted-model") == ""


def test_a_key_in_settings_is_mended(tmp_path: Path) -> None:
    (tmp_path / "runner.yaml").write_text(TYPO, "utf-8")
    fixed = api.fix([tmp_path / "runner.yaml"])
    assert (fixed.files, fixed.left.problems) == (("runner.yaml",), ())
    assert (tmp_path / "runner.yaml").read_text("utf-8") == TYPO.replace("provders", "providers")
