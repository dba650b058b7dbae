"""Short ways to compile and to see what went wrong, shared by the tests of templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runner.core.errors import FileError, RunnerError
from runner.core.problem import Problem, render
from runner.core.span import Origin
from runner.core.workflow import Expression, Template
from runner.templates.environment import Environment, make_environment
from runner.templates.expression import CompiledExpression, compile_expression
from runner.templates.references import references_of
from runner.templates.text import CompiledTemplate, compile_template
from runner.templates.trail import Reference

Files = dict[str, str]


class Bench:
    """An environment over files in memory; templates stand in `p.md`, expressions in `w.yaml`, line 3, column 5."""

    def __init__(self, files: Files | None = None, **options: Any) -> None:
        self.files = files

        def read(name: str) -> bytes:
            if name not in (files or {}):
                raise FileError(Problem("missing-file", f"there is no file '{name}'"))
            return (files or {})[name].encode("utf-8", "surrogateescape")

        self.env: Environment = make_environment(None if files is None else read, **options)

    def compiled(self, text: str, /, file: str = "p.md") -> CompiledTemplate:
        return compile_template(self.env, Template(text, Origin(file), file))

    def rendered(self, text: str, /, **values: Any) -> str:
        return self.compiled(text).render(values)

    def expression(self, text: str, /) -> CompiledExpression:
        return compile_expression(self.env, Expression(text, Origin("w.yaml", 3, 5, 4)))

    def value(self, text: str, /, **values: Any) -> Any:
        return self.expression(text).evaluate(values)

    def references(self, text: str, /) -> tuple[Reference, ...]:
        return references_of(self.env, Template(text, Origin("p.md"), "p.md"))

    def paths(self, text: str, /) -> list[str]:
        """Every reading, a guarded one with a question mark."""
        return [".".join(found.path) + ("?" if found.is_guarded else "") for found in self.references(text)]

    def problems(self, text: str, /) -> str:
        """What compiling says, as a person reads it."""
        return shown(lambda: self.compiled(text))

    def failure(self, text: str, /, **values: Any) -> str:
        """What rendering says."""
        return shown(lambda: self.rendered(text, **values))

    def expression_failure(self, text: str, /, **values: Any) -> str:
        return shown(lambda: self.value(text, **values))


def shown(act: Callable[[], object]) -> str:
    with pytest.raises(RunnerError) as caught:
        act()
    return "\n".join(render(problem, caught.value.sources) for problem in caught.value.problems)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def bench_with() -> Callable[..., Bench]:
    """An environment with files and options of its own."""
    return Bench
