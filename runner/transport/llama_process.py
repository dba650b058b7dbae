"""The embedded model: llama.cpp inside this process, loaded when the first call is really needed.

The same request must give the same bytes on every run. llama.cpp's sums depend on which other prompts share its
batch (tried: of answers made four at once, some differ from those made alone), so a call that pins its answer by
temperature 0 or a seed takes its turn alone, and no prompt is read from the engine's prompt cache. Calls that pin
nothing share the slots. On a CPU little is lost: four prompts at once take about as long as four in a row.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, Final, Protocol

from runner.core.canonical import Json
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass
from runner.core.model import Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, Hear
from runner.core.problem import Problem
from runner.core.request import Request
from runner.transport.completion import assemble, find_error, refuse, text_in
from runner.transport.llama_vectors import VECTORS, start_for_vectors

PARALLEL: Final = 4
SLOT_TOKENS: Final = 2048
LOUD: Final = 2  # from -vv on, the engine's log is shown
_BATCH_TOKENS: Final = 128  # a prompt is read in such steps; between two of them a call can be cancelled
_SILENT: Final = -1  # nothing on standard error, not even for a file that cannot be loaded
_PACKAGE: Final = "xllamacpp"


def check_engine() -> Problem | None:
    """Whether the engine is installed, without loading it; to be asked before the run."""
    if importlib.util.find_spec(_PACKAGE) is not None:
        return None
    return Problem(
        "missing-engine",
        "the embedded model needs its engine, which is not installed",
        fix="pip install 'runner[local]'",
    )


class Engine(Protocol):
    """A loaded model; `stop` ends all of its calls."""

    @property
    def stop(self) -> threading.Event: ...

    def ask(self, body: Json, tell: Hear, stop: threading.Event) -> bytes: ...


class LlamaTransport:
    """Fills `Transport` with models in this process, one per provider, each shared by all of its calls.

    `find` gives the checked model file of a provider and may raise RunnerError. `verbosity` counts the `-v`.
    """

    def __init__(self, find: Callable[[Provider], Path], verbosity: int = 0, parallel: int = PARALLEL) -> None:
        self._find = find
        self._verbosity = verbosity
        self._parallel = parallel
        self._engines: dict[str, Engine] = {}
        self._loading = threading.Lock()
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="runner-llama")
        self._turns = _Turns(parallel)

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        return await self.stream(route, request, timeout_s=timeout_s, hear=_nobody)

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Hear) -> bytes:
        """The engine streams in any case; what it says is told in the loop's own thread."""
        loop = asyncio.get_running_loop()

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(hear, text)

        body: Json = json.loads(bytes(request.body))
        places = self._parallel if request.dialect == VECTORS or is_pinned(body) else 1
        try:
            # The clock starts with the turn: waiting for one's own other calls is no fault of the model.
            async with self._turns.take(places), asyncio.timeout(timeout_s):
                return await self._answer(route, body, tell)
        except TimeoutError:
            text = f"the model of '{route.provider.name}' did not answer in full within {timeout_s:g} s"
            # Nothing is paid here and asking again would take as long: not a kind that is retried.
            raise CallFailed(Failure(FailureKind.BAD_ANSWER, text)) from None

    async def aclose(self) -> None:
        """Stops what runs and frees the models; must not be left to the end of the interpreter."""
        for engine in self._engines.values():
            engine.stop.set()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engines.clear()
        self._threads = ThreadPoolExecutor(self._parallel, thread_name_prefix="runner-llama")

    async def _answer(self, route: Route, body: Json, tell: Hear) -> bytes:
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(self._threads, self._ask, route.provider, body, tell, stop)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            # The place is given back only when the engine has really stopped: the next answer depends on it.
            stop.set()
            await asyncio.wait({answer})
            _ = answer.cancelled() or answer.exception()  # seen, so that nobody complains that it never was
            raise

    def _ask(self, provider: Provider, body: Json, tell: Hear, stop: threading.Event) -> bytes:
        """In a thread of the pool."""
        return self._engine(provider).ask(body, tell, stop)

    def _engine(self, provider: Provider) -> Engine:
        """One that gives vectors is loaded apart: how an engine answers in words must not depend on it."""
        name = f"{provider.dialect}/{provider.name}"
        with self._loading:
            if name not in self._engines:
                self._engines[name] = self._load(provider)
            return self._engines[name]

    def _load(self, provider: Provider) -> Engine:
        problem = check_engine()
        if problem is not None:
            raise CallFailed(_stopper(problem), requests=0)
        try:
            path = self._find(provider)
        except RunnerError as error:
            raise CallFailed(_stopper(error.problems[0]), requests=0) from error
        try:
            if provider.dialect == VECTORS:
                return start_for_vectors(_params(path, provider, 1, self._verbosity), provider, path.stem)
            return _start(_params(path, provider, self._parallel, self._verbosity), provider, path.stem)
        except (RuntimeError, ValueError):
            text = f"the model file {path} of '{provider.name}' cannot be loaded; -vv shows the engine's own log"
            raise CallFailed(Failure(FailureKind.NOT_FOUND, text), requests=0) from None


