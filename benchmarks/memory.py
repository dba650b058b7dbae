"""Memory and CPU per row as rows grow: asked (answers made in this process), all cached, and planned.

    uv run python benchmarks/memory.py               10,000 and 100,000 rows
    uv run python benchmarks/memory.py 10000 1000000 as many rows as are named
    uv run python benchmarks/memory.py made 10000    answers made into rows, two of each, which are grouped and sorted

Each command is a process of its own; the memory is the most that it held at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROWS = (10_000, 100_000)
RUNNER = [sys.executable, "-m", "runner"]
FLOW = """format: 1
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: scripted/answers.jsonl
    for_each: data.rows
    prompt: "tag {{ item.id }} {{ item.text }}"
    fields: {label: string, size: integer}
outputs:
  count: steps.tag.outputs | length
  tagged: {rows: data.rows, file: out/tagged.jsonl, columns: {id: item.id, label: steps.tag.output.label}}
"""
MADE = """format: 1
data:
  rows: {file: rows.jsonl, key: id}
  themes: {rows: data.rows, each: steps.tag.output.themes, columns: {name: each.name, size: each.size, id: item.id}}
  groups: {rows: data.themes, group: [name, id], columns: {name: item.name, of: item.id, size: "group | sum(attribute='size')"}, sort: [-size, of]}
  names:
    rows: data.themes
    group: name
    columns: {name: item.name, count: group | length, size: "group | sum(attribute='size')"}
    sort: -count
steps:
  tag:
    model: scripted/answers.jsonl
    for_each: data.rows
    prompt: "tag {{ item.id }} {{ item.text }}"
    fields: {themes: [{name: string, size: integer}]}
outputs:
  groups: {rows: data.groups, file: out/groups.jsonl, columns: {name: item.name, of: item.of, size: item.size}}
  names: {rows: data.names, file: out/names.jsonl, columns: {name: item.name, count: item.count, size: item.size}}
"""
MADE_ANSWER = {"answer": {"themes": [{"name": "a", "size": 1}, {"name": "b", "size": 2}]}}
ANSWER = {"answer": {"label": "a", "size": 1}}
# Byte code is written by an ordinary installation; without it every start compiles all modules again.
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Used:
    """What a process took: CPU seconds, and the most memory in MB."""

    cpu_s: float
    most_mb: float


def used_by(command: list[str], folder: Path) -> Used:
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRON)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        reports = "".join(path.read_text() for path in folder.glob(".runner/crash-*"))
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}\n{said.decode()}{reports}")
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def write_project(folder: Path, count: int, *, is_made: bool) -> None:
    (folder / "flow.yaml").write_text(MADE if is_made else FLOW)
    (folder / "runner.yaml").write_text("models: {}\n")
    (folder / "answers.jsonl").write_text(json.dumps(MADE_ANSWER if is_made else ANSWER) + "\n")
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(count):
            file.write(json.dumps({"id": f"r{number}", "text": "some words " * 20}) + "\n")
    with (folder / "more.jsonl").open("w") as file:
        file.write((folder / "rows.jsonl").read_text() + '{"id": "new", "text": "some words"}\n')


def measure(count: int, *, is_made: bool = False) -> dict[str, Used]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    run, plan = [*RUNNER, "run", "flow.yaml", "--no-progress"], [*RUNNER, "plan", "flow.yaml"]
    try:
        write_project(folder, count, is_made=is_made)
        return {
            "plan, nothing stored": used_by(plan, folder),
            "run, all asked": used_by(run, folder),
            "run, all cached": used_by(run, folder),
            "plan, all cached": used_by(plan, folder),
            "plan, one new row: reads the records": used_by([*plan, "--data", "rows=more.jsonl"], folder),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(counts: tuple[int, ...] = ROWS, *, is_made: bool = False) -> None:
    found = {count: measure(count, is_made=is_made) for count in counts}
    first = counts[0]
    print(f"\nmemory and CPU per row; ratios to {first:,} rows")
    for name, base in found[first].items():
        print(f"  {name}")
        for count, by_name in found.items():
            used, per_row = by_name[name], by_name[name].cpu_s / count * 1e6
            memory = f"{used.most_mb:>7.0f} MB {used.most_mb / base.most_mb:>6.2f}x"
            cpu = f"{per_row:>7.0f} us a row {per_row / (base.cpu_s / first * 1e6):>6.2f}x"
            print(f"    {count:>9,} rows {memory} {cpu}")


if __name__ == "__main__":
    main(tuple(int(one) for one in sys.argv[1:] if one != "made") or ROWS, is_made="made" in sys.argv)
