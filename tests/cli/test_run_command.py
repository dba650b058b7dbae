from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.budget import Limit
from runner.core.events import AttemptMade, Noted, Retrying, RunStarted, Settled, StepExpected
from runner.core.outcome import Attempt, Failure, FailureKind, Outcome, Source, Status, Violation
from runner.core.problem import Problem
from runner.core.response import Usage

Cli = Callable[..., Any]


def test_the_result_is_on_standard_output_and_the_story_on_standard_error(cli: Cli, app: Any) -> None:
    said = cli("run", "hello.yaml")
    assert said.code == 0
    assert said.out == '{"greeting":"Hello"}\n'
    assert said.err == (
        "greet        local/smollm2-135m   21 in, 9 out   0.4 s   $0.00\n1 call, 0 cached, $0.00, 0.5 s    run r1\n"
    )


def test_a_cached_rerun_says_so(cli: Cli, app: Any) -> None:
    app.events = app.greeting(Source.CACHED)
    said = cli("run", "hello.yaml")
    assert said.err == "greet        cached\n0 calls, 1 cached, $0.00 (saved $0.031), 0.5 s    run r1\n"


def test_a_person_gets_the_result_indented_and_the_machine_no_escape_byte(cli: Cli, on_terminal: Cli, app: Any) -> None:
    assert on_terminal("run", "hello.yaml").out == '{\n  "greeting": "Hello"\n}\n'
    said = cli("run", "hello.yaml")
    assert "\x1b" not in said.out + said.err


