"""A case that has run: what came out against what was expected. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from runner.core.canonical import Json
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass
from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.core.suite import Metric, Subject
from runner.core.workflow import OutputTable
from runner.plan.advance import Scope, view_of
from runner.plan.output_values import output_value
from runner.plan.outputs import table_rows
from runner.plan.stages import RunState
from runner.suites.assertions import Evidence, check_assertion
from runner.suites.cases import Unit
from runner.suites.differences import differences
from runner.suites.similarity import is_vector
from runner.suites.snapshots import check_snapshots, snapshots_of
from runner.suites.values import Seen, Texts
from runner.suites.verdict import Finding, Kind, Measured, StepAttempt, Taken, Verdict, taken_by

_TROUBLE = frozenset(
    {
        FailureKind.TRANSIENT,
        FailureKind.UNKNOWN_DELIVERY,
        FailureKind.AUTH,
        FailureKind.QUOTA,
        FailureKind.NOT_FOUND,
        FailureKind.BAD_REQUEST,
        FailureKind.BAD_ANSWER,
        FailureKind.STORAGE,
        FailureKind.NOT_ASKED,
    }
)


@dataclass(frozen=True, slots=True)
class Ran:
    """A case that has come to its end. `failures` are the outcomes that would end a run of the workflow badly."""

    unit: Unit
    state: RunState
    attempts: tuple[StepAttempt, ...]
    failures: Sequence[Outcome] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    recorded: Mapping[str, Json] | None = None
    """What the case gave when its recordings were made."""
    is_recording: bool = False


def judge(ran: Ran, texts: Texts) -> Verdict:
    """The verdict on a case, with everything that does not hold."""
    taken = taken_by(ran.attempts)
    unheard = _unheard(ran, taken)
    if unheard is not None:
        return unheard
    scope = ran.state.scope()
    outputs, broken = _outputs(ran.state, scope)
    names = {"inputs": ran.state.program.inputs, "steps": scope.views, "outputs": outputs, "case": ran.unit.case.row}
    seen = Seen(texts, names)
    findings = [*_failed(ran), *_ends(ran), *_expected(ran, seen, broken)]
    if not _is_broken(ran):
        evidence = Evidence(seen, lambda step: taken_by(ran.attempts, step))
        told = (check_assertion(assertion, evidence) for assertion in ran.unit.case.assertions)
        findings += [finding for finding in told if finding is not None]
    snapshots = snapshots_of(ran.unit.case, seen)
    if not ran.is_recording:
        findings += check_snapshots(snapshots, ran.recorded)
    metrics = {name: _measured(metric, seen) for name, metric in ran.metrics.items() if metric.kind != "from"}
    kind = Kind.FAILED if findings else Kind.PASSED
    kept = {snapshot.name: snapshot.value for snapshot in snapshots if not snapshot.problem}
    return Verdict(ran.unit.id, kind, tuple(findings), taken, metrics, kept)


# --- no answer to judge


def _unheard(ran: Ran, taken: Taken) -> Verdict | None:
    """The verdict where answers are missing, so that nothing can be said of them."""
    by_kind = {Kind.MISSING: {FailureKind.NEEDS_CALL, FailureKind.NOT_SELECTED}, Kind.TROUBLE: _TROUBLE}
    by_kind |= {Kind.BUDGET: {FailureKind.BUDGET}, Kind.INTERRUPTED: {FailureKind.INTERRUPTED}}
    ended = [(outcome, outcome.failure) for outcome in _all_ends(ran.state) if outcome.failure is not None]
    for kind, failures in by_kind.items():
        found = [(outcome, failure) for outcome, failure in ended if failure.kind in failures]
        if found:
            outcome, failure = next((one for one in found if not one[1].message.startswith("step '")), found[0])
            return Verdict(ran.unit.id, kind, (_told(ran, outcome, failure),), taken)
    return None


def _all_ends(state: RunState) -> Iterator[Outcome]:
    yield from state.root.values()
    for lane in state.lanes:
        for _, outcomes in state.walked(lane):
            yield from outcomes.values()
    for lane, failure in state.lane_failures.items():
        yield Outcome(lane, "", Status.FAILED, failure=failure)


def _told(ran: Ran, outcome: Outcome, failure: Failure) -> Finding:
    where = f"{outcome.step}[{outcome.item}]" if outcome.item else outcome.step
    title = f"step '{where}'"
    if is_vector(outcome.step):
        where = title = ran.state.program.steps[outcome.step].linked.step.description
    misfits = tuple(f"{one.pointer or 'the answer'}: {one.found or 'it'}, expected {one.expected}"
                    for one in failure.violations)  # fmt: skip
    return Finding(
        f"{title} gave no answer: {failure.kind}",
        (failure.message, *misfits),
        ran.unit.case.span,
        f"{where}: {failure.kind}: {failure.message}",
        outcome.step,
    )


# --- steps that failed


def _is_broken(ran: Ran) -> bool:
    """Whether something failed that was not expected to: what else does not hold follows from it."""
    return next(_failed(ran), None) is not None


def _failed(ran: Ran) -> Iterator[Finding]:
    expect = ran.unit.case.expect
    meant = {subject.step for subject, word in expect.status.items() if word == "failed"} if expect else set()
    for outcome in ran.failures:
        if outcome.failure is not None and outcome.step not in meant:
            yield _told(ran, outcome, outcome.failure)
    told = {outcome.step for outcome in ran.failures}
    for lane, failure in ran.state.lane_failures.items():
        steps = [name for name, step in ran.state.program.steps.items() if step.linked.lane == lane]
        if failure.kind is not FailureKind.UPSTREAM and not meant & set(steps) and not told & set(steps):
            yield _told(ran, Outcome(steps[0] if steps else lane, "", Status.FAILED), failure)


def _ends(ran: Ran) -> Iterator[Finding]:
    """Steps that should have been skipped or failed."""
    expect = ran.unit.case.expect
    for subject, word in expect.status.items() if expect else ():
        found = _outcome(ran.state, subject)
        span = expect.at(f"status.{subject}") if expect else ran.unit.case.span
        got = "not there" if found is None else _word(found)
        if got != word:
            brief = f"{subject.step} {got}, expected {word}"
            because = (f"because {found.because}",) if found is not None and found.because else ()
            title = f"{_name(subject)} was not {word}"
            yield Finding(title, (f"expected {word}   got {got}", *because), span, brief, subject.step)


def _word(outcome: Outcome) -> str:
    return "failed" if outcome.status in (Status.FAILED, Status.BLOCKED) else str(outcome.status)


def _outcome(state: RunState, subject: Subject) -> Outcome | None:
    """How a step, or an item of it, ended; a step that runs per item has failed where one item has."""
    lane = state.program.steps[subject.step].linked.lane
    if not lane:
        return state.root.get(subject.step)
    ends = {item.id: outcomes.get(subject.step) for item, outcomes in state.walked(lane)}
    if subject.item:
        return ends.get(subject.item)
    whole = state.barrier(subject.step)
    skipped = next((end for end in ends.values() if end is not None and end.status is Status.SKIPPED), None)
    is_all_skipped = bool(ends) and all(end is not None and end.status is Status.SKIPPED for end in ends.values())
    return skipped if is_all_skipped else whole


# --- values


def _name(subject: Subject) -> str:
    if subject.output:
        return f"outputs.{subject.output}"
    return f"{subject.step}[{subject.item}]" if subject.item else subject.step


def _outputs(state: RunState, scope: Scope) -> tuple[dict[str, Json], dict[str, str]]:
    """The outputs that can be told, and why others cannot."""
    found: dict[str, Json] = {}
    broken: dict[str, str] = {}
    for output in state.program.linked.outputs:
        name = output.output.name
        try:
            if isinstance(output.output, OutputTable):
                rows = table_rows(output, state, scope)
                found[name] = [dict(row.cells) for row in rows if not row.problem]
            else:
                found[name] = output_value(output, scope, state.program.inputs)
        except RunnerError as error:
            broken[name] = error.problems[0].message
    return found, broken


def _expected(ran: Ran, seen: Seen, broken: Mapping[str, str]) -> Iterator[Finding]:
    expect = ran.unit.case.expect
    failed = {outcome.step for outcome in ran.failures}
    for subject, value in expect.values.items() if expect else ():
        if subject.step in failed:
            continue  # told as a failure
        got = _value(ran.state, subject, seen, broken)
        title = f"{_name(subject)} differs from expect"
        if isinstance(got, str):
            yield Finding(title, (got,), value.span, f"{_name(subject)}: {got}", subject.step)
            continue
        try:
            found = list(differences(value, got[0], seen))
        except RunnerError as error:
            message = f"what is expected cannot be evaluated: {error.problems[0].message}"
            yield Finding(title, (message,), value.span, f"{_name(subject)}: {message}", subject.step)
            continue
        if found:
            details = tuple(
                f"{f'{one.path}:  ' if one.path else ''}expected {one.expected}   got {one.got}" for one in found
            )
            first = found[0]
            path = f"{_name(subject)}{'' if first.path.startswith('[') or not first.path else '.'}{first.path}"
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            brief = f"{path} {first.expected} ≠ {first.got}{more}"
            yield Finding(title, (*details, *_equal_rest(value, got[0], len(found))), first.span, brief, subject.step)


def _equal_rest(_value: object, got: Json, differing: int) -> tuple[str, ...]:
    """How much is not shown."""
    others = len(got) - differing if isinstance(got, dict) else 0
    if others < 1:
        return ()
    return (f"({others} other field{'' if others == 1 else 's'} equal or not asked for)",)


def _value(state: RunState, subject: Subject, seen: Seen, broken: Mapping[str, str]) -> tuple[Json] | str:
    """The value in a tuple, or why there is none."""
    if subject.output:
        if subject.output in broken:
            return f"it cannot be evaluated: {broken[subject.output]}"
        return (seen.names["outputs"].get(subject.output),)
    outcome = _outcome(state, subject)
    if outcome is None:
        return f"there is no item '{subject.item}'" if subject.item else "it did not run"
    if outcome.status is not Status.GOOD:
        because = f" ({outcome.because})" if outcome.because else ""
        return f"expected a value, but it was {_word(outcome)}{because}"
    step = state.program.steps[subject.step]
    if step.linked.lane and not subject.item:
        return (list(state.good_outputs(subject.step)),)
    view = view_of(outcome, step.linked.step)
    return (next(view[name] for name in ("samples", "output", "text") if name in view),)


def _measured(metric: Metric, seen: Seen) -> Measured:
    try:
        of = seen.holds(metric.of) if metric.kind == "share" else seen.evaluate(metric.of)
        return Measured(of, seen.evaluate(metric.against) if metric.against is not None else None)
    except RunnerError as error:
        return Measured(problem=error.problems[0].message)
