"""A budget holds: before the first call, during the run, and in the next run."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.errors import OverBudget
from runner.core.problem import render_all

FLOW = """\
format: 1
data:
  rows: {file: rows.jsonl, key: id}
defaults: {model: box/small, max_output_tokens: 20}
steps:
  tag:
    for_each: data.rows
    prompt: "tag {{ item.id }}"
    fields: {label: string}
outputs:
  table: {rows: data.rows, file: out/table.jsonl, columns: {id: item.id, label: steps.tag.output.label}}
"""
SETTINGS = 'providers:\n  box: {{dialect: openai-chat, base_url: "{url}", price: {{input: {price}, output: {price}}}, identity: box}}\n'


@pytest.fixture
def priced(project: Any, make_rows: Callable[[Any], str]) -> Callable[..., Any]:
    """A workflow over rows whose every answer takes 10 tokens in and 10 out."""

    def make(rows: int = 20, price: float = 100_000, budget: str = "") -> Any:
        project.server.respond = lambda *_: project.Answer(text='{"label": "x"}', input_tokens=10, output_tokens=10)
        project.write("runner.yaml", SETTINGS.format(url=project.server.chat_url, price=price))
        project.write("rows.jsonl", make_rows([{"id": f"r{number:03d}"} for number in range(rows)]))
        project.workflow(f"budget: {budget}\n{FLOW}" if budget else FLOW)
        return project

    return make


def refused(project: Any, **options: Any) -> str:
    with pytest.raises(OverBudget) as raised:
        project.run(**options)
    assert raised.value.exit_code == 4
    assert project.server.count == 0
    return render_all(raised.value.problems, raised.value.sources)


def test_a_run_that_must_cost_more_does_not_start(priced: Callable[..., Any]) -> None:
    project = priced(budget="{usd: 0.5}")
    assert refused(project).splitlines()[0] == (
        "flow.yaml:1:15: over-budget: the run needs 20 calls, which take at least 60 USD, "
        "more than its budget of 0.5 USD; nothing was called"
    )
    assert refused(project, max_cost=0.25).splitlines() == [
        "over-budget: the run needs 20 calls, which take at least 60 USD, more than its budget of 0.25 USD; nothing was called",
        "  set by:   max_cost",
        "  fix:      raise the budget, or ask less: fewer rows, shorter prompts; 'runner plan' shows what each step takes",
    ]


def test_the_number_of_calls_and_of_tokens_is_known_before(priced: Callable[..., Any]) -> None:
    assert "flow.yaml:1:17: over-budget: the run needs 20 calls, more than its budget of 19 calls" in refused(
        priced(budget="{calls: 19}"), consent=True
    )
    assert "the run needs 20 calls, which take at least 600 tokens, more than its budget of 599 tokens" in refused(
        priced(budget="{tokens: 599}"), consent=True
    )


def test_the_settings_bound_every_run_of_the_project(priced: Callable[..., Any]) -> None:
    project = priced(budget="{calls: 19}")
    project.write("runner.yaml", (project.root / "runner.yaml").read_text() + "budget: {calls: 7}\n")
    assert "runner.yaml:3:17: over-budget: the run needs 20 calls, more than its budget of 7 calls" in refused(
        project, consent=True
    )


def test_a_run_stops_at_its_budget_and_a_higher_one_goes_on(priced: Callable[..., Any]) -> None:
    project = priced(rows=60, price=100_000)
    project.edit("tag {{ item.id }}", "{{ item.id }}")
    project.edit("    fields: {label: string}\n", "")
    project.edit("steps.tag.output.label", "steps.tag.text")
    result = project.run(max_cost=90, parallel=1)
    assert (result.exit_code, result.outputs) == (4, None)
    assert project.server.count == 45, "two dollars a call"
    assert result.summary.cost_usd == pytest.approx(90)
    assert (result.summary.good, result.summary.blocked) == (45, 15)
    (problem,) = result.problems
    assert (problem.code, problem.message) == (
        "budget-reached",
        "the run stopped at its budget of 90 USD: 90 USD are spent",
    )
    assert not (project.root / "out").exists(), "what is missing says nothing about the answers"
    again = project.run(max_cost=1000)
    assert (again.exit_code, project.server.count, again.summary.cached) == (0, 15, 45)
    assert len((project.root / "out/table.jsonl").read_text().splitlines()) == 60


def test_stored_answers_cost_nothing_and_never_reach_a_budget(priced: Callable[..., Any]) -> None:
    project = priced()
    project.run(consent=True)
    project.edit("format: 1\n", "format: 1\nbudget: {usd: 0, calls: 0, tokens: 0}\n")
    result = project.run(max_cost=0)
    assert (result.exit_code, project.server.count) == (0, 0)


def test_a_run_that_spends_all_of_its_budget_and_needs_no_more_is_good(priced: Callable[..., Any]) -> None:
    result = priced(budget="{calls: 20}").run(consent=True)
    assert (result.exit_code, result.problems) == (0, ())


def test_a_request_that_may_be_paid_counts_and_is_told(priced: Callable[..., Any]) -> None:
    project = priced(rows=1, price=1)
    project.edit("    fields:", "    retries: 3\n    fields:")
    project.server.respond = lambda *_: project.Answer(wire=b"")
    result = project.run(max_cost=0.00005)
    assert result.exit_code == 4
    (problem,) = result.problems
    assert problem.message == "the run stopped at its budget of 0.00005 USD: 0.00006 USD are spent"
    assert ("counted", "0.00006 USD for requests that got no answer and may be paid") in problem.notes


PARALLEL = 8
TRIES = count()


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tokens=st.lists(st.integers(1, 2000), min_size=30, max_size=30),
    share=st.floats(0.0, 1.2),
)
def test_a_budget_is_passed_at_most_by_what_was_in_flight(
    priced: Callable[..., Any], tokens: list[int], share: float
) -> None:
    project = priced(rows=30, price=1000)
    project.edit("tag {{ item.id }}", "{{ item.id }}")
    project.edit("    fields: {label: string}\n", f"    cache: {{salt: try-{next(TRIES)}}}\n")
    project.edit("steps.tag.output.label", "steps.tag.text")

    def respond(_dialect: str, body: Any, n: int) -> Any:
        return project.Answer(text="x", input_tokens=3, output_tokens=tokens[n - 1], delay_s=0.001 * (n % 3))

    project.server.respond = respond
    limit = share * sum(0.001 * (3 + number) for number in tokens)
    try:
        result = project.run(max_cost=limit, parallel=PARALLEL)
    except OverBudget:
        assert limit < 30 * 0.001 * 3, "the certain cost, of two tokens in and one out for each"
        assert project.server.count == 0
        return
    spent = result.summary.cost_usd
    paid = [0.001 * (3 + number) for number in tokens[: project.server.count]]
    assert spent == pytest.approx(sum(paid))
    assert spent - limit <= sum(sorted(paid)[-PARALLEL:]) + 1e-9
    if project.server.count < 30:
        assert result.exit_code == 4
        assert spent >= limit - 1e-9, "it does not stop before the line"
    else:
        assert result.exit_code == 0
    rest = project.run(max_cost=10**6)
    assert (rest.exit_code, project.server.count, rest.summary.cached) == (0, 30 - len(paid), len(paid))
