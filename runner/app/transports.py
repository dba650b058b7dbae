"""The concrete transports, imported only when a call is needed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.project import Project
from runner.app.types import RunOptions
from runner.config.load import ProjectFiles
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import Hear, Streaming, Transport
from runner.core.problem import Problem
from runner.core.request import Request
from runner.core.tool import TOOL_DIALECT
from runner.dialects import ASKED
from runner.dialects.embedding import EMBEDDINGS
from runner.dialects.streams import STREAMS
from runner.transport.routing import RoutingTransport
from runner.transport.secrets import Secrets, read_trust

if TYPE_CHECKING:
    from runner.transport.tokens import Tokens

LLAMA_SLOTS = 4
UPLOADS = Path(".runner/uploads.json")


class SystemClock:
    """The machine's clock; fills the Clock port."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def environ_of(options: RunOptions) -> Mapping[str, str]:
    return os.environ if options.environ is None else options.environ


def secrets_of(options: RunOptions) -> Secrets:
    """Raises FileError when the user's own trust file is wrong."""
    environ = environ_of(options)
    return Secrets(environ, read_trust(environ), options.trust)


def not_ready(route: Route, secrets: Secrets, options: RunOptions, project: Project) -> Problem | None:
    """Why a route cannot be asked: no key, no consent, no weights, no engine, no function."""
    if route.provider.dialect == TOOL_DIALECT:
        return _function_not_ready(route, project)
    if not route.provider.is_in_process:
        problem = secrets.check(route.provider)
        return (
            problem
            if route.provider.dialect not in ("vertex", "vertex-embed")
            else _vertex_not_ready(route, problem, options)
        )
    from runner.transport.llama_process import check_engine
    from runner.transport.weights import find_weights

    missing = check_engine()
    if missing is not None:
        return missing
    found = find_weights(route.provider, environ_of(options))
    return found if isinstance(found, Problem) else None


def _function_not_ready(route: Route, project: Project) -> Problem | None:
    from runner.transport.functions import find_function

    found = find_function(route.provider, project.files.root)
    return replace(found, span=project.settings.tools[route.model].at("python")) if isinstance(found, Problem) else None


def _vertex_not_ready(route: Route, problem: Problem | None, options: RunOptions) -> Problem | None:
    from runner.transport.vertex import check_vertex, takes_tokens

    if problem is None and takes_tokens(route.provider):
        return check_vertex(route.provider, environ_of(options))
    if problem is not None and problem.code == "missing-key":
        return replace(problem, fix=f"{problem.fix}, or GOOGLE_CLOUD_PROJECT=YOUR_PROJECT with credentials of its own")
    return problem


def make_transport(secrets: Secrets, options: RunOptions, files: ProjectFiles) -> Transport:
    """One transport for all dialects; each is made when it is first needed."""

    def http() -> Transport:
        from runner.transport.port import HttpTransport
        from runner.transport.uploads import Uploads

        def tokens() -> Tokens:
            from runner.transport.tokens import Tokens  # with its own client, which most runs do not need

            return Tokens(environ_of(options))

        uploads = Uploads(files.root / UPLOADS, sleep=SystemClock().sleep)
        return HttpTransport(secrets, failure_of, streaming_of=streaming_of, tokens=tokens, uploads=uploads)

    def llama() -> Transport:
        from runner.transport.llama_process import LlamaTransport
        from runner.transport.weights import ready_weights

        environ = environ_of(options)
        return LlamaTransport(
            lambda provider: ready_weights(provider, environ), verbosity=options.verbosity, parallel=LLAMA_SLOTS
        )

    def functions() -> Transport:
        from runner.transport.functions import FunctionTransport

        return FunctionTransport(files.root)

    wires = dict.fromkeys(
        (*("gemini", "vertex", "openai-chat", "openai-responses", "anthropic"), *EMBEDDINGS.values()), http
    )
    engine = dict.fromkeys(("llama", EMBEDDINGS["llama"]), llama)
    scripts = {"scripted": lambda: _Scripts(files)}
    return RoutingTransport({**wires, **engine, **scripts, TOOL_DIALECT: functions})


class _Scripts:
    """A Transport with one script per file, read when it is first asked."""

    def __init__(self, files: ProjectFiles) -> None:
        self._files = files
        self._by_file: dict[str, Transport] = {}

    def _script(self, route: Route) -> Transport:
        from runner.transport.scripted import ScriptedTransport

        name = route.provider.settings["file"]
        if name not in self._by_file:
            self._by_file[name] = ScriptedTransport.from_file(self._files.read(name), name)
        return self._by_file[name]

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        return await self._script(route).send(route, request, timeout_s=timeout_s)

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Hear) -> bytes:
        return await self._script(route).stream(route, request, timeout_s=timeout_s, hear=hear)

    async def aclose(self) -> None:
        for transport in self._by_file.values():
            await transport.aclose()


def failure_of(request: Request, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    return ASKED[request.dialect].failure(status, headers, body)


def streaming_of(request: Request) -> Streaming | None:
    return STREAMS.get(request.dialect)
