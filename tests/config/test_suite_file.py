from __future__ import annotations

from collections.abc import Callable

from runner.config.load import LoadedSuite
from runner.core.problem import render_all
from runner.core.span import Origin, Span
from runner.core.suite import (
    InputChange,
    JudgeCheck,
    LengthCheck,
    LimitCheck,
    PathCheck,
    SimilarityCheck,
    SnapshotCheck,
    StepChange,
    Subject,
    Suite,
    TextCheck,
    That,
)
from runner.core.values import Computed, Fields, FromFile, ListOfValues, Plain, leaves, literal
from runner.core.workflow import Expression, SchemaSource

Load = Callable[..., LoadedSuite]
FILE = "a.suite.yaml"


def _suite(loaded: LoadedSuite) -> Suite:
    assert render_all(loaded.problems, loaded.sources) == ""
    assert loaded.suite is not None
    return loaded.suite


def _told(loaded: LoadedSuite) -> list[str]:
    return [f"{p.span}: {p.code}: {p.message}" for p in loaded.problems]


def test_names_and_numbers_are_read(load_as_suite: Load) -> None:
    suite = _suite(
        load_as_suite(
            """\
name: regression
workflow: flows/w.yaml
with: {depth: 1}
samples: 3
budget: {usd: 0.5, calls: 7, tokens: 900}
thresholds: {pass_rate: 0.9, usd: 2, m: 0.8, n: {min: 1, max: 2}}
metrics:
  m: {accuracy: {of: steps.a.output.label, against: case.label}}
  n: {mean: {of: steps.a.output.score}}
tags: [smoke]
cases: {one: {xfail: not yet, tags: [x]}}
"""
        )
    )
    assert (suite.file, suite.name, suite.workflow, suite.samples) == (FILE, "regression", "flows/w.yaml", 3)
    assert (suite.tags, suite.cases["one"].xfail, suite.cases["one"].tags) == (("smoke",), "not yet", ("x",))
    assert literal(suite.values["depth"]) == (1,)
    assert suite.budget is not None
    assert (suite.budget.usd, suite.budget.calls, suite.budget.tokens) == (0.5, 7, 900)
    assert {name: (one.least, one.most) for name, one in suite.thresholds.items()} == {
        "pass_rate": (0.9, None),
        "usd": (None, 2),
        "m": (0.8, None),
        "n": (1, 2),
    }
    assert {name: (one.kind, one.of.text, one.against and one.against.text) for name, one in suite.metrics.items()} == {
        "m": ("accuracy", "steps.a.output.label", "case.label"),
        "n": ("mean", "steps.a.output.score", None),
    }
    assert suite.at("samples") == Span(FILE, 4, 10, 1)


def test_a_percentile_has_its_number_in_its_name(load_as_suite: Load) -> None:
    suite = _suite(
        load_as_suite(
            "workflow: w.yaml\ncases: {one: {}}\n"
            "metrics: {a: {p50: {of: x}}, b: {p99.9: {of: x}}, c: {f1: {of: x, against: y, label: 5}}, d: {from: a - b}}\n"
        )
    )
    assert [(one.kind, one.share, one.of.text, one.label) for one in suite.metrics.values()] == [
        ("percentile", 0.5, "x", None),
        ("percentile", 0.9990000000000001, "x", None),
        ("f1", 0.0, "x", (5,)),
        ("from", 0.0, "a - b", None),
    ]


def test_a_metric_is_one_number_of_the_kinds_that_there_are(load_as_suite: Load) -> None:
    loaded = load_as_suite(
        "workflow: w.yaml\ncases: {one: {}}\n"
        "metrics: {a: {p50: {of: x}, p90: {of: x}}, b: {p100: {of: x}}, c: {}, d: {from: '{{ a }}'}, e: {p95: {}}}\n"
    )
    assert [line.removeprefix("a.suite.yaml:") for line in _told(loaded)] == [
        "3:29: either-or: metric 'a' has both 'p50' and 'p90'",
        "3:48: unknown-key: metric 'b' has no key 'p100'",
        "3:67: missing-key: metric 'c' lacks a key",
        "3:81: braces-in-expression: 'from' of metric 'd' is an expression already, so it takes no braces",
        "3:102: missing-key: percentile 'p95' lacks the key 'of'",
    ]


