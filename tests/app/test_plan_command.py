"""`runner plan` says what a run would do, and does nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main

FLOW = """
format: 1
data: {rows: {file: rows.jsonl, key: id}}
models: {m: scripted/answers.jsonl}
defaults: {model: m, max_output_tokens: 50}
inputs: {topic: {type: string, default: tea}}
steps:
  first:
    prompt: "first {{ inputs.topic }}"
    fields: {words: [string], good: boolean}
  each:
    for_each: steps.first.output.words
    prompt: "each {{ item }}"
    repair: 1
    fields: {size: integer}
  tag:
    for_each: data.rows
    prompt: "tag {{ item.id }}"
    fields: {size: integer}
  last:
    when: steps.first.output.good
    prompt: "last {{ steps.tag.outputs | length }}"
"""
ANSWERS = [
    {"match": "first", "answer": {"words": ["a", "b"], "good": True}},
    {"match": "each", "answer": {"size": 1}},
    {"match": "tag", "answer": {"size": 2}},
    {"match": "last", "answer": "done"},
]


FIRST_PLAN = """\
    step    model                    thinking   state                                  tokens in/out   cost    why
+   first   scripted/answers.jsonl   -          call                                   ~44 / ≤50       $0.00   new
~   each    scripted/answers.jsonl   -          may call (the list is not known yet)   ? / ≤50         $0.00   known after first
+   tag     scripted/answers.jsonl   -          2 calls                                ~56 / ≤100      $0.00   new (2)
~   last    scripted/answers.jsonl   -          may call                               ~160 / ≤50      $0.00   known after first, tag

