"""Batches as a filler of the store: one job a wave, the same keys as online, nothing handed over twice, nothing lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions, RunResult
from runner.cli.main import main
from runner.core.errors import UsageError
from runner.dialects.batch import BATCH_FORMATS

Run = Callable[..., RunResult]
Project = Callable[..., Path]


CHAIN = """
format: 1
inputs: {words: {type: array, items: {type: string}}}
defaults: {model: box/some-model, transport: batch, fields: {said: string}}
steps:
  tell:
    for_each: inputs.words
    prompt: "Tell of {{ item }}."
  again:
    for_each: inputs.words
    prompt: "Again {{ item }}: {{ steps.tell.output.said }}"
"""


def test_a_fan_out_is_one_job_and_the_next_run_needs_none(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    path = batch_project()
    result = batch_run(path)
    assert (result.exit_code, result.problems, batch_server.refused) == (0, (), [])
    assert result.outputs == [{"said": "yes"}] * 3
    assert (len(batch_server.jobs), batch_server.actions["create"]) == (1, 1)
    assert set(batch_server.asked.values()) == {1}
    assert batch_run(path, is_offline=True).outputs == result.outputs
    assert batch_server.actions["create"] == 1
    assert not [folder for folder in (path.parent / ".runner" / "batches").iterdir() if folder.is_dir()]


# Deaths


def test_a_death_after_any_action_hands_nothing_over_twice_and_loses_nothing(
    tmp_path: Path, batch_project: Project, batch_run: Run, batch_server: Any, run_and_die: Any
) -> None:
    deaths = 0
    while True:
        batch_server.jobs.clear()
        path = batch_project(folder=tmp_path / str(deaths))
        died = run_and_die(batch_run, path, deaths + 1)
        result = batch_run(path)
        assert (result.exit_code, list(result.outputs)) == (0, [{"said": "yes"}] * 3), f"after action {deaths + 1}"
        assert len(batch_server.jobs) == 1, f"handed over again after action {deaths + 1}"
        assert list(batch_server.asked.values()) == [1, 1, 1]
        if not died:
            break
        deaths += 1
    assert deaths >= 12  # spool, list, upload, id, start, id, look, lines, store, close: each was once the last


def test_a_run_that_is_killed_again_and_again_comes_to_its_end(
    batch_project: Project, batch_run: Run, batch_server: Any, run_and_die: Any
) -> None:
    path = batch_project()
    number = 0
    while run_and_die(batch_run, path, number := number + 1):
        pass
    assert batch_run(path, is_offline=True).exit_code == 0
    assert (len(batch_server.jobs), list(batch_server.asked.values())) == (1, [1, 1, 1])


def test_what_answers_lead_to_is_the_next_wave(batch_project: Project, batch_run: Run, batch_server: Any) -> None:
    assert batch_run(batch_project(flow=CHAIN)).exit_code == 0
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 3]


def test_repairs_are_a_further_wave(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_prompt: Callable[[Any], str]
) -> None:
    def respond(body: Any) -> Any:
        is_bad = "b." in batch_prompt(body) and len(batch_server.jobs) == 1
        return batch_server.Answer(text='{"said": 1}' if is_bad else '{"said": "yes"}')

    batch_server.respond = respond
    result = batch_run(batch_project("repair: 1"))
    assert (result.exit_code, result.outputs) == (0, [{"said": "yes"}] * 3)
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 1]
    assert (result.summary.calls, result.summary.repairs) == (4, 1)
    assert batch_run(batch_project("repair: 1"), is_offline=True).exit_code == 0


def test_a_misfit_that_is_not_repaired_is_a_failure_and_asked_again_in_the_next_run(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    batch_server.respond = lambda _body: batch_server.Answer(text='{"said": 1}')
    assert batch_run(batch_project()).exit_code == 1
    batch_server.respond = lambda _body: batch_server.Answer(text='{"said": "yes"}')
    result = batch_run(batch_project())
    assert (result.exit_code, len(batch_server.jobs)) == (0, 2)


def test_half_the_price_is_counted(batch_project: Project, batch_run: Run) -> None:
    plan = api.plan(batch_project(), RunOptions(inputs={"words": ["a", "b", "c"]})).plan
    online = api.plan(batch_project("transport: online"), RunOptions(inputs={"words": ["a", "b", "c"]})).plan
    assert plan.cost_usd == pytest.approx(online.cost_usd / 2 if online.cost_usd else None)
    summary = batch_run(batch_project()).summary
    assert summary.calls == 3
    assert summary.cost_usd == pytest.approx(3 * (10 * 0.5 + 5 * 1.0) / 1e6)


def test_asking_anew_is_a_new_job_also_for_the_same_questions(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    path = batch_project()
    assert batch_run(path).exit_code == 0
    batch_server.respond = lambda _body: batch_server.Answer(text='{"said": "no"}')
    assert batch_run(path, refresh=frozenset("*")).outputs == [{"said": "no"}] * 3
    assert batch_run(path, is_offline=True).outputs == [{"said": "no"}] * 3
    assert len({job.name for job in batch_server.jobs.values()}) == len(batch_server.jobs) == 2


def test_a_job_that_is_larger_than_the_provider_takes_is_split(
    batch_project: Project, batch_run: Run, batch_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in BATCH_FORMATS.values():
        monkeypatch.setattr(type(form), "most_lines", 2)
    assert batch_run(batch_project()).exit_code == 0
    assert sorted(len(job.lines) for job in batch_server.jobs.values()) == [1, 2]
    for form in BATCH_FORMATS.values():
        monkeypatch.setattr(type(form), "most_bytes", 1)
    assert batch_run(batch_project(), inputs={"words": ["x", "y", "z"]}).exit_code == 0
    assert sorted(len(job.lines) for job in batch_server.jobs.values()) == [1, 1, 1, 1, 2]


def test_a_run_that_does_not_wait_is_taken_up_by_the_same_command(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    batch_server.looks = 2
    path = batch_project()
    result = batch_run(path, is_detached=True)
    assert (result.exit_code, result.outputs, batch_server.actions["look"]) == (6, None, 0)
    message = result.failures[0].failure.message if result.failures[0].failure else ""
    assert message.endswith("'runner run --resume r1' takes it when it is there")
    assert batch_run(path, is_detached=True).exit_code == 6
    assert batch_run(path).outputs == [{"said": "yes"}] * 3
    assert (len(batch_server.jobs), batch_server.actions["create"]) == (1, 1)


def test_rows_that_came_later_are_a_job_of_their_own(batch_project: Project, batch_run: Run, batch_server: Any) -> None:
    path = batch_project()
    assert batch_run(path, is_detached=True).exit_code == 6
    assert batch_run(path, inputs={"words": ["a", "b", "c", "d"]}).exit_code == 0
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 1]


def test_answers_that_nobody_asks_for_any_more_are_kept_in_passing(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    path = batch_project()
    assert batch_run(path, is_detached=True).exit_code == 6
    assert batch_run(path, inputs={"words": ["d"]}).exit_code == 0
    assert batch_run(path, is_offline=True).exit_code == 0
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 1]


def test_the_key_is_that_of_a_single_call(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_dialect: str
) -> None:
    """What is asked in a batch is found by a run that asks online, and the other way round."""
    assert batch_run(batch_project()).exit_code == 0
    assert batch_run(batch_project("transport: online"), is_offline=True).exit_code == 0


MIXED = """
format: 1
inputs: {words: {type: array, items: {type: string}}}
defaults: {model: box/some-model, fields: {said: string}}
models: {once: scripted/answers.jsonl}
steps:
  first: {model: once, prompt: Say it.}
  tell:
    transport: batch
    for_each: inputs.words
    prompt: "Tell of {{ item }}, {{ steps.first.output.said }}."
  last:
    model: once
    prompt: "Sum {{ steps.tell.outputs | length }}."