def test_what_is_left_out_is_empty(load_as_suite: Load) -> None:
    suite = _suite(load_as_suite("workflow: w.yaml\ncases: {one: {}}\n"))
    assert (suite.name, suite.samples, suite.matrix, suite.compare, suite.budget, suite.cases_from) == (
        *("a", 1),
        *(None, None, None, None),
    )
    case = suite.cases["one"]
    assert (case.span, case.expect, case.assertions) == (Span(FILE, 2, 9, 3), None, ())


def test_values_are_literal_but_for_three_forms(load_as_suite: Load) -> None:
    suite = _suite(
        load_as_suite(
            """\
workflow: w.yaml
cases:
  one:
    with:
      text: Hello
      list: [1, {from: case.x}, null]
      file: {file: data/../t.txt}
      braces: {literal: {from: "{{ x }}"}}
      two: {from: a, literal: b}
"""
        )
    )
    values = suite.cases["one"].values
    assert values["text"] == Plain("Hello", Span(FILE, 5, 13, 5))
    computed = Computed(Expression("case.x", Origin(FILE, 6, 24, 0)), Span(FILE, 6, 24, 6))
    assert isinstance(values["list"], ListOfValues)
    assert values["list"].items[1] == computed
    assert literal(values["list"]) is None
    assert list(leaves(values["list"])) == [values["list"].items[0], computed, values["list"].items[2]]
    assert values["file"] == FromFile("t.txt", Span(FILE, 7, 20, 13))
    assert literal(values["braces"]) == ({"from": "{{ x }}"},)
    assert isinstance(values["two"], Fields)
    assert literal(values["two"]) == ({"from": "a", "literal": "b"},)
    assert literal(ListOfValues((values["two"],), Span(FILE, 1, 1))) == ([{"from": "a", "literal": "b"}],)


def test_expectations_name_steps_items_and_outputs(load_as_suite: Load) -> None:
    suite = _suite(
        load_as_suite(
            """\
workflow: w.yaml
cases:
  one:
    expect:
      steps.a: {queue: bug}
      steps.t[row 1]: [x]
      outputs.o: null
      status: {steps.b: skipped, "steps.t[2]": failed}
  two: {expect: recorded}
  three: {expect: {}}
"""
        )
    )
    one = suite.cases["one"].expect
    assert one is not None
    assert {str(name): literal(value) for name, value in one.values.items()} == {
        "steps.a": ({"queue": "bug"},),
        "steps.t[row 1]": (["x"],),
        "outputs.o": (None,),
    }
    assert one.status == {Subject(step="b"): "skipped", Subject(step="t", item="2"): "failed"}
    assert (one.at("steps.t[row 1]"), one.at("status.steps.b")) == (Span(FILE, 6, 7, 14), Span(FILE, 8, 16, 7))
    two, three = suite.cases["two"].expect, suite.cases["three"].expect
    assert two is not None
    assert three is not None
    assert (one.asserts_nothing, two.is_recorded, two.asserts_nothing) == (False, True, False)
    assert three.asserts_nothing


def test_each_form_of_assertion_has_its_type(load_as_suite: Load) -> None:
    suite = _suite(
        load_as_suite(
            """\
workflow: w.yaml
assert:
  - {that: steps.a.output.n > 1, label: sure}
  - {of: steps.a.text, contains: x}
  - {of: steps.a.text, lacks: [x, y]}
  - {of: steps.a.text, starts_with: x}
  - {of: steps.a.text, regex: ^x}
  - {of: steps.a.text, json_path: "$.a", is: 1}
  - {of: steps.a.text, json_path: "$"}
  - {of: steps.a.text, length: 5}
  - {of: steps.a.text, length: {max: 9}}
  - {of: steps.a.text, similar: {to: near, at_least: 0.9, by: m}}
  - {judge: fair}
  - {usd: 0.01, step: a}
  - {tokens: 100}
  - {latency: 3s}
  - {snapshot: steps.a.output}
cases: {one: {}}
"""
        )
    )
    told = [type(one) for one in suite.assertions]
    assert told == [
        *(That, TextCheck, TextCheck, TextCheck, TextCheck, PathCheck, PathCheck, LengthCheck, LengthCheck),
        *(SimilarityCheck, JudgeCheck, LimitCheck, LimitCheck, LimitCheck, SnapshotCheck),
    ]
    that, contains, lacks, _, regex, path, bare, exact, most, near, judge, usd, tokens, latency, _ = suite.assertions
    assert isinstance(that, That)
    assert (that.condition.text, that.label, that.at("that")) == ("steps.a.output.n > 1", "sure", Span(FILE, 3, 12, 20))
    assert isinstance(contains, TextCheck)
    assert isinstance(lacks, TextCheck)
    assert isinstance(regex, TextCheck)
    assert [(one.kind, one.texts) for one in (contains, lacks, regex)] == [
        ("contains", ("x",)),
        ("lacks", ("x", "y")),
        ("regex", ("^x",)),
    ]
    assert isinstance(path, PathCheck)
    assert isinstance(bare, PathCheck)
    assert (path.path, path.value, bare.value) == ("$.a", Plain(1, Span(FILE, 8, 46, 1)), None)
    assert isinstance(exact, LengthCheck)
    assert isinstance(most, LengthCheck)
    assert (exact.least, exact.most, most.least, most.most) == (5, 5, None, 9)
    assert isinstance(near, SimilarityCheck)
    assert (near.at_least, near.by, literal(near.to)) == (0.9, "m", ("near",))
    assert isinstance(judge, JudgeCheck)
    assert judge.judge == "fair"
    assert [(one.kind, one.most, one.step) for one in (usd, tokens, latency) if isinstance(one, LimitCheck)] == [
        ("usd", 0.01, "a"),
        ("tokens", 100, ""),
        ("latency", 3.0, ""),
    ]


