from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import runner.config
from runner.app.cache_proving import Doubt
from runner.app.listing import model_rows
from runner.core.answer import StoredAnswer
from runner.core.outcome import FailureKind, Source
from runner.core.span import Span
from runner.core.workflow import Settings

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def editor_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("runner.config.editor_schema")
    module.schema_of = lambda kind: {"title": kind}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(runner.config, "editor_schema", module, raising=False)


def test_schema_prints_the_schema_indented(cli: Cli) -> None:
    said = cli("schema", "workflow")
    assert (said.code, said.out, said.err) == (0, '{\n  "title": "workflow"\n}\n', "")
    assert cli("schema", "settings", "--json").document == {"title": "settings"}


def test_the_schema_of_events_is_printed_and_not_installed(cli: Cli) -> None:
    assert cli("schema", "events").document["title"] == "An event of a run"
    said = cli("schema", "events", "--install")
    assert (said.code, said.err) == (
        2,
        (
            "usage: the schema of events is for readers of --jsonl, not for editors\n"
            "  fix:      runner schema events > events.schema.json\n"
        ),
    )


def test_schemas_are_installed_where_editors_look(cli: Cli, app: Any, tmp_path: Path) -> None:
    assert cli("schema", "--install").out == (
        "written  .runner/workflow.schema.json   .runner/suite.schema.json   .runner/settings.schema.json\n"
    )
    assert json.loads(tmp_path.joinpath(".runner/suite.schema.json").read_text("utf-8")) == {"title": "suite"}
    document = cli("schema", "suite", "--install", "--json").document
    assert document == {"format": 1, "root": ".", "written": [".runner/suite.schema.json"]}


def test_a_schema_that_cannot_be_written_is_exit_2(cli: Cli, app: Any, tmp_path: Path) -> None:
    (tmp_path / ".runner").write_text("", encoding="utf-8")
    said = cli("schema", "--install")
    assert said.code == 2
    assert said.err == "unwritable-file: .runner cannot be written: file exists\n"


def test_schema_without_a_kind_is_exit_2(cli: Cli) -> None:
    said = cli("schema")
    assert (said.code, said.err) == (2, "usage: 'runner schema' needs KIND\n  fix:      runner schema --help\n")


def test_init_writes_a_first_project(cli: Cli, tmp_path: Path) -> None:
    said = cli("init", "demo")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "created  hello.yaml   schemas/   .runner/workflow.schema.json   .runner/suite.schema.json   "
        ".runner/settings.schema.json   .gitignore\n"
        "next     cd demo && runner run hello.yaml\n"
    )
    demo = tmp_path / "demo"
    assert (
        demo.joinpath("hello.yaml")
        .read_text(encoding="utf-8")
        .startswith("# yaml-language-server: $schema=./.runner/workflow.schema.json\nformat: 1\n")
    )
    assert json.loads(demo.joinpath(".runner/workflow.schema.json").read_text(encoding="utf-8"))["title"] == "workflow"
    assert demo.joinpath(".gitignore").read_text(encoding="utf-8") == ".runner/\ncache/local/\n"
    assert demo.joinpath("schemas").is_dir()


