"""Speed of the whole program, as ratios to a baseline that is measured in the same run.

    uv run python benchmarks/bench.py            all
    uv run python benchmarks/bench.py start      start-up of whole processes
    uv run python benchmarks/bench.py check-ten  ten workflow files, checked
    uv run python benchmarks/bench.py check-large  one workflow of 2,000 lines, checked
    uv run python benchmarks/bench.py cached     a rerun from the cache
    uv run python benchmarks/bench.py plan       a plan over cached rows, and its memory
    uv run python benchmarks/bench.py memory     memory and CPU per row as rows grow (benchmarks/memory.py, for more rows)
    uv run python benchmarks/bench.py asked      rows that are asked, against a bare httpx loop

Times are CPU seconds of the process (user and system), medians of interleaved rounds: on a shared machine the wall
clock says more about the neighbours. Nothing here is a test.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from large import large_workflow
from memory import main as bench_memory

REPOSITORY = Path(__file__).parent.parent
ROUNDS = 5
CACHED_ROWS = 5000
ASKED_ROWS = 1000
IN_FLIGHT = 32

LANE = """format: 1
data: {{rows: {{file: rows.jsonl, key: id}}}}
steps:
  tag:
    model: {model}
    for_each: data.rows
    prompt: "tag {{{{ item.id }}}} {{{{ item.text }}}}"
    fields: {{label: string, size: integer}}
outputs:
  count: steps.tag.outputs | length
"""
ANSWER = {"label": "a", "size": 1}


def cpu_of(command: list[str], folder: Path) -> float:
    """CPU seconds of a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRON)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


# Byte code is written by an ordinary installation; without it every start compiles all modules again.
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
RUNNER = [sys.executable, "-m", "runner"]


