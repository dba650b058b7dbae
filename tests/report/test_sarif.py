from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from runner.app.codes import codes
from runner.core.problem import Edit, Problem
from runner.core.span import Span
from runner.report.sarif import sarif_document

# The schema of the standard as its authors ship it in a package (MIT).
SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
VALIDATOR = Draft4Validator(SCHEMA)
TEXT = "steps:\n  a:\n    prompt: 🙂 {{ inputs.tpoic }}\n"
PROBLEM = Problem(
    "unknown-input",
    "step 'a' reads input 'tpoic', but no input has that name",
    Span("workflows/a b.yaml", 3, 25, 5),
    expected="an input of this workflow: topic",
    nearest="topic",
    notes=(("used by", "step 'a'"),),
    fix="inputs.topic",
    edits=(Edit("workflows/a b.yaml", 3, 25, "tpoic", "topic"),),
)


def document(*problems: Problem, text: str = TEXT) -> Any:
    made = sarif_document(problems, {"workflows/a b.yaml": text}, codes(), "1.2.3")
    VALIDATOR.validate(made)
    return made


def test_a_finding_has_a_rule_a_region_in_utf_16_and_a_fix() -> None:
    run = document(PROBLEM)["runs"][0]
    assert run["columnKind"] == "utf16CodeUnits"
    assert run["tool"]["driver"]["version"] == "1.2.3"
    rule = run["tool"]["driver"]["rules"][0]
    assert (rule["id"], rule["shortDescription"]["text"]) == ("unknown-input", codes()["unknown-input"].means)
    assert "```yaml" in rule["help"]["markdown"]
    result = run["results"][0]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("unknown-input", 0, "error")
    assert result["message"]["text"] == (
        "step 'a' reads input 'tpoic', but no input has that name\n"
        "expected: an input of this workflow: topic\nnearest: topic\nused by: step 'a'\nfix: inputs.topic"
    )
    region = {"startLine": 3, "startColumn": 26, "endColumn": 31}
    place = result["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "workflows/a%20b.yaml", "uriBaseId": "%SRCROOT%"},
        "region": region,
    }
    assert result["fixes"] == [
        {
            "description": {"text": "inputs.topic"},
            "artifactChanges": [
                {
                    "artifactLocation": place["artifactLocation"],
                    "replacements": [{"deletedRegion": region, "insertedContent": {"text": "topic"}}],
                }
            ],
        }
    ]


def test_a_finding_without_place_or_known_code_is_told_too() -> None:
    run = document(Problem("of-tomorrow", "something", severity="warning"))["runs"][0]
    assert run["tool"]["driver"]["rules"] == [{"id": "of-tomorrow"}]
    assert "locations" not in run["results"][0]


def test_a_file_outside_the_root_has_an_absolute_address() -> None:
    run = document(Problem("tab", "a tab", Span("/elsewhere/a.yaml", 1, 1)))["runs"][0]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {
        "uri": "file:///elsewhere/a.yaml"
    }


def test_no_finding_is_a_valid_document() -> None:
    assert document()["runs"][0]["results"] == []


def prints(*problems: Problem, text: str = TEXT) -> list[str]:
    results = document(*problems, text=text)["runs"][0]["results"]
    return [result["partialFingerprints"]["runnerFinding/v1"] for result in results]


def test_a_fingerprint_stays_when_lines_move() -> None:
    moved = Problem("unknown-input", PROBLEM.message, Span("workflows/a b.yaml", 5, 25, 5))
    assert prints(PROBLEM) == prints(moved, text=f"# one\n# two\n{TEXT}")


def test_equal_lines_have_fingerprints_of_their_own() -> None:
    other = Problem("unknown-input", PROBLEM.message, Span("workflows/a b.yaml", 4, 25, 5))
    first, second = prints(PROBLEM, other, text=TEXT + TEXT.splitlines()[2] + "\n")
    assert first != second


@pytest.mark.parametrize("line", [0, 9])
def test_a_place_beyond_the_text_is_told_as_it_is(line: int) -> None:
    made: Any = sarif_document([Problem("tab", "a tab", Span("workflows/a b.yaml", line, 2))], {}, codes(), "1")
    region = made["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": line, "startColumn": 2, "endColumn": 3}


@given(
    st.lists(
        st.builds(
            Problem,
            st.sampled_from(sorted(codes())),
            st.text(),
            st.none() | st.builds(Span, st.text(min_size=1), st.integers(1, 9), st.integers(1, 99), st.integers(1, 9)),
            severity=st.sampled_from(["error", "warning"]),
        )
    )
)
def test_any_findings_make_a_valid_document(problems: list[Problem]) -> None:
    document(*problems)
