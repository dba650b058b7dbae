"""What a failure says of the past; the lock; samples and their rates; cost against what passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.core.frozen import replace
from runner.suites.statistics import Rate, pass_at
from runner.suites.totals import CellTotal, is_pass_at, worth_their_cost


def since(said: Any) -> list[str]:
    return [line.strip() for line in said.out.splitlines() if line.startswith("  last passed")]


# --- what changed since the last pass


def test_a_case_that_never_passed_says_nothing_of_the_past(project: Any) -> None:
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: how-to}")
    assert since(project.test()) == []


def test_a_changed_expectation_is_named(project: Any) -> None:
    project.test()
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: how-to}")
    assert since(project.test()) == ["last passed in run r1; changed since: what is expected"]


def test_a_changed_prompt_is_named_with_its_place(project: Any) -> None:
    project.test()
    project.edit("flow.yaml", "Which queue? {{ inputs.ticket }}", "Which one? {{ inputs.ticket }}")
    project.special["Which one? the app crashes"] = project.Answer(text='{"queue": "other", "sure": 1}')
    assert since(project.test("-k", "crash")) == ["last passed in run r1; changed since: template:flow.yaml:9"]


def test_a_change_further_up_is_named_and_not_what_follows_from_it(project: Any) -> None:
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: bug}\n      steps.reply: Dear customer, bug will help.")
    project.test()
    project.edit("flow.yaml", "  classify:\n", "  classify:\n    temperature: 0.3\n")
    project.special["Which queue? the app crashes"] = project.Answer(text='{"queue": "bug", "sure": 1}')
    project.edit("flow.yaml", "Answer {{ inputs.tone }} from", "Answer {{ inputs.tone }}ly from")
    project.special["Answer friendlyly from bug"] = project.Answer(text="No.")
    assert since(project.test("-k", "crash")) == [
        "last passed in run r1; changed since: option:temperature: (none) → 0.3, template:flow.yaml:14"
    ]


def test_an_answer_that_is_another_without_any_change_is_told_as_such(project: Any) -> None:
    project.test()
    project.special["Which queue? the app crashes"] = project.Answer(text='{"queue": "other", "sure": 1}')
    assert since(project.test("-k", "crash", "--refresh")) == [
        "last passed in run r1; changed since: only the answers themselves"
    ]


def test_another_model_version_is_told(project: Any) -> None:
    project.test()
    project.special["Which queue? the app crashes"] = project.Answer(
        text='{"queue": "other", "sure": 1}', model="small-2"
    )
    assert since(project.test("-k", "crash", "--refresh")) == [
        "last passed in run r1; changed since: model-version: small → small-2"
    ]


def test_what_moves_in_the_file_is_no_change_of_what_is_expected(project: Any) -> None:
    project.test()
    project.edit("flow.suite.yaml", "cases:\n", "\n# moved\ncases:\n")
    project.special["Which queue? the app crashes"] = project.Answer(text='{"queue": "other", "sure": 1}')
    assert since(project.test("-k", "crash", "--refresh")) == [
        "last passed in run r1; changed since: only the answers themselves"
    ]


def test_a_setting_that_is_no_part_of_a_question_is_named(project: Any) -> None:
    project.test()
    project.edit("flow.yaml", "    fields: {queue", "    ensure: [output.sure > 0.95]\n    fields: {queue")
    said = project.test("-k", "crash")
    assert since(said) == ["last passed in run r1; changed since: steps.classify.ensure"], said.out + said.err


def test_a_changed_output_is_named(project: Any) -> None:
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: bug}\n      outputs.queue: bug")
    said = project.test()
    assert said.code == 0, said.out + said.err
    project.edit("flow.yaml", "queue: steps.classify.output.queue", "queue: steps.classify.output.queue | upper")
    assert since(project.test("-k", "crash")) == ["last passed in run r1; changed since: outputs.queue"]


def test_where_nothing_is_known_to_have_changed_that_is_said(project: Any) -> None:
    project.test()
    path = project.root / ".runner/passes/flow.suite.json"
    kept = json.loads(path.read_text("utf-8"))
    for case in kept["cases"].values():  # as it was written before settings and answers were remembered
        del case["settings"], case["answered"]
    path.write_text(json.dumps(kept), "utf-8")
    project.edit("flow.yaml", "    fields: {queue", "    ensure: [output.sure > 0.95]\n    fields: {queue")
    assert since(project.test("-k", "crash")) == ["last passed in run r1; changed since: nothing that was kept"]


def test_many_changes_are_cut(project: Any) -> None:
    project.test()
    more = "temperature: 0.3\n    top_p: 0.5\n    seed: 1\n    max_output_tokens: 99\n    stop: [x]\n    system: Hm."
    project.edit("flow.yaml", "  classify:\n", f"  classify:\n    {more}\n")
    project.special["Which queue? the app crashes"] = project.Answer(text='{"queue": "other", "sure": 1}')
    (told,) = since(project.test("-k", "crash"))
    assert told.count("option:") == 5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "cases": {"crash": {}}}'])
def test_a_damaged_memory_says_nothing(project: Any, text: str) -> None:
    project.test()
    project.write(".runner/passes/flow.suite.json", text)
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: how-to}")
    said = project.test()
    assert (said.code, since(said)) == (1, [])


# --- the lock


def test_a_locked_suite_needs_a_lock(project: Any) -> None:
    said = project.test("--locked")
    assert (said.code, project.asked) == (6, [])
    assert said.err.startswith(
        "stale-lock: --locked needs runner.lock, and there is none\n"
        "  fix:      runner test flow.suite.yaml --update-lock\n"
    )


def test_a_lock_is_written_and_holds(project: Any) -> None:
    said = project.test("--update-lock")
    assert "lock: classify: new, box/small, answered by small\n" in said.err
    locked = json.loads((project.root / "runner.lock").read_text())["workflows"]["flow.suite.yaml"]
    assert sorted(locked) == ["classify", "reply"]
    assert project.test("--locked").code == 0
    assert "lock: runner.lock is as it was\n" in project.test("--update-lock").err


def test_a_lock_of_another_file_is_no_lock_of_the_suite(project: Any) -> None:
    project.test("--update-lock")
    (project.root / "flow.suite.yaml").rename(project.root / "other.suite.yaml")
    said = project.test("--locked")
    assert (said.code, said.err.splitlines()[0]) == (6, "stale-lock: runner.lock does not have other.suite.yaml")


def test_a_change_against_the_lock_is_told_at_its_line(project: Any) -> None:
    project.test("--update-lock")
    project.edit("flow.yaml", "Which queue?", "What queue?")
    said = project.test("--locked")
    assert (said.code, project.asked) == (6, [])
    assert said.err.startswith("flow.yaml:9:13: stale-lock: step 'classify' is not what runner.lock says: prompt: ")


def test_every_cell_is_locked(project: Any) -> None:
    text = (project.root / "flow.suite.yaml").read_text()
    project.suite(f"{text}matrix:\n  classify.temperature: [0.1, 0.2]\n")
    project.test("--update-lock")
    locked = json.loads((project.root / "runner.lock").read_text())["workflows"]["flow.suite.yaml"]
    assert sorted(locked) == ["classify[0.1]", "classify[0.2]", "reply[0.1]", "reply[0.2]"]
    project.suite(f"{text}matrix:\n  classify.temperature: [0.1, 0.3]\n")
    said = project.test("--locked")
    assert said.code == 6
    assert "step 'classify[0.3]' is not in runner.lock" in said.err
    assert "runner.lock has step 'classify[0.2]', which the suite does not have" in said.err


def test_another_model_than_the_locked_one_is_exit_6(project: Any) -> None:
    project.test("--update-lock")
    project.special["Which queue? the app crashes"] = project.Answer(
        text='{"queue": "bug", "sure": 0.9}', model="small-2"
    )
    said = project.test("--locked", "--refresh", "-k", "crash")
    assert said.code == 6
    assert "model-moved: classify[crash] was answered by small-2, and runner.lock has small" in said.err


def test_a_run_that_is_cut_short_writes_no_lock(project: Any) -> None:
    project.special["Which queue? the app crashes"] = project.Answer(status=401)
    said = project.test("--update-lock")
    assert said.code == 3
    assert "lock: runner.lock is not written, since not every case came to its end\n" in said.err
    assert not (project.root / "runner.lock").exists()


def test_a_lock_that_cannot_be_read_is_told(project: Any) -> None:
    project.write("runner.lock", "[]")
    said = project.test("--update-lock")
    assert (said.code, project.asked) == (2, [])


def test_locking_and_updating_exclude_each_other(project: Any) -> None:
    said = project.test("--locked", "--update-lock")
    assert said.code == 2
    assert said.err.startswith("usage: --locked and --update-lock exclude each other\n")


# --- samples


def test_samples_are_asked_as_often_as_is_said(project: Any) -> None:
    assert len(project.test("--samples", "3", "--list").out.splitlines()) == 9
    said = project.test("--samples", "2", "-k", "spam")
    assert (said.code, len(project.asked)) == (0, 2)
    project.test("--samples", "3", "-k", "spam")
    assert len(project.asked) == 1


def steady(project: Any, *, samples: int, threshold: str) -> Any:
    """A suite whose model answers differently each time: billing, other, other, …"""
    answers = iter(["billing", "other", "other", "other"])
    project.special["Which queue? charged twice"] = lambda _: project.Answer(
        text=json.dumps({"queue": next(answers), "sure": 1})
    )
    project.suite(
        f"format: 1\nworkflow: flow.yaml\nsamples: {samples}\nthresholds: {threshold}\n"
        "cases:\n  charge: {with: {ticket: charged twice}, expect: {steps.classify: {queue: billing}}}\n"
    )
    return project.test("-j", "1")


def test_one_good_answer_of_several_is_enough_for_pass_at_k(project: Any) -> None:
    said = steady(project, samples=3, threshold="{pass_at_3: 0.9, pass_rate: 0.3}")
    assert said.code == 0
    assert "  pass_rate  0.33 (1 of 3, 95 % 0.06–0.79)\n  pass_at    2: 0.67, 3: 1.00\n" in said.out


def test_a_missed_pass_at_k_is_told(project: Any) -> None:
    said = steady(project, samples=3, threshold="{pass_at_2: 0.9}")
    assert said.code == 1
    assert said.out.splitlines()[-1] == "FAILED flow.suite.yaml::thresholds  pass_at_2: 0.67 < 0.9"


def test_pass_at_k_needs_k_samples(project: Any) -> None:
    said = steady(project, samples=2, threshold="{pass_at_3: 0.9}")
    assert said.code == 2
    assert "bad-threshold: threshold 'pass_at_3' needs 3 samples of each case, and the suite asks 2\n" in said.err


def test_fewer_samples_than_the_threshold_needs_are_told(project: Any) -> None:
    steady(project, samples=3, threshold="{pass_at_3: 0.9}")
    said = project.test("--samples", "1")
    assert said.code == 1
    assert "pass_at_3: not every case was asked so often; raise samples" in said.out


def test_pass_at_k_against_every_choice_of_k() -> None:
    from itertools import combinations

    for asked in range(1, 6):
        for good in range(asked + 1):
            answers = [True] * good + [False] * (asked - good)
            for k in range(1, asked + 1):
                chosen = list(combinations(answers, k))
                assert pass_at(k, [(asked, good)]) == pytest.approx(sum(map(any, chosen)) / len(chosen))
    assert pass_at(2, [(1, 1)]) is None
    assert pass_at(1, []) is None


def test_the_name_of_pass_at_k() -> None:
    assert [name for name in ("pass_at_2", "pass_at_x", "pass_rate", "pass_at_") if is_pass_at(name)] == ["pass_at_2"]


# --- cost against what passes


CELL = CellTotal("cheap", Rate(8, 10), {}, 0.1, 100, is_complete=True)


def test_a_cell_is_worth_its_cost_where_no_other_is_as_good_for_less() -> None:
    good = replace(CELL, cell="good", passed=Rate(10, 10), usd=0.5)
    dear = replace(CELL, cell="dear", usd=0.3)
    unknown = replace(CELL, cell="unknown", passed=Rate(10, 10), usd=None)
    twin = replace(CELL, cell="twin")
    assert worth_their_cost([CELL, good, dear, unknown]) == {"cheap", "good"}
    assert worth_their_cost([CELL, twin]) == {"cheap", "twin"}
    assert worth_their_cost([replace(CELL, passed=Rate(0, 0))]) == frozenset()


def test_cells_are_told_by_what_they_cost(project: Any) -> None:
    project.edit("runner.yaml", "price: free", "price: {input: 1, output: 2}")
    text = (project.root / "flow.suite.yaml").read_text()
    project.suite(
        f"{text}matrix:\n  variant: {{plain: {{}}, hot: {{classify.temperature: 0.7}}}}\nthresholds: {{pass_rate: 1}}\n"
    )
    said = project.test("--yes")
    assert said.code == 0, said.err
    table = said.out[said.out.index("  cell ") :].splitlines()
    assert table[0] == "  cell   passed  usd a case  tokens a case"
    assert [line.split()[0] for line in table[1:3]] == ["plain", "hot"]
    assert table[3] == "  * no other cell passes as often for less"
