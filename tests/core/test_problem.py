from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import (
    CallNeeded,
    FileError,
    NothingSelected,
    ProviderError,
    RunnerError,
    StorageError,
    UsageError,
)
from runner.core.problem import Problem, in_order, listed, nearest, render, render_all
from runner.core.span import Span

PROBLEM = Problem(
    "unknown-step",
    "step 'reply' needs 'clasify', but no step has that name",
    Span("workflows/triage.yaml", 2, 13, 7),
    expected="a step of this workflow: classify, extract",
    nearest="classify",
    fix="needs: [classify]",
    notes=(("used by", "step 'reply', workflows/triage.yaml:1:1"),),
)
SOURCES = {"workflows/triage.yaml": "reply:\n    needs: [clasify]\n"}


def test_a_problem_is_shown_where_it_was_made() -> None:
    assert render(PROBLEM, SOURCES) == (
        "workflows/triage.yaml:2:13: unknown-step: step 'reply' needs 'clasify', but no step has that name\n"
        "    2 |     needs: [clasify]\n"
        "      |             ^^^^^^^\n"
        "  expected: a step of this workflow: classify, extract\n"
        "  nearest:  classify\n"
        "  used by:  step 'reply', workflows/triage.yaml:1:1\n"
        "  fix:      needs: [classify]"
    )


def test_rows_that_would_be_empty_are_left_out() -> None:
    assert render(Problem("no-model", "there is no model"), {}) == "no-model: there is no model"


def test_a_warning_says_so() -> None:
    warning = Problem("unused-step", "nothing reads 'x'", Span("w.yaml", 1, 1), severity="warning")
    assert not warning.is_error
    assert PROBLEM.is_error
    assert render(warning, {}) == "w.yaml:1:1: warning: unused-step: nothing reads 'x'"


def test_problems_are_shown_in_the_order_of_their_places_and_once() -> None:
    placeless = Problem("z", "no place")
    later = Problem("a", "later", Span("w.yaml", 9, 1))
    earlier = Problem("b", "earlier", Span("w.yaml", 1, 5))
    same_place = Problem("a", "same place", Span("w.yaml", 1, 5))
    problems = [later, earlier, placeless, same_place, later]
    assert in_order(problems) == [placeless, same_place, earlier, later]
    assert render_all(problems, {}) == (
        "z: no place\n\nw.yaml:1:5: a: same place\n\nw.yaml:1:5: b: earlier\n\nw.yaml:9:1: a: later"
    )


def test_the_name_that_was_meant_is_found() -> None:
    names = ["classify", "extract", "max_output_tokens"]
    assert nearest("clasify", names) == "classify"
    assert nearest("Max-Output-Tokens", names) == "max_output_tokens"
    assert nearest("zzz", names) == ""
    assert nearest("x", []) == ""


@given(st.lists(st.text(max_size=8), min_size=1), st.data())
def test_a_name_that_exists_is_its_own_nearest_and_order_plays_no_part(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    found = nearest(name, names)
    assert found.casefold().replace("-", "_") == name.casefold().replace("-", "_")
    assert nearest(name, reversed(names)) == found


def test_names_are_listed_in_order() -> None:
    assert listed({"b", "a"}) == "a, b"


def test_an_error_carries_its_problems_and_their_texts() -> None:
    other = Problem("other", "another thing")
    error = UsageError([PROBLEM, other], SOURCES)
    assert error.problems == (PROBLEM, other)
    assert error.sources == SOURCES
    assert str(error) == f"{PROBLEM.message}; another thing"
    assert RunnerError(other).problems == (other,)
    assert RunnerError(other).sources == {}


def test_each_error_has_its_exit_code() -> None:
    kinds = (RunnerError, UsageError, FileError, NothingSelected, CallNeeded, ProviderError, StorageError)
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert codes == {
        "RunnerError": 2,
        "UsageError": 2,
        "FileError": 2,
        "NothingSelected": 5,
        "CallNeeded": 6,
        "ProviderError": 3,
        "StorageError": 3,
    }
