"""Files of several projects in one `check`: each finding is told, and mended, in its own file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.app import api
from runner.core.problem import render_all

Write = Callable[[str, str], Path]
STEP = "steps:\n  a: {model: local/smollm2-135m, prompt: "


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, text: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    put("one/runner.yaml", "format: 1\n")
    put("two/runner.yaml", "format: 1\n")
    put("two/schemas/old.json", "{}")
    put("two/hello.md", "\nHi {{ inputs.y }}\n")
    return put


def test_places_are_told_from_the_folder_that_holds_all_projects(write: Write) -> None:
    one = write("one/flow.yaml", STEP + '"{{ inputs.x }}"}\n')
    two = write("two/flow.yaml", "\n" + STEP + "{file: hello.md}, samples: 0}\n")
    report = api.check([one, two], folders=[two.parent])
    assert report.files == ("one/flow.yaml", "two/flow.yaml")
    assert render_all(report.problems, report.sources) == (
        "one/flow.yaml:2:53: unknown-input: step 'a' reads input 'x', but no input has that name\n"
        '    2 |   a: {model: local/smollm2-135m, prompt: "{{ inputs.x }}"}\n'
        "      |                                                     ^\n"
        "  fix:      declare 'x' under inputs\n\n"
        "two/flow.yaml:3:69: bad-value: 'samples' of step 'a' cannot be 0\n"
        "    3 |   a: {model: local/smollm2-135m, prompt: {file: hello.md}, samples: 0}\n"
        "      |                                                                     ^\n"
        "  expected: a whole number from 1 to 1000\n\n"
        "two/hello.md:2:14: unknown-input: step 'a' reads input 'y', but no input has that name\n"
        "    2 | Hi {{ inputs.y }}\n"
        "      |              ^\n"
        "  fix:      declare 'y' under inputs\n\n"
        "two/schemas/old.json:1:1: warning: unused-file: no workflow of this project uses the schema schemas/old.json\n"
        "  fix:      name it in a workflow, or delete it"
    )


def test_the_place_that_uses_a_file_is_told_from_there_too(write: Write) -> None:
    write("two/schemas/a.json", "{")
    flow = write("two/flow.yaml", STEP + "x, schema: schemas/a.json}\n")
    (problem,) = api.check([flow, write("one/flow.yaml", STEP + "x}\n")]).problems
    assert problem.span is not None
    assert (problem.span.file, dict(problem.notes)["used by"]) == (
        "two/schemas/a.json",
        "step 'a', two/flow.yaml:2:53",
    )


def test_a_project_inside_another_one_is_told_from_the_outer_one(write: Write, tmp_path: Path) -> None:
    write("runner.yaml", "format: 1\n")
    outer = write("flow.yaml", STEP + '"{{ inputs.x }}"}\n')
    inner = write("one/flow.yaml", STEP + '"{{ inputs.x }}"}\n')
    report = api.check([outer, inner])
    assert [str(problem.span) for problem in report.problems] == ["flow.yaml:2:53", "one/flow.yaml:2:53"]


def test_files_of_one_project_are_told_from_its_root(write: Write) -> None:
    report = api.check([write("one/flow.yaml", STEP + "x}\n"), write("one/sub/flow.yaml", STEP + "x}\n")])
    assert report.files == ("flow.yaml", "sub/flow.yaml")


def test_each_file_is_mended_by_its_own_edits(write: Write) -> None:
    one = write("one/flow.yaml", "steps:\n  a: {model: local/smollm2-135m, promt: Hi}\n")
    two = write("two/flow.yaml", "inputs: {who: {type: string}}\n" + STEP + '"{{ inputs.whoo }}"}\n')
    fixed = api.fix([one, two])
    assert (fixed.repaired, fixed.files) == (2, ("one/flow.yaml", "two/flow.yaml"))
    assert one.read_text("utf-8") == STEP + "Hi}\n"
    assert two.read_text("utf-8").endswith('"{{ inputs.who }}"}\n')
    assert api.fix([one, two]).repaired == 0
