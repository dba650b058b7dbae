from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main as main_module
from runner.cli.index import COMMANDS
from runner.core.errors import CallNeeded, FileError, NothingSelected, ProviderError, RunnerError, StorageError
from runner.core.problem import Problem
from runner.core.span import Span

Cli = Callable[..., Any]


def test_version_and_help_answer_on_standard_output(cli: Cli) -> None:
    version, help_ = cli("--version"), cli("--help")
    assert (version.code, version.out, version.err) == (0, "runner 0.1.0\n", "")
    assert help_.code == 0
    assert all(f"  {name} " in help_.out for name in COMMANDS)
    assert " 130  interrupted" in help_.out


def test_without_a_command_the_help_is_an_error(cli: Cli) -> None:
    said = cli()
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("usage: runner COMMAND")


def test_an_unknown_command_names_the_nearest(cli: Cli) -> None:
    said = cli("rnu", "hello.yaml")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "unknown-command: there is no command 'rnu'\n"
        "  expected: cache, check, init, models, plan, run, schema, show, test\n"
        "  nearest:  run\n"
        "  fix:      runner run\n"
    )


def test_an_unlike_command_points_to_the_help(cli: Cli) -> None:
    assert cli("xyzzy").err.endswith("  fix:      runner --help\n")


def test_a_file_for_a_command_is_explained(cli: Cli) -> None:
    assert cli("hello.yaml").err == (
        "unknown-command: 'hello.yaml' is a file, not a command\n  fix:      runner run hello.yaml\n"
    )


def test_a_command_of_a_later_version_says_so(cli: Cli) -> None:
    said = cli("report")
    assert said.code == 2
    assert said.err.startswith("later-command: 'runner report' is not in this version\n")


def test_an_option_alone_is_no_command(cli: Cli) -> None:
    said = cli("-v")
    assert said.code == 2
    assert said.err.startswith("usage: no command was named\n")
    assert cli("--wat").err.startswith("unknown-option: 'runner' has no option '--wat'")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_one_screen_with_few_options(cli: Cli, command: str) -> None:
    said = cli(command, "--help")
    assert said.code == 0
    assert len(said.out.splitlines()) <= 50
    most = 20 if command in ("run", "test") else 15  # what to run, what to replay, what to keep, what to spend
    assert sum(line.startswith("  -") for line in said.out.splitlines()) <= most
    assert max(map(len, said.out.splitlines())) <= 110


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_of_any_command_is_exit_2(cli: Cli, app: object, command: str) -> None:
    arguments = {"run": ["x.yaml"], "plan": ["x.yaml"], "cache": ["ls"], "schema": ["workflow"]}.get(command, [])
    said = cli(command, *arguments, "--jsno")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"unknown-option: 'runner {command}' has no option '--jsno'\n"
        "  nearest:  --json\n"
        f"  fix:      runner {command} --help\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "'runner run' needs FLOW"),
        (["run", "x", "-j", "0"], "option -j/--parallel: '0' is not a whole number of at least 1"),
        (["run", "x", "-i", "who"], "option -i/--input: 'who' is not of the form NAME=VALUE"),
        (["run", "x", "-i"], "option -i/--input needs a value"),
        (["run", "x", "y"], "'runner run' does not take a further argument 'y'"),
        (["run", "x", "--color", "pink"], "option --color: 'pink' is none of auto, always, never"),
        (["run", "x", "--offline=1"], "option --offline: ignored explicit argument '1'"),
        (["cache", "clear"], "ACTION: 'clear' is none of stats, ls, verify, gc, export, import"),
        (["schema", "plan"], "KIND: 'plan' is none of workflow, suite, settings, events"),
    ],
)
def test_wrong_arguments_are_said_in_our_words(cli: Cli, app: object, words: list[str], message: str) -> None:
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[0] == f"usage: {message}"


@pytest.mark.parametrize(
    ("error", "code"), [(FileError, 2), (ProviderError, 3), (StorageError, 3), (NothingSelected, 5), (CallNeeded, 6)]
)
@pytest.mark.parametrize("words", [["run", "x.yaml"], ["show"], ["cache", "ls"], ["models"]])
def test_each_error_has_its_exit_code(
    cli: Cli, app: Any, error: type[RunnerError], code: int, words: list[str]
) -> None:
    app.error = error(Problem("some-code", "it is so", Span("a.yaml", 2, 3, 4)), {"a.yaml": "x\n  abcd\n"})
    said = cli(*words)
    assert (said.code, said.out) == (code, "")
    assert said.err.endswith("a.yaml:2:3: some-code: it is so\n    2 |   abcd\n      |   ^^^^\n")


@pytest.mark.parametrize("words", [["run", "x.yaml"], ["show"], ["cache", "stats"], ["models"]])
def test_with_json_an_error_is_one_document(cli: Cli, app: Any, words: list[str]) -> None:
    app.error = FileError(Problem("bad", "it is bad", Span("a.yaml", 2, 3), expected="good", notes=(("at", "x"),)))
    said = cli(*words, "--json")
    assert said.document == {
        "format": 1,
        "exit_code": 2,
        "problems": [
            {
                "code": "bad",
                "severity": "error",
                "message": "it is bad",
                "file": "a.yaml",
                "line": 2,
                "column": 3,
                "length": 1,
                "expected": "good",
                "notes": [{"label": "at", "text": "x"}],
            }
        ],
    }


