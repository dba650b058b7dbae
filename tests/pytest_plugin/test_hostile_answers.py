"""Two hundred answers that would like to command whatever shows them: they do nothing in any output."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from markdown_it import MarkdownIt

from runner.cli.main import main

ROOT = Path(__file__).parents[2]
MANY = 200

LEADS = ("", "  ", "\t", "fine\n", "fine\r\n", "fine\r", "\x0b", "\u2028", "\ufeff", "x", "\x1b[2K\r", "\u200f")
TRICKS = (
    "::set-output name=token::x",
    "::error file=a.yaml,line=1::owned",
    "::add-mask::e",
    "::stop-commands::t0k3n",
    "::group::x\n::endgroup::",
    "::save-state name=a::b",
    "##[error]owned",
    "##[set-env name=PATH]/tmp",
    "##[command]rm",
    "###[group]x",
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]52;c;b3duZWQ=\x07",
    "\x1b]52;c;b3duZWQ=",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31mred",
    "\x9d52;c;b3duZWQ=\x9c",
    "\x90q#0\x9c",
    "\x1bP+q544e\x1b\\",
    "\x1b[2J\x1b[H",
    "\x1b[6n",
    "\x08\x08\x08passed",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</code></pre><iframe src=//evil.example>",
    "]]><testcase name='forged'/>",
    "&#27;[31m &lt;b&gt; &amp;",
    "```\n# forged\n```",
    "~~~~\n## forged",
    "````text\n<b>out</b>",
    "![x](https://evil.example/p.png)",
    "[click](javascript:alert(1))",
    "@everyone see https://evil.example #1",
    "| a | b |\n|---|---|\n| forged | row |",
    '=HYPERLINK("https://evil.example")',
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "\u200fmark",
    "\x00nul",
    "\x7fdel",
    "%0A::error::owned",
    "a%25b%0Dc",
    "__import__('os').system('x')",
    "{{ 7 * 7 }} {% raw %}",
    "${{ github.token }}",
    "$(touch owned) `touch owned`",
)


def payloads() -> Iterator[str]:
    """Every trick by itself, then behind every lead."""
    yield from TRICKS
    yield from (lead + trick for lead, trick in product(LEADS[1:], TRICKS))


HOSTILE = list(islice(payloads(), 0, None, 1))
HOSTILE = [*HOSTILE[: len(TRICKS)], *HOSTILE[len(TRICKS) :: 3]][:MANY]


@dataclass(frozen=True)
class Shown:
    """What each output says."""

    terminal: str
    log: str
    summary: str
    junit: Path
    by_pytest: str
    table: dict[str, str]
    stdout: str


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, counting_servers: Any) -> Shown:
    root = tmp_path_factory.mktemp("hostile")
    answers = {f"say {number} please": text for number, text in enumerate(HOSTILE)}

    def respond(_dialect: str, body: Any, _n: int) -> Any:
        text = answers[body["messages"][-1]["content"].split("\n")[0]]
        return counting_servers.Answer(text=text, model=f"m-{text}"[:60])

    server = counting_servers(respond, key="")
    (root / "runner.yaml").write_text(
        f'providers: {{box: {{dialect: openai-chat, base_url: "{server.chat_url}", price: free, identity: box}}}}\n'
    )
    (root / "rows.jsonl").write_text("".join(json.dumps({"id": f"n{n}", "n": n}) + "\n" for n in range(MANY)))
    (root / "flow.yaml").write_text(
        "format: 1\ninputs: {n: {type: integer, default: 0}}\n"
        'steps:\n  say: {model: box/small, prompt: "say {{ inputs.n }} please"}\n'
    )
    (root / "table.yaml").write_text(
        "format: 1\ndata: {rows: {file: rows.jsonl, key: id}}\n"
        'steps:\n  say: {model: box/small, for_each: data.rows, prompt: "say {{ item.n }} please"}\n'
        "outputs:\n  table: {rows: data.rows, file: out.csv, columns: {id: item.id, text: steps.say.text}}\n"
        "  all: steps.say.texts\n"
    )
    (root / "flow.suite.yaml").write_text(
        "format: 1\nworkflow: flow.yaml\n"
        "cases_from:\n  file: rows.jsonl\n  key: id\n  with: {n: {from: case.n}}\n"
        "  assert: [{of: steps.say.text, contains: never said}]\n"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RUNNER_", "GITHUB_"))}
    clean |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTEST_ADDOPTS": ""}
    ci = {**clean, "GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_STEP_SUMMARY": str(root / "summary.md")}

    def call(words: list[str], environ: dict[str, str]) -> tuple[str, str]:
        done = subprocess.run([sys.executable, "-m", *words], cwd=root, env=environ, capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr.decode()[-2000:]
        return done.stdout.decode(), done.stderr.decode()

    out, err = call(["runner", "test", "--color", "never"], clean)
    log_out, log_err = call(["runner", "test", "-o", "runner.xml"], ci)
    pytest_out, pytest_err = call(["pytest", "-p", "runner.pytest_plugin", "-rA", "-v", "--color=no"], ci)
    run_out, run_err = call(["runner", "run", "table.yaml"], ci)
    with (root / "out.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.reader(table))
    assert [len(row) for row in rows] == [2] * (MANY + 1), "no answer makes a row of its own"
    return Shown(
        terminal=out + err,
        log=log_out + log_err + run_err,
        summary=(root / "summary.md").read_text(encoding="utf-8"),
        junit=root / "runner.xml",
        by_pytest=pytest_out + pytest_err,
        table=dict(rows),
        stdout=run_out,
    )


@pytest.fixture(scope="module")
def tokens(shown: Shown) -> Any:
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse(shown.summary)


_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_OURS = re.compile(r"::error file=flow\.suite\.yaml,line=\d+,col=\d+,endColumn=\d+,title=n\d+::|::error ::and \d+ more")


def test_there_are_as_many_as_are_promised() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) == MANY


@pytest.mark.parametrize("number", range(MANY))
def test_an_answer_commands_nothing(shown: Shown, number: int) -> None:
    text = HOSTILE[number]
    for output in (shown.terminal, shown.log, shown.by_pytest, shown.summary):
        own = [line for line in output.split("\n") if re.search(rf"\bn{number}\b", line)]
        assert own, "the case is told"
        assert not [line for line in own if _INVISIBLE.search(line)]
    cell = shown.table[f"n{number}"]
    assert not cell.lstrip(" \t\r\n").startswith(("=", "+", "-", "@")), "a formula of a spreadsheet"
    assert not cell.startswith(("\t", "\r", "\n"))
    assert json.loads(shown.stdout)["all"][number] == text, "the value itself is untouched"


def test_no_line_of_a_log_is_a_command_but_our_own_annotations(shown: Shown) -> None:
    for log in (shown.log, shown.by_pytest, shown.summary):
        assert "##[" not in log
        commands = [line for line in log.splitlines() if line.lstrip().startswith("::")]
        assert [line for line in commands if not _OURS.match(line)] == []
    assert len([line for line in shown.log.splitlines() if line.startswith("::error")]) == 10


def test_nothing_that_cannot_be_seen_is_shown_anywhere(shown: Shown) -> None:
    for output in (shown.terminal, shown.log, shown.by_pytest, shown.summary, shown.junit.read_text("utf-8")):
        assert _INVISIBLE.findall(output) == []


def test_the_summary_is_text_in_fences_and_nothing_else(shown: Shown, tokens: Any) -> None:
    kinds = {token.type for token in tokens} | {inner.type for token in tokens for inner in token.children or ()}
    assert kinds <= {
        "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "text_special", "fence",
    }  # fmt: skip
    headings = [tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"]
    assert len(headings) == 1 + MANY
    assert not [heading for heading in headings if "forged" in heading]
    assert len(shown.summary.encode()) < 2**20


def test_junit_holds_the_cases_and_nothing_forged(shown: Shown) -> None:
    by_parser = [case.name for suite in JUnitXml.fromfile(str(shown.junit)) for case in suite]
    by_library = [case.get("name") for case in ET.parse(shown.junit).getroot().iter("testcase")]
    assert by_parser == by_library == [f"n{number}" for number in range(MANY)]


def test_names_of_cases_are_made_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("flow.yaml").write_text("format: 1\nsteps: {say: {model: local/smollm2-135m, prompt: x}}\n")
    tmp_path.joinpath("rows.jsonl").write_text(json.dumps({"id": "a\x1b[2J\n::error::b"}) + "\n")
    tmp_path.joinpath("flow.suite.yaml").write_text(
        "format: 1\nworkflow: flow.yaml\ncases_from: {file: rows.jsonl, key: id, "
        "assert: [{of: steps.say.text, length: {min: 1}}]}\n"
    )
    assert main(["test", "--list"]) == 0
    assert capsys.readouterr().out == "flow.suite.yaml::a\\x1b[2J\\n::error::b\n"
