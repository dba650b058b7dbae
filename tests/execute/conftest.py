"""A run's inner part on a bench: a workflow, a scripted provider, a store in memory and a clock that only counts."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar, cast

import pytest

from runner.config.load import ProjectFiles, load_workflow
from runner.core.answer import StoredAnswer
from runner.core.beside import tell
from runner.core.errors import StorageError
from runner.core.events import Event
from runner.core.limits import RateLimit
from runner.core.model import ModelFacts, Provider, Route
from runner.core.outcome import Failure, FailureKind, Source
from runner.core.ports import CallFailed, Leases, Transport
from runner.core.problem import Problem
from runner.core.request import Request
from runner.dialects import DIALECTS
from runner.dialects.beside import read_beside
from runner.execute.chunk import run_chunk
from runner.execute.gate import Gate
from runner.execute.limits import InFlight, Limits
from runner.execute.perform import Performer, Ports, Shared
from runner.execute.replay import Walk
from runner.link.linked import link
from runner.plan.advance import Answered, Ask, begin
from runner.plan.compiling import compile_step
from runner.plan.items import ItemList, Row, identify
from runner.plan.program import Policy, Program
from runner.plan.stages import Receipt, RunState
from runner.templates.environment import make_environment
from runner.transport.script import Rule
from runner.transport.scripted import ScriptedTransport, last_user_text

T = TypeVar("T")


@dataclass
class FakeClock:
    """Waiting moves it on at once; `waits` lists what was waited."""

    time_s: float = 1000.0
    waits: list[float] = field(default_factory=list)
    hold: asyncio.Event | None = None

    def monotonic(self) -> float:
        return self.time_s

    def now(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.hold is not None:
            await self.hold.wait()
        self.time_s += seconds
        await asyncio.sleep(0)


@dataclass
class Shelf:
    """Answers in memory; `commits` lists the batches. Fails to keep or to find what a test tells it to."""

    kept: dict[str, StoredAnswer] = field(default_factory=dict)
    commits: list[list[str]] = field(default_factory=list)
    lookups: list[list[str]] = field(default_factory=list)
    broken: BaseException | None = None
    unreadable: Exception | None = None
    before_commit: Callable[[], None] = lambda: None

    def lookup(self, keys: Any) -> dict[str, StoredAnswer]:
        self.lookups.append(list(keys))
        if self.unreadable is not None:
            raise self.unreadable
        return {key: replace(self.kept[key], source=Source.CACHED) for key in keys if key in self.kept}

    def commit(self, answers: Any) -> None:
        self.before_commit()
        if self.broken is not None:
            raise self.broken
        self.commits.append([answer.key for answer in answers])
        self.kept |= {answer.key: answer for answer in answers}


class VirtualLoop(asyncio.SelectorEventLoop):
    """Nobody waits: where there is nothing to do before a timer, the time of the timer comes at once."""

    def __init__(self) -> None:
        super().__init__()
        self._moved_s = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> Any:
            if timeout is not None:
                self._moved_s += timeout
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return 1000.0 + self._moved_s


class LoopClock:
    """The clock of the running loop."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Street:
    """Requests to one model over virtual time: `serve(now, number)` says after how long which answer comes.

    The answers of these questions are not kept, so that no thread has a part in it.
    """

    def __init__(self, bench: Bench, seed: int = 7) -> None:
        self._bench = bench
        self.chance = Random(seed)
        self.serve: Callable[[float, str], tuple[float, Failure | None]] = lambda _now, _text: (0.1, None)
        self.beside: Callable[[str], Mapping[str, str]] = lambda _text: {}
        self.sent: list[tuple[float, str]] = []
        self.ended: list[tuple[float, str, Failure | None]] = []
        self.events: list[Event] = []
        self.limits: Limits
        self.now = 0.0

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        loop = asyncio.get_running_loop()
        text = last_user_text(bytes(request.body))
        self.sent.append((loop.time(), text))
        took_s, failure = self.serve(loop.time(), text)
        await asyncio.sleep(took_s)
        self.ended.append((loop.time(), text, failure))
        if failure is not None:
            raise CallFailed(failure)
        tell(self.beside(text))
        return await ScriptedTransport(lambda _: Rule(answer="yes")).send(route, request, timeout_s=timeout_s)

    async def aclose(self) -> None:
        """Nothing is held."""

    def run(self, count: int, at_once: int, rules: tuple[RateLimit, ...] = ()) -> list[Answered]:
        """Ask so many questions, so many at a time."""
        bench = self._bench
        first = bench.ask(use="off")

        async def whole() -> list[Answered]:
            clock = LoopClock()
            self.limits = Limits(clock, self.chance.random, rules)
            ports = Ports(cast(Transport, self), clock, self.events.append, lambda _: "new", self.chance.random)
            ports = replace(ports, read_beside=read_beside)
            performer = Performer(bench.program, cast(Gate, None), ports, InFlight(at_once), shared=Shared(self.limits))

            async def one(number: int) -> Answered:
                body = bytes(first.request.body).replace(b"hello", b"question %d" % number)
                return await performer.answer(replace(first, request=replace(first.request, body=body)))

            answered: list[Answered] = await asyncio.gather(*(one(number) for number in range(count)))
            self.now = clock.monotonic()
            return answered

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(whole())


