"""The files for CI: what `init --ci github` writes, and the action of this repository. Their scripts are run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.cli.commands.init import CI_FILE
from runner.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Runs a script with bash where `runner` is this tree's, without keys."""
    folder = tmp_path / "bin"
    folder.mkdir()
    folder.joinpath("runner").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    folder.joinpath("runner").chmod(0o755)

    def run(script: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), **more}
        command = ["bash", "-e", "-c", script]
        return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("workflows", "schemas", "prompts", "data", "cache/recordings"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("pyproject.toml", "runner.yaml"):
        shutil.copy(ROOT / name, root)
    return root


def test_init_writes_a_ci_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--ci", "github"]) == 0
    assert CI_FILE in capsys.readouterr().out.splitlines()[0]
    (tmp_path / CI_FILE).write_text("mine")
    assert main(["init", "--ci", "github"]) == 0
    assert CI_FILE in capsys.readouterr().out.splitlines()[0].removeprefix("kept")
    assert (tmp_path / CI_FILE).read_text() == "mine"


def test_without_the_option_no_ci_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert not (tmp_path / ".github").exists()


def jobs(tmp_path: Path) -> Any:
    assert main(["init", str(tmp_path / "new"), "--ci", "github"]) == 0
    return yaml.safe_load((tmp_path / "new" / CI_FILE).read_text())["jobs"]


def test_the_first_job_has_no_secret_and_asks_nothing(tmp_path: Path, shell: Any, examples: Path) -> None:
    job = jobs(tmp_path)["recorded"]
    assert "secrets" not in str(job)
    subprocess.run(["git", "init", "-q"], cwd=examples, check=True)
    subprocess.run(["git", "add", "-A"], cwd=examples, check=True)
    scripts = [step["run"] for step in job["steps"] if "run" in step and "pip" not in step["run"]]
    assert [script.split()[0] for script in scripts] == ["runner", "git", "runner"]
    keep = "hello|invoice"
    for path in examples.joinpath("workflows").rglob("*.yaml"):
        if path.name.partition(".")[0] not in keep.split("|"):
            path.unlink()
    subprocess.run(["git", "add", "-A"], cwd=examples, check=True)
    for script in scripts:
        done = shell(script, examples)
        assert done.returncode == 0, done.stdout + done.stderr
    flow = examples / "workflows/hello.yaml"
    flow.write_text(flow.read_text().replace("{{ inputs.who }}", "{{ inputs.who }}, all of them"))
    assert shell(scripts[1], examples).returncode == 6
    assert shell(scripts[2], examples).returncode == 6


def test_the_second_job_has_a_budget_and_runs_for_no_fork(tmp_path: Path) -> None:
    job = jobs(tmp_path)["live"]
    assert (job["if"], job["needs"]) == ("github.event_name == 'push'", "recorded")
    assert float(job["env"]["RUNNER_MAX_COST"]) == 1
    assert any("runner test --refresh" in step.get("run", "") for step in job["steps"])


# --- the action


@pytest.fixture
def action() -> Any:
    return yaml.safe_load((ROOT / "action.yml").read_text())


def test_the_action_is_a_composite_one_with_all_that_such_one_needs(action: Any) -> None:
    assert {"name", "description", "inputs", "outputs", "runs"} <= action.keys()
    assert action["runs"]["using"] == "composite"
    for one in action["inputs"].values():
        assert one["description"]
        assert isinstance(one["default"], str)
    steps = action["runs"]["steps"]
    for step in steps:
        assert ("run" in step) != ("uses" in step)
        assert "run" not in step or step["shell"] == "bash"
        assert "${{" not in step.get("run", ""), "an input in a script would be code"
    used = str(steps)
    assert all(f"inputs.{name} }}}}" in used for name in action["inputs"])
    ids = {step.get("id") for step in steps}
    assert {one["value"].split(".")[1] for one in action["outputs"].values()} <= ids


def environment(action: Any, **inputs: str) -> dict[str, str]:
    """The variables of the last step, as the service fills them."""
    values = {name: one["default"] for name, one in action["inputs"].items()} | inputs
    return {
        name: values[text.removeprefix("${{ inputs.").removesuffix(" }}")]
        for name, text in action["runs"]["steps"][-1]["env"].items()
    }


@pytest.mark.parametrize(
    ("paths", "code"), [("workflows/hello.suite.yaml workflows/invoice.suite.yaml", 0), ("$(touch owned)", 2)]
)
def test_the_action_tests_offline_and_tells_the_exit_code(
    action: Any, shell: Any, examples: Path, tmp_path: Path, paths: str, code: int
) -> None:
    told = tmp_path / "output"
    environ = environment(action, paths=paths)
    done = shell(action["runs"]["steps"][-1]["run"], examples, GITHUB_OUTPUT=str(told), **environ)
    assert done.returncode == code, done.stderr
    assert told.read_text() == f"exit-code={code}\n"
    assert (examples / "runner-results.xml").exists() is (code == 0)
    assert not list(examples.rglob("owned"))


def test_the_action_asks_when_it_is_told_to(action: Any, shell: Any, examples: Path, tmp_path: Path) -> None:
    environ = environment(action, paths="workflows/invoice.suite.yaml", live="true")
    flow = examples / "workflows/invoice.yaml"
    flow.write_text(flow.read_text().replace("Return this", "Give this"))
    told = tmp_path / "output"
    done = shell(action["runs"]["steps"][-1]["run"], examples, GITHUB_OUTPUT=str(told), **environ)
    assert done.returncode == 2, "there is no key"
    assert "GEMINI_API_KEY" in done.stderr
