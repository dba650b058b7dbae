"""A look into the stored answers and the records of earlier runs, without a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.counting import counters_of
from runner.app.data import aside_of
from runner.app.explaining import RUNS, Explainer
from runner.app.keeping import recordings_of
from runner.app.kept_contexts import kept_for
from runner.app.preparing import Prepared
from runner.app.types import RunOptions
from runner.core.frozen import dataclass
from runner.plan.estimate import History
from runner.plan.plan import make_plan
from runner.plan.planned import Plan, PlannedCall
from runner.plan.stages import RunState
from runner.record.folders import list_runs, run_folder
from runner.record.summary import RunSummary, read_summary
from runner.store.layers import LayeredAnswers
from runner.store.local import LocalStore
from runner.store.memory import MemoryStore

if TYPE_CHECKING:
    from runner.store.leases import LocalLeases

LOCAL_CACHE = Path("cache/local")
HISTORY_RUNS = 20


@dataclass(frozen=True, slots=True)
class Look:
    """What is stored for a workflow. `warnings` grows while damaged entries are met."""

    answers: LayeredAnswers
    explainer: Explainer
    past: dict[str, History]
    warnings: list[str]


@contextmanager
def look_around(prepared: Prepared, options: RunOptions) -> Iterator[Look]:
    """Opens what there is; nothing is made or written."""
    workflow, root = prepared.project.workflow, prepared.project.files.root
    assert workflow is not None
    warnings: list[str] = []
    folder = root / LOCAL_CACHE
    store = LocalStore(folder) if options.use_cache and folder.is_dir() else MemoryStore()
    try:
        recordings = recordings_of(root)
        answers = LayeredAnswers(recordings if options.use_cache else None, store, warnings.append)
        explainer = Explainer(root, workflow, lambda: (prepared.program,), recordings, answers)
        yield Look(answers, explainer, history(root, workflow.name), warnings)
    finally:
        store.close()


@contextmanager
def stored_answers(root: Path) -> Iterator[LayeredAnswers]:
    """All that is stored, recorded or received here; nothing is made or written."""
    folder = root / LOCAL_CACHE
    store = LocalStore(folder) if folder.is_dir() else MemoryStore()
    try:
        yield LayeredAnswers(recordings_of(root), store, lambda _: None)
    finally:
        store.close()


def leases_of(root: Path, options: RunOptions) -> LocalLeases | None:
    """What keeps two processes from asking the same question; None where no answer is kept."""
    if not options.use_cache:
        return None
    from runner.store.leases import LocalLeases

    return LocalLeases(root / LOCAL_CACHE)


def plan_of(
    prepared: Prepared, look: Look, on_call: Callable[[PlannedCall], None] | None = None
) -> tuple[Plan, RunState]:
    """The plan, and the results that stored answers lead to."""
    root, lookup, counters = prepared.project.files.root, look.answers.lookup, counters_of(prepared.program)
    state = RunState(prepared.program, prepared.data, aside_of(root), keeps="steps")
    kept = kept_for(root)
    return make_plan(state, lookup, look.explainer.reason, look.past, on_call, counters, kept_for=kept), state


def history(root: Path, workflow: str) -> dict[str, History]:
    """What fresh answers of each step took in the last runs of the workflow."""
    found: dict[str, History] = {}
    for run in list_runs(root / RUNS)[-HISTORY_RUNS:]:
        summary = _summary(root, run)
        if summary is None or summary.workflow != workflow:
            continue
        for step in summary.steps:
            past = found.get(step.step, History())
            found[step.step] = History(
                past.calls + step.calls, past.input_tokens + step.input_tokens, past.output_tokens + step.output_tokens
            )
    return found


def _summary(root: Path, run: str) -> RunSummary | None:
    folder = run_folder(root / RUNS, run)
    try:
        return read_summary(folder) if folder is not None else None
    except ValueError:
        return None  # damaged, or of another release: history is only for the estimate
