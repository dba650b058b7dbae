"""`runner test` from a suite file to words and exit codes."""

from __future__ import annotations

import json
import re
import shlex
import threading
from typing import Any

import pytest

from runner.app import api
from runner.app.suite_asking import Asking
from runner.app.suite_session import SuiteSession
from runner.cli.main import main


def closing(said: Any) -> str:
    return re.sub(r"run r\d+", "run rN", said.err.splitlines()[-1])


def test_cases_that_are_as_expected_are_exit_0(project: Any) -> None:
    said = project.test()
    assert (said.code, said.out) == (0, "")
    assert said.err.splitlines()[0] == "flow.suite.yaml  ..."
    assert closing(said) == "3 passed · 5 calls, 0 cached, $0.00 · run rN · exit 0"


def test_what_was_asked_is_not_asked_again(project: Any) -> None:
    project.test()
    said = project.test()
    assert project.asked == []
    assert closing(said) == "3 passed · 0 calls, 5 cached, $0.00 · run rN · exit 0"


def test_a_difference_is_told_with_its_places(project: Any) -> None:
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: how-to}")
    said = project.test()
    assert said.code == 1
    assert said.out == (
        f"──── flow.suite.yaml::crash {'─' * 54}\n"
        "classify differs from expect                                  flow.suite.yaml:12\n"
        '    queue:  expected "how-to"   got "bug"\n'
        "    (1 other field equal or not asked for)\n"
        "  step    flow.yaml:8:3\n"
        "  prompt  runner show r1 'classify[crash]'\n"
        "\n"
        'FAILED flow.suite.yaml::crash  classify.queue "how-to" ≠ "bug"\n'
    )
    assert closing(said) == "2 passed, 1 failed · 5 calls, 0 cached, $0.00 · run rN · exit 1"


@pytest.mark.parametrize("name", ["crash", 'it\'s "odd" $HOME', "größer 🐟"])
def test_the_commands_that_are_shown_are_taken(
    project: Any, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.edit("flow.suite.yaml", "crash:", json.dumps(name, ensure_ascii=False) + ":")
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: how-to}")
    project.edit("flow.suite.yaml", "cases:", "matrix: {classify.temperature: [0, 1]}\ncases:")
    missed = project.test("--offline", f"flow.suite.yaml::{name}[1]").out
    ask = next(line.split("ask     ")[1] for line in missed.splitlines() if line.startswith("  ask"))
    said = project.test(*shlex.split(ask)[2:])
    assert (said.code, project.asked) == (1, ["Which queue? the app crashes", "Answer friendly from bug"])
    show = next(line.split("prompt  ")[1] for line in said.out.splitlines() if line.startswith("  prompt"))
    monkeypatch.chdir(project.root)
    assert main(shlex.split(show)[1:]) == 0
    assert "Which queue? the app crashes" in capsys.readouterr().out


def test_the_items_of_a_case_are_shown_by_its_name(project: Any) -> None:
    lane = "  tag:\n    for_each: inputs.ticket | chunks(4)\n    prompt: 'Tag {{ item }}'\n"
    project.edit("flow.yaml", "outputs:\n", f"{lane}outputs:\n")
    assert project.test("-k", "crash").code == 0
    shown = api.show(project.root, "r1", "tag", "crash")
    assert [attempt["item"].partition("/")[0] for attempt in shown["attempts"]] == ["crash"] * 4


def test_offline_a_missing_answer_is_exit_6_and_nothing_is_asked(project: Any) -> None:
    said = project.test("--offline", "-k", "crash")
    assert (said.code, project.asked) == (6, [])
    assert said.out.endswith(
        "FAILED flow.suite.yaml::crash  classify: needs-call: its answer is not stored; nothing was ever stored for "
        "step 'classify'\n"
    )


def test_words_select_cases_by_name_and_tag(project: Any) -> None:
    assert project.test("--list", "-k", "smoke").out == "flow.suite.yaml::crash\n"
    assert project.test("--list", "-k", "charge or spam").out == "flow.suite.yaml::charge\nflow.suite.yaml::spam\n"


def test_one_case_is_named_as_it_is_listed(project: Any) -> None:
    said = project.test("flow.suite.yaml::charge")
    assert closing(said) == "1 passed · 2 calls, 0 cached, $0.00 · run rN · exit 0"


def test_a_case_that_the_suite_does_not_have_is_exit_2_and_nothing_is_asked(project: Any) -> None:
    said = project.test("flow.suite.yaml::charge", "flow.suite.yaml::chrage")
    assert (said.code, project.asked) == (2, [])
    assert said.err == (
        "unknown-case: flow.suite.yaml has no case 'chrage'\n"
        "  nearest:  charge\n"
        "  fix:      runner test flow.suite.yaml --list\n"
        "nothing was run · exit 2\n"
    )


def test_a_case_is_named_with_all_its_cells_and_beside_its_whole_suite_does_nothing(project: Any) -> None:
    project.edit("flow.suite.yaml", "cases:", "matrix: {classify.temperature: [0, 1]}\ncases:")
    assert project.test("--list", "flow.suite.yaml::crash").out == (
        "flow.suite.yaml::crash[0]\nflow.suite.yaml::crash[1]\n"
    )
    assert project.test("--list", "flow.suite.yaml::crash[1]").out == "flow.suite.yaml::crash[1]\n"
    assert project.test("--list", "flow.suite.yaml::crash", "flow.suite.yaml").out.count("\n") == 6


