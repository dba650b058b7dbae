"""Parts of questions that Gemini and Vertex AI keep for a while (`cachedContents`): made once, and named until they expire.

Making costs, so that it is never done twice: one process at a time looks into what is remembered, then into the
provider's own list, where each has a name that follows from what it holds, and makes only what is in neither. A run that
dies in between leaves at most something that the next one finds in the list.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from runner.core.context import Allow, Divided, Kept, TellMade, with_fields
from runner.core.frozen import dataclass, replace
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport.context_memory import is_usable, memory_key, read_memory, write_memory
from runner.transport.uploads import seconds_of_stamp
from runner.transport.vertex import place

PAGE: Final = 1000
MOST_PAGES: Final = 100
# How providers say that they do not have it (any more), or not for this key.
GONE: Final = frozenset({403, 404})
PREFIX: Final = "runner-"
_METHOD: Final = ":generateContent"
_NAME: Final = re.compile(r"(?:projects/[^/\s]+/locations/[^/\s]+/)?cachedContents/[A-Za-z0-9_.-]+")

Ask = Callable[[Route, str, Request], Awaitable[bytes]]
"""Sends a request by a method; the payload of its 200 answer. Raises CallFailed."""
Alone = Callable[[], AbstractAsyncContextManager[None]]
"""No other process of the project makes anything meanwhile."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a provider keeps them, and what it calls the model."""

    collection: str
    model: str


class Contexts:
    """Fills `ContextKeeper`. `memory` is the file that remembers names between runs."""

    def __init__(self, memory: Path, ask: Ask, alone: Alone, *, now: Callable[[], float] = time.time) -> None:
        self._memory = memory
        self._ask = ask
        self._alone = alone
        self._now = now
        self._known: dict[str, Kept] = {}
        self._gone: set[str] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    async def keep(self, route: Route, divided: Divided, ttl_s: float, allow: Allow, tell: TellMade) -> Kept:
        key = memory_key(route, divided.ident)
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._known.get(key)
            if known is not None and self._is_usable(known, ttl_s):
                return known
            async with self._alone():
                noted = read_memory(self._memory).get(key) or known
                if noted is not None and self._is_usable(noted, ttl_s):
                    found = noted
                else:
                    listed = await self._listed(route, divided, ttl_s)
                    found = listed or await self._made(route, divided, ttl_s, allow)
                    # What was begun by a run that died, or heard no answer, is paid and was never told.
                    if listed is None or (noted is not None and not noted.name):
                        tell(found)
                self._remember(key, found)
            return found

    async def is_gone(self, route: Route, divided: Divided, kept: Kept) -> bool:
        try:
            shown = _object(await self._ask(route, "GET", self._at(route, divided, kept)), route)
        except CallFailed as error:
            if error.failure.status not in GONE:
                return False
        else:
            # What is over may be shown for a while.
            if seconds_of_stamp(shown.get("expireTime"), kept.expires_at) > self._now():
                return False
        self._gone.add(kept.name)
        self._forget(memory_key(route, divided.ident), kept)
        return True

    async def drop(self, route: Route, divided: Divided, kept: Kept) -> None:
        self._forget(memory_key(route, divided.ident), kept)
        try:
            await self._ask(route, "DELETE", self._at(route, divided, kept))
        except CallFailed as error:
            if error.failure.status not in GONE:
                raise

    # At the provider

    async def _listed(self, route: Route, divided: Divided, ttl_s: float) -> Kept | None:
        """What was made by somebody who could not remember it, or elsewhere with the same key."""
        where = _place(route, divided)
        token = ""
        found: list[Kept] = []
        for _ in range(MOST_PAGES):
            more = f"&pageToken={quote(token, safe='')}" if token else ""
            request = replace(divided.kept, endpoint=f"{where.collection}?pageSize={PAGE}{more}", attachments=())
            page = _object(await self._ask(route, "GET", request), route)
            entries = page.get("cachedContents", [])
            if not isinstance(entries, list):
                # To take it for an empty list would be to pay twice.
                raise _bad(route, "lists what it keeps in a way that cannot be read")
            for entry in entries:
                if isinstance(entry, dict) and entry.get("displayName") == PREFIX + divided.ident:
                    kept = self._read(entry, route, ttl_s)
                    is_there = kept.name not in self._gone and self._is_usable(kept, ttl_s)
                    found += [kept] if is_there else []
            token = page.get("nextPageToken") or ""
            if not token:
                break
        return max(found, key=lambda kept: kept.expires_at, default=None)

    async def _made(self, route: Route, divided: Divided, ttl_s: float, allow: Allow) -> Kept:
        """That it is begun is on disk before it is."""
        refused = allow()
        if refused is not None:
            raise CallFailed(refused, requests=0)
        key, begun = memory_key(route, divided.ident), Kept("", self._now() + ttl_s)
        self._remember(key, begun)
        where = _place(route, divided)
        said = {"model": where.model, "displayName": PREFIX + divided.ident, "ttl": _duration(ttl_s)}
        request = replace(with_fields(divided.kept, said), endpoint=where.collection)
        try:
            payload = await self._ask(route, "POST", request)
        except CallFailed as error:
            if error.failure.status is not None:  # it was refused: nothing was begun
                self._forget(key, begun)
            raise
        return self._read(_object(payload, route), route, ttl_s)

    def _read(self, entry: Mapping[str, Any], route: Route, ttl_s: float) -> Kept:
        name, usage = entry.get("name"), entry.get("usageMetadata")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _bad(route, "gives what it keeps no name")
        tokens = usage.get("totalTokenCount") if isinstance(usage, dict) else None
        until = seconds_of_stamp(entry.get("expireTime"), self._now() + ttl_s)
        return Kept(name, until, tokens if isinstance(tokens, int) else None)

    def _at(self, route: Route, divided: Divided, kept: Kept) -> Request:
        version = _place(route, divided).collection.split("/")[1]
        return replace(divided.kept, endpoint=f"/{version}/{kept.name}", body=b"", attachments=())

    # What is remembered

    def _is_usable(self, kept: Kept, ttl_s: float) -> bool:
        return is_usable(kept, ttl_s, self._now())

    def _remember(self, key: str, kept: Kept) -> None:
        """Beside what other runs have remembered meanwhile; a memory that cannot be written is none."""
        self._known[key] = kept
        known = {name: one for name, one in read_memory(self._memory).items() if one.expires_at > self._now()}
        with suppress(OSError):
            write_memory(self._memory, {**known, key: kept})

    def _forget(self, key: str, kept: Kept) -> None:
        """Unless another one is known by now."""
        if self._known.get(key) is not None and self._known[key].name == kept.name:
            del self._known[key]
        known = read_memory(self._memory)
        if key in known and known[key].name == kept.name:
            del known[key]
            with suppress(OSError):
                write_memory(self._memory, known)


def _place(route: Route, divided: Divided) -> _Place:
    """`/v1beta/models/ID:generateContent`, or on Vertex AI with the project and the location before the model."""
    path = place(route.provider, divided.kept.endpoint).removesuffix(_METHOD)
    version, _, model = path.removeprefix("/").partition("/")
    parent = model.partition("publishers/")[0] if "publishers/" in model else ""
    return _Place(f"/{version}/{parent}cachedContents", unquote(model))


def _duration(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _object(payload: bytes, route: Route) -> dict[str, Any]:
    try:
        found = orjson.loads(payload)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise _bad(route, "answers with something that is not JSON where it keeps parts of questions")
    return found


def _bad(route: Route, what: str) -> CallFailed:
    return CallFailed(Failure(FailureKind.BAD_ANSWER, f"'{route.provider.name}' {what}", status=200))
