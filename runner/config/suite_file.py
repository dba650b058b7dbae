"""The nodes of a suite file and its includes → `Suite`."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import cast

from runner.config.including import included, merged, stem, verified, without_echoes
from runner.config.keys import Keys
from runner.config.matrix_file import MatrixReader
from runner.config.nodes import Entry, MappingNode, Node, ScalarNode, dotted_spans, mapping_of
from runner.config.reading import Reading
from runner.config.step_file import StepReader, read_schema
from runner.config.suite_grammar import INCLUDED_SUITE, METRIC, SUITE
from runner.config.suite_values import ValueReader
from runner.config.verify import Findings
from runner.config.workflow_file import FORMATS
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.suite import Case, CaseSource, Metric, MetricKind, Suite, SuiteBudget, Threshold
from runner.core.workflow import Step

_SECTIONS = {"cases": "case", "judges": "judge", "metrics": "metric"}


def read_suite(node: Node, file: str, reading: Reading) -> Suite | None:
    """What the author meant, as far as it can be read; all that is wrong goes to `reading.problems`."""
    findings = Findings()
    top = verified(node, SUITE, "the suite", findings)
    if top is None:
        reading.problems += findings.problems
        return None
    keys = Keys(top, findings.rejected)
    others = included(keys, INCLUDED_SUITE, (file, "the suite"), reading, findings)
    tops = [top, *(other for _, other in others)]
    reading.problems += without_echoes(findings.problems, reading.problems)
    sections = {name: merged(name, noun, tops, findings, reading) for name, noun in _SECTIONS.items()}
    reader = _Reader(reading, findings)
    if not sections["cases"] and not any(keys.has(key) for key in ("cases", "cases_from")) and keys.has("include"):
        message = "the suite has no cases, and the files that it includes have none"
        reading.problems.append(Problem("missing-key", message, keys.place("include"), "cases, or cases_from"))
    return Suite(
        span=Span(file, 1, 1),
        spans={**{entry.key: entry.value.span for entry in top.entries}, **_given_spans(keys)},
        file=file,
        name=keys.text("name") or stem(file),
        workflow=reader.path(keys, "workflow"),
        values=reader.values.values(keys.entries("with")),
        assertions=tuple(one for each in tops for one in reader.values.assertions(Keys(each, findings.rejected))),
        cases={entry.key: reader.case(entry) for entry in sections["cases"]},
        cases_from=reader.case_source(keys),
        judges=reader.judges(sections["judges"]),
        matrix=reader.variants.matrix(keys),
        samples=keys.whole("samples") or 1,
        metrics={entry.key: metric for entry in sections["metrics"] if (metric := reader.metric(entry))},
        compare=reader.variants.comparison(keys),
        thresholds={entry.key: reader.threshold(entry) for entry in keys.entries("thresholds")},
        budget=reader.budget(keys),
        tags=keys.texts("tags"),
    )


def _given_spans(keys: Keys) -> dict[str, Span]:
    return {f"with.{entry.key}": entry.key_span for entry in keys.entries("with")}


class _Reader:
    def __init__(self, reading: Reading, findings: Findings) -> None:
        self.reading = reading
        self.rejected = findings.rejected
        self.values = ValueReader(reading, findings.rejected)
        self.steps = StepReader(reading, findings.rejected)
        self.variants = MatrixReader(self.values, self.steps)

    def _keys(self, entry: Entry) -> Keys:
        node = entry.value if isinstance(entry.value, MappingNode) else mapping_of(entry.value.span, ())
        return Keys(node, self.rejected)

    def path(self, keys: Keys, key: str) -> str:
        node = keys.get(key)
        return (self.reading.resolve(node.raw, node.span) or "") if isinstance(node, ScalarNode) else ""

    def case(self, entry: Entry) -> Case:
        keys = self._keys(entry)
        return Case(
            span=entry.key_span,
            spans=_given_spans(keys),
            name=entry.key,
            values=self.values.values(keys.entries("with")),
            expect=self.values.expectation(keys),
            assertions=self.values.assertions(keys),
            tags=keys.texts("tags"),
            xfail=keys.text("xfail") or "",
        )

    def case_source(self, keys: Keys) -> CaseSource | None:
        inner = keys.below("cases_from")
        if inner is None:
            return None
        file = self.path(inner, "file")
        own = {entry.key: entry.value.span for entry in inner.node.entries}
        return CaseSource(
            span=keys.place("cases_from"),
            spans={**own, **_given_spans(inner)},
            file=file,
            glob=self.path(inner, "glob"),
            format=FORMATS.get(posixpath.splitext(file)[1], "jsonl"),
            key=inner.text("key") or "",
            schema=read_schema(inner, self.reading, "cases_from"),
            values=self.values.values(inner.entries("with")),
            expect=self.values.expectation(inner),
            assertions=self.values.assertions(inner),
            tags=inner.texts("tags"),
        )

    def judges(self, entries: Sequence[Entry]) -> dict[str, Step]:
        judges = {entry.key: self.steps.read(entry.key, entry.key_span, entry.value) for entry in entries}
        for name, span in self.steps.without_model.items():
            problem = Problem("missing-key", f"judge '{name}' names no model", span, fix="model: provider/model")
            self.reading.problems.append(problem)
        return judges

    def metric(self, entry: Entry) -> Metric | None:
        keys = self._keys(entry)
        written = next((one.key for one in keys.node.entries if one.key in METRIC.by_name or METRIC.other(one.key)), "")
        if written == "from":
            of = keys.expression("from")
            return Metric(span=entry.key_span, name=entry.key, kind="from", of=of) if of else None
        form = keys.below(written)
        of = form.expression("of") if form else None
        if form is None or of is None:
            return None
        is_percentile = written not in METRIC.by_name
        return Metric(
            span=entry.key_span,
            spans=dotted_spans(keys.node),
            name=entry.key,
            kind="percentile" if is_percentile else cast(MetricKind, written),
            of=of,
            against=form.expression("against"),
            label=(form.value("label"),) if form.has("label") else None,
            share=float(written[1:]) / 100 if is_percentile else 0.0,
        )

    def threshold(self, entry: Entry) -> Threshold:
        """A number is the least that a share or a metric must reach, and the most that may be spent."""
        keys = self._keys(entry)
        number = entry.value.value if isinstance(entry.value, ScalarNode) else None
        if not isinstance(number, int | float) or id(entry.value) in self.rejected:
            return Threshold(span=entry.key_span, name=entry.key, least=keys.number("min"), most=keys.number("max"))
        if entry.key == "usd":
            return Threshold(span=entry.key_span, name=entry.key, most=number)
        return Threshold(span=entry.key_span, name=entry.key, least=number)

    def budget(self, keys: Keys) -> SuiteBudget | None:
        inner = keys.below("budget")
        if inner is None:
            return None
        return SuiteBudget(
            span=keys.place("budget"),
            usd=inner.number("usd"),
            calls=inner.whole("calls"),
            tokens=inner.whole("tokens"),
        )
