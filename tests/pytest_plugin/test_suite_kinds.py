"""Rows, cells, samples, metrics, thresholds, baselines, judges and snapshots, from the file to the words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.app.suite_session import SuiteSession
from runner.app.types import RunOptions

ROWS = """\
{"id": "a", "text": "charged twice", "label": "billing"}
{"id": "b", "text": "it crashes", "label": "how-to"}
{"id": "c", "text": "a free phone", "label": "other"}
"""
FROM_ROWS = """\
format: 1
workflow: flow.yaml
cases_from:
  file: rows.jsonl
  key: id
  with: {ticket: {from: case.text}}
  expect: {steps.classify: {queue: {from: case.label}}}
"""
METRICS = """\
metrics:
  right: {accuracy: {of: steps.classify.output.queue, against: case.label}}
  sure: {mean: {of: steps.classify.output.sure}}
  table: {confusion: {of: steps.classify.output.queue, against: case.label}}
  labels: {f1: {of: steps.classify.output.queue, against: case.label}}
  same: {agreement: {of: steps.classify.output.queue}}
  polite: {share: {of: '"Dear" in steps.reply.text'}}
"""


@pytest.fixture
def rows(project: Any) -> Any:
    project.write("rows.jsonl", ROWS)
    project.suite(FROM_ROWS)
    return project


def with_more(project: Any, more: str) -> None:
    project.suite((project.root / "flow.suite.yaml").read_text(encoding="utf-8") + more)


def failed(said: Any) -> list[str]:
    return [line for line in said.out.splitlines() if line.startswith("FAILED")]


# --- rows


def test_rows_make_cases_that_are_called_by_their_key(rows: Any) -> None:
    assert rows.test("--list").out.splitlines() == [f"flow.suite.yaml::{name}" for name in "abc"]
    said = rows.test()
    assert failed(said) == ['FAILED flow.suite.yaml::b  classify.queue "how-to" ≠ "bug"']
    assert "differs from expect                                   flow.suite.yaml:7" in said.out


def test_a_row_that_is_no_good_fails_alone(rows: Any) -> None:
    rows.write("rows.jsonl", ROWS + '{"text": "no key"}\n')
    said = rows.test("-k", "line")
    assert failed(said) == ["FAILED flow.suite.yaml::line-4  case 'line-4': field 'id' holds no key"]


def test_a_case_and_a_row_of_one_name_are_told_apart(rows: Any) -> None:
    with_more(rows, "cases:\n  a: {with: {ticket: x}, expect: {steps.classify: {queue: other}}}\n")
    said = rows.test("-k", "a")
    assert rows.test("--list").out.splitlines()[:2] == ["flow.suite.yaml::a", "flow.suite.yaml::a#2"]
    assert "case 'a' came before" in said.out


def test_files_make_cases(project: Any) -> None:
    project.write("mails/one.txt", "charged twice\n")
    project.write("mails/two.txt", "a free phone\n")
    project.suite(
        "format: 1\nworkflow: flow.yaml\ncases_from:\n  glob: mails/*.txt\n  with: {ticket: {from: case.stem}}\n"
        "  assert: [{that: 'steps.classify.output.sure > 0.5'}]\n"
    )
    assert project.test("--list").out.splitlines() == ["flow.suite.yaml::one.txt", "flow.suite.yaml::two.txt"]
    assert project.test().code == 0


# --- cells and samples


def test_every_case_runs_in_every_cell_but_those_left_out(project: Any) -> None:
    with_more(
        project,
        "matrix:\n  inputs.tone: [friendly, formal]\n  variant: {plain: {}, hot: {classify.temperature: 0.7}}\n"
        "  exclude: [{inputs.tone: formal, variant: hot}]\n",
    )
    listed = project.test("--list", "-k", "spam").out.splitlines()
    cells = ("friendly-plain", "friendly-hot", "formal-plain")
    assert listed == [f"flow.suite.yaml::spam[{cell}]" for cell in cells]
    assert project.test().code == 0
    # Two ways to classify, and one reply to each of two queues in two tones: no question is asked twice.
    assert len(project.asked) == 3 * 2 + 2 * 2


def test_what_is_left_out_can_be_added_again(project: Any) -> None:
    with_more(
        project,
        "matrix:\n  inputs.tone: [friendly, formal]\n  exclude: [{inputs.tone: [friendly, formal]}]\n"
        "  include: [{inputs.tone: formal}]\n",
    )
    assert project.test("--list", "-k", "spam").out == "flow.suite.yaml::spam[formal]\n"


def test_an_added_cell_may_have_values_of_its_own(project: Any) -> None:
    with_more(
        project,
        "matrix:\n  inputs.tone: [friendly]\n  variant: {plain: {}, hot: {classify.temperature: 0.7}}\n"
        "  include: [{inputs.tone: formal, variant: hot}, {inputs.tone: rude}, {inputs.tone: friendly, variant: plain}]\n",
    )
    cells = ("friendly-plain", "friendly-hot", "formal-hot", "rude")
    assert project.test("--list", "-k", "spam").out.splitlines() == [f"flow.suite.yaml::spam[{cell}]" for cell in cells]
    assert project.test().code == 0


def test_an_added_cell_names_variants_that_there_are(project: Any) -> None:
    with_more(project, "matrix:\n  variant: {plain: {}}\n  include: [{variant: plan}]\n")
    said = project.test()
    assert said.code == 2
    assert "unknown-value: include names a value that axis 'variant' does not have" in said.err


def test_a_matrix_without_a_cell_is_exit_5(project: Any) -> None:
    with_more(project, "matrix:\n  inputs.tone: [a]\n  exclude: [{inputs.tone: a}]\n")
    said = project.test()
    assert said.code == 5
    assert said.err.startswith("flow.suite.yaml:16:1: no-cases: the matrix leaves no cell\n")


def test_prompts_are_called_by_their_number(project: Any) -> None:
    with_more(project, 'matrix:\n  reply.prompt: ["Answer {{ inputs.ticket }}", "Reply {{ inputs.ticket }}"]\n')
    assert project.test("--list", "-k", "spam").out.splitlines() == [
        "flow.suite.yaml::spam[prompt1]",
        "flow.suite.yaml::spam[prompt2]",
    ]


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        ("classify.thinking: [default, high]", "the thinking levels of box/small are not known"),
        ("classify.model: [fast, nobody/x]", "there is no provider 'nobody'"),
        (
            'classify.prompt: ["Which {{ inputs.tikket }}"]',
            "step 'classify' reads input 'tikket', but no input has that name",
        ),
        ("classify.fields: [{label: string}]", "the output of 'classify' has no field 'queue'"),
    ],
)
def test_a_cell_that_cannot_run_is_told_before_any_call(project: Any, axis: str, told: str) -> None:
    with_more(project, f"matrix:\n  {axis}\n")
    said = project.test()
    assert (said.code, project.asked) == (2, [])
    assert told in said.err
    assert "  in cell:  " in said.err


def test_samples_are_asked_one_by_one_and_kept_apart(project: Any) -> None:
    with_more(project, "samples: 2\n")
    project.test("-k", "spam")
    assert len(project.asked) == 2
    assert project.test("--list", "-k", "spam").out.splitlines() == [
        "flow.suite.yaml::spam[s1]",
        "flow.suite.yaml::spam[s2]",
    ]
    project.edit("flow.suite.yaml", "samples: 2", "samples: 3")
    project.test("-k", "spam")
    assert len(project.asked) == 1


# --- numbers


def test_metrics_and_rates_are_told_cell_by_cell(rows: Any) -> None:
    with_more(rows, METRICS + "thresholds: {pass_rate: 0.5, right: 0.5}\n")
    said = rows.test()
    assert said.code == 0
    assert said.out == (
        "flow.suite.yaml\n"
        "  pass_rate  0.67 (2 of 3, 95 % 0.21–0.94)\n"
        "  right  0.67 (2 of 3, 95 % 0.21–0.94)\n"
        "  sure  0.9\n"
        "  table  a table\n"
        "    billing → billing 1\n"
        "    bug → nothing\n"
        "    how-to → bug 1\n"
        "    other → other 1\n"
        "  labels  0.6667\n"
        "    billing: precision 1.00, recall 1.00, f1 1.00, 1 case\n"
        "    bug: precision 0.00, recall 0.00, f1 0.00, 0 cases\n"
        "    how-to: precision 0.00, recall 0.00, f1 0.00, 1 case\n"
        "    other: precision 1.00, recall 1.00, f1 1.00, 1 case\n"
        "  same  1.00 (3 of 3, 95 % 0.44–1.00)\n"
        "  polite  1.00 (2 of 2, 95 % 0.34–1.00), 1 without a value\n"
        "\n"
    )


def test_with_a_threshold_cases_count_together(rows: Any) -> None:
    with_more(rows, "thresholds: {pass_rate: 0.9}\n")
    said = rows.test()
    assert said.code == 1
    assert said.err.splitlines()[0] == "flow.suite.yaml  .f.F"
    assert failed(said) == [
        "FAILED flow.suite.yaml::thresholds  pass_rate: 0.67 (2 of 3, 95 % 0.21–0.94) < 0.9",
    ]


def test_thresholds_of_money_leave_cases_on_their_own(rows: Any) -> None:
    with_more(rows, "thresholds: {usd: 1}\n")
    said = rows.test()
    assert failed(said) == ['FAILED flow.suite.yaml::b  classify.queue "how-to" ≠ "bug"']


@pytest.mark.parametrize(
    ("metric", "bound", "told"),
    [
        ("{mean: {of: steps.classify.output.sure}}", "{max: 0.5}", "m: 0.9 > 0.5"),
        ("{median: {of: steps.classify.output.sure}}", "0.95", "m: 0.9 < 0.95"),
        ("{p95: {of: steps.classify.output.sure}}", "0.95", "m: 0.9 < 0.95"),
        ("{p50: {of: steps.classify.output.sure}}", "0.95", "m: 0.9 < 0.95"),
        ("{p99.9: {of: steps.classify.output.sure}}", "0.95", "m: 0.9 < 0.95"),
        ("{precision: {of: steps.classify.output.queue, against: case.label}}", "0.9", "m: 0.6667 < 0.9"),
        (
            "{recall: {of: steps.classify.output.queue, against: case.label, label: how-to}}",
            "0.9",
            "m: 0 < 0.9",
        ),
        (
            "{recall: {of: steps.classify.output.queue, against: case.label, label: bug}}",
            "0.9",
            "m: no case should have the label 'bug'",
        ),
        ("{from: pass_rate * 2}", "{max: 1}", "m: 1.333 > 1"),
        ("{from: 1 / (usd * 0)}", "1", "m: '/' divides by zero"),
        ("{from: '\"x\"'}", "1", "m: it is x, not a number"),
        ("{min: {of: steps.classify.output.sure}}", "0.95", "m: 0.9 < 0.95"),
        ("{max: {of: steps.classify.output.sure}}", "0.95", "m: 0.9 < 0.95"),
        ("{sum: {of: steps.classify.output.sure}}", "3", "m: 2.7 < 3"),
        ("{mean: {of: steps.classify.output.queue}}", "1", "m: no case gives a number, 3 without a value"),
    ],
)
def test_a_metric_that_misses_its_threshold_is_told(rows: Any, metric: str, bound: str, told: str) -> None:
    with_more(rows, f"metrics: {{m: {metric}}}\nthresholds: {{m: {bound}}}\n")
    said = rows.test()
    assert failed(said) == [f"FAILED flow.suite.yaml::thresholds  {told}"]


def test_a_missing_answer_leaves_the_thresholds_open(rows: Any) -> None:
    with_more(rows, "thresholds: {pass_rate: 0.1}\n")
    said = rows.test("--offline")
    assert said.code == 6
    assert failed(said)[-1] == "FAILED flow.suite.yaml::thresholds  case 'a' has no verdict: missing"


def test_thresholds_alone_are_about_all_cases(rows: Any) -> None:
    with_more(rows, "thresholds: {pass_rate: 0.9}\n")
    said = rows.test("flow.suite.yaml::thresholds")
    told = "pass_rate: 0.67 (2 of 3, 95 % 0.21–0.94) < 0.9"
    assert (said.code, failed(said)) == (1, [f"FAILED flow.suite.yaml::thresholds  {told}"])
    # A rerun of what failed names them alone, since no case fails on its own.
    assert failed(rows.test("--last-failed")) == failed(said)
    assert rows.test("flow.suite.yaml::thresholds", "flow.suite.yaml::a").code == 0


# --- baselines

COMPARED = """\
matrix: {inputs.tone: [friendly, formal]}
metrics: {size: {mean: {of: 'steps.reply.text | default("") | length'}}}
compare: {baseline: {inputs.tone: friendly}, fail_if: size > baseline.size, significance: SIGNIFICANCE}
"""


def long_for_formal(project: Any) -> None:
    for queue in ("billing", "bug", "how-to"):
        project.special[f"Answer formal from {queue}"] = project.Answer(text="x" * 900)


def many_rows(project: Any, number: int) -> None:
    lines = [json.dumps({"id": f"r{one}", "text": f"it crashes {one}", "label": "bug"}) for one in range(number)]
    project.write("rows.jsonl", "\n".join(lines))


def test_a_cell_that_is_worse_than_the_baseline_fails(rows: Any) -> None:
    many_rows(rows, 6)
    long_for_formal(rows)
    with_more(rows, COMPARED.replace("SIGNIFICANCE", "0.05"))
    said = rows.test()
    assert failed(said) == [
        (
            "FAILED flow.suite.yaml::thresholds  cell formal: size > baseline.size; size: 900, cell friendly 29 "
            "(by chance with a probability of 0.031)"
        )
    ]


def test_a_difference_that_may_be_chance_does_not_fail(rows: Any) -> None:
    many_rows(rows, 3)
    long_for_formal(rows)
    with_more(rows, COMPARED.replace("SIGNIFICANCE", "0.05"))
    assert rows.test().code == 0


def test_a_stored_run_is_a_baseline(rows: Any) -> None:
    many_rows(rows, 30)
    with_more(rows, "thresholds: {pass_rate: 0}\n")
    rows.write("baseline.json", rows.test("--json").out)
    project = rows
    with_more(project, "compare: {baseline: {file: baseline.json}, fail_if: pass_rate < baseline.pass_rate - 0.02}\n")
    assert project.test().code == 0
    many = project.root / "rows.jsonl"
    many.write_text(
        many.read_text(encoding="utf-8").replace('"label": "bug"', '"label": "other"', 10), encoding="utf-8"
    )
    said = project.test()
    assert failed(said) == [
        (
            "FAILED flow.suite.yaml::thresholds  it: pass_rate < baseline.pass_rate - 0.02; "
            "pass_rate: 0.6667, baseline.json 1 (by chance with a probability of 0.001)"
        )
    ]


def test_a_baseline_that_holds_no_numbers_is_told(rows: Any) -> None:
    rows.write("baseline.json", "{}")
    with_more(rows, "compare: {baseline: {file: baseline.json}, fail_if: pass_rate < baseline.pass_rate}\n")
    said = rows.test()
    assert said.code == 2
    assert "bad-baseline: baseline.json holds no numbers of this suite" in said.err


# --- judges


def test_a_judge_reads_the_answers_and_its_verdict_counts(project: Any) -> None:
    project.special["Is this polite? Dear customer, billing will help. (None)"] = project.Answer(
        text='{"verdict": false, "reason": "no name"}'
    )
    with_more(
        project,
        "judges:\n  polite:\n    model: box/small\n"
        "    prompt: \"Is this polite? {{ steps.reply.text }} ({{ case is none and 'None' }})\"\n"
        "    fields: {verdict: boolean, reason: string}\n",
    )
    project.edit(
        "flow.suite.yaml",
        "      steps.classify: {queue: billing}\n",
        "      steps.classify: {queue: billing}\n    assert: [{judge: polite}]\n",
    )
    said = project.test("-k", "charge")
    assert failed(said) == ["FAILED flow.suite.yaml::charge  judge polite: the verdict is no"]
    assert "    reason: no name\n" in said.out
    project.test("-k", "charge")
    assert project.asked == []


JUDGED = """\
assert: [{judge: polite}]
judges:
  polite:
    model: box/small
    prompt: "PROMPT"
    fields: {verdict: boolean}
