"""Functions of the project as tools: found when they are first needed, run in a thread of their own."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import nullcontext, redirect_stdout, suppress
from pathlib import Path
from threading import Thread
from typing import Any, cast

import orjson

from runner.core.canonical import Json, NotJson, ensure_json, ordered
from runner.core.model import Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, Hear
from runner.core.problem import Problem
from runner.core.request import Request
from runner.core.tool import ALONE

Function = Callable[..., Any]
_LONGEST_SAID = 500


def find_function(provider: Provider, root: Path) -> Function | Problem:
    """The function behind a tool, or why there is none. Importing it runs the project's code."""
    python = provider.settings["python"]
    module, _, name = python.partition(":")
    folder = str(root.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # behind all else: a file of the project takes nobody's place
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # noqa: BLE001  # whatever the project's code raises is told, not thrown
        return Problem("bad-tool", f"the tool {python} cannot be imported: {_said(error)}")
    if not callable(found):
        return Problem("bad-tool", f"the tool {python} cannot be run: '{module}' has no function '{name}'")
    return cast(Function, found)


class FunctionTransport:
    """Fills `Transport` by running functions below `root`.

    Standard output is the result of a run and nothing else: what a function prints goes to standard error.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[str, Function | Problem] = {}
        self._alone: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._printed = redirect_stdout(sys.stderr)
        self._printed.__enter__()

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        """Raises CallFailed for a function that is not there, fails, or takes too long, unless a model is to hear of it."""
        body = orjson.loads(bytes(request.body))
        try:
            return ordered({"text": await self._run(route, body["arguments"], timeout_s)})
        except CallFailed as error:
            if not body.get("asked_in"):
                raise
            # A model is told what went wrong, and the conversation that goes on from there is replayed with it.
            return ordered({"text": error.failure.message, "is_error": True})

    async def _run(self, route: Route, arguments: Mapping[str, Json], timeout_s: float) -> str:
        python = route.provider.settings["python"]
        if python not in self._found:
            self._found[python] = find_function(route.provider, self._root)
        found = self._found[python]
        if isinstance(found, Problem):
            raise _failed(found.message)
        is_alone = ALONE in route.provider.settings
        try:
            async with self._alone[python] if is_alone else nullcontext(), asyncio.timeout(timeout_s):
                result = await _in_thread(found, arguments)
        except TimeoutError:
            raise _failed(f"tool '{route.model}' did not end within {timeout_s:g} s") from None
        except _Raised as raised:
            raise _failed(f"tool '{route.model}' failed: {_said(raised.error)}") from None
        try:
            ensure_json(result)
        except NotJson as error:
            raise _failed(f"tool '{route.model}' gives what is no JSON value: {error}") from None
        return ordered(result).decode()

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Hear) -> bytes:  # noqa: ARG002
        """A function says nothing before it has ended."""
        return await self.send(route, request, timeout_s=timeout_s)

    async def aclose(self) -> None:
        self._printed.__exit__(None, None, None)


class _Raised(Exception):
    """What a function raised, whatever it is."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _failed(message: str) -> CallFailed:
    return CallFailed(Failure(FailureKind.TOOL, message))


def _said(error: BaseException) -> str:
    """The error in one line, without the places of the code."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST_SAID else f"{text[:_LONGEST_SAID]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


async def _in_thread(function: Function, arguments: Mapping[str, Json]) -> Json:
    """A thread of its own, which nobody waits for at the end: a function that hangs must not keep the run from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Json] = loop.create_future()

    def settle(result: Json, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(_Raised(error))

    def run() -> None:
        result, raised = None, None
        try:
            result = function(**arguments)
        except BaseException as error:  # noqa: BLE001  # a tool that calls exit() ends nobody but itself
            raised = error
        with suppress(RuntimeError):  # the run has ended meanwhile
            loop.call_soon_threadsafe(settle, result, raised)

    Thread(target=run, name="tool", daemon=True).start()
    result = await future
    if not inspect.isawaitable(result):
        return result
    try:
        return await result
    except Exception as error:  # noqa: BLE001  # told, as from a thread
        raise _Raised(error) from None
