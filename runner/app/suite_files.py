"""Files that the values of a suite name."""

from __future__ import annotations

from runner.config.load import ProjectFiles, load_values
from runner.core.canonical import Json
from runner.core.errors import FileError, UsageError
from runner.core.problem import Problem

DOCUMENTS = (".json", ".yaml", ".yml")


def text_of(files: ProjectFiles, path: str) -> str:
    try:
        return files.read(path).decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError:
        raise UsageError(Problem("not-text", f"'{path}' is not UTF-8 text")) from None


def document(files: ProjectFiles, path: str) -> Json:
    """A file as a value: JSON and YAML as what they spell, others as text."""
    if not path.endswith(DOCUMENTS):
        return text_of(files, path)
    value, problems = load_values(files.read(path), path)
    if problems:
        raise FileError(problems)
    return value
