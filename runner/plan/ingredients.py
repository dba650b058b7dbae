"""What a question is made of, so that a later miss can be explained: small values as they are, texts as digests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from runner.core.call import Call
from runner.core.canonical import Json, canonical, digest, ordered
from runner.core.frozen import dataclass
from runner.core.long_list import LongList
from runner.core.model import Route
from runner.core.ports import Dialect
from runner.core.values import Computed, Fields, ListOfValues, Plain, Value
from runner.core.workflow import Template
from runner.dialects.naming import identity_of
from runner.dialects.remembering import remember
from runner.link.parts import LinkedMessage, LinkedStep
from runner.plan.media import digests_of
from runner.templates.text import CompiledTemplate

SMALL_VALUE_BYTES = 64
# However it is spelled: a control character takes six bytes.
SHORT_TEXT = (SMALL_VALUE_BYTES - 2) // 6
MANY = 1000
SHORT_DIGEST = 12


def fixed_ingredients(linked: LinkedStep, route: Route, dialect: Dialect, thinking: str | None) -> dict[str, Json]:
    """What does not change from item to item."""
    step = linked.step
    sampling = {
        "temperature": step.temperature,
        "top_p": step.top_p,
        "max_output_tokens": step.max_output_tokens,
        "seed": step.seed,
        "stop": list(step.stop) or None,
        **step.options,
        **_of_call(linked, route),
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
    sampling |= {"tools": _tools_told(linked), "tool_choice": step.tool_choice or None}
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


def changing_ingredients(linked: LinkedStep, call: Call, values: Mapping[str, Json]) -> dict[str, Json]:
    """What the question of one item adds."""
    read = _read_by(linked)
    found: dict[str, Json] = {}
    if call.system is not None:
        found["system"] = digest(call.system)
    inputs = {name: brief(_field(values["inputs"], name)) for name in read.inputs}
    inputs |= {name: brief(values[one]) for one, name in read.walked_inputs}
    if inputs:
        found["inputs"] = inputs
    if read.item_fields:
        item = values["item"]
        found["data"] = {name: brief(_field(item, name)) for name in read.item_fields}
    if linked.reads_group:
        found["data"] = {**found.get("data", {}), "group": brief(_shortened(values["group"]))}
    views = values["steps"]
    upstream = {name: brief(_answer(views.get(name, {}), unread)) for name, unread in read.answers}
    upstream |= {name: brief(values[one]) for one, name in read.carried}
    if upstream:
        found["upstream"] = upstream
    if linked.files:
        found["files"] = digests_of(call)
    if call.sample:
        found["sample"] = call.sample
    return found


@dataclass(frozen=True, slots=True)
class _Read:
    """What the texts of a step read, in a fixed order. Of a pair, the first names the value and the second is told."""

    inputs: tuple[str, ...]
    walked_inputs: tuple[tuple[str, str], ...]
    item_fields: tuple[str, ...]
    answers: tuple[tuple[str, frozenset[str]], ...]
    carried: tuple[tuple[str, str], ...]


@remember
def _read_by(linked: LinkedStep) -> _Read:
    walked = _walked("inputs", linked)
    told = {one: name for one, name in _walked("steps", linked) if name not in linked.answers}
    others = linked.carried - {one for one, _ in walked}
    return _Read(
        inputs=tuple(sorted(linked.inputs)),
        walked_inputs=tuple((one, name) for one, name in walked if not {name, ""} & linked.inputs),
        item_fields=tuple(sorted(linked.item_fields)),
        answers=tuple((name, _unread(name, linked)) for name in sorted(linked.answers)),
        carried=tuple((name, told.get(name, name)) for name in sorted(others)),
    )


def _walked(root: str, linked: LinkedStep) -> list[tuple[str, str]]:
    """The elements of a loop that the prompt reads, each with the input or the step that the list is of."""
    plain = {name: path for name, path in sorted(linked.walked.items()) if name in linked.carried}
    return [(name, path[1]) for name, path in plain.items() if path[0] == root and len(path) > 1]


def _tools_told(linked: LinkedStep) -> Json:
    """What a model is told of its tools."""
    if not linked.step.tools:
        return None
    told = {
        name: [tool.tool.own, tool.tool.description, tool.parameters and tool.parameters.bundled]
        for name, tool in linked.tools.items()
    }
    return f"{', '.join(told)} ({digest(ordered(told))[:SHORT_DIGEST]})"


def tool_ingredients(route: Route) -> dict[str, Json]:
    """What is known of a tool that a model may call, before it does."""
    version = route.provider.settings["version"]
    found: dict[str, Json] = {"model": route.name, "template": {}}
    return {**found, "options": {"version": version}} if version else found


def _of_call(linked: LinkedStep, route: Route) -> dict[str, Json]:
    """What a tool is told that stands in the file: literal arguments, expressions of others, and its version."""
    if linked.step.call is None:
        return {}
    given = {f"with.{name}": brief(_spelt(value)) for name, value in linked.step.call.arguments.items()}
    return {**given, "version": route.provider.settings["version"] or None}


def _spelt(value: Value) -> Json:
    match value:
        case Computed():
            return value.expression.text
        case ListOfValues():
            return [_spelt(item) for item in value.items]
        case Fields():
            return {name: _spelt(inner) for name, inner in value.entries.items()}
        case _:
            return value.json if isinstance(value, Plain) else value.file


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


def _field(value: Json, name: str) -> Json:
    if not name or not isinstance(value, dict):
        return value
    return value.get(name)


def _unread(step: str, linked: LinkedStep) -> frozenset[str]:
    """What of a step's view is no answer, and not read."""
    read = {"model": linked.models, "sources": linked.cited, "tool_calls": linked.tool_readers}
    return frozenset(name for name, steps in read.items() if step not in steps)


def _answer(view: Mapping[str, Json], unread: frozenset[str]) -> Json:
    return {name: _shortened(value) for name, value in view.items() if name not in unread}


def _shortened(value: Json) -> Json:
    """Of many answers their digest, which is made once for all that read them."""
    if not isinstance(value, LongList):
        return value
    return {"count": len(value), "sha256": value.digest()} if len(value) > MANY else list(value)


def brief(value: Json) -> Json:
    """A small value as it is, anything else as its digest."""
    if value is None or (type(value) is str and len(value) <= SHORT_TEXT):
        return value
    spelled = canonical(value)
    return value if len(spelled) <= SMALL_VALUE_BYTES else {"sha256": digest(spelled)}
