"""Inputs of a run: given, from the environment, from a file, or by default; checked before any call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from runner.app.types import RunOptions
from runner.checks.inputs import misfit
from runner.core.canonical import Json, NotJson, ensure_json
from runner.core.errors import RunnerError, UsageError
from runner.core.ports import ReadFile
from runner.core.problem import Problem, listed, nearest
from runner.core.workflow import InputSpec, Workflow
from runner.output.schema import CompiledSchema, SchemaProblems, compile_schema

LoadValues = Callable[[bytes, str], tuple[Json, list[Problem]]]


def resolve_inputs(
    workflow: Workflow, options: RunOptions, environ: Mapping[str, str], read: ReadFile, load_values: LoadValues
) -> dict[str, Json]:
    """The checked values by name. Raises UsageError with everything that is wrong."""
    unknown = [name for name in {**options.inputs, **options.input_texts} if name not in workflow.inputs]
    problems = [_unknown(name, workflow) for name in unknown]
    meant = {nearest(name, workflow.inputs) for name in unknown}
    values: dict[str, Json] = {}
    for name, spec in workflow.inputs.items():
        try:
            schema = compile_schema(spec.schema, read)
            value = _value(name, spec, schema.bundled, options, environ, read, load_values)
            _validate(spec, schema, value)
            values[name] = value
        except SchemaProblems as error:
            problems += error.problems
        except RunnerError as error:
            # An input that lacks a value because its name was misspelt is told by its misspelling.
            problems += [problem for problem in error.problems if problem.code != "missing-input" or name not in meant]
    if problems:
        raise UsageError(problems)
    return values


def _unknown(name: str, workflow: Workflow) -> Problem:
    near = nearest(name, workflow.inputs)
    return Problem(
        "unknown-input",
        f"'{name}' was given, but {workflow.file} declares no input of that name",
        expected=f"an input of this workflow: {listed(workflow.inputs)}" if workflow.inputs else "no inputs",
        nearest=near,
        fix=f"-i {near}=…" if near else "",
    )


def _value(
    name: str,
    spec: InputSpec,
    schema: Json,
    options: RunOptions,
    environ: Mapping[str, str],
    read: ReadFile,
    load_values: LoadValues,
) -> Json:
    if name in options.inputs:
        return options.inputs[name]
    if name in options.input_texts:
        return typed(options.input_texts[name], schema)
    if spec.from_env and spec.from_env in environ:
        return typed(environ[spec.from_env], schema)
    if spec.from_file:
        return _from_file(spec, schema, read, load_values)
    if spec.default is not None:
        return spec.default[0]
    sources = f"-i {name}=VALUE, -i {name}=@FILE" + (f", or set {spec.from_env}" if spec.from_env else "")
    raise UsageError(Problem("missing-input", f"input '{name}' has no value and no default", spec.span, fix=sources))


def _from_file(spec: InputSpec, schema: Json, read: ReadFile, load_values: LoadValues) -> Json:
    data = read(spec.from_file)
    if _wants(schema) & {"object", "array"}:
        value, problems = load_values(data, spec.from_file)
        if problems:
            raise UsageError(problems)
        return value
    try:
        return typed(data.decode("utf-8-sig").replace("\r\n", "\n"), schema)
    except UnicodeDecodeError:
        raise UsageError(Problem("not-text", f"'{spec.from_file}' is not UTF-8 text", spec.at("from_file"))) from None


def _wants(schema: Json) -> set[str]:
    found = schema.get("type") if isinstance(schema, dict) else None
    return set(found) if isinstance(found, list) else {found} if isinstance(found, str) else set()


def typed(text: str, schema: Json) -> Json:
    """Text as the schema wants it: itself where text is allowed, else the JSON value that it spells.

    What spells none stays text, so that it is told like every other value that does not fit.
    """
    wanted = _wants(schema)
    if "string" in wanted or not wanted:
        return text
    try:
        value = orjson.loads(text)
        ensure_json(value)
    except (orjson.JSONDecodeError, NotJson):
        return text
    return value


def _validate(spec: InputSpec, schema: CompiledSchema, value: Json) -> None:
    problem = misfit(f"input '{spec.name}'", value, schema, spec.span)
    if problem is not None:
        raise UsageError(problem)
