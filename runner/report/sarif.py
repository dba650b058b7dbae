"""Findings as SARIF 2.1.0, for services that show them beside the code. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from runner.core.canonical import Json, digest
from runner.core.codes import Code
from runner.core.editing import by_file
from runner.core.problem import Edit, Problem, in_order
from runner.core.span import Span, lines_of

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "runnerFinding/v1"


def sarif_document(
    problems: Iterable[Problem], sources: Mapping[str, str], codes: Mapping[str, Code], version: str
) -> dict[str, Json]:
    """One run with a rule for each code that was found. Columns are told in UTF-16 code units."""
    found = in_order(problems)
    rules = sorted({problem.code for problem in found})
    seen: Counter[str] = Counter()
    results = [_result(problem, rules.index(problem.code), _Lines(sources), seen) for problem in found]
    driver: dict[str, Json] = {"name": "runner", "version": version, "rules": [_rule(codes, code) for code in rules]}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": list(results)}],
    }


def _rule(codes: Mapping[str, Code], name: str) -> dict[str, Json]:
    code = codes.get(name)
    if code is None:
        return {"id": name}
    return {
        "id": name,
        "shortDescription": {"text": code.means},
        "help": {"text": code.paragraph, "markdown": code.markdown},
    }


class _Lines:
    """Columns of characters as columns of UTF-16 code units."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._lines: dict[str, tuple[str, ...]] = {}

    def line(self, file: str, number: int) -> str:
        if file not in self._lines:
            self._lines[file] = lines_of(file, self._sources.get(file, ""))
        lines = self._lines[file]
        return lines[number - 1] if 1 <= number <= len(lines) else ""

    def column(self, file: str, line: int, column: int) -> int:
        before = self.line(file, line)[: column - 1]
        return column + sum(ord(letter) > 0xFFFF for letter in before)


def _result(problem: Problem, rule: int, lines: _Lines, seen: Counter[str]) -> dict[str, Json]:
    rows = (("expected", problem.expected), ("nearest", problem.nearest), *problem.notes, ("fix", problem.fix))
    text = "\n".join([problem.message, *(f"{label}: {value}" for label, value in rows if value)])
    result: dict[str, Json] = {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": text},
        "partialFingerprints": {FINGERPRINT: _fingerprint(problem, lines, seen)},
    }
    if problem.span:
        region = _region(problem.span, lines)
        result["locations"] = [{"physicalLocation": {"artifactLocation": _file(problem.span.file), "region": region}}]
    if problem.edits:
        result["fixes"] = [_fix(problem, lines)]
    return result


def _fingerprint(problem: Problem, lines: _Lines, seen: Counter[str]) -> str:
    """The same wherever the line moves to: the code, the file, the text of the line, and how often it came before."""
    span = problem.span
    text = lines.line(span.file, span.line).strip() if span else problem.message
    identity = "\n".join((problem.code, span.file if span else "", text))
    seen[identity] += 1
    return digest(f"{identity}\n{seen[identity]}".encode())[:32]


def _file(name: str) -> dict[str, Json]:
    if name.startswith("/"):
        return {"uri": f"file://{quote(name)}"}
    return {"uri": quote(name), "uriBaseId": ROOT}


def _region(span: Span, lines: _Lines) -> dict[str, Json]:
    end = lines.column(span.file, span.line, span.column + span.length)
    return {
        "startLine": span.line,
        "startColumn": lines.column(span.file, span.line, span.column),
        "endColumn": end,
    }


def _fix(problem: Problem, lines: _Lines) -> dict[str, Json]:
    changes = [
        {"artifactLocation": _file(name), "replacements": [_replacement(edit, lines) for edit in edits]}
        for name, edits in by_file(problem.edits).items()
    ]
    return {"description": {"text": problem.fix or f"mend {problem.code}"}, "artifactChanges": list(changes)}


def _replacement(edit: Edit, lines: _Lines) -> dict[str, Json]:
    region: dict[str, Json] = {
        "startLine": edit.line,
        "startColumn": lines.column(edit.file, edit.line, edit.column),
        "endColumn": lines.column(edit.file, edit.line, edit.column + len(edit.old)),
    }
    return {"deletedRegion": region, "insertedContent": {"text": edit.new}}
