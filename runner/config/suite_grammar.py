"""What a suite file may say: the keys, their kinds, and their words for editors.

A suite is a workflow's cases and what must hold for each:

    format: 1
    workflow: triage.yaml
    assert:
      - that: steps.classify.output.confidence >= 0.6
        label: the classifier is reasonably sure
    cases:
      double-charge:
        with: {ticket: {file: cases/double-charge.txt}}
        expect: {steps.classify: {queue: billing}}
      spam:
        with: {ticket: Win a free phone}
        expect: {status: {steps.reply: skipped}}

**Values** (`with`, `expect`, `is`, `similar.to`) are literal YAML; at any depth `{from: expression}`, `{file: path}` and
`{literal: …}` stand for a value. **Expressions** (`that`, `of`, `against`, `snapshot`, `fail_if`, `from`) may read
`inputs`, `steps`, `outputs` and, in cases made from rows, `case` (the row); `fail_if` reads the metrics by their names
and those of the baseline as `baseline.NAME`.

**An assertion** has exactly one of these keys, and a `label` if it likes:

| key | holds when |
| --- | --- |
| `that: expression` | the expression is true |
| `contains: text` or a list, with `of` | all of the texts occur in what `of` gives |
| `lacks: text` or a list, with `of` | none of the texts occurs in it |
| `starts_with: text`, with `of` | it begins so |
| `regex: pattern`, with `of` | the pattern is found in it (in linear time, so without look-around) |
| `json_path: $.a[0].b`, with `of` | the path leads to a value, and to this one where `is` names it |
| `length: 5` or `{min, max}`, with `of` | it has so many characters, elements or keys |
| `similar: {to, at_least, by}`, with `of` | it is as near to another text: by its letters, or by the vectors of the model `by` |
| `judge: name` | the output of that step of `judges` has `verdict: true`; its `reason` is shown |
| `usd: 0.01`, `tokens: 2000`, `latency: 3s` | all answers of the case together (or those of one `step`) took at most this |
| `snapshot: expression` | it gives what it gave when the recordings were made |

`expect: recorded` is the snapshot of all answers of the case.
"""

from __future__ import annotations

from runner.config.common_grammar import DURATION, FORMAT_NUMBER, SCHEMA
from runner.config.fields import (
    FILE,
    NAME,
    PATH,
    VARIABLE,
    VARIABLE_IN_WORDS,
    AnyValue,
    Expr,
    Key,
    ListOf,
    Names,
    Number,
    Record,
    Shapes,
    Text,
    Value,
    Variants,
)
from runner.config.step_grammar import STEP

_STEM = NAME[1:-1]
_FILLED = Text(pattern=r"\S", says="text")
_TAGS = ListOf(_FILLED)
_SHARE = Number(minimum=0, maximum=1)
_AMOUNT = Number(minimum=0)
_WHOLE = Number(is_whole=True, minimum=0)
_NAMED_STEP = Text(pattern=NAME, says="the name of a step")

# --- what must hold

