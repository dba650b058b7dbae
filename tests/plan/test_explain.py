from __future__ import annotations

import pytest

from runner.core.canonical import Json
from runner.core.span import Span
from runner.plan.explain import Change, SchemaChange, changes, nearest_entry, reason

BASE: dict[str, Json] = {
    "dialect": "gemini/1",
    "model": "gemini/flash",
    "thinking": "low",
    "options": {"temperature": 0.5},
    "template": {"flow.yaml:3": "aaa", "ask.md:1": "bbb"},
    "inputs": {"topic": "tea", "text": {"sha256": "111"}},
    "data": {"stars": 3},
    "upstream": {"extract": {"sha256": "222"}},
    "schema": "sss",
    "system": "yyy",
}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"model": "openai/gpt"}, "model: gemini/flash → openai/gpt"),
        ({"thinking": "high"}, "thinking: low → high"),
        ({"thinking": None}, "thinking: low → (none)"),
        ({"options": {"temperature": 0.7}}, "option:temperature: 0.5 → 0.7"),
        ({"options": {}}, "option:temperature: 0.5 → (none)"),
        ({"options": {"temperature": 0.5, "seed": 7}}, "option:seed: (none) → 7"),
        ({"template": {"flow.yaml:3": "aaa", "ask.md:1": "ccc"}}, "template:ask.md:1"),
        ({"template": {"flow.yaml:3": "aaa"}}, "template:flow.yaml:3"),
        ({"template": {}}, "template"),
        ({"inputs": {"topic": "milk", "text": {"sha256": "111"}}}, "input:topic: tea → milk"),
        ({"inputs": {"topic": "tea", "text": {"sha256": "999"}}}, "input:text"),
        ({"inputs": {"topic": "tea"}}, "input:text: (text) → (none)"),
        ({"data": {"stars": 4}}, "data:stars: 3 → 4"),
        ({"upstream": {"extract": {"sha256": "333"}}}, "upstream:extract"),
        ({"schema": "ttt"}, "schema"),
        ({"schema": None}, "schema"),
        ({"enforce": "local"}, "schema"),
        ({"salt": "again"}, "salt: (none) → again"),
        ({"sample": 1}, "sample: 0 → 1"),
        ({"dialect": "gemini/2"}, "key-format: gemini/1 → gemini/2"),
        ({"system": "zzz"}, "system"),
    ],
)
def test_each_ingredient_has_its_word(changed: dict[str, Json], told: str) -> None:
    assert reason(BASE, {**BASE, **changed}) == told


def test_values_are_told_in_one_line_and_cut() -> None:
    old, new = {"salt": "a\n b"}, {"salt": "x" * 50}
    assert reason(old, new) == f"salt: a b → {'x' * 40}…"


def test_a_whole_item_or_all_inputs_are_told_without_a_name() -> None:
    old, new = {"data": {"": "a"}, "inputs": {"": 1}}, {"data": {"": "b"}, "inputs": {"": 2}}
    assert reason(old, new) == "input: 1 → 2, data: a → b"


def test_what_was_never_asked_is_new() -> None:
    assert reason(None, BASE) == "new"


def test_what_was_asked_of_the_same_ingredients_and_is_gone_is_new() -> None:
    assert reason(BASE, dict(BASE)) == "new"


def test_a_template_that_only_moved_is_no_change() -> None:
    moved = {**BASE, "template": {"flow.yaml:9": "aaa", "prompts/ask.md:1": "bbb"}}
    assert changes(BASE, moved) == ()


def test_a_system_text_that_follows_from_another_change_is_not_told() -> None:
    new = {**BASE, "system": "zzz", "inputs": {"topic": "milk", "text": {"sha256": "111"}}}
    assert changes(BASE, new) == (Change("input:topic", "tea", "milk"),)


def test_all_changes_are_told_the_authors_own_first() -> None:
    new = {**BASE, "model": "m", "thinking": "high", "upstream": {}, "dialect": "gemini/2"}
    told = "model: gemini/flash → m, thinking: low → high, upstream:extract, key-format: gemini/1 → gemini/2"
    assert reason(BASE, new) == told


def test_the_nearest_entry_differs_in_the_fewest_ingredients() -> None:
    far = {**BASE, "model": "m", "thinking": "high"}
    near = {**BASE, "thinking": "none"}
    assert nearest_entry(BASE, [far, near]) == (near, (Change("thinking", "none", "low"),))


def test_among_no_entries_none_is_nearest() -> None:
    assert nearest_entry(BASE, []) is None


