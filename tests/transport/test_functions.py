"""Functions as tools: found late, run aside, and never a traceback."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.core.call import Call
from runner.core.frozen import replace
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.tool import Tool
from runner.dialects.tool import ToolDialect
from runner.transport.functions import FunctionTransport, _in_thread, find_function

MODULE = """
import sys

RELEASE = None


def add(a, b=0):
    return a + b


async def later(a):
    if not a:
        raise ValueError(a)
    return [a]


def leave():
    sys.exit(3)


def hang():
    RELEASE.wait()


def strange():
    return object()


def not_a_number():
    return float("nan")


def chatty():
    print("words")
    raise ValueError("x" * 900)


def silent():
    raise LookupError


word = "no function"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    known = list(sys.path)
    (tmp_path / "toolbox").mkdir()
    (tmp_path / "toolbox" / "of_a_test.py").write_text(MODULE, encoding="utf-8")
    yield tmp_path
    sys.path[:] = known
    for name in [name for name in sys.modules if name.split(".")[0] == "toolbox"]:
        del sys.modules[name]


def tool(name: str, module: str = "toolbox.of_a_test") -> Tool:
    return Tool(span=Span("runner.yaml", 1, 1), name=name, python=f"{module}:{name}")


Run = Callable[..., Any]


@pytest.fixture
def run(folder: Path) -> Run:
    """Runs one function; what it gives, or the failure."""

    def run_one(name: str, *, timeout_s: float = 30, module: str = "toolbox.of_a_test", **arguments: Any) -> Any:
        async def send() -> bytes:
            transport = FunctionTransport(folder)
            try:
                route = tool(name, module).route
                request = ToolDialect().encode(Call(name, (), arguments=arguments), route)
                await transport.send(route, request, timeout_s=timeout_s)
                return await transport.stream(route, request, timeout_s=timeout_s, hear=lambda _: None)
            finally:
                await transport.aclose()

        try:
            payload = asyncio.run(send())
        except CallFailed as error:
            return error.failure.message if error.failure.kind is FailureKind.TOOL else error.failure
        return json.loads(ToolDialect().decode(payload).text)

    return run_one


def test_a_function_is_given_its_arguments_by_name(run: Run) -> None:
    assert run("add", a=1, b=2) == 3
    assert run("add", a="x", b="y") == "xy"


def test_a_function_may_be_asynchronous(run: Run) -> None:
    assert run("later", a=1) == [1]
    assert run("later", a="") == "tool 'later' failed: ValueError"


def test_whatever_a_function_raises_is_told_in_one_line(run: Run) -> None:
    assert run("add", a=1, b="x") == (
        "tool 'add' failed: TypeError: unsupported operand type(s) for +: 'int' and 'str'"
    )
    assert run("leave") == "tool 'leave' failed: SystemExit: 3"
    assert run("silent") == "tool 'silent' failed: LookupError"
    assert run("chatty") == f"tool 'chatty' failed: ValueError: {'x' * 500}…"


def test_a_function_that_takes_too_long_is_given_up(run: Run) -> None:
    release = threading.Event()
    run("add", a=1)
    sys.modules["toolbox.of_a_test"].RELEASE = release  # type: ignore[attr-defined]
    assert run("hang", timeout_s=0.01) == "tool 'hang' did not end within 0.01 s"
    release.set()


def test_a_result_that_is_no_json_is_told(run: Run) -> None:
    assert run("strange") == "tool 'strange' gives what is no JSON value: (root): a object is not a JSON value"
    assert run("not_a_number") == "tool 'not_a_number' gives what is no JSON value: (root): nan is not a JSON number"


def test_a_function_that_is_not_there_is_told(run: Run) -> None:
    assert run("word") == "the tool toolbox.of_a_test:word cannot be run: 'toolbox.of_a_test' has no function 'word'"
    assert run("gone") == "the tool toolbox.of_a_test:gone cannot be run: 'toolbox.of_a_test' has no function 'gone'"
    assert run("x", module="toolbox.none") == (
        "the tool toolbox.none:x cannot be imported: ModuleNotFoundError: No module named 'toolbox.none'"
    )


def test_a_function_that_is_not_parallel_never_runs_twice_at_once(folder: Path) -> None:
    alone = replace(tool("hang"), is_parallel=False).route
    request = ToolDialect().encode(Call("hang", (), arguments={}), alone)

    def running() -> int:
        return sum(thread.name == "tool" for thread in threading.enumerate())

    async def both() -> None:
        transport = FunctionTransport(folder)
        find_function(alone.provider, folder)
        release = sys.modules["toolbox.of_a_test"].RELEASE = threading.Event()  # type: ignore[attr-defined]
        sending = [asyncio.create_task(transport.send(alone, request, timeout_s=30)) for _ in range(2)]
        while not running():
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert running() == 1
        release.set()
        assert await asyncio.gather(*sending) == [b'{"text":"null"}'] * 2
        await transport.aclose()

    asyncio.run(both())


def test_what_a_function_prints_goes_to_standard_error(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("chatty")
    assert capsys.readouterr() == ("", "words\n")


def test_the_root_stands_behind_all_other_places_and_only_once(folder: Path) -> None:
    before = list(sys.path)
    for _ in range(2):
        assert not isinstance(find_function(tool("add").route.provider, folder), Problem)
    assert sys.path == [*before, str(folder.resolve())]


def test_what_a_function_gives_after_everybody_has_left_is_dropped() -> None:
    release = threading.Event()

    async def leave_and_wait() -> None:
        asking = asyncio.create_task(_in_thread(lambda: release.wait(5), {}))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        release.set()
        for thread in threading.enumerate():
            if thread.name == "tool":
                thread.join()
        await asyncio.sleep(0)

    asyncio.run(leave_and_wait())
