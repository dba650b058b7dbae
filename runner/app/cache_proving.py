"""`runner cache verify`: are the stored answers whole, without keys, and do they fit today's schemas?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from runner.app.looking import look_around
from runner.app.preparing import prepare_program
from runner.app.types import RunOptions
from runner.config.load import load_settings
from runner.core.answer import StoredAnswer
from runner.core.canonical import canonical
from runner.core.frozen import dataclass
from runner.plan.plan import make_plan
from runner.plan.planned import PlannedCall
from runner.plan.stages import RunState
from runner.store.entry import safe_ingredients
from runner.store.layers import LayeredAnswers
from runner.transport.secrets import WELL_KNOWN

SHORTEST_VALUE: Final = 12
"""A shorter value of a key variable is no key, and stands in ordinary text."""
LEAST_LETTERS: Final = 10
"""Different characters in a key; a placeholder such as sk-xxxxxxxx… has fewer."""

# As their issuers write them; the length keeps words of prose out.
_KEYS = re.compile(
    rb"(?<![A-Za-z0-9_-])(?:"
    rb"sk-(?:proj-|ant-|or-|svcacct-)?[A-Za-z0-9_-]{32,200}|AIza[A-Za-z0-9_-]{35}|gh[pousr]_[A-Za-z0-9]{36}"
    rb"|github_pat_[A-Za-z0-9_]{50,100}|xox[abprs]-[A-Za-z0-9-]{20,100}|AKIA[A-Z0-9]{16}|gsk_[A-Za-z0-9]{40,60}"
    rb"|xai-[A-Za-z0-9]{60,100}"
    rb")(?![A-Za-z0-9_-])|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is wrong with a stored answer. `kind` is damaged, secret or unfit."""

    key: str
    kind: str
    reason: str


def doubts(root: Path, answers: LayeredAnswers, environ: Mapping[str, str]) -> Iterator[Doubt]:
    """Damaged entries, and those that hold a key. What a key is, is never told."""
    names = [name for name in key_names(root) if len(environ.get(name, "").strip()) >= SHORTEST_VALUE]
    values = {name: environ[name].strip().encode() for name in names}
    for entry in answers.scan():
        if entry.answer is None:
            yield Doubt(entry.key, "damaged", entry.damage)
            continue
        said = _secret_in(entry.answer, values)
        if said:
            yield Doubt(entry.key, "secret", f"{said} ({entry.source})")


def key_names(root: Path) -> list[str]:
    """The variables that hold keys: the well-known ones and those of `runner.yaml`, as far as it can be read."""
    providers = load_settings(root).settings.providers.values()
    own = [name for one in providers for name in (one.key_env, *(variable for _, variable in one.header_env)) if name]
    return list(dict.fromkeys((*WELL_KNOWN, *own)))


def misfits(workflow: Path) -> Iterator[Doubt]:
    """Answers that a workflow finds stored and would not take today. Raises RunnerError."""
    options = RunOptions()
    prepared = prepare_program(workflow, options)
    found: list[PlannedCall] = []
    with look_around(prepared, options) as look:
        make_plan(RunState(prepared.program, prepared.data), look.answers.lookup, lambda _: "", on_call=found.append)
    for call in found:
        if call.reason.startswith("now-invalid"):
            place = f"{call.ask.step}[{call.ask.item}]" if call.ask.item else call.ask.step
            yield Doubt(call.ask.key, "unfit", f"{place} in {workflow} does not fit today's schema and ensure")


def _secret_in(answer: StoredAnswer, values: Mapping[str, bytes]) -> str:
    parts = [
        answer.endpoint.encode(),
        bytes(answer.body),
        answer.payload,
        canonical(safe_ingredients(answer.ingredients)),
    ]
    for part in parts:
        name = next((name for name, value in values.items() if value in part), "")
        if name:
            return f"it holds the key of {name}"
        if any(_is_key(match) for match in _KEYS.findall(part)):
            return "it holds what looks like a key"
    return ""


def _is_key(text: bytes) -> bool:
    return len(set(text)) >= LEAST_LETTERS


def all_doubts(
    root: Path, answers: LayeredAnswers, environ: Mapping[str, str], workflows: Iterable[Path]
) -> Sequence[Doubt]:
    """Raises RunnerError for a workflow that cannot be planned."""
    return [*doubts(root, answers, environ), *(doubt for workflow in workflows for doubt in misfits(workflow))]
