"""The embedded model, with a double for its engine; the real one is in test_llama_model.py."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.core.errors import FileError
from runner.core.model import Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.problem import Problem
from runner.core.request import Request
from runner.transport import llama_process
from runner.transport.llama_process import LlamaTransport, check_engine, is_pinned

MakeRequest = Callable[..., Request]
WEIGHTS_FILE = Path("/models/tiny.gguf")


class FakeEngine:
    """Stands in for the package: hands out `Server`s that answer what `answer` says, and remembers what they got."""

    def __init__(self) -> None:
        self.params: list[Any] = []
        self.bodies: list[Any] = []
        self.answer: Callable[[Any], Any] = lambda body: [text(body["messages"][-1]["content"])]
        self.running = 0
        self.highest = 0
        self.started = threading.Event()
        self.hold: threading.Event | None = None
        self.error: Exception | None = None

    def CommonParams(self) -> SimpleNamespace:  # noqa: N802 - the package's own name
        return SimpleNamespace(
            model=SimpleNamespace(path=""),
            cpuparams=SimpleNamespace(n_threads=0),
            cpuparams_batch=SimpleNamespace(n_threads=0),
        )

    def Server(self, params: Any) -> FakeEngine:  # noqa: N802
        self.params.append(params)
        if "broken" in params.model.path:
            raise RuntimeError("Failed to init server, please check the input params.")
        return self

    def handle_chat_completions(self, text: str, hear: Callable[[str], bool]) -> None:
        body = json.loads(text)
        self.bodies.append(body)
        self.running += 1
        self.highest = max(self.highest, self.running)
        self.started.set()
        try:
            if self.error:
                raise self.error
            hold = self.hold
            while hold and not hear(json.dumps({"choices": []})) and not hold.wait(0.001):
                pass
            for chunk in self.answer(body):
                if hear(json.dumps(chunk)):
                    return
        finally:
            self.running -= 1

    def handle_embeddings(self, text: str) -> str:
        body = json.loads(text)
        self.bodies.append(body)
        if self.error:
            raise self.error
        return json.dumps(self.answer(body))

    llama_pooling_type = SimpleNamespace(LLAMA_POOLING_TYPE_MEAN="mean")


def text(content: str) -> Any:
    return {"choices": [{"delta": {"content": content}, "finish_reason": "stop"}]}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine()
    monkeypatch.setitem(sys.modules, "xllamacpp", engine)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    return engine


@pytest.fixture
def ask(make_request: MakeRequest) -> Callable[..., Request]:
    def ask(said: str = "hello", **settings: Any) -> Request:
        body = {"messages": [{"role": "user", "content": said}], "temperature": 0, "seed": 0, **settings}
        return make_request(dialect="llama", body=body)

    return ask


@pytest.fixture
def route(make_route: Callable[..., Route]) -> Route:
    return make_route(name="local", dialect="llama", base_url="", key_env="", is_builtin=True)


def contents(*payloads: bytes) -> list[str]:
    return [json.loads(payload)["choices"][0]["message"]["content"] for payload in payloads]


def run(transport: LlamaTransport, route: Route, *requests: Request, timeout_s: float = 30) -> list[bytes]:
    async def send_all() -> list[bytes]:
        try:
            async with asyncio.TaskGroup() as group:
                sent = [group.create_task(transport.send(route, each, timeout_s=timeout_s)) for each in requests]
            return [each.result() for each in sent]
        finally:
            await transport.aclose()

    return asyncio.run(send_all())


def fail(transport: LlamaTransport, route: Route, request: Request, timeout_s: float = 30) -> CallFailed:
    with pytest.raises(ExceptionGroup) as caught:
        run(transport, route, request, timeout_s=timeout_s)
    (error,) = caught.value.exceptions
    assert isinstance(error, CallFailed)
    return error


def find(_provider: Provider) -> Path:
    return WEIGHTS_FILE


def test_the_model_is_loaded_once_and_only_when_it_is_asked(
    engine: FakeEngine, route: Route, ask: Callable[..., Request]
) -> None:
    transport = LlamaTransport(find)
    assert engine.params == []
    payloads = run(transport, route, ask("one"), ask("two"), ask("three"))
    assert contents(*payloads) == ["one", "two", "three"]
    assert len(engine.params) == 1
    assert json.loads(payloads[0])["model"] == "tiny"


def test_the_engine_is_set_to_be_silent_closed_and_repeatable(
    engine: FakeEngine, route: Route, ask: Callable[..., Request]
) -> None:
    run(LlamaTransport(find), route, ask())
    params = engine.params[0]
    assert (params.model.path, params.verbosity, params.n_parallel, params.n_ctx) == ("/models/tiny.gguf", -1, 4, 8192)
    assert (params.cache_prompt, params.cache_ram_mib, params.n_gpu_layers) == (False, 0, 0)
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (llama_process.threads(),) * 2
    assert len(params.api_keys[0]) > 30
    body = engine.bodies[0]
    assert (body["stream"], body["return_progress"], body["temperature"]) == (True, True, 0)


def test_the_log_is_shown_from_vv_on(engine: FakeEngine, route: Route, ask: Callable[..., Request]) -> None:
    for verbosity in (0, 1, 2, 3):
        run(LlamaTransport(find, verbosity), route, ask())
    assert [params.verbosity for params in engine.params] == [-1, -1, 3, 4]


@pytest.mark.parametrize(("context", "tokens"), [("4096", 4096), ("", 2048), ("0", 2048), ("many", 2048)])
def test_a_model_of_ones_own_may_have_a_larger_context(
    engine: FakeEngine, make_route: Callable[..., Route], ask: Callable[..., Request], context: str, tokens: int
) -> None:
    own = make_route(name="mine", dialect="llama", settings={"context_tokens": context})
    run(LlamaTransport(find, parallel=2), own, ask())
    assert engine.params[0].n_ctx == 2 * tokens
    assert not hasattr(engine.params[0], "n_gpu_layers")


def test_a_call_that_pins_its_answer_has_the_model_for_itself(
    engine: FakeEngine, route: Route, ask: Callable[..., Request]
) -> None:
    engine.answer = lambda body: [{"choices": []}] * 20 + [text(body["messages"][-1]["content"])]
    said = [str(number) for number in range(12)]
    requests = [ask(one, **({} if int(one) % 3 else {"temperature": 1, "seed": None})) for one in said]
    assert contents(*run(LlamaTransport(find), route, *requests)) == said
    pinned = [ask(one) for one in said]
    engine.highest = 0
    assert contents(*run(LlamaTransport(find), route, *pinned)) == said
    assert engine.highest == 1


def test_calls_that_pin_nothing_share_the_slots(engine: FakeEngine, route: Route, ask: Callable[..., Request]) -> None:
    together = threading.Barrier(4, timeout=10)
    engine.answer = lambda _body: [text(str(together.wait() < 4))]
    requests = [ask(temperature=0.7, seed=None) for _ in range(4)]
    assert contents(*run(LlamaTransport(find), route, *requests)) == ["True"] * 4
    assert engine.highest == 4


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"temperature": 0}, True), ({"temperature": 1, "seed": 0}, True), ({"temperature": 1}, False), ({}, False)],
)
def test_temperature_0_or_a_seed_pins_an_answer(settings: dict[str, Any], expected: bool) -> None:
    assert is_pinned(settings) is expected


def test_what_the_engine_refuses_is_a_bad_request(
    engine: FakeEngine, route: Route, ask: Callable[..., Request]
) -> None:
    engine.answer = lambda _: [{"error": {"code": 400, "type": "invalid_request_error", "message": "no"}}]
    message = "the model of 'local' does not take the request: no"
    assert fail(LlamaTransport(find), route, ask()).failure == Failure(FailureKind.BAD_REQUEST, message, status=400)
    engine.error = ValueError("no")
    assert fail(LlamaTransport(find), route, ask()).failure == Failure(FailureKind.BAD_REQUEST, message, status=400)


def test_an_answer_without_a_chunk_is_none(engine: FakeEngine, route: Route, ask: Callable[..., Request]) -> None:
    engine.answer = lambda _: []
    assert fail(LlamaTransport(find), route, ask()).failure.kind is FailureKind.INTERRUPTED


def test_a_slow_answer_ends_with_the_deadline_and_is_stopped(
    engine: FakeEngine, route: Route, ask: Callable[..., Request]
) -> None:
    engine.hold = threading.Event()
    assert fail(LlamaTransport(find), route, ask(), timeout_s=0.05).failure == Failure(
        FailureKind.BAD_ANSWER, "the model of 'local' did not answer in full within 0.05 s"
    )
    assert engine.running == 0


def test_a_cancelled_call_stops_the_engine_before_the_next_has_its_turn(
    engine: FakeEngine, route: Route, ask: Callable[..., Request]
) -> None:
    async def cancel() -> bytes:
        transport = LlamaTransport(find)
        engine.hold = threading.Event()
        first = asyncio.create_task(transport.send(route, ask("first"), timeout_s=30))
        await asyncio.to_thread(engine.started.wait)
        second = asyncio.create_task(transport.send(route, ask("second"), timeout_s=30))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        engine.hold.set()
        answer = await second
        await transport.aclose()
        return answer

    assert contents(asyncio.run(cancel())) == ["second"]
    assert engine.highest == 1


def test_closing_ends_what_still_runs(engine: FakeEngine, route: Route, ask: Callable[..., Request]) -> None:
    async def close() -> Failure:
        transport = LlamaTransport(find)
        engine.hold = threading.Event()
        call = asyncio.create_task(transport.send(route, ask(), timeout_s=30))
        await asyncio.to_thread(engine.started.wait)
        await transport.aclose()
        with pytest.raises(CallFailed) as caught:
            await call
        return caught.value.failure

    assert asyncio.run(close()) == Failure(FailureKind.INTERRUPTED, "the model of 'local' was stopped")


def test_a_missing_engine_names_its_installation(
    route: Route, ask: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert check_engine() == Problem(
        "missing-engine",
        "the embedded model needs its engine, which is not installed",
        fix="pip install 'runner[local]'",
    )
    failed = fail(LlamaTransport(find), route, ask())
    assert (failed.failure.kind, failed.requests) == (FailureKind.NOT_FOUND, 0)
    assert failed.failure.message == (
        "the embedded model needs its engine, which is not installed; type: pip install 'runner[local]'"
    )


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("fix", "message"), [("runner models pull x", "no weights; type: runner models pull x"), ("", "no weights")]
)
def test_missing_weights_say_what_to_type(route: Route, ask: Callable[..., Request], fix: str, message: str) -> None:
    def find_none(_provider: Provider) -> Path:
        raise FileError(Problem("missing-weights", "no weights", fix=fix))

    failed = fail(LlamaTransport(find_none), route, ask())
    assert (failed.failure, failed.requests) == (Failure(FailureKind.NOT_FOUND, message), 0)


@pytest.mark.usefixtures("engine")
def test_a_file_that_cannot_be_loaded_is_named(route: Route, ask: Callable[..., Request]) -> None:
    failed = fail(LlamaTransport(lambda _: Path("/broken.gguf")), route, ask())
    assert failed.failure == Failure(
        FailureKind.NOT_FOUND,
        "the model file /broken.gguf of 'local' cannot be loaded; -vv shows the engine's own log",
    )


def test_one_core_is_left_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert llama_process.threads() == 2
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert llama_process.threads() == 1


def test_the_text_is_told_as_the_engine_says_it(engine: FakeEngine, route: Route, ask: Callable[..., Request]) -> None:
    said = [text("Hel"), {"choices": [{"delta": {"content": None}}]}, text("lo")]
    engine.answer = lambda _body: said
    told: list[str] = []

    async def stream() -> bytes:
        transport = LlamaTransport(find)
        try:
            return await transport.stream(route, ask(), timeout_s=30, hear=told.append)
        finally:
            await transport.aclose()

    assert (contents(asyncio.run(stream())), told) == (["Hello"], ["Hel", "lo"])


VECTOR = {"model": "/models/tiny.gguf", "object": "list", "usage": {"prompt_tokens": 3, "total_tokens": 3},
          "data": [{"embedding": [0.1, -0.025288423523306847, 1], "index": 0, "object": "embedding"}]}  # fmt: skip


@pytest.fixture
def vectors(make_route: Callable[..., Route]) -> Callable[..., Route]:
    def route(*, is_builtin: bool = True) -> Route:
        return make_route(name="local", dialect="llama-embed", base_url="", key_env="", is_builtin=is_builtin)

    return route


@pytest.fixture
def embed(make_request: MakeRequest) -> Callable[[str], Request]:
    return lambda said: make_request(dialect="llama-embed", body={"input": said})


def test_a_vector_is_that_of_an_engine_of_its_own(
    engine: FakeEngine,
    route: Route,
    vectors: Callable[..., Route],
    ask: Callable[..., Request],
    embed: Callable[[str], Request],
) -> None:
    """The path of the weights is left out, and no digit that says nothing is kept."""
    engine.answer = lambda body: VECTOR if "input" in body else [text("words")]

    async def both() -> list[bytes]:
        transport = LlamaTransport(find)
        try:
            said = [
                await transport.send(vectors(), embed("sea"), timeout_s=30),
                await transport.send(route, ask(), timeout_s=30),
                await transport.send(vectors(), embed("lake"), timeout_s=30),
            ]
        finally:
            await transport.aclose()
        return said

    first, words, again = asyncio.run(both())
    assert json.loads(first) == {
        "object": "list",
        "model": "tiny",
        "data": [{"embedding": [0.1, -0.0252884235, 1.0]}],
        "usage": {"prompt_tokens": 3},
    }
    assert (again, contents(words)) == (first, ["words"])
    assert [body.get("input") for body in engine.bodies] == ["sea", None, "lake"]
    for_vectors, for_words = engine.params
    assert (for_vectors.embedding, for_vectors.pooling_type, for_vectors.n_parallel) == (True, "mean", 1)
    assert for_vectors.n_ubatch == for_vectors.n_ctx == 2048
    assert not hasattr(for_words, "embedding")


def test_an_own_models_file_says_how_its_vectors_are_made(
    engine: FakeEngine, vectors: Callable[..., Route], embed: Callable[[str], Request]
) -> None:
    engine.answer = lambda _: VECTOR
    run(LlamaTransport(find), vectors(is_builtin=False), embed("sea"))
    assert not hasattr(engine.params[0], "pooling_type")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 5001, "n_ctx": 2048, "code": 400}},
            "the prompt has 5001 tokens, and the model of 'local' reads 2048 in all; shorten the prompt or use another model",
        ),
        (ValueError("no text"), "the model of 'local' does not take the request: no text"),
    ],
)
def test_why_there_is_no_vector(
    engine: FakeEngine, vectors: Callable[..., Route], embed: Callable[[str], Request], said: Any, message: str
) -> None:
    if isinstance(said, Exception):
        engine.error = said
    engine.answer = lambda _: said
    failure = fail(LlamaTransport(find), vectors(), embed("sea")).failure
    assert (failure.kind, failure.message) == (FailureKind.BAD_REQUEST, message)
