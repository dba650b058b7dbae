"""`run --only failed` end to end, against a server that counts."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions, RunResult
from runner.cli.main import main
from runner.cli.resume import retry_command
from runner.core.errors import RunnerError

FLOW = """
format: 1
name: labels
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: box/small
    for_each: data.rows
    on_error: skip
    repair: 0
    prompt: "tag {{ item.id }} x"
    fields: {label: string, size: integer}
  tone:
    model: box/small
    for_each: data.rows
    on_error: skip
    prompt: "tone {{ item.id }} {{ steps.tag.output.label }}"
    fields: {tone: string}
  sum:
    model: box/small
    prompt: "sum {{ steps.tag.outputs | length }} x"
    fields: {total: integer}
  first:
    model: box/small
    prompt: "first word"
    fields: {word: string}
outputs:
  table:
    file: out/t.jsonl
    rows: data.rows
    columns: {id: item.id, label: steps.tag.output.label}
  total: steps.sum.output.total
  word: steps.first.output.word
"""


@pytest.fixture
def labels(project: Any) -> Any:
    """Four rows, of which r2 gets no good answer."""
    project.workflow(FLOW)
    project.write("rows.jsonl", "".join(f'{{"id": "r{number}"}}\n' for number in range(1, 5)))
    project.special["tag r2 x"] = project.Answer(text="no label")
    return project


def run(project: Any, **options: Any) -> RunResult:
    project.server.forget()
    return api.run(project.root / "flow.yaml", RunOptions(has_consent=True, **options))


def test_only_what_failed_is_asked_again_and_what_reads_it(labels: Any) -> None:
    assert run(labels).exit_code == 0
    assert run(labels).exit_code == 0
    assert labels.asked == [], "what on_error: skip leaves out stays so"
    labels.special.clear()
    result = run(labels, is_only_failed=True)
    assert labels.asked == ["sum 4", "tag r2", "tone r2"]
    assert (result.exit_code, result.outputs["total"], result.failed_files) == (0, 4, ())
    written = (labels.root / "out/t.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in written] == ["r1", "r2", "r3", "r4"]
    run(labels)
    assert labels.asked == []


def test_what_fails_again_is_still_failed(labels: Any) -> None:
    run(labels)
    for _ in range(2):
        result = run(labels, is_only_failed=True)
        assert labels.asked == ["tag r2"]
        assert (result.outputs["total"], result.failed_files) == (3, ("out/t.jsonl.failed.jsonl",))


def test_rows_that_are_new_are_not_asked(labels: Any) -> None:
    run(labels)
    labels.special.clear()
    labels.write("rows.jsonl", "".join(f'{{"id": "r{number}"}}\n' for number in range(1, 6)))
    result = run(labels, is_only_failed=True)
    assert labels.asked == ["tag r2", "tone r2"]
    assert result.exit_code == 6
    assert {problem.message for problem in result.problems} == {
        f"'{step}{more}' cannot run: 'tag[r5]' did not fail the last time and has no stored answer"
        for step, more in (("tag", "[r5]"), ("tone", "[r5]"), ("sum", ""))
    }
    assert {problem.fix for problem in result.problems} == {"leave --only failed out"}


def test_nothing_that_failed_is_nothing_selected(labels: Any) -> None:
    with pytest.raises(RunnerError) as caught:
        run(labels, is_only_failed=True)
    (problem,) = caught.value.problems
    assert problem.message == "--only failed selects nothing: there is no run of 'labels' yet"
    labels.special.clear()
    run(labels)
    with pytest.raises(RunnerError) as caught:
        run(labels, is_only_failed=True)
    (problem,) = caught.value.problems
    assert problem.message == "--only failed selects nothing: nothing of 'labels' failed the last time"
    assert (caught.value.exit_code, problem.fix) == (5, "leave --only failed out")


def test_the_command_that_asks_again_is_said(labels: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(labels.root)
    assert main(["run", "flow.yaml", "--yes", "--refresh", "tag"]) == 0
    assert capsys.readouterr().err.endswith(
        "what failed is in out/t.jsonl.failed.jsonl; to ask just that again:\n"
        "  runner run flow.yaml --yes --only failed\n"
    )
    assert main(["run", "flow.yaml", "--only", "failed", "--yes"]) == 0
    assert capsys.readouterr().err.endswith("  runner run flow.yaml --yes --only failed\n")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("x.yaml --refresh --yes", "runner run x.yaml --yes --only failed"),
        ("x.yaml --refresh=tag -j 3 --only=failed", "runner run x.yaml -j 3 --only failed"),
        ("--only failed 'a b.yaml' -o o.json", "runner run 'a b.yaml' -o o.json --only failed"),
    ],
)
def test_the_command_is_that_of_the_run_without_what_contradicts_it(words: str, command: str) -> None:
    assert retry_command(shlex.split(words)) == command


@pytest.mark.parametrize("words", [["--refresh=tag"], ["--no-cache"], ["--offline"]])
def test_what_contradicts_it_is_refused(labels: Any, capsys: Any, words: list[str]) -> None:
    assert main(["run", "flow.yaml", "--only", "failed", *words]) == 2
    option = words[0].partition("=")[0]
    assert capsys.readouterr().err == (
        f"usage: --only failed and {option} exclude each other\n  fix:      leave one out\n"
    )
