"""Values, expectations and assertions of a suite, from checked nodes."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, cast

from runner.config.keys import Keys, as_text
from runner.config.nodes import MappingNode, Node, ScalarNode, dotted_spans
from runner.config.step_file import seconds_of
from runner.config.values import PlainValueReader, key_spans
from runner.core.frozen import dataclass
from runner.core.suite import (
    Assertion,
    Expectation,
    JudgeCheck,
    LengthCheck,
    LimitCheck,
    PathCheck,
    SimilarityCheck,
    SnapshotCheck,
    Subject,
    TextCheck,
    That,
)
from runner.core.workflow import Expression

_SUBJECT = re.compile(r"(?P<kind>steps|outputs)\.(?P<name>[^\[]+)(?:\[(?P<item>[^\]]+)\])?")
_TEXT_CHECKS: tuple[Literal["contains", "lacks", "starts_with", "regex"], ...] = (
    "contains",
    "lacks",
    "starts_with",
    "regex",
)
_LIMITS: tuple[Literal["usd", "tokens", "latency"], ...] = ("usd", "tokens", "latency")


@dataclass(frozen=True, slots=True)
class ValueReader(PlainValueReader):
    """What was found wrong reads as if it were not there."""

    # --- expectations

    def expectation(self, keys: Keys) -> Expectation | None:
        node = keys.get("expect")
        if node is None:
            return None
        if not isinstance(node, MappingNode):
            return Expectation(span=keys.place("expect"), is_recorded=True)
        entries = tuple(entry for entry in node.entries if entry.key != "status" and _SUBJECT.fullmatch(entry.key))
        status = Keys(node, self.rejected).entries("status")
        return Expectation(
            span=keys.place("expect"),
            spans={
                **key_spans(entries),
                **{f"status.{entry.key}": entry.key_span for entry in status},
            },
            values={subject_of(name): value for name, value in self.values(entries).items()},
            status={
                subject_of(entry.key): cast(Literal["skipped", "failed"], word)
                for entry in status
                if _SUBJECT.fullmatch(entry.key) and (word := self._word(entry.value))
            },
        )

    def _word(self, node: Node) -> str:
        return "" if id(node) in self.rejected else as_text(node) or ""

    # --- assertions

    def assertions(self, keys: Keys) -> tuple[Assertion, ...]:
        found = (self._assertion(Keys(node, self.rejected)) for node in keys.mappings("assert"))
        return tuple(assertion for assertion in found if assertion is not None)

    def _assertion(self, keys: Keys) -> Assertion | None:
        span, spans, label = keys.node.span, dotted_spans(keys.node), keys.text("label") or ""
        if condition := keys.expression("that"):
            return That(span=span, spans=spans, condition=condition, label=label)
        if snapshot := keys.expression("snapshot"):
            return SnapshotCheck(span=span, spans=spans, of=snapshot, label=label)
        if judge := keys.text("judge"):
            return JudgeCheck(span=span, spans=spans, judge=judge, label=label)
        if (limit := self._limit(keys)) is not None:
            kind, most = limit
            step = keys.text("step") or ""
            return LimitCheck(span=span, spans=spans, kind=kind, most=most, step=step, label=label)
        return self._check_of(keys, label)

    def _limit(self, keys: Keys) -> tuple[Literal["usd", "tokens", "latency"], float] | None:
        for kind in _LIMITS:
            most = seconds_of(keys.get(kind)) if kind == "latency" else keys.number(kind)
            if most is not None:
                return kind, most
        return None

    def _check_of(self, keys: Keys, label: str) -> Assertion | None:
        of = keys.expression("of")
        if of is None:
            return None
        span, spans = keys.node.span, dotted_spans(keys.node)
        for kind in _TEXT_CHECKS:
            texts = self._texts(keys, kind)
            if texts:
                return TextCheck(span=span, spans=spans, of=of, kind=kind, texts=texts, label=label)
        if (path := keys.text("json_path")) is not None:
            wanted = keys.get("is")
            value = None if wanted is None else self.value(wanted)
            return PathCheck(span=span, spans=spans, of=of, path=path, value=value, label=label)
        if (bounds := _bounds(keys.get("length"), self.rejected)) is not None:
            least, most = bounds
            return LengthCheck(span=span, spans=spans, of=of, least=least, most=most, label=label)
        return self._similarity(keys, of, label)

    def _texts(self, keys: Keys, key: str) -> tuple[str, ...]:
        text = keys.text(key)
        return keys.texts(key) if text is None else (text,)

    def _similarity(self, keys: Keys, of: Expression, label: str) -> SimilarityCheck | None:
        inner = keys.below("similar")
        to = inner.get("to") if inner else None
        text = None if to is None else self.value(to)
        least = inner.number("at_least") if inner else None
        if inner is None or text is None or least is None:
            return None
        return SimilarityCheck(
            span=keys.node.span,
            spans=dotted_spans(keys.node),
            of=of,
            to=text,
            at_least=least,
            by=inner.text("by") or "",
            label=label,
        )


def subject_of(name: str) -> Subject:
    """`steps.NAME`, `steps.NAME[item]` or `outputs.NAME` as it is written."""
    match = _SUBJECT.fullmatch(name)
    assert match is not None
    if match["kind"] == "outputs":
        return Subject(output=match["name"])
    return Subject(step=match["name"], item=match["item"] or "")


def _bounds(node: Node | None, rejected: Collection[int]) -> tuple[float | None, float | None] | None:
    """The least and the most, of a number or of `{min, max}`."""
    if isinstance(node, MappingNode):
        keys = Keys(node, rejected)
        return keys.number("min"), keys.number("max")
    if isinstance(node, ScalarNode):
        value = cast(float, node.value)
        return value, value
    return None
