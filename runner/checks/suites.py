"""A suite against its workflow: names, inputs, what is asserted, and whether it can be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator

from runner.checks.automaton import NotRead, read_pattern
from runner.checks.expectations import check_expectations
from runner.checks.inputs import misfit
from runner.checks.suite_texts import assertions_of, given_values, holders, measures_of, values_of
from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.ports import ReadFile
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Span
from runner.core.suite import CellPattern, InputChange, JudgeCheck, LimitCheck, Matrix, StepChange, Suite, TextCheck
from runner.core.values import FromFile, leaves, literal
from runner.core.workflow import InputSpec, Step, Workflow
from runner.link.linked import Linked
from runner.link.parts import BESIDE
from runner.link.paths import type_at
from runner.output.engines import build_engine
from runner.output.misfit import Unusable
from runner.output.schema import CompiledSchema, SchemaProblems, compile_schema


@dataclass(frozen=True, slots=True)
class SuiteContext:
    """A suite, its workflow, and both linked together (the judges as steps, the suite's texts beside them)."""

    suite: Suite
    workflow: Workflow
    linked: Linked
    find: Callable[[str], Problem | None]
    read: ReadFile


def check_suite(context: SuiteContext) -> tuple[Problem, ...]:
    """All that can be said of a suite before a case runs."""
    checks = (
        *(_cases, _given, _judges, _assertions, _files, _matrix, _comparison, _thresholds, _readings),
        lambda context: check_expectations(context.suite, context.workflow, context.linked),
    )
    return tuple(problem for check in checks for problem in check(context))


def unknown(what: str, kind: str, name: str, span: Span, known: Collection[str], of: str = "this workflow") -> Problem:
    """A name that nothing has."""
    noun = f"an {kind}" if kind[0] in "aio" else f"a {kind}"
    return Problem(
        f"unknown-{kind}",
        f"{what} names {kind} '{name}', but no {kind} has that name",
        span,
        expected=f"{noun} of {of}: {listed(known)}" if known else "",
        nearest=nearest(name, known),
    )


# --- cases


def _cases(context: SuiteContext) -> Iterator[Problem]:
    """Cases that assert nothing, and cases that lack an input."""
    suite = context.suite
    asserts_for_all = bool(suite.assertions or suite.metrics or suite.thresholds or suite.compare)
    for title, holder in holders(suite):
        expects = holder.expect is not None and not holder.expect.asserts_nothing
        if not (asserts_for_all or expects or holder.assertions):
            fix = "add expect or assert"
            yield Problem("asserts-nothing", f"{title} asserts nothing", holder.span, fix=fix, severity="warning")
    given = {*suite.values, *_varied_inputs(suite.matrix)}
    for name, spec in context.workflow.inputs.items():
        if not _is_open(spec) or name in given:
            continue
        for title, holder in holders(suite):
            if name not in holder.values and f"with.{name}" not in holder.spans:
                message = f"{title} gives no value for input '{name}', which has no default"
                yield Problem("missing-input", message, holder.span, fix=f"with: {{{name}: …}}")


def _is_open(spec: InputSpec) -> bool:
    return spec.default is None and not spec.from_env and not spec.from_file


def _varied_inputs(matrix: Matrix | None) -> set[str]:
    axes = matrix.axes.values() if matrix else ()
    changes = (change for axis in axes for option in axis.options for change in option.changes)
    return {change.input for change in changes if isinstance(change, InputChange)}


def _given(context: SuiteContext) -> Iterator[Problem]:
    """Values for inputs: names and, where the file says all of the value, the schema."""
    inputs = context.workflow.inputs
    for title, name, value, span in given_values(context.suite):
        spec = inputs.get(name)
        if spec is None:
            owner = title.partition(" of ")[2]
            yield unknown(owner, "input", name, span, inputs)
            continue
        known = literal(value)
        schema = None if known is None else _compiled(spec, context.read)
        if known is not None and schema is not None:
            problem = misfit(title, known[0], schema, value.span)
            if problem is not None:
                yield problem


def _compiled(spec: InputSpec, read: ReadFile) -> CompiledSchema | None:
    try:
        return compile_schema(spec.schema, read)
    except SchemaProblems:  # told of the workflow
        return None


def _files(context: SuiteContext) -> Iterator[Problem]:
    """Files that the suite reads when it runs."""
    for _, value in values_of(context.suite):
        for leaf in leaves(value):
            problem = context.find(leaf.file) if isinstance(leaf, FromFile) else None
            if problem is not None:
                yield replace(problem, span=leaf.span)
    source, compare = context.suite.cases_from, context.suite.compare
    named = [(source.file, source.at("file"))] if source else []
    named += [(compare.file, compare.at("baseline"))] if compare else []
    for path, span in named:
        problem = context.find(path) if path else None
        if problem is not None:
            yield replace(problem, span=span)


# --- judges and assertions


def _judges(context: SuiteContext) -> Iterator[Problem]:
    """A judge is told from the steps by its name, and gives a verdict where an assertion asks for one."""
    steps = context.workflow.steps
    for name, judge in context.suite.judges.items():
        if name in steps:
            message = f"judge '{name}' has the name of a step of the workflow"
            notes = (("other", str(steps[name].span)),)
            yield Problem("defined-twice", message, judge.span, "a name that no step has", notes=notes)
        if judge.for_each is not None:
            message = f"judge '{name}' has for_each, but a judge reads one case"
            yield Problem("bad-judge", message, judge.at("for_each"), fix="leave for_each out")


def _assertions(context: SuiteContext) -> Iterator[Problem]:
    judges, steps = context.suite.judges, {**context.workflow.steps, **context.suite.judges}
    for title, assertion in assertions_of(context.suite):
        match assertion:
            case JudgeCheck(judge=name) if name not in judges:
                yield unknown(title, "judge", name, assertion.at("judge"), judges, "this suite")
            case JudgeCheck(judge=name):
                yield from _verdict(title, assertion, context.linked, judges[name])
            case LimitCheck(step=name) if name and name not in steps:
                yield unknown(title, "step", name, assertion.at("step"), steps)
            case TextCheck(kind="regex", texts=(pattern,)):
                yield from _pattern(title, pattern, assertion.at("regex"))
            case _:
                continue


def _verdict(title: str, assertion: JudgeCheck, linked: Linked, judge: Step) -> Iterator[Problem]:
    schema = linked.steps[judge.name].schema if judge.name in linked.steps else None
    fix = "fields: {verdict: boolean, reason: string}"
    if judge.schema is None:
        message = f"{title} asks judge '{judge.name}' for its verdict, but its answer is text"
        yield Problem("bad-judge", message, assertion.at("judge"), fix=fix)
    elif schema is not None and not _may_be(type_at(schema.bundled, ("verdict",), schema.bundled).kind):
        message = f"{title} asks judge '{judge.name}' for its verdict, but its answer has no field 'verdict'"
        yield Problem("bad-judge", message, assertion.at("judge"), fix=fix)


def _may_be(kind: str) -> bool:
    return kind in ("any", "value")


def _pattern(title: str, pattern: str, span: Span) -> Iterator[Problem]:
    schema: Json = {"type": "string", "pattern": pattern}
    try:
        build_engine(schema)
    except (Unusable, ValueError):
        is_usable = False
    else:
        is_usable = _is_linear(pattern)
    if not is_usable:
        expected = "a pattern that is matched in linear time: no look-around, no back references"
        yield Problem("bad-pattern", f"{title} has a pattern that cannot be used", span, expected)


def _is_linear(pattern: str) -> bool:
    """Whether it is matched in linear time; of what cannot be looked into nothing bad is assumed."""
    try:
        return read_pattern(pattern).is_linear
    except NotRead:
        return True


# --- the matrix and the numbers over all cases


def _matrix(context: SuiteContext) -> Iterator[Problem]:
    matrix = context.suite.matrix
    if matrix is None:
        return
    steps = {**context.workflow.steps, **context.suite.judges}
    for axis in matrix.axes.values():
        told: set[str] = set()
        for option in axis.options:
            for change in option.changes:
                if isinstance(change, StepChange) and change.step not in steps and change.step not in told:
                    told.add(change.step)
                    span = axis.span if change.target == axis.name else change.span
                    yield unknown(f"axis '{axis.name}'", "step", change.step, span, steps)
    for pattern in matrix.exclude:
        yield from _cell("exclude", pattern, matrix)
    for pattern in matrix.include:
        yield from _axes("include", pattern, matrix)
        yield from _variant_names(pattern, matrix)


def _axes(title: str, pattern: CellPattern, matrix: Matrix | None) -> Iterator[Problem]:
    axes = matrix.axes if matrix else {}
    for name in pattern.values:
        if name not in axes:
            yield unknown(title, "axis", name, pattern.at(name), axes, "the matrix")


def _variant_names(pattern: CellPattern, matrix: Matrix) -> Iterator[Problem]:
    """An added cell may have values of its own, but no variant that is not written."""
    for name, (value, *_) in pattern.values.items():
        axis = matrix.axes.get(name) if "." not in name else None
        if axis is not None and value not in [option.name for option in axis.options]:
            known = [option.name for option in axis.options]
            message = f"include names a value that axis '{name}' does not have"
            near = nearest(str(value), known)
            yield Problem("unknown-value", message, pattern.at(f"{name}.0"), f"one of {', '.join(known)}", near)


def _cell(title: str, pattern: CellPattern, matrix: Matrix | None) -> Iterator[Problem]:
    """A pattern that names an axis or a value that there is not fits no cell."""
    yield from _axes(title, pattern, matrix)
    for name, values in pattern.values.items():
        axis = matrix.axes.get(name) if matrix else None
        for index, value in enumerate(values) if axis else ():
            written = [option.written for option in axis.options] if axis else []
            if value not in written:
                words = [word for word in written if isinstance(word, str)]
                yield Problem(
                    "unknown-value",
                    f"{title} names a value that axis '{name}' does not have",
                    pattern.at(f"{name}.{index}"),
                    expected=f"one of {', '.join(words)}" if len(words) == len(written) else "",
                    nearest=nearest(value, words) if isinstance(value, str) else "",
                )


def _comparison(context: SuiteContext) -> Iterator[Problem]:
    compare = context.suite.compare
    if compare is not None and compare.cell is not None:
        yield from _cell("baseline", compare.cell, context.suite.matrix)
    for text in context.linked.typing.texts:
        for reference in text.readings.references if text.role == BESIDE else ():
            if reference.path[0] == "baseline" and len(reference.path) > 1:
                known = {*context.suite.metrics, *measures_of(context.suite)}
                if reference.path[1] not in known:
                    yield unknown(
                        text.place.title, "metric", reference.path[1], reference.spans[1], known, "this suite"
                    )


def _thresholds(context: SuiteContext) -> Iterator[Problem]:
    metrics = context.suite.metrics
    for name, threshold in context.suite.thresholds.items():
        measures = measures_of(context.suite)
        asked = name.removeprefix("pass_at_")
        if name not in metrics and name not in measures and name != asked and asked.isdecimal() and int(asked) > 1:
            message = (
                f"threshold '{name}' needs {asked} samples of each case, and the suite asks {context.suite.samples}"
            )
            yield Problem("bad-threshold", message, threshold.span, fix=f"samples: {asked}")
        elif name not in metrics and name not in measures:
            yield unknown("thresholds", "metric", name, threshold.span, {*metrics, *measures}, "this suite")
        elif name in metrics and metrics[name].kind == "confusion":
            message = f"threshold '{name}' is for a metric that is a table, not a number"
            yield Problem("bad-threshold", message, threshold.span)


# --- what the texts read of cases and outputs


def _readings(context: SuiteContext) -> Iterator[Problem]:
    outputs = context.workflow.outputs
    row = yield from _row_schema(context)
    for text in context.linked.typing.texts:
        is_own = text.role == BESIDE or text.place.owner in context.suite.judges
        for reference in text.readings.references if is_own else ():
            root, *path = reference.path
            if root == "outputs" and path and outputs and path[0] not in outputs:
                yield unknown(text.place.title, "output", path[0], reference.spans[1], outputs)
            if root == "case" and path and row is not None and not reference.is_guarded:
                typed = type_at(row.bundled, path, row.bundled)
                if typed.kind == "missing":
                    name, span = path[typed.index], reference.spans[typed.index + 1]
                    message = f"{text.place.title} reads '{name}', which the rows of cases_from do not have"
                    yield Problem(
                        "unknown-field",
                        message,
                        span,
                        expected=f"one of {listed(typed.names)}" if typed.names else "",
                        nearest=nearest(name, typed.names),
                    )


def _row_schema(context: SuiteContext) -> Generator[Problem, None, CompiledSchema | None]:
    """The schema of the rows; None where it is broken, or where not all cases come from rows."""
    source = context.suite.cases_from
    if source is None or source.schema is None:
        return None
    try:
        schema = compile_schema(source.schema, context.read)
    except SchemaProblems as error:
        yield from error.problems
        return None
    return None if context.suite.cases else schema
