"""The keys of one step → `Step`."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import field
from typing import cast

from runner.config.files_of_step import read_files, read_repeated
from runner.config.keys import Keys, as_expression
from runner.config.nodes import (
    Entry,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    dotted_spans,
    mapping_of,
    pointer_spans,
    to_value,
)
from runner.config.reading import Reading, base_of
from runner.config.step_grammar import BESIDE_CALL, BESIDE_LOOP, INNER_STEP, NOT_TO_EMBED, STEP
from runner.config.values import PlainValueReader
from runner.config.verify import is_misspelt
from runner.core.canonical import Json
from runner.core.context import DEFAULT_TTL_S, ContextCache
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.tool import DEFAULT_MAX_TURNS, ToolUse
from runner.core.workflow import (
    VECTOR,
    CachePolicy,
    CacheUse,
    EscalatedKind,
    Escalation,
    Expression,
    FanOut,
    Loop,
    MessageEntry,
    MessageTemplate,
    OnError,
    RepeatedMessages,
    SchemaSource,
    Step,
    Target,
    Template,
    Way,
)

# A step's own key on the left cancels the default on the right.
_CANCELS = {"schema": "fields", "fields": "schema", "prompt": "messages", "messages": "prompt"}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SCHEMA_KEYS = frozenset({"schema", "fields"})


@dataclass(frozen=True, slots=True)
class StepReader:
    """Makes steps from checked nodes; files are read and problems gathered through `reading`."""

    reading: Reading
    rejected: Collection[int]
    defaults: MappingNode | None = None
    without_model: dict[str, Span] = field(default_factory=dict)

    def read(self, name: str, name_span: Span, node: Node) -> Step:
        """One step with the defaults filled in; what was found wrong is left out."""
        if not isinstance(node, MappingNode):
            return Step(span=name_span, name=name, schema=_any_schema(name_span))
        own = Keys(node, self.rejected)
        keys = Keys(self._merged(node), self.rejected)
        self._require(name, own, keys, name_span)
        return self._step(name, name_span, keys, frozenset(node.index))

    def part(self, name: str, entry: Entry) -> Step:
        """A step of which one key is written, to replace that key of another."""
        keys = Keys(mapping_of(entry.value.span, (entry,)), self.rejected)
        return self._step(name, entry.key_span, keys, frozenset({entry.key}))

    def _step(self, name: str, name_span: Span, keys: Keys, own: frozenset[str]) -> Step:
        temperature, top_p = keys.number("temperature"), keys.number("top_p")
        return Step(
            span=name_span,
            spans={**dotted_spans(keys.node, leave_out=_SCHEMA_KEYS), **_names_of(keys, "options", "with")},
            name=name,
            description=keys.text("description") or "",
            tags=keys.texts("tags"),
            model=keys.text("model") or "",
            thinking=thinking_of(keys),
            system=self._template(keys.get("system")),
            messages=self._messages(name, keys),
            files=read_files(name, keys, self._template, self.reading),
            schema=_vector(keys) or self._schema(name, keys),
            is_enforced_locally=keys.text("enforce") == "local" or keys.has("embed"),
            is_embedding=keys.has("embed"),
            ensure=_expressions(keys.items("ensure")),
            repair=keys.whole("repair") or 0,
            escalate=_escalation(keys),
            loop=self._loop(name, keys) if "loop" in own else None,
            temperature=temperature,
            top_p=top_p,
            max_output_tokens=keys.whole("max_output_tokens"),
            seed=keys.whole("seed"),
            stop=keys.texts("stop"),
            needs=keys.texts("needs") if keys.get("needs") else None,
            when=keys.expression("when"),
            for_each=_fan_out(keys),
            on_error=cast(OnError, keys.text("on_error") or "fail"),
            min_success=keys.number("min_success"),
            max_parallel=keys.whole("max_parallel"),
            samples=keys.whole("samples"),
            timeout_s=seconds_of(keys.get("timeout")),
            retries=keys.whole("retries"),
            transport=cast(Way, keys.text("transport") or ""),
            cache=_cache(keys),
            context_cache=_context_cache(keys),
            options=keys.value("options") or {},
            save=self._template(keys.get("save")),
            call=self._call(keys) if "call" in own else None,
            tools=tuple(dict.fromkeys(keys.texts("tools"))),
            tool_choice=keys.text("tool_choice") or "",
            max_turns=keys.whole("max_turns") or DEFAULT_MAX_TURNS,
            own=own,
        )

    def _merged(self, node: MappingNode) -> MappingNode:
        if self.defaults is None:
            return node
        taken = {*node.index, *(_CANCELS[key] for key in node.index if key in _CANCELS)}
        beside = BESIDE_LOOP if "loop" in node.index else BESIDE_CALL if "call" in node.index else None
        taken |= set(NOT_TO_EMBED) if "embed" in node.index else set()
        filled = tuple(
            entry
            for entry in self.defaults.entries
            if entry.key not in taken and (beside is None or entry.key in beside)
        )
        return mapping_of(node.span, (*node.entries, *filled))

    def _require(self, name: str, own: Keys, keys: Keys, span: Span) -> None:
        """What no key alone can show: a question, a model, and something for `as` to name."""
        node = keys.node
        if self.reading.has_merge_keys():
            return  # what is missing may come in by the merge, which is told
        if own.has("loop"):
            return  # its steps ask
        if own.has("call"):
            self._require_list(name, own, keys)
            return  # a tool is asked
        is_asked = any(keys.has(key) for key in ("prompt", "messages", "embed"))
        if not is_asked and not is_misspelt("prompt", node, STEP) and not is_misspelt("messages", node, STEP):
            fix = "prompt: What the model is asked"
            self._report("missing-key", f"step '{name}' asks nothing", span, "the key 'prompt' or 'messages'", fix)
        if not keys.has("model") and not is_misspelt("model", node, STEP):
            self.without_model[name] = span
        self._require_list(name, own, keys)

    def _require_list(self, name: str, own: Keys, keys: Keys) -> None:
        node = keys.node
        if own.has("as") and not keys.has("for_each") and not is_misspelt("for_each", node, STEP):
            message = f"step '{name}' has the key 'as', but no 'for_each'"
            self._report(
                "missing-key", message, own.place("as"), "for_each: the list that 'as' names an element of", ""
            )

    def _call(self, keys: Keys) -> ToolUse | None:
        tool = keys.text("call")
        if tool is None:
            return None
        reader = PlainValueReader(self.reading, self.rejected, reads_files=True)
        return ToolUse(tool, reader.values(keys.entries("with")), keys.place("call"))

    def _loop(self, name: str, keys: Keys) -> Loop | None:
        inner = keys.below("loop")
        state = inner.below("state") if inner else None
        most = inner.whole("max") if inner else None
        if inner is None or state is None or most is None:
            return None
        reader = StepReader(self.reading, self.rejected, self._for_inner_steps(), self.without_model)
        over = inner.expression("over")
        return Loop(
            span=inner.node.span,
            spans={
                **dotted_spans(inner.node),
                **{f"name of {entry.key}": entry.key_span for entry in inner.node.entries},
                **_names_of(inner, "next"),
                **_names_of(state, "start"),
            },
            max=most,
            schema=self._schema(name, state) or _any_schema(state.node.span),
            start=PlainValueReader(self.reading, self.rejected, reads_files=True).values(state.entries("start")),
            steps={entry.key: reader.read(entry.key, entry.key_span, entry.value) for entry in inner.entries("steps")},
            next={
                entry.key: expression
                for entry in inner.entries("next")
                if (expression := as_expression(entry.value)) and id(entry.value) not in self.rejected
            },
            until=inner.expression("until"),
            over=FanOut(over, inner.text("as") or "item") if over else None,
        )

    def _for_inner_steps(self) -> MappingNode | None:
        """The defaults that a step inside a loop can have."""
        if self.defaults is None:
            return None
        kept = tuple(entry for entry in self.defaults.entries if entry.key in INNER_STEP.by_name)
        return mapping_of(self.defaults.span, kept)

    def report_missing_models(self, amount: int) -> None:
        """Each step that names no model, once all are read; one finding where none of several does."""
        missing = self.without_model
        if len(missing) == amount > 1:
            expected = "the key 'model' in each step, or once in 'defaults'"
            span = next(iter(missing.values()))
            self._report("missing-key", "no step names a model", span, expected, "defaults: {model: provider/model}")
            return
        for name, span in missing.items():
            expected = "the key 'model' in the step or in 'defaults'"
            self._report("missing-key", f"step '{name}' names no model", span, expected, "model: provider/model")

    def _report(self, code: str, message: str, span: Span, expected: str, fix: str) -> None:
        self.reading.problems.append(Problem(code, message, span, expected, fix=fix))

    # --- texts

    def _warn_of_lost_text(self, node: ScalarNode) -> None:
        """Unquoted and folded text loses line breaks and everything after a blank and #."""
        line = self.reading.line(node.span)
        rest = line[node.span.column - 1 + node.span.length :]
        if node.style == "plain" and rest.lstrip().startswith("#"):
            message = "YAML takes the rest of this line for a comment, so it is not part of the text"
        elif node.style == "folded" or (node.style == "plain" and line and node.raw not in line):
            message = "YAML joins the lines of this text into one"
        else:
            return
        fix = "a block with |, which keeps the text as it is"
        self.reading.problems.append(Problem("lost-text", message, node.span, fix=fix, severity="warning"))

    def _template(self, node: Node | None) -> Template | None:
        if isinstance(node, ScalarNode):
            self._warn_of_lost_text(node)
            return Template(node.raw, node.origin)
        if isinstance(node, MappingNode):
            file = Keys(node, self.rejected).get("file")
            return self.reading.template_file(file.raw, file.span) if isinstance(file, ScalarNode) else None
        return None

    def _messages(self, name: str, keys: Keys) -> tuple[MessageEntry, ...]:
        prompt = keys.get("prompt") or keys.get("embed")
        if prompt is not None:
            text = self._template(prompt)
            return (MessageTemplate("user", text, prompt.span),) if text else ()
        entries = (self._entry(name, keys, node) for node in keys.mappings("messages"))
        return tuple(entry for entry in entries if entry is not None)

    def _entry(self, name: str, step: Keys, node: MappingNode) -> MessageEntry | None:
        keys = Keys(node, self.rejected)
        if not keys.has("for_each"):
            return self._message(node)
        repeated = read_repeated(name, step, keys, "message", self.reading)
        if repeated is None:
            return None
        items, variable = repeated
        inner = (self._message(item) for item in keys.mappings("messages"))
        return RepeatedMessages(items, variable, tuple(message for message in inner if message), node.span)

    def _message(self, node: MappingNode) -> MessageTemplate | None:
        keys = Keys(node, self.rejected)
        text, role = self._template(keys.get("text")), keys.text("role")
        if text is None or role is None:
            return None
        return MessageTemplate("assistant" if role == "assistant" else "user", text, node.span)

    # --- schemas

    def _schema(self, name: str, keys: Keys) -> SchemaSource | None:
        """With a broken schema the output can be anything, so that nothing that reads it is called wrong."""
        if fields := keys.mapping("fields"):
            return SchemaSource(
                to_value(fields), fields.span, base=base_of(fields.span), is_fields=True, spans=pointer_spans(fields)
            )
        if keys.get("schema") is not None:
            return read_schema(keys, self.reading, f"step '{name}'") or _any_schema(keys.place("schema"))
        if keys.has("call"):
            return _any_schema(keys.place("call"))  # until it is known what the tool returns
        is_meant = any(keys.has(key) or is_misspelt(key, keys.node, STEP) for key in _SCHEMA_KEYS)
        return _any_schema(keys.node.span) if is_meant else None


