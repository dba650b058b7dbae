"""What decides over a case and is no part of any question: settings of steps, and outputs, each as a digest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from runner.core.canonical import Json, digest_of
from runner.core.span import Span
from runner.core.workflow import Expression, Loop, Output, OutputValue, Step, Workflow

_PLACES = frozenset({"span", "spans", "origin", "name", "tags"})
SHORT_DIGEST = 12


def settings_of(workflow: Workflow) -> dict[str, str]:
    """By where it is written: `steps.classify.repair`, `steps.refine.loop.max`, `outputs.reply`. What is not set is not
    there; a step or a loop itself is, so that a new one can be told as one.
    """
    found: dict[str, str] = {}
    for name, step in workflow.steps.items():
        found |= {f"steps.{place}": _brief(value) for place, value in _of_step(name, step) if value or value == ""}
    return found | {f"outputs.{name}": _brief(_of_output(one)) for name, one in workflow.outputs.items()}


def _brief(value: Json) -> str:
    return digest_of(value)[:SHORT_DIGEST]


def _of_output(output: Output) -> Json:
    if isinstance(output, OutputValue):
        return output.expression.text
    return [output.rows.text, {name: text.text for name, text in output.columns.items()}]


def changed_settings(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """What is not as it was. Of a step that is new or gone, and of a loop, only that it is."""
    for place in [*now, *(place for place in then if place not in now)]:
        if then.get(place) != now.get(place) and not _is_told_by_another(place, then, now):
            yield place


def _is_told_by_another(place: str, then: Mapping[str, str], now: Mapping[str, str]) -> bool:
    above = place
    while "." in above:
        above = above.rpartition(".")[0]
        if (above in then) != (above in now):
            return True
    return False


def _of_step(name: str, step: Step) -> Iterator[tuple[str, Json]]:
    """Each setting with its place; "" stands for the step, and for its loop."""
    yield name, ""
    written: dict[str, Json] = {
        "repair": step.repair,
        "ensure": [line.text for line in step.ensure],
        "when": _text(step.when),
        "for_each": _text(step.for_each.items if step.for_each else None),
        "on_error": step.on_error,
        "min_success": step.min_success,
        "samples": step.samples,
        "retries": step.retries,
        "timeout": step.timeout_s,
        "max_turns": step.max_turns,
    }
    if step.escalate:
        written["escalate"] = [_text(step.escalate.when), sorted(step.escalate.on), len(step.escalate.to)]
    yield from ((f"{name}.{key}", value) for key, value in written.items())
    if step.loop:
        yield from _of_loop(f"{name}.loop", step.loop)


def _of_loop(place: str, loop: Loop) -> Iterator[tuple[str, Json]]:
    yield place, ""
    yield f"{place}.max", loop.max
    yield f"{place}.until", _text(loop.until)
    yield f"{place}.over", _text(loop.over.items if loop.over else None)
    yield f"{place}.next", {name: text.text for name, text in loop.next.items()}
    yield f"{place}.state.start", shape_of(loop.start)
    yield f"{place}.state.fields" if loop.schema.is_fields else f"{place}.state.schema", loop.schema.value
    for name, step in loop.steps.items():
        yield from _of_step(f"{place}.steps.{name}", step)


def _text(expression: Expression | None) -> Json:
    return expression.text if expression else None


def shape_of(value: object) -> str:
    """What was meant, wherever it stands: without places, names and tags."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        kept = [f"{name}={shape_of(one)}" for name, one in inner.items() if name not in _PLACES]
        return f"{type(value).__name__}({', '.join(kept)})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {shape_of(one)}' for key, one in value.items() if not isinstance(one, Span))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shape_of, value))}]"
    return repr(value)
