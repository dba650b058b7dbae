"""Each reason word: one ingredient is changed alone, and exactly the questions made of it are asked again, for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.core import request
from runner.core.events import AttemptMade
from runner.dialects import ASKED

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82"
FLOW = """\
format: 1
name: reasons
inputs:
  topic: {type: string, default: tea}
  other: {type: string, default: unread}
data: {rows: {file: rows.jsonl, key: id}}
models: {fast: box/small}
defaults: {model: fast}
steps:
  first:
    temperature: 0.5
    system: |
      Be brief.
      Be kind.
    prompt: |
      first about tea
      {% include "parts/rules.md" %}
    fields: {word: string}
  second:
    cache: {salt: a}
    prompt: {file: prompts/second.md}
    schema:
      type: object
      additionalProperties: false
      required: [word, tags]
      properties:
        word: {type: string}
        tags: {type: array, items: {enum: [x, y]}}
  third:
    messages:
      - {role: user, text: "third about {{ inputs.topic }}"}
      - {role: assistant, text: "Go on."}
      - {role: user, text: "third, once more"}
    options: {presence_penalty: 0.5}
    fields: {word: string, more: "string?"}
  tag:
    for_each: data.rows
    when: steps.third.output.word != "none"
    prompt: "tag {{ item.id }} {{ item.mood }}"
    fields: {label: string, size: integer}
