"""The codes of findings as data: from it come `check --explain`, the document of all codes, and the help in SARIF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from runner.core.canonical import Json
from runner.core.codes import ONLY_FILE, Code, Seen


def parse_codes(value: Json) -> Mapping[str, Code]:
    """The file that the package ships, by name."""
    assert isinstance(value, dict)
    return {name: _code(name, entry) for name, entry in sorted(value.items())}


def _code(name: str, entry: Json) -> Code:
    assert isinstance(entry, dict), name
    example = entry.get("example", {})
    files = {ONLY_FILE: example} if isinstance(example, str) else example
    seen = cast(Seen, entry.get("seen", "check"))
    return Code(name, entry["means"], entry["way_out"], files, seen, entry.get("ignorable", False))