def interleaved(cases: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median of each case, the rounds of all cases taken in turn."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, measure in cases.items():
            found[name].append(measure())
    return {name: statistics.median(values) for name, values in found.items()}


def table(title: str, rows: dict[str, float], per: int = 1, unit: str = "ms") -> None:
    """All rows as ratios to the first."""
    base = next(iter(rows.values()))
    scale = {"ms": 1e3, "us": 1e6}[unit]
    print(f"\n{title}")
    for name, value in rows.items():
        print(f"  {name:<44} {value / per * scale:>9.1f} {unit}   {value / base:>6.2f}x")


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_rows(path: Path, count: int) -> None:
    with path.open("w") as file:
        for number in range(count):
            file.write(json.dumps({"id": f"r{number}", "text": "some words " * 20}) + "\n")


def bench_start() -> None:
    with folder() as root:
        for name in ("workflows", "schemas", "prompts", "data", "cache/recordings"):
            shutil.copytree(REPOSITORY / name, root / name)
        shutil.copy(REPOSITORY / "runner.yaml", root)
        cases = {
            "bare interpreter (python -c pass)": [sys.executable, "-c", "pass"],
            "runner --version": [*RUNNER, "--version"],
            "runner check workflows/": [*RUNNER, "check", "workflows/"],
            "runner run hello.yaml, one recorded answer": [*RUNNER, "run", "workflows/hello.yaml"],
        }
        for command in cases.values():
            cpu_of(command, root)
        table(
            "start-up, CPU of the whole process",
            interleaved({name: lambda command=command: cpu_of(command, root) for name, command in cases.items()}),
        )


READ_YAML = "import sys, yaml; [yaml.load(open(name), yaml.CSafeLoader) for name in sys.argv[1:]]"


def against_yaml(title: str, names: list[str], root: Path) -> None:
    """The check of some files beside reading the same files with PyYAML's C loader, which only builds dicts."""
    cases = {
        "bare interpreter (python -c pass)": [sys.executable, "-c", "pass"],
        "PyYAML's C loader over the same files": [sys.executable, "-c", READ_YAML, *names],
        "runner --version": [*RUNNER, "--version"],
        title: [*RUNNER, "check", *names],
    }
    for command in cases.values():
        cpu_of(command, root)
    found = interleaved({name: lambda command=command: cpu_of(command, root) for name, command in cases.items()})
    table(f"{title}, CPU of the whole process", found)


def bench_check_ten() -> None:
    with folder() as root:
        corpus = REPOSITORY / "tests" / "checks" / "correct"
        for name in ("data", "prompts", "schemas"):
            shutil.copytree(corpus / name, root / name)
        # The models of the corpus are those of its tests.
        (root / "runner.yaml").write_text("providers: {me: {dialect: scripted, file: answers.jsonl}}\n")
        (root / "answers.jsonl").write_text('{"answer": "yes"}\n')
        chosen = sorted(corpus.glob("*.yaml"))[::5][:10]
        for path in chosen:
            shutil.copy(path, root / path.name)
        against_yaml("check of ten files", [path.name for path in chosen], root)


def bench_check_large() -> None:
    with folder() as root:
        (root / "runner.yaml").write_text("models: {}\n")
        (root / "contracts.jsonl").write_text('{"id": "c1", "text": "a contract", "year": 2020}\n')
        text = large_workflow()
        (root / "large.yaml").write_text(text)
        against_yaml(f"check of one file of {text.count(chr(10)):,} lines", ["large.yaml"], root)


BARE_CACHED = """
import hashlib, json, sqlite3
db = sqlite3.connect("bare.db")
with open("rows.jsonl") as rows:
    for line in rows:
        row = json.loads(line)
        body = json.dumps({"messages": [{"role": "user", "content": "tag " + row["id"] + " " + row["text"]}]})
        key = hashlib.sha256(body.encode()).digest()
        found = db.execute("SELECT value FROM answers WHERE key = ?", (key,)).fetchone()
        answer = json.loads(found[0])
        assert isinstance(answer["label"], str)
"""


def bench_cached() -> None:
    with folder() as root:
        write_rows(root / "rows.jsonl", CACHED_ROWS)
        (root / "flow.yaml").write_text(LANE.format(model="scripted/answers.jsonl"))
        (root / "answers.jsonl").write_text(json.dumps({"answer": ANSWER}) + "\n")
        (root / "bare.py").write_text(BARE_CACHED)
        fill_bare(root)
        bare, ours = [sys.executable, "bare.py"], [*RUNNER, "run", "flow.yaml"]
        cpu_of(ours, root)
        (root / "one.jsonl").write_text((root / "rows.jsonl").read_text().split("\n")[0] + "\n")
        start = [*RUNNER, "run", "flow.yaml", "--data", "rows=one.jsonl"]
        found = interleaved(
            {
                "bare loop: json, sha256, sqlite3, no checks": lambda: cpu_of(bare, root),
                "runner, whole process": lambda: cpu_of(ours, root),
                "runner, one row (what a start costs)": lambda: cpu_of(start, root),
            }
        )
        table(f"cached rerun of {CACHED_ROWS} rows, CPU per row", found, CACHED_ROWS, "us")
        walking = found["runner, whole process"] - found["runner, one row (what a start costs)"]
        print(f"  rows per CPU second, without the start: {CACHED_ROWS / walking:,.0f}")


PLANNED_ROWS = 10_000


def memory_of(command: list[str], folder: Path) -> float:
    """The most memory that a whole process held, in MB."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRON)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024


def bench_plan() -> None:
    with folder() as root:
        write_rows(root / "rows.jsonl", PLANNED_ROWS)
        (root / "flow.yaml").write_text(LANE.format(model="scripted/answers.jsonl"))
        (root / "answers.jsonl").write_text(json.dumps({"answer": ANSWER}) + "\n")
        (root / "bare.py").write_text(BARE_CACHED)
        fill_bare(root)
        for _ in range(3):  # the records of earlier runs, which explain a miss
            cpu_of([*RUNNER, "run", "flow.yaml"], root)
        rows = (root / "rows.jsonl").read_text()
        (root / "less.jsonl").write_text("".join(rows.splitlines(keepends=True)[: PLANNED_ROWS // 10]))
        (root / "more.jsonl").write_text(rows + json.dumps({"id": "new", "text": "some words"}) + "\n")
        bare, ours = [sys.executable, "bare.py"], [*RUNNER, "plan", "flow.yaml"]
        less, more = ([*ours, "--data", f"rows={name}.jsonl"] for name in ("less", "more"))
        found = interleaved(
            {
                "bare loop: json, sha256, sqlite3, no checks": lambda: cpu_of(bare, root),
                "runner plan, whole process": lambda: cpu_of(ours, root),
                "runner plan, a tenth of the rows": lambda: cpu_of(less, root),
                "runner plan, one new row: reads all records": lambda: cpu_of(more, root),
            }
        )
        table(f"plan over {PLANNED_ROWS} cached rows, CPU", found)
        few, all_rows = memory_of(less, root), memory_of(ours, root)
        print(f"  memory: {few:.0f} MB for a tenth of the rows, {all_rows:.0f} MB for all, {all_rows / few:.2f}x")


def fill_bare(root: Path) -> None:
    with sqlite3.connect(root / "bare.db") as db:
        db.execute("CREATE TABLE answers (key BLOB PRIMARY KEY, value BLOB)")
        for line in (root / "rows.jsonl").open():
            row = json.loads(line)
            body = json.dumps({"messages": [{"role": "user", "content": "tag " + row["id"] + " " + row["text"]}]})
            db.execute(
                "INSERT INTO answers VALUES (?, ?)", (hashlib.sha256(body.encode()).digest(), json.dumps(ANSWER))
            )


class Listener(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


class Server(BaseHTTPRequestHandler):
    """Answers at once; its own CPU is not counted, since it runs in this process and the loops in others."""

    protocol_version = "HTTP/1.1"
    choice: ClassVar = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": json.dumps(ANSWER)},
    }
    reply = json.dumps(
        {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}
    ).encode()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.reply)))
        self.end_headers()
        self.wfile.write(self.reply)

    def log_message(self, *_: object) -> None: ...


BARE_ASKED = """
import asyncio, json, sys
import httpx
async def main():
    gate = asyncio.Semaphore({in_flight})
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        async def one(row):
            async with gate:
                content = "tag " + row["id"] + " " + row["text"]
                body = {{"model": "m", "messages": [{{"role": "user", "content": content}}]}}
                answer = (await client.post("{url}/chat/completions", json=body)).json()
                return json.loads(answer["choices"][0]["message"]["content"])
        rows = [json.loads(line) for line in open("rows.jsonl")]
        await asyncio.gather(*map(one, rows))
asyncio.run(main())
"""


def bench_asked() -> None:
    server = Listener(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    with folder() as root:
        write_rows(root / "rows.jsonl", ASKED_ROWS)
        (root / "flow.yaml").write_text(LANE.format(model="box/m"))
        (root / "runner.yaml").write_text(
            f'providers: {{box: {{dialect: openai-chat, base_url: "{url}", price: free}}}}\n'
        )
        (root / "bare.py").write_text(BARE_ASKED.format(url=url, in_flight=IN_FLIGHT))
        bare = [sys.executable, "bare.py"]
        ours = [*RUNNER, "run", "flow.yaml", "-j", str(IN_FLIGHT), "--no-progress"]

        def asked() -> float:
            shutil.rmtree(root / "cache", ignore_errors=True)
            return cpu_of(ours, root)

        found = interleaved(
            {"bare httpx loop, nothing checked or kept": lambda: cpu_of(bare, root), "runner, everything": asked}, 3
        )
        table(f"{ASKED_ROWS} rows asked, {IN_FLIGHT} in flight, no latency: CPU per row", found, ASKED_ROWS, "us")
    server.shutdown()


def main() -> None:
    parts = {
        "start": bench_start,
        "check-ten": bench_check_ten,
        "check-large": bench_check_large,
        "cached": bench_cached,
        "plan": bench_plan,
        "memory": bench_memory,
        "asked": bench_asked,
    }
    wanted = sys.argv[1:] or list(parts)
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in wanted:
        parts[name]()


if __name__ == "__main__":
    main()
