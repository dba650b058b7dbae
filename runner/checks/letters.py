"""Names that look alike and are not, and characters that nobody sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.checks.context import CheckContext
from runner.core.canonical import Json, escape_pointer
from runner.core.letters import hidden, say_letter, skeleton, strangers
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import OutputTable, SchemaSource, Workflow
from runner.output.keywords import every_schema

# The names that stand beside each other: what they are, the names, and the place of each.
_Group = tuple[str, Sequence[str], Sequence[Span]]


def check_letters(context: CheckContext) -> Iterator[Problem]:
    """Fields, words and columns that no eye tells apart, and hidden characters in what the workflow says."""
    for noun, names, spans in _groups(context.linked.workflow):
        alike = list(_alike(noun, names, spans))
        yield from alike
        told = {problem.span for problem in alike}
        for name, span in zip(names, spans, strict=True):
            yield from _disguised(noun, name, span) if span not in told else ()
    yield from _hidden_in_texts(context)


def _groups(workflow: Workflow) -> Iterator[_Group]:
    schemas = [step.schema for step in workflow.steps.values()]
    schemas += [spec.schema for spec in workflow.inputs.values()] + [one.schema for one in workflow.data.values()]
    for source in schemas:
        if source is not None:
            yield from _of_fields(source) if source.is_fields else _of_schema(source)
    for output in workflow.outputs.values():
        if isinstance(output, OutputTable):
            names = tuple(output.columns)
            yield "column", names, [output.at(f"columns.{name}") for name in names]


def _of_schema(source: SchemaSource) -> Iterator[_Group]:
    for pointer, schema in every_schema(source.value):
        if isinstance(schema, dict):
            yield from _named(source, schema.get("properties"), f"{pointer}/properties")
            yield from _listed(source, schema.get("enum"), f"{pointer}/enum")


def _of_fields(source: SchemaSource) -> Iterator[_Group]:
    waiting: list[tuple[str, Json]] = [("", source.value)]
    while waiting:
        pointer, value = waiting.pop()
        if isinstance(value, dict):
            yield from _named(source, value, pointer)
            waiting += [(f"{pointer}/{escape_pointer(name)}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            yield from _listed(source, value, pointer)
            waiting += [(f"{pointer}/{index}", inner) for index, inner in enumerate(value)]


def _named(source: SchemaSource, value: Json, pointer: str) -> Iterator[_Group]:
    names = [name for name in value if isinstance(name, str)] if isinstance(value, dict) else []
    if not all(map(str.isascii, names)):
        yield "field", names, [source.at(f"{pointer}/{escape_pointer(name)}") for name in names]


def _listed(source: SchemaSource, value: Json, pointer: str) -> Iterator[_Group]:
    words = [(i, word) for i, word in enumerate(value) if isinstance(word, str)] if isinstance(value, list) else []
    if not all(word.isascii() for _, word in words):
        yield "word", [word for _, word in words], [source.at(f"{pointer}/{index}") for index, _ in words]


def _alike(noun: str, names: Sequence[str], spans: Sequence[Span]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name, span in zip(names, spans, strict=True):
        other = first.setdefault(skeleton(name), name)
        if other != name:
            letters = [letter for letter in dict.fromkeys(name + other) if (letter in name) != (letter in other)]
            said = ", ".join(say_letter(letter) for letter in letters if not letter.isascii())
            yield Problem(
                "look-alike",
                f"two {noun}s look the same, '{other}' here is not the '{name}' there",
                span,
                notes=(("letters", said),) if said else (),
                fix="write them so that an eye can tell them apart, or leave one out",
            )


def _disguised(noun: str, name: str, span: Span) -> Iterator[Problem]:
    letters = strangers(name)
    if letters:
        yield Problem(
            "look-alike",
            f"the {noun} '{name}' mixes Latin letters with others that look like them",
            span,
            notes=(("letters", ", ".join(map(say_letter, letters))),),
            fix=f"{skeleton(name)}, with Latin letters only",
            severity="warning" if noun == "word" else "error",
        )
    for position in hidden(name):
        yield _hidden(f"the {noun} '{skeleton(name)}'", name[position], span)


def _hidden_in_texts(context: CheckContext) -> Iterator[Problem]:
    told = {(one.span.file, one.span.line, one.span.column) for one in context.linked.problems if one.span}
    for text in context.linked.typing.texts:
        source = text.source.text
        for position in hidden(source):
            line = source.count("\n", 0, position) + 1
            span = text.source.origin.span(line, position - (source.rfind("\n", 0, position) + 1) + 1)
            place = (span.file, span.line, span.column)
            if place not in told:
                told.add(place)
                yield _hidden(text.place.title, source[position], span)


def _hidden(title: str, sign: str, span: Span) -> Problem:
    message = f"{title} holds a character that cannot be seen: {say_letter(sign)}"
    return Problem("hidden-character", message, span, fix="delete it", severity="warning")
