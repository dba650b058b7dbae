"""Outputs of a workflow: values, and tables over the items of a lane."""

from __future__ import annotations

from runner.core.workflow import OutputTable, OutputValue
from runner.link.derived import Linking
from runner.link.parts import LinkedOutput
from runner.link.scope import Place
from runner.templates.expression import compile_expression


def link_output(linking: Linking, output: OutputValue | OutputTable) -> LinkedOutput:
    """An output with what it reads."""
    title = f"output '{output.name}'"
    if isinstance(output, OutputValue):
        uses = linking.uses(output.expression, Place(title), "outputs")
        return LinkedOutput(output, value=linking.compile(compile_expression, output.expression), value_uses=uses)
    lane = linking.open_lane(output.rows, f"rows of {title}")
    place = Place(title, lane=lane, item_names=linking.names_of(lane))
    columns = {name: linking.compile(compile_expression, text) for name, text in output.columns.items()}
    column_uses = {name: linking.uses(text, place, "columns") for name, text in output.columns.items()}
    kept = {name: column for name, column in columns.items() if column is not None}
    crossing = {use.step for uses in column_uses.values() for use in uses if use.is_barrier}
    below = frozenset(name for name in crossing if linking.is_below(name, lane))
    return LinkedOutput(output, lane=lane, columns=kept, column_uses=column_uses, below=below)
