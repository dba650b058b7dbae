from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.config.editor_schema import schema_of
from runner.config.fields import (
    AnyMapping,
    AnyValue,
    Expr,
    Flag,
    Kind,
    ListOf,
    Names,
    Number,
    Prompt,
    Record,
    Text,
    Value,
    Variants,
    holds,
)
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
budget: {usd: 1.5, calls: 10, tokens: 0}
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
    tools: [lookup, find]
    tool_choice: lookup
    max_turns: 4
  b: {prompt: p, fields: {a: string}, timeout: 1.5}
  c: {call: lookup, with: {sku: [{from: inputs.a}, 1], b: {literal: "{{"}}, timeout: 3}
outputs: {v: steps.b.output, t: {rows: data.rows, file: t.jsonl, columns: {a b: item.a}}}
"""
SETTINGS_TEXT = """\
providers:
  box: {dialect: openai-chat, base_url: "https://x.example", key_env: K, price: free, identity: i, server: vllm}
  l: {dialect: llama, model_path: m.gguf, price: {input: 1, output: 2, cached_input: 0}}
models: {m: {use: box/x}, box/y: {title: t, context: 1, max_output: 1, accepts: [text], thinking: [low], default_thinking: low, refuses: [stop], retired: 2026-11-22, replacement: z, note: n}}
budget: {usd: 5}
tools: {find: {python: "a.b:c", description: d, parameters: {type: object}, returns: r.json, version: 1, replay: false}, web: web_search}
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
metrics: {acc: {accuracy: {of: x, against: case.y}}, m: {mean: {of: x}}, r: {recall: {of: x, against: y, label: spam}}, p: {p99.9: {of: x}}, d: {from: acc - m}}
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


# Texts for every pattern of the grammars; a kind takes those that it allows.
TEXTS = [
    "x",
    "a b",
    "fast",
    "a/b",
    "T",
    "a.csv",
    "b.jsonl",
    "30s",
    "1.5m",
    "https://a.example/v1",
    "$.a[0].b",
    "2026-11-22",
    "shop.tools:lookup",
    "-",
    "é\n",
]
NAMES = ["a", "b_1", "c-d", "steps.a", "steps.t[r 1]", "outputs.o", "a.model", "b.thinking", "a.prompt", "a.samples",
         "inputs.n", "inputs.model", "variant", "one case", "m", "x/y"]  # fmt: skip


