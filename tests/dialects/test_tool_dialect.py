"""Tools of the project, spoken to as models are."""

from __future__ import annotations

import json

import pytest

from runner.core.call import Call
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.core.response import Finish, Usage
from runner.core.span import Span
from runner.core.tool import Tool
from runner.dialects import ASKED
from runner.dialects.tool import ToolDialect

TOOL = ToolDialect()


def request(name: str = "lookup", version: str = "", python: str = "shop:lookup", **call: object) -> Request:
    tool = Tool(span=Span("runner.yaml", 1, 1), name=name, python=python, version=version)
    return TOOL.encode(Call(name, (), **{"arguments": {"sku": "A1"}, **call}), tool.route)  # type: ignore[arg-type]


def test_the_key_is_of_the_function_its_version_and_its_arguments_and_not_of_its_name() -> None:
    first = request()
    assert json.loads(bytes(first.body)) == {"arguments": {"sku": "A1"}}
    assert request(name="find").key == first.key
    others = [
        request(version="2"),
        request(python="shop:find"),
        request(arguments={"sku": "A2"}),
        request(sample=1),
        request(salt="x"),
    ]
    assert len({first.key, *(other.key for other in others)}) == 6


def test_a_result_is_a_json_text_that_costs_nothing() -> None:
    response = TOOL.decode(b'{"text": "[1]"}')
    assert (response.text, response.finish, response.usage) == ("[1]", Finish.COMPLETE, Usage(0, 0))
    assert TOOL.scrub(b'{ "text": "[1]"}') == b'{"text":"[1]"}'


def test_a_damaged_result_is_no_answer() -> None:
    with pytest.raises(CallFailed) as caught:
        TOOL.decode(b'{"text": 1}')
    assert caught.value.failure.message == "the result of the tool is not stored as text"


def test_it_fills_the_protocol_of_a_dialect() -> None:
    assert ASKED["tool"].lower({"type": "string"}).body == {"type": "string"}
    assert TOOL.failure(500, {}, b"").kind is FailureKind.TOOL
