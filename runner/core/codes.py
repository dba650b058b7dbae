"""What a code of a finding means: the closed list is data of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from runner.core.frozen import dataclass

ONLY_FILE = "flow.yaml"
Seen = Literal["check", "run"]


@dataclass(frozen=True, slots=True)
class Code:
    """One code: what it means, the way out, and the files of an example that gives it.

    It is `seen` by `check`, or only by commands that do more; then there may be no example. `is_ignorable` says
    that an error may be silenced by a comment; every warning may.
    """

    name: str
    means: str
    way_out: str
    example: Mapping[str, str] = field(default_factory=dict)
    seen: Seen = "check"
    is_ignorable: bool = False

    @property
    def paragraph(self) -> str:
        return f"{self.means} {self.way_out}"

    @property
    def markdown(self) -> str:
        """The paragraph, then the files of the example."""
        blocks = []
        for name, text in self.example.items():
            kind = "yaml" if name.endswith((".yaml", ".yml")) else "json" if name.endswith(".json") else "text"
            title = "" if name == ONLY_FILE else f"`{name}`:\n\n"
            blocks.append(f"{title}```{kind}\n{text.rstrip()}\n```")
        return "\n\n".join([self.paragraph, *blocks])
