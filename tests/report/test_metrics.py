"""A run as a Prometheus text file."""

from __future__ import annotations

import re
from dataclasses import replace

from runner.core.traffic import Traffic
from runner.record.summary import RunSummary, StepSummary
from runner.report.metrics import Told, render_metrics

TAG = StepSummary(
    "tag", "acme/small", items=10, good=5, failed=1, skipped=2, blocked=1, calls=6, cached=2, recorded=1, repairs=1,
    requests=9, input_tokens=600, output_tokens=60, cost_usd=0.0125,
)  # fmt: skip
SUM = StepSummary("sum", "acme/large", cost_usd=None)
SUMMARY = RunSummary("r7", 'a "b" \\ c\nd', "running", steps=(TAG, SUM))

EXPECTED = r"""
# HELP runner_run_info The run, and how it stands.
# TYPE runner_run_info gauge
runner_run_info{run="r7",workflow="a \"b\" \\ c\nd",status="running"} 1
# HELP runner_run_seconds Seconds since the run began.
# TYPE runner_run_seconds gauge
runner_run_seconds 12.5
# HELP runner_items Items of a step, as far as they are known.
# TYPE runner_items gauge
runner_items{step="tag"} 10
runner_items{step="sum"} 0
# HELP runner_items_ended_total Items by what became of them.
# TYPE runner_items_ended_total counter
runner_items_ended_total{step="tag",outcome="done"} 5
runner_items_ended_total{step="tag",outcome="failed"} 1
runner_items_ended_total{step="tag",outcome="skipped"} 2
runner_items_ended_total{step="tag",outcome="not run"} 1
runner_items_ended_total{step="sum",outcome="done"} 0
runner_items_ended_total{step="sum",outcome="failed"} 0
runner_items_ended_total{step="sum",outcome="skipped"} 0
runner_items_ended_total{step="sum",outcome="not run"} 0
# HELP runner_calls_total Calls to models, repairs included.
# TYPE runner_calls_total counter
runner_calls_total{step="tag"} 6
runner_calls_total{step="sum"} 0
# HELP runner_stored_answers_total Answers taken from the store.
# TYPE runner_stored_answers_total counter
runner_stored_answers_total{step="tag",source="cached"} 2
runner_stored_answers_total{step="tag",source="recorded"} 1
runner_stored_answers_total{step="sum",source="cached"} 0
runner_stored_answers_total{step="sum",source="recorded"} 0
# HELP runner_repairs_total Calls that asked for a better answer.
# TYPE runner_repairs_total counter
runner_repairs_total{step="tag"} 1
runner_repairs_total{step="sum"} 0
# HELP runner_retries_total Requests that were sent again.
# TYPE runner_retries_total counter
runner_retries_total{step="tag"} 3
runner_retries_total{step="sum"} 0
# HELP runner_tokens_total Tokens that providers counted for fresh answers.
# TYPE runner_tokens_total counter
runner_tokens_total{step="tag",model="acme/small",direction="in"} 600
runner_tokens_total{step="tag",model="acme/small",direction="out"} 60
runner_tokens_total{step="sum",model="acme/large",direction="in"} 0
runner_tokens_total{step="sum",model="acme/large",direction="out"} 0
# HELP runner_cost_usd_total US dollars spent on fresh answers.
# TYPE runner_cost_usd_total counter
runner_cost_usd_total{step="tag",model="acme/small"} 0.0125
# HELP runner_requests_in_flight Requests under way.
# TYPE runner_requests_in_flight gauge
runner_requests_in_flight{model="acme/small"} 64
runner_requests_in_flight{model="acme/large"} 0
# HELP runner_requests_waiting Calls that wait for a limit.
# TYPE runner_requests_waiting gauge
runner_requests_waiting{model="acme/small"} 3
runner_requests_waiting{model="acme/large"} 0
# HELP runner_limit_requests_per_second Requests a second that may go out.
# TYPE runner_limit_requests_per_second gauge
runner_limit_requests_per_second{model="acme/small"} 41.5
# HELP runner_limit_in_flight Requests that may be under way at once.
# TYPE runner_limit_in_flight gauge
runner_limit_in_flight{model="acme/small"} 64
""".lstrip()


def test_a_run_is_told_in_the_exposition_format() -> None:
    traffic = (Traffic("acme/small", 64, 3, 41.5, 64, "learnt from 4 refusals"), Traffic("acme/large", 0))
    assert render_metrics([Told(SUMMARY, 12.5)], traffic) == EXPECTED


def test_every_line_is_one_that_a_collector_reads() -> None:
    sample = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)*\})? [0-9.e+-]+')
    lines = [line for line in EXPECTED.splitlines() if not line.startswith("# ")]
    assert all(sample.fullmatch(line) for line in lines)


def test_what_nobody_asked_yet_has_no_line() -> None:
    told = render_metrics([Told(RunSummary("r1", "w"), 0.0)], ())
    assert [line for line in told.splitlines() if not line.startswith("#")] == [
        'runner_run_info{run="r1",workflow="w",status="running"} 1',
        "runner_run_seconds 0",
    ]


def test_several_runs_stand_in_one_file_each_sample_with_its_run() -> None:
    runs = [
        Told(replace(SUMMARY, run="r1", workflow="w"), 1.0),
        Told(replace(SUMMARY, run="r2", workflow="other"), 2.0),
    ]
    told = render_metrics(runs, ())
    assert 'runner_run_info{run="r1",workflow="w",status="' in told
    assert 'runner_run_info{run="r2",workflow="other",status="' in told
    assert 'runner_run_seconds{run="r1"} 1\nrunner_run_seconds{run="r2"} 2\n' in told
    assert told.count("# TYPE runner_items gauge\n") == 1
    samples = [line.partition(" ")[0] for line in told.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples))
