"""What the values that templates and expressions read can hold, as far as schemas say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runner.core.ports import ReadFile
from runner.core.problem import Problem
from runner.core.workflow import SchemaSource, Workflow
from runner.link.paths import Typed, follow, path_problem, typed
from runner.link.scope import Place
from runner.output.schema import CompiledSchema, SchemaProblems, compile_schema
from runner.templates.references import ELEMENT, Reference


class Types:
    """What is known of the values that texts read: answers, inputs and rows by their schemas.

    `lists` has the data source of each lane, or "", and the path that its list is read from.
    """

    def __init__(
        self,
        workflow: Workflow,
        lists: Mapping[str, tuple[str, tuple[str, ...]]],
        answers: Mapping[str, CompiledSchema | None],
        read: ReadFile,
    ) -> None:
        self.workflow = workflow
        self.lists = lists
        self.answers = answers
        self.read = read
        self._compiled: dict[int, CompiledSchema | None] = {}

    def problem(self, reference: Reference, place: Place) -> Problem | None:
        found = self._root(reference.path, place)
        if found is None:
            return None
        value, start = found
        step = self.workflow.steps.get(place.owner)
        return path_problem(value, reference, start, place, step.at("prompt") if step else None)

    def _root(self, path: tuple[str, ...], place: Place) -> tuple[Typed, int] | None:
        """The value that a path starts from, and where in the path it begins to be looked into."""
        match path:
            case ("steps", name, "output", *_):
                return self._answer(name, 3)
            case ("steps", name, "outputs" | "samples", _, *_):
                return self._answer(name, 4)
            case ("output", *_) if place.answer == "output":
                return self._answer(place.owner, 1)
            case ("inputs", name, *_) if name in self.workflow.inputs:
                schema = self._schema(self.workflow.inputs[name].schema)
                return (typed(f"input '{name}'", schema), 2) if schema else None
            case (name, *_) if name in self._names_of_element(place):
                value = self._item(place.lane)
                return (value, 1) if value else None
        return None

    def _answer(self, name: str, start: int) -> tuple[Typed, int] | None:
        schema = self.answers.get(name)
        return (typed(f"the output of '{name}'", schema), start) if schema else None

    def _names_of_element(self, place: Place) -> frozenset[str]:
        """The names of the fan-out's element, without those that repeated messages have for theirs."""
        step = self.workflow.steps.get(place.owner)
        return frozenset({"item", step.for_each.name}) if step and step.for_each else place.item_names

    def _item(self, name: str) -> Typed | None:
        source_name, path = self.lists.get(name, ("", ()))
        if source_name:
            source = self.workflow.data.get(source_name)
            schema = self._schema(source.schema) if source and source.schema else None
            return typed(f"a row of data.{source_name}", schema) if schema else None
        root = self._root(path, Place(""))
        if root is None:
            return None
        value, start = root
        inner = follow(value, (*path[start:], ELEMENT))
        return replace(inner, title=f"an element of {name}") if inner else None

    def _schema(self, source: SchemaSource) -> CompiledSchema | None:
        """A schema that cannot be used is told by the checks."""
        if id(source) not in self._compiled:
            try:
                self._compiled[id(source)] = compile_schema(source, self.read)
            except SchemaProblems:
                self._compiled[id(source)] = None
        return self._compiled[id(source)]
