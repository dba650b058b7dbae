"""Who agrees to what a run may cost: nobody is asked where it is cheap, free or stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions, RunResult
from runner.core.budget import Limit
from runner.core.errors import OverBudget, UsageError
from runner.core.problem import render_all

ANSWERS = '{"match": "words", "answer": {"words": ["a", "b"]}}\n{"answer": "fine"}\n'
FLOW = "steps:\n  ask: {model: m, prompt: hello, max_output_tokens: 1000}\nmodels: {m: scripted/answers.jsonl}\n"
LIST = """\
models: {m: scripted/answers.jsonl}
defaults: {model: m, max_output_tokens: 1000}
steps:
  first: {prompt: words, fields: {words: [string]}}
  each: {for_each: steps.first.output.words, prompt: "{{ item }}"}
"""
WAYS = (
    "  fix:      --yes, or --max-cost USD, which also stops the run there; 'runner plan' shows what each step may cost"
)


@pytest.fixture
def flow(tmp_path: Path) -> Any:
    """Runs a workflow whose model costs so many dollars per million tokens; None: nobody knows."""

    def run(text: str, price: float | None = 1.0, **options: Any) -> RunResult:
        priced = f"{{input: {price}, output: {price}}}"
        prices = "" if price is None else f"prices: {{scripted/answers.jsonl: {priced}, own/m: {priced}}}\n"
        provider = "providers: {own: {dialect: scripted, file: answers.jsonl}}\n"
        (tmp_path / "runner.yaml").write_text(provider + prices)
        (tmp_path / "answers.jsonl").write_text(ANSWERS)
        (tmp_path / "a.jsonl").write_text(ANSWERS)
        (tmp_path / "flow.yaml").write_text(text.replace("scripted/answers.jsonl", "own/m"))
        return api.run(tmp_path / "flow.yaml", RunOptions(**options))

    return run


def told(flow: Any, *given: Any, **options: Any) -> list[str]:
    with pytest.raises(UsageError) as raised:
        flow(*given, **options)
    assert not isinstance(raised.value, OverBudget)
    assert raised.value.exit_code == 2
    return render_all(raised.value.problems, raised.value.sources).splitlines()


def test_a_cheap_run_needs_no_consent(flow: Any) -> None:
    assert flow(FLOW, price=900).exit_code == 0


def test_a_run_that_may_cost_more_than_a_dollar_needs_consent(flow: Any) -> None:
    assert told(flow, FLOW, price=1100) == [
        "needs-consent: this run may cost up to 1.102 USD, more than 1 USD; nothing was called",
        "  certain:  1 call, 0.0033 USD",
        "  at most:  1 call, 1.102 USD",
        WAYS,
    ]
    assert flow(FLOW, price=1100, has_consent=True).exit_code == 0


def test_a_bound_of_money_is_consent_up_to_there(flow: Any) -> None:
    assert flow(FLOW, price=1100, max_cost=Limit(1.05, "--max-cost")).exit_code == 0


def test_a_budget_moves_the_line(flow: Any) -> None:
    assert flow(f"budget: {{usd: 2}}\n{FLOW}", price=1100).exit_code == 0
    other = FLOW.replace("hello", "hallo")
    (first, *_) = told(flow, f"budget: {{usd: 0.5}}\n{other}", price=600)
    assert first == "needs-consent: this run may cost up to 0.6012 USD, more than 0.5 USD; nothing was called"
    assert told(flow, other, price=600, consent_usd=0.25)[0].endswith("more than 0.25 USD; nothing was called")


def test_a_price_that_nobody_knows_needs_consent(flow: Any) -> None:
    assert told(flow, FLOW, price=None) == [
        "needs-consent: what this run costs is not known, since own/m has no price; nothing was called",
        "  certain:  1 call, ? USD",
        "  at most:  1 call, ? USD",
        "  fix:      --yes, or what it costs under 'prices' in runner.yaml, such as {own/m: free}; --max-cost counts only what has a price",
    ]
    assert flow(FLOW, price=None, has_consent=True).exit_code == 0


def test_a_list_that_is_not_known_yet_may_cost_anything(flow: Any) -> None:
    assert told(flow, LIST)[:3] == [
        "needs-consent: this run may cost more than 1 USD: how often 'each' is asked is known after first; nothing was called",
        "  certain:  1 call, 0.000036 USD",
        "  at most:  not known",
    ]


def test_an_answer_without_a_bound_may_cost_anything(flow: Any) -> None:
    (first, *_) = told(flow, FLOW.replace(", max_output_tokens: 1000", ""))
    assert first == (
        "needs-consent: this run may cost more than 1 USD: nothing bounds the answers of 'ask' "
        "(max_output_tokens does); nothing was called"
    )


def test_a_stored_answer_needs_no_consent_and_no_estimate(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flow(FLOW, price=1100, has_consent=True)
    monkeypatch.setattr("runner.plan.plan.make_plan", lambda *_: pytest.fail("no estimate is needed"))
    assert flow(FLOW, price=1100).summary.cached == 1


def test_free_models_need_no_estimate(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.app.consent.make_plan", lambda *_: pytest.fail("no estimate is needed"))
    assert flow(LIST, price=0).exit_code == 0


def test_what_is_stored_is_not_counted(flow: Any) -> None:
    text = "models: {m: scripted/answers.jsonl}\ndefaults: {model: m, max_output_tokens: 1000}\nsteps:\n"
    flow(f"{text}  a: {{prompt: one}}\n", price=600)
    assert flow(f"{text}  a: {{prompt: one}}\n  b: {{prompt: two}}\n", price=600).summary.calls == 1


def test_a_step_that_does_not_read_what_is_missing_is_counted_too(flow: Any) -> None:
    text = "steps:\n  a: {model: scripted/a.jsonl, prompt: x}\n  b: {model: scripted/answers.jsonl, prompt: y}\n"
    (first, *_) = told(flow, text, price=None)
    assert first.startswith("needs-consent: what this run costs is not known, since own/m has no price")


def test_a_question_is_asked_where_somebody_can_answer(flow: Any) -> None:
    asked: list[str] = []

    def answer(word: bool) -> Callable[[str], bool]:
        def ask(question: str) -> bool:
            asked.append(question)
            return word

        return ask

    assert flow(FLOW, price=1100, ask=answer(True)).exit_code == 0
    assert asked == [
        "this run may cost up to 1.102 USD, more than 1 USD (certain: 1 call, 0.0033 USD; at most: 1 call, 1.102 USD)"
    ]
    assert told(flow, FLOW.replace("hello", "hallo"), price=1100, ask=answer(False)) == [
        "not-agreed: the run was not started, and nothing was called",
        WAYS,
    ]


def test_who_bounds_the_run_is_told_to_those_who_want_to_know(flow: Any) -> None:
    details: list[str] = []
    flow(f"budget: {{usd: 2, calls: 9}}\n{FLOW}", max_cost=Limit(1.5, "--max-cost"), tell=details.append)
    assert details == ["budget: at most 1.5 USD (--max-cost), 9 calls (flow.yaml:1:25)"]


def test_each_kind_of_budget_is_told_in_its_own_words(flow: Any) -> None:
    three = FLOW.replace("hello, max", "hello, samples: 3, max")
    stopped = flow(f"budget: {{tokens: 9}}\n{three}", price=0, max_parallel=1)
    assert stopped.exit_code == 4
    assert stopped.problems[0].message.startswith("the run stopped at its budget of 9 tokens: ")
    assert stopped.problems[0].message.endswith(" tokens are used")
    repaired = FLOW.replace("hello", "hallo, fields: {n: integer}, repair: 3")
    stopped = flow(f"budget: {{calls: 2}}\n{repaired}", price=0)
    assert (stopped.exit_code, stopped.summary.requests) == (4, 2)
    assert stopped.problems[0].message == "the run stopped at its budget of 2 calls: 2 requests were sent"
