"""Whether a prompt fits the model's window, an answer the cap on its length, and whether thinking leaves room for one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.catalog.thinking import thinking_for
from runner.checks.context import CheckContext
from runner.checks.reach import schema_at, target_pointer
from runner.checks.satisfiable import value_kind
from runner.core.canonical import Json
from runner.core.long_text import Piece, Stretch
from runner.core.model import Route
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.words import are_over
from runner.core.workflow import Step
from runner.link.linked import LinkedStep

_EDGES = re.compile(r"\A\S+|\S+\Z")
_FIRST = re.compile(r"\S+")
# Further references inside one another count as nothing.
_MOST_REFERENCES = 6
# With less room, models of these levels come back with an empty answer as a rule: what they think is counted first.
_ROOM = {"medium": 256, "high": 1024, "max": 1024}


def check_sizes(context: CheckContext) -> Iterator[Problem]:
    """Prompts that are too long whatever is filled in; caps that no answer can keep to, or that thinking uses up."""
    asked = context.linked.asked
    short: set[Span] = set()
    for name, route in context.routes.items():
        linked = asked[name]
        yield from _window(linked, route)
        schema = linked.schema
        cap, place = linked.step.max_output_tokens, linked.step.at("max_output_tokens")
        if cap is None or place in short:
            continue
        least = least_tokens(schema.bundled, schema.bundled) if schema is not None else 0
        if least > cap:
            short.add(place)
            yield Problem(
                "cut-for-sure",
                f"step '{linked.name}' allows {cap} output tokens, and an answer that fits its schema has at least {least}",
                place,
                expected=f"at least {least}: each required name, number and word takes a token or more",
            )
        else:
            yield from _thinking(linked.step, route, cap)


def _window(linked: LinkedStep, route: Route) -> Iterator[Problem]:
    window = route.facts.context_tokens
    texts = [text for text in (linked.system, *(entry.text for entry in linked.messages)) if text is not None]
    if window is None:
        return
    # What is filled in may join the words on both its sides.
    least = are_over([without_edges(piece) for text in texts for piece in text.literals], window)
    if least:
        longest = max(texts, key=lambda text: len(text.template.text)).template
        yield Problem(
            "over-the-window",
            f"the prompt of step '{linked.step.name}' has at least {least:,} tokens, more than {route.name} can read",
            longest.origin.span(),
            expected=f"at most {window:,} tokens, the answer included",
            fix="shorten it, or choose a model with a larger window ('runner models')",
        )


def without_edges(piece: Piece) -> Piece:
    """A piece of text without the words at its ends."""
    if isinstance(piece, str):
        return _EDGES.sub("", piece)
    first, last = _FIRST.match(piece.text, piece.start, piece.end), piece.end
    while last > piece.start and not piece.text[last - 1].isspace():
        last -= 1
    start = first.end() if first else piece.start
    return Stretch(piece.text, start, max(start, last))


def _thinking(step: Step, route: Route, cap: int) -> Iterator[Problem]:
    level = thinking_for(route, step.thinking, step.at("thinking"))
    if not route.facts.is_thinking_in_cap or not isinstance(level, str) or cap >= _ROOM.get(level, 0):
        return
    yield Problem(
        "little-room",
        f"step '{step.name}' allows {cap} output tokens, and {route.name} thinks within them at level '{level}'",
        step.at("max_output_tokens"),
        fix=f"max_output_tokens: {_ROOM[level]} or more, or a lower thinking level",
        severity="warning",
    )


def least_tokens(schema: Json, root: Json, inside: tuple[str, ...] = ()) -> int:
    """A number of tokens that no answer can stay below: one for each name, number and word of the shortest one.

    No vocabulary has a token that holds two of these: a name and its value, two numbers, two words of an enum.
    """
    if not isinstance(schema, dict):
        return 0
    found = [_least_listed(schema), _least_of_kind(schema, root, inside)]
    if "$ref" in schema and target_pointer(schema) not in inside and len(inside) < _MOST_REFERENCES:
        pointer = target_pointer(schema)
        found.append(least_tokens(schema_at(root, pointer), root, (*inside, pointer)))
    found += [least_tokens(inner, root, inside) for inner in schema.get("allOf", ())]
    for keyword in ("anyOf", "oneOf"):
        found += [min(least_tokens(inner, root, inside) for inner in schema[keyword])] if keyword in schema else []
    return max(found)


def _least_listed(schema: dict[str, Json]) -> int:
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return min((1 if _is_word(value) else 0 for value in values), default=0)


def _is_word(value: Json) -> bool:
    kind = value_kind(value)
    return any(letter.isalnum() for letter in value) if kind == "string" else kind not in ("array", "object")


def _least_of_kind(schema: dict[str, Json], root: Json, inside: tuple[str, ...]) -> int:
    written = schema.get("type")
    names = [written] if isinstance(written, str) else written or ["any"]
    return min(_least_of(name, schema, root, inside) for name in names)


def _least_of(name: str, schema: dict[str, Json], root: Json, inside: tuple[str, ...]) -> int:
    match name:
        case "integer" | "number" | "boolean" | "null":
            return 1
        case "array":
            least, firsts = int(schema.get("minItems", 0)), schema.get("prefixItems", ())
            known = [least_tokens(inner, root, inside) for inner in firsts[:least]]
            return sum(known) + (least - len(known)) * least_tokens(schema.get("items", True), root, inside)
        case "object":
            properties, required = schema.get("properties", {}), schema.get("required", ())
            named = sum(any(letter.isalnum() for letter in one) for one in required)
            return named + sum(least_tokens(properties.get(one, True), root, inside) for one in required)
        case _:
            return 0