def test_init_never_overwrites(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text("mine", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("*.pyc\n/.runner/", encoding="utf-8")
    said = cli("init")
    assert said.out == (
        "created  schemas/   .runner/workflow.schema.json   .runner/suite.schema.json   .runner/settings.schema.json"
        "   .gitignore\nkept     hello.yaml\nnext     runner run hello.yaml\n"
    )
    assert (tmp_path / "hello.yaml").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "*.pyc\n/.runner/\ncache/local/\n"
    again = cli("init", "--json").document
    assert (again["created"], len(again["kept"])) == ([], 6)
    assert cli("init").out.startswith("kept ")


def test_init_where_a_file_is_in_the_way_is_exit_2(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("", encoding="utf-8")
    said = cli("init", "demo")
    assert (said.code, said.err) == (2, "unwritable-folder: 'demo' cannot be written: file exists\n")


MODELS: list[dict[str, Any]] = [
    {"name": "gemini/a", "thinking_levels": ["low", "high"], "default_thinking": "low", "accepts": ["text", "image"],
     "context_tokens": 1000000, "max_output_tokens": 65536, "price": {"input": 0.25, "output": 1.5, "date": "2026-11-01"},
     "key_env": "GEMINI_API_KEY", "has_key": True},
    {"name": "gemini/b", "price": None, "key_env": "OTHER_KEY", "has_key": False, "note": "slow", "retired": "2026-10-01",
     "replacement": "gemini/a", "has_ended": True},
    {"name": "gemini/c", "retired": "2026-10-01", "price": {"input": 1.0, "output": 2, "date": "2026-11-02",
     "long": {"over": 200000, "input": 2.0, "output": 3.5}}},
    {"name": "local/d", "price": {"input": 0, "output": 0}, "note": "for trying the tool"},
]  # fmt: skip


@dataclass(frozen=True)
class ModelRow:
    name: str
    note: str = ""


def test_models_are_listed_with_what_is_known(cli: Cli, app: Any) -> None:
    app.rows = MODELS
    said = cli("models")
    *table, gap, legend, keys = said.out.splitlines()
    assert [re.split(r" {3,}", line) for line in table] == [
        ["model", "thinking", "accepts", "context", "output", "in/out", "note"],
        ["gemini/a", "low* high", "text image", "1,000,000", "65,536", "$0.25/$1.5"],
        ["gemini/b", "-", "?", "?", "?", "ended 2026-10-01, then gemini/a; slow"],
        ["gemini/c", "-", "?", "?", "$1/$2", "until 2026-10-01; over 200,000 in: $2/$3.5"],
        ["local/d", "-", "?", "?", "free", "for trying the tool"],
    ]
    assert gap == ""
    assert legend == (
        "thinking: * is the level when none is set · in/out: US dollars per million tokens, "
        "as listed 2026-11-01 to 2026-11-02"
    )
    assert keys == "keys: GEMINI_API_KEY set, OTHER_KEY not set"
    assert cli("models", "--json").document == {"format": 1, "models": MODELS}
    app.rows = [ModelRow("a/b", "typed")]
    assert cli("models").out.splitlines()[-1].endswith("US dollars per million tokens")
    app.rows = [{"name": "a/b", "price": {"input": 1, "output": 1, "date": "2026-11-02"}}]
    assert cli("models").out.splitlines()[-1].endswith("as listed 2026-11-02")
    app.rows = [ModelRow("a/b", "typed")]
    assert cli("models", "--json").document["models"] == [{"name": "a/b", "note": "typed"}]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--provider", "gemini"], ["gemini/a", "gemini/b", "gemini/c"]),
        (["--accepts", "image"], ["gemini/a"]),
        (["--accepts", "image", "--accepts", "video"], []),
        (["--thinking", "high"], ["gemini/a"]),
        (["--thinking", "none"], []),
        (["--provider", "local", "--thinking", "high"], []),
    ],
)
def test_models_are_chosen_by_what_they_can(cli: Cli, app: Any, options: list[str], names: list[str]) -> None:
    app.rows = MODELS
    said = cli("models", "--json", *options)
    if names:
        assert [row["name"] for row in said.document["models"]] == names
    else:
        assert (said.code, said.err) == (5, "no-models: no known model is like that\n  fix:      runner models\n")


def test_models_pull_says_where_the_weights_are(cli: Cli, app: Any) -> None:
    said = cli("models", "pull", "local/x")
    assert (said.code, said.out, said.err) == (0, "weights/model.gguf\n", "fetching local/x\n")
    assert cli("models", "pull", "local/x", "--json").document["path"] == "weights/model.gguf"
    said = cli("models", "pull")
    assert (said.code, said.err) == (
        2,
        "usage: 'runner models pull' needs NAME\n  fix:      runner models pull local/smollm2-135m\n",
    )


def answer(**values: Any) -> StoredAnswer:
    return StoredAnswer(
        **({"key": "ab" * 32, "dialect": "gemini", "provider": "gemini", "endpoint": "/m", "body": b"{}",
            "payload": b"x" * 1500, "source": Source.CACHED} | values)
    )  # fmt: skip


def test_cache_stats(cli: Cli, app: Any) -> None:
    app.stats = {"local": {"entries": 1200, "bytes": 1500}, "bytes": 7, "folder": "cache/local"}
    assert cli("cache", "stats").out == (
        "local entries   1,200\nlocal size      1.5 kB\nsize            7 B\nfolder          cache/local\n"
    )
    assert cli("cache", "stats", "--json").document["local"] == {"entries": 1200, "bytes": 1500}
    app.stats = {}
    assert cli("cache", "stats").out == "cache   empty\n"


def test_cache_ls(cli: Cli, app: Any) -> None:
    app.entries = [
        answer(received_at=1_790_000_000.0, failure=FailureKind.CUT),
        answer(source=Source.RECORDED, ingredients={"model": "gemini/gemini-3.1-flash-lite"}),
    ]
    said = cli("cache", "ls")
    assert said.out.splitlines() == [
        "abababababab   cached     2026-09-21 14:13     1.5 kB   gemini   /m   cut",
        "abababababab   recorded   -                    1.5 kB   gemini/gemini-3.1-flash-lite   /m",
    ]
    assert said.err == "2 answers\n"
    entries = cli("cache", "ls", "--json").document["entries"]
    assert (entries[0]["failure"], entries[1]["failure"], entries[0]["bytes"]) == ("cut", None, 1500)
    assert [entry["model"] for entry in entries] == [None, "gemini/gemini-3.1-flash-lite"]
    app.entries = []
    assert cli("cache", "ls").err == "0 answers\n"


def test_cache_verify(cli: Cli, app: Any) -> None:
    said = cli("cache", "verify")
    assert (said.code, said.out, said.err) == (0, "", "no damaged entry\n")
    app.damaged = [Doubt("ab" * 32, "damaged", "the checksum does not match")]
    said = cli("cache", "verify")
    assert said.code == 1
    assert said.out == f"{'ab' * 32}: the checksum does not match\n"
    assert said.err == "1 damaged entry · a damaged entry counts as a miss\n"
    document = cli("cache", "verify", "--json").document
    assert (document["exit_code"], document["damaged"][0]["reason"]) == (1, "the checksum does not match")
    assert (document["secret"], document["unfit"], document["unproved"]) == ([], [], [])
    app.damaged = [Doubt("ab" * 32, "secret", "it holds what looks like a key"), Doubt("cd" * 32, "unfit", "no")]
    assert cli("cache", "verify").err == "1 entry with a key · 1 answer that would be asked again\n"
    app.damaged, app.unproved = [], ["flow.yaml: input 'topic' has no value"]
    said = cli("cache", "verify", "-v")
    assert (said.code, said.err) == (
        0,
        (
            "not looked into: flow.yaml: input 'topic' has no value\n"
            "no damaged entry · 1 workflow not looked into (-v says why)\n"
        ),
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["stats", "--dry-run"], "'runner cache stats' has no option '--dry-run'"),
        (["import", "x", "--older-than", "3d"], "'runner cache import' has no option '--older-than'"),
        (["export"], "'runner cache export' needs FILE"),
        (["import", "a", "b"], "'runner cache import' does not take a further argument 'b'"),
        (["ls", "a"], "'runner cache ls' does not take a further argument 'a'"),
        (["gc", "--older-than", "soon"], "option --older-than: 'soon' is no age, such as 12h, 30d or 8w"),
    ],
)
def test_cache_takes_what_its_action_takes(cli: Cli, app: Any, words: list[str], text: str) -> None:
    said = cli("cache", *words)
    assert (said.code, said.out) == (2, "")
    assert text in said.err


