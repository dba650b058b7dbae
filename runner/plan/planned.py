"""What a plan says: of each step, and of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from runner.core.frozen import dataclass
from runner.plan.chain import Ask
from runner.plan.estimate import plus


class Fate(StrEnum):
    """What will become of a step, all its items together."""

    CACHED = "cached"
    CALL = "call"
    MAY_CALL = "may call"
    SKIPPED = "skipped"
    CANNOT_RUN = "cannot run"
    NOT_SELECTED = "not selected"
    NOTHING = "no items"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that is certain, and why."""

    ask: Ask
    reason: str


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """What becomes of the part that all questions of a step share: whether it `is_kept` at the provider for `ttl_s`.

    `tokens` are its own, None where no question is known yet. `store_usd` is what handing it over and keeping it
    costs, 0 where the provider has it for `left_s` more; `worst_store_usd` where it turns out that it has not (None:
    no price), `least_store_usd` where it is deleted at once. `saved_usd` is what the certain calls cost less for it. Keeping pays from `worth_from` calls on (None:
    not known, 0: never); `least_tokens` is what the provider wants, where the part has fewer.
    """

    tokens: int | None
    ttl_s: float
    store_usd: float | None
    worst_store_usd: float | None
    saved_usd: float
    worth_from: int | None
    is_kept: bool
    left_s: float | None = None
    least_tokens: int | None = None
    least_store_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What will become of a step.

    `items` is None while the list is not known. `cached` counts answers that are stored, `calls` the certain calls
    and `may_calls` those that may come on top, repairs included (None: not bounded, the list is not known).
    `shared` counts questions that are the same as a certain call: one answer serves all, and their own repairs may come.
    `failure` is why the first of those that cannot run
    cannot. `after` names the steps that must run before more is known. Costs are in US dollars, None when not known:
    `least_usd` is what the certain calls cost with the shortest answers (what has no price counts as nothing),
    `cost_usd` what they cost if the answers are like earlier ones (without any: the shortest), `worst_usd` what all
    calls cost that may be made, at their longest. `least_tokens` are those of the certain calls.
    """

    step: str
    model: str
    thinking: str
    items: int | None
    cached: int = 0
    calls: int = 0
    may_calls: int | None = 0
    skipped: int = 0
    failed: int = 0
    failure: str = ""
    after: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    is_measured: bool = False
    cost_usd: float | None = 0.0
    worst_usd: float | None = 0.0
    is_selected: bool = True
    least_usd: float = 0.0
    least_tokens: int = 0
    is_unpriced: bool = False
    counted_by: str = ""
    shared: int = 0
    context: ContextPlan | None = None

    @property
    def may_be_asked(self) -> bool:
        return self.may_calls is None or bool(self.calls or self.may_calls)

    @property
    def fate(self) -> Fate:
        if self.calls:
            return Fate.CALL
        if self.may_calls is None or self.may_calls or self.shared:
            return Fate.MAY_CALL
        if self.items == 0:
            return Fate.NOTHING
        if self.cached:
            return Fate.CACHED
        if not self.is_selected and not self.skipped:
            return Fate.NOT_SELECTED
        return Fate.CANNOT_RUN if self.failed else Fate.SKIPPED


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps in order of execution. `asked` are the certain calls (the first 1000)."""

    steps: tuple[StepPlan, ...]
    asked: tuple[PlannedCall, ...] = ()

    @property
    def calls(self) -> int:
        return sum(step.calls for step in self.steps)

    @property
    def worst_calls(self) -> int | None:
        """All that may be called; None when a list is not known yet."""
        most = [step.may_calls for step in self.steps]
        return None if None in most else self.calls + sum(number or 0 for number in most)

    @property
    def cached(self) -> int:
        return sum(step.cached for step in self.steps)

    @property
    def cost_usd(self) -> float | None:
        return plus(*(step.cost_usd for step in self.steps))

    @property
    def worst_usd(self) -> float | None:
        return plus(*(step.worst_usd for step in self.steps))

    @property
    def least_usd(self) -> float:
        """What the certain calls cost for sure; what has no price counts as nothing."""
        return sum(step.least_usd for step in self.steps)

    @property
    def least_tokens(self) -> int:
        return sum(step.least_tokens for step in self.steps)
