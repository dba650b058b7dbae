"""One connection that speaks HTTP/1.1: a request goes out, its answer comes in, and then perhaps the next."""

from __future__ import annotations

import asyncio
from typing import Final

from runner.core.long_text import Body, chunks_of
from runner.transport.reply_reader import BadReply, ReplyReader
from runner.transport.wire import WRITE_S, Bounds, Delivery, Reply, Take

SMALL: Final = 0x10000
"""A body that is surely taken at once by the operating system, or kept by the loop."""


class Silent(OSError):
    """Nothing more of an answer came."""


class Late(Exception):
    """The deadline for the whole answer has passed."""


class StoppedReading(OSError):
    """The other side takes no more of a request."""


class Connection(asyncio.Protocol):
    """Carries one request at a time. What goes wrong with it is raised where its answer is waited for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader: ReplyReader | None = None
        self._idle_s = 0.0
        self._heard_at = self._until = 0.0
        self._is_idle_watched = False
        self._watch: asyncio.TimerHandle | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.is_open = False
        """Whether another request may go out on it."""
        self.free_since = 0.0

    async def exchange(
        self, head: bytes, body: Body, until: float, delivery: Delivery, bounds: Bounds, take: Take | None
    ) -> Reply:
        """Send a request and give its answer, which must be there at a time of the loop's.

        Raises Late, OSError, BadReply, and what reading the answer does.
        """
        assert self._transport is not None
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._reply = reply
        reader = self._reader = ReplyReader(bounds, take)
        self._idle_s = bounds.idle_s
        # One timer for all that may take too long: to set one up for each wait costs more than the wait.
        self._until = until
        self._is_idle_watched = False
        self._watch = self._loop.call_at(until, self._look)
        is_done = False
        try:
            delivery.is_sent = True
            if isinstance(body, bytes) and len(body) <= SMALL:
                self._transport.write(head + body)
            else:
                await self._write(self._transport, head, body, reply)
            found = await reply
            is_done = reader.may_be_reused
            return found
        finally:
            self._reply = self._reader = None
            self._watch.cancel()
            if not is_done:
                self.abort()

    async def _write(self, transport: asyncio.Transport, head: bytes, body: Body, reply: asyncio.Future[Reply]) -> None:
        """Piece by piece: the connection would make a copy of all that it is given at once."""
        transport.write(head)
        try:
            async with asyncio.timeout(WRITE_S):
                for chunk in chunks_of(body):
                    await self._may_write.wait()
                    if reply.done():  # refused before all of it was there, or lost
                        return
                    transport.write(chunk)
        except TimeoutError:
            raise StoppedReading from None

    def abort(self) -> None:
        """Hang up at once."""
        assert self._transport is not None
        self.is_open = False
        self._transport.abort()

    # Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        reply, reader = self._reply, self._reader
        if reply is None or reader is None or reply.done():
            self.abort()  # nobody asked
            return
        try:
            found = reader.feed(data)
        except Exception as error:  # noqa: BLE001  # raised where the answer is waited for
            reply.set_exception(error)
            return
        if found is not None:
            reply.set_result(found)
            return
        self._heard_at = self._loop.time()
        if reader.is_begun and not self._is_idle_watched:
            self._is_idle_watched = True
            self._look_again()

    def _look_again(self) -> None:
        assert self._watch is not None
        self._watch.cancel()
        self._watch = self._loop.call_at(min(self._until, self._heard_at + self._idle_s), self._look)

    def _look(self) -> None:
        """Whether the time is over, or nothing has come of late."""
        now = self._loop.time()
        reply = self._reply
        if reply is None or reply.done():
            return
        if now >= self._until:
            reply.set_exception(Late())
            self._may_write.set()
        elif now - self._heard_at >= self._idle_s:
            reply.set_exception(Silent())
        else:
            self._look_again()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._may_write.set()
        reply, reader = self._reply, self._reader
        if reply is None or reader is None or reply.done():
            return
        if error is not None:
            reply.set_exception(error if isinstance(error, OSError) else ConnectionResetError())
            return
        try:
            reply.set_result(reader.end())
        except BadReply as bad:
            reply.set_exception(bad)
