from __future__ import annotations

from typing import Any, cast

from runner.core.problem import Problem
from runner.core.span import Span
from runner.report.code_quality import code_quality_document

FOUND = [
    Problem("unknown-key", "no key 'b'", Span("a.yaml", 3, 5, 1), expected="a", nearest="a", fix="a: 1"),
    Problem("odd", "it is odd", Span("a.yaml", 1, 1), severity="warning"),
    Problem("nowhere", "no place"),
]


def test_findings_are_told_with_what_the_service_needs() -> None:
    documents = cast("list[dict[str, Any]]", code_quality_document(FOUND))
    prints = [one.pop("fingerprint") for one in documents]
    assert len(set(prints)) == 2
    assert documents == [
        {
            "description": "it is odd",
            "check_name": "odd",
            "severity": "minor",
            "location": {"path": "a.yaml", "lines": {"begin": 1}},
        },
        {
            "description": "no key 'b'; expected: a; nearest: a; fix: a: 1",
            "check_name": "unknown-key",
            "severity": "major",
            "location": {"path": "a.yaml", "lines": {"begin": 3}},
        },
    ]


def test_a_finding_keeps_its_fingerprint_when_its_line_moves() -> None:
    moved = [Problem("odd", "it is odd", Span("a.yaml", 9, 1), severity="warning")]
    first, second = (cast("list[dict[str, Any]]", code_quality_document(one)) for one in ([FOUND[1]], moved))
    assert first[0]["fingerprint"] == second[0]["fingerprint"]
    twice = cast("list[dict[str, Any]]", code_quality_document([FOUND[1], *moved]))
    assert twice[0]["fingerprint"] != twice[1]["fingerprint"]
