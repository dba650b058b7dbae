"""The plan is the run with the network taken away: what it calls certain is called, and nothing beyond its bound."""

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
from runner.plan.plan import Plan

SEEDS = range(60)
ROWS = 4


def number_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def answer(body: Any) -> str:
    """An answer that depends on the question alone; one in six needs a repair."""
    messages = [message["content"] for message in body["messages"]]
    number = number_of(messages[0])
    if number % 6 == 0 and len(messages) == 1:
        return '{"flag": "perhaps"}'
    words = [f"w{number % 13}-{index}" for index in range(number % 4)]
    return json.dumps({"flag": number % 3 != 0, "word": f"w{number % 97}", "words": words})


def random_workflow(seed: int) -> str:
    """A graph of some steps: single ones and lanes over rows or over another step's list, conditions and barriers."""
    dice = random.Random(seed)
    lanes: dict[str, str] = {}
    parts = []
    for number in range(dice.randrange(2, 6)):
        name = f"s{number}"
        singles = [other for other, lane in lanes.items() if not lane]
        lane = dice.choice(["", "", "data.rows", *(f"steps.{other}.output.words" for other in singles[:1])])
        reads = dice.sample(list(lanes), k=min(len(lanes), dice.randrange(3)))
        texts = [f"{name} asks" + (" {{ item }}" if lane else "")]
        for other in reads:
            if lanes[other] and lanes[other] != lane:
                texts.append("{{ steps.%s.outputs | length }}" % other)  # noqa: UP031  # braces of the template
            elif dice.random() < 0.3:
                texts.append("{{ steps.%s.output.word | default('none') }}" % other)  # noqa: UP031
            else:
                texts.append("{{ steps.%s.output.word }}" % other)  # noqa: UP031
        lines = [f"  {name}:", f'    prompt: "{" ".join(texts)}"', "    repair: 1"]
        lines += [f"    for_each: {lane}"] if lane else []
        lines += [f"    when: steps.{dice.choice(singles)}.output.flag"] if singles and dice.random() < 0.4 else []
        lines += ["    on_error: skip"] if dice.random() < 0.3 else []
        lines += ["    samples: 2"] if dice.random() < 0.1 else []
        sampled = lines[-1] == "    samples: 2"
        if not sampled:
            lanes[name] = lane
        parts.append("\n".join(lines))
    head = "format: 1\ndata: {rows: {file: rows.jsonl}}\n"
    head += "defaults: {model: box/small, fields: {flag: boolean, word: string, words: [string]}}\nsteps:\n"
    return head + "\n".join(parts) + "\n"


def forget_some(root: Path, dice: random.Random) -> None:
    """Take random answers out of the store."""
    database = next((root / "cache/local").glob("*.db"))
    with sqlite3.connect(database) as db:
        keys = [row[0] for row in db.execute("SELECT rowid FROM Cache ORDER BY rowid")]
        gone = [key for key in keys if dice.random() < dice.choice([0.0, 0.2, 0.6])]
        db.executemany("DELETE FROM Cache WHERE rowid = ?", [(key,) for key in gone])


def bound(plan: Plan) -> float:
    return float("inf") if plan.worst_calls is None else plan.worst_calls


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_makes_the_calls_that_are_certain_and_none_beyond_the_worst_case(project: Any, seed: int) -> None:
    project.server.respond = lambda _dialect, body, _n: project.Answer(text=answer(body))
    project.write("rows.jsonl", "".join(json.dumps({"n": number}) + "\n" for number in range(ROWS)))
    path = project.workflow(random_workflow(seed))
    for _ in range(2):
        plan = plan_workflow(path, RunOptions()).plan
        certain = {call.ask.key for call in plan.asked}
        result = project.run()
        asked = {event.attempt.key for event in project.events if _is_fresh(event)}
        assert certain <= asked, plan
        assert plan.calls <= project.server.count <= bound(plan), plan
        if plan.worst_calls == plan.calls:
            assert project.server.count == plan.calls
        assert result.exit_code in (0, 1)
        forget_some(project.root, random.Random(seed))
    project.run()
    settled = plan_workflow(path, RunOptions()).plan
    project.run()
    assert project.server.count == settled.calls, "nothing is left unknown once all is stored"


def _is_fresh(event: Any) -> bool:
    attempt = getattr(event, "attempt", None)
    return attempt is not None and attempt.source == "fresh"