MESSAGES: dict[str, Json] = {**BASE, "messages": [["system", "aaa"], ["user", "bbb"]]}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"template": {"flow.yaml:3": "ccc", "ask.md:1": "bbb"}, "messages": [["system", "ccc"]]}, "system"),
        ({"template": {"ask.md:1": "bbb"}, "messages": [["user", "bbb"]]}, "system"),
        ({"template": {"flow.yaml:3": "aaa"}, "messages": [["system", "aaa"]]}, "template:flow.yaml:3"),
        ({"messages": [["system", "aaa"], ["assistant", "bbb"]]}, "template:ask.md:1"),
        ({"messages": [["system", "aaa"], ["user", "bbb"], ["for_each", "eee"]]}, "template"),
        ({"messages": [["user", "bbb"], ["system", "aaa"]]}, "template:ask.md:1"),
        ({"messages": [["system", "aaa"]]}, "template:flow.yaml:3"),
    ],
)
def test_who_says_a_text_and_in_which_order_is_told_at_the_text(changed: dict[str, Json], told: str) -> None:
    assert reason(MESSAGES, {**MESSAGES, **changed}) == told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            {"service": "http://a"},
            {"service": "http://b"},
            "model: gemini/flash of http://a → gemini/flash of http://b",
        ),
        ({}, {"service": "http://b"}, "new"),
        ({"model-version": "1"}, {"model-version": "2"}, "model-version: 1 → 2"),
        ({"model-version": "1"}, {"model-version": "2", "model": "m"}, "model: gemini/flash → m"),
        ({}, {"model-version": "2"}, "new"),
    ],
)
def test_what_answers_under_the_same_name_is_told_where_it_was_known(
    old: dict[str, Json], new: dict[str, Json], told: str
) -> None:
    assert reason({**BASE, **old}, {**BASE, **new}) == told


def test_several_texts_that_moved_and_changed_are_compared_in_their_order() -> None:
    compared: list[tuple[str, str, str]] = []

    class Texts:
        def first_change(self, place: str, old: str, new: str) -> Span | None:
            compared.append((place, old, new))
            return Span("flow.yaml", 30, 7) if old == "b" else None

        def schema_change(self, old: str, new: str) -> SchemaChange | None:
            return SchemaChange("/type", "integer", {"a": 1})

    old = {"template": {"flow.yaml:10": "b", "flow.yaml:9": "a"}, "schema": "s"}
    new = {"template": {"flow.yaml:19": "c", "flow.yaml:20": "d"}, "schema": "t"}
    told = changes(old, new, Texts())
    assert compared == [("flow.yaml:19", "a", "c"), ("flow.yaml:20", "b", "d")]
    assert [str(change) for change in told] == ["template:flow.yaml:19", "template:flow.yaml:30", "schema:/type"]
    assert told[1].span == Span("flow.yaml", 30, 7)


def test_the_whole_of_a_schema_has_no_pointer() -> None:
    class Texts:
        def first_change(self, place: str, old: str, new: str) -> Span | None:
            return None

        def schema_change(self, old: str, new: str) -> SchemaChange | None:
            return SchemaChange("", None, None)

    assert reason({"schema": "s"}, {"schema": "t"}, Texts()) == "schema"


LOW: list[Json] = ["s1", "image", None, "low"]
HIGH: list[Json] = ["s1", "image", None, "high"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a.png": "s1"}, {"b.png": "s1"}, "new"),
        ({"a.png": "s1"}, {"a.png": "s2"}, "file:a.png"),
        ({"a.png": "s1", "b.png": "s2"}, {"b.png": "s2"}, "file:a.png"),
        ({"a.png": "s1", "b.png": "s2"}, {"b.png": "s2", "a.png": "s1"}, "file:b.png, file:a.png"),
        ({"a.png": "s1"}, None, "file:a.png"),
        ({"a.png": "s1"}, {"a.png": LOW}, "option:resolution: (none) → low"),
        ({"a.png": LOW}, {"b.png": HIGH}, "option:resolution: low → high"),
        ({"a.mp4": "s1"}, {"a.mp4": ["s1", "video", [0, 3, None], None]}, "option:clip"),
        ({"a.png": LOW}, {"a.png": ["s2", "image", None, "high"]}, "file:a.png, option:resolution: low → high"),
        ({"a.png": [LOW, "s1"]}, {"a.png": [HIGH, "s1"]}, "option:resolution: low → high"),
        ({"a.png": ["s1", "s1"]}, {"a.png": "s1"}, "file:a.png"),
        ({"a.pdf": LOW}, {"a.pdf": ["s1", "document", None, "low"]}, "file:a.pdf"),
    ],
)
def test_files_are_told_by_what_they_hold_and_apart_from_how_they_are_looked_at(
    before: Json, after: Json, told: str
) -> None:
    assert reason({**BASE, "files": before}, {**BASE, "files": after}) == told
