from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.app import api
from runner.core.problem import render

WORKFLOW = """\
models: {fast: me/any, strong: me/other}
inputs:
  ticket: {type: string}
  depth: {type: integer, default: 1}
  people: {type: array, items: {type: object, required: [name]}, default: []}
data: {rows: {file: rows.jsonl, key: id}}
defaults: {model: fast}
steps:
  classify:
    prompt: "Which queue? {{ inputs }}"
    schema:
      type: object
      required: [queue]
      properties:
        queue: {enum: [bug, billing, other]}
        sure: {type: number, minimum: 0, maximum: 1}
        note: {type: [string, "null"]}
        parts: {type: array, maxItems: 2, items: {$ref: "#/$defs/part"}}
        either: {anyOf: [{type: string}, {type: object, properties: {a: {const: 1}}}]}
        pair: {type: array, prefixItems: [{type: string}, {type: integer}]}
        "7": {type: string}
      $defs: {part: {type: object, properties: {n: {type: integer}, more: {$ref: "#/$defs/part"}}}}
  reply:
    when: steps.classify.output.queue != "other"
    prompt: "Answer {{ inputs.ticket }}"
  tag: {for_each: data.rows, prompt: "Tag {{ item.text }}", fields: {tag: string}}
  name: {for_each: data.rows, prompt: "Name {{ item.text }}"}
  often: {model: strong, prompt: x, samples: 3, fields: {a: integer}, tags: [unsteady]}
outputs:
  queue: steps.classify.output.queue
  reply: steps.reply.text | default("")
  tags: steps.tag.outputs
  names: steps.name.texts
  far: steps.classify.output.unknown_but_open.name | default("")
  table: {rows: data.rows, file: out/t.jsonl, columns: {id: item.id}}
"""
FILES = {
    "runner.yaml": "providers: {me: {dialect: scripted, file: answers.jsonl}}\n",
    "answers.jsonl": '{"output": "x"}\n',
    "rows.jsonl": '{"id": "a", "text": "x"}\n',
    "cases.jsonl": '{"text": "x", "label": "bug"}\n',
    "t.txt": "Hello",
    "base.json": "{}",
    "flow.yaml": WORKFLOW,
}
Findings = Callable[..., str]


@pytest.fixture
def suite_findings(tmp_path: Path) -> Findings:
    """What `check` says of a suite text over the workflow above, one line for each finding with its help."""

    def find(text: str, **files: str) -> str:
        for name, content in {**FILES, **files, "a.suite.yaml": textwrap.dedent(text)}.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        report = api.check([tmp_path / "a.suite.yaml"])
        return "\n".join(render(problem, {}) for problem in report.problems)

    return find


CORRECT = {
    "the_least": """\
        workflow: flow.yaml
        cases: {one: {with: {ticket: x}, expect: {steps.classify: {queue: bug}}}}
        """,
    "values_of_all_kinds": """\
        workflow: flow.yaml
        with: {ticket: {file: t.txt}, depth: {from: 1 + 1}, people: [{name: {from: case.name}}]}
        cases:
          one: {expect: recorded}
          two: {with: {ticket: {literal: "{{ x }}"}, people: [{name: A}]}, assert: [{that: steps.classify.output.sure > 0.5}]}
          three: {expect: {status: {steps.reply: skipped, "steps.tag[a]": failed}}}
        """,
    "expectations_that_are_possible": """\
        workflow: flow.yaml
        with: {ticket: x}
        cases:
          one:
            expect:
              steps.classify: {queue: bug, sure: 1, note: null, parts: [{n: 1, more: {n: 2}}, {}], either: {a: 1}, "7": x, free: [1]}
              steps.reply: Dear Ann
              steps.tag: [{tag: x}]
              "steps.tag[a]": {tag: {from: case.tag}}
              steps.name: [Ann, Bo]
              "steps.name[a]": Ann
              steps.often: {a: text}
              outputs.queue: null
              outputs.reply: 5
              outputs.tags: [{tag: y}]
              outputs.far: anything
              outputs.table: {rows: 1}
          two: {expect: {steps.classify: {either: text, pair: [a, 1], note: {file: t.txt}}, outputs.queue: bug}}
        """,
    "all_forms_of_assertions": """\
        workflow: flow.yaml
        with: {ticket: x}
        assert:
          - {that: steps.reply.skipped or "Ann" in steps.reply.text, label: polite}
          - {of: steps.reply.text, contains: [Dear, Ann]}
          - {of: outputs.reply, regex: "^Dear [A-Z]"}
          - {of: steps.reply.text, json_path: "$.a[0]", is: {b: {from: case.b}}}
          - {of: steps.tag.outputs, length: 1}
          - {of: steps.reply.text, similar: {to: {file: t.txt}, at_least: 0.8}}
          - {judge: fair}
          - {usd: 0.01, step: fair}
          - {tokens: 500}
          - {snapshot: steps.classify.output}
          - that: steps.classify.output.sure > 0.5
        judges:
          fair: {model: fast, prompt: "{{ steps.reply.text }} {{ case.label }} {{ outputs.reply }}", fields: {verdict: boolean}}
          open: {model: fast, prompt: "{{ steps.reply.text | default('-') }}", schema: {type: object}}
        cases: {one: {}}
        """,
    "cases_from_rows": """\
        workflow: flow.yaml
        cases_from:
          file: cases.jsonl
          schema: {type: object, properties: {text: {type: string}, label: {type: string}}, additionalProperties: false}
          with: {ticket: {from: case.text}}
          expect: {steps.classify: {queue: {from: case.label}}, steps.reply: {from: 'case.other | default("")'}}
        metrics:
          right: {accuracy: {of: steps.classify.output.queue, against: case.label}}
          sure: {mean: {of: steps.classify.output.sure}}
        thresholds: {right: 0.9, sure: {min: 0.5, max: 1}, pass_rate: 0.8, usd: 2}
        """,
    "a_matrix_compared": """\
        workflow: flow.yaml
        with: {ticket: x}
        cases: {one: {}}
        matrix:
          classify.model: [fast, strong]
          classify.temperature: [0, 0.5]
          inputs.depth: [1, 2]
          variant: {plain: {}, terse: {reply.prompt: {file: t.txt}, inputs.depth: 3, fair.model: strong}}
          exclude: [{classify.model: strong, classify.temperature: [0, 0.5]}]
          include: [{classify.model: me/third, inputs.depth: 5}]
        judges: {fair: {model: fast, prompt: "{{ steps.reply.text }}"}}
        metrics: {m: {share: {of: steps.reply.skipped}}, t: {confusion: {of: outputs.queue, against: outputs.reply}}}
        compare: {baseline: {classify.model: fast, variant: plain}, fail_if: m < baseline.m - 0.02 or pass_rate < baseline.pass_rate}
        samples: 3
        """,
    "a_stored_baseline": """\
        workflow: flow.yaml
        cases_from: {glob: "*.txt", with: {ticket: {from: case.path}}}
        metrics: {m: {mean: {of: steps.classify.output.sure}}}
        compare: {baseline: {file: base.json}}
        """,
    "an_input_that_varies_need_not_be_given": """\
        workflow: flow.yaml
        cases: {one: {assert: [{that: "true"}]}}
        matrix: {inputs.ticket: [a, b]}
        """,
}


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_suite_has_no_findings(name: str, suite_findings: Findings) -> None:
    assert suite_findings(CORRECT[name]) == ""


