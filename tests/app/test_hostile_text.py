"""Foreign text and foreign keys: shown harmless, written where it may, and secrets are nowhere."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import RunnerError

CANARY = "canary-0d1f6c1e5a-never-shown"

SAVE = """
format: 1
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: box/small
    for_each: data.rows
    prompt: "tag {{ item.id }} x"
    save: "NAME"
outputs: {count: steps.tag.texts | length}
"""


def command_line(project: Any, *words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-B", "-m", "runner", "run", "flow.yaml", "--no-progress", *words]
    return subprocess.run(command, cwd=project.root, capture_output=True, timeout=60, check=False, **more)


@pytest.fixture
def saving(project: Any, make_rows: Callable[[Any], str]) -> Callable[..., Any]:
    """A project whose fan-out saves the answer of each row under a name."""

    def make(name: str, ids: list[str] | None = None) -> Any:
        project.workflow(SAVE.replace("NAME", name))
        project.write("rows.jsonl", make_rows([{"id": one} for one in ids or ["a", "b"]]))
        project.server.respond = lambda *_: project.Answer(text="the text")
        return project

    return make


# Text that would command


HOSTILE = "\x1b]0;owned\x07\x1b[2Jred \u202e evil\n::set-output name=x::y\n##[group]z\x9b31m"


def test_answers_never_drive_a_terminal_nor_a_ci_log(project: Any) -> None:
    project.workflow("format: 1\nsteps: {ask: {model: box/small, prompt: hello}}\n")
    project.server.respond = lambda *_: project.Answer(text=HOSTILE)
    ended = command_line(project, env={**os.environ, "GITHUB_ACTIONS": "true", "CI": "true"})
    assert ended.returncode == 0
    for stream in (ended.stdout, ended.stderr):
        text = stream.decode()
        assert not [char for char in text if not char.isprintable() and char != "\n"]
        assert not [line for line in text.splitlines() if line.lstrip().startswith("::set-output")]
        assert "##[group]" not in text
    assert json.loads(ended.stdout) == HOSTILE, "the value is the same"


def test_hostile_errors_and_violations_are_shown_harmless(project: Any) -> None:
    project.workflow("format: 1\nsteps: {ask: {model: box/small, prompt: hello, fields: {word: integer}}}\n")
    project.server.respond = lambda *_: project.Answer(text=json.dumps({"word": HOSTILE}))
    bad = command_line(project)
    assert bad.returncode == 1
    project.server.respond = lambda *_: project.Answer(text=HOSTILE, status=400)
    refused = command_line(project)
    assert refused.returncode == 3
    for ended in (bad, refused):
        text = ended.stderr.decode()
        assert not [char for char in text if not char.isprintable() and char != "\n"], text
        assert "owned" in text
        assert not [line for line in text.splitlines() if line.startswith(("::", "##"))]


def test_a_hostile_row_id_is_shown_harmless(project: Any, make_rows: Callable[[Any], str]) -> None:
    project.workflow(SAVE.replace('    save: "NAME"\n', "    fields: {word: string}\n").replace("texts", "outputs"))
    project.write("rows.jsonl", make_rows([{"id": HOSTILE}]))
    project.server.respond = lambda *_: project.Answer(text="{", finish="length")
    ended = command_line(project, env={**os.environ, "CI": "true", "GITHUB_ACTIONS": "true"})
    text = ended.stderr.decode()
    assert ended.returncode == 1
    assert not [char for char in text if not char.isprintable() and char != "\n"], text
    assert not [line for line in text.splitlines() if line.startswith("::") and "set-output" in line.split("::")[1]]


def test_a_csv_table_holds_no_formula(project: Any, make_rows: Callable[[Any], str]) -> None:
    formulas = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "\uff1d1+1", "plain", "-5", "1.5"]
    project.workflow(
        SAVE.replace('    save: "NAME"\n', "").replace(
            "outputs: {count: steps.tag.texts | length}",
            "outputs: {t: {rows: data.rows, file: out/t.csv, columns: {id: item.id, text: steps.tag.text}}}",
        )
    )
    project.write("rows.jsonl", make_rows([{"id": text} for text in formulas]))
    project.server.respond = lambda _d, body, _n: project.Answer(text=body["messages"][-1]["content"][4:-2])
    assert project.run().exit_code == 0
    cells = list(csv.reader((project.root / "out/t.csv").read_text(encoding="utf-8").splitlines()))
    for row in cells[1:]:
        for cell in row:
            is_number = cell.lstrip("-+").replace(".", "", 1).isdigit()
            assert is_number or not cell.lstrip().startswith(("=", "@", "+", "-", "\uff1d")), cell


def test_braces_in_a_row_stay_text_through_three_steps(project: Any, make_rows: Callable[[Any], str]) -> None:
    steps = "\n".join(
        f'  s{n}: {{model: box/small, for_each: data.rows, prompt: "{{{{ {source} }}}}"}}'
        for n, source in enumerate(["item.text", "steps.s0.text", "steps.s1.text"])
    )
    project.workflow(
        f"format: 1\ndata: {{rows: {{file: rows.jsonl}}}}\nsteps:\n{steps}\noutputs: {{all: steps.s2.texts}}\n"
    )
    hostile = "{{7*7}} {% for x in range(9) %}{{ inputs }}{% endfor %} {# gone #} ${7*7}"
    project.write("rows.jsonl", make_rows([{"text": hostile}]))
    project.server.respond = lambda _d, body, n: project.Answer(text=body["messages"][-1]["content"])
    result = project.run()
    assert result.outputs == {"all": [hostile]}
    assert [body["messages"][-1]["content"] for body in project.server.bodies] == [hostile] * 1
    # The three questions are the same question, so it was asked once.


# Files that are written


@pytest.mark.parametrize(
    ("name", "ids", "code"),
    [
        pytest.param("out/same.txt", None, "written-twice", id="one name for two items"),
        pytest.param("../{{ item.id }}.txt", None, "outside-root", id="above the root"),
        pytest.param("/tmp/{{ item.id }}.txt", None, "outside-root", id="an absolute path"),
        pytest.param("out/{{ item.id }}", ["..", "."], "outside-root", id="dots"),
        pytest.param("link/{{ item.id }}.txt", None, "outside-root", id="a link out of the root"),
        pytest.param("out/{{ item.id }}.txt", ["x" * 300, "y" * 300], "outside-root", id="too long a name"),
        pytest.param("{{ item.id }}", ["flow.yaml", "./flow.yaml"], "overwrites", id="the workflow"),
        pytest.param("{{ item.id }}", ["rows.jsonl", "runner.yaml"], "overwrites", id="the data and the settings"),
        pytest.param("{{ item.id }}", [".git/hooks/post-commit", "cache/local/cache.db"], "overwrites", id="the store"),
        pytest.param(
            "{{ item.id }}", [".github/workflows/x.yml", ".runner/runs/r1/journal.jsonl"], "overwrites", id="CI"
        ),
        pytest.param("{{ item.id }}", [".GIT/config", "Runner.yaml"], "overwrites", id="another case"),
        pytest.param("out/loop/{{ item.id }}", None, "outside-root", id="a circle of links"),
    ],
)
def test_a_text_is_saved_only_where_it_may(
    saving: Callable[..., Any], tmp_path: Path, name: str, ids: list[str] | None, code: str
) -> None:
    project = saving(name, ids)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (project.root / "link").symlink_to(outside)
    (project.root / "out").mkdir()
    (project.root / "out/loop").symlink_to("loop")
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file() and path.suffix != ".db"}
    result = project.run()
    assert result.exit_code == 1
    assert {problem.code for problem in result.problems} == {code}
    assert len(result.problems) == (1 if code == "written-twice" else 2)
    assert result.outputs == {"count": 2}, "what was answered is given all the same"
    assert list(outside.iterdir()) == []
    after = {path: path.read_bytes() for path in before}
    assert after == before
    journal = (project.root / ".runner/runs/r1/journal.jsonl").read_text(encoding="utf-8")
    assert journal.startswith('{"format":1,"event":"started"')


@pytest.mark.parametrize(
    "name", ["a b", "ü", "日本", "a'b\"c", "x;rm -rf", "con", "$HOME", "%PATH%", "-n", "a\\b", "🙂"]
)
def test_odd_names_are_saved_as_they_are(saving: Callable[..., Any], name: str) -> None:
    project = saving("out/{{ item.id }}.txt", [name])
    assert project.run().exit_code == 0
    assert [path.name for path in (project.root / "out").iterdir()] == [f"{name}.txt"]


def test_a_table_may_not_replace_the_data_that_it_is_made_of(project: Any) -> None:
    project.edit("file: out/table.jsonl", "file: rows.jsonl")
    with pytest.raises(RunnerError, match=r"output 'table' would write over 'rows.jsonl', which this project reads"):
        project.run()
    assert project.server.count == 0


def test_a_table_may_not_leave_the_root_through_a_link(project: Any, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-out"
    outside.mkdir()
    (project.root / "out").symlink_to(outside)
    with pytest.raises(RunnerError) as caught:
        project.run()
    assert (caught.value.exit_code, caught.value.problems[0].code) == (2, "outside-root")
    assert project.server.count == 0
    assert list(outside.iterdir()) == []


def test_a_table_may_not_replace_the_settings(project: Any) -> None:
    project.edit("file: out/table.jsonl", "file: cache/local/table.jsonl")
    with pytest.raises(RunnerError) as caught:
        project.run()
    assert (caught.value.exit_code, caught.value.problems[0].code) == (2, "overwrites")


@pytest.mark.parametrize(("name", "code"), [("../out.txt", "outside-root"), ("runner.yaml", "overwrites")])
def test_a_name_that_is_known_before_is_told_before_any_call(saving: Callable[..., Any], name: str, code: str) -> None:
    project = saving(name)
    with pytest.raises(RunnerError) as caught:
        project.run()
    assert (caught.value.exit_code, caught.value.problems[0].code) == (2, code)
    assert project.server.count == 0


def test_a_text_may_not_take_the_place_of_a_table(saving: Callable[..., Any]) -> None:
    project = saving("out/{{ item.id }}.jsonl", ["t", "u"])
    project.edit("outputs: {", "outputs: {t: {rows: data.rows, file: out/t.jsonl, columns: {id: item.id}}, ")
    result = project.run()
    assert (result.exit_code, [problem.code for problem in result.problems]) == (1, ["written-twice"])
    assert "'out/t.jsonl', which output 't' has written" in result.problems[0].message


# Keys


def keyed(project: Any, url: str, env: str = "BOX_KEY") -> None:
    project.write(
        "runner.yaml",
        f'providers:\n  box: {{dialect: openai-chat, base_url: "{url}", key_env: {env}, price: free, identity: box}}\n',
    )
    project.workflow("format: 1\nsteps: {ask: {model: box/small, prompt: hello}}\n")
    project.server.respond = lambda *_: project.Answer(text="hi")


def test_an_unset_key_is_told_before_any_call(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keyed(project, project.server.chat_url)
    monkeypatch.delenv("BOX_KEY", raising=False)
    ended = command_line(project)
    assert (ended.returncode, ended.stdout, project.server.count) == (2, b"", 0)
    assert "missing-key: provider 'box' needs a key in the environment variable BOX_KEY, which is not set" in (
        ended.stderr.decode()
    )
    assert "export BOX_KEY=YOUR_KEY" in ended.stderr.decode()


def test_the_key_of_a_later_step_is_missed_before_the_first_call(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATE_KEY", raising=False)
    url = project.server.chat_url
    project.write(
        "runner.yaml",
        f'providers:\n  box: {{dialect: openai-chat, base_url: "{url}", price: free}}\n'
        f'  late: {{dialect: openai-chat, base_url: "{url}", price: free, key_env: LATE_KEY}}\n',
    )
    project.workflow(
        "format: 1\nsteps:\n  one: {model: box/small, prompt: hello}\n"
        '  two: {model: box/small, prompt: "{{ steps.one.text }}"}\n'
        '  three: {model: late/small, prompt: "{{ steps.two.text }}"}\n'
    )
    with pytest.raises(RunnerError, match="provider 'late' needs a key"):
        project.run()
    assert project.server.count == 0


@pytest.mark.parametrize("bad", ["two words", "line\nbreak", "umläut-key", "tab\tkey"])
def test_a_key_that_cannot_be_one_is_told_before_any_call(
    project: Any, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    keyed(project, project.server.chat_url)
    monkeypatch.setenv("BOX_KEY", bad)
    with pytest.raises(RunnerError) as caught:
        project.run()
    assert (caught.value.exit_code, caught.value.problems[0].code) == (2, "bad-key")
    assert bad not in str(caught.value)
    assert project.server.count == 0


def test_an_untrusted_host_gets_no_key(project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keyed(project, "https://box.example/v1")
    monkeypatch.setenv("BOX_KEY", CANARY)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(RunnerError) as caught:
        project.run()
    problem = caught.value.problems[0]
    assert (caught.value.exit_code, problem.code) == (2, "untrusted-provider")
    assert "--trust box" in problem.fix
    assert CANARY not in problem.fix + problem.message


@pytest.mark.parametrize("way", ["file", "option"])
def test_a_trusted_host_is_asked(project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> None:
    """The host does not exist, and no test may look one up: that it is tried is what counts."""
    keyed(project, "https://box.example/v1")
    monkeypatch.setenv("BOX_KEY", CANARY)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    if way == "file":
        allow = {"allow": [{"variable": "BOX_KEY", "host": "box.example"}]}
        project.write("config/runner/trust.json", json.dumps(allow))
    with pytest.raises(AssertionError, match=r"a test tried to look up 'box.example'"):
        project.run(trust=["box"] if way == "option" else [])


def test_a_well_known_key_goes_nowhere_else_even_when_trusted(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keyed(project, project.server.chat_url, "OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with pytest.raises(RunnerError) as caught:
        project.run(trust=["box"])
    assert (caught.value.exit_code, caught.value.problems[0].code) == (2, "untrusted-provider")
    assert project.server.count == 0


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"text": "fine"}, id="good"),
        pytest.param({"text": f"your key is {CANARY}"}, id="repeats the key"),
        pytest.param({"text": f"Incorrect API key provided: {CANARY}", "status": 401}, id="401"),
        pytest.param({"text": f"no {CANARY}", "status": 400}, id="400"),
        pytest.param({"raw": f"<html>{CANARY}</html>".encode()}, id="a page"),
        pytest.param({"raw": f"not JSON {CANARY}".encode()}, id="no JSON"),
        pytest.param({"status": 302, "headers": {"location": f"https://x.example/?k={CANARY}"}}, id="a redirect"),
        pytest.param({"wire": f"HTTP/1.1 {CANARY}\r\n\r\n".encode()}, id="no HTTP"),
    ],
)
def test_a_key_is_nowhere_but_in_the_header(project: Any, answer: dict[str, Any]) -> None:
    keyed(project, project.server.chat_url)
    project.edit("prompt: hello", "retries: 1, prompt: hello")
    project.server.respond = lambda *_: project.Answer(**answer)
    environ = {**os.environ, "BOX_KEY": CANARY}
    ended = command_line(project, "-vv", "--record", env=environ)
    assert ended.returncode in (0, 3)
    assert project.server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    shown = ended.stdout + ended.stderr
    written = b"".join(path.read_bytes() for path in project.root.rglob("*") if path.is_file())
    assert CANARY.encode() not in shown
    assert CANARY.encode() not in written


def test_a_crash_report_holds_no_key(project: Any) -> None:
    keyed(project, project.server.chat_url)
    code = (
        "import sys, os; from runner.app import api\n"
        "def broken(*a, **k): raise KeyError(os.environ['BOX_KEY'])\n"
        "api.run = broken\n"
        "from runner.cli.main import main\n"
        "sys.exit(main(['run', 'flow.yaml']))\n"
    )
    (project.root / ".runner").mkdir()
    environ = {**os.environ, "BOX_KEY": CANARY}
    ended = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=project.root, env=environ, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 70
    reports = list((project.root / ".runner").glob("crash-*.txt"))
    assert len(reports) == 1
    assert "KeyError" in reports[0].read_text()
    assert CANARY not in reports[0].read_text() + (ended.stdout + ended.stderr).decode()
