"""Suites over several processes, and the options of pytest that users know: all as without."""

from __future__ import annotations

import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runner.app.suite_session import SuiteSession
from runner.app.types import RunOptions
from runner.pytest_plugin.sharing import Controller, Heard, hear

MANY = """\
format: 1
workflow: flow.yaml
tags: [nightly]
cases:
  charge: {with: {ticket: charged twice}, tags: [money], expect: {steps.classify: {queue: billing}}}
  crash: {with: {ticket: the app crashes}, tags: [smoke], expect: {steps.classify: {queue: how-to}}}
  export: {with: {ticket: how to export}, tags: [smoke], expect: {steps.classify: {queue: how-to}}}
  spam: {with: {ticket: a free phone}, expect: {status: {steps.reply: skipped}}}
  known: {with: {ticket: a free call}, xfail: it is both, expect: {steps.classify: {queue: bug}}}
"""
CALLS = 8
RATES = """\
metrics: {sure: {mean: {of: steps.classify.output.sure}}}
thresholds: {pass_rate: 0.5}
"""


def verdicts(project: Any, file: str = "out.xml") -> dict[str, tuple[str, ...]]:
    """Of each case how it ended, and the number of calls, as JUnit tells them."""
    found: dict[str, tuple[str, ...]] = {}
    for case in ET.parse(project.root / file).getroot().iter("testcase"):
        ends = [one.tag for one in case if one.tag in ("failure", "error", "skipped")]
        calls = [one.get("value", "") for one in case.iter("property") if one.get("name") == "calls"]
        found[case.get("name", "")] = (*(ends or ["passed"]), *calls)[:2]
    return found


@pytest.mark.slow
def test_workers_find_what_is_stored_and_come_to_the_same_verdicts(
    run_pytest: Callable[..., Any], project: Any
) -> None:
    project.suite(MANY)
    run_pytest("-q", "--live", "--junitxml=asked.xml")
    alone = run_pytest("-q", "--junitxml=alone.xml")
    shared = run_pytest("-q", "-n", "2", "--junitxml=shared.xml")
    by_runner = project.test("-o", "runner.xml")
    assert project.asked == []
    assert (alone.code, shared.code, by_runner.code) == (1, 1, 1)
    assert verdicts(project, "shared.xml") == verdicts(project, "alone.xml") == verdicts(project, "runner.xml")
    assert verdicts(project, "alone.xml") == {
        "charge": ("passed", "0"),
        "crash": ("failure", "0"),
        "export": ("passed", "0"),
        "spam": ("passed", "0"),
        "known": ("skipped", "0"),
    }


@pytest.mark.slow
def test_the_controller_asks_once_for_all_workers(run_pytest: Callable[..., Any], project: Any) -> None:
    project.suite(MANY + RATES)
    said = run_pytest("-n", "2", "--live", "--junitxml=out.xml", "-v")
    assert (said.code, len(project.asked)) == (0, CALLS), said.out
    assert verdicts(project) == {
        "charge": ("passed", "2"),
        "crash": ("skipped", "2"),
        "export": ("passed", "2"),
        "spam": ("passed", "1"),
        "known": ("skipped", "1"),
        "thresholds": ("passed",),
    }
    assert sorted(path.name for path in project.root.glob(".runner/runs/r*")) == ["r1"]


@pytest.mark.slow
def test_what_is_not_kept_is_asked_once_too(run_pytest: Callable[..., Any], project: Any) -> None:
    project.edit("flow.yaml", "defaults: {model: fast}", "defaults: {model: fast, cache: {use: off}}")
    said = run_pytest("-q", "-n", "2", "--live")
    assert (said.code, len(project.asked)) == (0, 5), said.out


@pytest.mark.slow
def test_a_failure_at_a_worker_is_told_as_without(run_pytest: Callable[..., Any], project: Any) -> None:
    project.suite(MANY)
    said = run_pytest("-q", "-n", "2", "--live")
    assert said.code == 1
    assert (
        "classify differs from expect                                   flow.suite.yaml:6\n"
        '    queue:  expected "how-to"   got "bug"\n'
        "    (1 other field equal or not asked for)\n"
        "  step    flow.yaml:8:3\n"
        "  prompt  runner show r1 'classify[crash]'\n"
    ) in said.out