def test_nothing_selected_is_exit_5(project: Any) -> None:
    said = project.test("-k", "nothing")
    assert (said.code, closing(said)) == (5, "nothing was run · exit 5")


def test_a_mistake_in_the_suite_is_exit_2_and_nothing_is_asked(project: Any) -> None:
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: bgu}")
    said = project.test()
    assert (said.code, project.asked) == (2, [])
    assert said.err.startswith(
        "flow.suite.yaml:12:31: impossible-expectation: 'queue' in the output of 'classify' is never \"bgu\"\n"
    )


def test_a_folder_without_suites_is_exit_5(project: Any) -> None:
    (project.root / "flow.suite.yaml").unlink()
    said = project.test()
    assert said.code == 5
    assert said.err.startswith("no-suite: no suite was found in '.'\n")


def test_a_file_that_is_no_suite_is_exit_2(project: Any) -> None:
    said = project.test("flow.yaml")
    assert said.code == 2
    assert (
        said.err
        == "not-a-suite: 'flow.yaml' is no suite: it is not called NAME.suite.yaml\n  fix:      runner run flow.yaml\n"
    )


def test_a_provider_that_fails_is_exit_3(project: Any) -> None:
    project.special["Which queue? the app crashes"] = project.Answer(status=401)
    said = project.test("-k", "crash")
    assert said.code == 3
    assert "FAILED flow.suite.yaml::crash  classify: auth: " in said.out


def test_recordings_hold_what_the_suite_used_and_lose_what_it_uses_no_more(project: Any) -> None:
    recordings = project.root / "cache/recordings"
    said = project.test("--record")
    assert said.err.splitlines()[-2] == "recorded: 5 answers in cache/recordings, 5 new or changed"
    project.edit("flow.suite.yaml", "the app crashes", "it crashes")
    said = project.test("--record")
    assert said.err.splitlines()[-2] == "recorded: 5 answers in cache/recordings, 1 new or changed, 1 removed"
    assert len(list(recordings.glob("??/*.json"))) == 5


def test_recording_some_cases_removes_nothing(project: Any) -> None:
    project.test("--record")
    project.edit("flow.suite.yaml", "the app crashes", "it crashes")
    said = project.test("--record", "-k", "crash")
    assert said.err.splitlines()[-2] == "recorded: 2 answers in cache/recordings, 1 new or changed"


def test_a_known_failure_is_no_failure(project: Any) -> None:
    project.edit("flow.suite.yaml", "    tags: [smoke]\n", "    xfail: the model takes crashes for questions\n")
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: how-to}")
    said = project.test()
    assert (said.code, said.err.splitlines()[0]) == (0, "flow.suite.yaml  .x.")
    assert closing(said) == "2 passed, 1 known to fail · 5 calls, 0 cached, $0.00 · run rN · exit 0"


def test_a_known_failure_does_not_hide_a_missing_answer(project: Any) -> None:
    project.edit("flow.suite.yaml", "    tags: [smoke]\n", "    xfail: the model takes crashes for questions\n")
    assert project.test("--offline", "-k", "crash").code == 6


def test_an_interrupt_is_exit_130_whatever_failed_before(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = SuiteSession.verdict

    def verdict(self: SuiteSession, name: str) -> Any:
        if name == "crash":
            raise KeyboardInterrupt
        return own(self, name)

    monkeypatch.setattr(SuiteSession, "verdict", verdict)
    project.special["Which queue? charged twice"] = project.Answer(text='{"queue": "other", "sure": 1}')
    said = project.test("-j", "1")
    assert (said.code, said.err.splitlines()[0]) == (130, "flow.suite.yaml  F")
    assert re.sub(r"\d calls?", "N calls", closing(said)) == (
        "1 failed · interrupted, 2 not run · N calls, 0 cached, $0.00 · run rN · exit 130"
    )
    monkeypatch.setattr(SuiteSession, "verdict", own)
    assert project.test("--last-failed", "--offline").err.splitlines()[0] == "flow.suite.yaml  F"


def test_stopping_at_the_first_failure_leaves_later_cases_unasked(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_stopped = threading.Event()

    def answer_after_the_stop(_: Any) -> Any:
        assert is_stopped.wait(30)
        return project.Answer(text='{"queue": "bug", "sure": 1}')

    stop_performers = Asking._stop_performers

    def stop(self: Asking) -> None:
        stop_performers(self)
        is_stopped.set()

    monkeypatch.setattr(Asking, "_stop_performers", stop)
    project.special["Which queue? the app crashes"] = answer_after_the_stop
    project.special["Which queue? charged twice"] = project.Answer(text='{"queue": "other", "sure": 1}')
    said = project.test("-x", "-j", "1")
    assert (said.code, said.err.splitlines()[0]) == (1, "flow.suite.yaml  F")
    assert project.asked[-1] == "Which queue? the app crashes"
    assert not any("free phone" in prompt for prompt in project.asked)
