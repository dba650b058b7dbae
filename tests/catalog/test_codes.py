"""The catalogue of codes is exactly what the source can say, and each of its examples gives its code."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import runner
from runner.app import api
from runner.app.codes import codes
from runner.core.codes import Code
from runner.core.outcome import FailureKind
from runner.plan.failures import reason
from runner.report.codes_text import code_sections

ROOT = Path(runner.__file__).parent
DOCUMENT = ROOT.parent / "docs" / "checks.md"
HOW = """
Add an entry to runner/catalog/codes.yaml, in the order of the alphabet:

  the-code:
    means: One sentence that says what is wrong.
    way_out: One sentence that says what to do.
    example: |            # whole files whose `runner check` gives the code; several as {name: text}
      steps: …
    seen: run             # only where `runner check` never says it; then the example may be left out
    ignorable: true       # only for an error that a comment may silence, since a call may still go well
then write docs/checks.md anew: RUNNER_UPDATE_MESSAGES=1 pytest tests/catalog/test_codes.py
"""


class _Source:
    """The codes that one module hands to Problem, by its own calls and by those of its functions."""

    def __init__(self, path: Path, takers: dict[str, int]) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.takers = takers
        # What is found in a schema becomes a Problem where the schema is named.
        self.makers = ("Problem", "Finding") if path.parent.name == "checks" else ("Problem",)

    def takes_code(self) -> Iterator[tuple[str, int]]:
        """Functions with a parameter `code`, and its position without `self`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                names = [one.arg for one in node.args.args if one.arg != "self"]
                if "code" in names:
                    yield node.name, names.index("code")

    def codes(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                yield from self._defaults(node)
            if isinstance(node, ast.Call):
                yield from self._of_call(node)

    def _defaults(self, node: ast.FunctionDef) -> Iterator[str]:
        named = dict(zip((one.arg for one in node.args.kwonlyargs), node.args.kw_defaults, strict=True))
        default = named.get("code")
        if isinstance(default, ast.Constant):
            yield str(default.value)

    def _of_call(self, node: ast.Call) -> Iterator[str]:
        name = _name(node.func)
        position = 0 if name in self.makers else self.takers.get(name)
        given = [word.value for word in node.keywords if word.arg == "code" and (position is not None)]
        if position is not None and len(node.args) > position:
            given.append(node.args[position])
        for value in given:
            yield from self._texts(value)

    def _texts(self, value: ast.expr) -> Iterator[str]:
        """What an expression can be: a word, or a word made of a parameter that the module's own calls fill."""
        match value:
            case ast.Constant(value=str() as text):
                yield text
            case ast.JoinedStr(values=[ast.Constant(value=str() as lead), ast.FormattedValue(value=ast.Name(id=name))]):
                yield from (f"{lead}{word}" for word in self._words(name))
            case ast.IfExp():
                yield from self._texts(value.body)
                yield from self._texts(value.orelse)

    def _words(self, parameter: str) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef) and parameter in (names := [one.arg for one in node.args.args]):
                calls = [
                    one for one in ast.walk(self.tree) if isinstance(one, ast.Call) and _name(one.func) == node.name
                ]
                for call in calls:
                    given = call.args[names.index(parameter)] if len(call.args) > names.index(parameter) else None
                    if isinstance(given, ast.Constant):
                        yield str(given.value)


def _name(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def codes_of_source() -> set[str]:
    sources = [_Source(path, {}) for path in sorted(ROOT.rglob("*.py"))]
    takers = {name: position for source in sources for name, position in source.takes_code()}
    found = {reason(kind, "").partition(":")[0] for kind in FailureKind}
    for source in sources:
        source.takers = takers
        found |= {code for code in source.codes() if code}
    return found


def test_the_catalogue_has_exactly_the_codes_of_the_source() -> None:
    found, known = codes_of_source(), set(codes())
    assert found - known == set(), f"{sorted(found - known)} are not explained.{HOW}"
    assert known - found == set(), "no source gives these codes: take their entries out of runner/catalog/codes.yaml"


def test_every_code_that_check_gives_has_an_example() -> None:
    assert [code.name for code in codes().values() if code.seen == "check" and not code.example] == []


@pytest.mark.parametrize("code", [pytest.param(one, id=one.name) for one in codes().values() if one.example])
def test_an_example_gives_its_code(code: Code, tmp_path: Path) -> None:
    for name, text in code.example.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    name = next((name for name in code.example if name.endswith(".suite.yaml")), "flow.yaml")
    report = api.check([tmp_path / name], folders=[tmp_path])
    found = {problem.code for problem in (*report.problems, *report.notes)}
    assert code.name in found, f"{code.name} is not among {sorted(found)}"


def test_the_document_lists_the_codes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    lead = text.partition("## Codes of `check`")[0]
    wanted = lead + code_sections(codes().values())
    if os.environ.get("RUNNER_UPDATE_MESSAGES"):
        DOCUMENT.write_text(wanted, encoding="utf-8")
        text = wanted
    assert text == wanted, HOW