certain 3 calls $0.00 · worst case not known yet · 0 cached
tokens in: a quarter of the bytes · tokens out: the cap of the step, the model or the schema
"""


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "runner.yaml").write_text("models: {}\n")
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in ANSWERS))
    (tmp_path / "rows.jsonl").write_text('{"id": "x"}\n{"id": "y"}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path / "flow.yaml"


def call(capsys: Any, *words: str) -> tuple[int, str]:
    code = main(list(words))
    said = capsys.readouterr()
    return code, said.out


def edit(flow: Path, old: str, new: str) -> None:
    text = flow.read_text()
    assert old in text
    flow.write_text(text.replace(old, new))


def test_a_first_plan_knows_what_is_certain_and_what_is_not(flow: Path, capsys: Any) -> None:
    code, out = call(capsys, "plan", "flow.yaml")
    assert code == 0
    assert out == FIRST_PLAN


def test_a_plan_calls_and_writes_nothing(flow: Path, capsys: Any) -> None:
    before = sorted(path.name for path in flow.parent.iterdir())
    call(capsys, "plan", "flow.yaml")
    assert sorted(path.name for path in flow.parent.iterdir()) == before


def test_after_a_run_all_is_cached(flow: Path, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "-q")
    code, out = call(capsys, "plan", "flow.yaml", "--exit-code")
    assert code == 0
    assert "certain 0 calls $0.00 · worst case 0 calls $0.00 · 6 cached" in out


def test_a_change_is_named_and_what_is_behind_it_may_be_called(flow: Path, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "-q")
    code, out = call(capsys, "plan", "flow.yaml", "-i", "topic=coffee", "--exit-code")
    assert code == 6
    rows = [line.split("   ") for line in out.splitlines()[1:5]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("+", "input:topic: tea → coffee"),
        ("~", "known after first"),
        ("=", "  $0.00"),
        ("~", "known after first"),
    ]


def test_why_puts_the_ingredients_side_by_side(flow: Path, capsys: Any) -> None:
    call(capsys, "run", "flow.yaml", "-q")
    edit(flow, '"tag {{ item.id }}"', '"tag it {{ item.id }}"')
    code, out = call(capsys, "plan", "flow.yaml", "--why", "tag[y]")
    assert code == 0
    said = out[out.index("tag[y]") :].splitlines()
    assert said[:3] == [
        "tag[y]  template:flow.yaml:18",
        "  same      dialect  model  model-version  options  schema  data",
        "  changed   template:flow.yaml:18   flow.yaml:18:18",
    ]
    assert said[3].startswith("  nearest   answer of run r1, less than a minute old, key ")


def test_why_of_a_step_that_was_never_asked(flow: Path, capsys: Any) -> None:
    _, out = call(capsys, "plan", "flow.yaml", "--why", "first")
    assert out.endswith("first  new\n  nearest   nothing was ever stored for this step\n")


def test_why_of_an_unknown_step_is_a_mistake_as_it_is_for_a_selection(flow: Path, capsys: Any) -> None:
    assert main(["plan", "flow.yaml", "-s", "firts"]) == 2
    capsys.readouterr()
    assert main(["plan", "flow.yaml", "--why", "firts"]) == 2
    assert capsys.readouterr().err == (
        "unknown-step: --why names step 'firts', but no step has that name\n"
        "  expected: a step: each, first, last, tag\n"
        "  nearest:  first\n"
    )


@pytest.mark.parametrize(
    ("why", "message"),
    [
        (
            "tag[yelow]",
            (
                "nothing-selected: --why names 'tag[yelow]', but no item of the step has that name\n"
                "  nearest:  tag[yellow]\n"
            ),
        ),
        ("first[x]", "nothing-selected: --why names 'first[x]', but the step has no items\n"),
    ],
)
def test_why_of_an_item_that_there_is_not_selects_nothing(flow: Path, capsys: Any, why: str, message: str) -> None:
    flow.with_name("rows.jsonl").write_text('{"id": "x"}\n{"id": "yellow"}\n')
    assert main(["plan", "flow.yaml", "--why", why]) == 5
    assert capsys.readouterr().err == message


def test_why_of_an_item_of_a_list_that_is_not_known_yet_says_so(flow: Path, capsys: Any) -> None:
    code, out = call(capsys, "plan", "flow.yaml", "--why", "each[a]")
    assert code == 0
    assert out.endswith("\neach[a]  no call that is certain: each is 'may call', known after first\n")


def test_a_step_that_cannot_run_for_want_of_a_call_is_exit_6(flow: Path, capsys: Any) -> None:
    code, out = call(capsys, "plan", "flow.yaml", "-s", "last", "--exit-code")
    assert (code, "certain 0 calls" in out) == (6, True)
    assert call(capsys, "run", "flow.yaml", "-s", "last")[0] == 6
    assert call(capsys, "plan", "flow.yaml", "-s", "last")[0] == 0


def test_a_failure_that_stored_answers_lead_to_is_exit_1(flow: Path, capsys: Any) -> None:
    edit(flow, '    prompt: "last', '    ensure: [text == "never"]\n    prompt: "last')
    edit(flow, "  last:\n", "  last:\n    on_error: skip\n    min_success: 1\n")
    assert call(capsys, "run", "flow.yaml", "-q")[0] == 1
    code, out = call(capsys, "plan", "flow.yaml", "--exit-code")
    assert (code, "certain 0 calls $0.00 · worst case 0 calls" in out) == (1, True)
    edit(flow, "    min_success: 1\n", "    min_success: 0\n")
    assert call(capsys, "plan", "flow.yaml", "--exit-code")[0] == 0


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("{usd: 5}", "budget $5.00 (flow.yaml:2:15) may be reached"),
        ("{usd: 0.000001}", "budget $0.000001 (flow.yaml:2:15) is too small: a run does not start"),
        (
            "{calls: 600, tokens: 2000000}",
            "budget 600 calls (flow.yaml:2:17) may be reached · 2,000,000 tokens (flow.yaml:2:30) may be reached",
        ),
    ],
)
def test_the_budget_stands_beside_the_cost(flow: Path, capsys: Any, budget: str, said: str) -> None:
    edit(flow, "\nformat: 1", f"\nbudget: {budget}\nformat: 1")
    _, out = call(capsys, "plan", "flow.yaml", "--model", "m=gemini/gemini-3.1-flash-lite")
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("budget")] == [said]
    assert lines.index(said) == lines.index(next(line for line in lines if line.startswith("certain"))) + 1


def test_a_budget_that_the_worst_case_fits_into_holds(flow: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("RUNNER_MAX_COST", "0.5")
    call(capsys, "run", "flow.yaml", "-q")
    edit(flow, "\nformat: 1", "\nbudget: {usd: 5, calls: 1, tokens: 1}\nformat: 1")
    _, out = call(capsys, "plan", "flow.yaml")
    assert (
        "\nbudget $0.50 (RUNNER_MAX_COST) holds · 1 call (flow.yaml:2:25) holds · 1 token (flow.yaml:2:36) holds\n"
        in out
    )
    _, out = call(capsys, "plan", "flow.yaml", "--json")
    assert json.loads(out)["budget"][0] == {
        "kind": "usd",
        "limit": 0.5,
        "said_by": "RUNNER_MAX_COST",
        "certain": 0.0,
        "worst": 0.0,
        "verdict": "holds",
    }


def test_a_failure_that_is_not_settled_is_a_certain_call(flow: Path, capsys: Any) -> None:
    (flow.parent / "answers.jsonl").write_text(json.dumps({"answer": "no", "finish": "refused"}) + "\n")
    call(capsys, "run", "flow.yaml", "-q")
    _, out = call(capsys, "plan", "flow.yaml")
    assert "failed-before" in out.splitlines()[1]


def test_a_price_gives_a_range(flow: Path, capsys: Any) -> None:
    _, out = call(capsys, "plan", "flow.yaml", "--model", "m=gemini/gemini-3.1-flash-lite", "--json")
    document = json.loads(out)
    first = document["steps"][0]
    assert first["least_usd"] == first["cost_usd"] == pytest.approx((first["input_tokens"] * 0.25 + 1.5) / 1e6)
    assert first["worst_usd"] == pytest.approx((first["input_tokens"] * 0.25 + 50 * 1.5) / 1e6)
    assert document["totals"]["worst_usd"] is None, "a list that is not known has no price"
    assert document["totals"]["calls"] == 3
    assert [call["reason"] for call in document["calls"]] == ["new", "new", "new"]


def test_a_mistake_in_the_file_is_exit_2(flow: Path, capsys: Any) -> None:
    edit(flow, "inputs.topic }}", "inputs.topik }}")
    assert main(["plan", "flow.yaml"]) == 2
    assert "unknown-input" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["mermaid", "dot", "svg"])
def test_a_graph_is_the_plan_as_a_picture(flow: Path, capsys: Any, kind: str) -> None:
    code, out = call(capsys, "plan", "flow.yaml", "--graph", kind)
    assert code == 0
    begin = {"mermaid": "flowchart TD\n", "dot": 'digraph "flow" {\n', "svg": '<svg xmlns="http://www.w3.org/2000/svg"'}
    assert out.startswith(begin[kind])
    assert "may call" in out
    assert "2 calls" in out


def test_a_graph_names_its_kinds(flow: Path, capsys: Any) -> None:
    assert main(["plan", str(flow), "--graph", "png"]) == 2
    assert "option --graph: 'png' is none of mermaid, dot, svg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--graph", "dot", "--json"), "--graph and --json exclude each other"),
        (("--graph", "dot", "--list"), "--graph and --list exclude each other"),
        (("--list", "--why"), "--list and --why exclude each other"),
    ],
)
def test_what_standard_output_is_is_said_once(flow: Path, capsys: Any, words: tuple[str, ...], said: str) -> None:
    assert main(["plan", str(flow), *words]) == 2
    assert said in capsys.readouterr().err + capsys.readouterr().out


LISTED = """\
step    model                    tags   description
first   scripted/answers.jsonl   a, b   The first of all
each    scripted/answers.jsonl   -      -
tag     scripted/answers.jsonl   -      -
last    scripted/answers.jsonl   -      -
"""


def test_a_list_names_the_steps_without_rows_or_inputs(flow: Path, capsys: Any) -> None:
    edit(flow, "  first:\n", "  first:\n    tags: [a, b]\n    description: The first of all\n")
    (flow.parent / "rows.jsonl").write_text("not even rows")
    code, out = call(capsys, "plan", "flow.yaml", "--list")
    assert (code, out) == (0, LISTED)
    code, out = call(capsys, "plan", "flow.yaml", "--list", "--json")
    document = json.loads(out)
    assert [step["step"] for step in document["shape"]] == ["first", "each", "tag", "last"]
    assert document["shape"][1]["reads"] == [{"step": "first", "kind": "list"}]
    assert document["shape"][3]["reads"] == [{"step": "first", "kind": "answer"}, {"step": "tag", "kind": "all items"}]


def test_a_picture_is_saved_as_the_picture(flow: Path, capsys: Any) -> None:
    _, out = call(capsys, "plan", "flow.yaml", "--graph", "dot", "-o", "flow.dot")
    assert flow.with_name("flow.dot").read_text(encoding="utf-8") == out


SHARED = """
models: {m: scripted/answers.jsonl}
defaults: {model: m}
steps:
  first: {prompt: same question, fields: {a: string}}
  second: {prompt: same question, fields: {a: string}, repair: 2, ensure: [output.a != "x"]}
  each: {for_each: '["p", "q"]', prompt: same question, fields: {a: string}}
  last: {prompt: "{{ steps.each.outputs | length }} answers"}
