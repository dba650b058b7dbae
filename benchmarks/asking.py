"""Rows that are asked: what one costs beside loops that do nothing else, and how many are in flight.

    uv run python benchmarks/asking.py             both
    uv run python benchmarks/asking.py cost        2,000 rows, no latency, 64 at once: CPU per row
    uv run python benchmarks/asking.py volume      10,000 rows, 1 s latency, 1,000 in flight: part of the ideal

The server is `loopback.py` in a process of its own; its ceiling is printed first. Nothing here is a test.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import ENVIRON, LANE, RUNNER, cpu_of, folder, interleaved, table, write_rows
from clients import CLIENTS, HEAD, RUN

HERE = Path(__file__).parent
COST_ROWS, COST_AT_ONCE = 2000, 64
VOLUME_ROWS, VOLUME_AT_ONCE, LATENCY_S = 10_000, 1000, 1.0

_BARE = """
import asyncio, json
async def main():
    gate = asyncio.Semaphore({at_once})
    async def one(row):
        async with gate:
            answer = await ask("tag " + row["id"] + " " + row["text"])
            return json.loads(answer)
{client}
    rows = [json.loads(line) for line in open("rows.jsonl")]
    await asyncio.gather(*map(one, rows))
asyncio.run(main())
"""
_AIOHTTP = """
    import aiohttp
    client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async def ask(content):
        body = {{"model": "m", "messages": [{{"role": "user", "content": content}}]}}
        async with client.post("{url}/chat/completions", json=body) as response:
            return (await response.json())["choices"][0]["message"]["content"]
"""
_OPENAI = """
    import openai
    client = openai.AsyncOpenAI(base_url="{url}", api_key="none")
    async def ask(content):
        messages = [{{"role": "user", "content": content}}]
        return (await client.chat.completions.create(model="m", messages=messages)).choices[0].message.content
"""


@contextlib.contextmanager
def serving(latency_s: float = 0.0, *more: str) -> Iterator[int]:
    command = [sys.executable, str(HERE / "loopback.py"), str(latency_s), *more]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()


def stats_of(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats") as answer:
        found: dict[str, int] = json.load(answer)
    return found


def project(root: Path, port: int, rows: int) -> None:
    write_rows(root / "rows.jsonl", rows)
    (root / "one.jsonl").write_text((root / "rows.jsonl").read_text().split("\n")[0] + "\n")
    (root / "flow.yaml").write_text(LANE.format(model="box/m"))
    url = f"http://127.0.0.1:{port}/v1"
    (root / "runner.yaml").write_text(f'providers: {{box: {{dialect: openai-chat, base_url: "{url}", price: free}}}}\n')


def print_ceiling(port: int, at_once: int, requests: int) -> None:
    code = (HEAD + CLIENTS["bare protocol"] + RUN[""]).format(port=port, at_once=at_once, requests=requests)
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    seconds = time.monotonic() - started
    print(f"\nceiling of the server, asked by a bare protocol: {requests / seconds:,.0f} requests/s")


def bench_cost() -> None:
    with serving() as port, folder() as root:
        project(root, port, COST_ROWS)
        print_ceiling(port, COST_AT_ONCE, 20_000)
        url = f"http://127.0.0.1:{port}/v1"
        commands: dict[str, list[str]] = {}
        for name, client in {"bare aiohttp loop": _AIOHTTP, "bare openai SDK loop": _OPENAI}.items():
            file = root / f"bare_{name.split()[1]}.py"
            file.write_text(_BARE.format(at_once=COST_AT_ONCE, client=client.format(url=url)))
            commands[name] = [sys.executable, file.name]
        ours = [*RUNNER, "run", "flow.yaml", "-j", str(COST_AT_ONCE), "--no-progress"]
        commands["runner: checked, kept, recorded"] = ours
        commands["runner, one row (what a start costs)"] = [*ours, "--data", "rows=one.jsonl"]

        def cold(command: list[str]) -> float:
            for name in ("cache", ".runner"):
                shutil.rmtree(root / name, ignore_errors=True)
            return cpu_of(command, root)

        cold(ours)
        found = interleaved({name: lambda command=command: cold(command) for name, command in commands.items()})
        table(f"{COST_ROWS} rows, {COST_AT_ONCE} at once, no latency: CPU per row", found, COST_ROWS, "us")


def bench_volume() -> None:
    with serving(LATENCY_S) as port, folder() as root:
        project(root, port, VOLUME_ROWS)
        print_ceiling(port, VOLUME_AT_ONCE, VOLUME_AT_ONCE * 3)
        ours = [*RUNNER, "run", "flow.yaml", "-j", str(VOLUME_AT_ONCE), "--no-progress"]
        stats_of(port)
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(ours, cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRON)
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        stats = stats_of(port)
        ideal_s = VOLUME_ROWS / VOLUME_AT_ONCE * LATENCY_S
        print(f"\n{VOLUME_ROWS:,} rows, {VOLUME_AT_ONCE:,} at once, {LATENCY_S:g} s latency")
        print(f"  the server saw {stats['requests']:,} requests, at most {stats['highest']:,} at once")
        print(
            f"  whole process {seconds:.1f} s, ideal {ideal_s:.1f} s: {ideal_s / seconds:.1%} of the ideal throughput"
        )
        print(f"  CPU {cpu_s:.1f} s, memory at most {after.ru_maxrss / 1024:.0f} MB")


def main() -> None:
    parts = {"cost": bench_cost, "volume": bench_volume}
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in sys.argv[1:] or list(parts):
        parts[name]()


if __name__ == "__main__":
    main()
