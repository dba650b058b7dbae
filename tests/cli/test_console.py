from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli.console import Console, columns, silence
from runner.cli.safe_text import fit, redact, safe_json, secret_values
from runner.cli.settings import Look, wants_color
from runner.core.errors import StorageError
from runner.core.harmless import safe
from runner.core.problem import Problem

BAD = set("\x00\x07\x1b\r\x7f\x85\x9b\u200f\u202e\u2066\u2028\ufeff")


def console(look: Look | None = None, **environ: str) -> tuple[Console, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Console(look or Look(), stdout=out, stderr=err, environ=environ), out, err


@given(st.text())
def test_safe_text_has_no_control_character_left(text: str) -> None:
    shown = safe(text)
    assert not set(shown) & BAD
    assert all(char in "\t\n" or char >= " " for char in shown)
    assert safe(shown) == shown


@given(st.text(alphabet=" \t\n:#[\x85\u3000ab\x1b"))
def test_no_line_can_command_a_ci_job(text: str) -> None:
    shown = safe(text, is_ci=True)
    assert "##[" not in shown
    assert not any(line.strip().startswith("::") for line in shown.splitlines())


@given(st.text())
def test_safe_json_is_the_same_value(text: str) -> None:
    document = json.dumps({"a": text}, ensure_ascii=False)
    shown = safe_json(document, is_ci=True)
    assert json.loads(shown) == {"a": text}
    assert not set(shown) & BAD
    assert "##[" not in shown


def test_controls_are_seen_as_escapes() -> None:
    assert safe("a\tb\x1b[31m\x9b\u202e\r\n") == "a\tb\\x1b[31m\\x9b\\u202e\\x0d\n"
    assert safe(" ::error::x ##[group]", is_ci=True) == " \\x3a:error::x \\x23#[group]"
    assert safe("::x ##[group]") == "::x ##[group]"


def test_text_fits_the_stream() -> None:
    assert fit("1 · 2 → é 😀", "ascii") == "1 - 2 -> \\xe9 \\U0001f600"
    assert fit("1 · 2", None) == "1 · 2"
    assert json.loads(fit('"é😀·"', "ascii", is_json=True)) == "é😀·"


def test_secrets_are_values_of_variables_named_like_one() -> None:
    environ = {"A_KEY": "longer-value", "B_TOKEN": "short", "C": "not-a-secret", "my_secret": "longer-value-2"}
    assert secret_values(environ) == ("longer-value-2", "longer-value")
    assert redact("nothing", ()) == "nothing"
    assert redact("x longer-value-2 longer-value", secret_values(environ)) == "x *** ***"


@pytest.mark.parametrize(
    ("color", "environ", "is_terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": "", "FORCE_COLOR": "1"}, False, True),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_by_option_then_environment_then_stream(
    color: str, environ: dict[str, str], is_terminal: bool, wanted: bool
) -> None:
    assert wants_color(color, environ, is_terminal=is_terminal) is wanted


def test_colour_is_per_line_and_not_on_empty_ones() -> None:
    speaker, _, err = console(Look(color="always"))
    speaker.story("a\n\nb", "dim")
    speaker.story("plain")
    assert err.getvalue() == "\x1b[2ma\x1b[0m\n\n\x1b[2mb\x1b[0m\nplain\n"


def test_secrets_are_masked_in_the_story_and_in_failures() -> None:
    speaker, out, err = console(BOX_KEY="sk-secret")
    speaker.error("key sk-secret")
    speaker.failure({"message": "key sk-secret"})
    assert err.getvalue() == "key ***\n"
    assert out.getvalue() == '{"message":"key ***"}\n'


def test_problems_are_shown_in_order_with_a_blank_line_between() -> None:
    speaker, _, err = console()
    speaker.problems((Problem("b", "two"), Problem("a", "one", fix="do"), Problem("a", "one", fix="do")), {})
    assert err.getvalue() == "a: one\n  fix:      do\n\nb: two\n"


def test_quiet_and_verbose() -> None:
    speaker, out, err = console(Look(quiet=1, verbosity=2))
    speaker.story("no")
    speaker.detail("no")
    speaker.error("yes")
    speaker.report("")
    speaker.report("result")
    assert (out.getvalue(), err.getvalue()) == ("result\n", "yes\n")
    speaker, out, err = console(Look(quiet=2))
    speaker.error("no")
    speaker.report("no")
    speaker.commands(["::error::no"])
    assert (out.getvalue(), err.getvalue()) == ("", "")
    speaker, _, err = console(Look(verbosity=1))
    speaker.detail("one")
    speaker.detail("two", level=2)
    assert err.getvalue() == "one\n"


class Failing(io.StringIO):
    """A stream that fails, and counts how often it is tried."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error
        self.tries = 0

    def flush(self) -> None:
        self.tries += 1
        raise self.error


def test_a_closed_pipe_is_quiet_and_final() -> None:
    gone = Failing(BrokenPipeError())
    speaker = Console(Look(), stdout=gone, stderr=io.StringIO(), environ={})
    speaker.report("a")
    speaker.report("b")
    assert gone.tries == 1


def test_a_full_disk_behind_standard_output_is_an_error() -> None:
    speaker = Console(Look(), stdout=Failing(OSError(28, "No space left on device")), stderr=None, environ={})
    with pytest.raises(StorageError, match="written to standard output: No space left on device"):
        speaker.result({})


def test_a_standard_error_that_fails_does_not_stop_the_work() -> None:
    gone = Failing(OSError(5, "Input/output error"))
    speaker = Console(Look(), stdout=io.StringIO(), stderr=gone, environ={})
    speaker.story("a")
    speaker.story("b")
    assert gone.tries == 1


def test_streams_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    speaker = Console(Look(), environ={})
    speaker.story("to nobody")
    speaker.result({})
    assert not speaker.is_result_shown_to_a_person


def test_silence_points_a_stream_at_nothing(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w", encoding="utf-8") as stream:
        silence(stream)
        stream.write("lost")
    assert (tmp_path / "file").read_text(encoding="utf-8") == ""


def test_an_ascii_stream_gets_ascii(tmp_path: Path) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    speaker = Console(Look(), stdout=stream, stderr=stream, environ={})
    speaker.result({"a": "é"})
    speaker.story("1 error · nothing")
    assert raw.getvalue() == b'{"a":"\\u00e9"}\n1 error - nothing\n'
    stream.detach()


def test_columns_line_up() -> None:
    assert columns([("a", "bb", ""), ("aaa", "b", "c")]) == "a     bb\naaa   b    c"


def test_a_live_story_needs_a_terminal(terminal: Callable[[], io.StringIO]) -> None:
    shown = Console(Look(), stdout=io.StringIO(), stderr=terminal(), environ={"TERM": "xterm"})
    assert shown.has_live_story
    assert not Console(Look(), stdout=terminal(), stderr=io.StringIO(), environ={}).has_live_story
    assert not Console(Look(has_progress=False), stderr=terminal(), environ={}).has_live_story
    assert not Console(Look(quiet=1), stderr=terminal(), environ={}).has_live_story
    assert not Console(Look(), stderr=terminal(), environ={"TERM": "dumb"}).has_live_story


def test_a_message_stays_on_its_line() -> None:
    speaker, _, err = console()
    speaker.problems([Problem("a", "value is 'x\n0 calls'", fix="do")], {})
    assert err.getvalue() == "a: value is 'x\\n0 calls'\n  fix:      do\n"


class _Typed(io.StringIO):
    """A terminal on which this was typed."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "is_yes"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False), ("yep\n", False)]
)
def test_nothing_but_yes_is_yes(monkeypatch: pytest.MonkeyPatch, typed: str, is_yes: bool) -> None:
    monkeypatch.setattr(sys, "stdin", _Typed(typed))
    speaking, _, err = console()
    assert speaking.confirm("it may cost\x1b 5 USD") is is_yes
    assert err.getvalue() == "it may cost\\x1b 5 USD\ngo on? [y/N] "
    monkeypatch.setattr(sys, "stdin", None)
    assert not speaking.confirm("")


def test_a_question_needs_somebody_who_sees_it_and_can_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _Typed())
    terminal, pipe = _Typed(), io.StringIO()
    assert Console(Look(), stdout=pipe, stderr=terminal, environ={}).may_ask
    assert not Console(Look(quiet=1), stdout=pipe, stderr=terminal, environ={}).may_ask
    assert not Console(Look(), stdout=terminal, stderr=pipe, environ={}).may_ask
    monkeypatch.setattr(sys, "stdin", pipe)
    assert not Console(Look(), stdout=pipe, stderr=terminal, environ={}).may_ask
