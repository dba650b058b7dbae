"""A run that is killed or interrupted: nothing that was received is asked again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "killing.py"
ROWS = 300
PARALLEL = 8
KILLS = 50
SEED = 20_261_122

LANE = """
format: 1
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: box/small
    for_each: data.rows
    prompt: "tag {{ item.id }} x"
    fields: {label: string, size: integer}
outputs:
  count: steps.tag.outputs | length
"""


@pytest.fixture
def lane(project: Any, make_rows: Callable[[Any], str]) -> Any:
    project.workflow(LANE)
    project.write("rows.jsonl", make_rows([{"id": f"r{number:03d}"} for number in range(ROWS)]))
    answer = project.Answer(text='{"label": "a", "size": 1}', delay_s=0.01)
    project.server.respond = lambda *_: answer
    return project


def start(project: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "runner", "run", "flow.yaml", "-j", str(PARALLEL), "--no-progress"]
    # Without byte code each of the many starts would compile every module again.
    left_out = ("COV_CORE", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def wait_for(project: Any, count: int, process: subprocess.Popen[bytes]) -> None:
    """Until the server was asked so often, or the run has ended."""
    until = time.monotonic() + 60
    while project.server.count < count and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)


@pytest.mark.slow
def test_killed_at_fifty_random_points_nothing_received_is_asked_again(lane: Any) -> None:
    """One run of 300 rows, killed at fifty points and started again each time: it goes on from where it was."""
    points = sorted(random.Random(SEED).sample(range(1, ROWS), KILLS))
    asked_again: list[int] = []
    known: Counter[str] = Counter()
    for point in points:
        lane.server.forget()
        process = start(lane)
        wait_for(lane, point - len(known), process)
        process.kill()
        process.communicate()
        lane.server.settle()
        asked_again.append(sum(1 for prompt in lane.server.by_prompt if known[prompt]))
        assert max(lane.server.by_prompt.values(), default=1) == 1
        known.update(lane.server.by_prompt)
    result = lane.run(parallel=PARALLEL)
    asked_again.append(sum(1 for prompt in lane.server.by_prompt if known[prompt]))
    assert result.exit_code == 0
    assert result.outputs == {"count": ROWS}
    assert set(known) | set(lane.server.by_prompt) == {f"tag r{number:03d} x" for number in range(ROWS)}
    assert max(asked_again) <= PARALLEL, asked_again
    assert sum(asked_again) == known.total() + lane.server.count - ROWS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["KILL", "INT", "TERM"])
def test_the_measurement_of_ends_finds_nothing_lost(name: str) -> None:
    words = [sys.executable, str(BENCHMARK), "--signal", name, "--times", "4", "--rows", "200", "--at-once", "8"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SIG{name}, 4 times at random points" in done.stdout
    assert "answers lost: 0" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_once_it_keeps_what_is_in_flight(lane: Any, number: signal.Signals) -> None:
    process = start(lane)
    wait_for(lane, 40, process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr.decode()
    assert stdout == b""
    journal = (lane.root / ".runner/runs/r1/journal.jsonl").read_text().splitlines()
    assert json.loads(journal[-1])["status"] == "interrupted"
    lane.server.settle()
    before = Counter(lane.server.by_prompt)
    lane.server.forget()
    assert main(["-C", str(lane.root), "run", "--resume", "r1", "-q"]) == 0
    assert lane.server.by_prompt
    assert not [prompt for prompt in lane.server.by_prompt if before[prompt]]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_does_not_wait_for_a_silent_server(lane: Any, number: signal.Signals) -> None:
    """A few answers, then none: those under way take longer than any before, and are given up after two seconds."""
    answer = lane.Answer(text='{"label": "a", "size": 1}')
    silent = lane.Answer(text='{"label": "a", "size": 1}', delay_s=60.0)
    lane.server.respond = lambda *_: answer if lane.server.count <= 20 else silent
    process = start(lane)
    wait_for(lane, 20 + PARALLEL, process)
    time.sleep(0.5)
    started = time.monotonic()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr.decode()
    assert 1.5 < time.monotonic() - started < 8
    assert "no answer 2 s after the run was stopped, and not waited for any longer; it may be paid" in stderr.decode()
    lane.server.respond = lambda *_: answer
    before = Counter(lane.server.by_prompt)
    lane.server.forget()
    assert main(["-C", str(lane.root), "run", "--resume", "r1", "-q"]) == 0
    asked_again = [prompt for prompt in lane.server.by_prompt if before[prompt]]
    assert len(asked_again) == PARALLEL


@pytest.mark.slow
def test_interrupted_twice_it_ends_at_once(lane: Any) -> None:
    slow = lane.Answer(text='{"label": "a", "size": 1}', delay_s=30.0)
    lane.server.respond = lambda *_: slow
    process = start(lane)
    wait_for(lane, 4, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr.decode()
    assert time.monotonic() - started < 5


def test_two_runs_at_once_do_not_hurt_each_other(lane: Any) -> None:
    first, second = start(lane), start(lane)
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert outputs == [b'{"count":300}\n', b'{"count":300}\n']
    assert sorted(path.name for path in (lane.root / ".runner/runs").iterdir()) == ["r1", "r2"]
