"""Models that call tools: every protocol against a strict server, each turn a call of its own, results replayed."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import runner
from runner.app import api
from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.core.errors import RunnerError

DIALECTS = ("gemini", "openai-chat", "openai-responses", "anthropic")
TOOLS = """
tools:
  lookup:
    python: talk_tools:lookup
    description: Look up an article.
    parameters: {type: object, properties: {sku: {type: string, pattern: "^[A-Z]"}}, required: [sku]}
    returns: {type: object, properties: {left: {type: integer}}, required: [left]}
  add:
    python: talk_tools:add
    parameters: {type: object, properties: {a: {type: number}, b: {type: number}}, required: [a, b]}
"""
FLOW = """
format: 1
name: talk
defaults: {model: box/some-model, thinking: low, max_output_tokens: 2000}
steps:
  ask:
    prompt: How many are left of A1 and B2?
    fields: {left: integer}
    repair: 1
    tools: [lookup, add]
outputs: {left: steps.ask.output.left, calls: steps.ask.tool_calls}
"""
MODULE = """
from pathlib import Path

RAN = Path(__file__).parent / "ran"


def note(text):
    with open(RAN, "a") as file:
        file.write(text + "\\n")


def lookup(sku):
    note(sku)
    if sku == "X9":
        raise KeyError(sku)
    return {"left": "many" if sku == "M" else len(sku) + int(sku[1:])}


def add(a, b):
    note(f"{a}+{b}")
    return a + b if a else "x" * 70_000
"""
ANSWER = '{"left": 7}'
LOOKUPS = (("lookup", {"sku": "A1"}), ("lookup", {"sku": "B2"}))


class Talk:
    """A project whose model gives these answers in turn: texts, or the calls that it makes."""

    def __init__(self, project: Any, dialect: str = "openai-chat") -> None:
        self.project = project
        self.answers: list[Any] = []
        project.server.respond = self.respond
        server = project.server
        url = server.chat_url if dialect.startswith("openai") else server.base_url
        self.settings = (
            f"providers:\n  box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: {{input: 1, output: 2}}}}\n"
            "models:\n  box/some-model: {thinking: [none, low, high]}\n" + TOOLS
        )
        project.write("runner.yaml", self.settings)
        project.write("talk_tools.py", MODULE)
        project.workflow(FLOW)

    def respond(self, _dialect: str, _body: Any, _n: int) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            return self.project.Answer(text=answer)
        return self.project.Answer(calls=answer)

    def run(self, *answers: Any, **options: Any) -> Any:
        self.answers = list(answers)
        return self.project.run(consent=True, **options)

    @property
    def ran(self) -> list[str]:
        path = self.project.root / "ran"
        return path.read_text(encoding="utf-8").split() if path.exists() else []

    @property
    def bodies(self) -> list[Any]:
        assert self.project.server.refused == []
        return [request.body for request in self.project.server.requests]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a project brings in is forgotten afterwards."""
    known = list(sys.path)
    yield
    sys.path[:] = known
    sys.modules.pop("talk_tools", None)


