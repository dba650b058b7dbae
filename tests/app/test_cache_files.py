"""The cache as a whole: carried elsewhere, cleaned up, and proved."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.cache_files import collect_garbage
from runner.cli.main import main
from runner.core.errors import FileError, RunnerError, StorageError
from runner.store.local import LocalStore

FLOW = """
format: 1
inputs: {topic: {type: string, default: tea}}
steps:
  ask:
    model: box/small
    prompt: "ask about {{ inputs.topic }}"
    fields: {word: string}
"""


@pytest.fixture
def asked(project: Any) -> Any:
    """A project that has asked about tea and about ink."""
    project.workflow(FLOW)
    project.server.respond = lambda *_: project.Answer(text='{"word": "fine"}')
    assert project.run().exit_code == project.run(inputs={"topic": "ink"}).exit_code == 0
    return project


def stored(root: Path) -> dict[str, bytes]:
    store = LocalStore(root / "cache" / "local")
    try:
        return dict(store.scan())
    finally:
        store.close()


def change(root: Path, statement: str) -> None:
    with closing(sqlite3.connect(root / "cache" / "local" / "cache.db", isolation_level=None)) as database:
        database.execute(statement)


def damage_one(root: Path) -> str:
    key = min(stored(root))
    change(root, f"UPDATE Cache SET value = x'00' WHERE key = '{key}'")
    return key


def message_of(act: Callable[[], object], kind: type[RunnerError]) -> str:
    with pytest.raises(kind) as caught:
        act()
    return caught.value.problems[0].message


# Export and import


def test_what_one_project_asked_another_one_has_after_an_import(
    asked: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, other = tmp_path / "cache.tar", tmp_path / "other"
    assert main(["-C", str(asked.root), "cache", "export", str(archive)]) == 0
    assert "2 answers written to " in capsys.readouterr().err
    other.mkdir()
    for name in ("flow.yaml", "runner.yaml"):
        (other / name).write_bytes((asked.root / name).read_bytes())
    assert main(["-C", str(other), "cache", "import", str(archive), "--dry-run"]) == 0
    assert stored(other) == {}
    assert main(["-C", str(other), "cache", "import", str(archive), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"format": 1, "answers": 2, "passed_over": 0, "bytes": archive.stat().st_size}
    assert stored(other) == stored(asked.root)
    asked.server.forget()
    assert main(["-C", str(other), "run", "flow.yaml", "--offline", "-q"]) == 0
    assert asked.server.count == 0


def test_the_same_store_gives_the_same_archive_whatever_the_order_of_its_making(asked: Any, tmp_path: Path) -> None:
    one, other, root = tmp_path / "one.tar", tmp_path / "other.tar", tmp_path / "twin"
    api.cache_export(asked.root, one)
    twin = LocalStore(root / "cache" / "local")
    for key, data in sorted(stored(asked.root).items(), reverse=True):
        twin.put_many({key: data})
    twin.close()
    api.cache_export(root, other)
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_mode & 0o777 == 0o600


def test_an_export_for_a_workflow_has_what_that_workflow_uses(asked: Any, tmp_path: Path) -> None:
    other = asked.write("other.yaml", FLOW.replace("ask about", "tell of"))
    assert api.cache_export(asked.root, tmp_path / "none.tar", [other]).answers == 0
    assert api.cache_export(asked.root, tmp_path / "all.tar", [asked.root / "flow.yaml"]).answers == 2


def test_damaged_answers_are_left_out_of_an_export_and_mended_by_an_import(asked: Any, tmp_path: Path) -> None:
    whole = stored(asked.root)
    api.cache_export(asked.root, tmp_path / "whole.tar")
    damage_one(asked.root)
    carried = api.cache_export(asked.root, tmp_path / "rest.tar")
    assert (carried.answers, carried.passed_over) == (1, 1)
    carried = api.cache_import(asked.root, tmp_path / "whole.tar")
    assert (carried.answers, carried.passed_over) == (1, 1)
    assert stored(asked.root) == whole


def test_of_a_wrong_archive_nothing_is_taken_over(asked: Any, tmp_path: Path) -> None:
    archive, root = tmp_path / "cache.tar", tmp_path / "new"
    api.cache_export(asked.root, archive)
    archive.write_bytes(archive.read_bytes()[:-1600] + bytes(1600))
    assert "is not imported" in message_of(lambda: api.cache_import(root, archive), FileError)
    assert not (root / "cache").exists()


def test_a_file_that_cannot_be_read_or_written_is_said_in_words(asked: Any, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "cache.tar"
    said = message_of(lambda: api.cache_import(asked.root, missing), FileError)
    assert said == f"{missing} cannot be read: No such file or directory"
    said = message_of(lambda: api.cache_export(asked.root, missing), StorageError)
    assert said == f"{missing} cannot be written: No such file or directory"


@pytest.mark.parametrize("words", [["import", "cache.tar"], ["gc"]])
def test_while_a_run_has_the_cache_nothing_is_imported_or_taken_out(
    asked: Any, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(asked.root)
    api.cache_export(asked.root, asked.root / "cache.tar")
    running = LocalStore(asked.root / "cache" / "local")
    try:
        assert main(["cache", *words]) == 3
        assert "cache-busy" in capsys.readouterr().err
    finally:
        running.close()
    assert main(["cache", *words]) == 0


# gc


def test_gc_without_a_choice_takes_out_what_is_damaged(asked: Any) -> None:
    key = damage_one(asked.root)
    assert (found := api.cache_gc(asked.root)).removed == 1
    assert (found.kept, key in stored(asked.root)) == (1, False)


def test_gc_takes_out_what_is_old(asked: Any) -> None:
    now = max(json.loads(line)["meta"]["at"] for line in _lines(asked.root))
    assert collect_garbage(asked.root, now=now + 50, older_than_s=100).removed == 0
    found = collect_garbage(asked.root, now=now + 150, older_than_s=100, is_dry=True)
    assert (found.removed, len(stored(asked.root))) == (2, 2)
    found = collect_garbage(asked.root, now=now + 150, older_than_s=100)
    assert (found.removed, stored(asked.root)) == (2, {})
    assert found.removed_bytes > 0


def _lines(root: Path) -> list[bytes]:
    return [
        line
        for run in (root / ".runner" / "runs").iterdir()
        for line in (run / "journal.jsonl").read_bytes().splitlines()
    ]


def test_gc_keeps_what_a_workflow_uses_by_its_records_and_by_its_own_inputs(asked: Any) -> None:
    flow = asked.root / "flow.yaml"
    # Only the record knows of the input that was typed, only the plan of what no record is left of.
    assert api.cache_gc(asked.root, workflows=[flow]).removed == 0
    for run in (asked.root / ".runner" / "runs").iterdir():
        (run / "journal.jsonl").unlink()
    found = api.cache_gc(asked.root, workflows=[flow])
    assert (found.removed, found.kept, found.notes) == (1, 1, ())
    assert asked.run().summary.calls == 0


def test_gc_takes_out_what_other_workflows_asked(asked: Any) -> None:
    other = asked.write("other.yaml", FLOW.replace("ask about", "tell of"))
    assert api.cache_gc(asked.root, workflows=[other]).removed == 2


def test_gc_says_why_the_use_of_a_workflow_is_not_fully_known(asked: Any) -> None:
    flow = asked.workflow(FLOW.replace(", default: tea", ""))
    found = api.cache_gc(asked.root, workflows=[flow])
    assert found.removed == 0
    assert found.notes == (
        f"of {flow} only what its recorded runs used is known: input 'topic' has no value and no default",
    )


def test_gc_keeps_what_a_suite_used(asked: Any) -> None:
    suite = asked.write(
        "flow.suite.yaml", "format: 1\nworkflow: flow.yaml\ncases: {tea: {expect: {outputs: {word: fine}}}}\n"
    )
    assert api.cache_gc(asked.root, workflows=[suite], is_dry=True).removed == 2


def test_gc_refuses_a_workflow_that_is_not_there(asked: Any) -> None:
    missing = asked.root / "missing.yaml"
    assert message_of(lambda: api.cache_gc(asked.root, workflows=[missing]), FileError) == f"there is no file {missing}"


def test_gc_makes_no_cache_where_there_is_none(tmp_path: Path) -> None:
    assert api.cache_gc(tmp_path).removed == 0
    assert not (tmp_path / "cache").exists()


def test_gc_says_what_it_did(asked: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(asked.root)
    asked.workflow(FLOW.replace(", default: tea", ""))
    assert main(["cache", "gc", "--older-than", "30d", "--dry-run"]) == 0
    assert capsys.readouterr().err == "0 answers would be removed (0 B), 2 kept\n"
    assert main(["cache", "gc", "--keep-used-by", "flow.yaml", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "format": 1,
        "removed": 0,
        "kept": 2,
        "removed_bytes": 0,
        "notes": ["of flow.yaml only what its recorded runs used is known: input 'topic' has no value and no default"],
        "dry_run": False,
    }
    assert err.endswith("0 answers removed (0 B), 2 kept\n")


# verify


def kinds(root: Path, *flows: Path) -> list[tuple[str, str]]:
    return [(doubt.kind, doubt.reason) for doubt in api.cache_verify(root, flows).doubts]


def test_a_whole_cache_gives_no_doubt(asked: Any) -> None:
    assert kinds(asked.root, asked.root / "flow.yaml") == []


def test_a_key_of_the_environment_in_an_answer_is_found_and_not_shown(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a plain phrase")
    asked.run(inputs={"topic": "a plain phrase"})
    assert kinds(asked.root) == [("secret", "it holds the key of OPENAI_API_KEY (cached)")]
    monkeypatch.setenv("OPENAI_API_KEY", "short")
    asked.run(inputs={"topic": "short"})
    assert kinds(asked.root) == []


def test_a_variable_that_the_project_names_is_looked_for_too(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (asked.root / "runner.yaml").read_text()
    asked.write("runner.yaml", settings.replace("dialect:", "key_env: SHOP_KEY, dialect:", 1))
    monkeypatch.setenv("SHOP_KEY", "open-sesame-please")
    asked.run(inputs={"topic": "open-sesame-please"})
    assert kinds(asked.root) == [("secret", "it holds the key of SHOP_KEY (cached)")]


@pytest.mark.parametrize(
    ("text", "is_key"),
    [
        ("sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY", True),
        ("AIza" + "SyD3kX9mQ2vB7nC5zL1wE8rT6yU4iO0pAsD"[:35], True),
        ("-----BEGIN RSA PRIVATE KEY-----", True),
        ("ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xYzZ24", True),
        ("sk-" + "x" * 40, False),
        ("risk-averse-investors-in-the-northern-hemisphere-do-this", False),
        ("ask-0123456789abcdef0123456789abcdef", False),
    ],
)
def test_what_looks_like_a_key_is_found_and_what_does_not_is_not(asked: Any, text: str, is_key: bool) -> None:
    asked.run(inputs={"topic": text})
    found = kinds(asked.root)
    assert found == ([("secret", "it holds what looks like a key (cached)")] if is_key else [])


def test_answers_that_do_not_fit_todays_schema_are_named_with_their_workflow(asked: Any) -> None:
    flow = asked.workflow(FLOW.replace("{word: string}", "{word: string}\n    ensure: [output.word == 'good']"))
    assert kinds(asked.root, flow) == [("unfit", f"ask in {flow} does not fit today's schema and ensure")]
    assert kinds(asked.root) == []


def test_damage_is_told_by_verify(asked: Any) -> None:
    damage_one(asked.root)
    assert [kind for kind, _ in kinds(asked.root)] == ["damaged"]


# Without a store


@pytest.mark.parametrize("words", [["export", "a.tar"], ["import", "a.tar", "--dry-run"], ["gc"], ["ls"], ["verify"]])
def test_looking_makes_no_store_where_there_is_none(
    tmp_path: Path, asked: Any, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "runner.yaml").touch()
    api.cache_export(asked.root, empty / "a.tar")
    monkeypatch.chdir(empty)
    assert main(["cache", *words]) == 0
    assert sorted(path.name for path in empty.iterdir()) == ["a.tar", "runner.yaml"]


def test_an_import_into_nothing_says_what_it_would_take(tmp_path: Path, asked: Any) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    api.cache_export(asked.root, tmp_path / "a.tar")
    assert api.cache_import(empty, tmp_path / "a.tar", is_dry=True).answers == 2


def test_a_pipe_is_no_archive_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    text = f"{tmp_path}/pipe cannot be read: it is no regular file"
    assert message_of(lambda: api.cache_import(tmp_path, tmp_path / "pipe"), FileError) == text
    text = f"{tmp_path} cannot be read: it is a folder"
    assert message_of(lambda: api.cache_import(tmp_path, tmp_path), FileError) == text