class Bench:
    """`respond` says what a request gets: a Rule, bytes or a Failure; an awaitable of one is awaited."""

    Rule = Rule
    Failure = Failure
    full = StorageError(Problem("disk-full", "no space is left", fix="free some"))

    def __init__(self, tmp_path: Path) -> None:
        self._path = tmp_path / "flow.yaml"
        self.respond: Callable[[str], Any] = lambda text: Rule(answer=f"re: {text}")
        self.shelf = Shelf()
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.sent: list[str] = []
        self.emit: Callable[[Event], None] = self.events.append
        self.hear: Callable[[Ask, str], None] | None = None
        self.limit = 8
        self.leases: Leases | None = None
        self.random = 0.0
        self.provider = Provider("scripted", "scripted", identity="scripted", settings={"script_sha256": "0" * 64})
        self.program: Program

    def workflow(self, text: str, **policy: Any) -> Program:
        self._path.write_text("format: 1\ndefaults: {model: scripted/m}\n" + textwrap.dedent(text), encoding="utf-8")
        loaded = load_workflow(self._path)
        assert loaded.workflow is not None, loaded.problems
        assert not loaded.problems
        read = ProjectFiles(loaded.root).read
        linked = link(loaded.workflow, make_environment(read), read)
        assert not linked.problems, linked.problems
        route = Route("scripted/m", self.provider, "m", ModelFacts("scripted", "m"))
        steps = {
            name: compile_step(
                step, route, DIALECTS["scripted"], thinking=None, policy=Policy(**policy), cost=lambda _: None
            )
            for name, step in linked.steps.items()
        }
        self.program = Program(linked, steps, {})
        return self.program

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        text = last_user_text(bytes(request.body))
        self.sent.append(text)
        reply = self.respond(text)
        if isinstance(reply, Awaitable):
            reply = await reply
        if isinstance(reply, Exception):
            raise reply
        scripted = ScriptedTransport(lambda _: reply, sleep=self.clock.sleep)
        return await scripted.send(route, request, timeout_s=timeout_s)

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Callable[[str], None]) -> bytes:
        """The clock moves on before the text comes, and once more before it is whole."""
        payload = await self.send(route, request, timeout_s=timeout_s)
        await self.clock.sleep(2)
        hear("some text")
        await self.clock.sleep(3)
        return payload

    async def aclose(self) -> None:
        """Nothing is held."""

    def performer(self, gate: Gate) -> Performer:
        ports = Ports(self, self.clock, self.emit, lambda _: "new", lambda: self.random, hear=self.hear)
        return Performer(self.program, gate, ports, InFlight(self.limit))

    def ask(self, step: str = "ask", **changes: Any) -> Ask:
        """The first ask of a step that runs once."""
        state = RunState(self.program, {})
        move = begin(self.program, (step,), next(iter(state.chunks(0, 1))).items[0].item, state.scope())
        return replace(move.asks[0], **changes)

    def run(self, use: Callable[[Performer, Gate], Coroutine[Any, Any, T]]) -> T:
        """Something done with a performer, its gate closed behind it."""

        async def whole() -> T:
            gate = Gate(self.shelf, self.leases)
            try:
                return await asyncio.wait_for(use(self.performer(gate), gate), 20)
            finally:
                await gate.aclose()

        return asyncio.run(whole())

    def receipts(
        self, rows: list[Any] | None = None, before: Callable[[Performer], None] | None = None
    ) -> list[Receipt]:
        """All chunks of the first stage, one after the other."""
        items = ItemList(identify(Row(value, line) for line, value in enumerate(rows or [], 1)))
        state = RunState(self.program, dict.fromkeys(self.program.linked.workflow.data, items))
        walk = Walk(self.program, state.stages[0].steps, state.scope())

        async def use(performer: Performer, _gate: Gate) -> list[Receipt]:
            if before is not None:
                before(performer)
            return [await run_chunk(chunk, walk, performer, self.emit) for chunk in state.chunks(0, 8)]

        return self.run(use)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def street(bench: Bench) -> Street:
    bench.workflow("steps: {ask: {prompt: hello}}")
    return Street(bench)


@pytest.fixture
def failed() -> Callable[..., CallFailed]:
    """A request that brought no answer, as a transport raises it."""

    def make(kind: FailureKind, message: str = "no luck", **more: Any) -> CallFailed:
        return CallFailed(Failure(kind, message), **more)

    return make