def test_on_a_terminal_the_story_has_colour_unless_told_otherwise(
    on_terminal: Cli, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[1m1 call, 0 cached" in on_terminal("run", "hello.yaml").err
    assert "\x1b" not in on_terminal("run", "hello.yaml", "--color", "never").err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in on_terminal("run", "hello.yaml").err
    monkeypatch.setenv("RUNNER_COLOR", "always")
    assert "\x1b[1m" in on_terminal("run", "hello.yaml").err


def test_a_dumb_terminal_gets_no_escape_byte(on_terminal: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    said = on_terminal("run", "hello.yaml")
    assert "\x1b" not in said.out + said.err


def test_force_color_colours_a_log(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" in cli("run", "hello.yaml").err


def test_quiet_leaves_result_and_errors(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app.problems = (Problem("bad", "it is bad"), Problem("odd", "it is odd", severity="warning"))
    app.exit_code = 1
    said = cli("run", "hello.yaml", "-q")
    assert (said.code, said.out, said.err) == (1, '{"greeting":"Hello"}\n', "bad: it is bad\n")
    monkeypatch.setenv("RUNNER_QUIET", "2")
    said = cli("run", "hello.yaml")
    assert (said.code, said.out, said.err) == (1, "", "")


def test_json_is_one_document_with_durations_apart(cli: Cli, app: Any) -> None:
    document = cli("run", "hello.yaml", "--json").document
    assert document["outputs"] == {"greeting": "Hello"}
    assert (document["format"], document["exit_code"], document["problems"]) == (1, 0, [])
    assert document["steps"][0]["calls"] == 1
    assert document["meta"] == {"seconds": 0.5, "steps": {"greet": 0.4}}


def test_jsonl_is_one_event_per_line_and_no_other_result(cli: Cli, app: Any) -> None:
    said = cli("run", "hello.yaml", "--jsonl")
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [event["event"] for event in events] == ["started", "expected", "attempt", "outcome", "finished"]
    assert events[-1]["outputs"] == {"greeting": "Hello"}


def test_an_interrupted_run_keeps_its_events(cli: Cli, app: Any) -> None:
    app.error = KeyboardInterrupt()
    said = cli("run", "hello.yaml", "--jsonl")
    assert said.code == 130
    assert len(said.out.splitlines()) == 5


def test_every_exit_code_of_a_run_passes_through(cli: Cli, app: Any) -> None:
    for code in (0, 1, 3, 4, 5, 6, 130):
        app.exit_code = code
        said = cli("run", "hello.yaml")
        assert said.code == code
        assert f"run r1    exit {code}\n" in said.err or (code == 0 and said.err.endswith("run r1\n"))
        is_interrupted = said.err.endswith("what was received is stored: the same command goes on from there\n")
        assert is_interrupted is (code == 130)


def test_a_failed_run_without_outputs_prints_none(cli: Cli, app: Any) -> None:
    app.exit_code, app.outputs = 1, None
    assert cli("run", "hello.yaml").out == ""
    app.exit_code = 0
    assert cli("run", "hello.yaml").out == "null\n"


def test_options_reach_the_app(cli: Cli, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mail.txt").write_bytes(b"\xef\xbb\xbfDear all\n")
    words = ["run", "-i", "a=1=2", "-i", "mail=@mail.txt", "-i", "at=@@handle", "flow.yaml", "--data", "rows=x.jsonl"]
    words += ["--model", "fast=gemini/x", "--refresh", "classify", "--refresh", "reply", "--record", "--fail-fast"]
    words += ["-j", "3", "--trust", "box", "-vv"]
    assert cli(*words).code == 0
    options = app.options
    assert options.input_texts == {"a": "1=2", "mail": "Dear all\n", "at": "@handle"}
    assert options.data == {"rows": Path("x.jsonl")}
    assert options.models == {"fast": "gemini/x"}
    assert options.refresh == {"classify", "reply"}
    assert (options.is_recording, options.is_fail_fast, options.is_offline) == (True, True, False)
    assert (options.max_parallel, options.trust, options.verbosity) == (3, {"box"}, 2)
    monkeypatch.setenv("RUNNER_OFFLINE", "yes")
    monkeypatch.setenv("RUNNER_PARALLEL", "5")
    said = cli("run", "flow.yaml", "-v")
    assert (app.options.is_offline, app.options.max_parallel, app.options.use_cache) == (True, 5, True)
    assert said.err.startswith("offline: yes (from RUNNER_OFFLINE)\nparallel: 5 (from RUNNER_PARALLEL)\n")


def test_bad_variables_of_a_run_are_named(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_PARALLEL", "many")
    assert cli("run", "x.yaml").err == (
        "bad-variable: RUNNER_PARALLEL is 'many'\n  expected: a whole number of at least 1\n"
    )
    monkeypatch.setenv("RUNNER_OFFLINE", "perhaps")
    assert cli("run", "x.yaml").err.startswith("bad-variable: RUNNER_OFFLINE is 'perhaps'\n")


def test_refresh_before_the_flow_means_all_steps(cli: Cli, app: Any) -> None:
    assert cli("run", "--refresh", "flow.yaml").code == 0
    assert app.options.refresh == {"*"}
    assert cli("run", "flow.yaml", "--refresh").code == 0
    assert app.options.refresh == {"*"}
    assert cli("run", "flow.yaml", "--no-cache").code == 0
    assert app.options.use_cache is False


class Piped(io.TextIOWrapper):
    """Standard input with these bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))


def test_standard_input_is_read_where_a_dash_is(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"hello"))
    assert cli("run", "x.yaml", "-i", "mail=-").code == 0
    assert app.options.input_texts == {"mail": "hello"}
    monkeypatch.setattr(sys, "stdin", Piped(b'{"a":1}\n'))
    assert cli("run", "x.yaml", "--data", "rows=-").code == 0
    assert (app.options.stdin, app.options.data) == ({"rows": b'{"a":1}\n'}, {})


def test_standard_input_is_not_read_otherwise(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert cli("run", "x.yaml").code == 0
    said = cli("run", "x.yaml", "-i", "mail=-")
    assert (said.code, said.err) == (2, "no-input: '-' was given, but there is no standard input\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-i", "a=1", "-i", "a=2"], "usage: -i gives 'a' twice\n  fix:      leave one out\n"),
        (["--data", "a=1", "--data", "a=2"], "usage: --data gives 'a' twice\n  fix:      leave one out\n"),
        (["--json", "--jsonl"], "usage: --json and --jsonl exclude each other\n  fix:      leave one out\n"),
        (["--no-cache", "--record"], "usage: --no-cache and --record exclude each other\n  fix:      leave one out\n"),
        (["--no-cache", "--offline"], "usage: --no-cache and --offline exclude each other\n  fix:      leave one out\n"),
        (["--no-cache", "--refresh"], "usage: --no-cache and --refresh exclude each other\n  fix:      leave one out\n"),
        (["--offline", "--refresh"], "usage: --offline and --refresh exclude each other\n  fix:      leave one out\n"),
        (["-o", "-"],
         ("usage: -o writes a file, and the result goes to standard output without it\n"
          "  fix:      leave -o out\n")),
        (["-i", "a=-", "-i", "b=-"],
         "usage: standard input is asked for twice: -i a=- and -i b=-\n  fix:      use a file\n"),
        (["-i", "a=@none.txt"], "missing-file: input 'a': there is no file none.txt\n"),
        (["-i", "a=@."], "unreadable-file: input 'a': . cannot be read: is a directory\n"),
        (["-i", "a=@bin"], "not-text: input 'a': bin is not text in UTF-8\n"),
        (["-o", "."], "unwritable-file: -o: . is a folder\n"),
        (["-o", "no/where.json"], "unwritable-file: -o: there is no folder 'no'\n"),
    ],
)  # fmt: skip
def test_mistakes_are_told_before_anything_runs(
    cli: Cli, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    (tmp_path / "bin").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setattr(sys, "stdin", Piped(b""))
    said = cli("run", "x.yaml", *words)
    assert (said.code, said.err, app.options) == (2, message, None)


def test_a_huge_input_is_refused(cli: Cli, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.cli.files.MOST_BYTES", 2**20)
    (tmp_path / "big.txt").write_bytes(b"x" * (2**20 + 1))
    said = cli("run", "x.yaml", "-i", "a=@big.txt")
    assert (said.code, said.err) == (2, "too-large: input 'a': big.txt is larger than 1 MiB\n")


def test_the_result_goes_to_a_file_too(cli: Cli, app: Any, tmp_path: Path) -> None:
    app.outputs = {"text": "\x85 kept exactly ##["}
    said = cli("run", "x.yaml", "-o", "out.json", "-v")
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == '{"text":"\x85 kept exactly ##["}\n'
    assert json.loads(said.out) == app.outputs
    assert "written: out.json" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json"]
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_device_is_written_as_it_is(cli: Cli, app: Any) -> None:
    assert cli("run", "x.yaml", "-o", os.devnull).code == 0


def test_a_file_that_cannot_be_replaced_is_exit_3_and_leaves_nothing(
    cli: Cli, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    said = cli("run", "x.yaml", "-o", "out.json")
    assert said.code == 3
    assert said.err.endswith("unwritable-file: out.json cannot be written: no space left on device\n")
    assert list(tmp_path.iterdir()) == []


def test_a_place_without_permission_is_refused_first(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    said = cli("run", "x.yaml", "-o", "out.json")
    assert (said.code, said.err) == (2, "unwritable-file: -o: out.json cannot be written: no permission\n")


def repaired() -> list[object]:
    misfit = (
        Violation("/confidence", "type", "a number", '"high"'),
        Violation("/queue", "enum", "one of billing, bug", '"Bug\n::x"'),
        Violation("", "ensure", "output.confidence > 0"),
    )
    first = Attempt("a" * 64, Source.FRESH, usage=Usage(300, 60), cost_usd=0.003, seconds=2, requests=1,
                    reason="thinking", violations=misfit)  # fmt: skip
    second = Attempt("b" * 64, Source.FRESH, repair=1, usage=Usage(102, 71), cost_usd=0.0009, seconds=1.1, requests=3,
                     maybe_paid_twice=1)  # fmt: skip
    return [
        RunStarted("r8", "ticket", "t.yaml", {"classify": "acme/large", "tag": "acme/small"}, "0.1.0"),
        StepExpected("classify", 1, "acme/large"),
        AttemptMade("classify", "", first),
        Retrying("classify", "", 1, 4.0, "the provider is overloaded"),
        AttemptMade("classify", "", second),
        Settled(Outcome("classify", "", Status.GOOD, {}, attempts=(first, second))),
        Noted("damaged", "one stored answer is damaged and counts as a miss"),
    ]


def test_a_repair_is_told_with_its_violations(cli: Cli, app: Any) -> None:
    app.events = repaired()
    said = cli("run", "t.yaml")
    assert said.err.splitlines() == [
        "classify     answer 1 does not fit",
        '               /confidence   "high", expected a number',
        '               /queue        "Bug\\n::x", expected one of billing, bug',
        "               (root)        expected output.confidence > 0",
        "classify: try 1 failed (the provider is overloaded); again in 4.0 s",
        "             repair 1 answered",
        "classify     2 calls (1 repair, 2 retries)   acme/large   402 in, 131 out   3.1 s   $0.0039   why thinking",
        "damaged: one stored answer is damaged and counts as a miss",
        "1 request got no answer after being sent: the provider may count it twice",
        "2 calls (1 repair, 2 retries), 0 cached, $0.0039, 0.5 s    run r1",
    ]


def fan_out(status: Status = Status.GOOD, count: int = 3) -> list[object]:
    events: list[object] = [
        RunStarted("r2", "reviews", "r.yaml", {"tag": "acme/small"}, "0.1.0"),
        StepExpected("tag", count, "acme/small"),
    ]
    for number in range(count):
        attempt = Attempt(f"{number}" * 64, Source.CACHED if number == 0 else Source.FRESH, usage=Usage(10, 5),
                          cost_usd=None, seconds=1, requests=1,
                          violations=(Violation("/a", "type", "a number", "x"),) if number == 2 else ())  # fmt: skip
        failure = Failure(FailureKind.CUT, "stopped at the limit") if number == 1 else None
        events.append(AttemptMade("tag", f"rev-{number}", attempt))
        events.append(
            Settled(Outcome("tag", f"rev-{number}", Status.FAILED if failure else status, {}, failure, (attempt,)))
        )
    return events


def test_a_fan_out_is_one_line(cli: Cli, app: Any) -> None:
    app.events = fan_out()
    app.events.insert(2, Retrying("tag", "rev-1", 1, 2.0, "overloaded"))
    assert cli("run", "r.yaml").err.splitlines()[0] == (
        "tag          1 cached, 1 failed   2 calls   acme/small   20 in, 10 out   0.0 s   ?"
    )


def test_verbose_tells_each_item(cli: Cli, app: Any) -> None:
    app.events = fan_out()
    lines = cli("run", "r.yaml", "-v").err.splitlines()
    assert lines[0] == "r2: reviews (r.yaml), runner 0.1.0"
    assert lines[1] == "tag[rev-1]: cut: stopped at the limit"
    assert lines[2:4] == ["tag[rev-2]   answer 1 does not fit", "               /a   x, expected a number"]


def test_a_long_item_name_keeps_its_message(cli: Cli, app: Any) -> None:
    events = fan_out()
    events[-2] = AttemptMade("tag", "a-rather-long-item", events[-2].attempt)  # type: ignore[attr-defined]
    app.events = events
    assert "tag[a-rather-long-item]   answer 1 does not fit" in cli("run", "r.yaml", "-v").err


def test_an_empty_fan_out_and_an_unfinished_one_are_told(cli: Cli, app: Any) -> None:
    app.events = [*fan_out()[:-2], StepExpected("empty", 0, "acme/small"), StepExpected("never", 4, "acme/small")]
    app.exit_code, app.status = 130, "interrupted"
    lines = cli("run", "r.yaml").err.splitlines()
    assert lines[0] == "empty        no items"
    assert lines[1] == "tag          2 of 3   1 failed"
    assert lines[-2].endswith("exit 130")


def test_problems_stand_between_story_and_closing_line(cli: Cli, app: Any) -> None:
    app.problems = (Problem("invalid-output", "tag[rev-1] did not fit", fix="try again"),)
    app.exit_code = 1
    assert cli("run", "r.yaml").err.splitlines()[1:4] == [
        "invalid-output: tag[rev-1] did not fit",
        "  fix:      try again",
        "1 call, 0 cached, $0.00, 0.5 s    run r1    exit 1",
    ]


def test_hostile_answers_cannot_act(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("BOX_TOKEN", "hush-hush")
    hostile = "\n::set-output name=a::b\n  ::add-mask::x ##[command]y \x1b]52;c;eA==\x07 \x9b31m \u202eevil hush-hush"
    app.outputs = {"text": hostile}
    app.problems = (Problem("invalid-output", hostile),)
    app.exit_code = 1
    for form in ((), ("--json",), ("--jsonl",)):
        said = cli("run", "x.yaml", *form)
        shown = said.out + said.err
        assert not any(char in shown for char in "\x1b\x07\x9b\u202e")
        assert "##[" not in shown
        commands = [line for line in shown.splitlines() if line.strip().startswith("::")]
        assert all(line.startswith("::error title=invalid-output::%0A::set-output") for line in commands)
        assert "hush-hush" not in said.err
    assert json.loads(cli("run", "x.yaml").out) == app.outputs


def test_what_a_run_may_cost(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("run", "w.yaml")
    assert (app.options.max_cost, app.options.has_consent, app.options.consent_usd) == (None, False, None)
    assert app.options.ask is None, "nobody is there to answer"
    cli("run", "w.yaml", "--max-cost", "2.5", "--yes")
    assert (app.options.max_cost, app.options.has_consent) == (Limit(2.5, "--max-cost"), True)
    monkeypatch.setenv("RUNNER_MAX_COST", "3")
    monkeypatch.setenv("RUNNER_YES", "1")
    monkeypatch.setenv("RUNNER_CONSENT_USD", ".5")
    cli("run", "w.yaml")
    assert (app.options.max_cost, app.options.has_consent) == (Limit(3.0, "RUNNER_MAX_COST"), True)
    assert app.options.consent_usd == 0.5
    cli("run", "w.yaml", "--max-cost", "2")
    assert app.options.max_cost == Limit(2.0, "--max-cost")


@pytest.mark.parametrize("word", ["5usd", "-1", "nan", "inf", "1e3", "²"])
def test_no_dollars_are_a_mistake(cli: Cli, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = cli("run", "w.yaml", f"--max-cost={word}")
    assert (said.code, said.err.splitlines()[0]) == (
        2,
        f"usage: option --max-cost: '{word}' are no US dollars, such as 5 or 0.5",
    )
    monkeypatch.setenv("RUNNER_MAX_COST", word)
    assert cli("run", "w.yaml").err == (
        f"bad-variable: RUNNER_MAX_COST is '{word}'\n  expected: US dollars, such as 5 or 0.5\n"
    )
