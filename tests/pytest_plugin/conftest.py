"""A project with a suite whose model answers from a local server that counts."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from runner.cli.main import main

WORKFLOW = """\
format: 1
models: {fast: box/small}
inputs:
  ticket: {type: string}
  tone: {type: string, default: friendly}
defaults: {model: fast}
steps:
  classify:
    prompt: "Which queue? {{ inputs.ticket }}"
    fields: {queue: [bug, billing, how-to, other], sure: number 0..1}
  reply:
    when: steps.classify.output.queue != "other"
    prompt: "Answer {{ inputs.tone }} from {{ steps.classify.output.queue }}"
outputs:
  queue: steps.classify.output.queue
  reply: steps.reply.text | default("(none)")
"""
SUITE = """\
format: 1
workflow: flow.yaml
cases:
  charge:
    with: {ticket: charged twice}
    expect:
      steps.classify: {queue: billing}
  crash:
    with: {ticket: the app crashes}
    tags: [smoke]
    expect:
      steps.classify: {queue: bug}
  spam:
    with: {ticket: a free phone}
    expect: {status: {steps.reply: skipped}}
"""


def answer_to(prompt: str) -> str:
    """What the model says."""
    if prompt.startswith("Which"):
        words = {"charged": "billing", "crashes": "bug", "how": "how-to"}
        queue = next((queue for word, queue in words.items() if word in prompt), "other")
        return orjson.dumps({"queue": queue, "sure": 0.9}).decode()
    return f"Dear customer, {prompt.rpartition(' ')[2]} will help."


@dataclass
class Said:
    code: int
    out: str
    err: str


@dataclass
class Project:
    """`test` runs `runner test`; `asked` lists the prompts that the server was asked since."""

    root: Path
    server: Any
    Answer: Any
    special: dict[str, Any] = field(default_factory=dict)

    def respond(self, _dialect: str, body: Any, _n: int) -> Any:
        prompt = body["messages"][-1]["content"].split("\n")[0]
        found = self.special.get(prompt)
        if found is not None:
            return found(body) if callable(found) else found
        return self.Answer(text=answer_to(prompt))

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def suite(self, text: str) -> Path:
        return self.write("flow.suite.yaml", text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        self.write(name, text.replace(old, new))

    def test(self, *words: str) -> Said:
        self.server.forget()
        out, err = io.StringIO(), io.StringIO()
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = out, err
        try:
            with chdir(self.root):
                code = main(["test", *words])
        finally:
            sys.stdout, sys.stderr = streams
        return Said(code, out.getvalue(), err.getvalue())

    @property
    def asked(self) -> list[str]:
        return [request.prompt.split("\n")[0] for request in self.server.requests]


@pytest.fixture
def project(tmp_path: Path, counting_server: Any, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in [name for name in os.environ if name.startswith("RUNNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    made = Project(tmp_path, None, counting_server.Answer)
    made.server = counting_server(made.respond, key="")
    made.write(
        "runner.yaml",
        f'providers:\n  box: {{dialect: openai-chat, base_url: "{made.server.chat_url}", price: free, identity: box}}\n',
    )
    made.write("flow.yaml", WORKFLOW)
    made.suite(SUITE)
    return made


@pytest.fixture
def run_pytest(project: Project) -> Callable[..., Said]:
    """Plain pytest in the project, in a process of its own."""
    import subprocess

    def run(*words: str) -> Said:
        project.server.forget()
        command = [sys.executable, "-m", "pytest", "-p", "runner.pytest_plugin", *words]
        # The tests' own folder must be found first, wherever the package is installed from.
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTEST_ADDOPTS": ""}
        done = subprocess.run(command, cwd=project.root, env=environ, capture_output=True, text=True, check=False)
        return Said(done.returncode, done.stdout, done.stderr)

    return run
