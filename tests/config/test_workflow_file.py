from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.config.load import Loaded, load_workflow
from runner.core.span import Origin, Span
from runner.core.workflow import (
    CachePolicy,
    Expression,
    FanOut,
    MessageTemplate,
    OutputTable,
    OutputValue,
    RepeatedMessages,
    Step,
    Template,
    Workflow,
)

Load = Callable[..., Loaded]
Complaints = Callable[..., str]

WHOLE = """\
format: 1
name: whole
description: All keys at once
x-anything: {at: all}
models:
  fast: local/smollm2-135m
  strong: {use: gemini/gemini-3.1-flash-lite, thinking: low}
inputs:
  ticket: {type: string, description: One ticket, default: Hello, from_env: TICKET, from_file: in.txt, x-note: 1}
  depth: {type: [integer, "null"], default: null}
data:
  rows: {file: rows.ndjson, key: id, schema: {type: object}}
  sheet: {file: sub/../rows.csv}
  typed: {file: "-"}
defaults: {model: fast, repair: 1, temperature: 0, fields: {a: string}}
steps:
  first:
    description: The first
    tags: [one, two]
    model: strong
    thinking: high
    system: Be short.
    messages:
      - {role: user, text: "Hi"}
      - for_each: inputs.turns
        as: turn_of
        messages:
          - {role: user, text: "{{ turn_of.q }}"}
          - {role: assistant, text: {file: a.md}}
      - {role: assistant, text: "So"}
    schema: answer.json
    enforce: local
    ensure:
      - output.a > 1
      - true
    repair: 3
    temperature: 0.5
    top_p: 1
    max_output_tokens: 100
    seed: 7
    stop: ["\\n", END]
    needs: []
    when: inputs.depth is none
    for_each: data.rows
    as: row
    on_error: skip
    min_success: 0.9
    max_parallel: 4
    samples: 3
    timeout: 1.5m
    retries: 2
    cache: {use: refresh, salt: v2}
    options: {topK: 3, deep: {a: [1]}}
    save: out/{{ item.id }}.txt
  second:
    prompt: |
      Look:
        {{ steps.first.outputs }}
    thinking: default
outputs:
  value: steps.second.output
  yes: true
  table: {rows: data.rows, file: out/t.csv, columns: {id: item.id, "A name": item.name}}
"""
FILES = {"answer.json": '{"type": "object",\n "properties": {"a": {"type": "integer"}}}', "a.md": "\ufeffAnswer\r\n"}
STEP = "steps:\n  a:\n    model: m\n    prompt: p\n"


def _flow(loaded: Loaded) -> Workflow:
    assert loaded.problems == ()
    assert loaded.workflow is not None
    return loaded.workflow


def _codes(loaded: Loaded) -> list[str]:
    return [problem.code for problem in loaded.problems]


