"""`run --plan` asks what the plan said, and refuses before any call when it would ask something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main

FLOW = """
format: 1
name: saved
inputs: {topic: {type: string, default: tea}, other: {type: string, default: x}}
data: {rows: {file: rows.jsonl, key: id}}
defaults: {model: box/small}
steps:
  first:
    prompt: "first about {{ inputs.topic }}"
    fields: {word: string}
  second:
    prompt: "second about {{ steps.first.output.word }} {{ inputs.other }}"
    fields: {word: string}
  tag:
    for_each: data.rows
    prompt: "tag {{ item.id }}"
    fields: {label: string, size: integer}
    repair: 1
  tone:
    for_each: data.rows
    prompt: "tone of {{ steps.tag.output.label }} {{ item.mood }}"
    fields: {tone: string}
"""


@pytest.fixture
def flow(project: Any, make_rows: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    project.workflow(FLOW)
    project.write("rows.jsonl", make_rows([{"id": "r1", "mood": "a"}, {"id": "r2", "mood": "b"}]))
    monkeypatch.chdir(project.root)
    return project


def plan(*words: str) -> None:
    assert main(["plan", "flow.yaml", "-o", "plan.json", "-q", *words]) == 0


def run(flow: Any, capsys: Any, *words: str) -> tuple[int, str]:
    capsys.readouterr()
    flow.server.forget()
    code = main(["run", "flow.yaml", "--plan", "plan.json", *words])
    return code, capsys.readouterr().err


def test_a_plan_that_holds_is_run(flow: Any, capsys: Any) -> None:
    plan()
    code, _ = run(flow, capsys)
    assert code == 0
    assert len(flow.asked) == 6
    assert run(flow, capsys)[0] == 0
    assert flow.asked == [], "what the plan asked is stored by now"


def test_a_plan_that_was_run_in_part_still_holds(flow: Any, capsys: Any) -> None:
    plan()
    main(["run", "flow.yaml", "-s", "first", "-s", "tag"])
    assert run(flow, capsys)[0] == 0
    assert flow.asked == ["second about", "tone of", "tone of"]


REFUSED = [
    (
        "topic: {type: string, default: tea}",
        "topic: {type: string, default: coffee}",
        "first would be asked another question: input:topic: tea → coffee",
    ),
    (
        '"tag {{ item.id }}"',
        '"tag it {{ item.id }}"',
        "tag[r1] would be asked another question: template:flow.yaml:16 (and 1 more)",
    ),
    ("second about {{", "second of {{", "second may be called with another question: template:flow.yaml:12"),
    ("repair: 1", "repair: 2", "tag may be called up to 6 times, and the plan has 4"),
    ("default: x", "default: y", "second may be called with another question: input:other: x → y"),
]


@pytest.mark.parametrize(("old", "new", "said"), REFUSED)
def test_a_change_of_the_workflow_is_refused_with_what_differs(
    flow: Any, capsys: Any, old: str, new: str, said: str
) -> None:
    plan()
    flow.edit(old, new)
    code, err = run(flow, capsys)
    assert code == 6
    assert flow.asked == []
    assert f"stale-plan: plan.json does not hold any more: {said}\n" in err
    assert "fix:      make the plan again, and look at it" in err


def test_an_input_of_the_command_line_counts_too(flow: Any, capsys: Any) -> None:
    plan("-i", "topic=coffee")
    code, err = run(flow, capsys)
    assert code == 6
    assert "input:topic: coffee → tea" in err
    assert run(flow, capsys, "-i", "topic=coffee")[0] == 0


def test_a_row_that_was_not_planned_is_refused(flow: Any, capsys: Any, make_rows: Any) -> None:
    plan()
    flow.write("rows.jsonl", make_rows([{"id": f"r{number}", "mood": "ab"[number % 2]} for number in range(4)]))
    code, err = run(flow, capsys)
    assert code == 6
    assert "tag[r0] would be asked, which the plan does not have: new (and 1 more)" in err


def test_a_row_that_is_gone_is_refused(flow: Any, capsys: Any, make_rows: Any) -> None:
    plan()
    flow.write("rows.jsonl", make_rows([{"id": "r1", "mood": "a"}]))
    code, err = run(flow, capsys)
    assert code == 6
    assert "tag[r2] would not be asked, and its answer is not stored" in err


def test_a_field_that_is_read_only_later_is_refused(flow: Any, capsys: Any, make_rows: Any) -> None:
    plan()
    flow.write("rows.jsonl", make_rows([{"id": "r1", "mood": "a"}, {"id": "r2", "mood": "changed"}]))
    code, err = run(flow, capsys)
    assert code == 6
    assert "tone may be called with another question: data:rows" in err


def test_the_order_of_rows_and_fields_that_nobody_reads_do_not_matter(flow: Any, capsys: Any, make_rows: Any) -> None:
    plan()
    flow.write("rows.jsonl", make_rows([{"id": "r2", "mood": "b", "more": 1}, {"id": "r1", "mood": "a"}]))
    assert run(flow, capsys)[0] == 0


def test_a_question_that_is_made_anew_is_refused(flow: Any, capsys: Any) -> None:
    main(["run", "flow.yaml"])
    plan()
    code, err = run(flow, capsys, "--refresh", "first")
    assert code == 6
    assert "first would be asked, which the plan does not have: forced" in err


def test_a_step_that_is_new_is_refused(flow: Any, capsys: Any) -> None:
    plan()
    flow.edit("steps:\n", "steps:\n  hello: {prompt: hello}\n")
    code, err = run(flow, capsys)
    assert code == 6
    assert "hello would be asked, which the plan does not have: new" in err
    assert "\nflow.yaml:8:3: stale-plan" in "\n" + err


def test_a_repair_is_within_what_may_be_called(flow: Any, capsys: Any) -> None:
    answers = iter(['{"label": 1}', '{"label": "good", "size": 1}'])
    flow.special["tag r1"] = lambda body: flow.Answer(text=next(answers))
    plan()
    assert run(flow, capsys)[0] == 0
    assert len(flow.asked) == 7


def test_a_list_that_was_not_known_may_have_any_length(project: Any, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(project.root)
    project.workflow(
        "format: 1\ndefaults: {model: box/small}\nsteps:\n  words: {prompt: words, fields: {found: [string]}}\n"
        '  each: {for_each: steps.words.output.found, prompt: "hello {{ item }}"}\n'
    )
    project.special["words"] = project.Answer(text='{"found": ["a", "b", "c"]}')
    plan()
    main(["run", "flow.yaml", "-s", "words"])
    assert run(project, capsys)[0] == 0
    assert project.asked == ["hello a", "hello b", "hello c"]


def test_a_plan_of_another_workflow_is_a_mistake(flow: Any, capsys: Any) -> None:
    plan()
    (flow.root / "flow.yaml").rename(flow.root / "other.yaml")
    assert main(["run", "other.yaml", "--plan", "plan.json"]) == 2
    assert "plan.json was made of flow.yaml, not of other.yaml" in capsys.readouterr().err


def test_what_is_printed_with_json_is_no_saved_plan(flow: Any, capsys: Any) -> None:
    main(["plan", "flow.yaml", "--json"])
    Path("plan.json").write_text(capsys.readouterr().out)
    code, err = run(flow, capsys)
    assert code == 2
    assert err == "bad-plan: plan.json is no saved plan\n  fix:      runner plan FLOW -o FILE writes one\n"


def test_a_saved_plan_is_the_document_and_more(flow: Any, capsys: Any) -> None:
    import json

    main(["plan", "flow.yaml", "--json", "-o", "plan.json"])
    printed = json.loads(capsys.readouterr().out)
    saved = json.loads(Path("plan.json").read_text())
    assert {name: saved[name] for name in printed} == printed
    assert [call[:2] for call in saved["certain"]] == [["first", ""], ["tag", "r1"], ["tag", "r2"]]
    assert [call[4] for call in saved["certain"]] == [call["key"] for call in printed["calls"]]


def test_a_place_that_cannot_be_written_is_said_first(flow: Any, capsys: Any) -> None:
    assert main(["plan", "flow.yaml", "-o", "no/plan.json"]) == 2
    assert capsys.readouterr().err == "unwritable-file: -o: there is no folder 'no'\n"


@pytest.mark.parametrize("name", ["flow.yaml", "FLOW.yaml", "rows.jsonl", "other.jsonl"])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_the_workflow_reads_is_never_written_over(flow: Any, capsys: Any, command: str, name: str) -> None:
    flow.write("other.jsonl", '{"id": "r1", "mood": "a"}\n')
    before = {path.name: path.read_bytes() for path in flow.root.iterdir() if path.is_file()}
    assert main([command, "flow.yaml", "--data", "rows=other.jsonl", "-o", name]) == 2
    assert capsys.readouterr().err == f"overwrites: -o would write over '{name}', which this project reads\n"
    assert {path.name: path.read_bytes() for path in flow.root.iterdir() if path.is_file()} == before
    assert flow.asked == []


def test_one_call_more_is_said_in_the_singular(flow: Any, capsys: Any) -> None:
    plan("-s", "first", "-s", "tag", "-s", "tone")
    code, said = run(flow, capsys)
    assert code == 6
    assert "plan.json does not hold any more: second may be called up to 1 time, and the plan has 0" in said