"""


def test_steps_that_are_asked_online_run_between_the_waves_and_once(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    path = batch_project(flow=MIXED)
    lines = ['{"match": "Say", "answer": {"said": "one"}}', '{"match": "Sum", "answer": {"said": "two"}}']
    (path.parent / "answers.jsonl").write_text("\n".join(lines), encoding="utf-8")
    result = batch_run(path)
    assert (result.problems, result.exit_code, result.outputs) == ((), 0, {"said": "two"})
    assert (result.summary.calls, result.summary.cached) == (5, 0)
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3]


def test_an_interrupt_ends_the_waiting_and_not_the_job(
    batch_project: Project, batch_run: Run, batch_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_server.looks = 1000

    async def interrupt(_clock: object, _seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr("runner.app.transports.SystemClock.sleep", interrupt)
        assert batch_run(batch_project()).exit_code == 130
    batch_server.looks = 1
    assert batch_run(batch_project()).exit_code == 0
    assert len(batch_server.jobs) == 1


@pytest.mark.parametrize(
    ("more", "options", "message"),
    [
        ("", {"use_cache": False}, "--no-cache keeps no answers"),
        ("transport: online", {"is_detached": True}, "--no-wait waits for no batch job"),
    ],
)
def test_options_that_do_not_go_with_batches_are_refused(
    batch_project: Project, batch_run: Run, batch_server: Any, more: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        batch_run(batch_project(more), **options)
    assert not batch_server.actions


def test_batches_where_no_provider_has_them_are_refused(tmp_path: Path, batch_run: Run) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text("format: 1\nsteps: {a: {model: local/smollm2-135m, prompt: x}}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"none of the providers \(local\) has a batch interface that is known here"):
        batch_run(path, inputs={}, is_batch=True)


def test_all_steps_are_asked_in_batches_when_the_command_says_so(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    flow = CHAIN.replace("transport: batch, ", "")
    assert batch_run(batch_project(flow=flow), is_batch=True).exit_code == 0
    assert len(batch_server.jobs) == 2


def test_fail_fast_hands_over_no_further_wave(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_prompt: Callable[[Any], str]
) -> None:
    def respond(body: Any) -> Any:
        return (
            batch_server.Answer(text="No.", status=400)
            if "b." in batch_prompt(body)
            else batch_server.Answer(text='{"said": "yes"}')
        )

    batch_server.respond = respond
    assert batch_run(batch_project(flow=CHAIN), is_fail_fast=True).exit_code == 3
    assert len(batch_server.jobs) == 1


def test_a_run_is_resumed_by_its_id(
    batch_project: Project, batch_server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = batch_project()
    monkeypatch.chdir(path.parent)
    words = ["run", "flow.yaml", "-i", 'words=["a","b"]', "--yes"]
    assert main([*words, "--no-wait"]) == 6
    capsys.readouterr()
    assert main(["run", "--resume", "r1"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"said": "yes"}] * 2
    assert len(batch_server.jobs) == 1
    assert main(["-C", str(path.parent), "run", "--resume=r1"]) == 0
    assert main(["run", "--resume"]) == 2
    assert main(["run", "--resume", "r99"]) == 5
    assert main(["run", "--resume", "r2", "--offline"]) == 0