@pytest.mark.slow
def test_what_keeps_calls_from_being_made_is_told_of_every_case(run_pytest: Callable[..., Any], project: Any) -> None:
    project.edit("runner.yaml", "price: free, ", "")
    said = run_pytest("-q", "-rN", "-n", "2", "--live")
    assert (said.code, project.asked) == (1, [])
    assert said.out.count("needs-consent: what this suite costs is not known, since box/small has no price") == 3
    assert "INTERNALERROR" not in said.out


# --- the two ends, in one process


@pytest.fixture
def controller(project: Any) -> Iterator[Controller]:
    made = Controller(RunOptions())
    yield made
    made.end()
    made.close()


def test_a_verdict_is_heard_as_it_was_told(project: Any, controller: Controller) -> None:
    project.suite(MANY + RATES)
    nodes = ["flow.suite.yaml::crash", "flow.suite.yaml::spam", "flow.suite.yaml::thresholds"]
    controller.begin(project.root, nodes)
    controller.begin(project.root, nodes)  # the second worker says the same
    heard = hear(controller.folder, "flow.suite.yaml::crash")
    session = SuiteSession(project.root / "flow.suite.yaml", RunOptions(is_offline=True))
    own = session.verdict("crash")
    session.finish()
    assert heard.verdict is not None
    assert (heard.run, heard.verdict.findings, heard.verdict.metrics) == ("r1", own.findings, own.metrics)
    assert (heard.verdict.taken.calls, heard.verdict.taken.models) == (2, ("small",))
    spam = hear(controller.folder, "flow.suite.yaml::spam").verdict
    assert spam is not None
    assert spam.is_good
    assert len(project.asked) == 3


def test_thresholds_alone_are_told_over_all_cases(project: Any, controller: Controller) -> None:
    project.suite(MANY + RATES)
    controller.begin(project.root, ["flow.suite.yaml::thresholds"])
    verdict = hear(controller.folder, "flow.suite.yaml::known").verdict
    assert verdict is not None
    assert len(project.asked) == CALLS


def test_a_suite_that_cannot_be_read_is_told_of_every_case(project: Any, controller: Controller) -> None:
    project.suite(MANY.replace("{queue: billing}", "{queue: biling}"))
    controller.begin(project.root, ["flow.suite.yaml::charge"])
    refusal = hear(controller.folder, "flow.suite.yaml::charge").refusal
    assert refusal.startswith("flow.suite.yaml:5:91: impossible-expectation: ")


def test_a_case_that_is_never_asked_keeps_nobody_waiting(project: Any, controller: Controller) -> None:
    controller.end()
    controller.begin(project.root, ["flow.suite.yaml::charge"])
    assert hear(controller.folder, "flow.suite.yaml::charge") == Heard(None, refusal="stopped before it was asked")
    controller.close()
    assert hear(controller.folder, "flow.suite.yaml::crash") == Heard(None, refusal="stopped before it was asked")
    assert project.asked == []


def test_the_end_stops_what_is_under_way(project: Any, controller: Controller) -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def answer(_: Any) -> Any:
        is_asked.set()
        may_answer.wait(30)
        return project.Answer(text='{"queue": "other", "sure": 1}')

    project.special["Which queue? charged twice"] = answer
    controller.begin(project.root, ["flow.suite.yaml::charge", "flow.suite.yaml::crash"])
    assert is_asked.wait(30)
    ending = threading.Thread(target=controller.end)
    ending.start()
    may_answer.set()
    ending.join(30)
    heard = hear(controller.folder, "flow.suite.yaml::charge")
    assert not ending.is_alive()
    assert heard.verdict is not None


# --- options of pytest


def test_the_last_failed_are_run_again(run_pytest: Callable[..., Any], project: Any) -> None:
    project.suite(MANY)
    run_pytest("-q", "--live")
    said = run_pytest("--lf", "--collect-only", "-q")
    assert said.out.splitlines()[:2] == ["flow.suite.yaml::crash", ""]


