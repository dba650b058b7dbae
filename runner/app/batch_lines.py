"""Questions as lines of a batch file: what they show is uploaded before, or read into the file while it is written."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from runner.app.batch_jobs import BatchPorts, retried
from runner.core.frozen import dataclass
from runner.core.long_text import Body, LongBody
from runner.core.media import Medium, can_be_uploaded, inline_bytes, rules_for
from runner.core.outcome import Failure
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.dialects.batch import BATCH_FORMATS
from runner.plan.planned import PlannedCall
from runner.plan.program import StepProgram
from runner.record.batches import SpooledRow
from runner.transport.sending import Encoded, encode_now, encoded_length, pieces_of

UPLOADS_AT_ONCE = 8
SPARED_BYTES = 1_000_000
"""A file that several questions show is uploaded once where that spares so much."""


class LineFailed(Exception):
    """A question cannot be written: a file that it shows is no longer what it was."""

    def __init__(self, line: BatchLine, failure: Failure) -> None:
        self.line = line
        self.failure = failure
        super().__init__(failure.message)


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A question and the provider's names of the files that it shows, by the numbers of their attachments; `reused` are
    those that were uploaded earlier.
    """

    call: PlannedCall
    step: StepProgram
    names: Mapping[int, str] = field(default_factory=dict)
    reused: tuple[Medium, ...] = ()

    @property
    def key(self) -> str:
        return self.call.ask.key

    @property
    def request(self) -> Request:
        return self.call.ask.request

    def size(self) -> int:
        """Bytes with its end. Raises LineFailed."""
        return len(self._line()) + 1

    def spelt(self) -> tuple[Body, SpooledRow]:
        """The line, and what is needed to keep its answer. Raises LineFailed, also while the line is read."""
        request, ask = self.request, self.call.ask
        is_shown = bool(request.attachments)
        return self._line(), SpooledRow(
            key=ask.key,
            step=ask.step,
            item=ask.item,
            reason=self.call.reason,
            ingredients=ask.ingredients,
            sample=request.sample,
            salt=request.salt,
            repair=ask.repair,
            offset=0 if is_shown else len(self._head()),
            length=0 if is_shown else len(request.body),
            body=bytes(request.body).decode() if is_shown else "",
        )

    def _head(self) -> bytes:
        return BATCH_FORMATS[self.request.dialect].head(self.key, self.request)

    def _line(self) -> Body:
        request = self.request
        if not request.attachments and isinstance(request.body, bytes):
            return self._head() + request.body + b"}"
        try:
            body = pieces_of(request, self.names) if request.attachments else [request.body]
        except CallFailed as error:
            raise LineFailed(self, error.failure) from None
        return _Line(self, (self._head(), *body, b"}"))


class _Line(LongBody):
    """A line that is made anew each time that it is read."""

    __slots__ = ("_line", "_parts")

    def __init__(self, line: BatchLine, parts: tuple[Body | Encoded, ...]) -> None:
        sizes = [encoded_length(part.medium) if isinstance(part, Encoded) else len(part) for part in parts]
        super().__init__(sum(sizes))
        self._line, self._parts = line, parts

    def chunks(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            elif isinstance(part, LongBody):
                yield from part.chunks()
            else:
                try:
                    yield from encode_now(part.medium)
                except CallFailed as error:
                    raise LineFailed(self._line, error.failure) from None


def parts_of(lines: Sequence[BatchLine]) -> Iterator[list[BatchLine]]:
    """Lines for one file each."""
    written = BATCH_FORMATS[lines[0].request.dialect]
    part: list[BatchLine] = []
    total = 0
    for line in lines:
        try:
            size = line.size()
        except LineFailed:
            size = 0  # it is told where the line is written
        if part and (len(part) >= written.most_lines or total + size > written.most_bytes):
            yield part
            part, total = [], 0
        part.append(line)
        total += size
    yield part


async def lines_of(
    calls: Sequence[tuple[PlannedCall, StepProgram]], ports: BatchPorts
) -> tuple[list[BatchLine], dict[str, Failure]]:
    """The questions as lines, and those whose files could not be uploaded, by key."""
    shown = Counter(_ident(one.medium) for call, _ in calls for one in call.ask.request.attachments)
    room = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def line(call: PlannedCall, step: StepProgram) -> BatchLine | Failure:
        request = call.ask.request
        numbers = _to_upload(request, step, shown)
        if not numbers:
            return BatchLine(call, step)
        async with room:
            try:
                names, reused = await retried(lambda: ports.upload(step.route, request, numbers), ports)
            except CallFailed as error:
                return error.failure
        return BatchLine(call, step, names, tuple(reused))

    found = await asyncio.gather(*(line(*one) for one in calls))
    failed = {call.ask.key: one for (call, _), one in zip(calls, found, strict=True) if isinstance(one, Failure)}
    return [one for one in found if isinstance(one, BatchLine)], failed


def _to_upload(request: Request, step: StepProgram, shown: Mapping[str, int]) -> list[int]:
    """The numbers of the files that the question names: large ones, and those that others show as well."""
    rules = rules_for(step.dialect.media, step.route.provider)
    return [
        number
        for number, one in enumerate(request.attachments)
        if one.by_upload
        or (
            one.uploaded is not None
            and can_be_uploaded(one.medium, rules)
            and inline_bytes(one.medium) * (shown[_ident(one.medium)] - 1) > SPARED_BYTES
        )
    ]


def _ident(medium: Medium) -> str:
    return f"{medium.mime} {medium.sha256}"