EXCHANGE = {"step": "tag", "item": "rev-1", "sample": 1, "repair": 1, "key": "k" * 64, "source": "fresh",
            "reason": "new", "failure": "cut", "request": {"contents": ["\x1b[31m\u0085"]},
            "answer": "red\n1 call, 0 cached"}  # fmt: skip


def test_show_without_a_step_is_the_run(cli: Cli, app: Any) -> None:
    app.attempts = [EXCHANGE, {"step": "greet", "item": ""}]
    said = cli("show")
    assert said.code == 0
    assert app.asked == (None, None, None)
    assert said.out.splitlines() == [
        "hello   done",
        "greet        local/smollm2-135m   21 in, 9 out   0.4 s   $0.00",
        "1 call, 0 cached, $0.00, 0.5 s    run r1",
        "",
        "tag[rev-1]   fresh   sample 1   repair 1   why new   cut   kkkkkkkkkkkk",
        "greet",
        "",
        "one exchange in full: runner show r1 'tag[rev-1]'",
    ]
    app.attempts = []
    assert cli("show", "r1").out.endswith("run r1\n")


def test_show_a_step_is_its_exchanges_and_foreign_lines_are_indented(cli: Cli, app: Any) -> None:
    app.attempts = [EXCHANGE, {"step": "greet", "item": "", "source": "cached", "key": "x"}]
    said = cli("show", "r3", "tag[rev-1]")
    assert app.asked == ("r3", "tag", "rev-1")
    assert said.out == (
        "tag[rev-1]   fresh   sample 1   repair 1   why new   cut\n"
        f"  key       {'k' * 64}\n"
        "  request\n"
        "    {\n"
        '      "contents": [\n'
        '        "\\u001b[31m\\x85"\n'
        "      ]\n"
        "    }\n"
        "  answer\n"
        "    red\n"
        "    1 call, 0 cached\n"
        "\n"
        "greet   cached\n"
        "  key       x\n"
        "  request   (not stored any more)\n"
        "  answer    (not stored any more)\n"
    )


