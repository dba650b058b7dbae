"""Settings that are no part of a question: which of them is another one, told by its place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import runner
from runner.app.suite_settings import changed_settings, settings_of

FLOW = """\
format: 1
name: flow
models: {fast: box/small}
inputs: {ticket: {type: string}, parts: {type: array, items: {type: string}}}
data: {rows: {file: rows.jsonl, key: id}}
defaults: {model: fast}
steps:
  classify:
    prompt: "Which queue? {{ inputs.ticket }}"
    fields: {queue: string, sure: number}
    escalate: {to: [box/large], when: output.sure < 1}
  reply:
    when: steps.classify.output.queue != "other"
    prompt: "Answer from {{ steps.classify.output.queue }}"
  tag: {for_each: data.rows, prompt: "Tag {{ item.id }}"}
  refine:
    loop:
      state: {fields: {n: integer}, start: {n: 0}}
      max: 3
      until: turn == 2
      next: {n: state.n + 1}
      steps:
        look: {prompt: "Look at {{ inputs.ticket }}"}
outputs:
  queue: steps.classify.output.queue
  table: {rows: steps.tag, file: table.csv, columns: {label: steps.tag.text}}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    fields: {queue", "    repair: 2\n    fields: {queue", ["steps.classify.repair"]),
        ("    fields: {queue", "    ensure: [output.sure < 2]\n    fields: {queue", ["steps.classify.ensure"]),
        ("output.sure < 1", "output.sure < 0.5", ["steps.classify.escalate"]),
        ('!= "other"', '!= "none"', ["steps.reply.when"]),
        ("max: 3", "max: 4", ["steps.refine.loop.max"]),
        ("      until: turn == 2\n", "", ["steps.refine.loop.until"]),
        ("state.n + 1", "state.n + 2", ["steps.refine.loop.next"]),
        ("start: {n: 0}", "start: {n: 5}", ["steps.refine.loop.state.start"]),
        ("look: {prompt:", "look: {repair: 2, prompt:", ["steps.refine.loop.steps.look.repair"]),
        (
            "        look:",
            '        see: {prompt: "See", repair: 2}\n        look:',
            ["steps.refine.loop.steps.see"],
        ),
        ("outputs:\n", '  more: {prompt: "More", repair: 2}\noutputs:\n', ["steps.more"]),
        ("queue: steps.classify.output.queue", "queue: steps.reply.text", ["outputs.queue"]),
        ("label: steps.tag.text", "label: steps.tag.text | upper", ["outputs.table"]),
        ("Which queue?", "What queue?", []),
        ("format: 1\n", "# a remark\nformat: 1\n", []),
    ],
)
def test_what_changed_is_told_by_its_place(tmp_path: Any, old: str, new: str, told: list[str]) -> None:
    assert FLOW.count(old) == 1
    before, after = settings(tmp_path, FLOW), settings(tmp_path, FLOW.replace(old, new))
    assert list(changed_settings(before, after)) == told
    assert list(changed_settings(after, before)) == told


def settings(root: Any, text: str) -> Mapping[str, str]:
    (root / "flow.yaml").write_text(text, encoding="utf-8")
    return settings_of(runner.load(root / "flow.yaml"))
