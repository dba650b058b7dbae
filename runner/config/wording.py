"""What is wrong with a value, in the author's words."""

from __future__ import annotations

import json
from collections.abc import Sequence

from runner.config.fields import (
    Expr,
    Key,
    Kind,
    ListOf,
    Names,
    Number,
    Prompt,
    Record,
    Shapes,
    Text,
    holds,
    kind_in_words,
)
from runner.config.mending import bracing, inner_of, quoting, unquoting
from runner.config.nodes import Entry, MappingNode, Node, ScalarNode, SequenceNode
from runner.core.frozen import dataclass
from runner.core.problem import Edit, Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.span import Span

_WHERE_TEMPLATES = "templates are read in prompt, system, messages[].text and save only"


@dataclass(frozen=True, slots=True)
class Place:
    """How a value is called in a message: `key` of `owner` ("step 'reply'"); `lead` is how it is introduced in YAML."""

    owner: str
    key: str = ""
    lead: str = ""

    def __str__(self) -> str:
        if not self.key:
            return self.owner
        return f"{self.key} of {self.owner}" if self.key.startswith("entry ") else f"'{self.key}' of {self.owner}"

    def at(self, key: str) -> Place:
        """The place of a key inside this value."""
        return Place(str(self), key, f"{key}: ")

    def entry(self, number: int) -> Place:
        """The place of an element of this list, counted from 1."""
        return Place(str(self), f"entry {number}", "- ")


def braces_in_expression(node: ScalarNode, place: Place) -> Problem:
    inner = inner_of(node.raw)
    return Problem(
        "braces-in-expression",
        f"{place} is an expression already, so it takes no braces",
        node.span,
        expected=kind_in_words(Expr()),
        fix=f"{place.lead}{inner}" if inner else "",
        edits=bracing(node),
    )


def unknown_key(entry: Entry, node: MappingNode, kind: Record, place: Place) -> Problem:
    if entry.key in kind.later:
        return not_in_this_version(f"{place} has the key '{entry.key}', which is not in this version", entry.key_span)
    hint = kind.hints.get(entry.key, "")
    edits = () if hint else renaming(entry.key_span, entry.key, kind.by_name)
    return Problem(
        "unknown-key",
        f"{place} has no key '{entry.key}'",
        entry.key_span,
        expected=f"a key of {kind.noun}: {kind.says or listed(kind.by_name)}",
        nearest="" if hint else nearest(entry.key, [*kind.by_name, *_others(entry.key, kind)]),
        fix=hint,
        edits=() if any(edit.new in node.index for edit in edits) else edits,
    )


def _others(key: str, kind: Record) -> list[str]:
    """Keys of the author's choice that begin as this one does: `ask.model` for `ask.modle`."""
    start, dot, _ = key.partition(".")
    return [f"{start}{names.ending}" for names in kind.others if names.ending] if dot else []


def not_in_this_version(message: str, span: Span, expected: str = "") -> Problem:
    return Problem("not-in-this-version", message, span, expected)


def missing_key(node: MappingNode, key: Key, place: Place) -> Problem:
    return Problem(
        "missing-key", f"{place} lacks the key '{key.name}'", node.span, f"{key.name}: {kind_in_words(key.kind)}"
    )


def missing_one_of(node: MappingNode, names: Sequence[str], place: Place) -> Problem:
    return Problem("missing-key", f"{place} lacks a key", node.span, f"one of {', '.join(names)}")


def missing_company(entry: Entry, others: Sequence[str], place: Place) -> Problem:
    companion = f"'{others[0]}'" if len(others) == 1 else f"one of {', '.join(others)}"
    message = f"{place} has the key '{entry.key}', which belongs to {companion}"
    return Problem("missing-key", message, entry.key_span, f"{companion} beside it")


def either_or(node: MappingNode, one: str, other: str, place: Place) -> Problem:
    later = max(node.index[one].key_span, node.index[other].key_span)
    return Problem("either-or", f"{place} has both '{one}' and '{other}'", later, f"'{one}' or '{other}', not both")


def wrong_type(node: Node, kind: Kind, place: Place) -> Problem:
    return Problem(
        "wrong-type",
        f"{place} {_found(node)}",
        node.span,
        expected=kind_in_words(kind),
        fix=_respelt(node, kind, place),
        edits=_mended(node, kind),
    )


def _mended(node: Node, kind: Kind) -> tuple[Edit, ...]:
    """Quotes for a number or truth value where text is meant, none for a number."""
    if not isinstance(node, ScalarNode) or node.value is None:
        return ()
    match kind:
        case Text(choices=()) | Prompt() | Shapes(text=Text(choices=())) if not node.is_text:
            return quoting(node)
        case Number() if node.is_text and _is_number(node.raw):
            return unquoting(node)
        case _:
            return ()


def _found(node: Node) -> str:
    match node:
        case MappingNode():
            return "is a mapping"
        case SequenceNode():
            return "is a list"
        case ScalarNode(value=None):
            return "has no value"
        case ScalarNode(value=bool()):
            return f"is the truth value {node.raw}"
        case ScalarNode(value=str()):
            return "is text"
        case _:
            return f"is the number {node.raw}"


def _respelt(node: Node, kind: Kind, place: Place) -> str:
    """The same value as the author probably means it, or ""."""
    if isinstance(node, SequenceNode) and isinstance(kind, Names):
        return f"the name of each {kind.noun} and a colon in place of its dash"
    if not isinstance(node, ScalarNode) or node.value is None or not place.lead or "\n" in node.raw:
        return ""
    lead = place.lead
    match kind:
        case Text(choices=()) | Prompt() | Shapes(text=Text(choices=())) if not node.is_text:
            return f'{lead}"{node.raw}"'
        case ListOf():
            return f"{lead}[{_flow_text(node)}]"
        case Record(main=main) if main:
            return f"{lead}{{{main}: {_flow_text(node)}}}"
        case Number() if node.is_text and _is_number(node.raw):
            return f"{lead}{node.raw}"
        case _:
            return ""


def _flow_text(node: ScalarNode) -> str:
    """A scalar as it may stand inside brackets."""
    needs_quotes = node.is_text and (node.style != "plain" or any(sign in node.raw for sign in ",[]{}:#\"'"))
    return json.dumps(node.raw, ensure_ascii=False) if needs_quotes else node.raw


def _is_number(text: str) -> bool:
    return holds(r"^-?[0-9]+(\.[0-9]+)?$", text)


def template_in_literal(node: ScalarNode, place: Place) -> Problem:
    return Problem(
        "template-in-literal",
        f"{place} is taken as it is, but holds a template",
        node.span,
        expected=f"a literal value; {_WHERE_TEMPLATES}",
    )


def template_in_value(node: ScalarNode, place: Place) -> Problem:
    return Problem(
        "template-in-literal",
        f"{place} is taken as it is, but holds a template",
        node.span,
        expected="a literal value, or {from: expression}",
        fix=f"{{literal: {json.dumps(node.raw, ensure_ascii=False)}}} where the text itself holds braces",
    )


def template_in_name(entry: Entry, kind: Names) -> Problem:
    message = f"the name of {with_article(kind.noun)} is taken as it is, but holds a template"
    return Problem("template-in-literal", message, entry.key_span, f"a plain name; {_WHERE_TEMPLATES}")


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