def test_show_only_the_request_or_the_answer(cli: Cli, app: Any) -> None:
    app.attempts = [EXCHANGE, EXCHANGE]
    assert cli("show", "tag", "--answer").out == '"red\\n1 call, 0 cached"\n' * 2
    assert app.asked == (None, "tag", None)
    assert json.loads(cli("show", "r3", "--request", "tag").out.splitlines()[0]) == EXCHANGE["request"]
    assert cli("show", "--json").document["attempts"] == [EXCHANGE, EXCHANGE]


def test_show_of_nothing_is_exit_5(cli: Cli, app: Any) -> None:
    for words in (["r1", "tag"], ["--answer"]):
        said = cli("show", *words)
        assert (said.code, said.err) == (5, "no-exchange: run r1 has no such exchange\n")
    said = cli("show", "--list")
    assert (said.code, said.err) == (5, "no-run: there is no run yet\n  fix:      runner run FLOW\n")
    assert cli("show", "--list", "--json").document == {"format": 1, "runs": []}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["r1", "a", "b"], "'runner show' takes a run and a step, not also 'b'"),
        (["a", "b"], "'a' is no run id"),
        (["r1", "a]"], "'a]' is neither a run nor a step"),
        (["--request", "--answer"], "--request and --answer exclude each other"),
    ],
)
def test_show_explains_wrong_names(cli: Cli, app: Any, words: list[str], message: str) -> None:
    said = cli("show", *words)
    assert (said.code, said.err.splitlines()[0]) == (2, f"usage: {message}")


def test_show_lists_the_runs(cli: Cli, app: Any) -> None:
    app.runs = [
        {"run": "r2", "status": "unfinished"},
        {"run": "r1", "workflow": "hello", "status": "done", "calls": 2, "cached": 1, "cost_usd": None, "seconds": 1.0},
    ]
    assert cli("show", "--list").out.splitlines() == [
        "r2   ?       unfinished",
        "r1   hello   done         2 calls   1 stored   ?   1.0 s",
    ]
    assert cli("show", "--list", "--json").document["runs"] == app.runs


def test_show_a_run_that_was_killed(cli: Cli, app: Any) -> None:
    app.attempts, app.is_unfinished = [{"step": "greet", "item": "", "source": "fresh", "key": "abc"}], True
    assert cli("show").out.splitlines()[:4] == [
        "run r1   unfinished",
        "it has no closing lines: it is still under way, or was cut short; then the same command goes on from there",
        "",
        "greet   fresh   abc",
    ]


LEFT_OUT = {"step": "tag", "item": "rev-1", "status": "failed", "reason": "bad-row: row 1 is bad: not\nJSON"}
NOT_RUN = {"step": "sum", "item": "", "status": "blocked", "reason": "step 'tag' failed"}


def test_show_says_why_items_are_not_good(cli: Cli, app: Any) -> None:
    app.outcomes = [NOT_RUN, LEFT_OUT]
    assert cli("show").out.splitlines()[3:] == [
        "",
        "tag[rev-1]   failed    bad-row: row 1 is bad: not\\nJSON",
        "sum          not run   step 'tag' failed",
    ]
    assert cli("show", "--json").document["outcomes"] == [NOT_RUN, LEFT_OUT]


def test_show_an_item_without_an_exchange_is_its_reason(cli: Cli, app: Any) -> None:
    app.outcomes = [NOT_RUN]
    assert cli("show", "sum").out == "sum   not run   step 'tag' failed\n"
    app.attempts = [{"step": "sum", "item": "", "source": "cached", "key": "x"}]
    assert cli("show", "sum").out.splitlines()[:3] == ["sum   not run   step 'tag' failed", "", "sum   cached"]


def test_show_tells_where_the_rest_of_many_is(cli: Cli, app: Any) -> None:
    app.outcomes = [{**LEFT_OUT, "item": f"rev-{number:02}"} for number in range(23)]
    lines = cli("show").out.splitlines()
    assert lines[-2].startswith("tag[rev-19]   failed")
    assert lines[-1] == "and 3 more: runner show r1 --json"
    assert cli("show", "r1", "tag").out.splitlines()[-1] == "and 3 more: runner show r1 --json"


def test_models_say_what_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.app.project.today", lambda: "9999-12-31")
    rows = model_rows({}, Settings(span=Span("runner.yaml", 1, 1)))
    assert {row["has_ended"] for row in rows if row["retired"]} == {True}
    assert not any(row["has_ended"] for row in rows if not row["retired"])
