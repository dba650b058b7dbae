"""The protocols between layers, of one to five members each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from runner.core.call import Call
from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.media import MediaRules, Medium
from runner.core.model import ModelFacts, Route
from runner.core.outcome import Failure
from runner.core.request import Request
from runner.core.response import Response
from runner.core.workflow import FileTemplate

if TYPE_CHECKING:
    from runner.core.answer import StoredAnswer
    from runner.core.events import Event


class CallFailed(Exception):
    """A request that brought no answer; `failure` says why. Raised by transports, caught in `execute/`."""

    def __init__(self, failure: Failure, *, requests: int = 1) -> None:
        self.failure = failure
        self.requests = requests
        super().__init__(failure.message)


@dataclass(frozen=True, slots=True)
class LoweredSchema:
    """A schema as a dialect sends it, and what became of its keywords.

    `body` is None when nothing is sent. `enforced` lists JSON pointers of keywords that the provider holds an answer to
    (by the names of the present draft), `local_only` of those sent otherwise or not that only we enforce,
    `refused` those that the provider would answer with an error (pointer and why). `undo` maps an answer back to
    the author's schema (strict dialects send optional properties as nullable ones).
    """

    body: Json | None
    local_only: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    undo: Callable[[Json], Json] | None = None
    enforced: tuple[str, ...] = ()


class Dialect(Protocol):
    """One wire protocol, pure: no HTTP, no clock. `name` and `key_version` enter the key.

    `options` are the names that a step's `options` may use, `lacks` the step keys that the protocol has no field for,
    `media` the files that it can carry.
    """

    name: ClassVar[str]
    key_version: ClassVar[int]
    options: ClassVar[frozenset[str]]
    lacks: ClassVar[frozenset[str]]
    media: ClassVar[MediaRules]

    def encode(self, call: Call, route: Route) -> Request:
        """The request as sent, without credentials. Pure and deterministic: equal calls give equal bytes."""
        ...

    def decode(self, payload: bytes) -> Response:
        """The answer in a 200 payload. Raises CallFailed (bad-answer) when the payload is no answer at all."""
        ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """What a status other than 200 (or an error inside a 200) means; header names are in lower case."""
        ...

    def lower(self, schema: Json) -> LoweredSchema:
        """The author's schema in this dialect's subset."""
        ...

    def scrub(self, payload: bytes) -> bytes:
        """The payload without clocks, ids and paths, as stable bytes: the same answer gives the same recording."""
        ...


class Fold(Protocol):
    """Puts the pieces of a streamed answer together, pure. `is_over` once nothing more is to be read."""

    is_over: bool

    def take(self, data: bytes) -> str:
        """Take a piece of any size; the text of the answer that it brings. Raises CallFailed for an error in it."""
        ...

    def payload(self) -> bytes | None:
        """The payload that the same question brings without streaming; None for a stream that was cut."""
        ...


class Streaming(Protocol):
    """How a protocol streams."""

    def open(self, request: Request) -> Request:
        """The request for a stream. It is never keyed: the key is that of the request it was made from."""
        ...

    def fold(self) -> Fold: ...


Hear = Callable[[str], None]
"""Takes text of an answer as it comes: provisional, since the answer may still fail."""


class Transport(Protocol):
    """Sends a request and gives the payload of a complete 200 answer. Closing is `aclose`."""

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        """Raises CallFailed for everything else. Never retries: there is one retry layer, in `execute/`."""
        ...

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Hear) -> bytes:
        """As `send`, telling the text while it comes."""
        ...

    async def aclose(self) -> None: ...


class Store(Protocol):
    """Bytes in, bytes out; synchronous; safe between processes. Raises StorageError."""

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]: ...

    def put_many(self, entries: Mapping[str, bytes]) -> None:
        """All entries are durable against the death of the process when this returns."""
        ...

    def scan(self) -> Iterator[tuple[str, bytes]]: ...

    def delete(self, keys: Iterable[str]) -> None: ...

    def close(self) -> None: ...


class Answers(Protocol):
    """The typed face of the layered store: recordings first, then what was received here."""

    def lookup(self, keys: Sequence[str]) -> dict[str, StoredAnswer]:
        """What is stored; a damaged entry is left out, with a warning."""
        ...

    def commit(self, answers: Sequence[StoredAnswer]) -> None:
        """Durable when this returns. Raises StorageError."""
        ...


class Leases(Protocol):
    """Who asks which question now, among processes that share a store. Synchronous. Raises StorageError."""

    def claim(self, keys: Sequence[str], *, release: Iterable[str] = ()) -> set[str]:
        """Give up what is released, and take what nobody else has; which of the keys are ours now."""
        ...

    def renew(self) -> None:
        """Tell others, every few seconds, that what was claimed is still wanted."""
        ...

    def close(self) -> None:
        """Give up everything."""
        ...


class EventSink(Protocol):
    def __call__(self, event: Event, /) -> None: ...


class Clock(Protocol):
    """Monotonic seconds for waits, Unix seconds for stamps, and sleeping."""

    def monotonic(self) -> float: ...

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Engine(Protocol):
    """Moves chunks of items through a chunk function, at most `window` at once; knows no steps."""

    def stream(self, chunks: Iterable[Any], window: int) -> AsyncIterator[Any]: ...


ReadFile = Callable[[str], bytes]
"""Reads a file named relative to the project root. Raises FileError for a file that is missing or outside it."""

FactsOf = Callable[[str, str], "ModelFacts | None"]

FindMedium = Callable[[FileTemplate, str, tuple[str, ...]], Medium]
"""Looks at the file that a `files` entry names: the entry, its path as rendered, and the reference that the path begins
with (() when it begins with none). Raises FileError for one that cannot be shown to a model."""