def test_with_json_a_usage_error_is_a_document_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["rnu", "--json"], ["run", "--json"], ["check", "--format", "json", "--wat"]):
        said = cli(*words)
        assert (said.code, said.document["exit_code"]) == (2, 2)
    monkeypatch.setenv("RUNNER_JSON", "1")
    assert cli("rnu").document["problems"][0]["nearest"] == "run"


def test_an_interrupt_is_130(cli: Cli, app: Any) -> None:
    app.error = KeyboardInterrupt()
    said = cli("run", "x.yaml", "--json")
    assert (said.code, said.document["exit_code"]) == (130, 130)
    assert said.err.splitlines()[-1].startswith(
        "interrupted: the run ended at once; answers that were received are stored"
    )


def test_a_defect_is_70_with_a_report_and_no_traceback_or_secret(
    cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOX_API_KEY", "sk-verysecret")
    (tmp_path / ".runner").mkdir()
    app.error = ZeroDivisionError("with sk-verysecret inside")
    said = cli("run", "x.yaml", "-i", "who=private")
    (report,) = (tmp_path / ".runner").glob("crash-*.txt")
    assert (said.code, said.out) == (70, "")
    assert said.err.splitlines()[-1] == f"defect: a defect of runner, not of your files; the report is in {report}"
    text = report.read_text(encoding="utf-8")
    assert "ZeroDivisionError: with *** inside" in text
    assert "Traceback" in text
    assert "sk-verysecret" not in text + said.err
    assert "private" not in text
    if os.name == "posix":
        assert report.stat().st_mode & 0o777 == 0o600


def test_a_defect_report_goes_to_the_temporary_folder_where_there_is_no_record(
    cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "temp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    app.error = RecursionError("deep")
    said = cli("cache", "ls", "--json")
    assert said.code == 70
    assert len(list(place.iterdir())) == 1
    assert said.document["problems"][0]["code"] == "defect"


def test_a_defect_without_a_place_to_write_still_is_70(
    cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    app.error = ValueError("x")
    said = cli("models")
    assert said.code == 70
    assert said.err == "defect: a defect of runner, not of your files: ValueError (no place to write a report)\n"


def test_quiet_twice_says_nothing_at_all(cli: Cli, app: Any) -> None:
    app.error = FileError(Problem("bad", "it is bad"))
    said = cli("run", "x.yaml", "-qq")
    assert (said.code, said.out, said.err) == (2, "", "")


def test_dash_c_works_in_another_folder_and_comes_back(cli: Cli, app: Any, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.yaml").write_text("steps: {}\n", encoding="utf-8")
    assert cli("-C", "there", "check").code == 0
    assert app.checked == [Path("a.yaml")]
    assert Path.cwd() == tmp_path
    said = cli("check", "-C", "nowhere")
    assert (said.code, said.err) == (2, "no-such-folder: there is no folder 'nowhere'\n")


def test_the_folder_can_come_from_the_environment(
    cli: Cli, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.yaml").write_text("steps: {}\n", encoding="utf-8")
    monkeypatch.setenv("RUNNER_DIR", "there")
    assert cli("check").code == 0


def test_a_bad_variable_is_named(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_QUIET", "maybe")
    said = cli("models")
    assert (said.code, said.err) == (
        2,
        "bad-variable: RUNNER_QUIET is 'maybe'\n  expected: 0, 1, 2, yes or no\n",
    )
    monkeypatch.setenv("RUNNER_QUIET", "")
    monkeypatch.setenv("RUNNER_COLOR", "allways")
    assert cli("models").err == (
        "bad-variable: RUNNER_COLOR is 'allways'\n  expected: always, auto, never\n  nearest:  always\n"
    )


def test_verbose_says_which_variable_decided(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_COLOR", "never")
    monkeypatch.setenv("RUNNER_NO_PROGRESS", "yes")
    app.rows = [{"name": "a/b"}]
    assert cli("models", "-v").err == "no-progress: 1 (from RUNNER_NO_PROGRESS)\ncolor: never (from RUNNER_COLOR)\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m runner --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "usage: runner COMMAND [options]\n"


def test_entry_leaves_with_the_exit_code_even_when_flushing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "argv", ["runner", "--version"])
    monkeypatch.setattr(sys, "stdout", Broken())
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as left:
        main_module.entry()
    assert left.value.code == 0


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_a_full_disk_is_said_and_no_traceback(word: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "runner", word],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    said = "unwritable-output: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (3, said)


def test_the_version_can_be_said_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main_module.main(["--version"]) == 0


def test_an_interrupt_outside_the_boundary_is_130_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(words: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "main", interrupt)
    with pytest.raises(SystemExit) as left:
        main_module.entry()
    assert left.value.code == 130


def test_an_option_beats_the_variable(cli: Cli, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("steps: {}\n", encoding="utf-8")
    monkeypatch.setenv("RUNNER_JSON", "1")
    assert cli("check").document["errors"] == 0
    assert cli("check", "--format", "text").out == ""
    assert len(cli("run", "a.yaml", "--jsonl").out.splitlines()) == 5


def test_a_command_says_the_version_too(cli: Cli) -> None:
    said = cli("run", "--version")
    assert (said.code, said.out) == (0, "runner 0.1.0\n")
