"""`tools` of `runner.yaml`: the functions and the provider's own tools that workflows may name."""

from __future__ import annotations

from typing import cast

from runner.config.common_grammar import FILLED, SCHEMA, TEXT, TOOL_NAME, TOOL_NAME_IN_WORDS
from runner.config.fields import Flag, Key, Names, Number, Record, Shapes, Text
from runner.config.keys import Keys, as_text
from runner.config.nodes import Entry, MappingNode, ScalarNode, dotted_spans, pointer_spans, to_value
from runner.config.reading import Reading, base_of
from runner.config.verify import Findings
from runner.core.located import SchemaSource
from runner.core.tool import OWN_TOOLS, TOOL_CHOICES, OwnTool, Tool

_FUNCTION = Text(
    pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$",
    says="a module and a function in it, such as shop.tools:lookup",
)
_TOOL = Record(
    "a tool",
    (
        Key("python", _FUNCTION, "The function that is run: module:function, below the project root.", True),
        Key("description", TEXT, "What it does and when to use it: the model reads this."),
        Key("parameters", SCHEMA, "The JSON Schema of its arguments, an object: a path, or the schema itself."),
        Key("returns", SCHEMA, "The JSON Schema that its results fit: a path, or the schema itself."),
        Key("version", Shapes(text=FILLED, number=Number()), "Change it, and stored results are not used any more."),
        Key("replay", Flag(), "false: it runs each time, and its results are not stored."),
        Key("parallel", Flag(), "false: it never runs twice at once, and one answer's calls run it in their order."),
    ),
    main="python",
)
TOOLS = Names(
    "tool",
    Shapes(text=Text(choices=OWN_TOOLS, says="or a mapping with the function under 'python'"), mapping=_TOOL),
    pattern=TOOL_NAME,
    says=TOOL_NAME_IN_WORDS,
    taken=TOOL_CHOICES,
)


def read_tools(keys: Keys, findings: Findings, reading: Reading) -> dict[str, Tool]:
    """The tools by name; one that cannot be read is left out."""
    found = ((entry.key, _tool(entry, findings, reading)) for entry in keys.entries("tools"))
    return {name: tool for name, tool in found if tool is not None}


def _tool(entry: Entry, findings: Findings, reading: Reading) -> Tool | None:
    node = entry.value
    if id(node) in findings.rejected:
        return None
    if not isinstance(node, MappingNode):
        own = as_text(node)
        return None if own is None else Tool(span=entry.key_span, name=entry.key, own=cast(OwnTool, own))
    keys = Keys(node, findings.rejected)
    python = keys.text("python")
    if python is None:
        return None
    version = keys.value("version")
    return Tool(
        span=entry.key_span,
        spans=dotted_spans(node, leave_out=frozenset({"parameters", "returns"})),
        name=entry.key,
        python=python,
        description=keys.text("description") or "",
        parameters=_schema("parameters", entry.key, keys, reading),
        returns=_schema("returns", entry.key, keys, reading),
        version="" if version is None else str(version),
        is_replayed=keys.value("replay") is not False,
        is_parallel=keys.value("parallel") is not False,
    )


def _schema(key: str, name: str, keys: Keys, reading: Reading) -> SchemaSource | None:
    node = keys.get(key)
    if isinstance(node, MappingNode):
        return SchemaSource(to_value(node), node.span, base=base_of(node.span), spans=pointer_spans(node))
    if isinstance(node, ScalarNode):
        return reading.schema_file(node.raw, node.span, f"tool '{name}'")
    return None