def test_every_key_of_a_step_is_read(load: Load) -> None:
    step = _flow(load(WHOLE, FILES)).steps["first"]
    schema = step.schema
    assert schema is not None
    assert step == Step(
        span=Span("flow.yaml", 17, 3, 5),
        name="first",
        description="The first",
        tags=("one", "two"),
        model="strong",
        thinking="high",
        system=Template("Be short.", Origin("flow.yaml", 22, 13)),
        messages=(
            MessageTemplate("user", Template("Hi", Origin("flow.yaml", 24, 29)), Span("flow.yaml", 24, 9, 24)),
            RepeatedMessages(
                Expression("inputs.turns", Origin("flow.yaml", 25, 19)),
                "turn_of",
                (
                    MessageTemplate(
                        "user", Template("{{ turn_of.q }}", Origin("flow.yaml", 28, 33)), Span("flow.yaml", 28, 13, 37)
                    ),
                    MessageTemplate(
                        "assistant", Template("Answer\n", Origin("a.md"), "a.md"), Span("flow.yaml", 29, 13, 37)
                    ),
                ),
                Span("flow.yaml", 25, 9),
            ),
            MessageTemplate("assistant", Template("So", Origin("flow.yaml", 30, 34)), Span("flow.yaml", 30, 9, 29)),
        ),
        schema=schema,
        is_enforced_locally=True,
        ensure=(
            Expression("output.a > 1", Origin("flow.yaml", 34, 9)),
            Expression("true", Origin("flow.yaml", 35, 9)),
        ),
        repair=3,
        temperature=0.5,
        top_p=1,
        max_output_tokens=100,
        seed=7,
        stop=("\n", "END"),
        needs=(),
        when=Expression("inputs.depth is none", Origin("flow.yaml", 43, 11)),
        for_each=FanOut(Expression("data.rows", Origin("flow.yaml", 44, 15)), "row"),
        on_error="skip",
        min_success=0.9,
        max_parallel=4,
        samples=3,
        timeout_s=90.0,
        retries=2,
        cache=CachePolicy("refresh", "v2"),
        options={"topK": 3, "deep": {"a": [1]}},
        save=Template("out/{{ item.id }}.txt", Origin("flow.yaml", 54, 11)),
    )
    assert schema.value == {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert (schema.file, schema.base, schema.is_fields) == ("answer.json", "", False)
    assert schema.at("/properties/a/type") == Span("answer.json", 2, 31, 9)
    assert schema.at("/properties/a/nowhere/deep") == Span("answer.json", 2, 22, 19)


def test_every_value_has_its_place(load: Load) -> None:
    flow = _flow(load(WHOLE, FILES))
    step = flow.steps["first"]
    assert step.at("thinking") == Span("flow.yaml", 21, 15, 4)
    assert step.at("cache.salt") == Span("flow.yaml", 52, 33, 2)
    assert step.at("ensure.0") == Span("flow.yaml", 34, 9, 12)
    assert step.at("options.topK") == Span("flow.yaml", 53, 21, 1)
    assert step.at("messages.0.text") == Span("flow.yaml", 24, 28, 4)
    assert step.at("not there") == step.span
    assert flow.outputs["table"].at("columns.id").line == 63
    assert flow.data["rows"].at("key") == Span("flow.yaml", 12, 34, 2)
    assert flow.inputs["ticket"].at("from_env").line == 9
    assert flow.models["fast"].at("use") == Span("flow.yaml", 6, 9, 18)
    assert flow.models["strong"].at("thinking").line == 7
    assert flow.at("name") == Span("flow.yaml", 2, 7, 5)


def test_defaults_fill_what_a_step_leaves_out(load: Load) -> None:
    step = _flow(load(WHOLE, FILES)).steps["second"]
    assert (step.model, step.repair, step.temperature, step.thinking) == ("fast", 1, 0, None)
    assert step.schema is not None
    assert step.schema.is_fields
    assert step.schema.value == {"a": "string"}
    assert step.at("model") == Span("flow.yaml", 15, 19, 4)
    assert step.messages == (
        MessageTemplate(
            "user",
            Template("Look:\n  {{ steps.first.outputs }}\n", Origin("flow.yaml", 57, 7, 6)),
            Span("flow.yaml", 56, 13),
        ),
    )


def test_models_inputs_data_and_outputs(load: Load) -> None:
    flow = _flow(load(WHOLE, FILES))
    assert (flow.file, flow.name, flow.description) == ("flow.yaml", "whole", "All keys at once")
    assert {name: (alias.use, alias.thinking) for name, alias in flow.models.items()} == {
        "fast": ("local/smollm2-135m", None),
        "strong": ("gemini/gemini-3.1-flash-lite", "low"),
    }
    ticket, depth = flow.inputs["ticket"], flow.inputs["depth"]
    assert ticket.schema.value == {"type": "string", "description": "One ticket"}
    assert (ticket.default, ticket.from_env, ticket.from_file) == (("Hello",), "TICKET", "in.txt")
    assert ticket.description == "One ticket"
    assert (depth.default, depth.schema.value) == ((None,), {"type": ["integer", "null"]})
    assert [(source.file, source.format, source.key) for source in flow.data.values()] == [
        ("rows.ndjson", "jsonl", "id"),
        ("rows.csv", "csv", ""),
        ("-", "jsonl", ""),
    ]
    assert flow.data["rows"].schema is not None
    value, yes, table = flow.outputs.values()
    assert isinstance(value, OutputValue)
    assert value.expression == Expression("steps.second.output", Origin("flow.yaml", 61, 10))
    assert isinstance(yes, OutputValue)
    assert yes.expression.text == "true"
    assert isinstance(table, OutputTable)
    assert (table.rows.text, table.file) == ("data.rows", "out/t.csv")
    assert {name: column.text for name, column in table.columns.items()} == {"id": "item.id", "A name": "item.name"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.jsonl", "jsonl"),
        ("x.ndjson", "jsonl"),
        ("x.csv", "csv"),
        ("x.json", "json"),
        ("x.yaml", "yaml"),
        ("x.yml", "yaml"),
    ],
)
def test_the_format_of_data_comes_from_its_suffix(load: Load, name: str, expected: str) -> None:
    assert _flow(load(f"data: {{d: {{file: {name}}}}}\n{STEP}")).data["d"].format == expected


