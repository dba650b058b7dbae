"""Calls of tools as models spell them."""

from __future__ import annotations

from typing import Any

import pytest

from runner.dialects.calling import read_call


@pytest.mark.parametrize(
    ("arguments", "read", "problem"),
    [
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}, ""),
        ('{"b": 1, "a": 2}', {"a": 2, "b": 1}, ""),
        ("  ", {}, ""),
        (None, {}, ""),
        ("[1]", None, "the arguments are no JSON object: [1]"),
        ("null", None, "the arguments are no JSON object: null"),
        ("{", None, "the arguments are no JSON object: {"),
        ([1], None, "the arguments are no JSON object"),
    ],
)
def test_arguments_are_a_mapping_or_a_text_that_spells_one(arguments: Any, read: Any, problem: str) -> None:
    call = read_call("c1", "lookup", arguments)
    assert (call.id, call.name, call.arguments, call.problem) == ("c1", "lookup", read, problem)


def test_arguments_that_are_nested_too_deeply_are_none() -> None:
    assert read_call("c1", "lookup", "[" * 100_000).arguments is None
