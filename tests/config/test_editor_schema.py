from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.config.editor_schema import schema_of
from runner.config.fields import Record
from runner.config.settings_file import SETTINGS
from runner.config.suite_grammar import SUITE
from runner.config.verify import Findings, verify
from runner.config.wording import Place
from runner.config.workflow_grammar import WORKFLOW
from runner.config.yaml_nodes import parse_yaml, to_value
from runner.core.canonical import Json

WORKFLOW_TEXT = """\
format: 1
name: whole
x-free: [1]
include: [a.yaml]
models: {fast: a/b, strong: {use: c/d, thinking: low}}
inputs: {ticket: {type: string, default: "", from_env: T, enum: ["{{"]}, n: {type: integer}}
data: {rows: {file: rows.csv, key: id, schema: {type: object}}, in: {file: "-", schema: s.json}}
defaults: {model: fast, repair: 1}
steps:
  a:
    description: d
    tags: [x]
    model: fast
    thinking: none
    system: {file: s.md}
    messages:
      - {role: user, text: t}
      - {for_each: xs, as: x, messages: [{role: assistant, text: {file: x.md}}]}
    schema: {type: object, properties: {a: {pattern: "{{2}"}}}
    enforce: local
    ensure: [a > 1, true, 5]
    repair: 3
    temperature: 0.5
    top_p: 1
    max_output_tokens: 100
    seed: 7
    stop: [END]
    needs: [b]
    when: x
    for_each: data.rows
    as: row
    on_error: skip
    min_success: 0.9
    max_parallel: 4
    samples: 3
    timeout: 30s
    retries: 2
    cache: {use: auto, salt: v}
    options: {a: [1, {b: c}]}
    save: out.txt
  b: {prompt: p, fields: {a: string}, timeout: 1.5}
outputs: {v: steps.b.output, t: {rows: data.rows, file: t.jsonl, columns: {a b: item.a}}}
"""
SETTINGS_TEXT = """\
providers:
  box: {dialect: openai-chat, base_url: "https://x.example", key_env: K, price: free, identity: i}
  l: {dialect: llama, model_path: m.gguf, price: {input: 1, output: 2, cached_input: 0}}
models: {m: {use: box/x}}
prices: {box/x: free, gemini/g: {input: 1, output: 2, batch: 0.5, date: 2026-11-22, long: {over: 1, input: 2, output: 3}}}
"""
SUITE_TEXT = """\
format: 1
name: whole
x-free: [1]
workflow: w.yaml
include: [a.yaml]
with: {ticket: {file: t.txt}, n: 1, m: {from: case.m}, l: [{literal: {from: "{{"}}, {a: {b: [null]}}]}
assert:
  - {that: a > 1, label: sure}
  - {of: steps.a.text, contains: x}
  - {of: steps.a.text, lacks: [x, y]}
  - {of: steps.a.text, starts_with: x}
  - {of: steps.a.text, regex: "^x"}
  - {of: steps.a.text, json_path: "$.a[0]", is: 1}
  - {of: steps.a.text, length: 5}
  - {of: steps.a.text, length: {min: 1, max: 2.5}}
  - {of: steps.a.text, similar: {to: {from: case.t}, at_least: 0.9, by: m}}
  - {judge: fair}
  - {usd: 0.01, step: a}
  - {tokens: 100}
  - {latency: 3s, step: a}
  - {snapshot: steps.a.output}
cases:
  one: {with: {ticket: x}, expect: {steps.a: {q: b}, "steps.t[r 1]": [1], outputs.o: null, status: {steps.b: skipped}}, tags: [x]}
  two: {expect: recorded, assert: [{that: true}], xfail: not yet}
cases_from: {file: rows.jsonl, key: id, schema: {type: object}, with: {t: {from: case.t}}, expect: {steps.a: 1}, assert: [], tags: []}
judges: {fair: {model: m, prompt: p, fields: {verdict: boolean}}}
matrix:
  a.model: [fast, strong]
  a.thinking: [none, default]
  a.prompt: [p, {file: p.md}]
  inputs.depth: [1, {file: x}]
  variant: {plain: {}, terse: {a.prompt: {file: t.md}, a.temperature: 0.3, inputs.depth: 2}}
  exclude: [{a.model: fast, a.thinking: [none]}]
  include: [{a.model: strong, variant: plain}]
samples: 3
metrics: {acc: {accuracy: {of: x, against: case.y}}, m: {mean: {of: x}}}
compare: {baseline: {a.model: fast}, fail_if: acc < baseline.acc, significance: 0.05}
thresholds: {pass_rate: 0.9, usd: 1, acc: 0.8, m: {min: 1, max: 2}}
budget: {usd: 1, calls: 2, tokens: 3}
tags: [smoke]
"""
ODD_VALUES: list[Json] = [
    *(None, True, False, 0, 1, -1, 1.0, 0.5, 2.5, 11, 1001, 10**12, "", " ", "x", "a b", "{{ x }}", "{% if %}", "none"),
    *("off", "default", "30s", "5 m", "free", "user", "skip", "item", "x.csv", "x.jsonl", "x.parquet", "*.csv", "-"),
    *(
        "openai-chat",
        "https://a",
        "http://",
        "gemini",
        "anthropic",
        [],
        ["x"],
        [1],
        [None],
        {},
        {"file": "x"},
        {"file": 1},
    ),
    *({"x-a": 1}, {"use": "off"}, {"a": {"b": "{{ x }}"}}, {"pattern": "{{ x }}"}, [{"role": "user", "text": "t"}]),
    *(
        {"role": "user"},
        {"for_each": "x"},
        {"input": 1, "output": 1},
        {"rows": "a", "file": "b.csv", "columns": {"c": "d"}},
        {"from": "x"},
        {"from": "{{ x }}"},
        {"from": [1]},
        {"literal": "{{ x }}"},
        {"literal": 1, "from": 2},
        {"that": "x"},
        {"that": "x", "of": "y"},
        {"of": "x"},
        {"contains": "x"},
        {"usd": 1, "tokens": 2},
        {"mean": {"of": "x"}},
        {"of": "x", "against": "y"},
        {"a.model": "fast"},
        {"a.model": ["fast"]},
        {"plain": {"inputs.x": 1}},
        {"status": {"steps.a": "failed"}},
        {"min": 1},
    ),
]
ODD_KEYS = [
    *(
        "x-free",
        "x",
        "unknown",
        "a b",
        "1a",
        "{{ x }}",
        "prompt",
        "messages",
        "schema",
        "fields",
        "file",
        "loop",
        "tools",
    ),
    *(
        "that",
        "of",
        "contains",
        "judge",
        "is",
        "step",
        "mean",
        "accuracy",
        "xfail",
        "from",
        "literal",
        "x-that",
        "status",
    ),
    *("a.model", "a.modle", "inputs.n", "inputs.model", "steps.a", "steps.a[b]", "outputs.x", "exclude", "include"),
    *("variant", "baseline", "pass_rate", "a:b", "cases_from", "significance", "max"),
    *("budget", "glob", "limits", "as", "when", "role", "text", "use", "thinking", "default", "name", ""),
]