def test_the_name_is_that_of_the_file_when_left_out(load: Load) -> None:
    assert _flow(load(STEP)).name == "flow"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("0.5", 0.5), ("250ms", 0.25), ("30s", 30), ("5m", 300), ("1h", 3600)]
)
def test_timeouts(load: Load, text: str, seconds: float) -> None:
    assert _flow(load(f"{STEP}    timeout: {text}\n")).steps["a"].timeout_s == seconds


@pytest.mark.parametrize(
    ("default", "own", "expected"),
    [
        ("fields: {a: string}", "schema: {type: object}", {"type": "object"}),
        ("schema: {type: object}", "fields: {a: string}", {"a": "string"}),
        ("fields: {a: string}", "schema: {}", {}),
        ("fields: {a: string}", "tags: []", {"a": "string"}),
    ],
)
def test_a_schema_cancels_default_fields_and_the_other_way_round(
    load: Load, default: str, own: str, expected: object
) -> None:
    step = _flow(load(f"defaults: {{{default}}}\n{STEP}    {own}\n")).steps["a"]
    assert step.schema is not None
    assert step.schema.value == expected


def test_a_prompt_cancels_default_messages_and_the_other_way_round(load: Load) -> None:
    flow = _flow(
        load(
            "defaults: {model: m, messages: [{role: user, text: default}]}\n"
            "steps:\n  a: {prompt: own}\n  b: {}\n  c: {messages: [{role: assistant, text: own}]}\n"
        )
    )
    texts = [
        [entry.text.text for entry in step.messages if isinstance(entry, MessageTemplate)]
        for step in flow.steps.values()
    ]
    assert texts == [["own"], ["default"], ["own"]]


def test_a_file_that_no_longer_parses_gives_no_workflow(load: Load) -> None:
    loaded = load("steps: [\n")
    assert (loaded.workflow, _codes(loaded)) == (None, ["yaml-syntax"])


def test_a_list_is_no_workflow(complaints: Complaints) -> None:
    assert complaints("- a\n") == (
        "flow.yaml:1:1: wrong-type: the workflow is a list\n"
        "    1 | - a\n"
        "      | ^\n"
        "  expected: a mapping with the keys of a workflow"
    )


def test_a_suite_is_named_as_one(complaints: Complaints, write: Callable[..., Path]) -> None:
    assert complaints("workflow: x.yaml\ncases: {}\n") == (
        "flow.yaml:2:1: suite-name: this is a suite, and the name of a suite's file ends in .suite.yaml\n"
        "    2 | cases: {}\n"
        "      | ^^^^^\n"
        "  expected: a workflow, which has the key 'steps'\n"
        "  fix:      rename the file to flow.suite.yaml"
    )
    root = write({"a.suite.yaml": "cases: {}\n"})
    (problem,) = load_workflow(root / "a.suite.yaml").problems
    assert (problem.code, problem.message) == ("not-a-workflow", "this is a suite, and not the workflow that it is of")


# --- mistakes


def test_another_format(complaints: Complaints) -> None:
    assert complaints(f"format: 2\n{STEP}") == (
        "flow.yaml:1:9: bad-value: 'format' of the workflow cannot be 2\n"
        "    1 | format: 2\n"
        "      |         ^\n"
        "  expected: 1: this release reads format 1"
    )


def test_steps_are_needed(complaints: Complaints) -> None:
    assert complaints("name: x\n") == (
        "flow.yaml:1:1: missing-key: the workflow lacks the key 'steps'\n"
        "    1 | name: x\n"
        "      | ^\n"
        "  expected: steps: a mapping with a name for each step"
    )
    assert "'steps' of the workflow is empty" in complaints("steps: {}\n")


def test_a_misspelt_key_names_the_nearest(complaints: Complaints) -> None:
    assert complaints(f"{STEP}    shema: x.json\n") == (
        "flow.yaml:5:5: unknown-key: step 'a' has no key 'shema'\n"
        "    5 |     shema: x.json\n"
        "      |     ^^^^^\n"
        "  expected: a key of a step: as, cache, call, context_cache, description, embed, enforce, ensure, escalate, fields, files, for_each, loop, "
        "max_output_tokens, max_parallel, max_turns, messages, min_success, model, needs, on_error, options, prompt, repair, retries, samples, save, "
        "schema, seed, stop, system, tags, temperature, thinking, timeout, tool_choice, tools, top_p, transport, when, with\n"
        "  nearest:  schema"
    )


@pytest.mark.parametrize("misspelt", ["promt: p", "modle: m"])
def test_a_misspelt_key_is_not_missed_as_well(load: Load, misspelt: str) -> None:
    other = "model: m" if misspelt.startswith("p") else "prompt: p"
    assert _codes(load(f"steps:\n  a:\n    {misspelt}\n    {other}\n")) == ["unknown-key"]


