"""One transport for all dialects: each is made when it is first needed, and all are closed together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, Hear, Transport
from runner.core.request import Request


class RoutingTransport:
    """Hands a request to the transport of its provider's dialect; dialects that are made by one function share what it made.

    Making is late because it is costly: HTTP imports its library, the embedded model its engine.
    """

    def __init__(self, by_dialect: Mapping[str, Callable[[], Transport]]) -> None:
        self._by_dialect = by_dialect
        self._made: dict[Callable[[], Transport], Transport] = {}

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        return await self.of(route).send(route, request, timeout_s=timeout_s)

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Hear) -> bytes:
        return await self.of(route).stream(route, request, timeout_s=timeout_s, hear=hear)

    async def aclose(self) -> None:
        """Closes all that were made, also when one of them fails to close; the first error is raised."""
        made, self._made = list(self._made.values()), {}
        errors = [error for transport in made if (error := await _close(transport)) is not None]
        if errors:
            raise errors[0]

    def of(self, route: Route) -> Transport:
        """The transport of a route's provider. Raises CallFailed where there is none."""
        dialect = route.provider.dialect
        make = self._by_dialect.get(dialect)
        if make is None:
            text = f"provider '{route.provider.name}' speaks '{dialect}', which nothing here can send"
            raise CallFailed(Failure(FailureKind.BAD_REQUEST, text), requests=0)
        if make not in self._made:
            self._made[make] = make()
        return self._made[make]


async def _close(transport: Transport) -> Exception | None:
    try:
        await transport.aclose()
    except Exception as error:  # noqa: BLE001 - the others must be closed before this one is raised again
        return error
    return None
