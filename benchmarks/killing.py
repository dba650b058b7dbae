"""A run that is killed again and again: is anything that was received lost, or asked again?

    uv run python benchmarks/killing.py                                all three signals
    uv run python benchmarks/killing.py --signal KILL --times 200 --rows 10000

One project and one server that counts how often it got each question. The run is started, ended by the signal when the
server has seen a random number of questions, and started again as it is, until nothing is left of the times; then it
runs to its end. Printed are: answers that a run had written into its record and that the store does not have; questions
that came again after each end, against those that were in flight; and restarts that said something about damage.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from asking import project, serving
from bench import ENVIRON, RUNNER, folder

from runner.store.local import LocalStore

SIGNALS = {name: getattr(signal, f"SIG{name}") for name in ("KILL", "INT", "TERM")}
SEED = 20_261_122


@dataclass
class Found:
    """What the ends of one signal came to."""

    repeated: list[int] = field(default_factory=list)
    seconds_to_end: list[float] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    complaints: set[str] = field(default_factory=set)


def repeats(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/repeats") as answer:
        found: dict[str, int] = json.load(answer)
    return found


def end_again_and_again(name: str, times: int, rows: int, at_once: int, latency_s: float) -> tuple[Found, bool]:
    found, chance = Found(), random.Random(SEED)
    command = [*RUNNER, "run", "flow.yaml", "-j", str(at_once), "--no-progress"]
    points = sorted(chance.randrange(rows) for _ in range(times))
    with serving(latency_s, "repeats") as port, folder() as root:
        project(root, port, rows)
        for point in points:
            before = repeats(port)
            run = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRON)
            asked = repeats(port)
            while asked["questions"] < point and run.poll() is None:
                time.sleep(0.002)
                asked = repeats(port)
            time.sleep(chance.random() * latency_s)
            _end(run, SIGNALS[name], found)
            found.lost += _lost(root)
            found.repeated.append(_again(before, repeats(port)))
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=ENVIRON, check=False)
        last = repeats(port)
        is_whole = done.returncode == 0 and json.loads(done.stdout) == {"count": rows} and last["questions"] == rows
        found.repeated.append(last["requests"] - last["questions"] - sum(found.repeated))
    return found, is_whole


def _again(before: dict[str, int], after: dict[str, int]) -> int:
    return (after["requests"] - after["questions"]) - (before["requests"] - before["questions"])


def _end(run: subprocess.Popen[bytes], number: signal.Signals, found: Found) -> None:
    started = time.monotonic()
    run.send_signal(number)
    told = run.communicate()[1].decode()
    found.seconds_to_end.append(time.monotonic() - started)
    found.codes[run.returncode] = found.codes.get(run.returncode, 0) + 1
    if "damaged" in told or "Traceback" in told or "lock" in told:
        found.complaints.add(told.strip().splitlines()[-1])


def _lost(root: Path) -> int:
    """Answers of the last run's record that the store does not have."""
    runs = sorted((root / ".runner" / "runs").glob("r*/journal.jsonl"), key=lambda path: path.stat().st_mtime)
    keys: set[str] = set()
    for line in runs[-1].read_bytes().splitlines() if runs else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the last line, torn by the death
        if record.get("event") == "attempt" and record["source"] == "fresh":
            keys.add(record["key"])
    store = LocalStore(root / "cache" / "local")
    try:
        return len(keys) - len(store.get_many(sorted(keys)))
    finally:
        store.close()


def tell(name: str, found: Found, *, is_whole: bool, at_once: int) -> bool:
    repeated = found.repeated
    is_good = is_whole and not found.lost and not found.complaints and max(repeated) <= at_once
    if name != "KILL":
        is_good = is_good and not sum(repeated)
    print(f"SIG{name}, {len(repeated) - 1} times at random points; exit codes {found.codes}")
    print(f"  answers lost: {found.lost}")
    mean, most = statistics.mean(repeated), max(repeated)
    print(
        f"  asked again after an end: {mean:.2f} on average, {most} at most, {sum(repeated)} in all (in flight: {at_once})"
    )
    ends = found.seconds_to_end
    print(f"  seconds to the end: {statistics.median(ends):.2f} in the middle, {max(ends):.2f} at most")
    print(f"  restarts that told of damage: {len(found.complaints)}; the last run was whole: {is_whole}", flush=True)
    for text in found.complaints:
        print(f"    {text}")
    return is_good


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--signal", choices=tuple(SIGNALS))
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.02)
    args = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{args.rows:,} rows, {args.at_once} at once, {args.latency:g} s latency", flush=True)
    # What a shell starts in the background is deaf to SIGINT, and so would be the runs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    is_good = True
    for name in [args.signal] if args.signal else SIGNALS:
        found, is_whole = end_again_and_again(name, args.times, args.rows, args.at_once, args.latency)
        is_good = tell(name, found, is_whole=is_whole, at_once=args.at_once) and is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
