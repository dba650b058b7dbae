"""A node against the grammar: all problems at once, and which values cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from itertools import combinations

from runner.config.fields import (
    FILE,
    FREE_KEY,
    PATH,
    TEMPLATE_MARK,
    AnyMapping,
    AnyValue,
    Expr,
    Flag,
    Kind,
    ListOf,
    Names,
    Number,
    Prompt,
    Record,
    Shapes,
    Text,
    Value,
    Variants,
    holds,
    kind_in_words,
)
from runner.config.nodes import MappingNode, Node, ScalarNode, SequenceNode
from runner.config.wording import (
    Place,
    braces_in_expression,
    either_or,
    missing_company,
    missing_key,
    missing_one_of,
    not_in_this_version,
    template_in_literal,
    template_in_name,
    template_in_value,
    unknown_key,
    with_article,
    wrong_type,
)
from runner.core.frozen import dataclass
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import renaming

# Keywords of a JSON Schema under which text is data or a pattern, so that braces may be meant.
SCHEMA_DATA = frozenset({"pattern", "patternProperties", "const", "enum", "examples"})
VALUE_FORMS = ("from", "file", "literal")


@dataclass(slots=True)
class Findings:
    """What was found so far. `rejected` holds the ids of nodes whose value must not be used."""

    problems: list[Problem] = field(default_factory=list)
    rejected: set[int] = field(default_factory=set)

    def reject(self, node: Node, problem: Problem) -> None:
        self.problems.append(problem)
        self.rejected.add(id(node))


def verify(node: Node, kind: Kind, place: Place, findings: Findings) -> None:
    """Compare a value with what the grammar expects there."""
    match kind:
        case Text():
            _verify_text(node, kind, place, findings)
        case Number() | Flag():
            _verify_number(node, kind, place, findings)
        case Expr():
            _verify_expression(node, place, findings)
        case Prompt():
            _verify_prompt(node, place, findings)
        case AnyValue():
            if not kind.may_hold_braces:
                _verify_literal(node, place, findings, is_schema=True)
        case AnyMapping():
            _verify_any_mapping(node, kind, place, findings)
        case Value():
            _verify_value(node, place, findings)
        case ListOf():
            _verify_list(node, kind, place, findings)
        case Names():
            _verify_names(node, kind, place, findings)
        case Record():
            _verify_record(node, kind, place, findings)
        case Variants():
            has_special = isinstance(node, MappingNode) and kind.when in node.index
            _verify_record(node, kind.special if has_special else kind.usual, place, findings)
        case _:
            _verify_shapes(node, kind, place, findings)


# --- scalars


def _verify_text(node: Node, kind: Text, place: Place, findings: Findings) -> None:
    if not isinstance(node, ScalarNode) or not node.is_text:
        findings.reject(node, wrong_type(node, kind, place))
        return
    text = node.raw
    if holds(TEMPLATE_MARK, text):
        findings.reject(node, template_in_literal(node, place))
        return
    for pattern, what in kind.later:
        if holds(pattern, text):
            findings.reject(node, not_in_this_version(f"{place} names {what}, which is not in this version", node.span))
            return
    if kind.choices and text not in kind.choices:
        near = kind.hints.get(text.lower()) or nearest(text, kind.choices)
        fix = f"{place.lead}{near}" if near else ""
        message, edits = f"{place} cannot be {text!r}", renaming(node.span, text, kind.choices)
        problem = Problem("bad-value", message, node.span, kind_in_words(kind), near, fix, edits=edits)
        findings.reject(node, problem)
    elif text in kind.taken:
        message = f"{place} cannot be {text!r}: that name has a meaning of its own"
        findings.reject(node, Problem("reserved-name", message, node.span, "a name other than " + listed(kind.taken)))
    elif kind.pattern and not holds(kind.pattern, text):
        message = f"{place} cannot be {text!r}" if text.strip() else f"{place} is empty"
        findings.reject(node, Problem("bad-value", message, node.span, kind.says))


def _verify_number(node: Node, kind: Number | Flag, place: Place, findings: Findings) -> None:
    value = node.value if isinstance(node, ScalarNode) else None
    if isinstance(kind, Flag):
        if not isinstance(value, bool):
            findings.reject(node, wrong_type(node, kind, place))
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        findings.reject(node, wrong_type(node, kind, place))
        return
    is_in_range = (
        (kind.minimum is None or value >= kind.minimum)
        and (kind.maximum is None or value <= kind.maximum)
        and (kind.above is None or value > kind.above)
    )
    if not is_in_range or (kind.is_whole and value != int(value)):
        findings.reject(node, Problem("bad-value", f"{place} cannot be {value}", node.span, kind_in_words(kind)))


def _verify_expression(node: Node, place: Place, findings: Findings) -> None:
    if not isinstance(node, ScalarNode) or node.value is None:
        findings.reject(node, wrong_type(node, Expr(), place))
    elif not node.raw.strip():
        findings.reject(node, Problem("bad-value", f"{place} is empty", node.span, kind_in_words(Expr())))
    elif node.is_text and holds(TEMPLATE_MARK, node.raw):
        findings.reject(node, braces_in_expression(node, place))


def _verify_prompt(node: Node, place: Place, findings: Findings) -> None:
    if isinstance(node, MappingNode):
        _verify_record(node, FILE, place, findings)
        if node.get("file") is None or id(node.get("file")) in findings.rejected:
            findings.rejected.add(id(node))
    elif not isinstance(node, ScalarNode) or not node.is_text:
        findings.reject(node, wrong_type(node, Prompt(), place))


# --- free values


def _verify_literal(node: Node, place: Place, findings: Findings, *, is_schema: bool) -> None:
    """No braces in any text, at any depth."""
    for text in _texts(node, leave_out=SCHEMA_DATA if is_schema else frozenset()):
        if holds(TEMPLATE_MARK, text.raw):
            findings.problems.append(template_in_literal(text, place))


def _texts(node: Node, leave_out: frozenset[str]) -> Iterator[ScalarNode]:
    match node:
        case ScalarNode():
            if node.is_text:
                yield node
        case SequenceNode():
            for item in node.items:
                yield from _texts(item, leave_out)
        case _:
            for entry in node.entries:
                if entry.key not in leave_out:
                    yield from _texts(entry.value, leave_out)


def _verify_any_mapping(node: Node, kind: AnyMapping, place: Place, findings: Findings) -> None:
    if not isinstance(node, MappingNode):
        findings.reject(node, wrong_type(node, kind, place))
    elif kind.is_filled and not node.entries:
        findings.reject(node, Problem("bad-value", f"{place} is empty", node.span, "at least one entry"))
    else:
        _verify_literal(node, place, findings, is_schema=kind.is_schema)


def value_form(node: Node) -> str:
    """`from`, `file` or `literal` where a mapping is one of these forms of a value, else ""."""
    is_form = isinstance(node, MappingNode) and len(node.entries) == 1 and node.entries[0].key in VALUE_FORMS
    return node.entries[0].key if is_form and isinstance(node, MappingNode) else ""


def _verify_value(node: Node, place: Place, findings: Findings) -> None:
    form = value_form(node)
    match node:
        case MappingNode() if form in ("from", "file"):
            inner = node.entries[0].value
            verify(inner, Expr() if form == "from" else PATH, place.at(form), findings)
            if id(inner) in findings.rejected:
                findings.rejected.add(id(node))
        case MappingNode() if not form:
            for entry in node.entries:
                _verify_value(entry.value, place.at(entry.key), findings)
        case SequenceNode():
            for index, item in enumerate(node.items):
                _verify_value(item, place.entry(index + 1), findings)
        case ScalarNode() if node.is_text and holds(TEMPLATE_MARK, node.raw):
            findings.reject(node, template_in_value(node, place))
        case _:
            return


# --- collections


def _verify_list(node: Node, kind: ListOf, place: Place, findings: Findings) -> None:
    if not isinstance(node, SequenceNode):
        findings.reject(node, wrong_type(node, kind, place))
        return
    if len(node.items) < kind.minimum:
        findings.reject(node, Problem("bad-value", f"{place} is empty", node.span, "at least one entry"))
    for index, item in enumerate(node.items):
        verify(item, kind.item, place.entry(index + 1), findings)


def _verify_names(node: Node, kind: Names, place: Place, findings: Findings) -> None:
    if not isinstance(node, MappingNode):
        findings.reject(node, wrong_type(node, kind, place))
        return
    if len(node.entries) < kind.minimum:
        message = f"{place} is empty"
        findings.reject(node, Problem("bad-value", message, node.span, f"at least one {kind.noun}"))
    for entry in node.entries:
        if holds(TEMPLATE_MARK, entry.key):
            findings.problems.append(template_in_name(entry, kind))
        elif entry.key in kind.taken:
            message = f"{with_article(kind.noun)} cannot be called '{entry.key}': that name has a meaning of its own"
            expected = "a name other than " + listed(kind.taken)
            findings.problems.append(Problem("reserved-name", message, entry.key_span, expected))
        elif not holds(kind.pattern, entry.key):
            message = f"{entry.key!r} cannot be the name of {with_article(kind.noun)}"
            findings.problems.append(Problem("bad-name", message, entry.key_span, kind.says))
        verify(entry.value, kind.item, Place(f"{kind.noun} '{entry.key}'", lead=f"{entry.key}: "), findings)


def _verify_record(node: Node, kind: Record, place: Place, findings: Findings) -> None:
    if not isinstance(node, MappingNode):
        findings.reject(node, wrong_type(node, kind, place))
        return
    for entry in node.entries:
        key = kind.by_name.get(entry.key)
        if key:
            verify(entry.value, key.kind, place.at(entry.key), findings)
        elif names := kind.other(entry.key):
            verify(entry.value, names.item, Place(f"{names.noun} '{entry.key}'", lead=f"{entry.key}: "), findings)
        elif not (kind.has_free_keys and entry.key.startswith(FREE_KEY)):
            findings.problems.append(unknown_key(entry, node, kind, place))
    for key in kind.keys:
        if key.is_required and key.name not in node.index and not is_misspelt(key.name, node, kind):
            findings.problems.append(missing_key(node, key, place))
    for one, other in (*kind.either, *combinations(kind.exactly_one, 2)):
        if one in node.index and other in node.index:
            findings.problems.append(either_or(node, one, other, place))
    if kind.is_single:
        known = [entry.key for entry in node.entries if entry.key in kind.by_name or kind.other(entry.key)]
        findings.problems += [either_or(node, known[0], other, place) for other in known[1:]]
    _verify_company(node, kind, place, findings)


def _verify_company(node: MappingNode, kind: Record, place: Place, findings: Findings) -> None:
    """Keys of which one must be there, and keys that make sense beside others only."""
    if _has_misspelt(node, kind):
        return  # it may be the very key that is missed
    any_key = tuple(kind.by_name) if kind.is_single and not node.entries else ()
    for group in (kind.exactly_one, kind.at_least_one, any_key):
        if group and not any(name in node.index for name in group):
            findings.problems.append(missing_one_of(node, group, place))
            return
    for name, others in kind.needs.items():
        if name in node.index and not any(other in node.index for other in others):
            findings.problems.append(missing_company(node.index[name], others, place))


def _has_misspelt(node: MappingNode, kind: Record) -> bool:
    return any(key in kind.later or nearest(key, kind.by_name) for key in _unknown(node, kind))


def _unknown(node: MappingNode, kind: Record) -> list[str]:
    """The keys that are told as unknown."""
    return [
        entry.key
        for entry in node.entries
        if entry.key not in kind.by_name
        and not kind.other(entry.key)
        and not (kind.has_free_keys and entry.key.startswith(FREE_KEY))
    ]


def _verify_shapes(node: Node, kind: Shapes, place: Place, findings: Findings) -> None:
    chosen: Kind | None = None
    if isinstance(node, MappingNode):
        chosen = kind.mapping
    elif isinstance(node, SequenceNode):
        chosen = kind.sequence
    else:
        is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        has_text = node.is_text or isinstance(kind.text, Expr)
        chosen = (
            kind.number if is_number and kind.number else kind.text if has_text and node.value is not None else None
        )
    if chosen is None:
        findings.reject(node, wrong_type(node, kind, place))
        return
    verify(node, chosen, place, findings)


def is_misspelt(name: str, node: MappingNode, kind: Record) -> bool:
    """Whether an unknown key stands where this one is missed, so that one mistake is not told twice."""
    unknown = _unknown(node, kind)
    is_instead = len(kind.keys) == len(node.entries) == len(unknown)
    return is_instead or any(key in kind.later or nearest(key, kind.by_name) == name for key in unknown)
