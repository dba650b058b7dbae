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
# At the most: the text of the file, and what is packed of it for the store, which the database holds once more. The
# rendered prompt, the body and the entry are never there as a whole.
MOST_COPIES = 3


@pytest.fixture
def most_memory(tmp_path: Path, counting_server: Any) -> Callable[[str], list[int]]:
    """The most bytes that a process held that ran a prompt: asked, and from the cache."""
    server = counting_server(lambda *_: counting_server.Answer(text="In the sea."), key="")

    def run(folder: Path) -> int:
        command = [sys.executable, "-m", "runner", "run", "flow.yaml", "-q", "--yes"]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert b"In the sea." in process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_maxrss * 1024

    def measure(prompt: str) -> list[int]:
        folder = tmp_path / str(len(prompt))
        folder.mkdir()
        provider = f"{{dialect: openai-chat, base_url: '{server.chat_url}', identity: box, price: free}}"
        (folder / "runner.yaml").write_text(f"providers: {{box: {provider}}}\n", encoding="utf-8")
        (folder / "flow.yaml").write_text(FLOW, encoding="utf-8")
        (folder / "long.md").write_text(prompt + "{{ inputs.question }}\n", encoding="utf-8")
        asked = server.count
        found = [run(folder), run(folder)]
        assert server.count == asked + 1
        assert server.requests[-1].prompt == prompt + "Where does it end?"
        return found

    return measure


def test_a_long_prompt_is_held_few_times(most_memory: Callable[[str], list[int]]) -> None:
    short, long = most_memory(LINE), most_memory(LONG)
    copies = [round((more - less) / len(LONG), 2) for more, less in zip(long, short, strict=True)]
    assert max(copies) < MOST_COPIES, copies
