"""Everything the README and the documents show is run: commands, workflows, Python.

Comments before a block say what a reader need not see: `<!-- file: NAME -->` writes the block to that file first,
`<!-- continues -->` adds it to the YAML block before, `<!-- from: NAME -->` says that its lines are those of a file, in
their order, `<!-- exit: N -->` is the exit code of its commands.
The embedded model is played by answers that it gave (tests/documents/recordings).
"""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from runner.app.keeping import scrub
from runner.cli.main import main
from runner.config.load import load_settings, load_values
from runner.config.step_grammar import STEP
from runner.config.workflow_grammar import WORKFLOW
from runner.core.canonical import Json
from runner.core.model import Route
from runner.core.request import Request
from runner.store.recordings import Recordings
from runner.transport import script
from runner.transport.secrets import WELL_KNOWN
from runner.transport.wire_direct import DirectWire

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = ("workflows", "schemas", "prompts", "data", "cache/recordings", "pyproject.toml", "runner.yaml")
KINDS = ("sh", "console", "yaml", "json", "jsonl", "python", "text", "jinja")
SET_UP = (
    "uv run pytest -n auto",
    "python3 -m venv .venv && .venv/bin/pip install '.[local]'",
    ".venv/bin/runner models pull local/smollm2-135m",
)
NEEDS_A_KEY = "gemini/"

_FENCE = re.compile(r"(?P<comments>(?:<!--.*?-->\n)*)^```(?P<kind>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (?P<word>\w+)(?:: (?P<value>.*?))? -->")


@dataclass(frozen=True)
class Block:
    """One fenced block and the comments before it."""

    document: str
    line: int
    kind: str
    text: str
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


def blocks_of(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    found = []
    for match in _FENCE.finditer(text):
        notes = {note["word"]: note["value"] or "" for note in _COMMENT.finditer(match["comments"])}
        line = text.count("\n", 0, match.start("kind")) + 1
        found.append(Block(name, line, match["kind"], match["text"], notes))
    return found


def named(documents: list[Path]) -> list[Any]:
    return [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in documents]


# --- a copy of the repository in which the model is played


@dataclass
class Copy:
    """The repository's examples in a folder of their own, and what was said there last."""

    folder: Path
    yaml: str = ""
    counter: int = 0

    def run(self, command: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
        """The exit code, and both streams as a person sees them: the result indented, in the order of writing."""
        said = Shown()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", said)
            patch.setattr(sys, "stderr", Silent(said))
            code = main(shlex.split(command)[1:])
        return code, said.getvalue()


class Shown(io.StringIO):
    """Standard output that a person reads."""

    def isatty(self) -> bool:
        return True


class Silent(io.TextIOBase):
    """Standard error that writes to the same page, without colour and without a live block."""

    def __init__(self, page: io.StringIO) -> None:
        self._page = page

    def write(self, text: str) -> int:
        return self._page.write(text)


class Player:
    """The embedded model: what it really answered, else something that fits the schema that was sent."""

    def __init__(self) -> None:
        self._answers = Recordings(ROOT / "tests/documents/recordings", scrub)

    async def send(self, _route: Route, request: Request, *, timeout_s: float) -> bytes:
        found = self._answers.get_many([request.key])
        return found[request.key].payload if found else chat_answer(json.loads(bytes(request.body)))

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Callable[[str], None]) -> bytes:
        answer = await self.send(route, request, timeout_s=timeout_s)
        hear(json.loads(answer)["choices"][0]["message"]["content"])
        return answer

    async def aclose(self) -> None:
        """Nothing is held."""


def chat_answer(body: Json) -> bytes:
    form = body.get("response_format")
    content = json.dumps(sample_of(form["json_schema"]["schema"])) if form else "Some words."
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}).encode()


