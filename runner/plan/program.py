"""A linked workflow made ready to walk: every step with its route, dialect and rules, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, Protocol

from runner.core.call import Call, Message
from runner.core.canonical import Json, canonical, digest
from runner.core.frozen import dataclass, replace
from runner.core.media import Medium, rules_for
from runner.core.model import Route
from runner.core.ports import Dialect, FindMedium
from runner.core.problem import Problem
from runner.core.request import Request
from runner.core.response import Usage
from runner.core.words import are_over
from runner.core.workflow import CacheUse, Template
from runner.dialects.naming import identity_of
from runner.link.linked import Linked, LinkedLoop, LinkedMessage, LinkedStep
from runner.output.judge import CannotEvaluate, EnsureLine, Rules
from runner.output.validate import Validator
from runner.plan.media import digests_of, ensure_fitting, render_files, with_files
from runner.templates.expression import CompiledExpression
from runner.templates.problems import RenderFailed
from runner.templates.text import CompiledTemplate

SMALL_VALUE_BYTES = 64
SHORT_DIGEST = 12


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
    is false for a step that is not selected, `is_wanted` for one that no selected step needs. Samples are numbered from
    `first_sample`, so that a suite's repeats are questions of their own. `is_batch`: its questions go out many together,
    by the provider's batch interface.
    `find` looks at its files.

    `parts` are further ways of asking, each by its full name, which it has as `part`: the models that the step
    escalates to, and all that its loop asks. `above` is the part that is asked next, "" for none. `turn` has the steps of
    a loop by their short names; what is said of the model of a loop is said of its first step.
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
    first_sample: int = 0
    part: str = ""
    above: str = ""
    parts: Mapping[str, StepProgram] = field(default_factory=dict)
    is_batch: bool = False
    turn: Mapping[str, StepProgram] = field(default_factory=dict)
    find: FindMedium | None = None

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
        return self.parts[part] if part else self

    @property
    def all_parts(self) -> tuple[StepProgram, ...]:
        """All that asks a model: the step itself, unless it is a loop, and its parts."""
        return (*(() if self.turn else (self,)), *self.parts.values())

    def renewed(self, **changes: Any) -> StepProgram:
        """The step and all that it asks with other settings."""
        parts = {name: replace(part, **changes) for name, part in self.parts.items()}
        turn = {name: step.renewed(**changes) for name, step in self.turn.items()}
        return replace(self, parts=parts, turn=turn, **changes)

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
        return line is not None and _holds(line, values, "output" if self.validator else "text")(output)

    @property
    def texts(self) -> tuple[str, ...]:
        """The templates as the author wrote them and the files that they bring in; `ingredients` names them by digest."""
        return tuple(text for _, text in texts_of(self.linked))

    def call(self, values: Mapping[str, Json], sample: int) -> Call:
        """The question to ask. Raises RenderFailed, and FileError for a file that cannot be shown."""
        step = self.linked.step
        messages = tuple(message for entry in self.linked.messages for message in _render(entry, values))
        if self.linked.files:
            messages = with_files(messages, self.media(values))
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
            sample=sample,
            salt=step.cache.salt,
        )

    def media(self, values: Mapping[str, Json]) -> tuple[Medium, ...]:
        """The files of the step. Raises RenderFailed and FileError."""
        assert self.find is not None, "a step with files needs somebody to look at them"
        found = [one for entry in self.linked.files for one in render_files(entry, values, self.find, listed)]
        ensure_fitting(found, rules_for(self.dialect.media, self.route.provider), self.route)
        return tuple(medium for _, medium in found)

    def encode(self, call: Call) -> Request:
        return self.dialect.encode(call, self.route)

    def too_long(self, call: Call) -> str:
        """Why the model cannot read so long a question whatever its vocabulary is, or ""."""
        window = self.route.facts.context_tokens
        least = are_over([call.system or "", *(message.text for message in call.messages)], window) if window else 0
        if not least:
            return ""
        return f"the prompt has at least {least:,} tokens, and {self.route.name} reads at most {window:,}"

    def rules(self, values: Mapping[str, Json]) -> Rules:
        """How to judge an answer; the ensure lines also see what the prompt saw."""
        name = "output" if self.validator else "text"
        lines = tuple(
            EnsureLine(source.text, _holds(line, values, name))
            for source, line in zip(self.linked.step.ensure, self.linked.ensure, strict=True)
        )
        return Rules(validator=self.validator, ensure=lines, undo=self.undo)

    def ingredients(self, call: Call, values: Mapping[str, Json]) -> dict[str, Json]:
        """What the question is made of: small values as they are, texts as digests. For explaining a later miss."""
        found = dict(self.fixed_ingredients)
        if call.system is not None:
            found["system"] = digest(call.system)
        inputs = {name: brief(_field(values["inputs"], name)) for name in sorted(self.linked.inputs)}
        if inputs:
            found["inputs"] = inputs
        if self.linked.item_fields:
            found["data"] = {name: brief(_field(values["item"], name)) for name in sorted(self.linked.item_fields)}
        views, models = values["steps"], self.linked.models
        upstream = {
            name: brief(_answer(views.get(name, {}), has_model=name in models)) for name in sorted(self.linked.answers)
        }
        upstream |= {name: brief(values[name]) for name in sorted(self.linked.carried)}
        if upstream:
            found["upstream"] = upstream
        if self.linked.files:
            found["files"] = digests_of(call)
        if call.sample:
            found["sample"] = call.sample
        return found


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


@dataclass(frozen=True, slots=True)
class Asked:
    """How a model is asked: its route and dialect, the level that is sent, and what an answer costs."""

    route: Route
    dialect: Dialect
    thinking: str | None
    cost: Callable[[Usage], float | None]
    is_batch: bool = False


def compile_whole(
    linked: LinkedStep, asked: Mapping[str, Asked], policy: Policy, find: FindMedium | None = None
) -> StepProgram:
    """A step with all models that it may ask; `asked` has them by full name, `find` looks at its files."""
    if linked.loop is not None:
        return _compile_loop(linked, linked.loop, asked, policy, find)
    names = list(linked.asked)
    parts: dict[str, StepProgram] = {}
    for number, (name, one) in enumerate(linked.asked.items()):
        how = asked[name]
        made = compile_step(one, how.route, how.dialect, thinking=how.thinking, policy=policy, cost=how.cost, find=find)
        part = "" if name == linked.name else name
        parts[name] = replace(
            made, is_batch=how.is_batch, part=part, above=names[number + 1] if number + 1 < len(names) else ""
        )
    whole = parts.pop(linked.name)
    return replace(whole, parts=parts)


def _compile_loop(
    linked: LinkedStep, loop: LinkedLoop, asked: Mapping[str, Asked], policy: Policy, find: FindMedium | None
) -> StepProgram:
    """A loop: its steps are compiled as if they were a workflow's, under the settings of the step around them."""
    is_refreshed = bool(policy.refresh & {linked.name, "*"})
    inside = replace(
        policy,
        is_final=policy.is_final or linked.step.on_error == "skip",
        refresh=frozenset({"*"} if is_refreshed else ()),
    )
    prefix = f"{linked.name}."
    known = {name.removeprefix(prefix): how for name, how in asked.items() if name.startswith(prefix)}
    turn = {name: compile_whole(step, known, inside, find) for name, step in loop.steps.items()}
    parts = {
        prefix + part.full_name: replace(
            part, part=prefix + part.full_name, above=prefix + part.above if part.above else "", parts={}
        )
        for step in turn.values()
        for part in step.all_parts
    }
    return replace(
        next(iter(turn.values())),
        linked=linked,
        validator=Validator(loop.schema.bundled) if loop.schema is not None else None,
        sent_schema=None,
        use="auto",
        is_settled=inside.is_final,
        awaited=linked.needs - linked.barriers,
        above="",
        parts=parts,
        turn=turn,
    )