def test_cases_come_from_rows_too(load_as_suite: Load) -> None:
    suite = _suite(
        load_as_suite(
            """\
workflow: w.yaml
cases_from:
  file: rows.csv
  key: id
  schema: {type: object}
  with: {text: {from: case.text}}
  expect: {steps.a: {label: {from: case.label}}}
  assert: [{that: true}]
  tags: [x]
"""
        )
    )
    source = suite.cases_from
    assert source is not None
    assert (source.file, source.glob, source.format, source.key, source.tags) == ("rows.csv", "", "csv", "id", ("x",))
    assert isinstance(source.schema, SchemaSource)
    assert source.at("file") == Span(FILE, 3, 9, 8)
    globbed = _suite(load_as_suite('workflow: w.yaml\ncases_from: {glob: "media/*.png"}\n')).cases_from
    assert globbed is not None
    assert (globbed.file, globbed.glob, globbed.format) == ("", "media/*.png", "jsonl")


def test_a_matrix_is_read_as_changes(load_as_suite: Load) -> None:
    suite = _suite(
        load_as_suite(
            """\
workflow: w.yaml
cases: {one: {}}
matrix:
  a.thinking: [none, default]
  a.options: [{k: 1}]
  inputs.depth: [1, {from: case.d}]
  variant:
    plain: {}
    terse: {a.prompt: {file: t.md}, inputs.depth: 3}
  exclude: [{a.thinking: [none], variant: plain}]
  include: [{a.thinking: default}]
compare: {baseline: {a.thinking: none}, fail_if: m < baseline.m, significance: 0.01}
""",
            {"t.md": "Short."},
        )
    )
    matrix = suite.matrix
    assert matrix is not None
    assert {name: [option.name for option in axis.options] for name, axis in matrix.axes.items()} == {
        "a.thinking": ["none", "default"],
        "a.options": ['{"k":1}'],
        "inputs.depth": ["1", '{"from":"case.d"}'],
        "variant": ["plain", "terse"],
    }
    (none,) = matrix.axes["a.thinking"].options[0].changes
    assert isinstance(none, StepChange)
    assert (none.target, none.part.thinking, none.span) == ("a.thinking", "none", Span(FILE, 4, 16, 4))
    prompt, depth = matrix.axes["variant"].options[1].changes
    assert isinstance(prompt, StepChange)
    assert prompt.part.messages[0].text.text == "Short."  # type: ignore[union-attr]  # one message, no repetition
    assert isinstance(depth, InputChange)
    assert (depth.target, literal(depth.value)) == ("inputs.depth", (3,))
    assert matrix.exclude[0].values == {"a.thinking": ("none",), "variant": ("plain",)}
    assert matrix.include[0].values == {"a.thinking": ("default",)}
    compare = suite.compare
    assert compare is not None
    assert compare.cell is not None
    assert compare.fail_if is not None
    assert (compare.cell.values, compare.significance) == ({"a.thinking": ("none",)}, 0.01)
    assert (compare.file, compare.fail_if.text) == ("", "m < baseline.m")


