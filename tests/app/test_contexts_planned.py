"""What a plan, a budget, the consent and the record say of what is kept at providers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.cli.main import main
from runner.core.errors import UsageError
from runner.plan.planned import ContextPlan, StepPlan

RULES = "A rule that holds for all. " * 400
TOKENS = 2700  # a quarter of the bytes
PRICE = "{input: 1, output: 2, cached_input: 0.1, storage: 1}"
FLOW = """
data: {rows: {file: rows.jsonl, key: id}}
steps:
  ask:
    for_each: data.rows
    model: box/m
    max_output_tokens: 50
    context_cache: {ttl: 30m}
    system: {file: rules.md}
    prompt: "About {{ item.id }}?"
"""


@pytest.fixture
def server(counting_server: Any) -> Any:
    return counting_server(lambda _d, _b, _n: counting_server.Answer("seen"), key="")


def write(root: Path, server: Any, rows: int, flow: str = FLOW, price: str = PRICE) -> Path:
    provider = f"{{dialect: gemini, base_url: '{server.base_url}', identity: box, price: {price}}}"
    (root / "runner.yaml").write_text(f"providers: {{box: {provider}}}\n", encoding="utf-8")
    lines = [json.dumps({"id": f"r{number:03}"}) for number in range(rows)]
    (root / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (root / "rules.md").write_text(RULES, encoding="utf-8")
    (root / "flow.yaml").write_text(flow, encoding="utf-8")
    return root / "flow.yaml"


def planned(path: Path) -> tuple[StepPlan, ContextPlan]:
    step = plan_workflow(path, RunOptions()).plan.steps[0]
    assert step.context is not None
    return step, step.context


def test_the_plan_counts_storing_and_saving(tmp_path: Path, server: Any) -> None:
    path = write(tmp_path, server, 100)
    step, context = planned(path)
    store, saved = TOKENS * 1.5 / 1e6, 100 * TOKENS * 0.9 / 1e6
    assert (context.tokens, context.ttl_s, context.worth_from, context.is_kept) == (TOKENS, 1800.0, 2, True)
    assert context.store_usd == context.worst_store_usd == pytest.approx(store)
    assert context.saved_usd == pytest.approx(saved)
    whole = write(tmp_path, server, 100, FLOW.replace("    context_cache: {ttl: 30m}\n", ""))
    plain = plan_workflow(whole, RunOptions()).plan.steps[0]
    assert plain.cost_usd is not None
    assert plain.worst_usd is not None
    assert step.cost_usd == pytest.approx(plain.cost_usd - saved + store)
    assert step.least_usd == pytest.approx(plain.least_usd - saved + store)
    assert step.worst_usd == pytest.approx(plain.worst_usd + store)


def test_a_run_costs_what_was_planned(tmp_path: Path, server: Any) -> None:
    """But for the tokens, which the provider counts in its own way."""
    path = write(tmp_path, server, 100)
    step, _ = planned(path)
    cost = runner.run(path, consent=True).summary.cost_usd
    assert cost is not None
    assert step.least_usd is not None
    assert step.worst_usd is not None
    assert step.least_usd * 0.9 < cost < step.worst_usd


def test_what_is_deleted_at_the_end_may_cost_less(tmp_path: Path, server: Any) -> None:
    """What is certain is that it is handed over."""
    step, context = planned(write(tmp_path, server, 100))
    deleted, shorter = planned(write(tmp_path, server, 100, FLOW.replace("30m}", "30m, after_run: delete}")))
    assert (context.least_store_usd, context.store_usd) == (context.store_usd, shorter.store_usd)
    assert shorter.least_store_usd == pytest.approx(TOKENS / 1e6)
    assert deleted.least_usd == pytest.approx(step.least_usd - TOKENS * 0.5 / 1e6)


def test_a_plan_after_a_run_knows_what_is_kept_already(tmp_path: Path, server: Any) -> None:
    runner.run(write(tmp_path, server, 10), consent=True)
    step, context = planned(write(tmp_path, server, 11))
    assert (step.calls, context.is_kept, context.store_usd) == (1, True, 0.0)
    assert context.left_s is not None
    assert 0 < context.left_s <= 1800
    assert context.worst_store_usd == pytest.approx(TOKENS * 1.5 / 1e6)


@pytest.mark.parametrize(
    ("rows", "ttl", "price", "said"),
    [
        (1, "30m", PRICE, "sent with each question, since keeping pays from 2 calls on"),
        (100, "200h", PRICE, "sent with each question, since keeping pays from 224 calls on"),
        (
            9,
            "1h",
            "{input: 1, output: 2, cached_input: 1, storage: 1}",
            "sent with each question, since keeping costs more",
        ),
        (9, "1h", "{input: 1, output: 2, storage: 1}", "~2,700 tokens kept for 1 h, $0.0054 to store, saves $0.00"),
        (9, "90m", "{input: 1, output: 2}", "~2,700 tokens kept for 1 h 30 min, ? to store, saves $0.00"),
        (9, "1h", "free", "~2,700 tokens kept for 1 h, $0.00 to store, saves $0.00"),
    ],
)
def test_the_plan_says_what_becomes_of_it(
    tmp_path: Path, server: Any, capsys: pytest.CaptureFixture[str], rows: int, ttl: str, price: str, said: str
) -> None:
    path = write(tmp_path, server, rows, FLOW.replace("30m", ttl), price)
    assert main(["plan", str(path)]) == 0
    assert f"context ask: {said}\n" in capsys.readouterr().out


def facts(root: Path, text: str) -> None:
    with (root / "runner.yaml").open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_step_whose_questions_are_not_known_yet_says_so(
    tmp_path: Path, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = FLOW.replace("system: {file: rules.md}", 'system: "{{ steps.sum.text }}"').replace(
        "steps:\n", "steps:\n  sum: {model: box/m, prompt: Sum up., max_output_tokens: 5000}\n"
    )
    path = write(tmp_path, server, 9, flow)
    step = next(step for step in plan_workflow(path, RunOptions()).plan.steps if step.step == "ask")
    assert step.context is not None
    assert (step.context.tokens, step.context.is_kept, step.cost_usd) == (None, True, 0.0)
    assert step.context.worst_store_usd is not None
    assert step.worst_usd is not None
    assert step.worst_usd > step.context.worst_store_usd > 5000 * 1.5 / 1e6
    main(["plan", str(path)])
    assert "context ask: what the questions share is kept for 30 min\n" in capsys.readouterr().out


def test_a_cached_step_says_nothing_of_it(tmp_path: Path, server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, server, 9)
    runner.run(path, consent=True)
    assert plan_workflow(path, RunOptions()).plan.steps[0].context is None
    main(["plan", str(path)])
    assert "context" not in capsys.readouterr().out


def test_too_few_tokens_are_not_handed_over(tmp_path: Path, server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the bytes say so for sure; where the tokens are a guess the provider has the last word."""
    text = (
        FLOW.replace("{file: rules.md}", '"{{ inputs.rules }}"')
        + "inputs: {rules: {type: string, default: Be brief.}}\n"
    )
    path = write(tmp_path, server, 9, text.replace("box/m", "gemini/gemini-3.1-flash-lite"))
    main(["plan", str(path)])
    said = "since gemini/gemini-3.1-flash-lite keeps no fewer than 1,024 tokens"
    assert f"context ask: sent with each question, {said}\n" in capsys.readouterr().out
    main(["plan", str(path), "-i", f"rules={'word ' * 400}"])
    assert (
        "kept for 30 min, $0.00038 to store, saves $0.001, if gemini/gemini-3.1-flash-lite keeps fewer than 1,024"
        in (capsys.readouterr().out)
    )


