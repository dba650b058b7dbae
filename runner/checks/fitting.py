"""Whether a value can stand at a place, as far as some keywords of its schema say."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.canonical import Json
from runner.link.alternatives import Alternative

# Keywords that speak of a value by itself. What they do not say is left open.
OF_SCALARS = ("type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
              "minLength", "maxLength", "pattern", "format")  # fmt: skip
OF_LISTS = ("type", "minItems", "maxItems")


def as_far_as(keywords: Sequence[str], alternatives: Sequence[Alternative]) -> Json:
    """A schema of these keywords only: what it refuses, every alternative refuses."""
    kept: list[Json] = [
        {"allOf": [{word: schema[word] for word in keywords if word in schema} for schema in alternative]}
        for alternative in alternatives
    ]
    return kept[0] if len(kept) == 1 else {"anyOf": kept}