@pytest.fixture
def talk(project: Any) -> Talk:
    return Talk(project)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_parallel_calls_are_answered_in_order_and_signed_turns_go_back(project: Any, dialect: str) -> None:
    talk = Talk(project, dialect)
    result = talk.run(LOOKUPS, (("add", {"a": 3, "b": 4}),), ANSWER)
    assert len(talk.bodies) == 3
    assert result.outputs == {
        "left": 7,
        "calls": [
            {"tool": "lookup", "arguments": {"sku": "A1"}, "result": {"left": 3}, "error": None},
            {"tool": "lookup", "arguments": {"sku": "B2"}, "result": {"left": 4}, "error": None},
            {"tool": "add", "arguments": {"a": 3, "b": 4}, "result": 7, "error": None},
        ],
    }
    assert (result.summary.calls, result.summary.steps[0].tools_run) == (3, 3)
    again = talk.run()
    assert (again.outputs, again.summary.calls, again.summary.cached) == (result.outputs, 0, 3)
    assert sorted(talk.ran) == ["3+4", "A1", "B2"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_recordings_replay_a_conversation(project: Any, dialect: str) -> None:
    talk = Talk(project, dialect)
    first = talk.run(LOOKUPS, ANSWER, record=True)
    shutil.rmtree(project.root / "cache/local")
    (project.root / "talk_tools.py").unlink()
    again = talk.run(offline=True)
    assert (again.exit_code, again.outputs) == (0, first.outputs)
    assert again.summary.recorded == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_repair_after_tools_keeps_the_conversation(project: Any, dialect: str) -> None:
    talk = Talk(project, dialect)
    result = talk.run(LOOKUPS, '{"left": "many"}', ANSWER)
    assert result.outputs["left"] == 7
    assert "That answer cannot be used" in json.dumps(talk.bodies[2])
    assert len(result.outputs["calls"]) == 2
    assert talk.run().summary.calls == 0


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("choice", ["auto", "required", "none", "lookup"])
def test_a_choice_of_tools_is_told_in_the_first_turn(project: Any, dialect: str, choice: str) -> None:
    talk = Talk(project, dialect)
    project.edit("tools: [lookup, add]", f"tools: [lookup, add]\n    tool_choice: {choice}")
    if dialect == "anthropic":
        project.edit("thinking: low", "thinking: none")
    talk.run(*([ANSWER] if choice == "none" else [LOOKUPS, ANSWER]))
    name = "toolConfig" if dialect == "gemini" else "tool_choice"
    wanted: Any = {
        "openai-chat": {
            "required": "required",
            "none": "none",
            "lookup": {"type": "function", "function": {"name": "lookup"}},
        },
        "openai-responses": {"required": "required", "none": "none", "lookup": {"type": "function", "name": "lookup"}},
        "anthropic": {
            "required": {"type": "any"},
            "none": {"type": "none"},
            "lookup": {"type": "tool", "name": "lookup"},
        },
        "gemini": {
            "required": {"functionCallingConfig": {"mode": "ANY"}},
            "none": {"functionCallingConfig": {"mode": "NONE"}},
            "lookup": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["lookup"]}},
        },
    }[dialect]
    assert [body.get(name) for body in talk.bodies] == [wanted.get(choice), None][: len(talk.bodies)]


# Each waits for the other one, and the first to be called ends last.
MEETING = """
import asyncio
from threading import Barrier, Event

BOTH, SECOND = Barrier(2), Event()
most = now = 0


def lookup(sku):
    BOTH.wait(30)
    if sku == "A1":
        SECOND.wait(30)
    else:
        SECOND.set()
    return {"left": int(sku[1:])}


async def add(a, b):
    global most, now
    now += 1
    most = max(most, now)
    for _ in range(200):
        await asyncio.sleep(0)
    now -= 1
    return [a, b, most]
"""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_calls_of_one_answer_run_side_by_side_and_keep_their_order(project: Any, dialect: str) -> None:
    talk = Talk(project, dialect)
    project.write("talk_tools.py", MEETING)
    result = talk.run(LOOKUPS, ANSWER)
    assert [call["result"] for call in result.outputs["calls"]] == [{"left": 1}, {"left": 2}]
    shown = api.show(project.root, None, "ask", None)["attempts"]
    assert [one.get("number") for one in shown] == [None, 1, 2, None]
    again = talk.run()
    assert (again.outputs, again.summary.calls) == (result.outputs, 0)


SUMS = tuple(("add", {"a": number, "b": 0}) for number in range(6))


def test_a_run_of_one_call_at_a_time_runs_one_tool_at_a_time(talk: Talk) -> None:
    talk.project.write("talk_tools.py", MEETING)
    several = talk.run(SUMS, ANSWER, parallel=8)
    assert several.outputs["calls"][-1]["result"][2] > 1
    sys.modules["talk_tools"].most = 0  # type: ignore[attr-defined]
    result = talk.run(SUMS, ANSWER, parallel=1, refresh={"ask"})
    assert [call["result"] for call in result.outputs["calls"]] == [[number, 0, 1] for number in range(6)]


