from __future__ import annotations

import io
import sys
from collections.abc import Callable
from threading import Event as Signal

import pytest

from runner.cli.console import Console
from runner.cli.live import LiveBlock
from runner.cli.settings import Look
from runner.cli.story import Story
from runner.core.events import AttemptMade, Noted, Retrying, RunStarted, Settled, StepExpected
from runner.core.outcome import Attempt, Failure, FailureKind, Outcome, Source, Status
from runner.core.traffic import Traffic

NewTerminal = Callable[[], io.StringIO]


class HandClock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_without_a_terminal_progress_is_a_line_each_ten_seconds() -> None:
    err, clock = io.StringIO(), HandClock()
    story = Story(Console(Look(), stdout=io.StringIO(), stderr=err, environ={}), now=clock)
    story(RunStarted("r1", "w", "w.yaml", {"tag": "a/b"}, "0.1.0"))
    story(StepExpected("tag", 300, "a/b"))
    with story:
        for number in range(250):
            clock.time += 0.125
            status = Status.FAILED if number == 7 else Status.GOOD
            story(Settled(Outcome("tag", str(number), status)))
    assert err.getvalue() == "".join(
        f"tag          {number} of 300   1 failed\n             8.0 items/s   about {left:.1f} s left\n"
        for number, left in ((80, 27.5), (160, 17.5), (240, 7.5))
    )


def test_the_figures_say_what_is_under_way_and_what_went_wrong_last() -> None:
    story = Story(Console(Look(), stdout=io.StringIO(), stderr=io.StringIO(), environ={}), now=HandClock())
    story(StepExpected("tag", 2, "a/b"))
    story.watch(lambda: (Traffic("a/b", 2),))
    story(Retrying("tag", "1", 1, 0.5, "slow down"))
    assert story.block_lines()[1:3] == ["2 in flight", "last error: tag[1]: slow down"]
    story(Settled(Outcome("tag", "2", Status.FAILED, failure=Failure(FailureKind.CUT, "it was cut"))))
    assert story.block_lines()[2] == "last error: tag[2]: it was cut"


def test_no_progress_means_none() -> None:
    err, clock = io.StringIO(), HandClock()
    story = Story(Console(Look(has_progress=False), stdout=io.StringIO(), stderr=err, environ={}), now=clock)
    story(StepExpected("tag", 3, "a/b"))
    clock.time = 60
    story(Settled(Outcome("tag", "1", Status.GOOD)))
    assert err.getvalue() == ""


def test_what_is_left_out_stands_under_its_step() -> None:
    err = io.StringIO()
    story = Story(Console(Look(), stdout=io.StringIO(), stderr=err, environ={}))
    story(StepExpected("tag", 1, "a/b"))
    story(Settled(Outcome("tag", "1", Status.FAILED, failure=Failure(FailureKind.ROW, "row 1 is bad"))))
    story(Noted("left-out", "tag[1]  bad-row: row 1\nis bad"))
    assert err.getvalue() == "tag          failed\n             left out: tag[1]  bad-row: row 1\\nis bad\n"


def test_what_was_stopped_is_no_progress() -> None:
    err = io.StringIO()
    story = Story(Console(Look(), stdout=io.StringIO(), stderr=err, environ={}))
    story(StepExpected("tag", 9, "a/b"))
    stopped = Failure(FailureKind.INTERRUPTED, "interrupted before it was asked")
    for number in range(8):
        ended = Outcome("tag", str(number), Status.BLOCKED, failure=stopped)
        story(Settled(ended if number > 2 else Outcome("tag", str(number), Status.GOOD)))
    assert story.block_lines()[0] == "tag          3 of 9"


def test_a_step_that_grows_is_told_again() -> None:
    err = io.StringIO()
    story = Story(Console(Look(), stdout=io.StringIO(), stderr=err, environ={}))
    for number in range(2):
        story(StepExpected("tag", 1, "a/b"))
        story(AttemptMade("tag", str(number), Attempt("k", Source.CACHED)))
        story(Settled(Outcome("tag", str(number), Status.GOOD)))
    assert err.getvalue() == "tag          cached\ntag          2 cached\n"


def test_on_a_terminal_a_block_is_drawn_and_leaves_no_trace(terminal: NewTerminal) -> None:
    err = terminal()
    console = Console(Look(color="never"), stdout=io.StringIO(), stderr=err, environ={"TERM": "xterm"})
    story = Story(console, now=HandClock())
    story(StepExpected("tag", 3, "a/b"))
    story(StepExpected("greet", 1, "a/b"))
    block = LiveBlock(console, story.block_lines)
    block.open()
    story(Settled(Outcome("tag", "\x1b1", Status.GOOD)))
    console.story("a line of the story")
    block.refresh()
    shown = err.getvalue()
    assert "tag          0 of 3" in shown
    assert "tag          1 of 3" in shown
    assert "greet        a/b" in shown
    assert "0.0 s, Ctrl-C stops and keeps what was received" in shown
    assert "a line of the story\n" in shown
    block.close()
    console.story("after")
    assert err.getvalue().endswith("after\n")
    block.refresh()


def test_a_quick_run_never_draws(terminal: NewTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rich.live", raising=False)
    err = terminal()
    console = Console(Look(), stdout=io.StringIO(), stderr=err, environ={"TERM": "xterm"})
    with Story(console) as story:
        story(StepExpected("tag", 3, "a/b"))
    assert err.getvalue() == ""
    assert "rich.live" not in sys.modules


def test_a_longer_run_draws_in_the_background(terminal: NewTerminal) -> None:
    drawn = Signal()
    calls: list[int] = []

    def lines() -> list[str]:
        calls.append(1)
        if len(calls) > 9:
            drawn.set()
        return ["under way"]

    console = Console(Look(), stdout=io.StringIO(), stderr=terminal(), environ={"TERM": "xterm"})
    block = LiveBlock(console, lines, first_after_s=0, every_s=0.001)
    block.start()
    assert drawn.wait(20)
    block.stop()
    console.story("after")


def test_a_story_may_be_told_not_to_be_live(terminal: NewTerminal) -> None:
    console = Console(Look(), stdout=io.StringIO(), stderr=terminal(), environ={"TERM": "xterm"})
    with Story(console, may_be_live=False) as story:
        assert story.block_lines()[-1].endswith("received")


def test_nothing_is_drawn_while_a_question_waits(monkeypatch: pytest.MonkeyPatch, terminal: NewTerminal) -> None:
    err = terminal()
    console = Console(Look(), stdout=io.StringIO(), stderr=err, environ={})
    story = Story(console)
    drawn: list[bool] = []

    def confirm(_question: str) -> bool:
        drawn.append(story._block is not None and story._block._thread.is_alive())
        return True

    monkeypatch.setattr(console, "confirm", confirm)
    with story:
        assert story.ask("go?")
        assert story._block is not None
        assert story._block._thread.is_alive(), "and then it goes on"
    assert drawn == [False]


def test_a_question_without_a_live_block(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(Look(), stdout=io.StringIO(), stderr=io.StringIO(), environ={})
    monkeypatch.setattr(console, "confirm", lambda question: question == "go?")
    assert Story(console).ask("go?")
