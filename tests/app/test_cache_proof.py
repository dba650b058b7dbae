"""`runner cache verify` finds what is planted beside the answers, and misfits of workflows that nobody named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.cache_proving import Doubt
from runner.cli.main import main
from runner.core.canonical import digest

FLOW = """
format: 1
inputs: {topic: {type: string, default: tea}}
steps:
  ask: {model: box/small, prompt: "ask about {{ inputs.topic }}", fields: {word: string}}
"""
SUITE = """
format: 1
workflow: flow.yaml
cases:
  tea: {with: {topic: tea}, expect: recorded}
  ink: {with: {topic: ink}, assert: [{that: 'steps.ask.output.word == "fine"'}]}
"""
KEY = "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY"


@pytest.fixture
def recorded(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A project whose suite has recorded its answers."""
    project.workflow(FLOW)
    project.write("flow.suite.yaml", SUITE)
    project.server.respond = lambda *_: project.Answer(text='{"word": "fine"}')
    monkeypatch.chdir(project.root)
    assert main(["test", "--record", "-q"]) == 0
    return project


def found_in(root: Path) -> list[Doubt]:
    flows = [Path("flow.yaml"), Path("flow.suite.yaml")]
    return list(api.cache_verify(root, (), flows).doubts)


def only_file(root: Path, kind: str) -> Path:
    return min((root / "cache/recordings" / kind).iterdir())


def test_what_a_suite_recorded_gives_no_doubt(recorded: Any) -> None:
    assert found_in(recorded.root) == []
    assert main(["cache", "verify", "-q"]) == 0


@pytest.mark.parametrize("kind", ["places", "snapshots"])
def test_a_key_beside_the_answers_is_found(recorded: Any, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = only_file(recorded.root, kind)
    path.write_text(path.read_text(encoding="utf-8") + KEY + "\n", encoding="utf-8")
    shown = path.relative_to(recorded.root).as_posix()
    assert found_in(recorded.root) == [Doubt(shown, "secret", "it holds what looks like a key")]
    assert main(["cache", "verify"]) == 1
    assert KEY not in capsys.readouterr().out


def test_a_key_in_a_text_is_found(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a prompt with the phrase of the house"
    name = f"cache/recordings/texts/{digest(text)}.txt"
    recorded.write(name, text)
    assert found_in(recorded.root) == []
    monkeypatch.setenv("OPENAI_API_KEY", "phrase of the house")
    assert found_in(recorded.root) == [Doubt(name, "secret", "it holds the key of OPENAI_API_KEY")]


def test_a_text_that_is_not_what_its_name_says_is_damaged(recorded: Any) -> None:
    path = only_file(recorded.root, "texts")
    path.write_text("another", encoding="utf-8")
    shown = path.relative_to(recorded.root).as_posix()
    assert found_in(recorded.root) == [Doubt(shown, "damaged", "its name is not the digest of what it holds")]


def test_a_file_that_cannot_be_read_is_told(recorded: Any) -> None:
    recorded.write("cache/recordings/places/odd/inner", "x")
    doubt = Doubt("cache/recordings/places/odd", "damaged", "it cannot be read: Is a directory")
    assert found_in(recorded.root) == [doubt]


def test_answers_of_workflows_and_of_cases_that_fit_no_more_are_found(recorded: Any) -> None:
    recorded.workflow(FLOW.replace("{word: string}", "{word: string}, ensure: [output.word != 'fine']"))
    told = [(doubt.kind, doubt.reason) for doubt in found_in(recorded.root)]
    misfit = "does not fit today's schema and ensure"
    cases = [("unfit", f"ask in case '{name}' of flow.suite.yaml {misfit}") for name in ("tea", "ink")]
    assert told == [("unfit", f"ask in flow.yaml {misfit}"), *cases]


def test_what_cannot_be_walked_is_told_and_no_doubt(recorded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    recorded.workflow(FLOW.replace(", default: tea", ""))
    proof = api.cache_verify(recorded.root, (), [Path("flow.yaml"), Path("flow.suite.yaml")])
    assert proof.doubts == ()
    assert proof.unproved == ("flow.yaml: input 'topic' has no value and no default",)
    assert main(["cache", "verify"]) == 0
    assert capsys.readouterr().err == "no damaged entry · 1 workflow not looked into (-v says why)\n"


def test_a_case_that_cannot_be_walked_leaves_the_others(recorded: Any) -> None:
    recorded.write("flow.suite.yaml", SUITE + "cases_from: {file: rows.jsonl, key: id, expect: recorded}\n")
    recorded.write("rows.jsonl", '{"name": "no key"}\n')
    assert found_in(recorded.root) == []


def test_the_examples_give_no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    suites = sorted(path.relative_to(root) for path in (root / "workflows").rglob("*.suite.yaml"))
    proof = api.cache_verify(root, (), suites)
    assert len(suites) > 10
    assert (proof.doubts, proof.unproved) == ((), ())