def compile_step(
    linked: LinkedStep,
    route: Route,
    dialect: Dialect,
    *,
    thinking: str | None,
    policy: Policy,
    cost: Callable[[Usage], float | None],
    find: FindMedium | None = None,
) -> StepProgram:
    """Lower the schema, fix what does not change from item to item, and decide how stored answers are used."""
    step = linked.step
    schema = linked.schema
    is_sent = schema is not None and not step.is_enforced_locally
    lowered = dialect.lower(schema.bundled) if schema is not None and is_sent else None
    use: CacheUse = step.cache.use
    if policy.refresh & {step.name, "*"}:
        use = "refresh"
    if not policy.use_cache:
        use = "off"
    return StepProgram(
        linked=linked,
        route=route,
        dialect=dialect,
        thinking=thinking,
        validator=Validator(schema.bundled) if schema is not None else None,
        undo=lowered.undo if lowered else None,
        sent_schema=schema.bundled if schema is not None and is_sent else None,
        fixed_ingredients=_fixed(linked, route, dialect, thinking),
        cost=cost,
        use=use,
        is_settled=policy.is_final or step.on_error == "skip",
        awaited=linked.needs - linked.barriers,
        find=find,
    )


def _fixed(linked: LinkedStep, route: Route, dialect: Dialect, thinking: str | None) -> dict[str, Json]:
    step = linked.step
    sampling = {
        "temperature": step.temperature,
        "top_p": step.top_p,
        "max_output_tokens": step.max_output_tokens,
        "seed": step.seed,
        "stop": list(step.stop) or None,
        **step.options,
    }
    found: dict[str, Json] = {
        "dialect": f"{dialect.name}/{dialect.key_version}",
        "model": f"{route.provider.name}/{route.model}",
        "template": {place: digest(text) for place, text in texts_of(linked)},
    }
    if not route.provider.is_builtin:
        found["service"] = identity_of(route.provider)
    version = next((value for name, value in sorted(route.provider.settings.items()) if name.endswith("sha256")), "")
    if version:
        found["model-version"] = version[:SHORT_DIGEST]
    messages = _roles(linked)
    if [role for role, _ in messages] != ["user"]:
        found["messages"] = messages
    if thinking is not None:
        found["thinking"] = thinking
    options = {name: value for name, value in sampling.items() if value is not None}
    if options:
        found["options"] = options
    if linked.schema is not None:
        found["schema"] = linked.schema.digest
        if step.is_enforced_locally:
            found["enforce"] = "local"
    if step.cache.salt:
        found["salt"] = brief(step.cache.salt)
    return found


