"""`-s`: only the selected steps are asked, the rest is answered from the store or left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main
from runner.core.errors import CallNeeded, NothingSelected, UsageError

TAGGED = """
format: 1
name: counted
inputs: {topic: {type: string, default: tea}}
data: {rows: {file: rows.jsonl, key: id}}
defaults: {model: box/small}
steps:
  first:
    tags: [smoke, early]
    prompt: "first about {{ inputs.topic }}"
    fields: {word: string}
  second:
    tags: [smoke]
    prompt: "second about {{ steps.first.output.word }}"
    fields: {word: string}
  tag:
    for_each: data.rows
    prompt: "tag {{ item.id }}"
    fields: {label: string, size: integer}
  sum:
    prompt: "sum {{ steps.tag.outputs | length }}"
    fields: {total: integer}
outputs:
  word: steps.second.output.word | default("nothing")
  total: steps.sum.output.total
  table: {rows: data.rows, file: out/table.jsonl, columns: {label: steps.tag.output.label}}
"""


@pytest.fixture
def tagged(project: Any, make_rows: Any) -> Any:
    project.workflow(TAGGED)
    project.write("rows.jsonl", make_rows([{"id": "r1"}, {"id": "r2"}]))
    return project


def notes(project: Any) -> list[str]:
    return [event.message for event in project.events if getattr(event, "code", "") == "not-selected"]


def test_only_the_selected_step_is_asked_and_other_outputs_are_left_out(tagged: Any) -> None:
    result = tagged.run(select=["first"])
    assert tagged.asked == ["first about"]
    assert result.exit_code == 0
    assert result.outputs == {}
    assert notes(tagged) == [
        "output 'word' is left out: 'second' is not selected and has no stored answer",
        "output 'total' is left out: 'tag' is not selected and has no stored answer",
        "output 'table' is left out: 'tag' is not selected and has no stored answer",
    ]
    assert not (tagged.root / "out").exists()


def test_outputs_of_steps_that_are_stored_are_given(tagged: Any) -> None:
    whole = tagged.run().outputs
    (tagged.root / "out/table.jsonl").unlink()
    result = tagged.run(select=["second"])
    assert tagged.asked == []
    assert result.outputs == whole
    assert (tagged.root / "out/table.jsonl").is_file()


@pytest.mark.parametrize(
    ("select", "asked"),
    [
        (["second+"], []),
        (["+second"], ["first about", "second about"]),
        (["first+"], ["first about", "second about"]),
        (["tag:smoke"], ["first about", "second about"]),
        (["+sum"], ["sum 2", "tag r1", "tag r2"]),
        (["first", "tag"], ["first about", "tag r1", "tag r2"]),
        (["step:first"], ["first about"]),
        (["+second+", "tag:early"], ["first about", "second about"]),
        (["changed"], ["first about", "tag r1", "tag r2"]),
        (["changed+"], ["first about", "second about", "sum 2", "tag r1", "tag r2"]),
    ],
)
def test_what_a_selection_asks(tagged: Any, select: list[str], asked: list[str]) -> None:
    if not asked:
        with pytest.raises(CallNeeded):
            tagged.run(select=select)
    else:
        assert tagged.run(select=select).exit_code == 0
    assert tagged.asked == asked


def test_a_step_cannot_run_on_what_is_neither_selected_nor_stored(tagged: Any) -> None:
    with pytest.raises(CallNeeded) as raised:
        tagged.run(select=["second", "sum"])
    assert [problem.message for problem in raised.value.problems] == [
        "'second' cannot run: 'first' is not selected and has no stored answer",
        "'sum' cannot run: 'tag' is not selected and has no stored answer",
    ]
    assert raised.value.problems[0].fix == "-s +second selects also what it reads"
    assert tagged.asked == [], "nothing is paid before it is known that the selection cannot work"
    assert not (tagged.root / ".runner").exists()


def test_the_plan_says_the_same_sentence(tagged: Any, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tagged.root)
    assert main(["plan", "flow.yaml", "-s", "second", "-s", "tag"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines[1:5]] == [".", "!", "+", "."]
    assert "cannot run" in lines[2]
    assert lines[2].endswith("'first' is not selected and has no stored answer")
    assert "certain 2 calls" in lines[6]


def test_items_of_a_lane_of_which_some_are_stored(tagged: Any, make_rows: Any) -> None:
    tagged.run()
    tagged.write("rows.jsonl", make_rows([{"id": "r1"}, {"id": "r2"}, {"id": "r3"}]))
    with pytest.raises(CallNeeded) as raised:
        tagged.run(select=["sum"])
    assert raised.value.problems[0].message == "'sum' cannot run: 'tag' is not selected and has no stored answer"


def test_a_lane_step_names_the_items_that_cannot_run(project: Any, make_rows: Any) -> None:
    project.write("rows.jsonl", make_rows([{"id": "r1"}, {"id": "r2"}]))
    with pytest.raises(CallNeeded):
        project.run(select=["tone"])
    project.run(select=["+tag"])
    project.write("rows.jsonl", make_rows([{"id": f"r{number}"} for number in range(4)]))
    with pytest.raises(CallNeeded) as raised:
        project.run(select=["tone"])
    assert raised.value.problems[0].message == (
        "'tone[r0]' (and 1 more items) cannot run: 'tag' is not selected and has no stored answer"
    )


def test_a_list_that_a_step_makes_which_is_not_selected(project: Any) -> None:
    project.workflow(
        """
