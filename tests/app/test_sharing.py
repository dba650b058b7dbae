"""Processes that share a store, by the benchmark that measures it, as small as it still means something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "sharing.py"


def measure(*words: str) -> str:
    done = subprocess.run([sys.executable, str(BENCHMARK), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_processes_that_run_the_same_rows_at_once_ask_each_question_once() -> None:
    told = measure("cold", "--processes", "4", "--rows", "120", "--latency", "0.1")
    assert "requests: 120 (exactly 120 wanted); processes with an error: 0\n" in told


@pytest.mark.slow
def test_processes_that_open_a_new_store_at_once_all_come_in() -> None:
    assert "processes with an error: 0 of 24\n" in measure("open", "--processes", "12", "--rounds", "2")
