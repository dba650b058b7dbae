"""`plan --why`: what changed since the answer that was last used, where it is written, and how old that answer is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.app.change_places import place_of_change
from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.cli.main import main
from runner.config.load import load_workflow
from runner.report.format import age

FLOW = """\
format: 1
name: why
inputs:
  topic: {type: string, default: tea}
data: {rows: {file: rows.jsonl, key: id}}
models: {fast: box/small}
defaults: {model: fast}
steps:
  first:
    temperature: 0.5
    system: "Be brief."
    prompt: "first about {{ inputs.topic }}"
    fields: {word: string}
  second:
    cache: {salt: a}
    messages:
      - {role: user, text: "second about {{ steps.first.output.word }}"}
    fields: {word: string}
  tag:
    for_each: data.rows
    prompt: "tag {{ item.id }} {{ item.mood }}"
    fields: {label: string, size: integer}
"""
CHANGES = [
    ("first", "temperature: 0.5", "temperature: 0.7", "option:temperature: 0.5 → 0.7", "flow.yaml:10:18"),
    ("first", "default: tea", "default: coffee", "input:topic: tea → coffee", "flow.yaml:4:3"),
    ("first", '"first about', '"now about', "template:flow.yaml:12", "flow.yaml:12:14"),
    ("first", "Be brief.", "Be long.", "system", "flow.yaml:11:17"),
    ("first", "box/small", "box/large", "model: box/small → box/large", "flow.yaml:7:19"),
    ("second", "salt: a", "salt: b", "salt: a → b", "flow.yaml:15:19"),
    ("second", "second about", "two about", "template:flow.yaml:17", "flow.yaml:17:29"),
    (
        "tag[r1]",
        "size: integer",
        "size: number",
        "schema:/properties/size/type: integer → number",
        "flow.yaml:22:35",
    ),
]


@pytest.fixture
def flow(project: Any, make_rows: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    project.workflow(FLOW)
    project.write("rows.jsonl", make_rows([{"id": "r1", "mood": "a"}]))
    monkeypatch.chdir(project.root)
    assert project.run().exit_code == 0
    return project


@pytest.mark.parametrize(("why", "old", "new", "said", "place"), CHANGES)
def test_each_change_is_named_with_its_place(flow: Any, why: str, old: str, new: str, said: str, place: str) -> None:
    flow.edit(old, new)
    (found,) = plan_workflow(flow.root / "flow.yaml", RunOptions(), why).why
    pairs = list(zip(map(str, found.changed), found.places, strict=True))
    assert pairs == [(said, place)]
    assert found.nearest_run == "r1"
    assert found.age_s is not None


def test_a_row_that_changed_points_at_the_list(flow: Any, make_rows: Any) -> None:
    flow.write("rows.jsonl", make_rows([{"id": "r1", "mood": "b"}]))
    (found,) = plan_workflow(flow.root / "flow.yaml", RunOptions(), "tag").why
    assert [str(change) for change in found.changed] == ["data:mood: a → b"]
    assert found.places == ("flow.yaml:20:15",)


def test_an_item_that_was_never_asked_names_the_nearest_one(flow: Any, make_rows: Any, capsys: Any) -> None:
    flow.write("rows.jsonl", make_rows([{"id": "r9", "mood": "a"}]))
    capsys.readouterr()
    main(["plan", "flow.yaml", "--why", "tag[r9]"])
    lines = capsys.readouterr().out.splitlines()[-4:]
    assert lines[0] == "tag[r9]  new"
    assert lines[2] == "  changed   data:id: r1 → r9   flow.yaml:20:15"
    assert lines[3].startswith("  nearest   answer of tag[r1] of run r1, less than a minute old, key ")


def test_an_answer_that_is_gone_is_no_longer_stored(flow: Any, capsys: Any) -> None:
    for path in (flow.root / "cache").rglob("*.db*"):
        path.unlink()
    capsys.readouterr()
    main(["plan", "flow.yaml", "--why", "first"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("  nearest   answer of run r1, no longer stored, key ")


def test_what_is_not_asked_has_nothing_to_explain(flow: Any, capsys: Any) -> None:
    capsys.readouterr()
    assert main(["plan", "flow.yaml", "--why", "tag[r1]"]) == 0
    assert capsys.readouterr().out.endswith("\ntag[r1]  no call that is certain: tag is 'cached'\n")
    flow.edit("default: tea", "default: coffee")
    main(["plan", "flow.yaml", "--why", "second"])
    said = "\nsecond  no call that is certain: second is 'may call', known after first\n"
    assert capsys.readouterr().out.endswith(said)


def test_many_rows_are_compared_with_some_entries_each(flow: Any, make_rows: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("runner.app.explaining.MOST_COMPARED", 1)
    flow.write("rows.jsonl", make_rows([{"id": f"r{number}", "mood": "a"} for number in range(2, 5)]))
    found = plan_workflow(flow.root / "flow.yaml", RunOptions(), "tag").why
    assert [one.nearest_place for one in found] == ["tag[r1]"] * 3


def test_the_document_has_the_places_too(flow: Any, capsys: Any) -> None:
    flow.edit("salt: a", "salt: b")
    capsys.readouterr()
    main(["plan", "flow.yaml", "--why", "second", "--json"])
    (why,) = json.loads(capsys.readouterr().out)["why"]
    assert (why["changed"], why["places"]) == (["salt: a → b"], ["flow.yaml:15:19"])


def test_what_no_file_says_has_no_place(flow: Any) -> None:
    workflow = load_workflow(flow.root / "flow.yaml").workflow
    assert workflow is not None
    for word in ("key-format", "thinking", "input:none", "upstream:none", "template", "sample"):
        assert place_of_change(word, workflow.steps["first"], workflow) is None
    assert str(place_of_change("upstream:first", workflow.steps["second"], workflow)) == "flow.yaml:9:3"


def test_a_message_that_is_repeated_has_its_place(project: Any) -> None:
    project.workflow(
        "format: 1\ndefaults: {model: box/small}\nsteps:\n  a:\n    messages:\n"
        "      - {for_each: '[1, 2]', as: n, messages: [{role: user, text: 'hello {{ n }}'}]}\n"
    )
    workflow = load_workflow(project.root / "flow.yaml").workflow
    assert workflow is not None
    assert str(place_of_change("template:flow.yaml:6", workflow.steps["a"], workflow)) == "flow.yaml:6:68"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "less than a minute old"),
        (60, "1 minute old"),
        (7300, "2 hours old"),
        (3 * 86400 + 5, "3 days old"),
        (1e8, "1,157 days old"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    assert age(seconds) == said