def test_words_choose_by_name_and_by_tag(run_pytest: Callable[..., Any], project: Any) -> None:
    project.suite(MANY)
    said = run_pytest("--collect-only", "-q", "-k", "crash or money")
    assert said.out.splitlines()[:2] == ["flow.suite.yaml::charge", "flow.suite.yaml::crash"]
    assert "2/5 tests collected (3 deselected)" in said.out


def test_marks_come_from_tags_of_the_case_and_of_the_suite(run_pytest: Callable[..., Any], project: Any) -> None:
    project.suite(MANY)
    said = run_pytest("--collect-only", "-q", "--strict-markers", "-m", "nightly and not smoke")
    assert said.out.splitlines()[:3] == [f"flow.suite.yaml::{name}" for name in ("charge", "spam", "known")]
    assert run_pytest("--markers").out.count("smoke: a tag of a suite") == 0  # a mark is known once its suite is read


def test_the_first_failure_ends_the_run(run_pytest: Callable[..., Any], project: Any) -> None:
    project.suite(MANY)
    run_pytest("-q", "--live")
    said = run_pytest("-x")
    assert "1 failed, 1 passed" in said.out
    assert "export" not in said.out


def test_the_slowest_are_listed_by_name(run_pytest: Callable[..., Any], project: Any) -> None:
    project.suite(MANY)
    said = run_pytest("-q", "--live", "--durations=3", "--durations-min=0")
    assert re.search(r"^[0-9.]+s call     flow\.suite\.yaml::\w+$", said.out, re.MULTILINE)


def test_one_case_is_run_by_its_node(run_pytest: Callable[..., Any], project: Any) -> None:
    project.suite(MANY)
    assert "1 passed" in run_pytest("-q", "--live", "flow.suite.yaml::charge").out
    assert len(project.asked) == 2


# --- JUnit, read by two


def test_junit_is_read_alike_by_two_readers(project: Any) -> None:
    from junitparser.xunit2 import JUnitXml

    project.suite(MANY + RATES)
    project.test("-o", "out.xml")
    root = ET.parse(project.root / "out.xml").getroot()
    by_library = [
        {
            "name": case.get("name"),
            "class": case.get("classname"),
            "ends": [one.tag for one in case if one.tag != "properties"],
            "properties": {one.get("name"): one.get("value") for one in case.iter("property")},
        }
        for case in root.iter("testcase")
    ]
    by_parser = [
        {
            "name": case.name,
            "class": case.classname,
            "ends": [type(one).__name__.lower() for one in case.result],
            "properties": {one.name: one.value for one in case.properties()},  # type: ignore[attr-defined] # typed as the older form
        }
        for suite in JUnitXml.fromfile(str(project.root / "out.xml"))
        for case in suite
    ]
    assert by_parser == by_library
    assert by_library[0]["properties"] == {
        "cost_usd": "0.000000", "tokens": "30", "calls": "2", "cached": "0", "model": "small",
    }  # fmt: skip


def test_junit_keeps_the_rules_of_its_schema(project: Any) -> None:
    """The rules of the common XSD: names, order, counts and types of what it describes."""
    project.suite(MANY)
    project.test("-o", "out.xml")
    (suite,) = ET.parse(project.root / "out.xml").getroot()
    cases = [one for one in suite if one.tag == "testcase"]
    ends = [one.tag for case in cases for one in case]
    assert suite.tag == "testsuite"
    assert {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"} <= set(suite.keys())
    assert [int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")] == [
        len(cases), ends.count("failure"), ends.count("error"), ends.count("skipped"),
    ]  # fmt: skip
    for case in cases:
        assert {"name", "classname", "time"} <= set(case.keys())
        assert float(case.get("time", "")) >= 0
        tags = [one.tag for one in case]
        assert tags == sorted(tags, key=["properties", "skipped", "error", "failure", "system-out"].index)
        assert sum(tag in ("skipped", "error", "failure") for tag in tags) <= 1
        for one in case:
            assert one.tag not in ("failure", "error") or one.get("message") is not None
