"""A step's `options`: provider fields passed through by name."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.canonical import Json


def place_options(body: dict[str, Json], options: Mapping[str, Json], places: Mapping[str, tuple[str, ...]]) -> None:
    """Put each option where the dialect wants it, in the author's order; an unknown name was refused before."""
    for name, value in options.items():
        target = body
        for key in places[name]:
            target = target.setdefault(key, {})
        target[name] = value