def test_consent_is_needed_where_nobody_says_what_keeping_costs(tmp_path: Path, server: Any) -> None:
    path = write(tmp_path, server, 9, price="{input: 1, output: 2, cached_input: 0.1}")
    with pytest.raises(UsageError) as caught:
        runner.run(path)
    (problem,) = caught.value.problems
    assert problem.message == (
        "what this run costs is not known, since nothing says what box/m takes for keeping tokens "
        "('storage' of its price does); nothing was called"
    )


def test_the_bound_before_the_first_call_has_what_storing_costs(tmp_path: Path, server: Any) -> None:
    """The questions alone would be below the line of one dollar, which nobody has agreed to pass."""
    flow = FLOW.replace("30m", "1000h") + "    samples: 500\n"
    with pytest.raises(UsageError, match="this run may cost up to"):
        runner.run(write(tmp_path, server, 2, flow))
    assert (server.count, server.contexts.made) == (0, [])


def test_the_run_and_the_record_tell_what_was_kept_and_cached(
    tmp_path: Path, server: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, server, 4)
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(path), "--yes"]) == 0
    said = capsys.readouterr().err
    tokens = server.contexts.kept["cachedContents/c1"]["tokens"]
    assert f"{tokens:,} tokens kept at box/m for 30 min, $0.0041\n" in said
    assert f"({4 * tokens:,} cached), 20 out" in said
    assert "($0.0041 of it for keeping)" in said
    assert main(["show"]) == 0
    assert "($0.0041 of it for keeping)" in capsys.readouterr().out
    assert main(["show", "ask[r000]"]) == 0
    assert f"  cached    {tokens:,} of {tokens + 10:,} tokens, $0.00029\n" in capsys.readouterr().out
    write(tmp_path, server, 5)
    assert main(["run", str(path), "--yes"]) == 0
    assert f"{tokens:,} tokens kept at box/m " in capsys.readouterr().err