"""
SECOND = "second about {{ steps.first.output.word }}\nand nothing else\n"
RULES = "Use few words.\nUse no numbers.\n"
ROWS = [{"id": "r1", "mood": "calm", "note": "a"}, {"id": "r2", "mood": "calm", "note": "a"}]
ANSWERS = {
    "first": {"word": "one"},
    "second": {"word": "two", "tags": ["x"]},
    "third": {"word": "three", "more": None},
    "tag": {"label": "fine", "size": 3},
}
ALL_TAGS = ("tag[r1]", "tag[r2]")

Change: TypeAlias = Callable[[Any], None]


@dataclass(frozen=True)
class Flip:
    """A change, the questions that are asked for it, the reason, and where `--why` says that it is written.

    `behind` are questions that are asked for the same reason and are known only after others.
    """

    word: str
    change: Change
    asked: tuple[str, ...]
    reason: str
    place: str = ""
    behind: tuple[str, ...] = ()


def edit(old: str, new: str, file: str = "flow.yaml") -> Change:
    def change(flow: Any) -> None:
        text = (flow.root / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} in {file}"
        flow.write(file, text.replace(old, new))

    return change


def rows(*values: dict[str, Any]) -> Change:
    return lambda flow: flow.write("rows.jsonl", "".join(json.dumps(value) + "\n" for value in values))


def another_answer(flow: Any) -> None:
    """The first step is asked alone once more, and answers something else."""
    flow.answers["first"] = {"word": "another"}
    assert flow.run(refresh=["first"], select=["first"]).exit_code == 0


def damage(flow: Any) -> None:
    """The stored answer of `third` gets other bytes."""
    key = flow.key_of("third")
    with closing(sqlite3.connect(flow.root / "cache/local/cache.db")) as database:
        assert database.execute("UPDATE Cache SET value = X'00' WHERE key = ?", (key,)).rowcount == 1
        database.commit()


FLIPS = [
    Flip(
        "model",
        edit("box/small", "box/large"),
        ("first", "third"),
        "model: box/small → box/large",
        "flow.yaml:8:19",
        behind=("second", *ALL_TAGS),
    ),
    Flip(
        "model of another service",
        edit("identity: box", "identity: other", "runner.yaml"),
        ("first", "third"),
        "model: box/small of box → box/small of other",
        "flow.yaml:8:19",
        behind=("second", *ALL_TAGS),
    ),
    Flip(
        "model of one step",
        edit("    options:", "    model: box/large\n    options:"),
        ("third",),
        "model: box/small → box/large",
        "flow.yaml:34:12",
    ),
    Flip(
        "option",
        edit("temperature: 0.5", "temperature: 0.7"),
        ("first",),
        "option:temperature: 0.5 → 0.7",
        "flow.yaml:11:18",
    ),
    Flip("option gone", edit("    temperature: 0.5\n", ""), ("first",), "option:temperature: 0.5 → (none)"),
    Flip(
        "own option",
        edit("presence_penalty: 0.5", "presence_penalty: 0.6"),
        ("third",),
        "option:presence_penalty: 0.5 → 0.6",
        "flow.yaml:34:33",
    ),
    Flip(
        "template, the line inside a block",
        edit('{% include "parts/rules.md" %}', '- {% include "parts/rules.md" %}'),
        ("first",),
        "template:flow.yaml:17",
        "flow.yaml:17:7",
    ),
    Flip(
        "template, the line of a prompt file",
        edit("and nothing else", "and nothing more", "prompts/second.md"),
        ("second",),
        "template:prompts/second.md:2",
        "prompts/second.md:2:13",
    ),
    Flip(
        "template, the line of a file that is brought in",
        edit("no numbers", "no verbs", "parts/rules.md"),
        ("first",),
        "template:parts/rules.md:2",
        "parts/rules.md:2:8",
    ),
    Flip(
        "template, one of some messages",
        edit("Go on.", "Go on!"),
        ("third",),
        "template:flow.yaml:32",
        "flow.yaml:32:39",
    ),
    Flip(
        "template, who says it",
        edit('role: assistant, text: "Go on."', 'role: user, text: "Go on."'),
        ("third",),
        "template:flow.yaml:32",
        "flow.yaml:32:29",
    ),
    Flip("input", edit("default: tea", "default: coffee"), ("third",), "input:topic: tea → coffee", "flow.yaml:4:3"),
    Flip(
        "data",
        rows({**ROWS[0], "mood": "wild"}, ROWS[1]),
        ("tag[r1]",),
        "data:mood: calm → wild",
        "flow.yaml:37:15",
    ),
    Flip("upstream", another_answer, ("second",), "upstream:first", "flow.yaml:10:3"),
    Flip("system", edit("Be kind.", "Be polite."), ("first",), "system", "flow.yaml:14:10"),
    Flip(
        "schema, a value",
        edit("word: {type: string}", "word: {type: [string, integer]}"),
        ("second",),
        "schema:/properties/word/type: string → string, integer",
        "flow.yaml:27:22",
    ),
    Flip(
        "schema, a list",
        edit("enum: [x, y]", "enum: [x, y, z]"),
        ("second",),
        "schema:/properties/tags/items/enum: x, y → x, y, z",
        "flow.yaml:28:43",
    ),
    Flip(
        "schema, the short form",
        edit("size: integer", "size: number"),
        ALL_TAGS,
        "schema:/properties/size/type: integer → number",
        "flow.yaml:40:35",
    ),
    Flip(
        "schema, not sent any more",
        edit("    options:", "    enforce: local\n    options:"),
        ("third",),
        "schema",
        "flow.yaml:36:13",
    ),
    Flip("salt", edit("salt: a", "salt: b"), ("second",), "salt: a → b", "flow.yaml:20:19"),
    Flip(
        "now-invalid",
        edit("    fields: {label", "    ensure: ['output.size > 3']\n    fields: {label"),
        ALL_TAGS,
        "now-invalid",
    ),
    Flip("damaged", damage, ("third",), "damaged"),
    Flip("off", edit("cache: {salt: a}", "cache: {salt: a, use: off}"), ("second",), "off"),
    Flip("new", rows(*ROWS, {**ROWS[0], "id": "r3"}), ("tag[r3]",), "new"),
]
NOTHING = {
    "an input that no prompt reads": edit("default: unread", "default: still unread"),
    "the order of the rows, and a column that no prompt reads": rows(*({**row, "note": "b"} for row in reversed(ROWS))),
    "a remark": edit("  second:\n", "  # a remark\n  second:\n"),
    "a description": edit("name: reasons\n", "name: reasons\ndescription: What is not asked.\n"),
    "other quotes": edit('"Go on."', "'Go on.'"),
    "a condition": edit('!= "none"', '!= "nothing"'),
    "a name for the same model": edit("models: {fast: box/small}", "models: {fast: same, same: box/small}"),
}


class Flow:
    """The project with what its server answers, by step."""

    def __init__(self, project: Any) -> None:
        self.project = project
        self.root = project.root
        self.write = project.write
        self.answers = dict(ANSWERS)
        project.server.respond = self.respond

    def respond(self, _dialect: str, body: Any, _n: int) -> Any:
        asked = next(message["content"] for message in body["messages"] if message["role"] == "user")
        return self.project.Answer(text=json.dumps(self.answers[asked.split()[0].rstrip(",")]))

    def run(self, **options: Any) -> Any:
        return self.project.run(**options)

    def planned(self, why: str = "", **options: Any) -> Any:
        return plan_workflow(self.root / "flow.yaml", RunOptions(**options), why)

    def asked(self, **options: Any) -> list[tuple[str, str]]:
        """What the run asked, and why, in the order of the plan."""
        self.run(**options)
        fresh = [event for event in self.project.events if isinstance(event, AttemptMade)]
        found = [(_spelled(one.step, one.item), one.attempt.reason) for one in fresh if one.attempt.source == "fresh"]
        assert self.project.server.count == len(found)
        return sorted(found, key=_in_order)

    def key_of(self, step: str) -> str:
        (call,) = [one for one in self.planned(refresh=frozenset({step})).plan.asked if one.ask.step == step]
        return str(call.ask.key)


def _in_order(asked: tuple[str, str]) -> tuple[int, str]:
    return list(ANSWERS).index(asked[0].partition("[")[0]), asked[0]


def _spelled(step: str, item: str) -> str:
    return f"{step}[{item}]" if item else step


@pytest.fixture
def flow(project: Any) -> Flow:
    made = Flow(project)
    made.write("flow.yaml", FLOW)
    made.write("prompts/second.md", SECOND)
    made.write("parts/rules.md", RULES)
    rows(*ROWS)(made)
    result = made.run()
    assert result.exit_code == 0, result.problems
    assert made.planned().plan.calls == 0
    return made


@pytest.mark.parametrize("flip", FLIPS, ids=lambda flip: flip.word)
def test_what_changed_is_the_reason_for_exactly_what_is_asked(flow: Flow, flip: Flip) -> None:
    flip.change(flow)
    report = flow.planned()
    expected = [(place, flip.reason) for place in flip.asked]
    assert [(_spelled(call.ask.step, call.ask.item), call.reason) for call in report.plan.asked] == expected
    assert report.plan.calls == len(expected)
    if flip.place:
        assert {why.places for why in report.why} == {(flip.place,)}
    assert flow.asked() == sorted(expected + [(place, flip.reason) for place in flip.behind], key=_in_order)
    flow.run()
    assert flow.project.server.count == (len(expected) if flip.word == "off" or "invalid" in flip.word else 0)


@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
def test_what_is_not_in_the_question_asks_nothing(flow: Flow, change: Change) -> None:
    change(flow)
    assert flow.planned().plan.calls == 0
    assert flow.asked() == []


def test_several_changes_are_all_named(flow: Flow) -> None:
    edit("temperature: 0.5", "temperature: 0.7")(flow)
    edit("Be kind.", "Be polite.")(flow)
    edit("first about tea", "first about coffee")(flow)
    (call,) = flow.planned().plan.asked
    assert call.reason == "option:temperature: 0.5 → 0.7, system, template:flow.yaml:16"


def test_a_thinking_level_is_the_reason(flow: Flow) -> None:
    edit("providers:", "models:\n  box/small: {thinking: [low, high]}\nproviders:", "runner.yaml")(flow)
    edit("    temperature: 0.5", "    thinking: low\n    temperature: 0.5")(flow)
    assert ("first", "thinking: (none) → low") in flow.asked()
    edit("thinking: low\n", "thinking: high\n")(flow)
    report = flow.planned()
    assert [(why.step, why.reason, why.places) for why in report.why] == [
        ("first", "thinking: low → high", ("flow.yaml:11:15",))
    ]
    assert flow.asked() == [("first", "thinking: low → high")]


PICTURES = """\
format: 1
name: pictures
data: {shots: {file: shots.jsonl, key: id}}
defaults: {model: box/small}
steps:
  look:
    prompt: first about a picture
    files:
      - image: media/plan.png
  each:
    for_each: data.shots
    prompt: "tag {{ item.id }}"
    files:
      - {for_each: item.shots, as: shot, files: [{image: "{{ shot }}"}]}
    fields: {label: string, size: integer}
