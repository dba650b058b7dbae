"""How a run ends, as far as its outcomes decide that. Pure."""

from __future__ import annotations

from runner.core.outcome import FailureKind
from runner.plan.stages import RunState


def has_failures(state: RunState) -> bool:
    """Whether an item failed that no setting leaves out, or a list, or too few items are good."""
    failed = any(state.tallies[name].failed for name in wanted(state))
    return failed or has_bad_list(state) or is_short(state)


def has_bad_list(state: RunState) -> bool:
    """Whether a list could not be made that a wanted step runs over."""
    steps = state.program.steps.values()
    unwanted = {step.linked.lane for step in steps if not step.is_wanted}
    unwanted -= {step.linked.lane for step in steps if step.is_wanted}
    return any(
        lane not in unwanted and failure.kind is not FailureKind.NOT_SELECTED
        for lane, failure in state.lane_failures.items()
    )


def is_short(state: RunState) -> bool:
    """Whether too few items of a step with `on_error: skip` are good."""
    return any(bool(state.tallies[name].absorbed) and not state.is_enough(name) for name in wanted(state))


def wanted(state: RunState) -> list[str]:
    """A step that no selected one needs cannot fail the run: it was not its business."""
    return [name for name, step in state.program.steps.items() if step.is_wanted]