_BOUNDS = (
    Key("min", _AMOUNT, "The least that is good."),
    Key("max", _AMOUNT, "The most that is good."),
)
_LENGTH = Shapes(number=_WHOLE, mapping=Record("a length", _BOUNDS, at_least_one=("min", "max")))
_SIMILAR = Record(
    "a similarity",
    (
        Key("to", Value(), "The text to compare with.", is_required=True),
        Key("at_least", _SHARE, "How near it must be, from 0 to 1.", is_required=True),
        Key("by", _FILLED, "The embedding model whose vectors are compared; the letters are, when left out."),
    ),
)
_TEXTS = Shapes(text=_FILLED, sequence=ListOf(_FILLED, minimum=1))
_JSON_PATH = Text(
    pattern=r"^\$(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]+\]|\['[^']*'\])*$", says="a path such as $.lines[0]['unit price']"
)
_OF_CHECKS = ("contains", "lacks", "starts_with", "regex", "json_path", "length", "similar")
_LIMITS = ("usd", "tokens", "latency")
ASSERTION = Record(
    "an assertion",
    (
        Key("that", Expr(), "An expression that must be true."),
        Key("of", Expr(), "What is looked at: an expression such as steps.reply.text."),
        Key("contains", _TEXTS, "Text, or a list of texts, that must all occur in it."),
        Key("lacks", _TEXTS, "Text, or a list of texts, none of which may occur in it."),
        Key("starts_with", _FILLED, "How it must begin."),
        Key("regex", Text(), "A pattern that must be found in it; matched in linear time."),
        Key("json_path", _JSON_PATH, "A path that must lead to a value in it: $.lines[0].quantity."),
        Key("is", Value(), "The value that json_path must lead to; mappings match partly."),
        Key("length", _LENGTH, "How many characters, elements or keys it has: a number, or {min, max}."),
        Key("similar", _SIMILAR, "How near it must be to another text."),
        Key("judge", _NAMED_STEP, "The step of `judges` whose output must have verdict: true."),
        Key("usd", _AMOUNT, "The most that the answers of the case may have cost, in US dollars."),
        Key("tokens", _WHOLE, "The most tokens that the answers of the case may have taken."),
        Key("latency", DURATION, "The longest that the answers of the case may have taken, as recorded."),
        Key("step", _NAMED_STEP, "The one step that usd, tokens or latency is about."),
        Key("snapshot", Expr(), "What must give the same as when the recordings were made."),
        Key("label", _FILLED, "What is shown where the assertion does not hold."),
    ),
    exactly_one=("that", *_OF_CHECKS, "judge", *_LIMITS, "snapshot"),
    needs={**dict.fromkeys(_OF_CHECKS, ("of",)), "of": _OF_CHECKS, "is": ("json_path",), "step": _LIMITS},
    main="that",
)
_ASSERTIONS = ListOf(ASSERTION)
_EXPECTATIONS = Names(
    "expectation",
    Value(),
    pattern=rf"^(steps\.{_STEM}(\[[^\[\]]+\])?|outputs\.{_STEM})$",
    description="The value that must come out: mappings match partly, lists exactly.",
)
_EXPECT = Shapes(
    text=Text(choices=("recorded",)),
    mapping=Record(
        "an expectation",
        (
            Key(
                "status",
                Names(
                    "status",
                    Text(choices=("skipped", "failed")),
                    pattern=rf"^steps\.{_STEM}(\[[^\[\]]+\])?$",
                    says="steps.NAME, or steps.NAME[item]",
                ),
                "Steps that must be skipped or fail.",
            ),
        ),
        others=(_EXPECTATIONS,),
        says="steps.NAME, steps.NAME[item], outputs.NAME or status",
    ),
)

# --- cases

WITH = Names("input", Value())
_WITH_KEY = Key("with", WITH, "The inputs: a value for each name.")
_EXPECT_KEY = Key("expect", _EXPECT, "What must come out: values by steps.NAME or outputs.NAME, status, or `recorded`.")
_ASSERT_KEY = Key("assert", _ASSERTIONS, "What else must hold.")
_TAGS_KEY = Key("tags", _TAGS, "Words to select cases by.")
CASE = Record(
    "a case",
    (
        _WITH_KEY,
        _EXPECT_KEY,
        _ASSERT_KEY,
        _TAGS_KEY,
        Key("xfail", Text(pattern=r"\S", says="the reason, as text"), "Why the case is expected to fail."),
    ),
)
_CASES = Names(
    "case",
    CASE,
    pattern=r"^[^\s\[\]:][^\[\]:]*$",
    says="text without brackets and colons",
    minimum=1,
    taken=("thresholds",),  # what all cases together are called among the tests
)
CASE_SOURCE = Record(
    "a source of cases",
    (
        Key(
            "file",
            Text(
                pattern=r"\.(jsonl|ndjson|csv|parquet|json|yaml|yml)$",
                says="a file that ends in .jsonl, .ndjson, .csv, .parquet, .json, .yaml or .yml",
                later=((r"[*?]", "several files"),),
            ),
            "The rows, one case for each: .jsonl, .ndjson, .csv, .parquet, .json or .yaml.",
        ),
        Key("glob", PATH, "Files, one case for each: a pattern such as media/*.png; rows of path, name, stem, suffix."),
        Key("key", _FILLED, "The field that names each case."),
        Key("schema", SCHEMA, "A JSON Schema that each row must fit."),
        _WITH_KEY,
        _EXPECT_KEY,
        _ASSERT_KEY,
        _TAGS_KEY,
    ),
    exactly_one=("file", "glob"),
    main="file",
)

