"""`--update-lock` writes what the steps are made of; `--locked` holds a run to it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from runner.app.preparing import prepare_program
from runner.app.types import RunOptions
from runner.cli.main import main
from runner.core.errors import CallNeeded

FLOW = """
format: 1
name: locked
models: {fast: box/small}
defaults: {model: fast}
steps:
  first:
    prompt: {file: first.md}
    fields: {word: string}
  second:
    temperature: 0.5
    prompt: "second about {{ steps.first.output.word }}"
    fields: {word: string}
"""


@pytest.fixture
def flow(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    project.workflow(FLOW)
    project.write("first.md", "first about tea {% include 'part.md' %}")
    project.write("part.md", "and more")
    monkeypatch.chdir(project.root)
    return project


def call(capsys: Any, *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(list(words))
    return code, capsys.readouterr().err


def lock(root: Path) -> Any:
    return json.loads((root / "runner.lock").read_text())


def test_a_first_lock_names_every_step_and_a_second_changes_nothing(flow: Any, capsys: Any) -> None:
    code, err = call(capsys, "run", "flow.yaml", "--update-lock")
    assert code == 0
    version = lock(flow.root)["workflows"]["flow.yaml"]["first"]["answered_by"][0]
    assert f"lock: first: new, box/small, answered by {version}\n" in err
    before = (flow.root / "runner.lock").read_bytes()
    code, err = call(capsys, "run", "flow.yaml", "--update-lock")
    assert "lock: runner.lock is as it was\n" in err
    assert (flow.root / "runner.lock").read_bytes() == before
    assert call(capsys, "run", "flow.yaml", "--locked")[0] == 0
    assert call(capsys, "plan", "flow.yaml", "--locked")[0] == 0


def test_a_lock_that_is_not_there(flow: Any, capsys: Any) -> None:
    for command in ("run", "plan"):
        code, err = call(capsys, command, "flow.yaml", "--locked")
        assert code == 6
        assert err == (
            "stale-lock: --locked needs runner.lock, and there is none\n"
            "  fix:      runner run flow.yaml --update-lock\n"
        )
    assert flow.asked == []


STALE = [
    (
        "temperature: 0.5",
        "temperature: 0.7",
        "flow.yaml:11:18",
        "step 'second' is not what runner.lock says: temperature: 0.5 → 0.7",
    ),
    ("fast: box/small", "fast: box/large", "flow.yaml:4:16", "model: box/small → box/large"),
    ("second about", "two about", "flow.yaml:12:13", "step 'second' is not what runner.lock says: prompt: "),
    ("  second:", "  third: {prompt: hello}\n  second:", "flow.yaml:10:3", "step 'third' is not in runner.lock"),
]


@pytest.mark.parametrize(("old", "new", "place", "said"), STALE)
def test_a_stale_lock_is_told_before_any_call(
    flow: Any, capsys: Any, old: str, new: str, place: str, said: str
) -> None:
    call(capsys, "run", "flow.yaml", "--update-lock")
    flow.server.forget()
    flow.edit(old, new)
    code, err = call(capsys, "run", "flow.yaml", "--locked")
    assert code == 6
    assert said in err
    if "large" not in new:
        assert f"{place}: stale-lock: " in err
    assert flow.asked == []


def test_a_file_that_a_prompt_includes_is_locked_too(flow: Any, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "--update-lock")
    flow.write("part.md", "and less")
    code, err = call(capsys, "run", "flow.yaml", "--locked")
    assert code == 6
    assert "step 'first' is not what runner.lock says: prompt: " in err


def test_a_schema_that_changed_is_told_at_its_place(flow: Any, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "--update-lock")
    flow.edit('output.word }}"\n    fields: {word: string}', 'output.word }}"\n    fields: {word: integer}')
    code, err = call(capsys, "run", "flow.yaml", "--locked")
    assert code == 6
    assert "flow.yaml:13:13: stale-lock: step 'second' is not what runner.lock says: schema: " in err


def test_a_step_that_is_gone_is_stale_and_an_update_drops_it(flow: Any, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "--update-lock")
    text = (flow.root / "flow.yaml").read_text()
    flow.workflow(text[: text.index("  second:")])
    code, err = call(capsys, "run", "flow.yaml", "--locked")
    assert code == 6
    assert "stale-lock: runner.lock has step 'second', which the workflow does not have" in err
    code, err = call(capsys, "run", "flow.yaml", "--update-lock")
    assert "lock: second: no longer a step\n" in err
    assert list(lock(flow.root)["workflows"]["flow.yaml"]) == ["first"]


def test_an_update_tells_old_and_new(flow: Any, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "--update-lock")
    flow.edit("temperature: 0.5", "temperature: 0.7")
    _, err = call(capsys, "run", "flow.yaml", "--update-lock")
    assert "lock: second: temperature: 0.5 → 0.7\n" in err


def test_another_workflow_keeps_its_place_and_one_that_is_gone_loses_it(flow: Any, capsys: Any) -> None:
    flow.write("other.yaml", FLOW)
    call(capsys, "run", "flow.yaml", "--update-lock")
    code, err = call(capsys, "run", "other.yaml", "--locked")
    assert (code, err.split("\n")[0]) == (6, "stale-lock: runner.lock does not have other.yaml")
    call(capsys, "run", "other.yaml", "--update-lock")
    assert list(lock(flow.root)["workflows"]) == ["flow.yaml", "other.yaml"]
    (flow.root / "other.yaml").unlink()
    call(capsys, "run", "flow.yaml", "--update-lock")
    assert list(lock(flow.root)["workflows"]) == ["flow.yaml"]


def moved(flow: Any, version: str) -> None:
    flow.special["second about first-word"] = flow.Answer(text='{"word": "other"}', model=version)


def test_an_answer_of_another_version_is_kept_and_told_and_exit_6(flow: Any, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "--update-lock")
    version = lock(flow.root)["workflows"]["flow.yaml"]["second"]["answered_by"][0]
    moved(flow, "small-2")
    code, err = call(capsys, "run", "flow.yaml", "--locked", "--refresh", "second")
    assert code == 6
    assert f"model-moved: second was answered by small-2, and runner.lock has {version}\n" in err
    flow.server.forget()
    assert call(capsys, "run", "flow.yaml", "--locked")[0] == 6
    assert flow.asked == [], "the answer is stored"
    _, err = call(capsys, "run", "flow.yaml", "--update-lock")
    assert f"lock: second: answered by: {version} → small-2\n" in err
    assert call(capsys, "run", "flow.yaml", "--locked")[0] == 0


def test_who_answered_is_kept_where_nobody_answers_now(flow: Any, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "--update-lock")
    before = (flow.root / "runner.lock").read_bytes()
    flow.edit('    prompt: "second', '    when: steps.first.output.word == "no"\n    prompt: "second')
    call(capsys, "run", "flow.yaml", "--update-lock")
    assert (flow.root / "runner.lock").read_bytes() == before


def test_a_run_that_did_not_end_leaves_the_lock(flow: Any, capsys: Any) -> None:
    code, err = call(capsys, "run", "flow.yaml", "--offline", "--update-lock")
    assert code == 6
    assert "lock: runner.lock is not written, since the run did not come to its end\n" in err
    assert not (flow.root / "runner.lock").exists()


def test_a_damaged_lock_is_not_written_over(flow: Any, capsys: Any) -> None:
    flow.write("runner.lock", "<<<<<<< HEAD")
    assert call(capsys, "run", "flow.yaml", "--locked")[0] == 2
    flow.server.forget()
    code, err = call(capsys, "run", "flow.yaml", "--update-lock")
    assert (code, flow.asked) == (2, [])
    assert "bad-lock: runner.lock is not JSON" in err
    assert (flow.root / "runner.lock").read_text() == "<<<<<<< HEAD"


def test_a_failure_that_was_locked_is_replayed(flow: Any, capsys: Any) -> None:
    flow.special["second about first-word"] = flow.Answer(text="{}", finish="length")
    assert call(capsys, "run", "flow.yaml", "--update-lock")[0] == 1
    flow.server.forget()
    assert call(capsys, "run", "flow.yaml", "--locked")[0] == 1
    assert flow.asked == []


def test_locked_and_update_lock_contradict(flow: Any, capsys: Any) -> None:
    code, err = call(capsys, "run", "flow.yaml", "--locked", "--update-lock")
    assert (code, err) == (2, "usage: --locked and --update-lock exclude each other\n  fix:      leave one out\n")


def test_from_python(flow: Any) -> None:
    with pytest.raises(CallNeeded, match="there is none"):
        flow.run(locked=True)


def test_two_writers_at_once_both_find_their_place(flow: Any) -> None:
    from runner.app.locking import update_lock
    from runner.record.summary import RunSummary

    names = [f"flow{number}.yaml" for number in range(6)]
    for name in names:
        flow.write(name, FLOW)
    prepared = [prepare_program(flow.root / name, RunOptions()) for name in names]
    threads = [threading.Thread(target=update_lock, args=(one.project, one.program, RunSummary())) for one in prepared]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(lock(flow.root)["workflows"]) == names
