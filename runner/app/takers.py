"""Which models of the catalogue see a kind of file."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalog.facts import Catalog
from runner.core.media import MediumKind, rules_for
from runner.dialects import ASKED


def models_taking(kind: MediumKind, provider: str, known: Catalog, today: str) -> list[str]:
    """Their names, those of one provider first; none that its vendor has switched off."""
    return sorted(_taking(kind, known, today), key=lambda name: not name.startswith(f"{provider}/"))


def _taking(kind: MediumKind, known: Catalog, today: str) -> Iterator[str]:
    for (owner, model), facts in known.models.items():
        spoken = known.provider_for(owner, model)
        is_there = not facts.retired or facts.retired > today
        if spoken is None or not is_there or kind not in facts.accepts:
            continue
        if kind in rules_for(ASKED[spoken.dialect].media, spoken).types:
            yield f"{owner}/{model}"
