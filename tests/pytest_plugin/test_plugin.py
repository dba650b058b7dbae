"""Suites under plain pytest, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def test_plain_pytest_asks_nothing_and_names_the_command(run_pytest: Any, project: Any) -> None:
    said = run_pytest("-q", "-k", "crash")
    assert (said.code, project.asked) == (1, [])
    assert (
        "its answer is not stored; nothing was ever stored for step 'classify'\n"
        "  step    flow.yaml:8:3\n"
        "  ask     runner test 'flow.suite.yaml::crash'\n"
    ) in said.out


def test_live_asks_and_the_next_run_replays(run_pytest: Any, project: Any) -> None:
    said = run_pytest("-q", "--live")
    assert (said.code, len(project.asked)) == (0, 5), said.out
    said = run_pytest("-q")
    assert (said.code, project.asked) == (0, [])


def test_both_ways_give_the_same_verdicts(run_pytest: Any, project: Any) -> None:
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: how-to}")
    by_runner = project.test()
    by_pytest = run_pytest("-q")
    told = [line for line in by_runner.out.splitlines() if line.startswith(" ") and "runner show" not in line]
    assert told
    assert all(line in by_pytest.out for line in told)
    assert "1 failed, 2 passed" in by_pytest.out


def test_junit_tells_what_the_answers_took(run_pytest: Any, project: Any) -> None:
    run_pytest("-q", "--live", "--junitxml=out.xml")
    cases = ET.parse(project.root / "out.xml").getroot().findall(".//testcase")
    assert [case.get("name") for case in cases] == ["charge", "crash", "spam"]
    properties = {one.get("name"): one.get("value") for one in cases[0].findall(".//property")}
    assert properties == {"cost_usd": "0.000000", "tokens": "30", "calls": "2", "cached": "0", "model": "small"}


def test_tags_are_marks(run_pytest: Any, project: Any) -> None:
    said = run_pytest("-q", "--live", "--strict-markers", "-m", "smoke")
    assert "1 passed, 2 deselected" in said.out


def test_a_mistake_in_a_suite_is_a_collection_error_in_our_words(run_pytest: Any, project: Any) -> None:
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: bgu}")
    said = run_pytest("-q")
    assert said.code == 2
    assert (
        "flow.suite.yaml:12:31: impossible-expectation: 'queue' in the output of 'classify' is never \"bgu\""
        in said.out
    )
    assert "Traceback" not in said.out


def test_the_plugin_is_inert_until_a_suite_is_collected(tmp_path: Path) -> None:
    tmp_path.joinpath("test_nothing.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    assert sorted(name for name in sys.modules if name.partition('.')[0] == 'runner') == "
        "['runner', 'runner.pytest_plugin']\n"
        "    assert not {'jinja2', 'jsonschema', 'httpx', 'rich', 'yaml', 'diskcache'} & set(sys.modules)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "--disable-plugin-autoload", "-p", "runner.pytest_plugin"]
    environ = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    import shutil

    for name in ("workflows", "schemas", "prompts", "data", "cache/recordings"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "runner.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_every_example_has_a_suite() -> None:
    flows = [path for path in (ROOT / "workflows").rglob("*.yaml") if not path.name.endswith(".suite.yaml")]
    assert flows
    assert [path.name for path in flows if not path.with_suffix(".suite.yaml").is_file()] == []


@pytest.mark.slow
def test_the_examples_come_to_the_same_verdicts_by_every_way_and_ask_nothing(examples: Path) -> None:
    ways = {
        "runner": ["runner", "test", "--offline", "-o", "runner.xml"],
        "alone": ["pytest", "workflows", "-q", "-p", "runner.pytest_plugin", "--junitxml=alone.xml"],
        "shared": ["pytest", "workflows", "-q", "-p", "runner.pytest_plugin", "-n", "2", "--junitxml=shared.xml"],
    }
    environ = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"}
    told: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {}
    for name, words in ways.items():
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, cwd=examples, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        told[name] = {
            (case.get("classname", ""), case.get("name", "")): (
                *(one.tag for one in case if one.tag in ("failure", "error", "skipped")),
                *(f"{one.get('value')} calls" for one in case.iter("property") if one.get("name") == "calls"),
            )
            for case in ET.parse(examples / f"{name}.xml").getroot().iter("testcase")
        }
    assert told["runner"] == told["alone"] == told["shared"]
    assert len(told["runner"]) > 25
    assert {ends[-1] for (_, name), ends in told["runner"].items() if name != "thresholds"} == {"0 calls"}


def test_answers_that_no_real_model_gave_say_so() -> None:
    """Whatever is recorded is of the embedded model, or its file names the server that played one."""
    others = [
        path.name
        for path in (ROOT / "cache/recordings").glob("??/*.json")
        if '"dialect":"llama' not in (text := path.read_text(encoding="utf-8").replace(" ", "")[:400000])
        and "alocaltestserver,norealmodel" not in text
        and '"dialect":"tool"' not in text  # what a tool of the project gave
    ]
    assert others == []


def test_a_case_that_a_suite_does_not_have_is_told_in_our_words(run_pytest: Any) -> None:
    said = run_pytest("-q", "flow.suite.yaml::chrage", "flow.suite.yaml::spam")
    assert said.code == 4
    assert (
        "ERROR: unknown-case: flow.suite.yaml has no case 'chrage'\n"
        "  nearest:  charge\n"
        "  fix:      pytest flow.suite.yaml --collect-only\n"
    ) in said.err
    assert "SuiteFile" not in said.out + said.err


def test_a_case_of_a_suite_that_is_wrong_tells_what_is_wrong(run_pytest: Any, project: Any) -> None:
    project.edit("flow.suite.yaml", "{queue: bug}", "{queue: bgu}")
    said = run_pytest("-q", "flow.suite.yaml::crash")
    assert "flow.suite.yaml:12:31: impossible-expectation" in said.out + said.err
    assert "SuiteFile" not in said.out + said.err


def test_what_is_no_suite_is_told_by_pytest_itself(run_pytest: Any) -> None:
    assert "ERROR: file or directory not found: other.suite.yaml" in run_pytest("-q", "other.suite.yaml::crash").err
