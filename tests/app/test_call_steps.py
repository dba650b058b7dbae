"""Steps that run a tool of the project: typed, stored, replayed, and never by a workflow file alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app import api
from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.core.errors import RunnerError

SETTINGS = """
tools:
  lookup:
    python: shop_stock:lookup
    parameters: {type: object, properties: {sku: {type: string}, least: {type: integer}}, required: [sku]}
    returns: {type: object, properties: {name: {type: string}, left: {type: integer}}, required: [name, left]}
    version: 1
"""
FLOW = """
format: 1
name: stock
inputs: {sku: {type: string, default: A1}}
defaults: {model: box/small}
steps:
  stock:
    call: lookup
    with: {sku: {from: inputs.sku}, least: 2}
  say:
    prompt: "said of {{ steps.stock.output.name }} {{ steps.stock.output.left + 1 }}"
outputs: {left: steps.stock.output.left, said: steps.say.text}
"""
MODULE = """
from pathlib import Path

PLACE = Path(__file__).parent
with open(PLACE / "imported", "a") as file:
    file.write("x")


def lookup(sku, least=0):
    print("looking up", sku)
    with open(PLACE / "ran", "a") as file:
        file.write(sku + " ")
    if sku == "X9":
        raise KeyError(sku)
    return {"name": f"article {sku}", "left": 7 if sku != "B2" else "many"}
"""


@pytest.fixture
def shop(project: Any) -> Iterator[Any]:
    """The project with a tool; what it imports is forgotten afterwards."""
    known, modules = list(sys.path), set(sys.modules)
    settings = (project.root / "runner.yaml").read_text(encoding="utf-8")
    project.write("runner.yaml", settings + SETTINGS)
    project.write("shop_stock.py", MODULE)
    project.workflow(FLOW)
    project.server.respond = lambda _d, _b, _n: project.Answer(text="words")
    yield project
    sys.path[:] = known
    for name in set(sys.modules) - modules:
        if name.startswith("shop_"):
            del sys.modules[name]


def ran(project: Any) -> list[str]:
    path: Path = project.root / "ran"
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def imported(project: Any) -> bool:
    path: Path = project.root / "imported"
    return path.exists()


def test_a_step_runs_a_tool_and_others_read_what_it_returns(shop: Any) -> None:
    result = shop.run()
    assert result.outputs == {"left": 7, "said": "words"}
    assert [request.prompt for request in shop.server.requests] == ["said of article A1 8"]
    assert ran(shop) == ["A1"]


def test_a_result_is_replayed_without_running_or_importing_anything(shop: Any) -> None:
    shop.run()
    (shop.root / "imported").unlink()
    (shop.root / "shop_stock.py").unlink()
    again = shop.run()
    assert again.outputs == {"left": 7, "said": "words"}
    assert (again.summary.calls, again.summary.cached) == (0, 2)
    assert shop.run(offline=True).exit_code == 0
    assert (ran(shop), imported(shop)) == (["A1"], False)


def test_other_arguments_and_another_version_run_it_again_and_say_why(shop: Any) -> None:
    shop.run()
    shop.run(inputs={"sku": "C3"})
    assert shop.reasons()[0] == "input:sku: A1 → C3"
    shop.edit("least: 2", "least: 3")
    shop.run(inputs={"sku": "C3"})
    assert shop.reasons()[0] == "option:with.least: 2 → 3"
    settings = (shop.root / "runner.yaml").read_text(encoding="utf-8")
    shop.write("runner.yaml", settings.replace("version: 1", "version: 2"))
    shop.run()
    assert shop.reasons()[0] == "option:version: 1 → 2, input:sku: C3 → A1"
    assert ran(shop) == ["A1", "C3", "C3", "A1"]


def test_other_names_of_step_and_tool_change_nothing(shop: Any) -> None:
    shop.run()
    settings = (shop.root / "runner.yaml").read_text(encoding="utf-8")
    shop.write("runner.yaml", settings.replace("  lookup:\n", "  find:\n"))
    shop.edit("call: lookup", "call: find")
    assert shop.run().summary.calls == 0


def test_a_refreshed_step_runs_its_tool_again(shop: Any) -> None:
    shop.run()
    shop.run(refresh={"stock"})
    assert ran(shop) == ["A1", "A1"]


def test_a_tool_that_is_not_replayed_runs_each_time(shop: Any) -> None:
    settings = (shop.root / "runner.yaml").read_text(encoding="utf-8")
    shop.write("runner.yaml", settings.replace("    version: 1\n", "    version: 1\n    replay: false\n"))
    shop.run()
    assert shop.run().outputs["left"] == 7
    assert ran(shop) == ["A1", "A1"]
    assert shop.reasons() == ["off"]
    assert shop.run(offline=True).exit_code == 6


def test_neither_check_nor_plan_nor_an_offline_run_imports_a_tool(shop: Any) -> None:
    assert runner.check(shop.root / "flow.yaml").problems == ()
    plan = plan_workflow(shop.root / "flow.yaml", RunOptions()).plan
    assert [(step.step, step.calls, step.may_calls, step.model) for step in plan.steps] == [
        ("stock", 1, 0, "tool/lookup"),
        ("say", 0, 1, "box/small"),
    ]
    assert shop.run(offline=True).exit_code == 6
    assert (imported(shop), ran(shop)) == (False, [])


def test_a_workflow_file_alone_never_causes_code_to_run(shop: Any) -> None:
    shop.write("runner.yaml", "providers: {}\n")
    for name in ("lookup", '"shop_stock:lookup"', "shop_stock"):
        shop.workflow(FLOW.replace("call: lookup", f"call: {name}").replace("box/small", "scripted/answers.json"))
        with pytest.raises(RunnerError) as caught:
            shop.run()
        assert {problem.code for problem in caught.value.problems} & {"unknown-tool", "bad-value"}
    assert (imported(shop), ran(shop)) == (False, [])


def test_a_tool_that_fails_is_told_at_its_step_and_asked_again_next_time(shop: Any) -> None:
    result = shop.run(inputs={"sku": "X9"})
    assert result.exit_code == 3
    assert [problem.message for problem in result.problems] == ["stock: tool 'lookup' failed: KeyError: 'X9'"]
    assert shop.run(inputs={"sku": "X9"}).exit_code == 3
    assert ran(shop) == ["X9", "X9"]


def test_a_result_that_does_not_fit_what_the_tool_returns_is_a_failure(shop: Any) -> None:
    result = shop.run(inputs={"sku": "B2"})
    assert result.exit_code == 1
    assert [(problem.code, problem.message) for problem in result.problems] == [
        ("invalid-output", "stock: the answer does not fit its schema")
    ]


def test_failed_items_of_a_lane_are_left_out(shop: Any) -> None:
    shop.write("rows.jsonl", "".join(json.dumps({"id": name}) + "\n" for name in ("A1", "X9", "C3")))
    shop.workflow(
        "data: {rows: {file: rows.jsonl, key: id}}\nsteps:\n  stock:\n    for_each: data.rows\n"
        "    call: lookup\n    with: {sku: {from: item.id}}\n    on_error: skip\n    ensure: [output.left > 1]\n"
        "outputs: {names: steps.stock.outputs | map(attribute='name')}\n"
    )
    result = shop.run()
    assert (result.exit_code, result.outputs) == (0, {"names": ["article A1", "article C3"]})
    assert shop.run().summary.cached == 2


def test_a_loop_runs_a_tool_in_each_turn(shop: Any) -> None:
    shop.workflow("""
