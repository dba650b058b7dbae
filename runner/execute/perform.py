"""One ask: from the store, or one request, with retries, kept before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from runner.core.answer import HEADERS, StoredAnswer
from runner.core.aside import Table
from runner.core.beside import Headers, listen
from runner.core.budget import Allowance
from runner.core.errors import StorageError
from runner.core.events import Noted, Retrying
from runner.core.frozen import dataclass, replace
from runner.core.limits import Beside
from runner.core.outcome import RETRIED_KINDS, ROUTE_STOPPERS, Failure, FailureKind, Source
from runner.core.ports import CallFailed, Clock, EventSink, Transport
from runner.core.problem import Problem
from runner.core.request import Request
from runner.core.response import Finish
from runner.execute.ahead import Ahead
from runner.execute.contexts import ContextUse
from runner.execute.gate import Gate
from runner.execute.hearing import Ear
from runner.execute.limits import InFlight, Limiter, Limits, Turn
from runner.execute.patience import Patience
from runner.execute.retry import DEFAULT_RETRIES, LONGEST_HINT_S, GiveUp, Wait, decide
from runner.execute.spending import Purse, amount_of
from runner.plan.advance import Answered, Ask
from runner.plan.estimate import media_tokens, tokens_in
from runner.plan.program import Program, StepProgram
from runner.plan.selection import refusal

DEFAULT_TIMEOUT_S = 600.0
STOPPED = Failure(FailureKind.INTERRUPTED, "stopped before it was asked")
FINAL_BY_FINISH = {
    Finish.CUT: FailureKind.CUT,
    Finish.REFUSED: FailureKind.REFUSED,
    Finish.UNKNOWN: FailureKind.INVALID,
}


@dataclass(frozen=True, slots=True)
class Ports:
    """What performing needs from outside. `explain` gives the reason of a miss, `random` numbers in [0, 1).

    `ahead` has what was asked before its turn. With `hear`, answers are streamed, and their text is told as it comes.
    `contexts` keeps parts of questions at their providers, `read_beside` reads what these say of their limits.
    """

    transport: Transport
    clock: Clock
    emit: EventSink
    explain: Callable[[Ask], str]
    random: Callable[[], float]
    ahead: Ahead | None = None
    hear: Callable[[Ask, str], None] | None = None
    contexts: ContextUse | None = None
    read_beside: Callable[[Headers], Beside] = lambda _: Beside()


class Shared:
    """What performers of one run have in common: no question is paid twice, and what is gone is gone for all.

    `asked` has the keys that were asked in this run.
    """

    def __init__(self, limits: Limits | None = None, asked: Table | None = None) -> None:
        self.limits = limits
        self.flights: dict[str, asyncio.Future[Answered]] = {}
        self.asked: Table = {} if asked is None else asked
        self.by_step: dict[str, asyncio.Semaphore] = {}
        self.ends: dict[str, asyncio.Event] = {}
        self.dead: dict[str, Failure] = {}


class Performer:
    """Answers asks. Equal asks in flight are one request; a slot covers call and commit.

    `stop` makes every further request fail at once, without asking: after an interrupt, or when answers cannot be
    kept. A provider whose key, quota or model is gone stops it too; others that share its state go on with other models.
    """

    def __init__(
        self,
        program: Program,
        gate: Gate,
        ports: Ports,
        limit: InFlight,
        purse: Purse | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._program = program
        self._gate = gate
        self._ports = ports
        self._limit = limit
        self.purse = purse or Purse(Allowance())
        shared = shared or Shared()
        self._by_step, self._ends, self._dead = shared.by_step, shared.ends, shared.dead
        self._flights, self._asked = shared.flights, shared.asked
        self.limits = shared.limits or Limits(ports.clock, ports.random)
        for name, step in program.steps.items():
            if step.linked.step.max_parallel is not None:
                self._by_step.setdefault(name, asyncio.Semaphore(step.linked.step.max_parallel))
            for part in step.reached:
                self._ends.setdefault(part.route.name, asyncio.Event())
        self._stopped: Failure | None = None
        self._claiming: set[asyncio.Future[bool]] = set()
        self._patience = Patience()
        self._is_unclaimed = False
        self.ended_by: tuple[str, FailureKind] | None = None
        """The step and the failure that every further request would meet."""
        self.unkept: Problem | None = None
        """Why an answer of this run could not be kept."""

    def interrupt(self, failure: Failure) -> None:
        """Send nothing more; what is in flight is kept, if it comes in the time that answers take."""
        self.stop(failure)
        self._patience.end()

    def stop(self, failure: Failure) -> None:
        """Send nothing more; what is in flight is waited for and kept."""
        self._stopped = self._stopped or failure
        for end in self._ends.values():
            end.set()
        for waiting in self._claiming:
            if not waiting.done():
                waiting.set_result(False)

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing more is sent because every request would fail."""
        return self._stopped is not None and self._stopped.kind is FailureKind.NOT_ASKED

    def _bury(self, step: StepProgram, failure: Failure, whole: StepProgram) -> None:
        """Send nothing more to this model; nor to any, unless another one is asked in its place."""
        self._dead.setdefault(step.route.name, failure)
        self._ends[step.route.name].set()
        escalate = whole.linked.step.escalate
        if escalate is None or "transport" not in escalate.on:
            self.ended_by = self.ended_by or (whole.name, failure.kind)
            self.stop(Failure(FailureKind.NOT_ASKED, f"not asked: {failure.message}"))

    async def answer(self, ask: Ask) -> Answered:
        """The stored answer, or a fresh one, or why there is none. Never raises for what a provider does."""
        ahead = self._ports.ahead
        if ahead is None:
            return await self._answer(ask)
        early = ahead.find([ask])[0]
        if early is not None:
            return early
        answered = await self._answer(ask)
        if answered.requests:
            ahead.note(ask, answered)
        return answered

    async def _answer(self, ask: Ask) -> Answered:
        ahead = self._ports.ahead
        if ask.use == "off":
            return await self._request(ask)
        if not ask.must_ask:
            stored = await self._gate.lookup(ask.key)
            if stored is not None:
                return Answered(stored, is_todays=self._asked.get(ask.key) is not None)
        elif self._asked.get(ask.key) is not None:
            stored = await self._gate.lookup(ask.key)
            if stored is not None:
                return Answered(stored, reason=ask.reason, is_todays=True)
        refused = refusal(self._program.steps[ask.step], ask.item) or (
            ahead.refusal(ask) if ahead is not None else None
        )
        return Answered(failure=refused) if refused is not None else await self._once(ask)

    async def keep(self, answer: StoredAnswer) -> None:
        """Store a failure mark. A storage failure stops the run and is told once."""
        try:
            await self._gate.commit(answer)
        except StorageError as error:
            self._storage_failed(error)

    async def _once(self, ask: Ask) -> Answered:
        while (flight := self._flights.get(ask.key)) is not None:
            await asyncio.wait({flight})
            if flight.cancelled():
                continue  # its leader was cancelled; the next one leads
            shared = flight.result()
            if shared.answer is not None:
                return replace(shared, answer=replace(shared.answer, source=Source.CACHED), requests=0, seconds=0.0)
            if shared.failure is None or shared.failure.kind not in RETRIED_KINDS:
                return replace(shared, requests=0, seconds=0.0)
        flight = asyncio.get_running_loop().create_future()
        self._flights[ask.key] = flight
        try:
            answered = await self._lead(ask)
            flight.set_result(answered)
        except Exception as error:
            flight.set_exception(error)
            flight.exception()  # seen: it is raised here, whether or not others wait for it too
            raise
        finally:
            del self._flights[ask.key]
            flight.cancel()
        return answered

    async def _lead(self, ask: Ask) -> Answered:
        """Ask for all who wait here. What another process asked meanwhile is shared, unless it brought no answer."""
        before = await self._gate.lookup(ask.key) if ask.must_ask else None
        if self._stopped is None and not await self._is_ours(ask.key):
            return Answered(failure=self._stopped)
        try:
            stored = await self._gate.lookup(ask.key)
            if stored is not None and stored != before:
                return Answered(stored, reason=ask.reason, is_todays=True)
            return await self._request(ask)
        finally:
            self._gate.release(ask.key)

    async def _is_ours(self, key: str) -> bool:
        """Wait for others who ask the same question; False when it is not to be asked any more."""
        claiming = self._gate.claim(key)
        self._claiming.add(claiming)
        try:
            return await claiming
        except StorageError as error:
            if not self._is_unclaimed:
                self._is_unclaimed = True
                text = "another run at the same time may ask the same questions"
                self._ports.emit(Noted("unclaimed", f"{error.problems[0].message}; {text}"))
            return True
        finally:
            self._claiming.discard(claiming)

    async def _request(self, ask: Ask) -> Answered:
        own = self._by_step.get(ask.step)
        if own is None:
            return await self._request_in_flight(ask)
        async with own:
            return await self._request_in_flight(ask)

    async def _request_in_flight(self, ask: Ask) -> Answered:
        step = self._program.asked_by(ask)
        async with self._limit:
            failure = self._ended(step)
            if failure is not None:
                return Answered(failure=failure)
            answered = await self._send(step, ask, ask.reason or self._ports.explain(ask))
            if answered.failure is not None and self._ends_all(step, answered.failure):
                self._bury(step, answered.failure, self._program.steps[ask.step])
            if answered.answer is not None and ask.use != "off":
                await self.keep(answered.answer)
                self._asked[ask.key] = ""
        return answered

    def _ended(self, step: StepProgram) -> Failure | None:
        """Why nothing more is sent, at all or to this model."""
        return self._stopped or self._dead.get(step.route.name)

    def _ends_all(self, step: StepProgram, failure: Failure) -> bool:
        """Whether every further request to this model would fare as this one did."""
        if failure.kind in ROUTE_STOPPERS or (failure.retry_after_s or 0.0) > LONGEST_HINT_S:
            return True
        return failure.kind in RETRIED_KINDS and self.limits.of(step.route).is_out_of_reach

    async def _send(self, step: StepProgram, ask: Ask, reason: str) -> Answered:
        """Requests until one is answered or retrying has no point. The only retry loop."""
        clock = self._ports.clock
        settings = step.linked.step
        limiter = self.limits.of(step.route)
        started = clock.monotonic()
        waited_s = 0.0
        tries = requests = maybe_paid = 0
        while True:
            came_at = clock.monotonic()
            turn = await self._turn(step, ask, limiter)
            waited_s += clock.monotonic() - came_at
            held = turn if isinstance(turn, Failure) else await self.purse.hold(step, ask)
            if isinstance(turn, Failure) or isinstance(held, Failure):
                if isinstance(turn, Turn):
                    limiter.leave(turn)
                assert isinstance(held, Failure)
                seconds = clock.monotonic() - started
                return Answered(None, held, reason, requests=requests, seconds=seconds, maybe_paid_twice=maybe_paid)
            tries += 1
            requests += 1
            sent_at = clock.monotonic()
            paid, sent, is_unclear = None, 1, False
            failure, usage = STOPPED, None
            ear = Ear(self._ports.hear, clock, ask) if self._ports.hear is not None else None
            heard = listen()
            try:
                payload = await self._payload(step, ask, settings.timeout_s or DEFAULT_TIMEOUT_S, ear)
                response = step.dialect.decode(payload)
                usage = response.usage
                paid = amount_of(usage, step.cost, ask, payload) if held.is_counted else None
            except CallFailed as error:
                failure, sent = error.failure, error.requests
                is_unclear = failure.kind is FailureKind.UNKNOWN_DELIVERY
                requests += sent - 1
            else:
                seconds = clock.monotonic() - sent_at
                answer = self._stored(ask, payload, FINAL_BY_FINISH.get(response.finish), seconds)
                return Answered(
                    answer,
                    reason=reason,
                    is_todays=True,
                    requests=requests,
                    seconds=seconds,
                    maybe_paid_twice=maybe_paid,
                    response=response,
                    first_token_s=ear.first_at - sent_at if ear is not None and ear.first_at is not None else None,
                )
            finally:
                self.purse.settle(held, paid, requests=sent, is_unclear=is_unclear)
                for headers in heard[-1:]:
                    limiter.heard(turn, self._ports.read_beside(headers))
                limiter.ended(turn, usage if usage is not None else failure)
            decision = decide(
                failure,
                tries=tries,
                retries=DEFAULT_RETRIES if settings.retries is None else settings.retries,
                elapsed_s=clock.monotonic() - started - waited_s,
                random=self._ports.random(),
            )
            if isinstance(decision, Wait) and self._ends_all(step, failure):
                decision = GiveUp(limiter.why_out_of_reach)
            if isinstance(decision, Wait) and self._ended(step) is None:
                self._ports.emit(Retrying(ask.step, ask.item, tries, decision.seconds, failure.message))
                if not await self._ended_while(step, clock.sleep(decision.seconds)):
                    maybe_paid += is_unclear
                    continue
            if isinstance(decision, GiveUp) and failure.kind in RETRIED_KINDS:
                failure = replace(failure, message=f"{failure.message}; {decision.reason}")
            seconds = clock.monotonic() - started
            return Answered(None, failure, reason, requests=requests, seconds=seconds, maybe_paid_twice=maybe_paid)

    async def _turn(self, step: StepProgram, ask: Ask, limiter: Limiter) -> Turn | Failure:
        """Leave to send a request now, or why it is not sent any more."""

        def tokens() -> int:
            return tokens_in(ask.call) + media_tokens(ask.call)

        turn = limiter.try_enter(tokens)
        if turn is not None:
            return turn
        entering = asyncio.ensure_future(limiter.enter(tokens))
        is_ended = await self._ended_while(step, entering)
        if entering.done() and not entering.cancelled():
            turn = entering.result()
            if not is_ended:
                return turn
            limiter.leave(turn)
        return self._ended(step) or STOPPED

    async def _payload(self, step: StepProgram, ask: Ask, timeout_s: float, ear: Ear | None) -> bytes:
        """One request, with what its step keeps at the provider. Raises CallFailed."""
        contexts = self._ports.contexts
        if contexts is None:
            return await self._sent(step, ask.request, timeout_s, ear)
        return await contexts.send(step, ask, self.purse, lambda one: self._sent(step, one, timeout_s, ear))

    async def _sent(self, step: StepProgram, request: Request, timeout_s: float, ear: Ear | None) -> bytes:
        """Raises CallFailed. A stop waits for what may be paid, and drops what runs in this process."""
        transport = self._ports.transport
        if ear is None:
            send = transport.send(step.route, request, timeout_s=timeout_s)
        else:
            send = transport.stream(step.route, request, timeout_s=timeout_s, hear=ear)
        if not step.route.provider.is_in_process:
            async with self._patience.request(step.route.name):
                return await send
        sending = asyncio.ensure_future(send)
        if await self._ended_while(step, sending) and not sending.done():
            await asyncio.gather(sending, return_exceptions=True)
            raise CallFailed(self._ended(step) or Failure(FailureKind.INTERRUPTED, "stopped"))
        return await sending

    async def _ended_while(self, step: StepProgram, waiting: Awaitable[object]) -> bool:
        """Wait for something, but no longer than until nothing more is sent to this model; whether that came."""
        end = self._ends[step.route.name]
        waited = asyncio.ensure_future(waiting)
        ending = asyncio.ensure_future(end.wait())
        try:
            await asyncio.wait((waited, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waited.cancel()
            ending.cancel()
        return end.is_set()

    def _stored(self, ask: Ask, payload: bytes, failure: FailureKind | None, seconds: float) -> StoredAnswer:
        request = ask.request
        headers = {HEADERS: [list(pair) for pair in request.headers]} if request.headers else {}
        return StoredAnswer(
            key=ask.key,
            dialect=request.dialect,
            provider=request.provider,
            endpoint=request.endpoint,
            body=request.body,
            payload=payload,
            failure=failure,
            ingredients={**ask.ingredients, **headers},
            sample=request.sample,
            salt=request.salt,
            received_at=self._ports.clock.now(),
            seconds=seconds,
        )

    def _storage_failed(self, error: StorageError) -> None:
        if self.unkept is None:
            problem = error.problems[0]
            self.unkept = replace(problem, message=f"{problem.message}; answers received since are used but not kept")
            self._ports.emit(Noted("storage", self.unkept.message))
            self.stop(Failure(FailureKind.STORAGE, "not asked, because its answer could not be kept"))
