"""One streamed answer while it comes: pieces in, text out, and in the end the payload of an ordinary answer."""

from __future__ import annotations

import re

from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, Fold, Hear
from runner.transport.wire import Delivery, Reply, is_stream

_KIND = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}", re.ASCII)


class Hearing:
    """`take` is handed to a wire; `payload` is asked for when the reply has ended."""

    def __init__(self, fold: Fold, hear: Hear) -> None:
        self._fold = fold
        self._hear = hear

    def take(self, data: bytes) -> bool:
        text = self._fold.take(data)
        if text:
            self._hear(text)
        return not self._fold.is_over

    def payload(self, reply: Reply, delivery: Delivery) -> bytes:
        """Raises CallFailed for what was no stream, and for one that was cut."""
        if not is_stream(reply.headers):
            raise CallFailed(_no_stream(reply, delivery.provider))
        payload = self._fold.payload()
        if payload is None:
            raise CallFailed(delivery.closed_early())
        return payload


def _no_stream(reply: Reply, provider: str) -> Failure:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip()
    said = f"with {kind}" if _KIND.fullmatch(kind) else "otherwise"
    text = f"'{provider}' was asked for a stream of events and answered {said}; run it without --stream"
    return Failure(FailureKind.BAD_ANSWER, text, status=200)