def read_schema(keys: Keys, reading: Reading, used_by: str) -> SchemaSource | None:
    """The `schema` of a step or data source: a path or the schema itself."""
    node = keys.get("schema")
    if isinstance(node, MappingNode):
        return SchemaSource(to_value(node), node.span, base=base_of(node.span), spans=pointer_spans(node))
    if isinstance(node, ScalarNode):
        return reading.schema_file(node.raw, node.span, used_by)
    return None


def thinking_of(keys: Keys) -> str | None:
    """The level; `default` is as if the key were not there."""
    level = keys.text("thinking")
    return None if level == "default" else level


def seconds_of(node: Node | None) -> float | None:
    """A number of seconds, or text such as 30s."""
    value: Json = node.value if isinstance(node, ScalarNode) else None
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9.]+)([a-z]+)", value)
        return float(match[1]) * _SECONDS[match[2]] if match else None
    return None if value is None else float(value)


def _vector(keys: Keys) -> SchemaSource | None:
    """What a step with `embed` gives. Nobody is asked to keep to it, and what comes is checked like any answer."""
    node = keys.get("embed")
    return SchemaSource(VECTOR, node.span) if node is not None else None


def _any_schema(span: Span) -> SchemaSource:
    return SchemaSource({}, span)


def _expressions(nodes: tuple[Node, ...]) -> tuple[Expression, ...]:
    found = (as_expression(node) for node in nodes)
    return tuple(expression for expression in found if expression is not None)