def sample_of(schema: Json) -> Json:
    """The smallest value of the schemas in these documents."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: sample_of(inner) for name, inner in schema["properties"].items()}
        case "array":
            return [sample_of(schema["items"])]
        case "integer" | "number":
            return schema.get("maximum", 1)
        case "boolean":
            return True
        case _:
            return "words"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    folder = make_copy(tmp_path / "copy")
    monkeypatch.chdir(folder)
    clean_environment(tmp_path, monkeypatch)
    monkeypatch.setattr("runner.app.transports.not_ready", not_ready_without_weights)
    real = transports_of()
    monkeypatch.setattr("runner.app.transports.make_transport", lambda *given: Played(real(*given)))
    return Copy(folder)


def make_copy(folder: Path, shown: tuple[str, ...] = SHOWN) -> Path:
    for name in shown:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    return folder


def clean_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("RUNNER_", "XDG_")) or name in (*WELL_KNOWN, "GITHUB_ACTIONS", "FORCE_COLOR", "BOX_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))


def transports_of() -> Any:
    from runner.app import transports

    return transports.make_transport


def not_ready_without_weights(route: Route, secrets: Any, _options: Any, _project: Any) -> Any:
    return None if route.provider.dialect in ("llama", "tool") else secrets.check(route.provider)


class Played:
    """The real transports, with the model played."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._player = Player()

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        chosen = self._player if request.dialect == "llama" else self._real
        answer: bytes = await chosen.send(route, request, timeout_s=timeout_s)
        return answer

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Callable[[str], None]) -> bytes:
        chosen = self._player if request.dialect == "llama" else self._real
        answer: bytes = await chosen.stream(route, request, timeout_s=timeout_s, hear=hear)
        return answer

    async def aclose(self) -> None:
        await self._real.aclose()


# --- running the blocks


