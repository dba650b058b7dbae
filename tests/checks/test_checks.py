"""What the checks say, asserted whole: each file in `messages/` is a claim.

Such a file is the workflow, further files behind `==== NAME`, and what is shown behind `==== shown`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

CLAIMS = sorted((Path(__file__).parent / "messages").glob("*.txt"))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda path: path.stem)
def test_a_mistake_is_found_before_a_call(claim: Path, findings: Callable[..., str]) -> None:
    workflow, *rest = re.split(r"^==== (.+)\n", claim.read_text(encoding="utf-8"), flags=re.MULTILINE)
    files = dict(zip(rest[::2], rest[1::2], strict=True))
    shown = files.pop("shown")
    assert findings(workflow, files=files) + "\n" == shown


def test_a_good_workflow_has_no_findings(findings: Callable[..., str]) -> None:
    found = findings(
        """\
        data: {rows: {file: rows.jsonl}, typed: {file: "-"}}
        inputs: {ticket: {type: string, from_file: ticket.txt}, other: {type: string}}
        steps:
          a: {model: openai/thinker, tags: [odd], thinking: high, prompt: "{{ inputs }}", temperature: 0.5, max_output_tokens: 50}
          b: {model: openai/small, tags: [odd], for_each: data.rows, prompt: x, max_output_tokens: 4000, options: {store: false}}
          c: {model: me/any, prompt: x, fields: {n: integer}}
          d: {model: lost/one, tags: [odd], for_each: data.typed, thinking: high, prompt: x, fields: {n: integer}}
          page: {model: me/any, prompt: x, save: out/page.html}
          pages: {model: me/any, for_each: data.rows, prompt: x, save: "out/{{ item.id }}.html"}
        outputs:
          c: steps.c.output
          t: {rows: data.rows, file: out/t.jsonl, columns: {id: item.id}}
          u: {rows: data.rows, file: out/u.csv, columns: {id: item.id}}
        """,
        files={"rows.jsonl": "", "ticket.txt": ""},
    )
    assert found == ""


def test_what_the_command_line_gives_need_not_be_there(findings: Callable[..., str]) -> None:
    text = """\
        data: {rows: {file: rows.jsonl}}
        inputs: {ticket: {type: string, from_file: ticket.txt}}
        steps:
          a: {model: me/any, for_each: data.rows, prompt: "{{ inputs.ticket }}"}
        """
    assert "rows.jsonl" in findings(text)
    assert findings(text, given=frozenset({"rows", "ticket"})) == ""


def test_a_schema_that_is_checked_here_only_may_be_one_that_no_provider_takes(findings: Callable[..., str]) -> None:
    text = "steps:\n  a: {model: openai/small, prompt: x, schema: {type: array, items: {type: string}}%s}\n"
    assert "schema-not-taken" in findings(text % "")
    assert findings(text % ", enforce: local") == ""


def test_inputs_and_rows_with_good_schemas_have_no_findings(findings: Callable[..., str]) -> None:
    found = findings(
        """\
        data: {rows: {file: "-", schema: {type: object}}}
        inputs: {size: {type: integer, default: 3}, free: {type: string}}
        steps:
          a: {model: me/any, for_each: data.rows, prompt: "{{ inputs.size }} {{ inputs.free }}"}
        """
    )
    assert found == ""


def test_without_a_reader_schemas_are_not_looked_into(findings: Callable[..., str]) -> None:
    text = "inputs: {size: {type: intteger}}\nsteps:\n  a: {model: me/any, prompt: '{{ inputs.size }}'}\n"
    assert "invalid-schema" in findings(text)
    assert findings(text, is_reading=False) == ""


def test_what_suites_may_use_is_not_called_unused(findings: Callable[..., str]) -> None:
    text = """\
        models: {other: me/any}
        steps:
          a: {model: me/any, prompt: x}
          b: {model: me/any, prompt: x}
        outputs: {a: steps.a.text}
        """
    assert "unused-step" in findings(text)
    assert "unused-model" in findings(text)
    assert findings(text, named_elsewhere=frozenset({"other", "b"})) == ""


def test_where_a_model_is_not_found_no_name_of_a_model_is_called_unused(findings: Callable[..., str]) -> None:
    text = "models: {other: me/any}\nsteps: {a: {model: lost/one, prompt: x}}\n"
    assert findings(text) == ""


READ = """\
steps:
  a: {model: me/any, prompt: x, fields: {label: [x, y], reason: string, parts: [{n: integer}]}}
  b: {model: me/any, for_each: steps.a.output.parts, prompt: x, schema: {properties: {used: {}, spare: {}}}}
  c: {model: me/any, prompt: "%s"}
"""


def test_a_field_that_nothing_reads_is_a_note(findings: Callable[..., str]) -> None:
    reads = "{{ steps.a.output.label }} {{ steps.b.outputs | map(attribute='used', default=0) | join }}"
    found = findings(READ % reads, with_notes=True)
    assert found == (
        "flow.yaml:2:65: note: unread-field: nothing reads the field 'reason' of the answer of step 'a'\n"
        "    2 |   a: {model: me/any, prompt: x, fields: {label: [x, y], reason: string, parts: [{n: integer}]}}\n"
        "      |                                                                 ^^^^^^\n"
        "  fix:      leave it out where it only costs tokens\n\n"
        "flow.yaml:3:104: note: unread-field: nothing reads the field 'spare' of the answer of step 'b'\n"
        "    3 |   b: {model: me/any, for_each: steps.a.output.parts, prompt: x, schema: {properties: {used: {}, spare: {}}}}\n"
        "      |                                                                                                        ^^\n"
        "  fix:      leave it out where it only costs tokens"
    )
    assert findings(READ % reads) == ""


@pytest.mark.parametrize(
    "reads",
    [
        "{{ steps.a.output }} {{ steps.b.outputs }}",
        "{{ steps.a.output | tojson }} {% for one in steps.b.outputs %}{{ one }}{% endfor %}",
        "{{ steps.a.output[inputs.key] }} {{ steps.b.outputs | map(attribute=inputs.key) | list }}",
    ],
)
def test_an_answer_that_is_read_as_a_whole_has_no_unread_field(findings: Callable[..., str], reads: str) -> None:
    assert findings("inputs: {key: {type: string}}\n" + READ % (reads + "{{ inputs.key }}"), with_notes=True) == ""


def test_an_answer_that_is_an_output_has_no_unread_field(findings: Callable[..., str]) -> None:
    text = "steps:\n  a: {model: me/any, prompt: x, fields: {label: [x, yy], reason: string}, ensure: [output.label | length > 1]}\n"
    assert findings(text, with_notes=True) == ""
    assert findings(text + "outputs: {all: steps.a.output}\n", with_notes=True) == ""
    assert "'reason'" in findings(text + "outputs: {label: steps.a.output.label}\n", with_notes=True)


def test_an_answer_that_nothing_reads_has_no_unread_field(findings: Callable[..., str]) -> None:
    text = (
        "steps:\n  a: {model: me/any, prompt: x, tags: [t], fields: {label: string}}\n  b: {model: me/any, prompt: x}\n"
    )
    assert findings(text + "outputs: {b: steps.b.text}\n", with_notes=True) == ""