def _nobody(_text: str) -> None:
    """Hears nothing."""


# Streaming is how a call can be cancelled between two tokens; it changes no byte of the answer.
_STREAMED: Final[Json] = {"stream_options": {"include_usage": True}, "return_progress": True}


@dataclass(frozen=True, slots=True)
class _Engine:
    """A loaded model; `stop` ends all of its calls."""

    server: Any
    provider: str
    model: str
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, body: Json, tell: Hear, stop: threading.Event) -> bytes:
        chunks: list[Json] = []

        def hear(line: str) -> bool:
            chunks.append(json.loads(line))
            text = text_in(chunks[-1])
            if text:
                tell(text)
            return stop.is_set() or self.stop.is_set()

        try:
            self.server.handle_chat_completions(json.dumps({**body, "stream": True, **_STREAMED}), hear)
        except (RuntimeError, ValueError) as error:
            raise CallFailed(refuse(self.provider, str(error))) from None
        failure = find_error(chunks, self.provider)
        if failure is not None:
            raise CallFailed(failure)
        if self.stop.is_set() or not chunks:
            raise CallFailed(Failure(FailureKind.INTERRUPTED, f"the model of '{self.provider}' was stopped"))
        return assemble(chunks, self.model)


class _Turns:
    """Places at the model. One caller at a time gathers its places, so that two who want all never block each other."""

    def __init__(self, places: int) -> None:
        self._free = asyncio.Semaphore(places)
        self._gathering = asyncio.Lock()

    @asynccontextmanager
    async def take(self, places: int) -> AsyncIterator[None]:
        taken = 0
        try:
            async with self._gathering:
                for _ in range(places):
                    await self._free.acquire()
                    taken += 1
            yield
        finally:
            for _ in range(taken):
                self._free.release()


def is_pinned(body: Json) -> bool:
    """Whether the same question must give the same bytes: temperature 0, or a seed."""
    return body.get("temperature") == 0 or body.get("seed") is not None


def _start(params: Any, provider: Provider, model: str) -> _Engine:
    import xllamacpp

    return _Engine(xllamacpp.Server(params), provider.name, model)


def _params(path: Path, provider: Provider, parallel: int, verbosity: int) -> Any:
    """An engine on a model file. It also listens on a port of this machine, closed to others by a random key."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.verbosity = verbosity + 1 if verbosity >= LOUD else _SILENT
    params.n_parallel = parallel
    params.n_ctx = parallel * _slot_tokens(provider)
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads()
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.n_ctx_checkpoints = 0
    if provider.is_builtin:
        params.n_gpu_layers = 0  # the same bytes, whether or not there is a graphics processor
    params.warmup = False
    params.api_keys = [secrets.token_urlsafe(32)]
    params.cors_origins = ""
    params.endpoint_slots = False
    params.ui = False
    return params


def threads() -> int:
    """One core is left free: llama.cpp waits by spinning, and collapses when it has to share its cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def _slot_tokens(provider: Provider) -> int:
    text = provider.settings.get("context_tokens", "")
    return int(text) if text.isdecimal() and int(text) > 0 else SLOT_TOKENS


def _stopper(problem: Problem) -> Failure:
    text = f"{problem.message}; type: {problem.fix}" if problem.fix else problem.message
    return Failure(FailureKind.NOT_FOUND, text)