@pytest.mark.parametrize("path", named(DOCUMENTS))
def test_every_block_of_a_document_works(path: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in blocks_of(path):
        assert block.kind in KINDS, f"{block.place}: a block of kind '{block.kind}'"
        if "file" in block.notes:
            target = copy.folder / block.notes["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        if "from" in block.notes:
            lines = iter((ROOT / block.notes["from"]).read_text(encoding="utf-8").splitlines())
            strange = [line for line in block.text.splitlines() if line and line not in lines]
            assert not strange, f"{block.place}: {block.notes['from']} has other lines than {strange}"
        match block.kind:
            case "sh":
                run_commands(block, copy, monkeypatch)
            case "console":
                run_session(block, copy, monkeypatch)
            case "yaml":
                check_yaml(block, copy, monkeypatch)
            case "json":
                json.loads(block.text)
            case "jsonl":
                script.read_script(block.text.encode(), block.place)
            case "python":
                exec(compile(block.text, block.place, "exec"), {"__name__": "documents"})


def run_commands(block: Block, copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [line for line in block.text.splitlines() if line and not line.startswith("#")]
    if not set(commands).isdisjoint(SET_UP):
        # What installs is not run here; the sessions below it are.
        assert all(command in SET_UP or plain_command(command, block) for command in commands)
        return
    for command in commands:
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            monkeypatch.setenv(name, value)
            continue
        plain = plain_command(command, block)
        if NEEDS_A_KEY in plain:
            plain = plain.replace("runner run", "runner check")
        code, said = copy.run(plain, monkeypatch)
        assert code == int(block.notes.get("exit", "0")), f"{block.place}: {command}\n{said}"


def plain_command(command: str, block: Block) -> str:
    for prefix in ("uv run ", ".venv/bin/"):
        command = command.removeprefix(prefix)
    assert command.startswith("runner "), f"{block.place}: '{command}' is neither runner nor a documented set-up"
    return command


def run_session(block: Block, copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands after `$`, each with what it says below."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        if command.startswith("cat "):
            code, said = 0, (copy.folder / command.removeprefix("cat ")).read_text(encoding="utf-8")
        else:
            code, said = copy.run(plain_command(command, block), monkeypatch)
        assert normalised(said) == normalised(expected), f"{block.place}: {command} says:\n{said}"
        assert code == int(block.notes.get("exit", "0")), f"{block.place}: {command}"


def normalised(text: str) -> list[str]:
    """What differs from run to run taken out: numbers of runs, seconds, sizes of columns, times of day."""
    text = re.sub(r"\br[1-9]\d*\b", "rN", text)
    text = re.sub(r"\b\d+\.\d s\b", "N s", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", text)
    text = re.sub(r"\d+(\.\d+)? k?B\b", "SIZE", text)
    return [re.sub(r"(?<=\S) {2,}", "  ", line).rstrip() for line in text.splitlines() if line.strip()]


# --- the routes, each set up in three lines and asked at a local server that is as strict as the services

_ROUTE = re.compile(r"^## ([a-z-]+)\n(?:(?!^## ).*\n)*?1\. (.*)\n2\. (.*)\n3\. `(.*)`\n", re.MULTILINE)
HOSTS = {
    "gemini": {"generativelanguage.googleapis.com"},
    "vertex": {"europe-west4-aiplatform.googleapis.com"},
    "openai": {"api.openai.com"},
    "openai-chat": {"api.openai.com"},
    "anthropic": {"api.anthropic.com"},
    "cometapi": {"api.cometapi.com"},
    "local": set(),
}


def routes() -> dict[str, tuple[str, str]]:
    """What is exported for each route, and the command that asks it."""
    text = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    return {name: (set_up, command) for name, _, set_up, command in _ROUTE.findall(text)}


def schema_in(body: Json) -> Json:
    """The schema that a body asks to keep to, by the protocol; None for a text."""
    shapes = (
        body.get("generationConfig", {}).get("responseJsonSchema"),
        body.get("response_format", {}).get("json_schema", {}).get("schema"),
        body.get("text", {}).get("format", {}).get("schema"),
        body.get("output_config", {}).get("format", {}).get("schema"),
    )
    return next((shape for shape in shapes if shape), None)


def test_the_document_has_a_set_up_for_every_route() -> None:
    assert set(routes()) == set(HOSTS)


@pytest.mark.parametrize("name", HOSTS)
def test_a_route_that_is_set_up_as_documented_answers(
    name: str, copy: Copy, counting_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(_dialect: str, body: Json, _n: int) -> Any:
        schema = schema_in(body)
        return counting_server.Answer("Some words." if schema is None else json.dumps(sample_of(schema)))

    server = counting_server(respond)
    asked: set[str] = set()
    real = DirectWire.post

    async def post(wire: DirectWire, url: str, *given: Any) -> Any:
        parts = urlsplit(url)
        asked.add(parts.netloc)
        return await real(wire, server.base_url + urlunsplit(("", "", *parts[2:])), *given)

    monkeypatch.setattr(DirectWire, "post", post)
    set_up, command = routes()[name]
    for variable, value in re.findall(r"(?:export )?\b([A-Z][A-Z_]+[A-Z])(?:=([\w-]+))?", set_up):
        monkeypatch.setenv(variable, value or "shop")
    # What logging in to gcloud brings about, and the answer to the question about the price.
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "a-token")
    monkeypatch.setenv("RUNNER_YES", "1")
    code, said = copy.run(command, monkeypatch)
    assert (code, server.refused, asked) == (0, [], HOSTS[name]), said
    assert server.count == ((3 if "triage" in command else 1) if HOSTS[name] else 0)
    streamed, said = copy.run(f"{command} --stream --refresh", monkeypatch)
    assert (streamed, server.refused) == (0, []), said


# --- YAML: whole workflows, settings, and fragments


def check_yaml(block: Block, copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    if block.notes.get("file") == "runner.yaml":
        loaded = load_settings(copy.folder)
        assert not loaded.problems, f"{block.place}: {loaded.problems}"
        return
    if block.notes.get("file"):
        return  # a later command says what it thinks of it
    copy.yaml = copy.yaml + block.text if "continues" in block.notes else block.text
    copy.counter += 1
    file = copy.folder / "workflows" / f"fragment_{copy.counter}.yaml"
    file.write_text(completed(copy.yaml, block), encoding="utf-8")
    code, said = copy.run(f"runner check workflows/{file.name}", monkeypatch)
    assert code == 0, f"{block.place}:\n{said}"


def completed(text: str, block: Block) -> str:
    """A fragment as a workflow: what the documents leave out is `format`, the model, and steps that do not matter."""
    value, problems = load_values(text.encode(), block.place)
    assert not problems, f"{block.place}: {problems}"
    keys = set(value)
    top = {*WORKFLOW.by_name}
    if not all(key in top or key.startswith("x-") for key in keys):
        assert keys <= {*STEP.by_name}, f"{block.place}: a fragment of {sorted(keys)}"
        asked = "" if keys & {"prompt", "messages"} else "    prompt: What is it?\n"
        indented = "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())
        text, keys = f"steps:\n  example:\n{indented}{asked}", {"steps"}
    if "steps" not in keys:
        text += "steps:\n  example:\n    prompt: What is it?\n"
    if "format" not in keys:
        text = f"format: 1\n{text}"
    if "defaults" not in keys:
        text += "defaults: {model: fast}\n"
    if "models" not in keys:
        text += "models: {fast: local/smollm2-135m, strong: openai-chat/gpt-5.4}\n"
    return text


def test_the_first_workflow_of_init_runs(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copy.run("runner init mine", monkeypatch)[0] == 0
    assert copy.run("runner check mine/hello.yaml", monkeypatch)[0] == 0
    code, said = copy.run("runner -q run mine/hello.yaml", monkeypatch)
    assert (code, json.loads(said)) == (0, {"greeting": "words"})