@dataclass(frozen=True)
class Author:
    """Writes files that the grammar allows, at random."""

    rng: random.Random

    def write(self, kind: Kind, depth: int = 0) -> Json:
        match kind:
            case Text():
                return self.rng.choice(kind.choices or [text for text in TEXTS if _is_allowed(kind, text)])
            case Number():
                return self.number(kind)
            case Flag():
                return self.rng.choice([True, False])
            case Expr():
                return self.rng.choice(["x > 1", True, 5, "a.b | first"])
            case Prompt():
                return self.rng.choice(["{{ x }}", "plain", {"file": "p.md"}])
            case AnyValue():
                return self.rng.choice([1, None, "x", ["a", {"b": 1}], *(["{{ x }}"] if kind.may_hold_braces else [])])
            case AnyMapping():
                return self.rng.choice([{"a": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}])
            case Value():
                return self.value(depth)
            case ListOf():
                return [self.write(kind.item, depth + 1) for _ in range(kind.minimum + self.rng.randrange(3))]
            case Names():
                return self.names(kind, depth)
            case Record():
                return self.record(kind, depth)
            case Variants():
                record = self.rng.choice([kind.special, kind.usual])
                return self.record(record, depth)
            case _:
                parts = [part for part in (kind.text, kind.number, kind.sequence, kind.mapping) if part is not None]
                return self.write(self.rng.choice(parts), depth + 1)

    def number(self, kind: Number) -> Json:
        low = kind.minimum if kind.minimum is not None else kind.above if kind.above is not None else -5
        high = min(kind.maximum if kind.maximum is not None else low + 10, low + 1000)
        if kind.is_whole:
            return int(low) if low == high else self.rng.randrange(int(low), int(high))
        return high - (high - low) * self.rng.random() / 2

    def value(self, depth: int) -> Json:
        plain = [
            1,
            None,
            True,
            "x",
            {"from": "a", "file": "b"},
            {"from": "case.x"},
            {"file": "a.txt"},
            {"literal": "{{ x }}"},
        ]
        if depth > 4 or self.rng.random() < 0.6:
            return self.rng.choice(plain)
        return self.rng.choice([[self.value(depth + 1)], {"a": self.value(depth + 1), "b": self.value(depth + 1)}])

    def names(self, kind: Names, depth: int) -> Json:
        allowed = [name for name in NAMES if holds(kind.pattern, name) and name not in kind.taken]
        names = self.rng.sample(allowed, min(len(allowed), kind.minimum + self.rng.randrange(2)))
        return {name: self.write(kind.item, depth + 1) for name in names}

    def _single(self, kind: Record, depth: int) -> list[tuple[str, Json]]:
        others = ((name, kind.other(name)) for name in ("p1", "p95", "p99.9"))
        return [(name, self.write(names.item, depth + 1)) for name, names in others if names]

    def record(self, kind: Record, depth: int) -> Json:
        share = 0.5 if depth == 0 else 2.5 / (len(kind.keys) + 2)
        chosen = {key.name for key in kind.keys if key.is_required or self.rng.random() < share}
        for pair in kind.either:
            chosen -= {pair[1]} if set(pair) <= chosen else set()
        if kind.exactly_one:
            chosen -= set(kind.exactly_one)
            chosen.add(self.rng.choice(kind.exactly_one))
        if kind.at_least_one and not chosen & set(kind.at_least_one):
            chosen.add(self.rng.choice(kind.at_least_one))
        for key in sorted(chosen & set(kind.needs)):
            if not chosen & set(kind.needs[key]):
                chosen ^= {key} if kind.needs[key][0] in kind.exactly_one else {kind.needs[key][0]}
        for pair in kind.either:
            if set(pair) <= chosen:  # the first goes, since what was added may need the second
                chosen -= {pair[0]}
        chosen -= {key for key, others in kind.needs.items() if not chosen & {*others}}
        written = {
            name: self.write(kind.by_name[name].kind, depth + 1)
            for name in self.rng.sample(sorted(chosen), len(chosen))
        }
        if kind.is_single:
            written = dict([self.rng.choice(list(written.items()) or self._single(kind, depth))])
        for name in self.rng.sample(NAMES, 3) if kind.others and not kind.is_single else []:
            names = None if name in kind.by_name else kind.other(name)
            written |= {name: self.write(names.item, depth + 1)} if names else {}
        return written | ({"x-free": ["{{ x }}"]} if kind.has_free_keys and self.rng.random() < 0.2 else {})

    def damage(self, value: Json) -> Json:
        """One value replaced, one key removed or renamed, or one added, anywhere."""
        value = copy.deepcopy(value)
        path = self.rng.choice([path for path in _places(value) if path] or [()])
        around = value
        for part in path[:-1]:
            around = around[part]
        if not path or self.rng.random() < 0.4:
            return self.insert(value, around)
        if self.rng.random() < 0.3:
            del around[path[-1]]
        elif isinstance(around, dict) and self.rng.random() < 0.2:
            around[self.rng.choice(ODD_KEYS)] = around.pop(path[-1])
        else:
            around[path[-1]] = self.rng.choice(ODD_VALUES)
        return value

    def insert(self, value: Json, around: Json) -> Json:
        if isinstance(around, dict):
            around[self.rng.choice([*ODD_KEYS, *NAMES])] = self.rng.choice(ODD_VALUES)
        else:
            around.append(self.rng.choice(ODD_VALUES))
        return value


def _is_allowed(kind: Text, text: str) -> bool:
    is_later = any(holds(pattern, text) for pattern, _ in kind.later)
    return text not in kind.taken and not is_later and (not kind.pattern or holds(kind.pattern, text))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_parser_and_schema_agree_on_thousands_of_files(name: str) -> None:
    """Outside of this lie what no schema can say: double keys, anchors, files that are named, names of other places."""
    kind, author = KINDS[name], Author(random.Random(20261122))
    verdicts = {True: 0, False: 0}
    for _ in range(2000):
        whole = author.write(kind.record)
        assert _parser_accepts(kind, whole), whole
        assert VALIDATORS[kind.text].is_valid(whole), whole
        damaged = author.damage(whole)
        if author.rng.random() < 0.3:
            damaged = author.damage(damaged)
        is_accepted = _parser_accepts(kind, damaged)
        assert is_accepted == VALIDATORS[kind.text].is_valid(damaged), damaged
        verdicts[is_accepted] += 1
    assert min(verdicts.values()) > 150, verdicts
