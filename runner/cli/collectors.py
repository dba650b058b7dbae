"""`--otel WHERE`: where spans are to go, looked at before anything is called. Imports nothing that sends them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from runner.cli import files
from runner.cli.console import Console
from runner.core.errors import UsageError
from runner.core.problem import Problem

ENVIRONMENT = "env"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_TRACES_PATH = "/v1/traces"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_file(where: str) -> bool:
    return where != ENVIRONMENT and "://" not in where


def otel_target(where: str | None, console: Console, *, is_offline: bool) -> str:
    """A file, or the address of a collector; "" where no spans are wanted. Raises UsageError and FileError."""
    if not where:
        return ""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        message = "--otel needs the library opentelemetry-sdk, which is not installed"
        raise UsageError(Problem("missing-library", message, fix="pip install 'runner[otel]'"))
    if is_file(where):
        files.ensure_writable(Path(where), "--otel")
        return where
    url = _from_environment(console) if where == ENVIRONMENT else where
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        expected = f"a file, http://HOST:4318, or {ENVIRONMENT} for what {_ENDPOINT} says"
        raise UsageError(Problem("usage", f"--otel: '{url}' is no address of a collector", expected=expected))
    if is_offline:
        raise UsageError(Problem("usage", "--offline and --otel exclude each other", fix="--otel FILE"))
    has_headers = any(console.environ.get(name) for name in _HEADERS)
    if has_headers and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        message = f"--otel: the headers of {_HEADERS[0]} may hold a key, and {url} is not encrypted"
        raise UsageError(Problem("usage", message, fix="https://…"))
    return url if parts.path.strip("/") else f"{url.rstrip('/')}{_TRACES_PATH}"


def _from_environment(console: Console) -> str:
    traces, base = console.environ.get(_TRACES_ENDPOINT, ""), console.environ.get(_ENDPOINT, "")
    if not traces and not base:
        message = f"--otel {ENVIRONMENT}: neither {_TRACES_ENDPOINT} nor {_ENDPOINT} is set"
        raise UsageError(Problem("usage", message, fix="--otel http://localhost:4318"))
    return traces or f"{base.rstrip('/')}{_TRACES_PATH}"