def test_a_step_that_asks_nothing_of_nobody(complaints: Complaints) -> None:
    assert complaints("steps:\n  a:\n    tags: []\n") == (
        "flow.yaml:2:3: missing-key: step 'a' asks nothing\n"
        "    2 |   a:\n"
        "      |   ^\n"
        "  expected: the key 'prompt' or 'messages'\n"
        "  fix:      prompt: What the model is asked\n"
        "\n"
        "flow.yaml:2:3: missing-key: step 'a' names no model\n"
        "    2 |   a:\n"
        "      |   ^\n"
        "  expected: the key 'model' in the step or in 'defaults'\n"
        "  fix:      model: provider/model"
    )


def test_a_number_where_text_is_meant_is_shown_in_quotes(complaints: Complaints) -> None:
    assert complaints("steps:\n  a:\n    model: 1.10\n    prompt: p\n") == (
        "flow.yaml:3:12: wrong-type: 'model' of step 'a' is the number 1.10\n"
        "    3 |     model: 1.10\n"
        "      |            ^^^^\n"
        "  expected: provider/model, or an alias\n"
        '  fix:      model: "1.10"'
    )


def test_a_template_in_a_literal_key_says_where_templates_are_read(complaints: Complaints) -> None:
    assert complaints('steps:\n  a:\n    model: "{{ inputs.m }}"\n    prompt: p\n') == (
        "flow.yaml:3:12: template-in-literal: 'model' of step 'a' is taken as it is, but holds a template\n"
        '    3 |     model: "{{ inputs.m }}"\n'
        "      |            ^^^^^^^^^^^^^^^^\n"
        "  expected: a literal value; templates are read in prompt, system, messages[].text and save only"
    )


def test_braces_in_an_expression_are_shown_without(complaints: Complaints) -> None:
    assert complaints(f'{STEP}    when: "{{{{ steps.b.output }}}}"\n') == (
        "flow.yaml:5:11: braces-in-expression: 'when' of step 'a' is an expression already, so it takes no braces\n"
        '    5 |     when: "{{ steps.b.output }}"\n'
        "      |           ^^^^^^^^^^^^^^^^^^^^^^\n"
        "  expected: an expression without braces\n"
        "  fix:      when: steps.b.output"
    )


def test_a_word_for_no_thinking(complaints: Complaints) -> None:
    assert complaints(f"{STEP}    thinking: off\n") == (
        "flow.yaml:5:15: bad-value: 'thinking' of step 'a' cannot be 'off'\n"
        "    5 |     thinking: off\n"
        "      |               ^^^\n"
        "  expected: one of none, minimal, low, medium, high, max, default\n"
        "  nearest:  none\n"
        "  fix:      thinking: none"
    )


def test_a_vector_is_a_list_of_numbers_and_takes_no_defaults_of_questions(load: Load) -> None:
    loaded = load(
        "defaults: {model: m, system: Be brief., repair: 2, temperature: 1, thinking: low, samples: 3, retries: 7}\n"
        "steps:\n  a: {embed: sea}\n"
    )
    assert loaded.problems == ()
    assert loaded.workflow is not None
    step = loaded.workflow.steps["a"]
    assert (step.is_embedding, step.is_enforced_locally, step.retries) == (True, True, 7)
    assert (step.system, step.repair, step.temperature, step.thinking, step.samples) == (None, 0, None, None, None)
    assert step.schema is not None
    assert step.schema.value == {"type": "array", "items": {"type": "number"}, "minItems": 1}
    (message,) = step.messages
    assert isinstance(message, MessageTemplate)
    assert message.text.text == "sea"


@pytest.mark.parametrize("key", ["prompt", "system", "schema", "samples"])
def test_a_vector_excludes_what_concerns_an_answer_in_words(load: Load, key: str) -> None:
    value = {"prompt": "x", "system": "x", "schema": "{}", "samples": "2"}[key]
    loaded = load(f"steps:\n  a:\n    model: m\n    embed: sea\n    {key}: {value}\n")
    assert [problem.message for problem in loaded.problems] == [f"step 'a' has both 'embed' and '{key}'"]