def test_a_baseline_may_be_a_file(load_as_suite: Load) -> None:
    text = "workflow: w.yaml\ncases: {one: {}}\ncompare: {baseline: {file: base.json}}\n"
    compare = _suite(load_as_suite(text)).compare
    assert compare is not None
    assert (compare.file, compare.cell, compare.significance, compare.fail_if) == ("base.json", None, 0.05, None)


def test_included_files_add_cases_judges_metrics_and_assertions(load_as_suite: Load) -> None:
    shared = """\
assert: [{that: "true"}]
cases: {two: {}}
judges: {fair: {model: a/b, prompt: p}}
metrics: {m: {mean: {of: x}}}
"""
    suite = _suite(load_as_suite("workflow: w.yaml\ninclude: [s.yaml]\nassert: [{that: x}]\n", {"s.yaml": shared}))
    assert (list(suite.cases), list(suite.judges), list(suite.metrics)) == (["two"], ["fair"], ["m"])
    assert [one.condition.text for one in suite.assertions if isinstance(one, That)] == ["x", "true"]
    assert suite.judges["fair"].model == "a/b"


def test_a_suite_needs_cases_of_some_kind(load_as_suite: Load) -> None:
    assert _told(load_as_suite("workflow: w.yaml\n")) == ["a.suite.yaml:1:1: missing-key: the suite lacks a key"]
    assert _told(load_as_suite("workflow: w.yaml\ninclude: [s.yaml]\n", {"s.yaml": "format: 1\n"})) == [
        "a.suite.yaml:2:1: missing-key: the suite has no cases, and the files that it includes have none"
    ]
    assert _told(load_as_suite("cases: {}\n")) == [
        "a.suite.yaml:1:8: bad-value: 'cases' of the suite is empty",
        "a.suite.yaml:1:1: missing-key: the suite lacks the key 'workflow'",
    ]


def test_what_is_no_suite_at_all_is_told(load_as_suite: Load) -> None:
    loaded = load_as_suite("[1]\n")
    assert (loaded.suite, _told(loaded)) == (None, ["a.suite.yaml:1:1: wrong-type: the suite is a list"])
    assert load_as_suite("").suite is None


def test_judges_name_their_model(load_as_suite: Load) -> None:
    assert _told(load_as_suite("workflow: w.yaml\ncases: {one: {}}\njudges: {fair: {prompt: p}}\n")) == [
        "a.suite.yaml:3:10: missing-key: judge 'fair' names no model"
    ]


MISTAKES = """\
workflow: [w.yaml]
with: {t: "{{ x }}", u: {from: "{{ x }}"}, v: {file: [1]}, w: {file: ../../x}, x: {from: [1]}}
assert:
  - {contains: x, regex: y, of: a}
  - {of: a}
  - {is: 1, that: x}
  - {labl: x}
  - {that: "{{ x }}"}
  - {of: a, length: -1}
  - {of: a, contains: []}
  - {of: a, similar: {to: "{{ x }}", at_least: 1}}
  - {of: a, similar: {to: x}}
  - {of: a, similar: x}
  - {of: "{{ a }}", length: {min: 1}}
  - {of: a, length: {}}
  - 5
cases:
  a:b: {xfail: true}
  one: {expect: {classify: 1, steps.a: "{{ x }}", status: {steps.a: skiped, a: failed}}}
  two: 3
  three: {expect: "{{ x }}"}
cases_from: {file: x.*.csv}
matrix:
  a.modle: [x]
  a.thinking: [off, high]
  a.model: x
  file: {}
  inputs.x: []
  inputs.y: ["{{ y }}"]
  v: {plain: {a.temprature: 2, a.thinking: off}, odd: 1}
compare: {fail_if: x}
thresholds: {baseline: 1, m: x, usd: -1}
metrics: {pass_rate: {mean: {of: x}}, m: {}, n: {accuracy: {of: x}}, o: {mean: {of: "{{ x }}"}}, p: 1}
budget: {}
judges: {fair: 1}
"""


def test_all_mistakes_are_told_at_once(load_as_suite: Load) -> None:
    loaded = load_as_suite(MISTAKES)
    assert [line.removeprefix("a.suite.yaml:") for line in _told(loaded)] == EXPECTED
    assert loaded.suite is not None
    assert (loaded.suite.workflow, loaded.suite.compare) == ("", None)


