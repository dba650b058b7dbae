"""A linked workflow made ready to walk: every step with its route, dialect and rules, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Protocol

from runner.core.call import Call, ToolSpec
from runner.core.canonical import Json
from runner.core.context import ContextCache, Divided
from runner.core.frozen import dataclass, replace
from runner.core.media import Medium, rules_for
from runner.core.model import Route
from runner.core.ports import Dialect, FindMedium
from runner.core.request import Request
from runner.core.response import Usage
from runner.core.words import are_over
from runner.core.workflow import CacheUse
from runner.dialects.contexts import divide
from runner.link.linked import Linked, LinkedStep
from runner.link.parts import LinkedTool
from runner.output.judge import EnsureLine, Rules
from runner.output.validate import Validator
from runner.plan.arguments import arguments_of
from runner.plan.ingredients import changing_ingredients, texts_of
from runner.plan.media import ensure_fitting, render_files, with_files
from runner.plan.rendering import holding, listed, render_message
from runner.plan.shared import shared_part


@dataclass(frozen=True, slots=True)
class Policy:
    """How the stored answers of a command are used.

    `is_final` holds for commands that replay failures (offline, locked, test); `refresh` names steps to ask again
    ("*" for all); `use_cache` false neither reads nor keeps.
    """

    is_final: bool = False
    refresh: frozenset[str] = frozenset()
    use_cache: bool = True


@dataclass(frozen=True, slots=True)
class StepProgram:
    """One step, ready to walk.

    `use` is what may be done with stored answers, `is_settled` whether failures replay. `awaited` are the steps that
    an item of a lane waits for before this one: all needs but those that are read for all items together. `may_ask`
    is false for a step that is not selected, `is_wanted` for one that no selected step needs; `only` are the items that may
    be asked, None for all. Samples are numbered from
    `first_sample`, so that a suite's repeats are questions of their own. `is_batch`: its questions go out many together,
    by the provider's batch interface.
    `find` looks at its files. With `context` what its questions share is kept at the provider.

    `parts` are further ways of asking, each by its full name, which it has as `part`: the models that the step
    escalates to, and all that its loop asks. `above` is the part that is asked next, "" for none. `turn` has the steps of
    a loop by their short names; `tools` are those that its models may call, by the full name of the part and theirs; what is said of the model of a loop is said of its first step.
    """

    linked: LinkedStep
    route: Route
    dialect: Dialect
    thinking: str | None
    validator: Validator | None
    undo: Callable[[Json], Json] | None
    sent_schema: Json | None
    fixed_ingredients: Mapping[str, Json]
    cost: Callable[[Usage], float | None]
    use: CacheUse = "auto"
    is_settled: bool = False
    awaited: frozenset[str] = frozenset()
    may_ask: bool = True
    is_wanted: bool = True
    only: frozenset[str] | None = None
    first_sample: int = 0
    part: str = ""
    above: str = ""
    parts: Mapping[str, StepProgram] = field(default_factory=dict)
    is_batch: bool = False
    turn: Mapping[str, StepProgram] = field(default_factory=dict)
    find: FindMedium | None = None
    tools: Mapping[str, StepProgram] = field(default_factory=dict)
    context: ContextCache | None = None

    @property
    def name(self) -> str:
        return self.linked.step.name

    @property
    def full_name(self) -> str:
        return self.part or self.name

    @property
    def owner(self) -> str:
        """The step of the workflow that this is, or is a part of."""
        return self.part.partition(".")[0] or self.name

    @property
    def is_free(self) -> bool:
        """Whether its model is known to cost nothing."""
        price = self.route.facts.price
        return price is not None and price.is_free

    def of(self, part: str) -> StepProgram:
        return (self.parts.get(part) or self.tools[part]) if part else self

    @property
    def all_parts(self) -> tuple[StepProgram, ...]:
        """All that asks a model: the step itself, unless it is a loop, and its parts."""
        return (*(() if self.turn else (self,)), *self.parts.values())

    def renewed(self, **changes: Any) -> StepProgram:
        """The step and all that it asks with other settings."""
        parts = {name: replace(part, **changes) for name, part in self.parts.items()}
        tools = {name: replace(tool, **changes) for name, tool in self.tools.items()}
        turn = {name: step.renewed(**changes) for name, step in self.turn.items()}
        return replace(self, parts=parts, tools=tools, turn=turn, **changes)

    @property
    def reached(self) -> tuple[StepProgram, ...]:
        """All that may be asked or run: the models, and the tools that they may call."""
        return (*self.all_parts, *self.tools.values())

    @property
    def models(self) -> str:
        """The models that are asked first, in words."""
        return ", ".join(dict.fromkeys(step.route.name for step in self.turn.values())) or self.route.name

    @property
    def is_batched(self) -> bool:
        """Whether the step or a part of it is asked in batches."""
        return self.may_ask and any(part.is_batch for part in self.all_parts)

    @property
    def chain(self) -> tuple[StepProgram, ...]:
        """All models that one question may go to beyond this one, in their order. To be asked of a whole step."""
        return self.after(self)

    def after(self, one: StepProgram) -> tuple[StepProgram, ...]:
        """The models that are asked when `one`, a part of this step, is given up."""
        found: list[StepProgram] = []
        while one.above:
            one = self.parts[one.above]
            found.append(one)
        return tuple(found)

    def goes_on(self, values: Mapping[str, Json], output: Json) -> bool:
        """Whether a good answer is to be left for the next model. Raises CannotEvaluate."""
        line = self.linked.escalates
        return line is not None and holding(line, values, "output" if self.validator else "text")(output)

    @property
    def texts(self) -> tuple[str, ...]:
        """The templates as the author wrote them and the files that they bring in; `ingredients` names them by digest."""
        return tuple(text for _, text in texts_of(self.linked))

    def call(self, values: Mapping[str, Json], sample: int) -> Call:
        """The question to ask. Raises RenderFailed, and FileError for a file that cannot be shown."""
        step = self.linked.step
        if step.call is not None:
            given = arguments_of(self.linked, values)
            return Call(self.route.model, (), sample=sample, salt=step.cache.salt, arguments=given)
        texts = [render_message(entry, values) for entry in self.linked.messages]
        messages = tuple(message for said in texts for message in said)
        files: list[tuple[Medium, ...]] = []
        if self.linked.files:
            files = self.media(values)
            messages = with_files(messages, tuple(medium for shown in files for medium in shown))
        shared = None
        if self.context is not None:
            shared = shared_part(self.linked, list(map(len, texts)), list(map(len, files)), messages)
        return Call(
            model=self.route.model,
            messages=messages,
            system=self.linked.system.render(values) if self.linked.system else None,
            schema=self.sent_schema,
            thinking=self.thinking,
            temperature=step.temperature,
            top_p=step.top_p,
            max_output_tokens=step.max_output_tokens,
            seed=step.seed,
            stop=step.stop,
            options=step.options,
            tools=tuple(_spec(tool) for tool in self.linked.tools.values()),
            tool_choice="" if step.tool_choice == "auto" else step.tool_choice,
            sample=sample,
            salt=step.cache.salt,
            shared=shared,
        )

    def media(self, values: Mapping[str, Json]) -> list[tuple[Medium, ...]]:
        """The files of the step, by entry. Raises RenderFailed and FileError."""
        assert self.find is not None, "a step with files needs somebody to look at them"
        found = [list(render_files(entry, values, self.find, listed)) for entry in self.linked.files]
        shown = [one for each in found for one in each]
        ensure_fitting(shown, rules_for(self.dialect.media, self.route.provider), self.route)
        return [tuple(medium for _, medium in each) for each in found]

    def encode(self, call: Call) -> Request:
        return self.dialect.encode(call, self.route)

    def divide(self, call: Call, request: Request) -> Divided:
        """A question in what is kept at the provider, and the rest."""
        return divide(call, self.route, request)

    def too_long(self, call: Call) -> str:
        """Why the model cannot read so long a question whatever its vocabulary is, or ""."""
        window = self.route.facts.context_tokens
        least = are_over([call.system or "", *(message.text for message in call.messages)], window) if window else 0
        if not least:
            return ""
        return f"the prompt has at least {least:,} tokens, and {self.route.name} reads at most {window:,}"

    def rules(self, values: Mapping[str, Json]) -> Rules:
        """How to judge an answer; the ensure lines also see what the prompt saw."""
        if not self.linked.ensure:
            return Rules(validator=self.validator, ensure=(), undo=self.undo)
        name = "output" if self.validator else "text"
        lines = tuple(
            EnsureLine(source.text, holding(line, values, name))
            for source, line in zip(self.linked.step.ensure, self.linked.ensure, strict=True)
        )
        return Rules(validator=self.validator, ensure=lines, undo=self.undo)

    def ingredients(self, call: Call, values: Mapping[str, Json]) -> dict[str, Json]:
        """What the question is made of: small values as they are, texts as digests. For explaining a later miss."""
        return {**self.fixed_ingredients, **changing_ingredients(self.linked, call, values)}


def _spec(tool: LinkedTool) -> ToolSpec:
    if tool.tool.own:
        return ToolSpec(tool.tool.name, own=tool.tool.own)
    parameters = tool.parameters.bundled if tool.parameters is not None else None
    return ToolSpec(tool.tool.name, tool.tool.description, parameters)


@dataclass(frozen=True, slots=True)
class Program:
    """A whole workflow, ready to walk. `inputs` are the checked values, `names` what texts may read besides."""

    linked: Linked
    steps: Mapping[str, StepProgram]
    inputs: Mapping[str, Json] = field(default_factory=dict)
    names: Mapping[str, Json] = field(default_factory=dict)

    def asked_by(self, ask: Asking) -> StepProgram:
        """The step, or the part of it, whose question this is."""
        return self.steps[ask.step].of(ask.part)

    @property
    def asked(self) -> Mapping[str, StepProgram]:
        """All that asks a model, by its full name."""
        return {one.full_name: one for step in self.steps.values() for one in step.all_parts}


class Asking(Protocol):
    """Whose question something is."""

    @property
    def step(self) -> str: ...

    @property
    def part(self) -> str: ...