def test_a_budget_bounds_money_calls_and_tokens(load: Load) -> None:
    loaded = load(f"budget: {{usd: 0.5, tokens: 1000}}\n{STEP}")
    assert loaded.problems == ()
    assert loaded.workflow is not None
    budget = loaded.workflow.budget
    assert budget is not None
    assert (budget.usd, budget.calls, budget.tokens) == (0.5, None, 1000)
    assert (str(budget.span), str(budget.at("usd")), str(budget.at("calls"))) == (
        "flow.yaml:1:1",
        "flow.yaml:1:15",
        "flow.yaml:1:1",
    )


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("1", "'budget' of the workflow is the number 1"),
        ("{dollars: 1}", "'budget' of the workflow has no key 'dollars'"),
        ("{usd: -1}", "'usd' of 'budget' of the workflow cannot be -1"),
        ("{calls: 1.5}", "'calls' of 'budget' of the workflow cannot be 1.5"),
        ("{tokens: many}", "'tokens' of 'budget' of the workflow is text"),
    ],
)
def test_a_budget_that_is_none_is_a_mistake(load: Load, budget: str, message: str) -> None:
    loaded = load(f"budget: {budget}\n{STEP}")
    assert [problem.message for problem in loaded.problems] == [message]


def test_an_included_file_has_no_budget(load: Load) -> None:
    loaded = load(f"include: [more.yaml]\n{STEP}", {"more.yaml": "budget: {usd: 1}\n"})
    (problem,) = loaded.problems
    assert (problem.code, problem.fix) == ("unknown-key", "put it into the workflow itself, or into runner.yaml")


@pytest.mark.parametrize(
    ("line", "message", "expected", "fix"),
    [
        ("repair: 11", "'repair' of step 'a' cannot be 11", "a whole number from 0 to 10", ""),
        ("repair: 1.5", "'repair' of step 'a' cannot be 1.5", "a whole number from 0 to 10", ""),
        ('repair: "1"', "'repair' of step 'a' is text", "a whole number from 0 to 10", "repair: 1"),
        ("repair: many", "'repair' of step 'a' is text", "a whole number from 0 to 10", ""),
        ("repair: yes", "'repair' of step 'a' is text", "a whole number from 0 to 10", ""),
        ("repair: true", "'repair' of step 'a' is the truth value true", "a whole number from 0 to 10", ""),
        ("samples: 0", "'samples' of step 'a' cannot be 0", "a whole number from 1 to 1000", ""),
        ("min_success: 98", "'min_success' of step 'a' cannot be 98", "a number from 0 to 1", ""),
        ("timeout: 0", "'timeout' of step 'a' cannot be 0", "a number above 0", ""),
        ("timeout: soon", "'timeout' of step 'a' cannot be 'soon'", "a number with ms, s, m or h, such as 30s", ""),
        (
            "timeout: [1]",
            "'timeout' of step 'a' is a list",
            "a number with ms, s, m or h, such as 30s, or a number above 0",
            "",
        ),
        ("tags: one", "'tags' of step 'a' is text", "a list", "tags: [one]"),
        ('tags: "a: b"', "'tags' of step 'a' is text", "a list", 'tags: ["a: b"]'),
        ("tags: [1]", "entry 1 of 'tags' of step 'a' is the number 1", "text", '- "1"'),
        ("tags: [' ']", "entry 1 of 'tags' of step 'a' is empty", "text", ""),
        ("cache: off", "'cache' of step 'a' is text", "a mapping with use, salt", "cache: {use: off}"),
        ("cache: {use: of}", "'use' of 'cache' of step 'a' cannot be 'of'", "one of auto, refresh, off", "use: off"),
        ("on_error: ignore", "'on_error' of step 'a' cannot be 'ignore'", "one of fail, skip", ""),
        ("when:", "'when' of step 'a' has no value", "an expression without braces", ""),
        ("when: ''", "'when' of step 'a' is empty", "an expression without braces", ""),
        ("system: {fil: x}", "'system' of step 'a' has no key 'fil'", "a key of a file: file", ""),
        ("system: [x]", "'system' of step 'a' is a list", "text, or {file: path}", ""),
        ("options: 1", "'options' of step 'a' is the number 1", "a mapping", ""),
        ("ensure: output.a", "'ensure' of step 'a' is text", "a list", "ensure: [output.a]"),
        ("schema: [a]", "'schema' of step 'a' is a list", "a path, or a mapping", ""),
        ("fields: {}", "'fields' of step 'a' is empty", "at least one entry", ""),
        ("seed: 1e30", "'seed' of step 'a' cannot be 1e+30", "a whole number of at most 64 bits", ""),
    ],
)
def test_wrong_values(load: Load, line: str, message: str, expected: str, fix: str) -> None:
    loaded = load(f"{STEP}    {line}\n")
    assert [(problem.message, problem.expected, problem.fix) for problem in loaded.problems] == [
        (message, expected, fix)
    ]
    assert loaded.workflow is not None


