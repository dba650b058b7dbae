"""Data sources whose files say themselves what their rows are: these types are known without reading a row."""

from __future__ import annotations

from collections.abc import Collection

from runner.config.load import ProjectFiles
from runner.core.errors import FileError
from runner.core.frozen import replace
from runner.core.workflow import DataSource, SchemaSource, Workflow
from runner.rows.parquet import missing_library, schema_of
from runner.rows.read import BadSource


def with_shapes(workflow: Workflow, files: ProjectFiles, given: Collection[str]) -> Workflow:
    """The workflow with what its Parquet files say of their rows, but for those that the command line replaces.

    A file that cannot be read is told where its rows are read.
    """
    shapes = {
        name: shape
        for name, source in workflow.data.items()
        if source.format == "parquet" and source.schema is None and name not in given
        if (shape := _shape(source, files)) is not None
    }
    if not shapes:
        return workflow
    return replace(
        workflow,
        data={name: replace(one, shape=shapes[name]) if name in shapes else one for name, one in workflow.data.items()},
    )


def _shape(source: DataSource, files: ProjectFiles) -> SchemaSource | None:
    if missing_library(source.file):
        return None
    try:
        with files.locate(source.file).open("rb") as stream:
            schema = schema_of(stream)
    except (FileError, BadSource, OSError):
        return None
    return SchemaSource(schema, source.at("file"), file=source.file)
