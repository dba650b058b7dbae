"""Who holds the answer of each step to its schema, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from runner.core.canonical import Json

Pointers = Mapping[str, tuple[str, ...]]


class Enforced(Protocol):
    """What is shown of one step: keyword → pointers, and what would be refused, with the reason."""

    @property
    def file(self) -> str: ...
    @property
    def step(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def enforced(self) -> Pointers: ...
    @property
    def local(self) -> Pointers: ...
    @property
    def refused(self) -> tuple[tuple[str, str], ...]: ...


def enforcement_lines(schemas: Iterable[Enforced]) -> Iterator[str]:
    """Up to four lines a step; where we hold an answer to a keyword alone, its places are named."""
    for schema in schemas:
        yield f"{schema.file}: schema of step '{schema.step}' at {schema.model}"
        yield f"  the provider enforces: {', '.join(schema.enforced) or 'nothing'}"
        if schema.local:
            yield f"  only checked here:     {', '.join(_placed(*item) for item in schema.local.items())}"
        for pointer, reason in schema.refused:
            yield f"  would be refused:      {pointer or 'the root'}: {reason}"


def _placed(keyword: str, pointers: tuple[str, ...]) -> str:
    first = pointers[0].rpartition("/")[0] or "the root"
    others = f" and {len(pointers) - 1} more" if len(pointers) > 1 else ""
    return f"{keyword} ({first}{others})"


def enforcement_documents(schemas: Iterable[Enforced]) -> list[Json]:
    return [
        {
            "file": schema.file,
            "step": schema.step,
            "model": schema.model,
            "enforced": {keyword: list(pointers) for keyword, pointers in schema.enforced.items()},
            "local": {keyword: list(pointers) for keyword, pointers in schema.local.items()},
            "refused": [{"pointer": pointer, "reason": reason} for pointer, reason in schema.refused],
        }
        for schema in schemas
    ]