def test_templates_deep_in_options_and_schemas(load: Load) -> None:
    text = (
        STEP
        + '    options: {a: [1, {b: "{{ x }}"}]}\n    schema: {description: "{% x %}", properties: {a: {pattern: "{{2}"}}}\n'
    )
    assert [str(problem.span) for problem in load(text).problems] == ["flow.yaml:5:26", "flow.yaml:6:27"]


def test_a_template_in_an_input(load: Load) -> None:
    loaded = load(f'inputs: {{a: {{default: "{{{{ x }}}}", examples: ["{{{{ y }}}}"]}}}}\n{STEP}')
    assert [problem.message for problem in loaded.problems] == [
        "'default' of input 'a' is taken as it is, but holds a template"
    ]


def test_an_expression_with_braces_inside_gets_no_guessed_fix(load: Load) -> None:
    loaded = load(f'{STEP}    ensure: ["a {{{{ b }}}}", "{{{{ c }}}}"]\n')
    assert [problem.fix for problem in loaded.problems] == ["", "- c"]


@pytest.mark.parametrize(
    "pair", [("prompt: p", "messages: [{role: user, text: t}]"), ("schema: {}", "fields: {a: string}")]
)
def test_keys_that_exclude_each_other(load: Load, pair: tuple[str, str]) -> None:
    one, other = (text.partition(":")[0] for text in pair)
    rest = "" if one == "prompt" else "    prompt: p\n"
    loaded = load(f"steps:\n  a:\n    model: m\n{rest}    {pair[1]}\n    {pair[0]}\n")
    assert [(problem.code, problem.message) for problem in loaded.problems] == [
        ("either-or", f"step 'a' has both '{one}' and '{other}'")
    ]
    assert loaded.problems[0].span is not None
    assert loaded.problems[0].span.line == (5 if not rest else 6)


@pytest.mark.parametrize("name", ["item", "inputs", "steps", "data", "state", "turn", "case", "each", "group"])
def test_names_that_would_shadow_are_refused(load: Load, name: str) -> None:
    loaded = load(f"{STEP}    for_each: data.x\n    as: {name}\n")
    assert [(problem.code, problem.message) for problem in loaded.problems] == [
        ("reserved-name", f"'as' of step 'a' cannot be '{name}': that name has a meaning of its own")
    ]


def test_as_needs_something_to_name(complaints: Complaints) -> None:
    assert complaints(f"{STEP}    as: row\n") == (
        "flow.yaml:5:5: missing-key: step 'a' has the key 'as', but no 'for_each'\n"
        "    5 |     as: row\n"
        "      |     ^^\n"
        "  expected: for_each: the list that 'as' names an element of"
    )


def test_as_may_name_the_element_of_a_default_for_each(load: Load) -> None:
    flow = _flow(load(f"defaults: {{for_each: data.x}}\n{STEP}    as: row\n"))
    assert flow.steps["a"].for_each == FanOut(Expression("data.x", Origin("flow.yaml", 1, 22)), "row")


def test_a_repeated_message_cannot_take_the_name_of_the_element(load: Load) -> None:
    loaded = load(
        "steps:\n  a:\n    model: m\n    for_each: data.x\n    as: row\n    messages:\n"
        "      - {for_each: row.turns, as: row, messages: [{role: user, text: t}]}\n"
    )
    assert [(str(problem.span), problem.message) for problem in loaded.problems] == [
        ("flow.yaml:7:31", "'as' of a message of step 'a' is 'row', which names the step's own element already")
    ]


def test_broken_messages_are_left_out(load: Load) -> None:
    loaded = load(
        "steps:\n  a:\n    model: m\n    messages:\n      - text\n      - {role: system, text: t}\n"
        "      - {role: user}\n      - {for_each: x, messages: [u]}\n      - {role: user, text: {file: 1}}\n"
        "      - {role: user, text: {}}\n"
    )
    assert [problem.message for problem in loaded.problems] == [
        "entry 1 of 'messages' of step 'a' is text",
        "'role' of entry 2 of 'messages' of step 'a' cannot be 'system'",
        "entry 3 of 'messages' of step 'a' lacks the key 'text'",
        "entry 1 of 'messages' of entry 4 of 'messages' of step 'a' is text",
        "entry 4 of 'messages' of step 'a' lacks the key 'as'",
        "'file' of 'text' of entry 5 of 'messages' of step 'a' is the number 1",
        "'text' of entry 6 of 'messages' of step 'a' lacks the key 'file'",
    ]
    assert loaded.workflow is not None
    assert loaded.workflow.steps["a"].messages == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: {1a: {model: m, prompt: p}}", "'1a' cannot be the name of a step"),
        ("inputs: {a b: {type: string}}", "'a b' cannot be the name of an input"),
        ("models: {a/b: x}", "'a/b' cannot be the name of a model"),
        ('data: {"{{ x }}": {file: "-"}}', "the name of a data source is taken as it is, but holds a template"),
    ],
)
def test_names(load: Load, text: str, message: str) -> None:
    loaded = load(text if text.startswith("steps") else f"{text}\n{STEP}")
    assert [problem.message for problem in loaded.problems] == [message]


