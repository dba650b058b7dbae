from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.app.codes import codes
from runner.core.problem import Edit, Problem
from runner.core.span import Span

Cli = Callable[..., Any]

ERROR = Problem("unknown-key", "unknown key 'repiar'", Span("workflows/a.yaml", 1, 1, 6), nearest="repair")
WARNING = Problem("unused", "step 'x' is not used", Span("workflows/a.yaml", 2, 1), severity="warning")
SOURCES = {"workflows/a.yaml": "repiar: 1\nx: 2\n"}


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "a.yaml").write_text("steps: {}\n", encoding="utf-8")
    return folder


def test_findings_are_the_result_and_exit_1(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (ERROR, WARNING), SOURCES
    said = cli("check")
    assert said.code == 1
    assert said.out == (
        "workflows/a.yaml:1:1: unknown-key: unknown key 'repiar'\n"
        "    1 | repiar: 1\n"
        "      | ^^^^^^\n"
        "  nearest:  repair\n"
        "\n"
        "workflows/a.yaml:2:1: warning: unused: step 'x' is not used\n"
        "    2 | x: 2\n"
        "      | ^\n"
    )
    assert said.err == "1 error, 1 warning in 1 file · nothing was called\n"


def test_warnings_alone_are_exit_0(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (WARNING,), SOURCES
    said = cli("check")
    assert (said.code, said.err) == (0, "1 warning in 1 file · nothing was called\n")


def test_no_finding_prints_no_result(cli: Cli, app: Any) -> None:
    said = cli("check", "workflows/a.yaml", "--model", "fast=gemini/x")
    assert (said.code, said.out, said.err) == (0, "", "no mistakes in 1 file · nothing was called\n")
    assert app.asked == ({"fast": "gemini/x"},)


@pytest.mark.parametrize("words", [["--json"], ["--format", "json"], ["--format=json"]])
def test_json_is_one_document(cli: Cli, app: Any, words: list[str]) -> None:
    app.problems, app.sources = (ERROR, WARNING), SOURCES
    said = cli("check", *words)
    document = said.document
    assert (said.code, document["exit_code"], document["errors"], document["warnings"]) == (1, 1, 1, 1)
    assert document["files"] == ["workflows/a.yaml"]
    assert document["problems"][0] == {
        "code": "unknown-key",
        "severity": "error",
        "message": "unknown key 'repiar'",
        "file": "workflows/a.yaml",
        "line": 1,
        "column": 1,
        "length": 6,
        "nearest": "repair",
    }


NOTE = Problem("unread-field", "nothing reads 'x'", Span("workflows/a.yaml", 2, 1), severity="note")


def test_notes_are_shown_where_more_is_asked_for(cli: Cli, app: Any) -> None:
    app.notes, app.sources = (NOTE,), SOURCES
    assert cli("check").out == ""
    said = cli("check", "-v")
    assert said.code == 0
    assert said.out == ("workflows/a.yaml:2:1: note: unread-field: nothing reads 'x'\n    2 | x: 2\n      | ^\n")
    assert said.err.endswith("no mistakes in 1 file · nothing was called\n")
    assert [note["severity"] for note in cli("check", "--json").document["notes"]] == ["note"]


def test_github_format_is_annotations(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (ERROR,), SOURCES
    said = cli("check", "--format", "github")
    assert said.out == (
        "::error file=workflows/a.yaml,line=1,col=1,endColumn=6,title=unknown-key"
        "::unknown key 'repiar'%0Anearest: repair\n"
    )


def test_in_a_ci_job_annotations_are_told_beside_the_text(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    app.problems, app.sources = (ERROR,), SOURCES
    said = cli("check")
    assert said.out.startswith("workflows/a.yaml:1:1: unknown-key")
    assert said.err.startswith("::error file=workflows/a.yaml,line=1")


def test_the_default_is_the_workflows_folder_then_the_current_one(
    cli: Cli, app: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("check").code == 0
    assert app.checked == [Path("workflows/a.yaml")]
    monkeypatch.chdir(project)
    assert cli("check").code == 0
    assert app.checked == [Path("a.yaml")]


def test_nothing_found_is_exit_5(cli: Cli, app: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = cli("check", "empty")
    assert (said.code, said.out) == (5, "")
    assert said.err == ("no-workflow: no workflow file was found in 'empty'\n  expected: YAML files with 'steps'\n")


def test_a_file_that_is_missing_is_exit_2_with_the_nearest(cli: Cli, app: Any) -> None:
    said = cli("check", "workflows/aa.yaml")
    assert (said.code, said.err) == (
        2,
        "missing-file: there is no file workflows/aa.yaml\n  nearest:  workflows/a.yaml\n",
    )
    assert cli("check", "nowhere/x.yaml").err == "missing-file: there is no file nowhere/x.yaml\n"


def test_folders_give_workflows_and_suites_and_leave_the_rest(
    cli: Cli, app: Any, project: Path, tmp_path: Path
) -> None:
    files = {
        "workflows/deep/b.yml": "name: b\n'steps':\n  x: {}\n",
        "workflows/misspelt.yaml": "stpes: {}\n",
        "workflows/broken.yaml": ":\n",
        "workflows/shared.yaml": "models: {}\nx-anchor: 1\n",
        "workflows/a.suite.yaml": "cases: {}\n",
        "workflows/more-cases.yaml": "cases: {}\njudges: {}\n",
        "other/b.suite.yml": "workflow: x.yaml\n",
        "other/foreign.suite.yaml": "tests: []\n",
        "other/compose.yaml": "services: {}\n",
        "other/flow.yaml": "# a comment\nsteps: {}\n",
        "other/binary.yaml": "\0\0",
        ".github/workflows/ci.yaml": "steps: {}\n",
        "runner.yaml": "models: {}\n",
        "env/pyvenv.cfg": "",
        "env/x.yaml": "steps: {}\n",
        "node_modules/x.yaml": "steps: {}\n",
        "notes.txt": "steps: {}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "linked").symlink_to(tmp_path / "other")
    (project / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    (tmp_path / "other/gone.suite.yaml").symlink_to(tmp_path / "nowhere.yaml")
    assert cli("check", ".", "workflows/a.yaml").code == 0
    assert [path.as_posix() for path in app.checked] == [
        "other/b.suite.yml",
        "other/flow.yaml",
        "workflows/a.suite.yaml",
        "workflows/a.yaml",
        "workflows/broken.yaml",
        "workflows/deep/b.yml",
        "workflows/gone.yaml",
        "workflows/misspelt.yaml",
    ]


# --- formats and files

FIXABLE = Problem(
    "unknown-key",
    "unknown key 'repiar'",
    Span("workflows/a.yaml", 1, 1, 6),
    nearest="repair",
    edits=(Edit("workflows/a.yaml", 1, 1, "repiar", "repair"),),
)


def test_what_fix_repairs_is_marked_and_counted(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (FIXABLE, WARNING), SOURCES
    said = cli("check")
    assert said.out.split("\n\n")[0].endswith("  nearest:  repair\n  fixable:  runner check --fix")
    assert said.err == "1 error, 1 warning in 1 file (1 fixable) · nothing was called\n"


def test_strict_makes_warnings_exit_1(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (WARNING,), SOURCES
    assert cli("check", "--strict").code == 1
    assert cli("check", "--strict", "--json").document["exit_code"] == 1
    app.problems = ()
    assert cli("check", "--strict").code == 0


def test_json_has_the_edits(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (FIXABLE,), SOURCES
    document = cli("check", "--json").document
    assert document["fixable"] == 1
    assert document["problems"][0]["edits"] == [
        {"file": "workflows/a.yaml", "line": 1, "column": 1, "end_column": 7, "old": "repiar", "new": "repair"}
    ]


def test_sarif_is_a_format(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (FIXABLE, WARNING), SOURCES
    document = cli("check", "--format", "sarif").document
    assert [result["ruleId"] for result in document["runs"][0]["results"]] == ["unknown-key", "unused"]


def test_files_get_the_format_of_their_ending(cli: Cli, app: Any, tmp_path: Path) -> None:
    app.problems, app.sources = (FIXABLE,), SOURCES
    said = cli("check", "-o", "a.txt", "-o", "a.json", "-o", "a.sarif", "-v")
    assert (tmp_path / "a.txt").read_text("utf-8") == said.out + "1 error in 1 file (1 fixable) · nothing was called\n"
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["errors"] == 1
    assert json.loads((tmp_path / "a.sarif").read_text("utf-8"))["version"] == "2.1.0"
    assert said.err.startswith("written: a.txt\nwritten: a.json\nwritten: a.sarif\n")


def test_a_text_file_without_findings_says_so(cli: Cli, app: Any, tmp_path: Path) -> None:
    assert cli("check", "-o", "a.txt").code == 0
    assert (tmp_path / "a.txt").read_text("utf-8") == "no mistakes in 1 file · nothing was called\n"


def test_an_ending_without_a_format_is_exit_2_before_anything_is_read(cli: Cli, app: Any) -> None:
    said = cli("check", "-o", "a.html")
    assert (said.code, said.err) == (
        2,
        "usage: -o: the name of a.html does not say a format\n  expected: a name that ends in .txt, .json, .sarif\n",
    )
    assert app.checked == []


# --- repairs


def test_fix_reports_what_was_repaired_and_what_is_left(cli: Cli, app: Any) -> None:
    app.repaired, app.problems, app.sources = 2, (WARNING,), SOURCES
    said = cli("check", "--fix")
    assert said.code == 0
    assert said.err == ("repaired 2 findings in workflows/a.yaml\n1 warning in 1 file · nothing was called\n")
    assert app.wrote


def test_fix_with_nothing_to_repair_says_nothing_of_it(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (ERROR,), SOURCES
    said = cli("check", "--fix")
    assert (said.code, said.err) == (1, "1 error in 1 file · nothing was called\n")


def test_diff_shows_the_changes_and_writes_nothing(cli: Cli, app: Any) -> None:
    app.repaired, app.diff = 1, "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    said = cli("check", "--diff")
    assert (said.code, said.out) == (0, app.diff)
    assert said.err == "--fix would repair 1 finding · left: no mistakes in 1 file · nothing was called\n"
    assert not app.wrote
    assert cli("check", "--diff", "--json").document["diff"] == app.diff


def test_diff_without_changes_says_so(cli: Cli, app: Any) -> None:
    said = cli("check", "--fix", "--diff")
    assert (said.out, said.err) == ("", "nothing to repair · left: no mistakes in 1 file · nothing was called\n")


# --- codes


def test_explain_tells_one_code_with_an_example(cli: Cli) -> None:
    said = cli("check", "--explain", "bad-name")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "bad-name\n\n"
        "A name has characters that names may not have. Use a letter or _, then letters, digits, _ and -.\n\n"
        "flow.yaml:\n  steps: {my step: {model: local/smollm2-135m, prompt: Hello.}}\n"
    )


def test_explain_says_how_a_code_is_silenced(cli: Cli) -> None:
    last = cli("check", "--explain", "over-the-cap").out.splitlines()[-1]
    assert last == "A comment silences it where it is meant: # runner: ignore[over-the-cap]"


def test_explain_without_a_code_lists_them(cli: Cli) -> None:
    lines = cli("check", "--explain").out.splitlines()
    assert [line.split()[0] for line in lines] == list(codes())
    assert [one["code"] for one in cli("check", "--explain", "--json").document] == list(codes())


def test_explain_as_json(cli: Cli) -> None:
    assert cli("check", "--explain", "auth", "--json").document == {
        "code": "auth",
        "means": "The provider refuses the key, or the key lacks a permission.",
        "way_out": "Set the variable to a valid key, or ask the account's owner for access.",
        "example": {},
        "seen": "run",
        "ignorable": False,
    }


def test_explain_of_an_unknown_code_names_the_nearest(cli: Cli) -> None:
    said = cli("check", "--explain", "bad-nmae")
    assert (said.code, said.err) == (
        2,
        "unknown-code: no finding has the code 'bad-nmae'\n  nearest:  bad-name\n  fix:      runner check --explain\n",
    )


# What a folder stands for


@pytest.fixture
def repository(tmp_path: Path) -> Callable[[str, str], None]:
    """A project with settings, one workflow, a project of its own below, and tests."""

    def put(name: str, text: str = "steps: {}\n") -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    put("runner.yaml", "")
    put("more/flow.yaml")
    put("examples/shop/runner.yaml", "")
    put("examples/shop/workflows/order.yaml")
    put("tests/data/wrong.yaml")
    put("tests/data/wrong.suite.yaml", "workflow: wrong.yaml\ncases: {}\n")
    put("tests/right.suite.yaml", "format: 1\n'workflow': \"../workflows/a.yaml\"\ncases: {}\n")
    put("tests/none.suite.yaml", "cases: {}\n")
    return put


def test_a_folder_stands_for_its_own_project(cli: Cli, app: Any, repository: Callable[[str, str], None]) -> None:
    said = cli("check", ".")
    assert [path.as_posix() for path in app.checked] == ["more/flow.yaml", "tests/right.suite.yaml", "workflows/a.yaml"]
    assert said.err == (
        "left alone: 1 other project, such as examples/shop (name it to check it)\n"
        "left alone: 3 files of tests, such as tests/data/wrong.suite.yaml (name it to check it)\n"
        "no mistakes in 3 files · nothing was called\n"
    )


@pytest.mark.parametrize(
    ("named", "files"),
    [
        ("examples/shop", ["examples/shop/workflows/order.yaml"]),
        ("tests/data", ["tests/data/wrong.suite.yaml", "tests/data/wrong.yaml"]),
        ("tests/data/wrong.yaml", ["tests/data/wrong.yaml"]),
    ],
)
def test_what_is_left_alone_is_checked_where_it_is_named(
    cli: Cli, app: Any, repository: Callable[[str, str], None], named: str, files: list[str]
) -> None:
    said = cli("check", named)
    assert [path.as_posix() for path in app.checked] == files
    assert "left alone" not in said.err


def test_a_folder_without_settings_stands_for_all_that_is_in_it(
    cli: Cli, app: Any, repository: Callable[[str, str], None], tmp_path: Path
) -> None:
    (tmp_path / "runner.yaml").unlink()
    said = cli("check", ".")
    assert len(app.checked) == 7
    assert "left alone" not in said.err


def test_a_link_that_leads_nowhere_is_not_its_own_nearest_name(cli: Cli, app: Any, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").symlink_to("gone.yaml")
    said = cli("check", "flow.yaml")
    assert (said.code, said.err) == (
        2,
        "missing-file: flow.yaml is a link to 'gone.yaml', where there is no file\n",
    )