"""


def judging(project: Any, prompt: str) -> list[str]:
    """What a judge is asked of the cases, its verdicts all good."""
    with_more(project, JUDGED.replace("PROMPT", prompt))
    own = project.respond
    project.server.respond = lambda dialect, body, n: (
        project.Answer(text='{"verdict": true}')
        if body["messages"][-1]["content"].startswith("Judge")
        else own(dialect, body, n)
    )
    said = project.test()
    assert said.code == 0, said.out + said.err
    return sorted(prompt for prompt in project.asked if prompt.startswith("Judge"))


def test_a_judge_reads_the_outputs_of_the_workflow(project: Any) -> None:
    assert judging(project, "Judge {{ outputs.queue }}: {{ outputs.reply }}") == [
        "Judge billing: Dear customer, billing will help.",
        "Judge bug: Dear customer, bug will help.",
        "Judge other: (none)",
    ]


def test_an_output_of_a_skipped_step_is_null_to_a_judge(project: Any) -> None:
    project.edit("flow.yaml", ' | default("(none)")', "")
    asked = judging(project, "Judge {{ outputs.reply }}")
    assert asked[-1] == "Judge null"


def test_a_judge_reads_all_outputs_together(project: Any) -> None:
    asked = judging(project, "Judge {{ outputs }}")
    assert asked[-1] == 'Judge {"queue": "other", "reply": "(none)"}'


def test_an_output_that_cannot_be_evaluated_fails_the_judge(project: Any) -> None:
    project.edit(
        "flow.yaml", "  queue: steps.classify.output.queue\n", "  queue: 1 / (steps.classify.output.sure - 0.9)\n"
    )
    with_more(project, JUDGED.replace("PROMPT", "Judge {{ outputs.queue }}"))
    said = project.test("-k", "charge")
    assert said.code == 1
    assert "step 'polite' gave no answer: render" in said.out


def test_a_judge_waits_for_what_an_output_reads(project: Any) -> None:
    said = project.special
    said["Which queue? charged twice"] = project.Answer(status=401)
    with_more(project, JUDGED.replace("PROMPT", "Judge {{ outputs.queue }}"))
    assert project.test("-k", "charge").code == 3
    assert project.asked == ["Which queue? charged twice"]


def test_a_judge_that_reads_a_table_is_refused(project: Any) -> None:
    project.write("words.jsonl", '{"id": "a"}\n')
    project.edit("flow.yaml", "inputs:\n", "data: {words: {file: words.jsonl, key: id}}\ninputs:\n")
    table = "outputs:\n  all: {rows: data.words, file: out/all.jsonl, columns: {id: item.id}}\n"
    project.edit("flow.yaml", "outputs:\n", table)
    for read in ("outputs.all", "outputs"):
        project.suite("format: 1\nworkflow: flow.yaml\ncases: {a: {with: {ticket: x}}}\n")
        with_more(project, JUDGED.replace("PROMPT", f"{{{{ {read} }}}}"))
        said = project.test()
        assert (said.code, project.asked) == (2, [])
        assert f"later-key: step 'polite' reads '{read}', and a table is not seen before the end" in said.err


# --- snapshots


def test_what_was_recorded_must_stay(project: Any) -> None:
    project.edit("flow.suite.yaml", "      steps.classify: {queue: bug}\n", "      steps.classify: {queue: bug}\n"
                 "    assert: [{snapshot: steps.reply.text}]\n")  # fmt: skip
    said = project.test("-k", "crash")
    assert failed(said) == [
        "FAILED flow.suite.yaml::crash  steps.reply.text: nothing is recorded to compare it with: runner test --record"
    ]
    assert project.test("--record").code == 0
    assert project.test().code == 0
    project.edit("flow.yaml", "Answer {{ inputs.tone }}", "Reply {{ inputs.tone }}")
    project.special["Reply friendly from bug"] = project.Answer(text="Sorry!")
    said = project.test("-k", "crash")
    assert failed(said) == [
        'FAILED flow.suite.yaml::crash  steps.reply.text: recorded "Dear customer, bug will help."   got "Sorry!"'
    ]


def test_all_answers_of_a_case_can_be_recorded(project: Any) -> None:
    project.edit("flow.suite.yaml", "    expect: {status: {steps.reply: skipped}}\n", "    expect: recorded\n")
    assert project.test("--record").code == 0
    assert project.test("-k", "spam").code == 0
    project.edit("flow.yaml", "Which queue?", "What queue?")
    project.special["What queue? a free phone"] = project.Answer(text='{"queue": "bug", "sure": 0.9}')
    said = project.test("-k", "spam")
    assert failed(said) == [
        'FAILED flow.suite.yaml::spam  all answers: classify.output.queue:  recorded "other"   got "bug"'
    ]


def test_snapshots_that_cannot_be_read_are_exit_2(project: Any) -> None:
    project.write("cache/recordings/snapshots/flow.suite.json", "{")
    said = project.test()
    assert said.code == 2
    assert said.err.startswith(
        "damaged-snapshots: cache/recordings/snapshots/flow.suite.json does not hold snapshots of format 1\n"
    )


def test_a_metric_is_computed_from_those_above_it(rows: Any) -> None:
    more = "metrics:\n  a: {mean: {of: steps.classify.output.sure}}\n  b: {p90: {of: steps.classify.output.sure}}\n"
    with_more(rows, more + "  gap: {from: b - a + pass_rate}\n")
    said = rows.test()
    assert "  gap  0.6667\n" in said.out
    with_more(rows, "compare: {baseline: {file: base.json}, fail_if: gap < baseline.gap}\n")
    rows.write("base.json", json.dumps({"cells": [{"cell": "", "measures": {"gap": {"value": 0.9}}}]}))
    assert failed(rows.test())[-1] == (
        "FAILED flow.suite.yaml::thresholds  it: gap < baseline.gap; gap: 0.6667, base.json 0.9"
    )


def test_a_metric_reads_none_that_stands_below_it(rows: Any) -> None:
    with_more(rows, "metrics: {gap: {from: size - 1}, size: {mean: {of: steps.classify.output.sure}}}\n")
    said = rows.test()
    assert said.code == 2
    assert "flow.suite.yaml:8:23: unknown-name: metric 'gap' reads 'size', but there is no such name here" in said.err


def test_one_label_is_measured_on_its_own(rows: Any) -> None:
    with_more(rows, "metrics: {m: {f1: {of: steps.classify.output.queue, against: case.label, label: billing}}}\n")
    assert "  m  1\n    billing: precision 1.00, recall 1.00, f1 1.00, 1 case\n" in rows.test().out


def test_a_computed_metric_differs_by_chance_as_what_it_is_computed_from(rows: Any) -> None:
    long_for_formal(rows)
    computed = COMPARED.replace("}}\ncompare", "}, half: {from: size / 2}}\ncompare").replace("size > b", "half > b")
    with_more(rows, computed.replace("baseline.size", "baseline.half").replace("SIGNIFICANCE", "0.05"))
    many_rows(rows, 3)
    assert rows.test().code == 0
    many_rows(rows, 6)
    assert failed(rows.test()) == [
        (
            "FAILED flow.suite.yaml::thresholds  cell formal: half > baseline.half; half: 450, cell friendly 14.5 "
            "(by chance with a probability of 0.031)"
        )
    ]


def test_a_row_that_is_called_as_the_thresholds_is_a_case_like_any(rows: Any) -> None:
    rows.write("rows.jsonl", ROWS.replace('"id": "b"', '"id": "thresholds"'))
    with_more(rows, "thresholds: {pass_rate: 0.9}\n")
    said = rows.test()
    names = [f"flow.suite.yaml::{name}" for name in ("a", "thresholds#2", "c", "thresholds")]
    assert rows.test("--list").out.splitlines() == names
    assert failed(said) == ["FAILED flow.suite.yaml::thresholds  pass_rate: 0.67 (2 of 3, 95 % 0.21–0.94) < 0.9"]


def test_a_case_that_was_not_to_be_asked_keeps_nobody_waiting(project: Any) -> None:
    session = SuiteSession(project.root / "flow.suite.yaml", RunOptions())
    session.start(["charge"])
    assert session.verdict("crash").kind == "interrupted"
    session.finish()
