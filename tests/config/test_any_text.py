"""Whatever is done to a file, reading it gives problems and never an exception."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config.reading import Reading
from runner.config.settings_file import read_settings
from runner.config.workflow_file import read_workflow
from runner.core.errors import FileError
from runner.core.problem import Problem, render_all

FLOW = """\
format: 1
include: [b.yaml]
models: {fast: a/b, strong: {use: c/d, thinking: low}}
inputs: {ticket: {type: string, default: "x", from_env: T}}
data: {rows: {file: rows.csv, key: id, schema: {type: object}}}
defaults: {model: fast, repair: 1}
steps:
  a:
    prompt: |
      Hello {{ inputs.ticket }}
    system: {file: s.md}
    schema: s.json
    ensure: [a > 1, true]
    timeout: 30s
    cache: {use: auto, salt: v}
    options: {a: [1, {b: c}]}
  b: {messages: [{role: user, text: t}], fields: {a: string}}
outputs: {v: steps.b.output, t: {rows: data.rows, file: t.jsonl, columns: {a: item.a}}}
"""
SETTINGS = """\
providers:
  box: {dialect: openai-chat, base_url: "https://x.example", key_env: K, price: {input: 1, output: 2}}
models: {m: {use: box/x}}
"""
PIECES = st.sampled_from(
    [*"\n:-[]{}\"'|>&*!%#,? \t", "{{", "}}", "  ", ": ", "- ", "null", "1", "x", "&x ", "*x", "!!str ", "---\n"]
)


def _read(path: str) -> bytes:
    files = {"s.md": b"Hi", "s.json": b'{"type": "object"}', "b.yaml": b"models: {other: a/b}"}
    if path not in files:
        raise FileError(Problem("missing-file", f"there is no file {path}"))
    return files[path]


@st.composite
def changed(draw: st.DrawFn, text: str) -> str:
    """A text with up to three pieces cut out, put in or repeated."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(PIECES | st.just("") | st.just(text[start:end] * 2)) + text[end:]
    return text


@given(changed(FLOW))
@settings(max_examples=200, deadline=None)
def test_a_changed_workflow_gives_a_workflow_or_an_error(text: str) -> None:
    reading = Reading(_read)
    node = reading.document("f.yaml", text.encode())
    flow = None if node is None else read_workflow(node, "f.yaml", reading)
    assert flow is not None or any(problem.is_error for problem in reading.problems)
    assert isinstance(render_all(reading.problems, reading.sources), str)


@given(changed(SETTINGS))
@settings(max_examples=100, deadline=None)
def test_changed_settings_give_settings_or_an_error(text: str) -> None:
    reading = Reading(_read)
    node = reading.document("runner.yaml", text.encode())
    found = None if node is None else read_settings(node, "runner.yaml", reading)
    assert found is not None or any(problem.is_error for problem in reading.problems)