def test_a_tool_that_is_not_parallel_runs_once_at_a_time_and_in_the_order_of_the_calls(talk: Talk) -> None:
    alone = talk.settings.replace("    python: talk_tools:add", "    parallel: false\n    python: talk_tools:add")
    talk.project.write("runner.yaml", alone)
    talk.project.edit("format: 1", "format: 1\ninputs: {n: {type: array, default: [1, 2, 3]}}")
    talk.project.edit("    prompt: How", "    for_each: inputs.n\n    prompt: '{{ item }}: How")
    talk.project.edit("and B2?", "and B2?'")
    talk.project.edit("steps.ask.output.left, calls: steps.ask.tool_calls", "steps.ask.outputs")
    order: list[int] = []
    calls = iter(range(1, 4))

    def respond(_dialect: str, body: Any, _n: int) -> Any:
        if any(message["role"] == "tool" for message in body["messages"]):
            return talk.project.Answer(text=ANSWER)
        number = next(calls)
        order.append(number)
        return talk.project.Answer(calls=tuple(("add", {"a": number, "b": at}) for at in range(4)))

    talk.project.server.respond = respond
    result = talk.project.run(consent=True)
    assert (result.exit_code, len(order)) == (0, 3)
    ran = [tuple(map(int, text.split("+"))) for text in talk.ran]
    for number in order:
        assert [at for by, at in ran if by == number] == [0, 1, 2, 3]


def errors(talk: Talk, *calls: Any) -> list[Any]:
    result = talk.run(calls, ANSWER)
    return [call["error"] for call in result.outputs["calls"]]


def test_what_goes_wrong_with_a_call_is_told_to_the_model(talk: Talk) -> None:
    assert errors(
        talk,
        ("find", {}),
        ("lookup", {"sku": "a"}),
        ("lookup", "[1]"),
        ("lookup", {"sku": "X9"}),
        ("lookup", {"sku": "M"}),
        ("add", {"a": 0, "b": 0}),
        ("lookup", {"sku": "A1"}),
    ) == [
        "there is no tool 'find'; there is: lookup, add",
        "the arguments do not fit the parameters of 'lookup': at /sku expected text, matching ^[A-Z], found \"a\"",
        "the arguments are no JSON object: [1]",
        "tool 'lookup' failed: KeyError: 'X9'",
        'the result does not fit what the tool returns: at /left expected an integer, found "many"',
        "the result has 70,002 bytes, and of the 65,536 for one answer 65,226 are left",
        None,
    ]
    assert sorted(talk.ran) == ["0+0", "A1", "M", "X9"]
    told = [message["content"] for message in talk.bodies[1]["messages"] if message["role"] == "tool"]
    assert json.loads(told[0]) == {"error": "there is no tool 'find'; there is: lookup, add"}
    assert json.loads(told[6]) == {"left": 3}
    assert talk.run().summary.calls == 0
    assert len(talk.ran) == 4


def test_the_last_turn_is_a_failure_of_its_own_kind_and_goes_on_when_it_is_raised(talk: Talk) -> None:
    talk.project.edit("tools: [lookup, add]", "tools: [lookup, add]\n    max_turns: 2")
    result = talk.run(LOOKUPS, (("add", {"a": 1, "b": 2}),))
    assert result.exit_code == 1
    problem = result.problems[0]
    assert (problem.code, problem.message, str(problem.span)) == (
        "too-many-turns",
        "ask: the model still calls tools (add) in turn 2, the last that it has",
        "flow.yaml:11:16",
    )
    assert problem.fix == "raise max_turns (now 2), or say in the prompt when to stop"
    talk.project.edit("max_turns: 2", "max_turns: 3")
    raised = talk.run(ANSWER)
    assert (raised.outputs["left"], raised.summary.calls) == (7, 1)
    assert sorted(talk.ran) == ["1+2", "A1", "B2"]


def test_a_plan_says_what_may_be_called_up_to_the_last_turn(talk: Talk) -> None:
    path, options = talk.project.root / "flow.yaml", RunOptions()
    talk.project.edit("tools: [lookup, add]", "tools: [lookup, add]\n    max_turns: 4")
    step = plan_workflow(path, options).plan.steps[0]
    assert (step.calls, step.may_calls) == (1, 4)  # three turns and a repair
    assert step.worst_usd is not None
    talk.run((("lookup", {"sku": "A1"}),), ANSWER)
    assert plan_workflow(path, options).plan.worst_calls == 0
    talk.project.write("runner.yaml", talk.settings.replace("    returns:", "    replay: false\n    returns:"))
    step = plan_workflow(path, options).plan.steps[0]
    assert (step.cached, step.calls, step.may_calls, step.after) == (1, 0, 4, ("ask",))
    again = talk.run()
    assert (again.outputs["left"], again.summary.calls) == (7, 0)
    assert talk.ran == ["A1", "A1"]


