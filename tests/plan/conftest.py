from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from runner.config.load import ProjectFiles, load_workflow
from runner.core.answer import StoredAnswer
from runner.core.canonical import Json
from runner.core.model import ModelFacts, Provider, Route
from runner.core.outcome import Failure, FailureKind, Outcome
from runner.core.problem import render_all
from runner.core.response import Usage
from runner.dialects import DIALECTS
from runner.link.linked import link
from runner.plan.advance import Answered, Ask, Move, advance, begin
from runner.plan.compiling import Asked, compile_whole
from runner.plan.items import Item, ItemList, Row, identify
from runner.plan.program import Policy, Program
from runner.plan.stages import Chunk, Receipt, RunState
from runner.templates.environment import make_environment

MODEL = "defaults: {model: scripted/m}\n"
PROVIDER = Provider("scripted", "scripted", identity="scripted", settings={"script_sha256": "0" * 64})
ROUTE = Route("scripted/m", PROVIDER, "m", ModelFacts("scripted", "m"))

Answerer: TypeAlias = Callable[[Ask], Answered]


def said(text: str | Json, *, finish: str = "stop", model: str = "m-1", **others: Any) -> Answered:
    """An answer received today; anything but text is said as JSON. `others` are fields of the stored answer."""
    spoken = text if isinstance(text, str) else json.dumps(text)
    usage = {"input_tokens": 10, "output_tokens": 2}
    payload = json.dumps({"text": spoken, "finish": finish, "model": model, "usage": usage})
    answer = StoredAnswer("", "scripted", "scripted", "/m", b"", payload.encode(), **others)
    return Answered(answer, is_todays=True, requests=1, seconds=0.5)


def stored(text: str | Json, *, failure: FailureKind | None = None, finish: str = "stop") -> Answered:
    """An answer of an earlier day."""
    answered = said(text, finish=finish, failure=failure)
    return replace(answered, is_todays=False, requests=0, seconds=0.0)


def failed(kind: FailureKind, message: str = "no luck", requests: int = 1) -> Answered:
    """No answer at all."""
    return Answered(failure=Failure(kind, message), requests=requests)


@dataclass
class Walked:
    """One item in one stage, walked by hand."""

    program: Program
    steps: tuple[str, ...]
    scope: Any
    move: Move
    moves: list[Move] = field(default_factory=list)

    @property
    def asks(self) -> tuple[Ask, ...]:
        return self.move.asks

    @property
    def ask(self) -> Ask:
        (ask,) = self.move.asks
        return ask

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        return self.move.state.outcomes

    def answer(self, answered: Answered, ask: Ask | None = None) -> Move:
        self.moves.append(self.move)
        self.move = advance(self.program, self.steps, self.move.state, self.scope, ask or self.ask, answered)
        return self.move


@dataclass(frozen=True)
class Flow:
    """A workflow text made ready to walk."""

    program: Program

    def state(self, data: Mapping[str, Sequence[Json]] | None = None, key: str = "") -> RunState:
        """The empty state of a run over these rows."""
        items = {
            name: ItemList(identify((Row(value, line) for line, value in enumerate(rows, 1)), key))
            for name, rows in (data or {}).items()
        }
        return RunState(self.program, items)

    def enter(self, item: Item | None = None, *, stage: int = 0, state: RunState | None = None) -> Walked:
        """An item enters a stage; by default the first one of a workflow without data."""
        state = state or self.state()
        steps = state.stages[stage].steps
        lane = state.stages[stage].lane
        plan = next(iter(state.chunks(stage, 8))).items[0] if lane and item is None else None
        earlier = plan.earlier if plan else {}
        entered = item or (plan.item if plan else Item("", None))
        scope = state.scope()
        return Walked(self.program, steps, scope, begin(self.program, steps, entered, scope, earlier))

    def run(
        self,
        answer: Answerer,
        data: Mapping[str, Sequence[Json]] | None = None,
        pick: Callable[[int], int] = lambda _: 0,
        key: str = "",
    ) -> tuple[RunState, list[Ask]]:
        """A whole run; of the asks that wait, `pick(how many)` says which is answered next."""
        state = self.state(data, key)
        asked: list[Ask] = []
        for number in range(len(state.stages)):
            for chunk in list(state.chunks(number, 1)):
                state.fold(self._chunk(state, chunk, answer, pick, asked))
        return state, asked

    def _chunk(
        self, state: RunState, chunk: Chunk, answer: Answerer, pick: Callable[[int], int], asked: list[Ask]
    ) -> Receipt:
        steps, scope = state.stages[chunk.stage].steps, state.scope()
        moves = [begin(self.program, steps, plan.item, scope, plan.earlier) for plan in chunk.items]
        states = [move.state for move in moves]
        waiting = [(index, ask) for index, move in enumerate(moves) for ask in move.asks]
        while waiting:
            index, ask = waiting.pop(pick(len(waiting)))
            asked.append(ask)
            move = advance(self.program, steps, states[index], scope, ask, answer(ask))
            states[index] = move.state
            waiting += [(index, again) for again in move.asks]
        return Receipt(chunk.stage, chunk.number, tuple(one.outcomes for one in states))


class Talk:
    """What tests say: answers of today, answers of an earlier day, and failures."""

    said = staticmethod(said)
    stored = staticmethod(stored)
    failed = staticmethod(failed)


@pytest.fixture(scope="session")
def talk() -> type[Talk]:
    return Talk


@pytest.fixture(scope="session")
def make_flow(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Flow]:
    """Makes a workflow text ready to walk, every step with the model `scripted/m`."""

    made: dict[str, Flow] = {}

    def make(
        text: str,
        *,
        inputs: Mapping[str, Json] | None = None,
        policy: Policy | None = None,
        files: Mapping[str, str] | None = None,
        has_model: bool = False,
    ) -> Flow:
        text = textwrap.dedent(text)
        known = f"{text}\n{inputs}\n{policy}\n{files}"
        if known not in made:
            made[known] = compile_flow(
                text + ("" if has_model else MODEL), inputs or {}, policy or Policy(), files or {}
            )
        return made[known]

    def compile_flow(text: str, inputs: Mapping[str, Json], policy: Policy, files: Mapping[str, str]) -> Flow:
        root: Path = tmp_path_factory.mktemp("flow")
        for name, content in {
            "pyproject.toml": "",
            "flow.yaml": text,
            **files,
        }.items():
            (root / name).write_text(content)
        loaded = load_workflow(root / "flow.yaml")
        assert loaded.workflow is not None
        assert loaded.problems == (), render_all(loaded.problems, loaded.sources)
        read = ProjectFiles(root).read
        linked = link(loaded.workflow, make_environment(read), read)
        errors = [problem for problem in linked.problems if problem.is_error]
        assert not errors, render_all(errors, loaded.sources)
        asked = {
            name: Asked(_route(step.model), DIALECTS["scripted"], None, _cost)
            for name, step in loaded.workflow.asked.items()
        }
        steps = {name: compile_whole(step, asked, policy) for name, step in linked.steps.items()}
        return Flow(Program(linked, steps, inputs))

    return make


def _route(model: str) -> Route:
    """Every model is of the one provider of these tests."""
    name = model.removeprefix("scripted/")
    return ROUTE if name == "m" else Route(model, PROVIDER, name, ModelFacts("scripted", name))


def _cost(usage: Usage) -> float | None:
    return None if usage.output_tokens is None else usage.output_tokens / 1000
