"""`tools` of runner.yaml."""

from __future__ import annotations

from pathlib import Path

from runner.config.load import load_settings
from runner.core.workflow import Settings


def settings_of(folder: Path, text: str) -> tuple[Settings, list[str]]:
    (folder / "runner.yaml").write_text(text, encoding="utf-8")
    (folder / "sku.json").write_text('{"type": "object"}', encoding="utf-8")
    loaded = load_settings(folder)
    return loaded.settings, [problem.message for problem in loaded.problems]


def test_a_tool_is_a_function_with_schemas_or_one_of_the_providers(tmp_path: Path) -> None:
    settings, problems = settings_of(
        tmp_path,
        "tools:\n  find: {python: 'shop.tools:find', parameters: sku.json, returns: {type: string}, version: 2,"
        " description: Finds., replay: false}\n  plain: {python: 'shop:plain'}\n  search: web_search\n",
    )
    assert problems == []
    find, plain, search = settings.tools.values()
    assert (find.python, find.description, find.version, find.is_replayed) == ("shop.tools:find", "Finds.", "2", False)
    assert find.parameters is not None
    assert (find.parameters.file, find.parameters.value) == ("sku.json", {"type": "object"})
    assert find.returns is not None
    assert find.returns.value == {"type": "string"}
    assert str(find.at("python")) == "runner.yaml:2:18"
    assert (plain.version, plain.is_replayed, plain.parameters, plain.returns) == ("", True, None, None)
    assert (search.own, search.python, str(search.span)) == ("web_search", "", "runner.yaml:4:3")


def test_tools_that_cannot_be_read_are_told_and_left_out(tmp_path: Path) -> None:
    settings, problems = settings_of(
        tmp_path,
        "tools:\n  bad name: {python: 'a:b'}\n  empty: {description: x}\n  odd: {python: shop}\n  list: []\n  word: bing\n",
    )
    assert problems == [
        "'bad name' cannot be the name of a tool",
        "tool 'empty' lacks the key 'python'",
        "'python' of tool 'odd' cannot be 'shop'",
        "tool 'list' is a list",
        "tool 'word' cannot be 'bing'",
    ]
    assert list(settings.tools) == ["bad name"]


def test_a_schema_that_is_not_there_is_told(tmp_path: Path) -> None:
    settings, problems = settings_of(tmp_path, "tools: {find: {python: 'a:b', returns: none.json}}\n")
    assert problems == ["there is no file none.json"]
    assert settings.tools["find"].returns is None