def test_what_is_deleted_is_told_to_those_who_ask(
    tmp_path: Path, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, server, 4, FLOW.replace("30m}", "30m, after_run: delete}"))
    assert main(["-v", "run", str(path), "--yes"]) == 0
    assert "ask: what it kept was deleted after 0." in capsys.readouterr().err


def test_an_answer_that_streams_names_it_too(tmp_path: Path, server: Any) -> None:
    path = write(tmp_path, server, 4)
    assert main(["run", str(path), "--yes", "--stream"]) == 0
    assert {request.path for request in server.requests} == {"/v1beta/models/m:streamGenerateContent?alt=sse"}
    assert {body.get("cachedContent") for body in server.bodies} == {"cachedContents/c1"}


def test_a_step_that_is_asked_in_batches_sends_whole_questions(tmp_path: Path, server: Any) -> None:
    """That it is asked in batches may be the command's word, which is no mistake of the file."""
    path = write(tmp_path, server, 9)
    plan = plan_workflow(path, RunOptions(is_batch=True)).plan
    assert plan.steps[0].context is None


def test_a_model_that_is_asked_next_is_asked_whole_questions(tmp_path: Path, server: Any, counting_server: Any) -> None:
    server.respond = lambda _d, body, _n: counting_server.Answer(
        "seen", finish="refused" if "cachedContent" in body else "stop"
    )
    path = write(tmp_path, server, 3, FLOW + "    escalate: {to: box/strong}\n")
    assert runner.run(path, consent=True, parallel=1).exit_code == 0
    by_model = {request.path: "cachedContent" in request.body for request in server.requests}
    assert by_model == {"/v1beta/models/m:generateContent": True, "/v1beta/models/strong:generateContent": False}


def test_express_mode_of_vertex_has_no_place_for_it(
    tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "AQ.some-key")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    path = write(tmp_path, server, 9, FLOW.replace("box/m", "vertex/gemini-3.1-flash-lite"))
    with pytest.raises(UsageError) as caught:
        runner.run(path, consent=True)
    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == (
        "no-context-cache",
        "step 'ask' keeps what its questions share, and 'vertex' does so for a project only, which is not named",
    )


def test_what_is_not_reached_over_http_keeps_nothing(
    tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Double:
        async def send(self, *_given: Any, **_more: Any) -> bytes:
            raise AssertionError("nothing is asked")

        async def aclose(self) -> None:
            return None

    monkeypatch.setattr("runner.app.transports.make_transport", lambda *_given: Double())
    result = runner.run(write(tmp_path, server, 9), consent=True)
    assert result.exit_code == 3
    assert "'box' is not reached over HTTP, so that nothing is kept there" in result.problems[0].message
