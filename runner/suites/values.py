"""Values of a suite (`with`, `expect`, `is`) as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.values import Computed, Fields, FromFile, ListOfValues, Plain, Value
from runner.core.workflow import Expression
from runner.templates.environment import Environment
from runner.templates.expression import CompiledExpression, compile_expression


class Texts:
    """The expressions of a suite, each compiled once, and the files that it names."""

    def __init__(self, environment: Environment, load: Callable[[str], Json]) -> None:
        self.environment = environment
        self.load = load
        self._compiled: dict[Expression, CompiledExpression] = {}

    def compiled(self, expression: Expression) -> CompiledExpression:
        found = self._compiled.get(expression)
        if found is None:
            found = self._compiled[expression] = compile_expression(self.environment, expression)
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What the texts of one case see: `inputs`, `steps`, `outputs`, `case`."""

    texts: Texts
    names: Mapping[str, Json]

    def evaluate(self, expression: Expression) -> Json:
        """Raises RenderFailed."""
        return self.texts.compiled(expression).evaluate(self.names)

    def holds(self, expression: Expression) -> bool:
        """Raises RenderFailed."""
        return self.texts.compiled(expression).holds(self.names)

    def value(self, value: Value) -> Json:
        """Raises RenderFailed and, for a file that is gone, FileError."""
        match value:
            case Plain():
                return value.json
            case Computed():
                return self.evaluate(value.expression)
            case FromFile():
                return self.texts.load(value.file)
            case ListOfValues():
                return [self.value(item) for item in value.items]
            case Fields():
                return {name: self.value(inner) for name, inner in value.entries.items()}
