"""What `runner models` lists in a project."""

from __future__ import annotations

from pathlib import Path

import pytest

import runner
from runner.app import api


def test_models_of_the_project_are_listed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOX_KEY", "k")
    (tmp_path / "runner.yaml").write_text(
        "providers: {box: {dialect: openai-chat, base_url: 'http://127.0.0.1:1/v1', key_env: BOX_KEY}}\n"
        "models: {box/qwen3: {context: 32768, thinking: [none]}, gemini/gemini-9: {title: Nine}}\n"
        "prices: {box/cheap: {input: 1, output: 2}}\n",
        encoding="utf-8",
    )
    rows = {row["name"]: row for row in api.models()}
    assert (rows["box/qwen3"]["context_tokens"], rows["box/qwen3"]["has_key"]) == (32768, True)
    assert rows["box/cheap"]["price"]["output"] == 2
    assert rows["gemini/gemini-9"]["title"] == "Nine"
    (tmp_path / "runner.yaml").write_text("models: {gemni/x: {context: 1}}\n", encoding="utf-8")
    with pytest.raises(runner.RunnerError, match="there is no provider 'gemni'"):
        api.models()