def test_shapes_of_inputs_models_and_outputs(load: Load) -> None:
    loaded = load(
        f"inputs: {{a: string, b: [x], c: {{defualt: 1}}}}\nmodels: {{a: 1, b: {{thinking: low}}, c: ''}}\n"
        f"outputs: {{a: [b], b: , c: {{rows: '', file: x.csv, columns: {{}}}}, d: {{rows: x, file: ../x.csv, columns: {{a: [1]}}}}}}\n{STEP}"
    )
    assert [(problem.message, problem.fix) for problem in loaded.problems] == [
        ("input 'a' is text", "a: {type: string}"),
        ("input 'b' is a list", ""),
        ("input 'c' has no key 'defualt'", ""),
        ("model 'a' is the number 1", 'a: "1"'),
        ("model 'b' lacks the key 'use'", ""),
        ("model 'c' is empty", ""),
        ("output 'a' is a list", ""),
        ("output 'b' has no value", ""),
        ("'rows' of output 'c' is empty", ""),
        ("'columns' of output 'c' is empty", ""),
        ("column 'a' is a list", ""),
        (
            "../x.csv lies outside the project",
            "put an empty runner.yaml into the folder that is to be the project's root",
        ),
    ]
    assert loaded.workflow is not None
    assert list(loaded.workflow.inputs) == ["a", "b", "c"]
    assert list(loaded.workflow.outputs) == ["d"]


def test_a_step_that_is_no_mapping_can_still_be_named(load: Load) -> None:
    loaded = load("steps: {a: hello}\n")
    assert [problem.message for problem in loaded.problems] == ["step 'a' is text"]
    assert loaded.workflow is not None
    assert loaded.workflow.steps["a"].schema is not None


def test_where_no_step_names_a_model_it_is_told_once(load: Load) -> None:
    loaded = load("steps:\n  a: {prompt: x}\n  b: {prompt: y}\n")
    assert [(problem.message, problem.expected, problem.fix) for problem in loaded.problems] == [
        (
            "no step names a model",
            "the key 'model' in each step, or once in 'defaults'",
            "defaults: {model: provider/model}",
        )
    ]
    loaded = load("steps:\n  a: {prompt: x}\n  b: {prompt: y}\n  c: {prompt: z, model: m}\n")
    assert [problem.message for problem in loaded.problems] == ["step 'a' names no model", "step 'b' names no model"]


def test_steps_that_are_no_mapping(load: Load) -> None:
    loaded = load("steps: [a]\ndefaults: 1\n")
    assert [problem.message for problem in loaded.problems] == [
        "'steps' of the workflow is a list",
        "'defaults' of the workflow is the number 1",
    ]
    assert loaded.workflow is not None
    assert loaded.workflow.steps == {}


@pytest.mark.parametrize(
    "line", ["schema: nowhere.json", "shema: x.json", "schema: 5", "fields: x", "schema: list.json"]
)
def test_with_a_broken_schema_the_output_can_be_anything(load: Load, line: str) -> None:
    loaded = load(f"{STEP}    {line}\n", {"list.json": "[1]"})
    assert len(loaded.problems) == 1
    assert loaded.workflow is not None
    schema = loaded.workflow.steps["a"].schema
    assert schema is not None
    assert schema.value == {}


def test_all_mistakes_are_shown_together(load: Load) -> None:
    loaded = load(
        "budget: 1\nsteps:\n  a:\n    promt: x\n    model: m\n  b:\n    model: m\n    prompt: {file: no.md}\n    repair: 99\n"
    )
    assert sorted(_codes(loaded)) == ["bad-value", "missing-file", "unknown-key", "wrong-type"]


def test_a_duplicate_key_does_not_hide_the_rest(load: Load) -> None:
    assert sorted(_codes(load(f"{STEP}    prompt: q\n    temprature: 1\n"))) == ["duplicate-key", "unknown-key"]


def test_messages_that_hold_nothing(load: Load) -> None:
    loaded = load("steps:\n  a:\n    model: m\n    messages: []\n")
    assert [problem.message for problem in loaded.problems] == ["'messages' of step 'a' is empty"]


