"""Text of answers on its way: whose it is, in which order, and harmless."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli.console import Console
from runner.cli.safe_text import held_back
from runner.cli.settings import Look
from runner.cli.story import Story
from runner.core.events import AttemptMade, Heard, Retrying, RunFinished
from runner.core.outcome import Attempt, Source

Cli = Callable[..., Any]


def story_of(err: io.StringIO, look: Look | None = None, **environ: str) -> Story:
    return Story(Console(look or Look(), stdout=io.StringIO(), stderr=err, environ=environ))


def made(step: str, item: str = "", **attempt: Any) -> AttemptMade:
    return AttemptMade(step, item, Attempt("k", Source.FRESH, **attempt))


def test_text_stands_under_the_name_of_its_step_line_by_line() -> None:
    err = io.StringIO()
    story = story_of(err)
    story.hear(Heard("reply", "", "Dear "))
    assert err.getvalue() == "reply | Dear "
    story.hear(Heard("reply", "", "you,\n\nthank"))
    story.hear(Heard("reply", "", "s."))
    story(made("reply"))
    assert err.getvalue() == "reply | Dear you,\n\nreply | thanks.\n"


def test_answers_side_by_side_wait_for_one_another() -> None:
    err = io.StringIO()
    story = story_of(err)
    for text in ("1", "2"):
        for item in ("a", "b", "c"):
            story.hear(Heard("tag", item, f"{item}{text}"))
    assert err.getvalue() == "tag[a] | a1a2"
    story(made("tag", "b"))
    assert err.getvalue() == "tag[a] | a1a2"
    story(made("tag", "a"))
    assert err.getvalue() == "tag[a] | a1a2\ntag[b] | b1b2\ntag[c] | c1c2"
    story.hear(Heard("tag", "c", "!"))
    story(made("tag", "c"))
    assert err.getvalue().endswith("tag[c] | c1c2!\n")
    story(made("tag", "d"))
    assert err.getvalue().endswith("tag[c] | c1c2!\n")


def test_parts_turns_samples_and_repairs_have_their_names() -> None:
    err = io.StringIO()
    story = story_of(err)
    story.hear(Heard("talk", "x", "a", part="talk.say", turn=2))
    story(made("talk", "x", part="talk.say", turn=2))
    story.hear(Heard("ask", "", "b", sample=1))
    story(made("ask", sample=1))
    story.hear(Heard("ask", "", "c", repair=2))
    story(made("ask", repair=2))
    assert [line for line in err.getvalue().splitlines() if "|" in line] == [
        "talk.say[x turn 2] | a",
        "ask sample 1 | b",
        "ask repair 2 | c",
    ]


def test_an_answer_that_is_asked_for_again_begins_anew() -> None:
    err = io.StringIO()
    story = story_of(err)
    story.hear(Heard("ask", "", "Hel"))
    story.hear(Heard("asker", "", "other"))
    story.hear(Heard("ask", "", "part", part="ask.escalate.1"))
    story(Retrying("ask", "", 1, 0.5, "cut"))
    story.hear(Heard("ask", "", "Hello"))
    story(RunFinished("r1", "done", 0, 1.0))
    again = "ask: try 1 failed (cut); again in 0.5 s"
    assert err.getvalue() == f"ask | Hel\nasker | other\n{again}\nask.escalate.1 | part\nask | Hello\n"


def test_a_line_of_the_story_never_goes_on_with_streamed_text() -> None:
    err = io.StringIO()
    story = story_of(err)
    story.hear(Heard("ask", "", "Hel"))
    story(Retrying("other", "", 1, 0.5, "busy"))
    story.hear(Heard("ask", "", "lo"))
    story(made("ask"))
    assert err.getvalue() == "ask | Hel\nother: try 1 failed (busy); again in 0.5 s\nask | lo\n"


def test_foreign_text_drives_no_terminal() -> None:
    err = io.StringIO()
    story = story_of(err)
    for piece in ("\x1b", "[2J\r", "\u202e\x07"):
        story.hear(Heard("ask", "", piece))
    story(made("ask"))
    assert err.getvalue() == "ask | \\x1b[2J\\x0d\\u202e\\x07\n"


def test_a_ci_service_sees_no_command_however_it_is_cut() -> None:
    err = io.StringIO()
    story = story_of(err, GITHUB_ACTIONS="true")
    for piece in ("::err", "or::x\n::", "error::y\n#", "#", "[error]z", "#"):
        story.hear(Heard("ask", "", piece))
    story(made("ask"))
    assert "##[" not in err.getvalue()
    assert not [line for line in err.getvalue().splitlines() if line.lstrip().startswith("::")]
    assert err.getvalue().endswith("#\n")


SECRET = "sk-12341-12345"


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_secret_is_masked_wherever_it_is_cut(cuts: list[int]) -> None:
    text = f"the key is {SECRET}, sk-12 sk-12341-{SECRET}!"
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    err = io.StringIO()
    story = story_of(err, SOME_KEY=SECRET)
    for start, end in pairwise(places):
        story.hear(Heard("ask", "", text[start:end]))
    story(made("ask"))
    assert err.getvalue() == "ask | the key is ***, sk-12 sk-12341-***!\n"


def test_what_may_be_the_beginning_of_a_mark_is_held_back() -> None:
    assert held_back("abc sk-", ["sk-1234"]) == 3
    assert held_back("abc", ["sk-1234"]) == 0
    assert held_back("#", ["##["]) == 1
    assert held_back("x", []) == 0


def test_quiet_hears_nothing(cli: Cli, app: Any) -> None:
    err = io.StringIO()
    story = story_of(err, Look(quiet=1))
    story.hear(Heard("ask", "", "x"))
    story(made("ask"))
    assert err.getvalue() == ""


def test_stream_listens_to_the_answers(cli: Cli, app: Any) -> None:
    assert cli("run", "flow.yaml").code == 0
    assert app.options.hear is None
    said = cli("run", "flow.yaml", "--stream")
    assert said.code == 0
    assert app.options.hear is not None


def test_show_says_when_a_streamed_answer_began(cli: Cli, app: Any) -> None:
    line = {"step": "ask", "item": "", "source": "fresh", "key": "k", "meta": {"seconds": 2.0, "first_token_s": 0.3}}
    app.attempts = [{**line, "request": {}, "answer": "x", "payload": {}}]
    assert "  streamed  first text after 0.3 s, whole after 2.0 s\n" in cli("show", "ask").out
    app.attempts = [{**line, "meta": {"seconds": 2.0}, "request": {}, "answer": "x", "payload": {}}]
    assert "streamed" not in cli("show", "ask").out


def test_show_tells_thoughts_before_the_answer(cli: Cli, app: Any) -> None:
    line = {"step": "ask", "item": "", "source": "fresh", "key": "k", "request": {}, "payload": {}}
    app.attempts = [{**line, "thoughts": "Hm.\nYes.", "answer": "x"}]
    assert cli("show", "ask").out.endswith("  thoughts\n    Hm.\n    Yes.\n  answer\n    x\n")


@pytest.mark.parametrize("style", ["", "dim"])
def test_a_piece_is_painted_like_a_line(style: Any) -> None:
    err = io.StringIO()
    console = Console(Look(color="always"), stdout=io.StringIO(), stderr=err, environ={})
    console.piece("x", style)
    assert err.getvalue() == ("\x1b[2mx\x1b[0m" if style else "x")
