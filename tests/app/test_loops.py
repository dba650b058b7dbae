"""A loop from file to exit code: what it asks, replays, resumes, plans and records."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.cli.main import main

FLOW = """
format: 1
name: game
inputs: {goal: {type: integer, default: 3}}
steps:
  play:
    loop:
      max: 6
      state: {fields: {n: integer}, start: {n: 0}}
      steps:
        ask: {model: box/small, prompt: "ask {{ turn }} {{ state.n }}", fields: {plus: integer}, repair: 1%s}
        say: {model: box/small, prompt: "say {{ steps.ask.output.plus }} {{ turn }}"}
      next: {n: state.n + steps.ask.output.plus}
      until: state.n >= inputs.goal
outputs: {n: steps.play.state.n, turns: steps.play.turns | length, finished: steps.play.finished}
"""


def game(project: Any, more: str = "") -> None:
    def respond(_dialect: str, body: Any, _n: int) -> Any:
        words = body["messages"][0]["content"].split()
        return project.Answer(text='{"plus": 1}' if words[0] == "ask" else "well said")

    project.server.respond = respond
    project.workflow(FLOW % more)


def prompts(project: Any) -> list[str]:
    return [request.prompt for request in project.server.requests]


def forget(root: Path, which: str) -> None:
    with sqlite3.connect(next((root / "cache/local").glob("*.db"))) as db:
        db.execute(f"DELETE FROM Cache WHERE rowid IN ({which})")


def test_a_loop_asks_turn_by_turn_and_a_rerun_asks_nothing(project: Any) -> None:
    game(project)
    result = project.run()
    assert result.outputs == {"n": 3, "turns": 3, "finished": True}
    assert prompts(project) == ["ask 1 0", "say 1 1", "ask 2 1", "say 1 2", "ask 3 2", "say 1 3"]
    assert project.run().outputs == result.outputs
    assert project.server.count == 0
    assert project.run(offline=True).outputs == result.outputs


def test_a_run_that_ended_in_the_middle_goes_on_in_its_turn(project: Any) -> None:
    game(project)
    project.run()
    forget(project.root, "SELECT rowid FROM Cache ORDER BY rowid DESC LIMIT 3")
    plan = plan_workflow(project.root / "flow.yaml", RunOptions()).plan
    assert (plan.cached, plan.calls, plan.worst_calls) == (3, 1, 1 + 4 * 3)
    assert project.run().outputs == {"n": 3, "turns": 3, "finished": True}
    assert prompts(project) == ["say 1 2", "ask 3 2", "say 1 3"]


def test_a_further_goal_asks_only_the_turns_that_are_new(project: Any) -> None:
    game(project)
    project.run()
    project.run(inputs={"goal": 5})
    assert prompts(project) == ["ask 4 3", "say 1 4", "ask 5 4", "say 1 5"]
    assert project.reasons() == ["new"] * 4


def test_what_changed_is_told_of_each_turn(project: Any) -> None:
    game(project)
    project.run()
    project.edit("start: {n: 0}", "start: {n: 1}")
    project.run()
    assert project.reasons()[0] == "upstream:state"
    journal = next((project.root / ".runner/runs").iterdir()) / "journal.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    places = [(one["part"], one["turn"]) for one in records if one["event"] == "attempt"]
    assert places == [(name, turn) for turn in (1, 2, 3) for name in ("play.ask", "play.say")]


def test_a_failure_of_a_turn_names_it(project: Any) -> None:
    game(project)
    project.server.respond = lambda _dialect, _body, _n: project.Answer(text="{}")
    result = project.run()
    assert result.exit_code == 1
    (problem,) = result.problems
    assert problem.message == "play.ask[turn 1]: the answer does not fit its schema"


def test_a_loop_of_which_each_turn_escalates_replays(project: Any) -> None:
    game(project, more=", escalate: {to: box/big, when: output.plus < 2}")
    project.run()
    assert [request.body["model"] for request in project.server.requests][:3] == ["small", "big", "small"]
    assert project.run().exit_code == 0
    assert project.server.count == 0


def test_the_plan_names_the_loop_its_models_and_what_it_may_ask(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    game(project)
    monkeypatch.chdir(project.root)
    assert main(["plan", "flow.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "play" in shown
    assert "box/small" in shown
    assert main(["plan", "flow.yaml", "-o", "plan.json"]) == 0
    assert main(["run", "flow.yaml", "--plan", "plan.json"]) == 0
    assert main(["run", "flow.yaml", "--update-lock"]) == 0
    assert main(["run", "flow.yaml", "--locked"]) == 0
    capsys.readouterr()


def test_recordings_hold_every_turn(project: Any) -> None:
    game(project)
    project.run(record=True)
    places = (project.root / "cache/recordings/places/game.jsonl").read_text().splitlines()
    assert len(places) == 6
    assert json.loads(places[0])["place"] == {"item": "turn 1", "repair": 0, "sample": 0, "step": "play.ask"}
    forget(project.root, "SELECT rowid FROM Cache")
    assert project.run(offline=True).outputs == {"n": 3, "turns": 3, "finished": True}


# The plan against the run


def answer(body: Any) -> str:
    """An answer that depends on the question alone: some need a repair, some are unsure."""
    messages = [message["content"] for message in body["messages"]]
    number = int.from_bytes(hashlib.sha256((body["model"] + messages[0]).encode()).digest()[:4], "big")
    if number % 5 == 0 and len(messages) == 1:
        return '{"flag": "perhaps"}'
    return json.dumps({"flag": number % 3 == 0, "word": f"w{number % 97}", "words": ["a", "b"][: number % 3]})


def random_loops(dice: random.Random) -> str:
    """A step that may escalate, a loop over its words or with an end, in a lane or not, and a reader."""
    lane = dice.choice(["", "for_each: data.rows, "])
    inner = []
    for number in range(dice.randrange(1, 4)):
        reads = f" {{{{ steps.i{number - 1}.output.word }}}}" if number else ""
        more = dice.choice(["", "when: turn != 2, ", "escalate: {to: box/big, when: output.flag}, "])
        reads = reads.replace("word }}", "word | default('-') }}")
        inner.append(f'i{number}: {{{more}prompt: "i{number} {{{{ turn }}}} {{{{ state.s }}}}{reads}"}}')
    end = dice.choice(["until: 'steps.i0.output.flag | default(false)'", "over: steps.a.output.words, as: w", "max: 3"])
    most = "" if end.startswith("max") else f"max: {dice.randrange(1, 4)}, "
    word = "steps.i0.output.word | default('x')"
    escalate = dice.choice(["", "escalate: {to: [box/mid, box/big], when: output.flag}, "])
    skip = dice.choice(["", "on_error: skip, "])
    reader = "steps.l.outputs | length" if lane else "steps.l.turns | length"
    return f"""format: 1
