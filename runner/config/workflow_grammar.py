"""What a workflow file may say: the keys, their kinds, and their words for editors."""

from __future__ import annotations

from runner.config.common_grammar import BUDGET, FILLED, FORMAT_NUMBER, MODELS, SCHEMA, TEXT
from runner.config.fields import (
    PATH,
    VARIABLE,
    AnyValue,
    Expr,
    Key,
    ListOf,
    Names,
    Number,
    Record,
    Shapes,
    Text,
)
from runner.config.step_grammar import DEFAULTS, STEP, STEP_KEYS

# --- inputs: a JSON Schema and where the value comes from

_SCHEMA_WORDS = (
    *("$schema", "$id", "$ref", "$defs", "$anchor", "$dynamicRef", "$dynamicAnchor", "$comment", "title", "deprecated"),
    *("readOnly", "writeOnly", "type", "format", "contentEncoding", "contentMediaType", "contentSchema", "multipleOf"),
    *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "maxItems", "minItems"),
    *("uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties", "required", "dependentRequired"),
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "prefixItems", "items", "contains"),
    *("properties", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties"),
)
_SCHEMA_DATA_WORDS = ("enum", "const", "pattern", "patternProperties", "examples")
INPUT = Record(
    "an input",
    (
        Key("description", TEXT, "What the input is, shown where it is asked for."),
        Key("default", AnyValue(), "The value when none is given."),
        Key(
            "from_env",
            Text(pattern=VARIABLE, says="the name of an environment variable"),
            "The environment variable that holds the value; what it holds enters the cache key.",
        ),
        Key("from_file", PATH, "The file that holds the value: text, or JSON or YAML where the type asks for it."),
        *(Key(word, AnyValue(), f"JSON Schema: {word}.") for word in _SCHEMA_WORDS),
        *(Key(word, AnyValue(may_hold_braces=True), f"JSON Schema: {word}.") for word in _SCHEMA_DATA_WORDS),
    ),
    has_free_keys=True,
    main="type",
    says="description, default, from_env, from_file, or a keyword of JSON Schema such as type",
)

# --- data and outputs

_COLUMNS = Names("column", Expr(), pattern=r"\S", says="a name that is not empty", minimum=1)


def _fields_or_one(name: Text) -> Shapes:
    return Shapes(text=name, sequence=ListOf(name, minimum=1))


_FIELD = Text(pattern=r"\S", says="the name of a field")
_SORTED = Text(pattern=r"^-?[^-\s]", says="the name of a field, with - before it for the largest first")
_JOIN = Record(
    "a join",
    (
        Key("with", Expr(), "The other source: data.NAME.", is_required=True),
        Key("on", _FIELD, "The field whose value a row has in common with its partners.", is_required=True),
    ),
)
_DATA = Record(
    "a data source",
    (
        Key(
            "file",
            Text(
                pattern=r"^-$|\.(jsonl|ndjson|csv|parquet|json|yaml|yml)$",
                says="a file that ends in .jsonl, .ndjson, .csv, .parquet, .json, .yaml or .yml, or - for standard input",
            ),
            "The rows: .jsonl, .ndjson, .csv, .parquet, .json or .yaml, or - for JSON lines on standard input.",
        ),
        Key(
            "glob",
            Text(pattern=r"\S", says="a pattern of paths, such as media/*.png"),
            "Files as rows of path, name, stem and suffix: a pattern in which * stands for part of a name.",
        ),
        Key("rows", Expr(), "Another source that the rows are made from: data.NAME."),
        Key("join", _JOIN, "Put beside each row its partners of another source, as item.NAME: one row for each."),
        Key("each", Expr(), "A list: one row for each of its elements, which is called `each`."),
        Key("where", Expr(), "Only the rows for which this holds."),
        Key("group", _fields_or_one(_FIELD), "One row for each value of these fields; `group` has the rows of it."),
        Key(
            "columns", _COLUMNS, "The fields of a row: an expression over `item`, `each`, `group` and `steps` for each."
        ),
        Key(
            "sort", _fields_or_one(_SORTED), "The fields to sort by, the first one first; -NAME for the largest first."
        ),
        Key("limit", Number(is_whole=True, minimum=1), "The most rows."),
        Key("key", FILLED, "The field that names each row in plans, reports and the cache."),
        Key("schema", SCHEMA, "A JSON Schema that each row must fit."),
    ),
    exactly_one=("file", "glob", "rows"),
    either=(("schema", "rows"),),
    needs=dict.fromkeys(("join", "each", "where", "group", "columns", "sort", "limit"), ("rows",)),
    main="file",
    says="file, glob, key and schema, or rows with join, each, where, group, columns, sort, limit and key",
)
_TABLE = Record(
    "a table",
    (
        Key("rows", Expr(), "The rows: data.NAME, or a list.", is_required=True),
        Key(
            "file",
            Text(
                pattern=r"\.(jsonl|csv|parquet)$",
                says="a file that ends in .jsonl, .csv or .parquet",
            ),
            "Where the table is written, relative to the project root: .jsonl, .csv or .parquet.",
            is_required=True,
        ),
        Key(
            "columns",
            _COLUMNS,
            "The columns: a name and an expression over `item` and `steps` for each.",
            is_required=True,
        ),
    ),
)

# --- the file

_SHARED_KEYS = (
    Key("format", FORMAT_NUMBER, "The version of the format: 1."),
    Key("description", TEXT, "What the workflow does."),
    Key("models", MODELS, "Names for models."),
    Key("inputs", Names("input", INPUT), "What the workflow is given: a JSON Schema for each name."),
    Key("data", Names("data source", _DATA), "Sources of rows."),
)
_STEPS = Names("step", STEP, minimum=1)

WORKFLOW = Record(
    "a workflow",
    (
        *_SHARED_KEYS,
        Key("name", FILLED, "The name of the workflow; the file's name when left out."),
        Key("include", ListOf(PATH), "Files whose models, inputs, data and steps are added."),
        Key("defaults", DEFAULTS, "Step keys for every step that does not set them."),
        Key("budget", BUDGET, "What one run may spend: a run that must cost more does not start, others stop there."),
        Key("steps", _STEPS, "The steps, by name.", is_required=True),
        Key(
            "outputs",
            Names("output", Shapes(text=Expr(), mapping=_TABLE)),
            "What the run gives: an expression, or a table {rows, file, columns}, for each name.",
        ),
    ),
    has_free_keys=True,
    hints={
        key.name: f"put it into a step, or for all steps under 'defaults': {{{key.name}: …}}"
        for key in STEP_KEYS
        if key.name != "description"
    },
)
INCLUDED = Record(
    "an included file",
    (*_SHARED_KEYS, Key("steps", _STEPS, "The steps, by name.")),
    has_free_keys=True,
    hints={"budget": "put it into the workflow itself, or into runner.yaml"},
)