# --- variants

_INPUT_AXIS = rf"^inputs\.{_STEM}$"
AXIS_WORDS = ("exclude", "include", "file")
_REPLACED = tuple(key for key in STEP.keys if key.name not in ("description", "tags", "as"))


def _step_axis(field: str) -> str:
    return rf"^(?!inputs\.){_STEM}\.{field}$"


_CHANGES = Record(
    "a variant",
    (),
    others=(
        *(
            Names("step field", key.kind, _step_axis(key.name), description=key.description, ending=f".{key.name}")
            for key in _REPLACED
        ),
        Names("input", Value(), _INPUT_AXIS, description="The value of an input."),
    ),
    says="STEP.FIELD or inputs.NAME",
)
_ANYTHING = AnyValue(may_hold_braces=True)
_CELL = Names("axis", _ANYTHING, pattern=rf"^{_STEM}(\.{_STEM})?$", says="the name of an axis", minimum=1)
_ADDED = Record(
    "an added cell",
    (),
    others=(
        *(Names("axis", key.kind, _step_axis(key.name), description=key.description, ending=f".{key.name}")
          for key in _REPLACED),
        Names("axis", Value(), _INPUT_AXIS, description="The value of an input."),
        Names("axis", _ANYTHING, NAME, description="The name of a variant."),
    ),
    says="STEP.FIELD, inputs.NAME or the name of an axis",
)  # fmt: skip
_MATRIX = Record(
    "a matrix",
    (
        Key("exclude", ListOf(_CELL), "Cells that are left out: a value, or a list of values, for some of the axes."),
        Key(
            "include",
            ListOf(_ADDED),
            "Cells that are added: a value for each axis, also one that the axis does not list; an axis that is left out stays as the workflow has it.",
        ),
    ),
    others=(
        *(
            Names(
                "axis",
                ListOf(key.kind, minimum=1),
                _step_axis(key.name),
                description=f"The values of one step's {key.name}, each in turn. {key.description}",
                ending=f".{key.name}",
            )
            for key in _REPLACED
        ),
        Names("axis", ListOf(Value(), minimum=1), _INPUT_AXIS, description="The values of an input, each in turn."),
        Names(
            "axis",
            Names("variant", _CHANGES, minimum=1),
            NAME,
            taken=AXIS_WORDS,
            description="Variants by name, each with the step fields and inputs that it replaces.",
        ),
    ),
    says="STEP.FIELD, inputs.NAME, a name for variants, exclude or include",
)

# --- numbers over all cases

