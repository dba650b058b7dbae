"""Change a prompt, a schema, a level, an expected value or an assertion: the verdict and the cause are right each time.

Every assertion is tried in a form that holds and in forms that do not; every edit of the files starts from a suite that
passes from stored answers, so that what is told is told of the edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Assertion:
    """`told` is the first detail where it does not hold, "" where it holds."""

    text: str
    told: str = ""


REPLY = "steps.reply.text"
QUEUE = "steps.classify.output"
ASSERTIONS = (
    Assertion("{that: steps.classify.output.sure > 0.8}"),
    Assertion("{that: steps.classify.output.sure > 0.95}", "it is not true"),
    Assertion("{that: steps.classify.output.queue == inputs.tone}", "it is not true"),
    Assertion(f"{{of: {REPLY}, contains: Dear}}"),
    Assertion(f"{{of: {REPLY}, contains: [Dear, Sir, Madam]}}", 'it does not hold "Madam", "Sir"'),
    Assertion(f"{{of: {REPLY}, lacks: Sir}}"),
    Assertion(f"{{of: {REPLY}, lacks: [Dear, Sir]}}", 'it holds "Dear"'),
    Assertion(f"{{of: {REPLY}, starts_with: Dear}}"),
    Assertion(f"{{of: {REPLY}, starts_with: dear}}", 'it does not begin with "dear"'),
    Assertion(f'{{of: {REPLY}, regex: "^Dear \\\\w+"}}'),
    Assertion(f'{{of: {REPLY}, regex: "^Dear [0-9]+"}}', "the pattern is not found in it"),
    Assertion(f"{{of: {QUEUE}, json_path: $.queue}}"),
    Assertion(f"{{of: {QUEUE}, json_path: $.queue, is: bug}}"),
    Assertion(f"{{of: {QUEUE}, json_path: $.queue, is: other}}", '$.queue: expected "other"   got "bug"'),
    Assertion(f"{{of: {QUEUE}, json_path: $, is: {{queue: other}}}}", '$.queue: expected "other"   got "bug"'),
    Assertion(f"{{of: {QUEUE}, json_path: '$.queue[0]'}}", "$.queue[0] leads nowhere"),
    Assertion(f"{{of: {QUEUE}, length: 2}}"),
    Assertion(f"{{of: {QUEUE}, length: 3}}", "its length is 2, less than 3"),
    Assertion(f"{{of: {REPLY}, length: {{max: 10}}}}", "its length is 29, more than 10"),
    Assertion(f"{{of: {QUEUE}.sure, length: 1}}", "0.9 has no length"),
    Assertion(f"{{of: {REPLY}, similar: {{to: 'Dear customer, bug will help!', at_least: 0.9}}}}"),
    Assertion(f"{{of: {REPLY}, similar: {{to: nothing, at_least: 0.9}}}}", "likeness 0.07, less than 0.9"),
    Assertion("{usd: 0}"),
    Assertion("{tokens: 30}"),
    Assertion("{tokens: 29}", "30 tokens, more than 29"),
    Assertion("{tokens: 15, step: reply}"),
    Assertion("{tokens: 14, step: reply}", "15 tokens, more than 14"),
    Assertion("{latency: 1h}"),
)


@pytest.mark.parametrize("assertion", ASSERTIONS, ids=lambda one: one.text)
def test_an_assertion_holds_or_says_why_not(project: Any, assertion: Assertion) -> None:
    project.edit("flow.suite.yaml", "    tags: [smoke]\n", f"    assert:\n      - {assertion.text}\n")
    said = project.test("-k", "crash")
    details = [line.strip() for line in said.out.splitlines() if line.startswith("    ")]
    assert details[:1] == ([assertion.told] if assertion.told else []), said.out + said.err
    assert said.code == (1 if assertion.told else 0)


@dataclass(frozen=True)
class Edit:
    """One change of a file; what comes of it is the exit code offline and what must be told."""

    file: str
    old: str
    new: str
    code: int
    told: str = ""


FLOW, SUITE = "flow.yaml", "flow.suite.yaml"
EDITS = {
    # What enters a question: its answer is missing, and the ingredient that differs is named.
    "a prompt": Edit(FLOW, "Which queue?", "What queue?", 6, "differs in the text at flow.yaml:9"),
    "a system text": Edit(FLOW, "  classify:\n", "  classify:\n    system: Be short.\n", 6, "its system text"),
    "a schema": Edit(FLOW, "sure: number 0..1", "sure: number 0..2", 6, "differs in schema:/properties/sure/maximum: 1 → 2"),
    "an order of fields": Edit(
        FLOW, "{queue: [bug, billing, how-to, other], sure: number 0..1}",
        "{sure: number 0..1, queue: [bug, billing, how-to, other]}", 6, "differs in schema:/properties",
    ),
    "a temperature": Edit(FLOW, "  classify:\n", "  classify:\n    temperature: 0.5\n", 6, "option:temperature"),
    "a seed": Edit(FLOW, "  classify:\n", "  classify:\n    seed: 5\n", 6, "option:seed"),
    "a cap": Edit(FLOW, "  classify:\n", "  classify:\n    max_output_tokens: 50\n", 6, "option:max_output_tokens"),
    "a stop": Edit(FLOW, "  reply:\n", '  reply:\n    stop: ["."]\n', 6, "option:stop"),
    "a model": Edit(FLOW, "box/small", "box/large", 6, "model"),
    "a salt": Edit(FLOW, "  classify:\n", "  classify:\n    cache: {salt: again}\n", 6, "salt"),
    "an input": Edit(SUITE, "the app crashes", "the app crashes again", 6, "input:ticket"),
    "a default": Edit(FLOW, "default: friendly", "default: formal", 6, "input:tone"),
    # What does not: the verdict stays.
    "a description": Edit(FLOW, "  classify:\n", "  classify:\n    description: Sorts.\n", 0),
    "a comment": Edit(FLOW, "steps:\n", "# all of them\nsteps:\n", 0),
    "a repair": Edit(FLOW, "  classify:\n", "  classify:\n    repair: 1\n", 0),
    "a time limit": Edit(FLOW, "  classify:\n", "  classify:\n    timeout: 5s\n", 0),
    "a tag": Edit(SUITE, "[smoke]", "[smoke, fast]", 0),
    "an alias": Edit(FLOW, "{fast: box/small}", "{fast: box/small, slow: box/small}", 0),
    "a threshold": Edit(SUITE, "workflow: flow.yaml\n", "workflow: flow.yaml\nthresholds: {pass_rate: 1}\n", 0),
    # What judges an answer.
    "an ensure line": Edit(
        FLOW, "  classify:\n", "  classify:\n    ensure: [output.sure > 0.95]\n", 1, "'classify' gave no answer: invalid",
    ),
    "a when": Edit(FLOW, 'when: steps.classify.output.queue != "other"', "when: inputs.tone == 'x'", 0),
    "a when that lets more through": Edit(
        FLOW, 'when: steps.classify.output.queue != "other"', "when: steps.classify.output.sure > 0.1", 6, "upstream",
    ),
    "an expected value": Edit(SUITE, "{queue: bug}", "{queue: billing}", 1, 'queue:  expected "billing"   got "bug"'),
    "an expected output": Edit(
        SUITE, "      steps.classify: {queue: bug}", "      outputs.queue: other", 1, 'expected "other"   got "bug"',
    ),
    "an expected status": Edit(
        SUITE, "{status: {steps.reply: skipped}}", "{status: {steps.reply: failed}}", 1, "expected failed   got skipped",
    ),
    "a status of the wrong case": Edit(
        SUITE, "      steps.classify: {queue: bug}", "      status: {steps.reply: skipped}", 1,
        "expected skipped   got good",
    ),
    "a whole list": Edit(
        SUITE, "      steps.classify: {queue: bug}", "      outputs.reply: Dear customer", 1,
        'expected "Dear customer"   got "Dear customer, bug will help."',
    ),
    "a skipped step": Edit(
        SUITE, "expect: {status: {steps.reply: skipped}}", "expect: {steps.reply: Hello}", 1,
        "expected a value, but it was skipped (when does not hold)",
    ),
    # What cannot be: told before a case runs.
    "a level": Edit(FLOW, "  classify:\n", "  classify:\n    thinking: high\n", 2, "thinking-level"),
    "a value that never comes": Edit(SUITE, "{queue: bug}", "{queue: bgu}", 2, "impossible-expectation"),
    "a field that there is not": Edit(SUITE, "{queue: bug}", "{quue: bug}", 2, "impossible-expectation"),
    "a step that there is not": Edit(SUITE, "{steps.reply: skipped}", "{steps.rely: skipped}", 2, "unknown-step"),
    "an input that there is not": Edit(SUITE, "{ticket: a free phone}", "{tikket: a free phone}", 2, "unknown-input"),
    "an input left out": Edit(SUITE, "    with: {ticket: a free phone}\n", "", 2, "missing-input"),
    "a step renamed": Edit(FLOW, "  reply:\n", "  answer:\n", 2, "unknown-step"),
    "a word of the schema dropped": Edit(FLOW, "[bug, billing, how-to, other]", "[billing, how-to, other]", 2,
                                         "impossible-expectation"),
    "a workflow that there is not": Edit(SUITE, "workflow: flow.yaml", "workflow: flaw.yaml", 2, "missing-file"),
    "a key misspelt": Edit(SUITE, "cases:", "casses:", 2, "casses"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_has_the_verdict_and_the_cause_that_it_should(project: Any, name: str) -> None:
    assert project.test().code == 0
    edit = EDITS[name]
    project.edit(edit.file, edit.old, edit.new)
    said = project.test("--offline")
    assert project.asked == []
    assert (said.code, edit.told in said.out + said.err) == (edit.code, True), said.out + said.err