def test_a_tool_that_is_not_replayed_and_gives_another_result_asks_the_next_turn_again(talk: Talk) -> None:
    talk.project.write("runner.yaml", talk.settings.replace("    returns:", "    replay: false\n    returns:"))
    talk.run((("lookup", {"sku": "A1"}),), ANSWER)
    talk.project.write("talk_tools.py", "def lookup(sku):\n    return {'left': 99}\n\n\nadd = lookup\n")
    sys.modules.pop("talk_tools")
    import importlib

    importlib.invalidate_caches()
    again = talk.run(ANSWER)
    assert again.outputs["calls"][0]["result"] == {"left": 99}
    assert talk.project.reasons() == ["off", "upstream:lookup"]


def test_a_refreshed_step_asks_every_turn_and_runs_every_tool_again(talk: Talk) -> None:
    talk.run(LOOKUPS, ANSWER)
    talk.run(LOOKUPS, ANSWER, refresh={"ask"})
    assert (sorted(talk.ran), len(talk.bodies)) == (["A1", "A1", "B2", "B2"], 2)


def test_tools_work_in_loops_lanes_samples_and_further_models(talk: Talk) -> None:
    talk.project.workflow(
        """
format: 1
inputs: {skus: {type: array, items: {type: string}, default: [A1]}}
defaults: {model: box/some-model, tools: [lookup]}
steps:
  each:
    for_each: inputs.skus
    prompt: "Look up {{ item }}."
    samples: 2
  walk:
    loop:
      max: 1
      state: {fields: {said: string}, start: {said: ""}}
      steps: {inner: {prompt: Look., escalate: {to: {model: box/some-model, temperature: 0.5}, when: "'unsure' in text"}}}
      next: {said: "steps.inner.text ~ (steps.inner.tool_calls | length)"}
outputs: {said: steps.walk.state.said}
"""
    )
    call = (("lookup", {"sku": "A1"}),)

    def respond(_dialect: str, body: Any, _n: int) -> Any:
        answered = [message for message in body["messages"] if message["role"] == "tool"]
        if not answered:
            return talk.project.Answer(calls=call)
        return talk.project.Answer(text="sure" if "temperature" in body else "unsure")

    talk.project.server.respond = respond
    result = talk.project.run(consent=True)
    assert (result.exit_code, result.outputs) == (0, {"said": "sure1"})
    assert talk.project.run(consent=True).summary.calls == 0
    assert talk.project.server.count == 0


def test_the_conversation_stands_in_the_record(talk: Talk) -> None:
    talk.run(LOOKUPS, ANSWER)
    shown = api.show(talk.project.root, None, "ask", None)
    places = [(one.get("answers"), one.get("number"), one.get("part")) for one in shown["attempts"]]
    assert places == [(None, None, None), (1, 1, "ask.tool.lookup"), (1, 2, "ask.tool.lookup"), (1, None, None)]
    assert shown["attempts"][1]["request"]["arguments"] == {"sku": "A1"}
    assert [message["role"] for message in shown["attempts"][3]["request"]["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
    ]


def test_a_tool_that_cannot_be_imported_ends_the_run_before_the_first_call(talk: Talk) -> None:
    talk.project.write("talk_tools.py", "def lookup():\n    pass\n")
    with pytest.raises(RunnerError) as caught:
        talk.run()
    assert [problem.code for problem in caught.value.problems] == ["bad-tool"]
    assert talk.project.server.count == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "transport: batch",
            "step 'ask' is asked in batches, and a conversation with tools takes its turns one by one",
        ),
        ("tool_choice: find", "tool_choice of step 'ask' names 'find', which its tools leave out"),
        ("model: local/smollm2-135m", "step 'ask' has tools, which local/smollm2-135m does not take"),
    ],
)
def test_what_cannot_be_is_refused_at_its_line(talk: Talk, more: str, message: str) -> None:
    talk.project.edit("tools: [lookup, add]", f"tools: [lookup, add]\n    {more}")
    talk.project.edit("thinking: low, ", "")
    talk.project.edit(", calls: steps.ask.tool_calls", "")
    found = [problem for problem in runner.check(talk.project.root / "flow.yaml").problems if problem.is_error]
    assert [problem.message for problem in found] == [message]


def test_a_step_without_tools_has_no_tool_calls_to_read(talk: Talk) -> None:
    talk.project.edit("    tools: [lookup, add]\n", "")
    found = runner.check(talk.project.root / "flow.yaml").problems
    assert [problem.message for problem in found] == [
        "output 'calls' reads steps.ask.tool_calls, but 'ask' has no tools that its model may call"
    ]
