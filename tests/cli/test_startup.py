"""What the process imports, and what it costs to say the version."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from runner.core.version import VERSION

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "cache" / "recordings"
HEAVY = {
    "jinja2",
    "httpx",
    "aiohttp",
    "asyncio",
    "jsonschema",
    "jsonschema_rs",
    "rich",
    "yaml",
    "diskcache",
    "orjson",
    "runner.app",
}
HEAVY_WHEN_CACHED = {
    "asyncio",
    "aiohttp",
    "httpx",
    "uvloop",
    "jsonschema",
    "rich",
    "xllamacpp",
    "pyarrow",
    "opentelemetry",
}
# Nor is anything that belongs to a run, to its record, or to suites.
HEAVY_WHEN_CHECKED = HEAVY_WHEN_CACHED | {
    "diskcache",
    "sqlite3",
    "difflib",
    "html",
    "runner.app.session",
    "runner.app.suites",
    "runner.core.events",
    "runner.core.suite",
    "runner.execute",
    "runner.record",
    "runner.store",
    "runner.suites",
    "runner.transport",
}


def imported(*words: str, cwd: Path) -> set[str]:
    """Modules and their packages that the process imports."""
    command = [sys.executable, "-X", "importtime", "-m", "runner", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    return names | {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_quick_answers_import_nothing_heavy(option: str, tmp_path: Path) -> None:
    names = imported(option, cwd=tmp_path)
    assert names & HEAVY == set()
    assert {name for name in names if name.startswith("runner.core.")} <= {"runner.core.version"}


def test_the_help_of_a_command_imports_nothing_heavy(tmp_path: Path) -> None:
    names = imported("run", "--help", cwd=tmp_path)
    assert names & (HEAVY - {"orjson"}) == set()


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == VERSION


@pytest.mark.skipif(not any(RECORDINGS.glob("*/*.json")), reason="needs the recorded example")
def test_a_cached_run_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    for name in ("workflows", "prompts", "schemas", "data", "cache/recordings"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "pyproject.toml").touch()
    names = imported("run", "workflows/hello.yaml", "--offline", cwd=tmp_path)
    assert names & HEAVY_WHEN_CACHED == set()


def test_a_check_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(
        "data: {rows: {file: rows.jsonl, schema: {properties: {id: {type: string}}}}}\n"
        "steps:\n"
        "  tag: {model: gemini/gemini-3.1-flash-lite, for_each: data.rows, prompt: 'Tag {{ item.id }}', fields: {a: [x, y]}}\n"
    )
    (tmp_path / "rows.jsonl").write_text('{"id": "a"}\n')
    names = imported("check", "flow.yaml", cwd=tmp_path)
    assert "runner.checks.references" in names
    assert names & HEAVY_WHEN_CHECKED == set()
