"""Answers from a script instead of a model: for tests, ours and users', and for trying a workflow for nothing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from runner.core.canonical import Json, ordered
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, Hear
from runner.core.request import Request
from runner.transport.script import Rule, read_script

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
Respond: TypeAlias = Callable[[Request], "Rule | bytes | Failure"]

_BYTES_PER_TOKEN = 4


class ScriptedTransport:
    """Fills `Transport` with computed or written answers; `requests` lists what was asked, in order.

    A script of a file may be asked a million times: it does not remember them.
    """

    def __init__(self, respond: Respond, *, sleep: Sleep = asyncio.sleep, remembers: bool = True) -> None:
        self._respond = respond
        self._sleep = sleep
        self._remembers = remembers
        self.requests: list[Request] = []

    @classmethod
    def from_file(cls, data: bytes, file: str = "the script", *, sleep: Sleep = asyncio.sleep) -> ScriptedTransport:
        """The answers of one script. Raises FileError for a script that is wrong."""
        return cls(_Script(read_script(data, file)).rule_for, sleep=sleep, remembers=False)

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        if self._remembers:
            self.requests.append(request)
        reply = self._respond(request)
        if isinstance(reply, Rule):
            reply = await self._act(reply, request, route, timeout_s)
        if isinstance(reply, Failure):
            raise CallFailed(reply)
        return reply

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Hear) -> bytes:
        """Tells the whole text at once."""
        answer = await self.send(route, request, timeout_s=timeout_s)
        text = _said(answer)
        if text:
            hear(text)
        return answer

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _act(self, rule: Rule, request: Request, route: Route, timeout_s: float) -> bytes | Failure:
        if rule.delay_s:
            await self._sleep(min(rule.delay_s, timeout_s))
        if rule.delay_s > timeout_s:
            text = f"'{route.provider.name}' did not answer in full within {timeout_s:g} s; it may have been paid"
            return Failure(FailureKind.UNKNOWN_DELIVERY, text)
        return rule.failure or payload(rule.answer, request, model=route.model, finish=rule.finish, calls=rule.calls)


def payload(
    text: str, request: Request, *, model: str = "scripted", finish: str = "stop", calls: tuple[Json, ...] = ()
) -> bytes:
    """An answer in the scripted dialect's form, with tokens counted as a quarter of the bytes."""
    usage = {"input_tokens": _tokens(bytes(request.body)), "output_tokens": _tokens(text.encode())}
    called = {"calls": list(calls)} if calls else {}
    return ordered({"text": text, "finish": finish, "usage": usage, "model": model, **called})


def _said(answer: bytes) -> str:
    """The text of an answer; "" for what is none, which the dialect says when it reads it."""
    try:
        value: Json = json.loads(answer)
    except ValueError:
        return ""
    text = value.get("text") if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""


def _tokens(data: bytes) -> int:
    return -(-len(data) // _BYTES_PER_TOKEN)


def last_user_text(body: bytes) -> str:
    """What the last message of the user, or the last results of tools, say in a neutral body; "" when there is none."""
    value: Json = json.loads(body)
    texts = [message["text"] for message in value.get("messages", ()) if message.get("role") in ("user", "tool")]
    return str(texts[-1]) if texts else ""


class _Script:
    """Rules, and how often each was used."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._used: Counter[int] = Counter()

    def rule_for(self, request: Request) -> Rule:
        text = last_user_text(bytes(request.body))
        for index, rule in enumerate(self._rules):
            if rule.match in text and (not rule.times or self._used[index] < rule.times):
                self._used[index] += 1
                return rule
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        return Rule(failure=Failure(FailureKind.BAD_REQUEST, f"no rule of the script matches the message {shown!r}"))