format: 1
defaults: {model: box/small}
steps:
  first: {prompt: "first", fields: {words: [string]}}
  each: {for_each: steps.first.output.words, prompt: "hello {{ item }}"}
  last: {prompt: "hello {{ steps.each.texts | length }}"}
"""
    )
    with pytest.raises(CallNeeded) as raised:
        project.run(select=["each"])
    assert raised.value.problems[0].message == "'each' cannot run: 'first' is not selected and has no stored answer"
    with pytest.raises(CallNeeded) as raised:
        project.run(select=["last"])
    assert raised.value.problems[0].message == "'last' cannot run: 'first' is not selected and has no stored answer"


def test_what_is_known_only_after_a_call_ends_with_the_same_sentence(tagged: Any) -> None:
    tagged.edit("  second:\n    tags: [smoke]\n", "  second:\n")
    tagged.edit(
        '  sum:\n    prompt: "sum {{ steps.tag.outputs | length }}"',
        '  sum:\n    prompt: "sum 1 {{ steps.second.output.word }}"',
    )
    result = tagged.run(select=["first", "sum", "tag"])
    assert tagged.asked == ["first about", "tag r1", "tag r2"]
    assert result.exit_code == 6
    assert [problem.message for problem in result.problems] == [
        "'sum' cannot run: 'second' is not selected and has no stored answer"
    ]
    assert result.outputs is None


def test_a_refresh_asks_only_what_is_selected(tagged: Any) -> None:
    tagged.run()
    tagged.run(select=["first"], refresh=["*"])
    assert tagged.asked == ["first about"]


def test_a_failure_of_a_step_that_nobody_selected_does_not_end_the_run_badly(tagged: Any) -> None:
    tagged.special["second about first-word"] = tagged.Answer(text="{}", finish="length")
    assert tagged.run().exit_code == 1
    assert tagged.run(select=["tag"]).exit_code == 0


def test_without_outputs_the_answers_that_are_there_are_given(project: Any) -> None:
    project.workflow("format: 1\ndefaults: {model: box/small}\nsteps: {a: {prompt: hello a}, b: {prompt: hello b}}\n")
    result = project.run(select=["a"])
    assert list(result.outputs) == ["a"]
    assert notes(project) == ["the answer of 'b' is left out: 'b' is not selected and has no stored answer"]


@pytest.mark.parametrize(
    ("select", "kind", "message", "near"),
    [
        ("frist", UsageError, "-s names 'frist', but no step has that name", "first"),
        ("+tga", UsageError, "-s names 'tga', but no step has that name", "tag"),
        ("+", UsageError, "-s '+' selects nothing that has a name", ""),
        ("tag:", UsageError, "-s 'tag:' selects nothing that has a name", ""),
        ("+step:+", UsageError, "-s '+step:+' selects nothing that has a name", ""),
        ("tag:smok", NothingSelected, "-s tag:smok selects nothing: no step has the tag 'smok'", "smoke"),
    ],
)
def test_a_selection_that_names_nothing(tagged: Any, select: str, kind: Any, message: str, near: str) -> None:
    with pytest.raises(kind) as raised:
        tagged.run(select=[select])
    (problem,) = raised.value.problems
    assert (problem.message, problem.nearest) == (message, near)
    assert raised.value.exit_code == (5 if kind is NothingSelected else 2)


def test_nothing_has_changed(tagged: Any) -> None:
    tagged.run()
    with pytest.raises(NothingSelected) as raised:
        tagged.run(select=["changed"])
    assert str(raised.value) == "-s changed selects nothing: every answer is stored"


def test_the_command_takes_several(tagged: Any, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tagged.root)
    assert main(["run", "flow.yaml", "-s", "first", "--select", "tag", "--json"]) == 0
    assert sorted(tagged.asked) == ["first about", "tag r1", "tag r2"]
    assert "output 'total' is left out" in capsys.readouterr().err
    assert Path(tagged.root / "cache").is_dir()