def test_a_case_that_asserts_nothing_is_a_warning(suite_findings: Findings) -> None:
    assert suite_findings("workflow: flow.yaml\ncases: {one: {with: {ticket: x}, expect: {}}}\n") == (
        "a.suite.yaml:2:9: warning: asserts-nothing: case 'one' asserts nothing\n  fix:      add expect or assert"
    )


def test_a_workflow_that_is_missing_is_told_in_the_suite(suite_findings: Findings) -> None:
    assert suite_findings("workflow: flwo.yaml\ncases: {one: {expect: recorded}}\n") == (
        "a.suite.yaml:1:11: missing-file: there is no file flwo.yaml\n  nearest:  flow.yaml"
    )
    assert "missing-key: the suite lacks the key 'workflow'" in suite_findings("cases: {one: {expect: recorded}}\n")
    assert suite_findings("[]\n").startswith("a.suite.yaml:1:1: wrong-type: the suite is a list")


def test_mistakes_of_the_workflow_are_told_too(suite_findings: Findings) -> None:
    text = "workflow: flow.yaml\ncases: {one: {expect: recorded}}\n"
    assert suite_findings(text, **{"flow.yaml": "steps: 1\n"}).startswith("flow.yaml:1:8: wrong-type: ")
    assert suite_findings(text, **{"flow.yaml": "[]\n"}).startswith("flow.yaml:1:1: wrong-type: ")


def test_columns_of_rows_are_known_by_their_schema(suite_findings: Findings) -> None:
    schema = "{type: object, properties: {text: {type: string}}, additionalProperties: false}"
    source = f"file: cases.jsonl, schema: {schema}, with: {{ticket: {{from: case.txet}}}}, expect: recorded"
    assert suite_findings(f"workflow: flow.yaml\ncases_from: {{{source}}}\n") == (
        "a.suite.yaml:2:149: unknown-field: input 'ticket' of cases_from reads 'txet', which the rows of cases_from do not "
        "have\n  expected: one of text\n  nearest:  text"
    )


def test_a_broken_schema_is_no_reason_for_more_findings(suite_findings: Findings) -> None:
    broken = WORKFLOW.replace("fields: {a: integer}", "fields: {a: intger}").replace(
        "{type: integer, de", "{type: 5, de"
    )
    found = suite_findings(
        """\
        workflow: flow.yaml
        with: {ticket: x, depth: 1}
        cases_from: {file: cases.jsonl, schema: {type: 5}, expect: {steps.often: {b: 1}}, assert: [{that: case.x}]}
        judges: {fair: {model: fast, prompt: p, schema: {type: 5}}}
        assert: [{judge: fair}]
        """,
        **{"flow.yaml": broken},
    )
    assert [line.split(": ")[1] for line in found.splitlines() if line[0] != " "] == [
        *("invalid-schema", "invalid-schema", "invalid-schema", "unknown-type")
    ]


def test_files_that_cases_and_baselines_name_are_looked_for(suite_findings: Findings) -> None:
    found = suite_findings(
        """\
        workflow: flow.yaml
        cases_from: {file: cases.json, with: {ticket: x}}
        compare: {baseline: {file: bas.json}}
        """
    )
    assert found == (
        "a.suite.yaml:2:20: missing-file: there is no file cases.json\n  nearest:  cases.jsonl\n"
        "a.suite.yaml:3:21: missing-file: there is no file bas.json\n  nearest:  base.json"
    )
