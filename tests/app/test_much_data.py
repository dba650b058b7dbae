"""Much data, odd rows, other ways in: memory and time stay sane."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Any

import pytest

from runner.core.errors import RunnerError

LANE = """
format: 1
inputs: {topic: {type: string}}
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: box/small
    for_each: data.rows
    when: item.n == 0
    prompt: "tag {{ item.id }} {{ inputs.topic }}"
outputs:
  count: steps.tag.texts | length
"""
MB = 2**20


@pytest.fixture
def lane(project: Any) -> Any:
    project.workflow(LANE)
    project.write("rows.jsonl", json.dumps({"id": "a", "n": 0}) + "\n")
    project.server.respond = lambda _d, body, _n: project.Answer(text=body["messages"][-1]["content"])
    return project


def command_line(project: Any, *words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-B", "-m", "runner", "run", "flow.yaml", "--no-progress", *words]
    return subprocess.run(command, cwd=project.root, capture_output=True, timeout=120, check=False, **more)


@pytest.mark.slow
def test_two_hundred_thousand_rows_fit_into_memory_and_are_walked_quickly(lane: Any) -> None:
    lines = (json.dumps({"id": f"r{number:06d}", "n": number % 1000, "text": "x" * 100}) for number in range(200_000))
    lane.write("rows.jsonl", "\n".join(lines) + "\n")
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (1200 * MB, 1200 * MB))

    ended = command_line(lane, "-i", "topic=tea", preexec_fn=confine)
    assert (ended.returncode, ended.stdout) == (0, b'{"count":200}\n'), ended.stderr.decode()
    assert lane.server.count == 200
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used < 60


@pytest.mark.slow
def test_a_row_of_50_mb_is_asked_like_any_other_and_replayed(lane: Any) -> None:
    rows = [{"id": "a", "n": 0}, {"id": "b", "n": 0, "text": "big" * 17 * MB}, {"id": "c", "n": 0}]
    lane.write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    lane.edit('prompt: "tag {{ item.id }}', "prompt: \"tag {{ item.id }} {{ item.text | default('') }}")
    lane.server.respond = lambda *_: lane.Answer(text="fine")
    for calls in (3, 0):
        lane.server.forget()
        ended = command_line(lane, "-i", "topic=tea")
        assert (ended.returncode, ended.stdout) == (0, b'{"count":3}\n'), ended.stderr[:2000].decode()
        assert lane.server.count == calls
        assert len(ended.stderr) < 10_000


def test_rows_come_from_standard_input(lane: Any) -> None:
    rows = b'{"id": "x", "n": 0}\n{"id": "y", "n": 0}\n'
    ended = command_line(lane, "-i", "topic=tea", "--data", "rows=-", input=rows)
    assert (ended.returncode, ended.stdout) == (0, b'{"count":2}\n')
    assert sorted(lane.server.by_prompt) == ["tag x tea", "tag y tea"]


def test_a_source_declared_as_standard_input_is_read_from_it(lane: Any) -> None:
    lane.edit("file: rows.jsonl", 'file: "-"')
    ended = command_line(lane, "-i", "topic=tea", input=b'{"id": "x", "n": 0}\n')
    assert (ended.returncode, ended.stdout) == (0, b'{"count":1}\n'), ended.stderr.decode()


def test_standard_input_cannot_be_both_rows_and_an_input(lane: Any) -> None:
    lane.edit("file: rows.jsonl", 'file: "-"')
    ended = command_line(lane, "-i", "topic=-", input=b'{"id": "x", "n": 0}\n')
    assert ended.returncode == 2, (ended.stdout, ended.stderr)
    assert lane.server.count == 0


def test_closed_standard_input_is_one_message(lane: Any) -> None:
    lane.edit("file: rows.jsonl", 'file: "-"')
    command = [sys.executable, "-B", "-m", "runner", "run", "flow.yaml", "-i", "topic=tea"]
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command], cwd=lane.root, capture_output=True, timeout=60, check=False
    )
    assert b"Traceback" not in ended.stderr
    assert b"defect" not in ended.stderr, ended.stderr.decode()
    assert ended.returncode == 2


def test_an_input_comes_from_a_file(lane: Any) -> None:
    lane.write("topic.txt", "green tea")
    ended = command_line(lane, "-i", "topic=@topic.txt")
    assert ended.returncode == 0, ended.stderr.decode()
    assert list(lane.server.by_prompt) == ["tag a green tea"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "missing-input: input 'topic' has no value and no default", id="missing"),
        pytest.param(["-i", "topik=tea"], "nearest:  topic", id="misspelt"),
        pytest.param(["-i", "topic=@nowhere.txt"], "nowhere.txt", id="no file"),
        pytest.param(["-i", "topic=@."], "", id="a folder"),
    ],
)
def test_a_wrong_input_is_2_before_any_call(lane: Any, words: list[str], said: str) -> None:
    ended = command_line(lane, *words)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert said in ended.stderr.decode()
    assert b"Traceback" not in ended.stderr
    assert lane.server.count == 0


def test_run_inside_a_running_loop_names_the_way_out(lane: Any) -> None:
    import asyncio

    async def inside() -> None:
        with pytest.raises(RunnerError, match="run was called inside a running event loop"):
            lane.run(inputs={"topic": "tea"})

    asyncio.run(inside())
    assert lane.server.count == 0


def test_a_cancelled_arun_is_an_interrupted_run(lane: Any) -> None:
    import asyncio

    import runner

    lane.server.respond = lambda *_: lane.Answer(text="late", delay_s=30.0)

    async def inside() -> None:
        task = asyncio.create_task(runner.arun(lane.root / "flow.yaml", inputs={"topic": "tea"}))
        while not lane.server.count:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(inside())
    last = (lane.root / ".runner/runs/r1/journal.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    assert (json.loads(last)["status"], json.loads(last)["exit_code"]) == ("interrupted", 130)
