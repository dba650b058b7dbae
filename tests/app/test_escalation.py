"""Cheap first: what a further model is asked, replayed, planned and recorded."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.cli.main import main
from runner.core.errors import CallNeeded

FLOW = """
format: 1
name: ladder
data: {rows: {file: rows.jsonl, key: id}}
steps:
  ask:
    model: box/small
    for_each: data.rows
    prompt: "ask {{ item.id }}"
    fields: {sure: number}
    escalate: {to: [box/mid, {model: box/big, temperature: 0.5}], when: output.sure < 0.5%s}
outputs:
  sure: steps.ask.outputs
"""


def ladder(project: Any, answers: dict[str, dict[str, Any]], more: str = "", rows: tuple[str, ...] = ("a",)) -> None:
    """Answers by item and model; a model that is not named is sure."""

    def respond(_dialect: str, body: Any, _n: int) -> Any:
        item = body["messages"][0]["content"].split()[1]
        answer = answers.get(item, {}).get(body["model"], {"sure": 1})
        return answer if isinstance(answer, project.Answer) else project.Answer(text=json.dumps(answer))

    project.server.respond = respond
    project.write("rows.jsonl", "".join(json.dumps({"id": name}) + "\n" for name in rows))
    project.workflow(FLOW % more)


def models(project: Any) -> list[str]:
    return [request.body["model"] for request in project.server.requests]


def test_a_rerun_of_an_escalated_question_makes_no_call(project: Any) -> None:
    ladder(project, {"a": {"small": {"sure": 0.1}}})
    assert project.run().outputs == {"sure": [{"sure": 1}]}
    assert models(project) == ["small", "mid"]
    assert project.run().outputs == {"sure": [{"sure": 1}]}
    assert project.server.count == 0


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_failure_that_the_next_model_answered_is_settled(project: Any, finish: str) -> None:
    ladder(project, {"a": {"small": project.Answer(text="{}", finish=finish)}})
    assert project.run().exit_code == 0
    assert models(project) == ["small", "mid"]
    assert plan_workflow(project.root / "flow.yaml", RunOptions()).plan.worst_calls == 0
    assert project.run().exit_code == 0
    assert project.server.count == 0
    assert project.run(offline=True).exit_code == 0


def test_an_invalid_answer_goes_on_after_its_repairs(project: Any) -> None:
    ladder(project, {"a": {"small": {"sure": "very"}}})
    project.edit("fields: {sure: number}", "fields: {sure: number}\n    repair: 1")
    assert project.run().exit_code == 0
    assert models(project) == ["small", "small", "mid"]
    project.run()
    assert project.server.count == 0


def test_each_further_model_has_its_own_settings_on_the_wire(project: Any) -> None:
    unsure = {"sure": 0.1}
    ladder(project, {"a": {"small": unsure, "mid": unsure}})
    project.edit("    fields:", "    temperature: 0.9\n    fields:")
    project.run()
    assert [(one.body["model"], one.body.get("temperature")) for one in project.server.requests] == [
        ("small", 0.9),
        ("mid", None),
        ("big", 0.5),
    ]


def test_a_run_that_is_cut_short_between_two_models_goes_on_with_the_second(project: Any) -> None:
    ladder(project, {"a": {"small": project.Answer(text="{}", finish="length")}})
    project.run()
    with sqlite3.connect(next((project.root / "cache/local").glob("*.db"))) as db:
        db.execute("DELETE FROM Cache WHERE rowid = (SELECT max(rowid) FROM Cache)")
    assert project.run().exit_code == 0
    assert models(project) == ["mid"]


def test_a_model_that_cannot_be_reached_is_left_for_the_next(project: Any) -> None:
    ladder(project, {"a": {"small": project.Answer(status=503)}}, more=", on: [transport]")
    project.edit("    fields:", "    retries: 0\n    fields:")
    assert project.run().exit_code == 0
    assert models(project) == ["small", "mid"]


def test_a_changed_model_asks_only_what_it_answered(project: Any) -> None:
    unsure = {"sure": 0.1}
    ladder(project, {"a": {"small": unsure}, "b": {}}, rows=("a", "b"))
    project.run()
    project.edit("box/mid", "box/other")
    plan = plan_workflow(project.root / "flow.yaml", RunOptions(), why="ask[a]")
    assert [(call.ask.part, call.reason) for call in plan.plan.asked] == [
        ("ask.escalate.1", "model: box/mid → box/other")
    ]
    (difference,) = plan.why
    assert difference.places == ("flow.yaml:11:21",)
    project.run()
    assert models(project) == ["other"]
    assert project.reasons() == ["model: box/mid → box/other"]


def test_the_lock_has_every_model_that_may_be_asked(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder(project, {})
    monkeypatch.chdir(project.root)
    assert main(["run", "flow.yaml", "--update-lock"]) == 0
    assert project.run(locked=True).exit_code == 0
    project.edit("box/big", "box/huge")
    with pytest.raises(CallNeeded) as error:
        project.run(locked=True)
    assert [problem.message for problem in error.value.problems] == [
        "step 'ask.escalate.2' is not what runner.lock says: model: box/big → box/huge"
    ]


def test_recordings_hold_the_whole_ladder(project: Any) -> None:
    ladder(project, {"a": {"small": {"sure": 0.1}}})
    project.run(record=True)
    places = (project.root / "cache/recordings/places/ladder.jsonl").read_text().splitlines()
    assert [json.loads(line)["place"]["step"] for line in places] == ["ask", "ask.escalate.1"]
    for file in (project.root / "cache/local").glob("*"):
        file.unlink() if file.is_file() else None
    assert project.run(offline=True).outputs == {"sure": [{"sure": 1}]}


def test_a_saved_plan_foresees_the_next_model(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder(project, {"a": {"small": {"sure": 0.1}}, "b": {}}, rows=("a", "b"))
    monkeypatch.chdir(project.root)
    assert main(["plan", "flow.yaml", "-o", "plan.json"]) == 0
    assert main(["run", "flow.yaml", "--plan", "plan.json"]) == 0
    assert models(project) == ["small", "small", "mid"]
    project.edit("box/big", "box/huge")
    assert main(["run", "flow.yaml", "--plan", "plan.json"]) == 0, "every answer is stored"
