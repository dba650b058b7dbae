"""Whether an assertion holds for a case, and what is told where it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.core.canonical import Json
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass
from runner.core.problem import listed
from runner.core.span import Span
from runner.core.suite import (
    Assertion,
    JudgeCheck,
    LengthCheck,
    LimitCheck,
    PathCheck,
    SimilarityCheck,
    SnapshotCheck,
    TextCheck,
    That,
)
from runner.core.workflow import Expression
from runner.suites.differences import differences, shown
from runner.suites.looking import as_text, holds_text, length_of, likeness, matches, parts_of, value_at
from runner.suites.similarity import vector_in, vectors_of
from runner.suites.values import Seen
from runner.suites.verdict import Finding, Taken
from runner.templates.list_filters import cosine_of
from runner.templates.references import references_of


@dataclass(frozen=True, slots=True)
class Evidence:
    """What assertions are held against: what the texts see, and what the answers took, for all steps or one."""

    seen: Seen
    taken: Callable[[str], Taken]


def check_assertion(assertion: Assertion, evidence: Evidence) -> Finding | None:
    """None when it holds."""
    try:
        told = _check(assertion, evidence)
    except RunnerError as error:
        told = (f"it cannot be evaluated: {error.problems[0].message}",)
    if not told:
        return None
    title = assertion.label or _title(assertion)
    return Finding(title, told, _place(assertion), f"{title}: {told[0]}", _step(assertion, evidence))


def _check(assertion: Assertion, evidence: Evidence) -> tuple[str, ...]:
    seen = evidence.seen
    match assertion:
        case That():
            return () if seen.holds(assertion.condition) else _read(assertion.condition, seen)
        case TextCheck():
            return _text(assertion, seen.evaluate(assertion.of))
        case PathCheck():
            return _path(assertion, seen)
        case LengthCheck():
            return _length(assertion, seen.evaluate(assertion.of))
        case SimilarityCheck():
            return _likeness(assertion, seen)
        case LimitCheck():
            return _limit(assertion, evidence.taken(assertion.step))
        case JudgeCheck():
            return _judged(assertion, seen.names.get("steps", {}))
        case SnapshotCheck():
            return ()


def _read(condition: Expression, seen: Seen) -> tuple[str, ...]:
    """What the values that an expression reads were."""
    told: dict[str, None] = {"it is not true": None}
    for reference in references_of(seen.texts.environment, condition):
        found = value_at(seen.names, reference.path)
        if found is not None:
            told[f"{'.'.join(reference.path)} is {shown(found[0])}"] = None
    return tuple(told)


def _text(check: TextCheck, value: Json) -> tuple[str, ...]:
    match check.kind:
        case "contains":
            missing = [text for text in check.texts if not holds_text(value, text)]
            told = f"it does not hold {_quoted(missing)}" if missing else ""
        case "lacks":
            found = [text for text in check.texts if holds_text(value, text)]
            told = f"it holds {_quoted(found)}" if found else ""
        case "starts_with":
            told = "" if as_text(value).startswith(check.texts) else f"it does not begin with {_quoted(check.texts)}"
        case "regex":
            told = "" if matches(check.texts[0], as_text(value)) else "the pattern is not found in it"
    return (told, f"got {shown(value)}") if told else ()


def _quoted(texts: list[str] | tuple[str, ...]) -> str:
    return listed([shown(text) for text in texts])


def _path(check: PathCheck, seen: Seen) -> tuple[str, ...]:
    value = seen.evaluate(check.of)
    found = value_at(value, parts_of(check.path))
    if found is None:
        return (f"{check.path} leads nowhere", f"got {shown(value)}")
    if check.value is None:
        return ()
    return tuple(
        f"{check.path}{_below(one.path)}: expected {one.expected}   got {one.got}"
        for one in differences(check.value, found[0], seen)
    )


def _below(path: str) -> str:
    return "" if not path else path if path.startswith("[") else f".{path}"


def _length(check: LengthCheck, value: Json) -> tuple[str, ...]:
    length = length_of(value)
    if length is None:
        return (f"{shown(value)} has no length",)
    if check.least is not None and length < check.least:
        return (f"its length is {length}, less than {check.least:g}", f"got {shown(value)}")
    if check.most is not None and length > check.most:
        return (f"its length is {length}, more than {check.most:g}", f"got {shown(value)}")
    return ()


def _likeness(check: SimilarityCheck, seen: Seen) -> tuple[str, ...]:
    value, wanted = as_text(seen.evaluate(check.of)), as_text(seen.value(check.to))
    found = _cosine(check, seen) if check.by else likeness(value, wanted)
    if isinstance(found, str):
        return (found,)
    if found >= check.at_least:
        return ()
    how = f", by the vectors of {check.by}" if check.by else ""
    told = f"likeness {found:.2f}, less than {check.at_least:g}{how}"
    return (told, f"expected {shown(wanted)}", f"got {shown(value)}")


def _cosine(check: SimilarityCheck, seen: Seen) -> float | str:
    """How alike the vectors are, or why that cannot be told."""
    vectors = vectors_of(check, seen.texts.load)
    steps = seen.names.get("steps", {})
    of, to = vector_in(steps, vectors.of), vector_in(steps, vectors.to)
    missing = vectors.of if of is None else vectors.to
    if of is None or to is None:
        return f"{missing.description} was not asked for, since something that it reads was skipped"
    if len(of) != len(to):
        return f"the vectors of {check.by} are of different lengths, {len(of)} and {len(to)}"
    return cosine_of(of, to)


def _limit(check: LimitCheck, taken: Taken) -> tuple[str, ...]:
    match check.kind:
        case "usd":
            if taken.cost_usd is None:
                return ("what the answers cost is not known, since a model has no price",)
            is_over, told = taken.cost_usd > check.most, f"{taken.cost_usd:.6f} USD"
        case "tokens":
            is_over, told = taken.tokens > check.most, f"{taken.tokens} tokens"
        case "latency":
            is_over, told = taken.seconds > check.most, f"{taken.seconds:.2f} s (recorded)"
    return (f"{told}, more than {check.most:g}",) if is_over else ()


def _judged(check: JudgeCheck, steps: Mapping[str, Json]) -> tuple[str, ...]:
    answer = steps.get(check.judge, {}).get("output")
    if not isinstance(answer, dict):
        return (f"judge '{check.judge}' gave no verdict",)
    if answer.get("verdict") is True:
        return ()
    reason = answer.get("reason")
    return ("the verdict is no", *([f"reason: {as_text(reason)}"] if reason else []))


def _title(assertion: Assertion) -> str:
    """The assertion as it is written."""
    match assertion:
        case That():
            return assertion.condition.text.strip()
        case TextCheck():
            return f"{assertion.kind} {_quoted(assertion.texts)} of {assertion.of.text.strip()}"
        case PathCheck():
            return f"json_path {assertion.path} of {assertion.of.text.strip()}"
        case LengthCheck():
            return f"length of {assertion.of.text.strip()}"
        case SimilarityCheck():
            return f"similar of {assertion.of.text.strip()}"
        case LimitCheck():
            return f"{assertion.kind} of step '{assertion.step}'" if assertion.step else assertion.kind
        case JudgeCheck():
            return f"judge {assertion.judge}"
        case SnapshotCheck():
            return f"snapshot {assertion.of.text.strip()}"


def _place(assertion: Assertion) -> Span:
    match assertion:
        case That():
            return assertion.condition.origin.span(1, 1, len(assertion.condition.text.strip()))
        case _:
            return assertion.span


def _step(assertion: Assertion, evidence: Evidence) -> str:
    """The step that an assertion is about: the first one that it reads."""
    match assertion:
        case LimitCheck():
            return assertion.step
        case JudgeCheck():
            return assertion.judge
        case That():
            expression = assertion.condition
        case _:
            expression = assertion.of
    paths = (one.path for one in references_of(evidence.seen.texts.environment, expression))
    return next((path[1] for path in paths if path[0] == "steps" and len(path) > 1), "")
