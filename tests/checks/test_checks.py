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
          a: {model: openai/thinker, thinking: high, prompt: "{{ inputs }}", temperature: 0.5, max_output_tokens: 50}
          b: {model: openai/small, for_each: data.rows, prompt: x, max_output_tokens: 4000, options: {store: false}}
          c: {model: me/any, prompt: x, fields: {n: integer}}
          d: {model: lost/one, for_each: data.typed, thinking: high, prompt: x, fields: {n: integer}}
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
