"""Standard output is the result and nothing else, whatever functions of the project and their programs write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from runner.cli.console import Console
from runner.cli.settings import Look

FLOW = """
format: 1
steps:
  look: {call: lookup}
outputs: {found: steps.look.output}
"""
SETTINGS = "tools: {lookup: {python: 'noisy:lookup'}}\n"
NOISY = """
import os
import subprocess
import sys


def lookup():
    print("of print")
    os.write(1, b"of the descriptor\\n")
    os.system("echo of a shell")
    subprocess.run([sys.executable, "-c", "print('of a program')"], check=True)
    return 3
"""
NOISE = {"of print", "of the descriptor", "of a shell", "of a program"}


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    (tmp_path / "flow.yaml").write_text(FLOW, encoding="utf-8")
    (tmp_path / "runner.yaml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "noisy.py").write_text(NOISY, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("option", ["", "--jsonl"])
def test_noise_of_a_tool_goes_to_standard_error(noisy: Path, option: str) -> None:
    command = [sys.executable, "-m", "runner", "run", "flow.yaml", *([option] if option else [])]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=noisy, env=environ, capture_output=True, text=True, timeout=60, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert lines[-1]["outputs"] == {"found": 3} if option else lines == [{"found": 3}]
    assert set(done.stderr.splitlines()) >= NOISE


@pytest.fixture
def streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TextIO, TextIO]]:
    """Files in place of the two streams of the process."""
    out, err = ((tmp_path / name).open("w+", encoding="utf-8") for name in ("out", "err"))
    monkeypatch.setattr(sys, "__stdout__", out)
    yield out, err
    out.close()
    err.close()


def said(stream: TextIO) -> str:
    stream.flush()
    return Path(stream.name).read_text(encoding="utf-8")


def test_the_descriptor_is_given_back(streams: tuple[TextIO, TextIO]) -> None:
    out, err = streams
    console = Console(Look(), stdout=out, stderr=err, environ={})
    with console.owning_stdout():
        os.write(out.fileno(), b"noise\n")
        console.report("first")
    os.write(out.fileno(), b"after\n")
    console.report("last")
    assert (said(out), said(err)) == ("first\nafter\nlast\n", "noise\n")


def test_noise_goes_nowhere_without_a_standard_error(streams: tuple[TextIO, TextIO]) -> None:
    out, err = streams
    console = Console(Look(), stdout=out, stderr=err, environ={})
    err.close()
    with console.owning_stdout():
        os.write(out.fileno(), b"noise\n")
        console.report("first")
    assert said(out) == "first\n"


def test_a_reader_that_went_away_stays_away(streams: tuple[TextIO, TextIO]) -> None:
    _, err = streams
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as pipe, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "__stdout__", pipe)
        console = Console(Look(), stdout=pipe, stderr=err, environ={})
        os.close(reading)
        with console.owning_stdout():
            console.report("to nobody")
        console.report("to nobody either")
    assert said(err) == ""


def test_a_stream_that_is_not_the_processs_own_is_left_alone(streams: tuple[TextIO, TextIO]) -> None:
    out, err = streams
    console = Console(Look(), stdout=err, stderr=out, environ={})
    with console.owning_stdout():
        os.write(err.fileno(), b"theirs\n")
    assert (said(out), said(err)) == ("", "theirs\n")
