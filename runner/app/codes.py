"""The codes that findings have, with their explanations; read only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from runner.catalog.codes import parse_codes
from runner.config.shipped import load_shipped
from runner.core.codes import Code


@cache
def codes() -> Mapping[str, Code]:
    """All codes by name."""
    source = resources.files("runner.catalog") / "codes.yaml"
    return parse_codes(load_shipped(source.read_bytes()))
