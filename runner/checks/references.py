"""What is read against what there can be: fields, elements and words, by the schemas of answers, inputs and rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from runner.checks.conditions import settled
from runner.checks.context import CheckContext
from runner.checks.spelling import ELEMENT, is_slip, say_part, say_path
from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.span import Span
from runner.core.workflow import Expression
from runner.link.choices import Choice
from runner.link.linked import Linked
from runner.link.paths import type_at
from runner.link.readings import Reading, ReadText, Unequal
from runner.link.subjects import Subject

# What other languages call the filters of a list.
_MEANT = {"length": "length", "size": "length", "count": "length", "len": "length", "first": "first", "last": "last"}


def check_references(context: CheckContext) -> Iterator[Problem]:
    """Fields that a value cannot have, values that may be absent, words that a value never is."""
    yield from _told_once(_findings(context.linked))


def _findings(linked: Linked) -> Iterator[Problem]:
    for _, grouped in groupby(linked.typing.readings, key=lambda reading: id(reading.text)):
        readings = list(grouped)
        for index, reading in enumerate(readings):
            others = [other for other in readings[index + 1 :] if other.path[:1] == reading.path[:1]]
            yield from _finding(reading, others)
    fatal = {id(text.source) for text, holds in settled(linked) if text.role == "ensure" and not holds}
    for unequal in linked.typing.unequal:
        yield _never_equal(unequal, is_fatal=id(unequal.text.source) in fatal)


def _told_once(problems: Iterator[Problem]) -> Iterator[Problem]:
    """One finding for one place; a file that several steps use names them all."""
    found: dict[tuple[str, Span | None, str], Problem] = {}
    for problem in problems:
        key = (problem.code, problem.span, problem.message)
        first = found.setdefault(key, problem)
        notes = tuple(dict.fromkeys((*first.notes, *problem.notes)))
        found[key] = replace(first, notes=notes)
    yield from found.values()


def _finding(reading: Reading, others: list[Reading]) -> Iterator[Problem]:
    """What is wrong with one reading; `others` come after it in the same text."""
    typed = reading.typed
    if typed.kind in ("missing", "list", "not-a-mapping"):
        site = _site(reading, typed.index)
        is_needed = _is_needed(reading, typed.index) or any(_reads_on(other, reading, typed.index) for other in others)
        if site is not None and typed.kind == "missing":
            yield from _unknown_field(reading, site, is_needed=is_needed)
        elif site is not None and is_needed:
            yield _field_of_list(reading, site) if typed.kind == "list" else _not_a_mapping(reading, site)
        return
    for index, names in typed.unlisted:
        site = _site(reading, index)
        if site is not None:
            yield from _unlisted(reading, site, names)
    gap = reading.gap
    if gap is not None:
        site = _site(reading, gap.index + (1 if gap.is_null and not gap.is_end else 0))
        if site is not None:
            yield (
                _may_be_null(reading, site)
                if gap.is_end
                else _in_some_only(reading, site, gap.choice)
                if gap.choice
                else _may_be_absent(reading, site, is_null=gap.is_null)
            )


@dataclass(frozen=True, slots=True)
class _Site:
    """A part of a path, where it is written, and what is before it."""

    index: int
    name: str
    span: Span
    holder: str
    inside: str


def _site(reading: Reading, index: int) -> _Site | None:
    """None where the part is not written here, such as behind a name that was bound to the path before."""
    span = reading.span(index)
    if span is None or (span == reading.reference.spans[0]):
        return None
    holder, inside = _holder(reading.subject, reading.path[:index])
    return _Site(index, reading.path[index], span, holder, inside)


def _holder(subject: Subject, path: Sequence[str]) -> tuple[str, str]:
    """A value in words, and the part of the words that says where in the answer, input or row it is."""
    inner = path[subject.start :]
    if subject.is_list and not inner:
        return ".".join(path), ""
    inside = say_path(inner[1:] if subject.is_list else inner)
    between = "of" if tuple(inner) == (ELEMENT,) else "in"
    return (f"{inside} {between} {subject.title}" if inside else subject.title), inside


def _is_needed(reading: Reading, index: int) -> bool:
    """Whether a hole at a part does harm here."""
    return reading.reference.provided <= index - reading.shift


def _reads_on(other: Reading, reading: Reading, index: int) -> bool:
    """Whether another reading comes through the same part by a name that was bound to it."""
    is_same = other.path[: index + 1] == reading.path[: index + 1]
    return is_same and other.span(index) == other.reference.spans[0] and _is_needed(other, index)


# --- findings


def _unknown_field(reading: Reading, site: _Site, *, is_needed: bool) -> Iterator[Problem]:
    names = reading.typed.names
    slip = next((name for name in names if is_slip(site.name, name)), "")
    if not is_needed and not slip:
        return
    near = nearest(site.name, names) if is_needed else slip
    yield Problem(
        "unknown-field",
        f"{site.holder} has no field '{site.name}'",
        site.span,
        expected=_expected(reading.subject, site, names),
        nearest=near,
        notes=_used_by(reading.text, site.span),
        fix=_fix(reading, site, near),
        severity="error" if is_needed else "warning",
        edits=renaming(site.span, site.name, names, is_identifier=True) if is_needed else (),
    )


def _unlisted(reading: Reading, site: _Site, names: tuple[str, ...]) -> Iterator[Problem]:
    near = next((name for name in names if is_slip(site.name, name)), "")
    if near:
        yield Problem(
            "unlisted-field",
            f"the schema does not name '{site.name}', which is read from {site.holder}",
            site.span,
            expected=_expected(reading.subject, site, names),
            nearest=near,
            notes=_used_by(reading.text, site.span),
            fix=_fix(reading, site, near),
            severity="warning",
        )


def _not_a_mapping(reading: Reading, site: _Site) -> Problem:
    return Problem(
        "not-a-mapping",
        f"{site.holder} is {reading.typed.found}, which has no field '{site.name}'",
        site.span,
        notes=_used_by(reading.text, site.span),
        fix=_spelled(reading, site.index),
    )


def _field_of_list(reading: Reading, site: _Site) -> Problem:
    spelled = _spelled(reading, site.index)
    fix = f"{spelled}[0].{site.name}, ({spelled} | first).{site.name}, or a loop over {spelled}"
    is_field = bool(spelled) and _elements_have(reading, site)
    if site.name in _MEANT:
        fix, is_field = f"{spelled or '…'} | {_MEANT[site.name]}", True
    return Problem(
        "not-a-mapping",
        f"{site.holder} is a list, and '{site.name}' can only be read from one of its elements",
        site.span,
        notes=_used_by(reading.text, site.span),
        fix=fix if is_field else "",
    )


def _elements_have(reading: Reading, site: _Site) -> bool:
    subject = reading.subject
    inner = (*reading.path[subject.start : site.index], ELEMENT, site.name)
    return type_at(subject.schema, inner, subject.root).kind in ("any", "value")


def _may_be_absent(reading: Reading, site: _Site, *, is_null: bool) -> Problem:
    spelled = _spelled(reading, site.index + 1)
    message = (
        f"{site.holder} may be null, which has no field '{site.name}'"
        if is_null
        else f"{site.holder} may lack the field '{site.name}'"
    )
    required = "" if is_null else f", or make '{site.name}' required in {_called(reading.subject)}"
    return Problem(
        "may-be-absent",
        message,
        site.span,
        notes=_used_by(reading.text, site.span),
        fix=f"{spelled or '…'} | default(…){required}",
        severity="warning",
    )


def _in_some_only(reading: Reading, site: _Site, choice: Choice) -> Problem:
    spelled = _spelled(reading, site.index + 1)
    message = (
        f"{site.holder} may be {choice.found}, which has no field '{site.name}'"
        if choice.found
        else f"only some alternatives of {site.holder} have the field '{site.name}'"
    )
    words = " or ".join(f'"{word}"' if isinstance(word, str) else _shown(word) for word in choice.words)
    told = f", or test first whether '{choice.name}' is {words}" if words else ""
    return Problem(
        "may-be-absent",
        message,
        site.span,
        notes=_used_by(reading.text, site.span),
        fix=f"{spelled or '…'} | default(…){told}",
        severity="warning",
    )


def _may_be_null(reading: Reading, site: _Site) -> Problem:
    title, _ = _holder(reading.subject, reading.path)
    return Problem(
        "may-be-absent",
        f"{title} may be null, and a value is needed here",
        site.span,
        notes=_used_by(reading.text, site.span),
        fix=f"{_spelled(reading, site.index + 1) or '…'} | default(…, true)",
        severity="warning",
    )


def _never_equal(unequal: Unequal, *, is_fatal: bool) -> Problem:
    words = [value for value in unequal.values if isinstance(value, str)]
    title, _ = _holder(unequal.subject, unequal.path)
    return Problem(
        "never-equal",
        f"{title} is never '{unequal.word.text}'",
        unequal.word.span,
        expected=f"one of {listed(words)}" if words else f"one of {', '.join(map(_shown, unequal.values))}",
        nearest=nearest(unequal.word.text, words),
        notes=_used_by(unequal.text, unequal.word.span),
        severity="error" if is_fatal else "warning",
    )


def _shown(value: Json) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


# --- rows that help


def _called(subject: Subject) -> str:
    """How the author finds the schema."""
    source = subject.source
    if source is None or source.file:
        return source.file if source else ""
    return f"the fields of '{subject.owner}'" if source.is_fields else f"the schema of {_owner(subject)}"


def _owner(subject: Subject) -> str:
    return subject.owner if subject.owner.startswith(("input ", "data.")) else f"'{subject.owner}'"


def _expected(subject: Subject, site: _Site, names: tuple[str, ...]) -> str:
    if not names:
        return ""
    source = subject.source
    if source is not None and source.is_fields:
        return f"a field of {site.inside or _owner(subject)}: {listed(names)}"
    if source is None:
        return f"a field of {site.holder}: {listed(names)}"
    of = f"{site.inside} in {_called(subject)}" if site.inside else _called(subject)
    return f"a property of {of}: {listed(names)}"


def _used_by(text: ReadText, span: Span) -> tuple[tuple[str, str], ...]:
    """Which step reads a file that stands apart from it."""
    return (("used by", f"{text.place.title}, {text.span}"),) if span.file != text.span.file else ()


def _fix(reading: Reading, site: _Site, near: str) -> str:
    called = _called(reading.subject)
    add = f"add '{site.name}' to {called}" if called else ""
    if not near:
        return add
    spelled = _spelled(reading, site.index)
    right = f"{spelled}{say_part(near)}" if spelled else f"write '{near}'"
    is_expression = isinstance(reading.text.source, Expression)
    shown = right if is_expression or not spelled else f"{{{{ {right} }}}}"
    return f"{shown}, or {add}" if add else shown


def _spelled(reading: Reading, end: int) -> str:
    """The path up to a part as it can be written, "" where it goes through a name of the text's own or an element."""
    reference = reading.reference
    own = reference.path[: end - reading.shift]
    is_bound = len(own) > 1 and reference.spans[1] == reference.spans[0]
    if is_bound or ELEMENT in own:
        return ""
    return own[0] + "".join(map(say_part, own[1:]))
