"""The codes that findings have, with their explanations; read only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from runner.catalog.codes import parse_codes
from runner.config.load import load_values
from runner.core.codes import Code


@cache
def codes() -> Mapping[str, Code]:
    """All codes by name."""
    source = resources.files("runner.catalog") / "codes.yaml"
    value, problems = load_values(source.read_bytes(), "codes.yaml")
    assert not problems, problems
    return parse_codes(value)