steps:
  walk:
    loop:
      max: 3
      state: {fields: {left: integer, sku: string}, start: {left: 0, sku: A}}
      steps: {stock: {call: lookup, with: {sku: {from: state.sku}}}}
      next: {left: state.left + steps.stock.output.left, sku: state.sku ~ turn}
outputs: {left: steps.walk.state.left}
""")
    assert shop.run().outputs == {"left": 21}
    assert ran(shop) == ["A", "A1", "A12"]
    assert shop.run().summary.calls == 0


def test_what_a_tool_prints_is_no_part_of_the_result(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from runner.cli.main import main

    assert main(["-q", "run", str(shop.root / "flow.yaml")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"left": 7, "said": "words"}
    assert "looking up A1" in err


def test_show_tells_what_a_tool_was_given_and_what_it_gave(shop: Any) -> None:
    shop.run()
    shown = api.show(shop.root, None, "stock", None)
    assert shown["attempts"][0]["request"] == {"arguments": {"sku": "A1", "least": 2}, "version": "1"}
    assert json.loads(shown["attempts"][0]["answer"]) == {"name": "article A1", "left": 7}


def test_a_recorded_result_is_replayed_from_the_repository(shop: Any) -> None:
    shop.run(record=True)
    import shutil

    shutil.rmtree(shop.root / "cache/local")
    again = shop.run(offline=True)
    assert (again.exit_code, again.summary.recorded) == (0, 2)


def test_a_suite_runs_a_tool_and_replays_it(shop: Any) -> None:
    shop.write(
        "stock.suite.yaml",
        "workflow: flow.yaml\ncases:\n  one:\n    with: {sku: C3}\n    expect: {steps.stock: {left: 7}}\n",
    )
    from runner.app.suite_session import SuiteSession

    for offline in (False, True):
        session = SuiteSession(shop.root / "stock.suite.yaml", RunOptions(is_offline=offline))
        if not offline:
            session.start(session.units)
        verdicts = [session.verdict(unit) for unit in session.units]
        session.finish()
        assert [verdict.kind for verdict in verdicts] == ["passed"]
    assert ran(shop) == ["C3"]


def test_a_tool_that_cannot_be_imported_ends_the_run_before_the_first_call(shop: Any) -> None:
    shop.write("shop_stock.py", "raise RuntimeError('no\\n stock')\n")
    shop.edit('prompt: "said', 'prompt: "first said')
    with pytest.raises(RunnerError) as caught:
        shop.run()
    problem = caught.value.problems[0]
    assert (problem.code, problem.message) == (
        "bad-tool",
        "the tool shop_stock:lookup cannot be imported: RuntimeError: no stock",
    )
    assert str(problem.span) == "runner.yaml:6:13"
    assert shop.server.count == 0
