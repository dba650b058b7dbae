"""A process that is killed while it writes a table leaves the old file or the new one, never a part of one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet as pq

NAMES = ("t.jsonl", "t.csv", "t.parquet")
ROWS = 3000
WRITER = f"""
import sys
from pathlib import Path
from runner.rows.write import open_table
for turn in range(10_000):
    for name in sys.argv[1:]:
        with open_table(Path(name), ("turn", "text"), {{}}) as table:
            for number in range({ROWS}):
                table.write({{"turn": turn, "text": "x" * 50}})
    print(turn, flush=True)
"""


def rows_in(path: Path) -> list[int]:
    """The turn that each row is of."""
    match path.suffix:
        case ".jsonl":
            return [json.loads(line)["turn"] for line in path.read_text().splitlines()]
        case ".csv":
            header, *lines = path.read_text().splitlines()
            assert header == "turn,text"
            return [int(line.partition(",")[0]) for line in lines]
        case _:
            return [int(turn) for turn in pq.read_table(path).column("turn").to_pylist()]


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", NAMES)
def test_a_killed_writer_leaves_whole_files(tmp_path: Path, killed_at: str) -> None:
    paths = [tmp_path / name for name in NAMES]
    command = [sys.executable, "-c", WRITER, *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # a first turn is done, and the files are there
        while not list(tmp_path.glob(f".{killed_at}.*.part")):
            pass  # until it is just building this one
        process.send_signal(signal.SIGKILL)
    for path in paths:
        turns = rows_in(path)
        assert (len(turns), len(set(turns))) == (ROWS, 1)