"""


@pytest.mark.parametrize(
    ("changed", "asked", "place"),
    [
        ("media/plan.png", ["look"], "flow.yaml:9:16"),
        ("media/a.png", ["each[s1]"], "flow.yaml:14:58"),
        ("media/both.png", ["each[s1]", "each[s2]"], "flow.yaml:14:58"),
    ],
)
def test_the_bytes_of_a_file_are_the_reason(project: Any, changed: str, asked: list[str], place: str) -> None:
    project.workflow(PICTURES)
    shots = [{"id": "s1", "shots": ["media/a.png", "media/both.png"]}, {"id": "s2", "shots": ["media/both.png"]}]
    project.write("shots.jsonl", "".join(json.dumps(row) + "\n" for row in shots))
    (project.root / "media").mkdir()
    for name in ("plan", "a", "both"):
        (project.root / f"media/{name}.png").write_bytes(PNG + name.encode())
    project.server.respond = lambda *_: project.Answer(text=json.dumps(ANSWERS["tag"]))
    assert project.run().exit_code == 0
    (project.root / changed).write_bytes(PNG + b"another")
    report = plan_workflow(project.root / "flow.yaml", RunOptions(), "")
    found = [(_spelled(call.ask.step, call.ask.item), call.reason) for call in report.plan.asked]
    assert [where for where, _ in found] == asked
    assert {reason for _, reason in found} == {f"file:{changed}"}
    assert {why.places for why in report.why} == {(place,)}
    project.run()
    assert project.server.count == len(asked)


def test_more_samples_ask_the_new_ones(flow: Flow) -> None:
    edit("options: {presence_penalty: 0.5}", "options: {presence_penalty: 0.5}\n    samples: 1")(flow)
    edit("    when: steps.third.output.word", "    when: steps.first.output.word")(flow)
    assert flow.asked() == []
    edit("samples: 1", "samples: 3")(flow)
    report = flow.planned()
    expected = [("third", "sample: 0 → 1"), ("third", "sample: 0 → 2")]
    assert [(call.ask.step, call.reason) for call in report.plan.asked] == expected
    assert {why.places for why in report.why} == {("flow.yaml:35:14",)}
    assert sorted(flow.asked()) == expected


def test_forced_and_off_are_said_of_what_the_options_name(flow: Flow) -> None:
    planned = flow.planned(refresh=frozenset({"second"})).plan.asked
    assert [(call.ask.step, call.reason) for call in planned] == [("second", "forced")]
    assert flow.asked(refresh=["second"]) == [("second", "forced")]
    assert {reason for _, reason in flow.asked(use_cache=False)} == {"off"}


def test_a_failure_that_is_not_settled_is_asked_again(flow: Flow) -> None:
    flow.answers["second"] = {"word": "two", "tags": ["neither"]}
    assert ("second", "forced") in flow.asked(refresh=["second"])
    assert [(call.ask.step, call.reason) for call in flow.planned().plan.asked] == [("second", "failed-before")]
    flow.answers["second"] = ANSWERS["second"]
    assert flow.asked() == [("second", "failed-before")]
    assert flow.asked() == []


def test_one_more_repair_asks_for_what_failed_before(flow: Flow) -> None:
    flow.answers["second"] = {"word": "two", "tags": ["neither"]}
    flow.asked(refresh=["second"])
    edit("    cache: {salt: a}", "    repair: 1\n    cache: {salt: a}")(flow)
    (call,) = flow.planned().plan.asked
    assert (call.ask.step, call.ask.repair, call.reason) == ("second", 1, "failed-before")
    assert flow.asked() == [("second", "failed-before")]


def test_a_repair_that_todays_rules_ask_for_says_so(flow: Flow) -> None:
    edit("    fields: {label", "    repair: 1\n    ensure: ['output.size > 3']\n    fields: {label")(flow)
    planned = flow.planned().plan.asked
    assert [(call.ask.item, call.ask.repair, call.reason) for call in planned] == [
        ("r1", 1, "now-invalid"),
        ("r2", 1, "now-invalid"),
    ]
    assert flow.asked() == [("tag[r1]", "now-invalid"), ("tag[r2]", "now-invalid")]


def test_the_repair_of_a_question_that_changed_is_asked_for_the_same_reason(flow: Flow) -> None:
    edit("    cache: {salt: a}", "    repair: 1\n    cache: {salt: b}")(flow)
    flow.answers["second"] = {"word": "two", "tags": ["neither"]}
    assert flow.asked() == [("second", "salt: a → b"), ("second", "salt: a → b")]


def test_another_version_of_the_keys_is_a_reason(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    class Newer(type(ASKED["openai-chat"])):  # type: ignore[misc]  # whatever class the table holds
        key_version = 2

    monkeypatch.setitem(ASKED, "openai-chat", Newer())
    assert {call.reason for call in flow.planned().plan.asked} == {"key-format: openai-chat/1 → openai-chat/2"}
    assert {reason for _, reason in flow.asked()} == {"key-format: openai-chat/1 → openai-chat/2"}


def test_another_spelling_of_the_same_question_is_a_key_format(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.core.request.KEY_FORMAT", 2)
    request._head.cache_clear()
    assert {call.reason for call in flow.planned().plan.asked} == {"key-format"}
    assert [reason for _, reason in flow.asked()] == ["key-format"] * 5
    request._head.cache_clear()


def test_other_bytes_behind_a_model_are_a_model_version(flow: Flow) -> None:
    flow.write("answers.jsonl", '{"answer": "hello"}\n')
    flow.write("flow.yaml", "format: 1\nsteps: {a: {model: scripted/answers.jsonl, prompt: hi}}\n")
    flow.run()
    flow.write("answers.jsonl", '{"answer": "good evening"}\n')
    (call,) = flow.planned().plan.asked
    word, _, versions = call.reason.partition(": ")
    assert word == "model-version"
    assert [len(version) for version in versions.split(" → ")] == [12, 12]
    result = flow.run()
    assert result.outputs == "good evening"
    assert flow.project.reasons() == [call.reason]


def test_a_model_that_the_prompt_names_is_upstream(flow: Flow) -> None:
    edit("and nothing else", "from {{ steps.first.model }}", "prompts/second.md")(flow)
    flow.run()
    flow.project.server.respond = lambda dialect, body, n: flow.project.Answer(
        text=flow.respond(dialect, body, n).text, model="box-2"
    )
    flow.run(refresh=["first"], select=["first"])
    assert [(call.ask.step, call.reason) for call in flow.planned().plan.asked] == [("second", "upstream:first")]


def test_an_explanation_without_kept_texts_names_where_the_text_begins(flow: Flow) -> None:
    for path in (flow.root / ".runner/texts").iterdir():
        path.unlink()
    edit("and nothing else", "and nothing more", "prompts/second.md")(flow)
    edit("enum: [x, y]", "enum: [x, y, z]")(flow)
    report = flow.planned()
    assert [call.reason for call in report.plan.asked] == ["template:prompts/second.md:1, schema"]
    assert [why.places for why in report.why] == [("prompts/second.md:1:1", "flow.yaml:23:7")]


def test_a_recording_explains_without_a_record_of_the_run(flow: Flow) -> None:
    flow.run(record=True)
    for name in ("texts", "runs"):
        (flow.root / ".runner" / name).rename(flow.root / f"gone-{name}")
    edit("and nothing else", "and nothing more", "prompts/second.md")(flow)
    edit("enum: [x, y]", "enum: [x, y, z]")(flow)
    (call,) = flow.planned().plan.asked
    assert call.reason == "template:prompts/second.md:2, schema:/properties/tags/items/enum: x, y → x, y, z"