data: {{rows: {{file: rows.jsonl}}}}
defaults: {{model: box/small, repair: {dice.randrange(2)}, fields: {{flag: boolean, word: string, words: [string]}}}}
steps:
  a: {{{escalate}prompt: a}}
  l: {{{lane}{skip}loop: {{{most}{end}, state: {{fields: {{s: string}}, start: {{s: x}}}}, next: {{s: "{word}"}}, steps: {{{", ".join(inner)}}}}}}}
  z: {{prompt: "{{{{ {reader} }}}}"}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_a_run_with_loops_makes_the_calls_that_are_certain_and_none_beyond_the_worst_case(
    project: Any, seed: int
) -> None:
    dice = random.Random(seed)
    project.server.respond = lambda _dialect, body, _n: project.Answer(text=answer(body))
    project.write("rows.jsonl", "".join(json.dumps({"n": number}) + "\n" for number in range(3)))
    path = project.workflow(random_loops(dice))
    for _ in range(2):
        plan = plan_workflow(path, RunOptions()).plan
        certain = {call.ask.key for call in plan.asked}
        assert project.run().exit_code in (0, 1)
        asked = {event.attempt.key for event in project.events if _is_fresh(event)}
        assert certain <= asked, plan
        worst = float("inf") if plan.worst_calls is None else plan.worst_calls
        assert plan.calls <= project.server.count <= worst, plan
        keep = dice.choice([2, 3, 5])
        forget(project.root, f"SELECT rowid FROM Cache WHERE rowid % {keep} = 0")
    project.run()
    settled = plan_workflow(path, RunOptions()).plan
    project.run()
    assert project.server.count == settled.calls, "nothing is left unknown once all is stored"


def _is_fresh(event: Any) -> bool:
    attempt = getattr(event, "attempt", None)
    return attempt is not None and attempt.source == "fresh"


OVER = """
format: 1
name: game
inputs:
  questions: {type: array, items: {type: string}, default: [who, why]}
steps:
  list: {model: box/small, prompt: "list", fields: {words: [string]}}
  play:
    loop:
      max: 6
      state: {fields: {n: integer}, start: {n: 0}}
      over: %s
      as: question
      steps:
        ask: {model: box/small, prompt: "ask {{ question }}"}
      next: {n: state.n + 1}
outputs: {n: steps.play.state.n}
"""


def reasons(project: Any) -> list[str]:
    plan = plan_workflow(project.root / "flow.yaml", RunOptions()).plan
    return [reason for step in plan.steps for reason in step.reasons]


def test_a_changed_element_of_a_list_is_told_by_the_input_that_the_loop_walks(project: Any) -> None:
    project.server.respond = lambda *_: project.Answer(text='{"words": ["a", "b"]}')
    project.workflow(OVER % "inputs.questions")
    project.run()
    text = (OVER % "inputs.questions").replace("who, why", "when, why")
    project.workflow(text)
    assert reasons(project) == ["input:questions: who → when"]


def test_a_changed_element_of_a_list_is_told_by_the_step_that_the_loop_walks(project: Any) -> None:
    said = ["a", "b"]
    project.server.respond = lambda *_: project.Answer(text=json.dumps({"words": said}))
    project.workflow(OVER % "steps.list.output.words")
    project.run()
    said[0] = "c"
    project.run(refresh=["list"], select=["list"])
    assert reasons(project) == ["upstream:list"]