_OF_KEY = Key("of", Expr(), "What is looked at in each case.", is_required=True)
_COMPARED = Record(
    "a metric",
    (_OF_KEY, Key("against", Expr(), "What it should be, such as case.label.", is_required=True)),
)
_MEASURED = Record("a metric", (_OF_KEY,), main="of")
_LABELLED = Record(
    "a metric",
    (*_COMPARED.keys, Key("label", AnyValue(), "The one label that is measured; the mean of all, when left out.")),
)
PERCENTILE = r"^p[1-9][0-9]?(\.[0-9]+)?$"
METRIC = Record(
    "a metric",
    (
        Key("accuracy", _COMPARED, "The share of cases in which both are equal."),
        Key("precision", _LABELLED, "The share of the cases given a label that should have it."),
        Key("recall", _LABELLED, "The share of the cases that should have a label that are given it."),
        Key("f1", _LABELLED, "The mean of precision and recall, for each label and together."),
        Key("confusion", _COMPARED, "How often which label was given for which."),
        Key("mean", _MEASURED, "The mean of a number."),
        Key("median", _MEASURED, "The median of a number."),
        Key("min", _MEASURED, "The least."),
        Key("max", _MEASURED, "The greatest."),
        Key("sum", _MEASURED, "The sum."),
        Key("share", _MEASURED, "The share of cases in which it is true."),
        Key("agreement", _MEASURED, "The share of samples that agree with the most frequent answer of their case."),
        Key("from", Expr(), "A number computed from the metrics above it, pass_rate, usd and pass_at_K."),
    ),
    others=(
        Names("percentile", _MEASURED, PERCENTILE, description="The number that so many of 100 cases do not exceed."),
    ),
    is_single=True,
    says="accuracy, precision, recall, f1, confusion, mean, median, pN (such as p95), min, max, sum, share, agreement or from",
)
MEASURES = ("pass_rate", "usd")
_METRICS = Names("metric", METRIC, pattern=VARIABLE, says=VARIABLE_IN_WORDS, taken=(*MEASURES, "baseline"), minimum=1)
_THRESHOLD_BOUNDS = (
    Key("min", Number(), "The least that is good."),
    Key("max", Number(), "The most that is good."),
)
_THRESHOLDS = Record(
    "a threshold",
    (
        Key("pass_rate", _SHARE, "The share of cases that must pass, from 0 to 1."),
        Key("usd", _AMOUNT, "The most that all answers may have cost, in US dollars."),
    ),
    others=(
        Names(
            "threshold",
            Shapes(number=Number(), mapping=Record("a threshold", _THRESHOLD_BOUNDS, at_least_one=("min", "max"))),
            pattern=VARIABLE,
            taken=("baseline",),
            description="What a metric must be: a number that it must reach, or {min, max}.",
        ),
    ),
    says="pass_rate, usd, pass_at_K, or the name of a metric",
)
_BASELINE = Record(
    "a baseline",
    (),
    others=(Names("axis", _ANYTHING, rf"^{_STEM}(\.{_STEM})?$"),),
    says="file, or a value for each axis",
)
_COMPARE = Record(
    "a comparison",
    (
        Key(
            "baseline",
            Variants("file", FILE, _BASELINE),
            "What to compare with: a cell of the matrix, or {file: path} of a stored one.",
            is_required=True,
        ),
        Key("fail_if", Expr(), "An expression over metrics and baseline.METRIC that must not be true."),
        Key(
            "significance",
            Number(above=0, maximum=1, says="a number above 0, at most 1"),
            "How unlikely a difference must be by chance before fail_if counts; 0.05 when left out.",
        ),
    ),
)
_BUDGET = Record(
    "a budget",
    (
        Key("usd", _AMOUNT, "US dollars."),
        Key("calls", _WHOLE, "Calls."),
        Key("tokens", _WHOLE, "Tokens, in and out."),
    ),
    at_least_one=("usd", "calls", "tokens"),
)

# --- the file

JUDGES = Names("judge", STEP)
_SHARED_KEYS = (
    Key("format", FORMAT_NUMBER, "The version of the format: 1."),
    Key("assert", _ASSERTIONS, "What must hold in every case."),
    Key("cases", _CASES, "The cases, by name."),
    Key("judges", JUDGES, "Steps that read the answers of each case and judge them."),
    Key("metrics", _METRICS, "Numbers over all cases, by name."),
)
SUITE = Record(
    "a suite",
    (
        *_SHARED_KEYS,
        Key("name", _FILLED, "The name of the suite; the file's name when left out."),
        Key("workflow", PATH, "The workflow that the cases are for.", is_required=True),
        Key("include", ListOf(PATH), "Files whose cases, assertions, judges and metrics are added."),
        Key("with", WITH, "Inputs for every case that does not set them."),
        Key("cases_from", CASE_SOURCE, "Cases made from the rows of a file, which are read as `case`."),
        Key("matrix", _MATRIX, "Step fields and inputs to vary: every case runs in every cell."),
        Key("samples", Number(is_whole=True, minimum=1, maximum=1000), "How often each case is asked."),
        Key("compare", _COMPARE, "Metrics against those of a baseline."),
        Key("thresholds", _THRESHOLDS, "What the cases must reach together; then no case fails on its own."),
        Key("budget", _BUDGET, "The most that asking may take."),
        Key("tags", _TAGS, "Words to select suites by."),
    ),
    has_free_keys=True,
    at_least_one=("cases", "cases_from", "include"),
)
INCLUDED_SUITE = Record("an included file", _SHARED_KEYS, has_free_keys=True)
