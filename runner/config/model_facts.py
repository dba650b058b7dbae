"""What a project says of models in `runner.yaml`: aliases, and facts by provider/model, under one key."""

from __future__ import annotations

from runner.config.common_grammar import MODELS
from runner.config.fields import Key, ListOf, Names, Number, Record, Text
from runner.config.keys import Keys
from runner.config.nodes import Entry, MappingNode
from runner.config.verify import Findings
from runner.core.model import MODALITIES, THINKING_LEVELS, FactsGiven, ThinkingLevel
from runner.core.problem import Problem

PRICED = r"^[^/\s]+/\S+$"
DATE = Text(pattern=r"^\d{4}-\d{2}-\d{2}$", says="a date such as 2026-11-22")
_FILLED = Text(pattern=r"\S", says="text")
_COUNT = Number(is_whole=True, minimum=1)
_LEVEL = Text(choices=THINKING_LEVELS)
_SETTINGS = ("temperature", "top_p", "seed", "stop", "max_output_tokens")
_FACTS = Record(
    "facts of a model",
    (
        Key("title", _FILLED, "What people call it."),
        Key("context", _COUNT, "How many tokens it reads."),
        Key("max_output", _COUNT, "How many tokens it writes at most, thoughts among them."),
        Key("accepts", ListOf(Text(choices=MODALITIES), minimum=1), "What it reads."),
        Key("thinking", ListOf(_LEVEL), "The thinking levels that it has; [] for none."),
        Key("default_thinking", _LEVEL, "The level that is sent when a step sets none; the lowest when left out."),
        Key("refuses", ListOf(Text(choices=_SETTINGS)), "Step keys that it answers with an error."),
        Key("retired", DATE, "The day on which it is switched off."),
        Key("replacement", _FILLED, "The model of this provider that takes its place."),
        Key("note", _FILLED, "What else is worth knowing."),
    ),
    needs={"default_thinking": ("thinking",)},
)
MODELS_HERE = Record(
    "the models",
    (),
    others=(
        Names("alias", MODELS.item, pattern=MODELS.pattern, description="A name for a model."),
        Names("model", _FACTS, pattern=PRICED, description="What is known of a model, by provider/model."),
    ),
    says="a name for a model, or provider/model",
)


def aliases_of(keys: Keys) -> list[Entry]:
    return [entry for entry in keys.entries("models") if "/" not in entry.key]


def facts_of(keys: Keys) -> list[Entry]:
    return [entry for entry in keys.entries("models") if "/" in entry.key]


def read_facts(entry: Entry, findings: Findings) -> FactsGiven | None:
    if not isinstance(entry.value, MappingNode):
        return None
    keys = Keys(entry.value, findings.rejected)
    levels = _levels(keys)
    default = next((level for level in THINKING_LEVELS if level == keys.text("default_thinking")), None)
    if default is not None and levels is not None and default not in levels:
        findings.problems.append(_no_level(entry, keys, default, levels))
        default = None
    return FactsGiven(
        title=keys.text("title"),
        thinking_levels=levels,
        default_thinking=default,
        accepts=keys.texts("accepts") or None,
        context_tokens=keys.whole("context"),
        max_output_tokens=keys.whole("max_output"),
        refuses=keys.texts("refuses") if keys.has("refuses") else None,
        retired=keys.text("retired"),
        replacement=keys.text("replacement"),
        note=keys.text("note"),
    )


def _levels(keys: Keys) -> tuple[ThinkingLevel, ...] | None:
    if not keys.has("thinking"):
        return None
    named = keys.texts("thinking")
    return tuple(level for level in THINKING_LEVELS if level in named)


def _no_level(entry: Entry, keys: Keys, default: str, levels: tuple[str, ...]) -> Problem:
    node = keys.get("default_thinking")
    assert node is not None, "the level was read from it"
    message = f"'default_thinking' of '{entry.key}' is '{default}', which is not among its levels"
    return Problem("thinking-level", message, node.span, f"one of {', '.join(levels)}" if levels else "no such key")