def _fan_out(keys: Keys) -> FanOut | None:
    items = keys.expression("for_each")
    return FanOut(items, keys.text("as") or "item") if items else None


def _escalation(keys: Keys) -> Escalation | None:
    inner = keys.below("escalate")
    to = inner.get("to") if inner else None
    if inner is None or to is None:
        return None
    nodes = inner.items("to") if isinstance(to, SequenceNode) else (to,)
    found = (_target(node, keys.rejected) for node in nodes)
    targets = tuple(target for target in found if target is not None)
    spans = dotted_spans(inner.node)
    if not targets:
        return None
    if inner.get("on") is None:
        return Escalation(span=inner.node.span, spans=spans, to=targets, when=inner.expression("when"))
    on = frozenset(cast(EscalatedKind, kind) for kind in inner.texts("on"))
    return Escalation(span=inner.node.span, spans=spans, to=targets, when=inner.expression("when"), on=on)


def _target(node: Node, rejected: Collection[int]) -> Target | None:
    if isinstance(node, ScalarNode):
        return Target(span=node.span, spans={"model": node.span}, model=node.raw)
    keys = Keys(node, rejected) if isinstance(node, MappingNode) else None
    model = keys.text("model") if keys else None
    if keys is None or model is None:
        return None
    return Target(
        span=node.span,
        spans={**dotted_spans(keys.node), **_names_of(keys, "options")},
        model=model,
        thinking=thinking_of(keys),
        temperature=keys.number("temperature"),
        top_p=keys.number("top_p"),
        max_output_tokens=keys.whole("max_output_tokens"),
        seed=keys.whole("seed"),
        options=keys.value("options") or {},
    )


def _cache(keys: Keys) -> CachePolicy:
    cache = keys.below("cache")
    if cache is None:
        return CachePolicy()
    return CachePolicy(cast(CacheUse, cache.text("use") or "auto"), cache.text("salt") or "")


def _context_cache(keys: Keys) -> ContextCache | None:
    found = keys.below("context_cache")
    if found is None:
        return None
    ttl_s = seconds_of(found.get("ttl"))
    return ContextCache(DEFAULT_TTL_S if ttl_s is None else ttl_s, found.text("after_run") == "delete")


def _names_of(keys: Keys, *owners: str) -> dict[str, Span]:
    """The places of the names themselves: what may be wrong with an option or an argument is its name."""
    return {f"name of {owner}.{entry.key}": entry.key_span for owner in owners for entry in keys.entries(owner)}
