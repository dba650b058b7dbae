"""What the protocols share of tools: how functions are told, calls read, and results spelt."""

from __future__ import annotations

import orjson

from runner.core.call import ToolCall, ToolResult, ToolSpec
from runner.core.canonical import Json, canonical, ordered
from runner.dialects.payload import is_shallow, show


def function_of(tool: ToolSpec) -> dict[str, Json]:
    """A function by its name, its description where it has one, and its parameters as the author wrote them."""
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "parameters": tool.parameters}


def in_fixed_order(value: Json) -> Json:
    """The same value whether it comes fresh or from a recording, whose keys are sorted: it is part of the next key."""
    return orjson.loads(canonical(value))


def read_call(id_: str, name: str, arguments: Json) -> ToolCall:
    """A call whose arguments are a mapping, or a text that spells one."""
    if isinstance(arguments, str):
        text = arguments.strip() or "{}"
        try:
            arguments = orjson.loads(text) if is_shallow(text.encode("utf-8", "replace")) else None
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            return ToolCall(id_, name, None, f"the arguments are no JSON object: {show(text)}")
    if arguments is None:
        return ToolCall(id_, name, {})
    if not isinstance(arguments, dict):
        return ToolCall(id_, name, None, "the arguments are no JSON object")
    return ToolCall(id_, name, in_fixed_order(arguments))


def told(result: ToolResult) -> str:
    """A result as text, where the protocol has no word for one that went wrong."""
    return ordered({"error": result.text}).decode() if result.is_error else result.text
