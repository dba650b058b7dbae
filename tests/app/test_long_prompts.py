"""What a prompt of some megabytes takes: the whole process, asked and from the cache, beside one with a short prompt."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="how much memory a child held is counted in other units"),
]

LINE = "The road went on past the mill, over the hill and down to the sea; nobody saw it.\n"
WORDS = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=2 + n % 8)) for n in range(20_000)]
LONG = "\n".join(" ".join(random.Random(n).choices(WORDS, k=400)) for n in range(3_000))
FLOW = """
format: 1
inputs: {question: {type: string, default: Where does it end?}}
steps:
  read: {model: box/some-model, prompt: {file: long.md}}
outputs: {said: steps.read.text}
"""
# Its own mark: what a parent counts for a child begins with the memory of the parent, which holds much in a run of all tests.
RUN = """
import re, sys
from pathlib import Path
from runner.cli.main import main
code = main(["run", "flow.yaml", "-q", "--yes"])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""
# At the most: the text of the file, and what is packed of it for the store, which the database holds once more. The
# rendered prompt, the body and the entry are never there as a whole.
MOST_COPIES = 3


def run_in(folder: Path) -> int:
    """The most bytes that the process of a run held."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    assert "In the sea." in done.stdout
    return int(done.stderr.splitlines()[-1]) * 1024


@pytest.fixture
def most_memory(tmp_path: Path, counting_server: Any) -> Callable[[str], list[int]]:
    """The most bytes that a process held that ran a prompt: asked, and from the cache."""
    server = counting_server(lambda *_: counting_server.Answer(text="In the sea."), key="")

    def measure(prompt: str) -> list[int]:
        folder = tmp_path / str(len(prompt))
        folder.mkdir()
        provider = f"{{dialect: openai-chat, base_url: '{server.chat_url}', identity: box, price: free}}"
        (folder / "runner.yaml").write_text(f"providers: {{box: {provider}}}\n", encoding="utf-8")
        (folder / "flow.yaml").write_text(FLOW, encoding="utf-8")
        (folder / "long.md").write_text(prompt + "{{ inputs.question }}\n", encoding="utf-8")
        asked = server.count
        found = [run_in(folder), run_in(folder)]
        assert server.count == asked + 1
        assert server.requests[-1].prompt == prompt + "Where does it end?"
        return found

    return measure


def test_a_long_prompt_is_held_few_times(most_memory: Callable[[str], list[int]]) -> None:
    short, long = most_memory(LINE), most_memory(LONG)
    copies = [round((more - less) / len(LONG), 2) for more, less in zip(long, short, strict=True)]
    assert max(copies) < MOST_COPIES, copies


def test_a_video_is_uploaded_in_pieces_of_which_none_stays(tmp_path: Path, counting_server: Any) -> None:
    server = counting_server(lambda *_: counting_server.Answer(text="In the sea."), key="")

    def most_memory(size: int) -> int:
        folder = tmp_path / str(size)
        folder.mkdir()
        provider = (
            f"{{dialect: gemini, base_url: '{server.base_url}', identity: box, price: free, upload_over_mb: 0.1}}"
        )
        (folder / "runner.yaml").write_text(f"providers: {{box: {provider}}}\n", encoding="utf-8")
        flow = "steps: {look: {model: box/m, prompt: What is this?, files: [{video: a.mp4}]}}\n"
        (folder / "flow.yaml").write_text(flow, encoding="utf-8")
        with (folder / "a.mp4").open("wb") as file:
            file.write(b"\x00\x00\x00\x18ftypisom")
            file.truncate(size)
        return run_in(folder)

    small, large = most_memory(1_000_000), most_memory(100_000_000)
    assert server.count == 2
    assert (large - small) / 1e6 < 40, "pieces of 8 MB, and what the client makes of them"
