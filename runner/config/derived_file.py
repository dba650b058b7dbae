"""The keys of a data source that is made from another → `Derivation`."""

from __future__ import annotations

from runner.config.keys import Keys, as_expression
from runner.config.nodes import dotted_spans
from runner.core.derivation import Derivation, Join


def read_derivation(keys: Keys) -> Derivation | None:
    """How the rows are made; None where they are not, or from what was found wrong."""
    rows = keys.expression("rows")
    if rows is None:
        return None
    columns = {entry.key: as_expression(entry.value) for entry in keys.entries("columns")}
    return Derivation(
        span=keys.place("rows"),
        spans=dotted_spans(keys.node),
        rows=rows,
        join=_join(keys),
        each=keys.expression("each"),
        where=keys.expression("where"),
        group=_names(keys, "group"),
        columns={name: column for name, column in columns.items() if column is not None},
        sort=_names(keys, "sort"),
        limit=keys.whole("limit"),
    )


def _join(keys: Keys) -> Join | None:
    below = keys.below("join")
    other = below.expression("with") if below else None
    on = below.text("on") if below else None
    if below is None or other is None or on is None:
        return None
    return Join(span=keys.place("join"), spans=dotted_spans(below.node), other=other, on=on)


def _names(keys: Keys, key: str) -> tuple[str, ...]:
    """One name, or a list of them."""
    one = keys.text(key)
    return keys.texts(key) if one is None else (one,)
