"""Many processes on one store: is a question asked once, and can all of them open a new store together?

    uv run python benchmarks/sharing.py                               all of it
    uv run python benchmarks/sharing.py cold --processes 16 --rows 1000    cold rows, all processes the same
    uv run python benchmarks/sharing.py open --processes 50 --rounds 50    a new store, opened by all at once

`cold` counts the requests at a loopback server; `open` counts processes that end with an error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from asking import project, serving, stats_of
from bench import ENVIRON, RUNNER, folder

_OPENER = """
import sys
from pathlib import Path
from runner.store.leases import LocalLeases
from runner.store.local import LocalStore
number, place = sys.argv[1], Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
store, leases = LocalStore(place), LocalLeases(place)
assert leases.claim([number, "all"]) >= {number}
store.put_many({number: b"x", "all": number.encode()})
assert store.get_many([number]) == {number: b"x"}
leases.close()
store.close()
"""


def cold(processes: int, rows: int, latency_s: float) -> bool:
    with serving(latency_s) as port, folder() as root:
        project(root, port, rows)
        command = [*RUNNER, "run", "flow.yaml", "-j", "64", "--no-progress", "-q"]
        started = time.monotonic()
        running = [
            subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRON)
            for _ in range(processes)
        ]
        told = [process.communicate()[1].decode() for process in running]
        seconds = time.monotonic() - started
        asked = stats_of(port)["requests"]
        failed = sum(process.returncode != 0 for process in running)
    print(f"{processes} processes, the same {rows:,} cold rows, {latency_s:g} s latency, {seconds:.1f} s")
    print(f"  requests: {asked:,} (exactly {rows:,} wanted); processes with an error: {failed}")
    for text in {text for text in told if text.strip()}:
        print(f"  said: {text.strip().splitlines()[-1]}")
    return asked == rows and not failed


def opened_together(processes: int, rounds: int) -> bool:
    errors: list[str] = []
    started = time.monotonic()
    with folder() as root:
        for number in range(rounds):
            errors += _round(root / str(number), processes)
    seconds = time.monotonic() - started
    print(f"{processes} processes open a new store at once, {rounds} rounds, {seconds:.1f} s")
    print(f"  processes with an error: {len(errors)} of {processes * rounds:,}")
    for text in sorted({error.strip().splitlines()[-1] for error in errors}):
        print(f"  said: {text}")
    return not errors


def _round(place: Path, processes: int) -> list[str]:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _OPENER, str(number), str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRON,
        )
        for number in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate()[1] for process in running]
    shutil.rmtree(place, ignore_errors=True)
    return [text or "ended without a word" for text, process in zip(told, running, strict=True) if process.returncode]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", nargs="?", choices=("cold", "open"))
    parser.add_argument("--processes", type=int)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--latency", type=float, default=0.05)
    args = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    is_good = True
    if args.part != "open":
        is_good = cold(args.processes or 16, args.rows, args.latency)
    if args.part != "cold":
        is_good = opened_together(args.processes or 50, args.rounds) and is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
