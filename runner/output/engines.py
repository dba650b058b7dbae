"""Which library validates: jsonschema-rs where it can be imported, else jsonschema. Both are imported late."""

from __future__ import annotations

from collections.abc import Iterable

from runner.core.canonical import Json
from runner.output.misfit import Engine


def build_engine(schema: Json) -> Engine:
    """A compiled schema whose references are all local. Raises Unusable."""
    try:
        from runner.output.engine_fast import FastEngine
    except ImportError:
        from runner.output.engine_plain import PlainEngine

        return PlainEngine(schema)
    return FastEngine(schema)


def meta_errors(schema: Json) -> Iterable[str]:
    """JSON pointers of everything in a schema that the standard does not allow."""
    try:
        from runner.output import engine_fast
    except ImportError:
        from runner.output import engine_plain

        return engine_plain.meta_errors(schema)
    return engine_fast.meta_errors(schema)
