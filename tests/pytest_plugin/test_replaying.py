"""`runner test -n N`: the verdicts of one process, from several."""

from __future__ import annotations

import json
import os
import shlex
import signal
from typing import Any

import pytest

from runner.app.types import RunOptions
from runner.cli.main import main
from runner.pytest_plugin import replaying
from runner.pytest_plugin.replaying import Replayers, _replay, processes_for

SUITE = """\
format: 1
workflow: flow.yaml
cases_from:
  file: rows.jsonl
  key: id
  with: {ticket: {from: case.text}}
  expect: {steps.classify: {queue: {from: case.label}}}
"""
RATES = "metrics: {sure: {mean: {of: steps.classify.output.sure}}}\nthresholds: {pass_rate: 0.9}\n"
NAMES = [f"r{number}" for number in range(44)]


@pytest.fixture
def many(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """44 cases, all answered; of two another answer is expected."""
    rows = [
        {"id": name, "text": f"it crashes {number % 3}", "label": "how-to" if number in (7, 30) else "bug"}
        for number, name in enumerate(NAMES)
    ]
    project.write("rows.jsonl", "\n".join(map(json.dumps, rows)))
    project.suite(SUITE)
    assert project.test("-q").code == 1
    monkeypatch.setattr(replaying, "FEWEST", 20)
    # Another process finds the tests' own tree first.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(pytest.importorskip("runner").__path__[0]) + "/..", ""]))
    return project


def told(said: Any) -> list[str]:
    return [line for line in said.out.splitlines() if "runner show" not in line]


@pytest.mark.slow
def test_several_processes_tell_what_one_tells(many: Any) -> None:
    alone, shared = many.test("--offline"), many.test("--offline", "-n", "2")
    assert (shared.code, told(shared)) == (alone.code, told(alone))
    assert alone.code == 1
    assert alone.err.splitlines()[-1] == "42 passed, 2 failed · 0 calls, 88 cached, $0.00 · run r2 · exit 1"
    assert shared.err.splitlines()[-1] == "42 passed, 2 failed · 0 calls, 88 cached, $0.00 · run r3, r4 · exit 1"
    shown = next(shlex.split(line)[2:] for line in shared.out.splitlines() if "runner show" in line)
    assert shown[1] in ("r3", "r4")
    assert main(["-C", str(many.root), *shown]) == 0


@pytest.mark.slow
def test_rates_are_over_the_cases_of_all_processes(many: Any) -> None:
    many.suite(SUITE + RATES)
    alone, shared = many.test("--offline"), many.test("--offline", "-n", "2")
    assert (shared.code, shared.out) == (alone.code, alone.out)
    assert "pass_rate  0.95 (42 of 44" in shared.out


@pytest.mark.slow
def test_the_first_failure_ends_all_processes(many: Any) -> None:
    said = many.test("--offline", "-n", "2", "-x")
    assert said.err.splitlines()[0] == "flow.suite.yaml  .......F"
    assert said.err.splitlines()[-1].startswith("7 passed, 1 failed · ")


@pytest.mark.slow
def test_a_missing_answer_is_exit_6_whoever_misses_it(many: Any) -> None:
    many.edit(
        "rows.jsonl",
        '"text": "it crashes 1", "label": "bug"}\n{"id": "r2"',
        '"text": "new", "label": "bug"}\n{"id": "r2"',
    )
    said = many.test("--offline", "-n", "2")
    assert said.code == 6
    assert said.out.count("its answer is not stored") == 2


def test_few_cases_and_those_that_may_be_asked_stay_here(many: Any) -> None:
    assert "run r2 ·" in many.test("--offline", "-n", "2", "-k", "r1").err
    assert "run r3 ·" in many.test("-n", "2").err


@pytest.mark.parametrize(
    "more", [{"is_offline": False}, {"is_recording": True}, {"is_locked": True}, {"updates_lock": True}]
)
def test_what_is_asked_or_written_is_of_one_process(more: dict[str, Any]) -> None:
    assert processes_for(RunOptions(is_offline=True, processes=4), 399) == 3
    assert processes_for(RunOptions(is_offline=True, processes=4), 1_000_000) == 4
    assert processes_for(RunOptions(is_offline=True, processes=4), 3) == 1
    assert processes_for(RunOptions(**{"is_offline": True, "processes": 4, **more}), 1_000_000) == 1


# --- one process, here


class End:
    """What a process says, kept."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def send(self, told: Any) -> None:
        if "r3" in self.said:
            raise BrokenPipeError
        self.said |= told

    def close(self) -> None:
        self.said["closed"] = True


def test_a_process_whose_listener_has_gone_ends_its_run(many: Any) -> None:
    end, before = End(), signal.getsignal(signal.SIGINT)
    try:
        _replay(end, many.root / "flow.suite.yaml", RunOptions(is_offline=True), NAMES)  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(end.said) == ["r0", "r1", "r2", "r3", "closed"]


def test_a_suite_that_cannot_be_read_is_told_of_every_case_of_a_process(many: Any) -> None:
    many.suite("format: 1\n")
    end, before = End(), signal.getsignal(signal.SIGINT)
    try:
        _replay(end, many.root / "flow.suite.yaml", RunOptions(is_offline=True), ["r1", "r2"])  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGINT, before)
    assert "missing-key" in end.said["r2"].refusal


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_its_cases_without_a_verdict(many: Any) -> None:
    replayers = Replayers(many.root / "flow.suite.yaml", RunOptions(is_offline=True, processes=2), NAMES)
    for process in replayers._processes:
        process.kill()
    heard = [replayers.hear(name) for name in NAMES]
    replayers.close()
    assert {one.refusal for one in heard if one.verdict is None} == {
        "the process that replayed the case ended before it was judged"
    }
