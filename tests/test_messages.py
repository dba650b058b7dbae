"""What people read when something is wrong: whole, to the byte, for each mistake in `messages/`.

A case is a small project. `args.txt` holds its command lines (default: `check flow.yaml`), of which the last one is
compared; `env.txt` holds variables. RUNNER_UPDATE_MESSAGES=1 writes what is said now to `expected.txt`, to be read.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

import runner.app.project
from runner.cli.main import main

CASES = Path(__file__).parent / "messages"
KEPT_VARIABLES = ("PATH", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_START")
TODAY = "2026-11-22"
SECONDS = re.compile(r"\b\d+\.\d s\b")


def _commands(case: Path) -> list[str]:
    path = case / "args.txt"
    return path.read_text("utf-8").splitlines() if path.is_file() else ["check flow.yaml"]


def _variables(case: Path) -> dict[str, str]:
    path = case / "env.txt"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return dict(line.split("=", 1) for line in lines)


def _clean_environment(monkeypatch: pytest.MonkeyPatch, home: Path, variables: dict[str, str]) -> None:
    for name in set(os.environ) - set(KEPT_VARIABLES):
        monkeypatch.delenv(name)
    for name, value in {"HOME": str(home), **variables}.items():
        monkeypatch.setenv(name, value)


def _spoken(code: int, out: str, err: str, folder: Path) -> str:
    """The exit code and both streams, each with its name; the run's seconds and this machine's folder are not kept."""
    parts = [f"exit {code}\n"]
    parts += [f"--- {name}\n{text}" for name, text in (("stdout", out), ("stderr", err)) if text]
    return SECONDS.sub("0.0 s", "".join(parts)).replace(str(folder), "PROJECT")


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir() if path.is_dir()))
def test_a_mistake_is_told_in_these_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES / name
    folder = tmp_path / name
    shutil.copytree(case, folder, ignore=shutil.ignore_patterns("expected.txt", "args.txt", "env.txt"))
    is_update = bool(os.environ.get("RUNNER_UPDATE_MESSAGES"))
    _clean_environment(monkeypatch, tmp_path / "home", _variables(case))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(runner.app.project, "today", lambda: TODAY)
    code = 0
    for command in _commands(case):
        capsys.readouterr()
        code = main(shlex.split(command))
    said = _spoken(code, *capsys.readouterr(), folder).replace(str(tmp_path), "FOLDER")
    path = case / "expected.txt"
    if is_update:
        path.write_text(said, "utf-8")
    assert said == path.read_text("utf-8")
