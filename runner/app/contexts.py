"""What a run keeps at providers of the questions of its steps, put together. Imported only where a step wants it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.counting import counters_of
from runner.app.data import aside_of
from runner.app.filling import alone
from runner.app.kept_contexts import MEMORY, kept_for
from runner.core.context import ContextKeeper
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, Clock
from runner.core.request import Request
from runner.execute.contexts import ContextUse
from runner.plan.plan import make_plan
from runner.plan.stages import RunState
from runner.transport.contexts import Contexts
from runner.transport.port import HttpTransport
from runner.transport.routing import RoutingTransport

if TYPE_CHECKING:
    from runner.app.session import Session
    from runner.core.ports import Transport

LOCK = Path(".runner") / "contexts.lock"
ASK_S = 600.0


def context_use(session: Session, transport: Transport, clock: Clock) -> ContextUse:
    """A part is kept where the plan says that this costs less than to send it each time."""
    found: dict[str, bool] = {}

    def is_kept(step: str) -> bool:
        if not found:
            found.update(_kept_steps(session))
        return found[step]

    return ContextUse(_keeper(transport, session.project.files.root, clock), clock, session.emit, is_kept)


def _kept_steps(session: Session) -> dict[str, bool]:
    root = session.project.files.root
    state = RunState(session.program, session.drive.state.data, aside_of(root), keeps="steps")
    lookup = session.quiet_answers().lookup
    plan = make_plan(state, lookup, lambda _: "", counters=counters_of(session.program), kept_for=kept_for(root))
    return {step.step: step.context is not None and step.context.is_kept for step in plan.steps}


def _keeper(transport: Transport, root: Path, clock: Clock) -> ContextKeeper:
    async def ask(route: Route, method: str, request: Request) -> bytes:
        inner = transport.of(route) if isinstance(transport, RoutingTransport) else transport
        if not isinstance(inner, HttpTransport):
            text = f"'{route.provider.name}' is not reached over HTTP, so that nothing is kept there"
            raise CallFailed(Failure(FailureKind.BAD_REQUEST, text), requests=0)
        return await inner.ask(route, method, request, timeout_s=ASK_S)

    return Contexts(root / MEMORY, ask, lambda: alone(root / LOCK), now=clock.now)