def texts_of(linked: LinkedStep) -> list[tuple[str, str]]:
    """The texts of the system and the messages, then those of the files that they bring in, each with its place."""
    templates = [template for _, template in _templates(linked)]
    own = [(place_of(template.template), template.template.text) for template in templates]
    files = {name: text for template in templates for name, text in template.files.items()}
    return own + [(f"{name}:1", text) for name, text in files.items()]


def templates_of(linked: LinkedStep) -> list[Template]:
    """The system text and the messages, as they are written."""
    return [template.template for _, template in _templates(linked)]


def place_of(template: Template) -> str:
    return f"{template.origin.file}:{template.origin.line}"


def _templates(linked: LinkedStep) -> Iterator[tuple[str, CompiledTemplate]]:
    """Each with its role."""
    if linked.system is not None:
        yield "system", linked.system
    yield from _inner_templates(linked.messages)


def _inner_templates(messages: Iterable[LinkedMessage]) -> Iterator[tuple[str, CompiledTemplate]]:
    for message in messages:
        if message.text is not None:
            yield message.role, message.text
        yield from _inner_templates(message.inner)


def _roles(linked: LinkedStep) -> list[list[str]]:
    """The order of the messages, who speaks them, and for what they are repeated; texts by the start of their digest."""
    lists = [["for_each", digest(one.items.canonical)[:SHORT_DIGEST]] for one in linked.messages if one.items]
    spoken = [[role, digest(template.template.text)[:SHORT_DIGEST]] for role, template in _templates(linked)]
    return spoken + lists


def _render(entry: LinkedMessage, values: Mapping[str, Json]) -> list[Message]:
    if entry.text is not None:
        return [Message(entry.role, entry.text.render(values))]
    assert entry.items is not None
    elements = listed(entry.items, values)
    return [
        message
        for element in elements
        for inner in entry.inner
        for message in _render(inner, {**values, entry.name: element})
    ]


def listed(expression: CompiledExpression, values: Mapping[str, Json]) -> list[Json]:
    """The value of an expression that must be a list. Raises RenderFailed."""
    value = expression.evaluate(values)
    if isinstance(value, list):
        return value
    source = expression.expression
    message = f"'{source.text.strip()}' gives {_kind(value)}, and a list is needed"
    raise RenderFailed(Problem("not-a-list", message, source.origin.span(1, 1, len(source.text))))


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case _:
            return "a mapping"


def _holds(line: CompiledExpression, values: Mapping[str, Json], name: str) -> Callable[[Json], bool]:
    def holds(output: Json) -> bool:
        try:
            return line.holds({**values, name: output})
        except RenderFailed as error:
            raise CannotEvaluate(str(error)) from error

    return holds


def _field(value: Json, name: str) -> Json:
    if not name or not isinstance(value, dict):
        return value
    return value.get(name)


def _answer(view: Mapping[str, Json], *, has_model: bool) -> Json:
    """A view of a step; without the part that is no answer, if it is not read."""
    return {name: value for name, value in view.items() if has_model or name != "model"}


def brief(value: Json) -> Json:
    """A small value as it is, anything else as its digest."""
    spelled = canonical(value)
    return value if len(spelled) <= SMALL_VALUE_BYTES else {"sha256": digest(spelled)}
