"""What is wrong with a schema."""

from __future__ import annotations

from runner.core.errors import FileError


class SchemaProblems(FileError):
    """A schema that cannot be used; `problems` holds every finding, `sources` the texts of files read on the way."""
