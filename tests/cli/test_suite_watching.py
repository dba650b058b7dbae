"""How suites are getting on: figures on the screen, a file of metrics, spans."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from runner.cli.console import Console
from runner.cli.main import main
from runner.cli.settings import Look
from runner.cli.suite_progress import SuiteProgress
from runner.core.events import Event, Retrying, RunFinished, RunStarted, Settled, StepExpected
from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.core.traffic import Traffic

STARTED = RunStarted("r1", "small", "small.suite.yaml", {"say": "a/b"}, "0.1.0")
GOOD = Settled(Outcome("say", "one", Status.GOOD, "hello"))
BAD = Settled(Outcome("say", "two", Status.FAILED, failure=Failure(FailureKind.REFUSED, "it declined")))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Watched:
    def __init__(self, *, is_live: bool = False) -> None:
        self.err = Terminal() if is_live else io.StringIO()
        environ = {"TERM": "xterm"} if is_live else {}
        console = Console(Look(), stdout=io.StringIO(), stderr=self.err, environ=environ)
        self.now = 0.0
        self.progress = SuiteProgress(console, lambda: self.now)
        self.sink = self.progress.sink()

    def tell(self, *events: Event) -> list[str]:
        for event in events:
            self.sink(event)
        return self.progress.block_lines()


def test_a_suite_under_way_has_figures() -> None:
    watched = Watched()
    watched.progress.watch(lambda: (Traffic("a/b", 3),))
    assert watched.progress.block_lines() == []
    watched.tell(STARTED, StepExpected("say", 4, "a/b"))
    watched.now = 2.0
    assert watched.tell(GOOD, BAD) == [
        "small   2 answers",
        "1.0 items/s   3 in flight   about 2.0 s left",
        "last error: say[two]: it declined",
    ]
    assert watched.tell(Retrying("say", "three", 1, 1.0, "slow down"))[-1] == "last error: say[three]: slow down"
    assert watched.tell(RunFinished("r1", "done", 0, 2.0)) == []


def test_elsewhere_than_on_a_terminal_they_are_told_each_ten_seconds() -> None:
    watched = Watched()
    watched.tell(STARTED, GOOD)
    assert watched.err.getvalue() == ""
    watched.now = 10.0
    watched.tell(GOOD, GOOD)
    assert watched.err.getvalue() == "small   2 answers\n0.2 items/s\n"


def test_on_a_terminal_a_block_is_drawn_and_a_question_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(is_live=True)
    monkeypatch.setattr(Console, "confirm", lambda _self, question: question == "May it?")
    with watched.progress:
        watched.now = 20.0
        watched.tell(STARTED, GOOD)
        assert watched.progress.ask("May it?")
    assert "small" not in watched.err.getvalue(), "what is short is not drawn, and the block is no story"


def test_without_a_terminal_a_question_is_asked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "confirm", lambda _self, question: question == "May it?")
    watched = Watched()
    with watched.progress:
        assert watched.progress.ask("May it?")


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runner.yaml").write_text("providers: {written: {dialect: scripted, file: a.jsonl, price: free}}\n")
    (tmp_path / "a.jsonl").write_text('{"answer": "good"}\n')
    (tmp_path / "flow.yaml").write_text(
        "format: 1\ninputs: {word: {type: string}}\nsteps: {say: {model: written/x, prompt: 'Say {{ inputs.word }}'}}\n"
    )
    for name in ("one", "two"):
        (tmp_path / f"{name}.suite.yaml").write_text(
            f"format: 1\nworkflow: flow.yaml\ncases: {{a: {{with: {{word: {name}}}, expect: {{steps.say: good}}}}}}\n"
        )
    return tmp_path


def test_suites_leave_their_metrics_and_spans(suites: Path) -> None:
    assert main(["test", ".", "--metrics", "run.prom", "--otel", "spans.jsonl"]) == 0
    told = (suites / "run.prom").read_text()
    assert 'runner_run_info{run="r1",workflow="one.suite",status="done"} 1\n' in told
    assert 'runner_calls_total{run="r2",step="say"} 1\n' in told
    assert 'runner_requests_in_flight{model="written/x"} 0\n' in told
    lines = [json.loads(line) for line in (suites / "spans.jsonl").read_text().splitlines()]
    names = [span["name"] for line in lines for span in line["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert sorted(names) == [
        *("chat x", "chat x", "invoke_workflow one.suite", "invoke_workflow two.suite", "step say", "step say")
    ]


def test_a_place_that_cannot_be_written_is_refused_first(suites: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", ".", "--metrics", "no/run.prom"]) == 2
    assert capsys.readouterr().err == "unwritable-file: --metrics: there is no folder 'no'\n"


def test_suites_print_their_events_and_no_other_result(suites: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "one.suite.yaml", "--jsonl"]) == 0
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [event["event"] for event in events] == ["started", "attempt", "outcome", "finished"]
    assert "1 passed" in said.err


@pytest.mark.parametrize("other", ["--json", "--list"])
def test_events_exclude_another_result(suites: Path, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "one.suite.yaml", "--jsonl", other]) == 2
    assert f"{other} and --jsonl exclude each other" in "".join(capsys.readouterr())


def test_what_failed_is_told_beside_the_events(suites: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (suites / "a.jsonl").write_text('{"answer": "bad"}\n')
    assert main(["test", "one.suite.yaml", "--jsonl"]) == 1
    said = capsys.readouterr()
    assert all(line.startswith("{") for line in said.out.splitlines())
    assert "FAILED one.suite.yaml::a" in said.err
