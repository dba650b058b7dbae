"""The state of a run as a Prometheus text file: what its steps came to, and what is under way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from runner.core.frozen import dataclass, replace
from runner.core.traffic import Traffic
from runner.record.summary import RunSummary, StepSummary

_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric: its samples as pairs of labels and value."""

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[dict[str, str], float]]


@dataclass(frozen=True, slots=True)
class Told:
    """A run as it stands, so many seconds after it began."""

    summary: RunSummary
    seconds: float


def render_metrics(runs: Sequence[Told], traffic: Iterable[Traffic]) -> str:
    """Numbers that are not known, such as money where a price is missing, have no line.

    Where there are several runs, as with suites, each sample says whose it is.
    """
    families = [_families(run.summary, run.seconds) for run in runs]
    if len(runs) > 1:
        families = [_of_run(run.summary.run, found) for run, found in zip(runs, families, strict=True)]
    joined = (_joined(same) for same in zip(*families, strict=True))
    return "".join(_lines((*joined, *_under_way(tuple(traffic)))))


def _of_run(run: str, families: Iterable[_Family]) -> Iterator[_Family]:
    for family in families:
        yield replace(family, samples=[({"run": run, **labels}, value) for labels, value in family.samples])


def _joined(families: Sequence[_Family]) -> _Family:
    return replace(families[0], samples=[sample for family in families for sample in family.samples])


def _families(summary: RunSummary, seconds: float) -> Iterator[_Family]:
    steps = summary.steps
    info = {"run": summary.run, "workflow": summary.workflow, "status": summary.status}
    yield _Family("runner_run_info", "gauge", "The run, and how it stands.", [(info, 1)])
    yield _Family("runner_run_seconds", "gauge", "Seconds since the run began.", [({}, seconds)])
    yield _Family("runner_items", "gauge", "Items of a step, as far as they are known.", _each(steps, "items"))
    ended = [
        ({"step": step.step, "outcome": word}, float(amount))
        for step in steps
        for word, amount in (
            ("done", step.good), ("failed", step.failed), ("skipped", step.skipped), ("not run", step.blocked)
        )
    ]  # fmt: skip
    yield _Family("runner_items_ended_total", "counter", "Items by what became of them.", ended)
    yield _Family("runner_calls_total", "counter", "Calls to models, repairs included.", _each(steps, "calls"))
    stored = [
        ({"step": step.step, "source": word}, float(amount))
        for step in steps
        for word, amount in (("cached", step.cached), ("recorded", step.recorded))
    ]
    yield _Family("runner_stored_answers_total", "counter", "Answers taken from the store.", stored)
    yield _Family("runner_repairs_total", "counter", "Calls that asked for a better answer.", _each(steps, "repairs"))
    retries = [({"step": step.step}, float(max(0, step.requests - step.calls))) for step in steps]
    yield _Family("runner_retries_total", "counter", "Requests that were sent again.", retries)
    tokens = [
        ({"step": step.step, "model": step.model, "direction": word}, float(amount))
        for step in steps
        for word, amount in (("in", step.input_tokens), ("out", step.output_tokens))
    ]
    yield _Family("runner_tokens_total", "counter", "Tokens that providers counted for fresh answers.", tokens)
    spent = [({"step": step.step, "model": step.model}, step.cost_usd) for step in steps if step.cost_usd is not None]
    yield _Family("runner_cost_usd_total", "counter", "US dollars spent on fresh answers.", spent)


def _under_way(traffic: Sequence[Traffic]) -> Iterator[_Family]:
    flying = [({"model": one.model}, float(one.in_flight)) for one in traffic]
    yield _Family("runner_requests_in_flight", "gauge", "Requests under way.", flying)
    waiting = [({"model": one.model}, float(one.waiting)) for one in traffic]
    yield _Family("runner_requests_waiting", "gauge", "Calls that wait for a limit.", waiting)
    rates = [({"model": one.model}, one.per_s) for one in traffic if one.per_s is not None]
    yield _Family("runner_limit_requests_per_second", "gauge", "Requests a second that may go out.", rates)
    most = [({"model": one.model}, float(one.most)) for one in traffic if one.most is not None]
    yield _Family("runner_limit_in_flight", "gauge", "Requests that may be under way at once.", most)


def _each(steps: Sequence[StepSummary], name: str) -> list[tuple[dict[str, str], float]]:
    return [({"step": step.step}, float(getattr(step, name))) for step in steps]


def _lines(families: Iterable[_Family]) -> Iterator[str]:
    for family in families:
        if not family.samples:
            continue
        yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
        for labels, value in family.samples:
            yield f"{family.name}{_labels(labels)} {_number(value)}\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items()) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