outputs: {last: steps.last.text}
"""


def test_a_question_that_another_step_asks_is_neither_skipped_nor_known(flow: Path, capsys: Any) -> None:
    flow.write_text(SHARED, encoding="utf-8")
    flow.with_name("answers.jsonl").write_text('{"match": "same", "answer": {"a": "y"}}\n{"answer": "done"}\n')
    _, out = call(capsys, "plan", "flow.yaml", "--json")
    plan = json.loads(out)
    found = {
        step["step"]: (step["fate"], step["calls"], step["may_calls"], step["after"], step["shared"])
        for step in plan["steps"]
    }
    assert found == {
        "first": ("call", 1, 0, [], 0),
        "second": ("may call", 0, 2, ["first"], 1),
        "each": ("may call", 0, 0, ["first"], 2),
        "last": ("may call", 0, 1, ["first"], 0),
    }
    assert plan["shape"][2]["lane"] == '["p", "q"]'
    assert (plan["totals"]["calls"], plan["totals"]["worst_calls"]) == (1, 4)
    _, out = call(capsys, "plan", "flow.yaml")
    assert [line.split() for line in out.splitlines() if " each " in line] == [
        ["~", "each", "scripted/answers.jsonl", "-", "may", "call", "$0.00", "known", "after", "first"]
    ]
    assert main(["run", "flow.yaml", "-q"]) == 0
    assert json.loads(capsys.readouterr().out) == {"last": "done"}
    _, out = call(capsys, "plan", "flow.yaml", "--json")
    assert {step["fate"] for step in json.loads(out)["steps"]} == {"cached"}
