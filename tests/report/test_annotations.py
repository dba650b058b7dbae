from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.core.problem import Problem
from runner.core.span import Span
from runner.report.annotations import annotation, annotation_lines


def test_an_annotation_escapes_what_is_foreign() -> None:
    problem = Problem("a,b", "100% wrong\nhere: x", Span("a:b,c.yaml", 3, 5, 4), expected="y", nearest="z", fix="do")
    assert annotation(problem) == (
        "::error file=a%3Ab%2Cc.yaml,line=3,col=5,endColumn=8,title=a%2Cb"
        "::100%25 wrong%0Ahere: x%0Aexpected: y%0Anearest: z%0Afix: do"
    )


def test_a_problem_without_a_place_is_annotated_too() -> None:
    assert annotation(Problem("x", "m", severity="warning")) == "::warning title=x::m"


def test_no_more_are_shown_than_the_service_shows() -> None:
    problems = [Problem("x", f"m{number:02}", Span("a", number + 1, 1)) for number in range(12)]
    lines = annotation_lines(problems)
    assert len(lines) == 10
    assert lines[-1] == "::error ::and 3 more, see the log of this step"
    assert len(annotation_lines(problems[:10])) == 10
    assert len(annotation_lines(problems, most=12)) == 12


@given(st.text(), st.text())
def test_an_annotation_is_always_one_line(message: str, code: str) -> None:
    line = annotation(Problem(code, message))
    assert "\n" not in line
    assert "\r" not in line