@dataclass(frozen=True)
class FileKind:
    record: Record
    schema: Json
    text: str


KINDS = {
    "workflow": FileKind(WORKFLOW, schema_of("workflow"), WORKFLOW_TEXT),
    "suite": FileKind(SUITE, schema_of("suite"), SUITE_TEXT),
    "settings": FileKind(SETTINGS, schema_of("settings"), SETTINGS_TEXT),
}
VALIDATORS = {kind.text: jsonschema_rs.validator_for(kind.schema) for kind in KINDS.values()}


def _value(kind: FileKind) -> Json:
    node, problems = parse_yaml(kind.text, "f.yaml")
    assert problems == []
    assert node is not None
    return to_value(node)


def _parser_accepts(kind: FileKind, value: Json) -> bool:
    # JSON is YAML, so that a changed value is read back without a writer of YAML.
    node, problems = parse_yaml(json.dumps(value), "f.json")
    assert problems == []
    assert node is not None
    findings = Findings()
    verify(node, kind.record, Place("the file"), findings)
    return not findings.problems


def _places(value: Json, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += _places(inner, (*path, index))
    return found


def _changed(data: st.DataObject, value: Json) -> Json:
    """One value replaced, one key removed, or one key added, anywhere."""
    value = copy.deepcopy(value)
    path = data.draw(st.sampled_from([path for path in _places(value) if path]))
    around = value
    for part in path[:-1]:
        around = around[part]
    action = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if action == "replace":
        around[path[-1]] = data.draw(st.sampled_from(ODD_VALUES))
    elif action == "remove":
        del around[path[-1]]
    elif isinstance(around, dict):
        around[data.draw(st.sampled_from(ODD_KEYS))] = data.draw(st.sampled_from(ODD_VALUES))
    else:
        around.append(data.draw(st.sampled_from(ODD_VALUES)))
    return value


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_is_a_json_schema_without_a_name(name: str) -> None:
    schema = KINDS[name].schema
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$id" not in schema


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_file_is_good_for_both(name: str) -> None:
    kind = KINDS[name]
    value = _value(kind)
    assert _parser_accepts(kind, value)
    assert VALIDATORS[kind.text].is_valid(value)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_parser_and_schema_agree_on_changed_files(name: str, data: st.DataObject) -> None:
    kind = KINDS[name]
    value = _value(kind)
    for _ in range(data.draw(st.integers(1, 2))):
        value = _changed(data, value)
    assert _parser_accepts(kind, value) == VALIDATORS[kind.text].is_valid(value)


def test_odd_values_in_every_place_are_judged_alike() -> None:
    step = 0
    for kind in KINDS.values():
        whole = _value(kind)
        for path in _places(whole)[1:]:
            for _ in range(4):
                step += 7
                odd = ODD_VALUES[step % len(ODD_VALUES)]
                value = copy.deepcopy(whole)
                around = value
                for part in path[:-1]:
                    around = around[part]
                around[path[-1]] = odd
                assert _parser_accepts(kind, value) == VALIDATORS[kind.text].is_valid(value), (path, odd)


def test_every_key_is_described() -> None:
    steps = schema_of("workflow")["properties"]["steps"]["additionalProperties"]["properties"]
    assert steps["thinking"]["description"] == "How hard the model thinks; `default` is the model's own level."
    assert all(key["description"] for key in steps.values())
