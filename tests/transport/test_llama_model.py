"""The real embedded model: constrained, repeatable, silent, and gone without a trace."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.core.model import Route
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport.llama_process import LlamaTransport
from runner.transport.weights import find_weights, ready_weights

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs the engine"),
]

MOOD = {
    "type": "object",
    "properties": {"mood": {"enum": ["good", "bad"]}, "alpha": {"type": "string", "maxLength": 20}},
    "required": ["mood", "alpha"],
    "additionalProperties": False,
}
LONG = "The road went on past the mill, over the hill and down to the sea. "

# Runs in a process of its own: prints the answer's digest, and must leave no other trace.
ALONE = """
import asyncio, hashlib, os, sys
from runner.core.model import ModelFacts, Provider, Route
from runner.core.request import Request
from runner.transport.llama_process import LlamaTransport
from runner.transport.weights import ready_weights
async def main():
    provider = Provider("local", "llama", is_builtin=True)
    route = Route("local/m", provider, "m", ModelFacts("local", "m"))
    request = Request("llama", 1, "local", "/m", sys.stdin.buffer.read())
    transport = LlamaTransport(lambda provider: ready_weights(provider, os.environ))
    print(hashlib.sha256(await transport.send(route, request, timeout_s=120)).hexdigest())
    if "close" in sys.argv:
        await transport.aclose()
asyncio.run(main())
"""


@pytest.fixture
def route(make_route: Callable[..., Route]) -> Route:
    route = make_route(name="local", dialect="llama", base_url="", key_env="", is_builtin=True)
    if not isinstance(find_weights(route.provider, os.environ), Path):
        pytest.skip("needs the weights")
    return route


@pytest.fixture
def ask(make_request: Callable[..., Request]) -> Callable[..., Request]:
    def ask(said: str, *, schema: Any = MOOD, **settings: Any) -> Request:
        wanted = {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}
        body = {
            "messages": [{"role": "user", "content": said}],
            "max_tokens": 40,
            "temperature": 0,
            "seed": 0,
            **({"response_format": wanted} if schema else {}),
            **settings,
        }
        return make_request(dialect="llama", body=body)

    return ask


def make() -> LlamaTransport:
    return LlamaTransport(lambda provider: ready_weights(provider, os.environ))


def test_the_same_request_gives_the_same_bytes_alone_after_others_and_among_others(
    route: Route, ask: Callable[..., Request], capfd: pytest.CaptureFixture[str]
) -> None:
    requests = [
        ask(f"How do you feel about {what}? {LONG * n}") for what, n in (("rain", 0), ("a fox", 6), ("snow", 2))
    ]

    async def run() -> tuple[list[bytes], list[bytes]]:
        transport = make()
        alone = [await transport.send(route, request, timeout_s=120) for request in requests]
        shuffled = [*reversed(requests), *requests]
        among = await asyncio.gather(*(transport.send(route, request, timeout_s=120) for request in shuffled))
        await transport.aclose()
        return [*reversed(alone), *alone], among

    alone, among = asyncio.run(run())
    assert alone == among
    answer = json.loads(alone[0])
    assert answer["choices"][0]["message"]["content"].startswith("{")
    assert answer["usage"]["prompt_tokens"] > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("how", ["close", "leave"])
def test_a_new_process_gives_the_same_bytes_and_ends_silently(
    route: Route, ask: Callable[..., Request], how: str
) -> None:
    request = ask("Good or bad?")

    async def here() -> bytes:
        transport = make()
        payload = await transport.send(route, request, timeout_s=120)
        await transport.aclose()
        return payload

    command = [sys.executable, "-c", ALONE, how]
    done = subprocess.run(command, input=bytes(request.body), capture_output=True, timeout=120, check=False)
    expected = hashlib.sha256(asyncio.run(here())).hexdigest()
    assert (done.stdout.decode().strip(), done.stderr.decode(), done.returncode) == (expected, "", 0)


def test_the_answer_fits_the_schema_in_the_authors_order(route: Route, ask: Callable[..., Request]) -> None:
    async def run() -> bytes:
        transport = make()
        payload = await transport.send(route, ask("I love my bicycle.", max_tokens=200), timeout_s=120)
        await transport.aclose()
        return payload

    answer = json.loads(asyncio.run(run()))
    value = json.loads(answer["choices"][0]["message"]["content"])
    assert (list(value), answer["choices"][0]["finish_reason"]) == (["mood", "alpha"], "stop")


def test_wrong_requests_are_told_apart_and_the_model_goes_on(route: Route, ask: Callable[..., Request]) -> None:
    async def run() -> list[str]:
        transport = make()
        said = []
        for request in (ask("word " * 4000), ask("x", schema={"type": "nope"}), ask("x", n=9)):
            with pytest.raises(CallFailed) as caught:
                await transport.send(route, request, timeout_s=120)
            assert caught.value.failure.kind is FailureKind.BAD_REQUEST
            said.append(caught.value.failure.message)
        assert await transport.send(route, ask("fine", max_tokens=3), timeout_s=120)
        await transport.aclose()
        return said

    said = asyncio.run(run())
    assert "tokens, and the model of 'local' reads 2048 in all" in said[0]
    assert all(message.startswith("the model of 'local' does not take the request: ") for message in said[1:])


def test_a_deadline_stops_the_model_within_two_seconds(route: Route, ask: Callable[..., Request]) -> None:
    async def run() -> float:
        transport = make()
        await transport.send(route, ask("warm", max_tokens=1), timeout_s=120)
        loop = asyncio.get_running_loop()
        start = loop.time()
        with pytest.raises(CallFailed, match="did not answer in full"):
            await transport.send(route, ask(LONG * 60, schema=None, max_tokens=900), timeout_s=0.3)
        took = loop.time() - start
        await transport.aclose()
        return took

    assert asyncio.run(run()) < 10  # two on an idle machine; what matters is that it is not the whole answer


def test_vectors_are_repeatable_and_of_one_length(route: Route, make_request: Callable[..., Request]) -> None:
    to_vectors = replace(route, provider=replace(route.provider, dialect="llama-embed"))

    async def vectors(*texts: str) -> list[Any]:
        transport = LlamaTransport(lambda provider: ready_weights(provider, os.environ))
        try:
            requests = [make_request(dialect="llama-embed", body={"input": text}) for text in texts]
            said = await asyncio.gather(*(transport.send(to_vectors, one, timeout_s=120) for one in requests))
        finally:
            await transport.aclose()
        return [json.loads(one)["data"][0]["embedding"] for one in said]

    alone = asyncio.run(vectors("A kettle."))
    several = asyncio.run(vectors("A lamp.", "A kettle.", "A pair of scales."))
    assert several[1] == alone[0]
    assert {len(vector) for vector in several} == {576}
    assert several[0] != several[1]
    assert sum(number * number for number in alone[0]) == pytest.approx(1)
