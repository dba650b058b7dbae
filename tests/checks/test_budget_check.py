"""A budget into which nothing fits is told before a run; all others are silent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Findings = Callable[..., str]
TWO = """\
defaults: {model: openai/thinker}
steps:
  ask: {prompt: x, samples: 2}
  reply: {prompt: "{{ steps.ask.samples | length }}"}
outputs: {reply: steps.reply.text}
"""


def test_fewer_calls_than_steps(findings: Findings) -> None:
    assert findings(f"budget: {{calls: 2}}\n{TWO}") == (
        "flow.yaml:1:17: warning: small-budget: a run that finds nothing stored takes at least 3 calls, "
        "with one item of each list, and the budget is 2 calls\n"
        "    1 | budget: {calls: 2}\n"
        "      |                 ^"
    )


def test_fewer_tokens_than_every_call_takes(findings: Findings) -> None:
    assert "takes at least 6 tokens, with one item of each list, and the budget is 5 tokens" in findings(
        f"budget: {{tokens: 5}}\n{TWO}"
    )


def test_less_money_than_every_call_takes(findings: Findings) -> None:
    assert "takes at least 0.000009 USD, with one item of each list, and the budget is 0 USD" in findings(
        f"budget: {{usd: 0}}\n{TWO}"
    )


@pytest.mark.parametrize("budget", ["{calls: 3}", "{tokens: 6}", "{usd: 0.000009}", "{usd: 5}", "{}"])
def test_what_may_suffice_is_silent(findings: Findings, budget: str) -> None:
    assert findings(f"budget: {budget}\n{TWO}") == ""


def test_a_price_that_nobody_knows_says_nothing(findings: Findings) -> None:
    assert findings("budget: {usd: 0}\nsteps: {ask: {model: me/any, prompt: x}}\n") == ""
    assert findings("budget: {usd: 0}\nsteps: {ask: {model: lost/one, prompt: x}}\n") == ""


def test_what_may_be_skipped_is_not_counted(findings: Findings) -> None:
    text = """\
budget: {calls: 1}
inputs: {deep: {type: boolean}}
data: {rows: {file: rows.jsonl}}
defaults: {model: openai/thinker}
steps:
  ask: {prompt: x}
  more: {when: inputs.deep, prompt: y}
  each: {for_each: data.rows, prompt: "{{ item }}{{ steps.more.text }}"}
outputs: {ask: steps.ask.text, each: steps.each.texts}
"""
    assert "small-budget" not in findings(text, files={"rows.jsonl": "1\n"})
    assert "2 calls, with one item of each list" in findings(
        text.replace("{{ steps.more.text }}", ""), files={"rows.jsonl": "1\n"}
    )
