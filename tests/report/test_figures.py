"""How a run is getting on, in figures."""

from __future__ import annotations

from runner.core.traffic import Traffic
from runner.record.summary import RunSummary, StepSummary
from runner.report.figures import Standing, figure_lines

TAG = StepSummary(
    "tag", "a/b", items=1000, good=190, failed=5, skipped=3, blocked=2, calls=150, cached=40, recorded=10,
    input_tokens=4000, output_tokens=1000, cost_usd=0.5,
)  # fmt: skip
SUMMARY = RunSummary("r1", "w", steps=(TAG,))


def test_a_run_under_way_in_all_its_figures() -> None:
    traffic = (
        Traffic("a/b", 60, 12, 41.4, 64, "learnt from 4 refusals"),
        Traffic("a/c", 4, 0, 2.5, None, "limits in runner.yaml"),
        Traffic("a/d", 0, 0, None, None, "20 s until it may be asked again"),
        Traffic("a/e", 1),
    )
    assert figure_lines(Standing(SUMMARY, traffic, 10.0, "tag[7]: slow\ndown")) == [
        "20 items/s   65 in flight   25% cached   500 tokens/s   $0.50 of about $2.50   about 40.0 s left",
        "a/b: at most 41 requests/s, 64 in flight (learnt from 4 refusals), 12 waiting",
        "a/c: at most 2.5 requests/s (limits in runner.yaml)",
        "a/d: 20 s until it may be asked again",
        "last error: tag[7]: slow\\ndown",
    ]


def test_what_is_not_known_is_left_out() -> None:
    assert figure_lines(Standing(RunSummary("r1", "w"), (), 0.0)) == []
    unpriced = RunSummary("r1", "w", steps=(StepSummary("tag", items=2, good=1, calls=1, cost_usd=None),))
    assert figure_lines(Standing(unpriced, (), 0.5)) == ["?"]


def test_a_long_error_is_cut() -> None:
    (line,) = figure_lines(Standing(RunSummary("r1", "w"), (), 0.0, "x" * 200))
    assert line == f"last error: {'x' * 99}…"
