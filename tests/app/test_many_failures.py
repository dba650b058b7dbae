"""A run of which more items fail than are told one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from runner.app.drive import KEPT_FAILURES

FLOW = """
format: 1
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag: {model: scripted/script.jsonl, for_each: data.rows, prompt: "{{ item.id }} {{ item.kind }}"}
"""


def test_every_kind_is_told_with_its_whole_number(project: Any, make_rows: Callable[[Any], str]) -> None:
    kinds = ["long"] * (KEPT_FAILURES + 200) + ["bad"] * 30
    project.workflow(FLOW)
    project.write("rows.jsonl", make_rows([{"id": f"r{n:04d}", "kind": kind} for n, kind in enumerate(kinds)]))
    script = [
        {"match": "long", "answer": "x", "finish": "length"},
        {"match": "bad", "answer": "x", "finish": "refused"},
    ]
    project.write("script.jsonl", "\n".join(map(json.dumps, script)))
    result = project.run()
    told = sorted(problem.message.partition("]")[2] for problem in result.problems)
    assert told == [
        " (and 1,199 more items): the answer was cut off (length)",
        " (and 29 more items): the model declined to answer (refused)",
    ]
    assert KEPT_FAILURES < len(result.failures) < KEPT_FAILURES + 10
