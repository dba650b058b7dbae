from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runner.link.stages import Stage, cut_stages, find_circle, needs_of


@dataclass(frozen=True)
class Drawn:
    """A step of a drawn graph: no workflow behind it."""

    lane: str = ""
    needs: frozenset[str] = frozenset()
    barriers: frozenset[str] = frozenset()


def step(lane: str = "", *needs: str, all_of: tuple[str, ...] = ()) -> Drawn:
    return Drawn(lane, frozenset((*needs, *all_of)), frozenset(all_of))


def cut(steps: Mapping[str, Drawn], lanes: Mapping[str, Drawn] | None = None) -> list[tuple[str, tuple[str, ...]]]:
    return [(stage.lane, stage.steps) for stage in cut_stages(steps, lanes or {})]


def test_steps_that_run_once_are_stages_of_their_own() -> None:
    steps = {"reply": step("", "classify"), "classify": step("", "extract"), "extract": step(), "other": step()}
    assert cut_stages(steps, {}) == (
        Stage("", ("extract",), frozenset()),
        Stage("", ("classify",), frozenset({0})),
        Stage("", ("reply",), frozenset({1})),
        Stage("", ("other",), frozenset()),
    )


def test_the_steps_of_a_lane_run_together_in_order_of_need() -> None:
    steps = {"c": step("rows", "b"), "a": step("rows"), "b": step("rows", "a")}
    assert cut(steps) == [("rows", ("a", "b", "c"))]


def test_a_lane_is_not_cut_by_a_step_elsewhere_that_can_go_first() -> None:
    steps = {"tag": step("rows"), "check": step("rows", "tag", "rules"), "rules": step()}
    assert cut(steps) == [("", ("rules",)), ("rows", ("tag", "check"))]


def test_a_lane_is_cut_where_one_of_its_steps_reads_all_items_of_another() -> None:
    steps = {"tag": step("rows"), "rank": step("rows", all_of=("tag",)), "more": step("rows", "rank")}
    assert cut(steps) == [("rows", ("tag",)), ("rows", ("rank", "more"))]


def test_a_lane_is_cut_where_a_step_elsewhere_stands_between() -> None:
    steps = {"tag": step("rows"), "sum": step("", all_of=("tag",)), "check": step("rows", "sum"), "own": step("rows")}
    assert cut_stages(steps, {}) == (
        Stage("rows", ("tag", "own"), frozenset()),
        Stage("", ("sum",), frozenset({0})),
        Stage("rows", ("check",), frozenset({1})),
    )


def test_a_lane_waits_for_what_its_list_reads() -> None:
    steps = {"each": step("parts"), "split": step()}
    assert cut(steps, {"parts": step("", "split")}) == [("", ("split",)), ("parts", ("each",))]


def test_a_workflow_without_steps_has_no_stages() -> None:
    assert cut_stages({}, {}) == ()


def test_a_step_that_needs_itself_is_a_circle() -> None:
    assert find_circle({"a": step(), "b": step("", "a", "b")}, {}) == ("b", "b")


def test_a_circle_through_the_list_of_a_lane_is_found() -> None:
    steps = {"each": step("parts"), "sum": step("", all_of=("each",))}
    assert find_circle(steps, {"parts": step("", "sum")}) == ("each", "sum", "each")


def test_needs_that_do_not_exist_make_no_circle() -> None:
    assert find_circle({"a": step("", "nobody")}, {}) == ()


# Drawn graphs: a step may need those before it, so that there is no circle.

Graph = tuple[dict[str, Drawn], dict[str, Drawn]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = [f"s{number}" for number in range(draw(st.integers(0, 8)))]
    lane_names = ["", "rows", "parts"]
    lanes = {"rows": Drawn()}
    cut_at = draw(st.integers(0, len(names)))
    # The list of `parts` reads a step before all steps that walk it.
    lanes["parts"] = Drawn(needs=frozenset(names[:cut_at][-1:]))
    steps: dict[str, Drawn] = {}
    for index, name in enumerate(names):
        lane = draw(st.sampled_from(lane_names if index >= cut_at else lane_names[:2]))
        needs = draw(st.sets(st.sampled_from(names[:index]))) if index else set()
        other = {need for need in needs if steps[need].lane not in ("", lane)}
        same = {need for need in needs if lane and steps[need].lane == lane}
        barriers = other | (draw(st.sets(st.sampled_from(sorted(same)))) if same else set())
        steps[name] = Drawn(lane, frozenset(needs), frozenset(barriers))
    shuffled = draw(st.permutations(names))
    return {name: steps[name] for name in shuffled}, lanes


@given(graphs())
def test_every_step_is_in_one_stage_after_all_that_it_needs(graph: Graph) -> None:
    steps, lanes = graph
    assert find_circle(steps, lanes) == ()
    stages = cut_stages(steps, lanes)
    order = [name for stage in stages for name in stage.steps]
    assert sorted(order) == sorted(steps)
    for name in order:
        assert all(order.index(need) < order.index(name) for need in needs_of(name, steps, lanes))


@given(graphs())
def test_a_stage_waits_for_exactly_the_stages_that_it_needs_and_never_for_itself(graph: Graph) -> None:
    steps, lanes = graph
    stages = cut_stages(steps, lanes)
    stage_of = {name: number for number, stage in enumerate(stages) for name in stage.steps}
    for number, stage in enumerate(stages):
        outside = {stage_of[need] for name in stage.steps for need in needs_of(name, steps, lanes)} - {number}
        assert stage.after == outside
        assert all(before < number for before in stage.after)


@given(graphs())
def test_a_stage_has_the_steps_of_one_lane_and_no_barrier_inside(graph: Graph) -> None:
    steps, lanes = graph
    for stage in cut_stages(steps, lanes):
        assert {steps[name].lane for name in stage.steps} == {stage.lane}
        assert stage.lane or len(stage.steps) == 1
        assert not any(steps[name].barriers & set(stage.steps) for name in stage.steps)


@given(graphs(), st.data())
def test_a_circle_is_always_found_with_its_path(graph: Graph, data: st.DataObject) -> None:
    steps, lanes = graph
    if not steps:
        return
    order = [name for stage in cut_stages(steps, lanes) for name in stage.steps]
    last = data.draw(st.sampled_from(order))
    first = last
    for _ in range(data.draw(st.integers(0, 3))):
        before = sorted(needs_of(first, steps, lanes))
        if not before:
            break
        first = data.draw(st.sampled_from(before))
    closed = {**steps, first: Drawn(steps[first].lane, steps[first].needs | {last}, steps[first].barriers)}
    circle = find_circle(closed, lanes)
    assert circle[0] == circle[-1]
    assert len(set(circle)) == len(circle) - 1
    assert all(need in needs_of(name, closed, lanes) for name, need in pairwise(circle))


def test_thousands_of_steps_are_cut_in_no_time() -> None:
    """Each step is looked at when its last need is placed, not again and again."""
    looks = 0

    @dataclass(frozen=True)
    class Counted:
        needs: frozenset[str]
        lane: str = ""
        barriers: frozenset[str] = frozenset()

        def __getattribute__(self, name: str) -> object:
            nonlocal looks
            looks += 1
            return object.__getattribute__(self, name)

    steps = {f"s{n}": Counted(frozenset({f"s{n - 1}"} if n else ())) for n in reversed(range(3000))}
    found = cut_stages(steps, {})
    assert [stage.steps for stage in found] == [(f"s{n}",) for n in range(3000)]
    assert looks < 20 * len(steps)
