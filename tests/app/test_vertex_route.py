"""Vertex AI from a workflow to the wire: the environment says where it is and who asks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app import project as projects
from runner.app.routes import complete_route
from runner.app.transports import make_transport, not_ready, secrets_of
from runner.app.types import RunOptions
from runner.config.load import ProjectFiles
from runner.core.model import ModelFacts, Route
from runner.core.ports import CallFailed
from runner.core.request import Request

FLOW = "steps:\n  hello:\n    model: vertex/gemini-3.1-flash-lite\n    prompt: Say hello.\n"


def route(environ: dict[str, str], tmp_path: Path) -> Route:
    provider = projects.catalogue().providers["vertex"]
    found = complete_route(Route("vertex/g", provider, "g", ModelFacts("vertex", "g")), ProjectFiles(tmp_path), environ)
    assert isinstance(found, Route)
    return found


def ready(environ: dict[str, str], tmp_path: Path) -> str:
    options = RunOptions(environ={"HOME": str(tmp_path), **environ})
    (tmp_path / "flow.yaml").write_text(FLOW, encoding="utf-8")
    project = projects.open_project(tmp_path / "flow.yaml", {}, lambda route, _: route)
    problem = not_ready(route(environ, tmp_path), secrets_of(options), options, project)
    return "" if problem is None else f"{problem.message}; {problem.fix}"


def test_vertex_is_ready_with_a_key_or_with_a_project(tmp_path: Path) -> None:
    assert ready({"GOOGLE_API_KEY": "AQ.some-key"}, tmp_path) == ""
    assert ready({"GOOGLE_CLOUD_PROJECT": "shop"}, tmp_path) == ""
    assert ready({"GOOGLE_CLOUD_PROJECT": "a b"}, tmp_path) == "GOOGLE_CLOUD_PROJECT is 'a b', which is no project; "
    assert ready({"GOOGLE_API_KEY": "a b"}, tmp_path).startswith("the key in GOOGLE_API_KEY has characters")
    assert ready({}, tmp_path) == (
        "provider 'vertex' needs a key in the environment variable GOOGLE_API_KEY, which is not set; "
        "export GOOGLE_API_KEY=YOUR_KEY, or GOOGLE_CLOUD_PROJECT=YOUR_PROJECT with credentials of its own"
    )


def test_check_needs_neither_a_key_nor_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW, encoding="utf-8")
    assert runner.check(tmp_path / "flow.yaml").problems == ()
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop")
    assert runner.check(tmp_path / "flow.yaml").problems == ()


def test_a_call_without_credentials_ends_before_anything_is_sent(tmp_path: Path) -> None:
    environ = {
        "HOME": str(tmp_path),
        "GOOGLE_CLOUD_PROJECT": "shop",
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json"),
    }
    options = RunOptions(environ=environ)
    request = Request("vertex", 1, "vertex", "/v1/publishers/google/models/g:generateContent", b"{}")

    async def send() -> Any:
        transport = make_transport(secrets_of(options), options, ProjectFiles(tmp_path))
        try:
            return await transport.send(route(environ, tmp_path), request, timeout_s=5)
        finally:
            await transport.aclose()

    with pytest.raises(CallFailed) as caught:
        asyncio.run(send())
    assert caught.value.requests == 0
    assert caught.value.failure.message == f"the credentials file {tmp_path / 'none.json'} does not exist"