def test_text_that_yaml_takes_for_a_comment_is_a_warning(complaints: Complaints) -> None:
    assert complaints("steps:\n  a:\n    model: m\n    prompt: List them # all\n") == (
        "flow.yaml:4:13: warning: lost-text: YAML takes the rest of this line for a comment, so it is not part of the text\n"
        "    4 |     prompt: List them # all\n"
        "      |             ^^^^^^^^^\n"
        "  fix:      a block with |, which keeps the text as it is"
    )


@pytest.mark.parametrize("prompt", [">\n      one\n      two", "one\n      two"])
def test_lines_that_yaml_joins_are_a_warning(load: Load, prompt: str) -> None:
    loaded = load(f"steps:\n  a:\n    model: m\n    prompt: {prompt}\n")
    assert [(problem.severity, problem.code, problem.message) for problem in loaded.problems] == [
        ("warning", "lost-text", "YAML joins the lines of this text into one")
    ]


@pytest.mark.parametrize("prompt", ["one line", "&x one line", '"one\n      two"', "|\n      one # two"])
def test_other_texts_need_no_warning(load: Load, prompt: str) -> None:
    assert load(f"steps:\n  a:\n    model: m\n    prompt: {prompt}\n").problems == ()


# Escalation


def test_an_escalation_is_read_with_the_settings_of_each_model(load: Load) -> None:
    found = _flow(
        load(
            "steps:\n  a:\n    model: m\n    prompt: x\n    temperature: 1\n    max_output_tokens: 9\n    escalate:\n"
            "      to: [mid, {model: top, thinking: high, top_p: 0.5, seed: 3, options: {topK: 2}}]\n"
            "      when: text == ''\n      on: [cut, transport]\n"
        )
    )
    step = found.steps["a"]
    assert step.escalate is not None
    assert step.escalate.when == Expression("text == ''", Origin("flow.yaml", 9, 13))
    assert step.escalate.on == frozenset({"cut", "transport"})
    mid, top = step.rungs["a.escalate.1"], step.rungs["a.escalate.2"]
    assert (mid.model, mid.temperature, mid.max_output_tokens, mid.thinking) == ("mid", None, 9, None)
    assert (top.model, top.thinking, top.top_p, top.seed, top.options) == ("top", "high", 0.5, 3, {"topK": 2})
    assert top.at("thinking") == Span("flow.yaml", 8, 40, 4)
    assert top.at("max_output_tokens") == Span("flow.yaml", 6, 24)
    assert list(found.asked) == ["a", "a.escalate.1", "a.escalate.2"]


@pytest.mark.parametrize("to", ["mid", "{model: mid}", "[mid]"])
def test_one_model_to_ask_next_can_be_written_in_three_ways(load: Load, to: str) -> None:
    step = _flow(load(f"steps:\n  a: {{model: m, prompt: x, escalate: {{to: {to}}}}}\n")).steps["a"]
    assert step.escalate is not None
    assert [target.model for target in step.escalate.to] == ["mid"]
    assert step.escalate.on == frozenset({"invalid", "cut", "refused"})


@pytest.mark.parametrize(
    ("escalation", "message"),
    [
        ("{when: true}", "missing-key: 'escalate' of step 'a' lacks the key 'to'"),
        ("{to: []}", "bad-value: 'to' of 'escalate' of step 'a' is empty"),
        ("{to: [{thinking: low}]}", "missing-key: entry 1 of 'to' of 'escalate' of step 'a' lacks the key 'model'"),
        ("{to: 3}", "wrong-type: 'to' of 'escalate' of step 'a'"),
        ("{to: [[m]]}", "wrong-type: entry 1 of 'to' of 'escalate' of step 'a'"),
        ("{to: m, on: [slow]}", "bad-value: entry 1 of 'on' of 'escalate' of step 'a' cannot be 'slow'"),
        ("strong", "wrong-type: 'escalate' of step 'a'"),
    ],
)
def test_a_mistake_in_an_escalation_is_told_and_the_step_is_read_without(
    load: Load, complaints: Complaints, escalation: str, message: str
) -> None:
    text = f"steps:\n  a: {{model: m, prompt: x, escalate: {escalation}}}\n"
    assert message in complaints(text)


def test_one_mistake_in_a_number_is_one_finding(load: Load) -> None:
    loaded = load(f"budget: {{usd: .nan, calls: 1e400}}\n{STEP}")
    assert [(problem.code, str(problem.span)) for problem in loaded.problems] == [
        ("bad-number", "flow.yaml:1:15"),
        ("bad-number", "flow.yaml:1:28"),
    ]


def test_an_included_file_that_cannot_be_read_is_told_once(load: Load) -> None:
    loaded = load(f"include: [../a.yaml, ../b.yaml, /c.yaml]\n{STEP}")
    assert [problem.code for problem in loaded.problems] == ["outside-root"] * 3