EXPECTED = [
    "1:11: wrong-type: 'workflow' of the suite is a list",
    "2:11: template-in-literal: input 't' is taken as it is, but holds a template",
    "2:32: braces-in-expression: 'from' of input 'u' is an expression already, so it takes no braces",
    "2:54: wrong-type: 'file' of input 'v' is a list",
    "2:90: wrong-type: 'from' of input 'x' is a list",
    "4:19: either-or: entry 1 of 'assert' of the suite has both 'contains' and 'regex'",
    "5:5: missing-key: entry 2 of 'assert' of the suite lacks a key",
    "6:6: missing-key: entry 3 of 'assert' of the suite has the key 'is', which belongs to 'json_path'",
    "7:6: unknown-key: entry 4 of 'assert' of the suite has no key 'labl'",
    "8:12: braces-in-expression: 'that' of entry 5 of 'assert' of the suite is an expression already, so it takes no braces",
    "9:21: bad-value: 'length' of entry 6 of 'assert' of the suite cannot be -1",
    "10:23: bad-value: 'contains' of entry 7 of 'assert' of the suite is empty",
    "11:27: template-in-literal: 'to' of 'similar' of entry 8 of 'assert' of the suite is taken as it is, but holds a template",
    "12:22: missing-key: 'similar' of entry 9 of 'assert' of the suite lacks the key 'at_least'",
    "13:22: wrong-type: 'similar' of entry 10 of 'assert' of the suite is text",
    "14:10: braces-in-expression: 'of' of entry 11 of 'assert' of the suite is an expression already, so it takes no braces",
    "15:21: missing-key: 'length' of entry 12 of 'assert' of the suite lacks a key",
    "16:5: wrong-type: entry 13 of 'assert' of the suite is the number 5",
    "18:3: bad-name: 'a:b' cannot be the name of a case",
    "18:16: wrong-type: 'xfail' of case 'a:b' is the truth value true",
    "19:18: unknown-key: 'expect' of case 'one' has no key 'classify'",
    "19:40: template-in-literal: expectation 'steps.a' is taken as it is, but holds a template",
    "19:69: bad-value: status 'steps.a' cannot be 'skiped'",
    "19:77: bad-name: 'a' cannot be the name of a status",
    "20:8: wrong-type: case 'two' is the number 3",
    "21:19: template-in-literal: 'expect' of case 'three' is taken as it is, but holds a template",
    "22:20: not-in-this-version: 'file' of 'cases_from' of the suite names several files, which is not in this version",
    "24:3: unknown-key: 'matrix' of the suite has no key 'a.modle'",
    "25:16: bad-value: entry 1 of axis 'a.thinking' cannot be 'off'",
    "26:12: wrong-type: axis 'a.model' is text",
    "27:3: unknown-key: 'matrix' of the suite has no key 'file'",
    "28:13: bad-value: axis 'inputs.x' is empty",
    "29:14: template-in-literal: entry 1 of axis 'inputs.y' is taken as it is, but holds a template",
    "30:15: unknown-key: variant 'plain' has no key 'a.temprature'",
    "30:44: bad-value: step field 'a.thinking' cannot be 'off'",
    "30:55: wrong-type: variant 'odd' is the number 1",
    "31:10: missing-key: 'compare' of the suite lacks the key 'baseline'",
    "32:14: unknown-key: 'thresholds' of the suite has no key 'baseline'",
    "32:30: wrong-type: threshold 'm' is text",
    "32:38: bad-value: 'usd' of 'thresholds' of the suite cannot be -1",
    "33:11: reserved-name: a metric cannot be called 'pass_rate': that name has a meaning of its own",
    "33:42: missing-key: metric 'm' lacks a key",
    "33:60: missing-key: 'accuracy' of metric 'n' lacks the key 'against'",
    "33:85: braces-in-expression: 'of' of 'mean' of metric 'o' is an expression already, so it takes no braces",
    "33:101: wrong-type: metric 'p' is the number 1",
    "34:9: missing-key: 'budget' of the suite lacks a key",
    "35:16: wrong-type: judge 'fair' is the number 1",
    "2:70: outside-root: ../../x lies outside the project",
]


def test_no_case_is_called_as_all_of_them_together(load_as_suite: Load) -> None:
    (line,) = _told(load_as_suite("workflow: w.yaml\ncases: {thresholds: {}}\n"))
    assert line == (
        "a.suite.yaml:2:9: reserved-name: a case cannot be called 'thresholds': that name has a meaning of its own"
    )
