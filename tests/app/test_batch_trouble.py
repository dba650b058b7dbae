"""What batch interfaces do to their rows and jobs, and what becomes of it: every row ends once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.app.types import RunResult
from runner.core.budget import Limit
from runner.core.outcome import FailureKind

Run = Callable[..., RunResult]
Project = Callable[..., Path]


def kinds(result: RunResult) -> dict[str, str]:
    return {outcome.item: str(outcome.failure.kind) for outcome in result.failures if outcome.failure is not None}


def test_rows_that_expired_are_handed_over_again_alone(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_prompt: Callable[[Any], str]
) -> None:
    jobs = batch_server.jobs
    batch_server.respond = lambda body: (
        "expired" if len(jobs) == 1 and "b." in batch_prompt(body) else good(batch_server)
    )
    assert batch_run(batch_project()).exit_code == 0
    assert [len(job.lines) for job in jobs.values()] == [3, 1]


def test_rows_in_neither_file_are_handed_over_again_and_end_as_failures(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_prompt: Callable[[Any], str]
) -> None:
    batch_server.respond = lambda body: "missing" if "b." in batch_prompt(body) else good(batch_server)
    result = batch_run(batch_project("retries: 2"))
    assert result.exit_code == 3
    assert [outcome.failure.message for outcome in result.failures if outcome.failure] == [
        "the batch job ended without its answer"
    ]
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 1, 1]
    batch_server.respond = lambda _body: good(batch_server)
    assert batch_run(batch_project("retries: 2")).exit_code == 0
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, FailureKind.BAD_REQUEST), (404, FailureKind.NOT_FOUND), (401, FailureKind.AUTH)]
)
def test_an_error_row_is_a_failure_of_its_item_as_online(
    batch_project: Project,
    batch_run: Run,
    batch_server: Any,
    batch_prompt: Callable[[Any], str],
    status: int,
    kind: FailureKind,
) -> None:
    def respond(body: Any) -> Any:
        is_bad = "b." in batch_prompt(body)
        return batch_server.Answer(text="No such thing.", status=status) if is_bad else good(batch_server)

    batch_server.respond = respond
    result = batch_run(batch_project())
    assert [str(value) for value in kinds(result).values()] == [str(kind)]
    assert (result.exit_code, len(batch_server.jobs)) == (3, 1)


def test_an_overloaded_row_is_handed_over_again(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_prompt: Callable[[Any], str]
) -> None:
    def respond(body: Any) -> Any:
        is_busy = len(batch_server.jobs) == 1 and "b." in batch_prompt(body)
        return batch_server.Answer(text="Busy.", status=503) if is_busy else good(batch_server)

    batch_server.respond = respond
    assert batch_run(batch_project()).exit_code == 0
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 1]


def test_lines_of_others_and_lines_that_are_none_are_passed_over(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    foreign = b'{"custom_id": "zz", "key": "zz", "response": {"status_code": 200, "body": {}}, "error": null}'
    batch_server.extra = [b"", b"not json", b"[]", foreign]
    assert batch_run(batch_project()).exit_code == 0
    assert len(batch_server.jobs) == 1


def test_a_cut_answer_is_stored_as_a_failure(batch_project: Project, batch_run: Run, batch_server: Any) -> None:
    batch_server.respond = lambda _body: batch_server.Answer(text='{"said', finish="length")
    result = batch_run(batch_project())
    assert (result.exit_code, set(kinds(result).values())) == (1, {"cut"})
    assert batch_run(batch_project(), is_offline=True).exit_code == 1


def test_a_payload_that_is_no_answer_is_not_stored(batch_project: Project, batch_run: Run, batch_server: Any) -> None:
    batch_server.respond = lambda _body: batch_server.Answer(raw=b"{}")
    result = batch_run(batch_project())
    assert (result.exit_code, set(kinds(result).values())) == (3, {"bad-answer"})
    batch_server.respond = lambda _body: good(batch_server)
    assert batch_run(batch_project()).exit_code == 0


def test_a_job_refused_for_one_line_is_made_anew_without_it(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_dialect: str
) -> None:
    if batch_dialect == "gemini":
        pytest.skip("Gemini names no line")
    batch_server.end = "failed"
    batch_server.errors = [{"code": "invalid_request", "message": "Bad line.", "line": 2, "param": None}]

    def refuse(action: str) -> int:
        if action == "list" and batch_server.jobs:
            batch_server.end, batch_server.errors = "completed", []
        return 0

    batch_server.refuse = refuse
    result = batch_run(batch_project())
    assert (result.exit_code, list(kinds(result).values())) == (3, ["bad-request"])
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 2]


def test_a_job_that_is_refused_as_a_whole_is_not_tried_again(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_dialect: str
) -> None:
    batch_server.end = "failed"
    batch_server.errors = [{"code": "invalid_model", "message": "No batches for this model.", "line": None}]
    result = batch_run(batch_project())
    assert (result.exit_code, len(batch_server.jobs)) == (3, 1)
    assert result.failures[0].failure is not None
    assert result.failures[0].failure.message == f"batch job {job_name(batch_dialect)}: {SAID}"


def test_a_cancelled_job_is_not_started_again_in_that_run(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_dialect: str
) -> None:
    batch_server.end = "cancelled"
    batch_server.respond = lambda _body: "missing"
    result = batch_run(batch_project())
    assert (result.exit_code, len(batch_server.jobs)) == (3, 1)
    assert result.failures[0].failure is not None
    assert result.failures[0].failure.message == f"batch job {job_name(batch_dialect)} was cancelled at the provider"


def test_an_expired_job_keeps_what_was_answered(
    batch_project: Project, batch_run: Run, batch_server: Any, batch_prompt: Callable[[Any], str]
) -> None:
    batch_server.end = "expired"
    jobs = batch_server.jobs
    batch_server.respond = lambda body: (
        "missing" if len(jobs) == 1 and "a." not in batch_prompt(body) else good(batch_server)
    )
    assert batch_run(batch_project()).exit_code == 0
    assert [len(job.lines) for job in jobs.values()] == [3, 2]


@pytest.mark.parametrize("action", ["upload", "create", "list", "look", "download"])
def test_an_action_that_fails_for_a_while_is_made_again(
    batch_project: Project, batch_run: Run, batch_server: Any, action: str
) -> None:
    left = [503, 429]
    batch_server.refuse = lambda asked: left.pop() if asked == action and left else 0
    assert batch_run(batch_project()).exit_code == 0
    assert (left, len(batch_server.jobs)) == ([], 1)


@pytest.mark.parametrize("action", ["upload", "create", "list", "look", "download"])
def test_an_action_that_is_refused_fails_the_run_and_the_next_one_goes_on(
    batch_project: Project, batch_run: Run, batch_server: Any, action: str
) -> None:
    batch_server.refuse = lambda asked: 403 if asked == action else 0
    result = batch_run(batch_project())
    assert (result.exit_code, set(kinds(result).values())) == (3, {"auth"})
    batch_server.refuse = lambda _asked: 0
    assert batch_run(batch_project()).exit_code == 0
    assert list(batch_server.asked.values()) == [1, 1, 1]


def test_a_lost_folder_of_jobs_is_made_up_for_by_the_providers_list(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    import shutil

    path = batch_project()
    assert batch_run(path, is_detached=True).exit_code == 6
    shutil.rmtree(path.parent / ".runner")
    assert batch_run(path).exit_code == 0
    assert len(batch_server.jobs) == 1


def test_a_file_that_the_provider_has_dropped_is_uploaded_again(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    path = batch_project()
    batch_server.refuse = lambda action: 403 if action == "create" else 0
    assert batch_run(path).exit_code == 3
    batch_server.files.clear()
    batch_server.refuse = lambda _action: 0
    assert batch_run(path).exit_code == 0
    assert len(batch_server.jobs) == 1


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


def test_a_budget_that_is_spent_hands_over_no_more(batch_project: Project, batch_run: Run, batch_server: Any) -> None:
    batch_server.respond = lambda _body: batch_server.Answer(text='{"said": "yes"}', output_tokens=20)
    result = batch_run(batch_project(flow=CHAIN), max_cost=Limit(0.00006, "--max-cost"))
    assert result.exit_code == 4
    assert result.summary.cost_usd == pytest.approx(0.000075)
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3]
    assert batch_run(batch_project(flow=CHAIN)).exit_code == 0
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3, 3]


SAID = "the batch did not answer: No batches for this model."


def job_name(dialect: str) -> str:
    return "batches/job0" if dialect == "gemini" else "job0"


def good(server: Any) -> Any:
    return server.Answer(text='{"said": "yes"}')
