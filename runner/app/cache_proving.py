"""`runner cache verify`: are the stored answers whole, without keys, and do they fit today's schemas?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from runner.app.keeping import RECORDINGS
from runner.app.looking import look_around, stored_answers
from runner.app.preparing import prepare_program
from runner.app.suite_units import prepare_suite
from runner.app.types import RunOptions
from runner.config.load import load_settings
from runner.core.answer import StoredAnswer
from runner.core.canonical import canonical, digest
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass, replace
from runner.plan.items import Items
from runner.plan.plan import make_plan
from runner.plan.planned import PlannedCall
from runner.plan.program import Program
from runner.plan.stages import RunState
from runner.store.entry import safe_ingredients
from runner.store.layers import LayeredAnswers
from runner.transport.secrets import WELL_KNOWN

SUITE_ENDINGS: Final = (".suite.yaml", ".suite.yml")
Lookup: TypeAlias = Callable[[Sequence[str]], Mapping[str, StoredAnswer]]
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
    """What is wrong with a stored answer, or with a file beside the recordings; `key` is the answer's key or the file.
    `kind` is damaged, secret or unfit.
    """

    key: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found, and a sentence for each workflow that could not be looked into."""

    doubts: tuple[Doubt, ...] = ()
    unproved: tuple[str, ...] = ()


def doubts(root: Path, answers: LayeredAnswers, environ: Mapping[str, str]) -> Iterator[Doubt]:
    """Damaged entries, and those that hold a key. What a key is, is never told."""
    names = [name for name in key_names(root) if len(environ.get(name, "").strip()) >= SHORTEST_VALUE]
    values = {name: environ[name].strip().encode() for name in names}
    yield from _of_answers(answers, values)
    yield from _of_files(root, values)


def _of_files(root: Path, values: Mapping[str, bytes]) -> Iterator[Doubt]:
    """The texts that recordings name, the places that use them, and what suites recorded."""
    for kind in ("texts", "places", "snapshots"):
        for path in sorted((root / RECORDINGS / kind).glob("*")):
            shown = path.relative_to(root).as_posix()
            try:
                data = path.read_bytes()
            except OSError as error:
                yield Doubt(shown, "damaged", f"it cannot be read: {error.strerror or error}")
                continue
            if kind == "texts" and path.suffix == ".txt" and digest(data) != path.stem:
                yield Doubt(shown, "damaged", "its name is not the digest of what it holds")
            said = _secret_in((data,), values)
            if said:
                yield Doubt(shown, "secret", said)


def _of_answers(answers: LayeredAnswers, values: Mapping[str, bytes]) -> Iterator[Doubt]:
    for entry in answers.scan():
        if entry.answer is None:
            yield Doubt(entry.key, "damaged", entry.damage)
            continue
        said = _secret_in(_parts(entry.answer), values)
        if said:
            yield Doubt(entry.key, "secret", f"{said} ({entry.source})")


def key_names(root: Path) -> list[str]:
    """The variables that hold keys: the well-known ones and those of `runner.yaml`, as far as it can be read."""
    providers = load_settings(root).settings.providers.values()
    own = [name for one in providers for name in (one.key_env, *(variable for _, variable in one.header_env)) if name]
    return list(dict.fromkeys((*WELL_KNOWN, *own)))


def misfits(path: Path) -> Iterator[Doubt]:
    """Answers that a workflow, or a case of a suite, finds stored and would not take today. Raises RunnerError."""
    if path.name.endswith(SUITE_ENDINGS):
        yield from _of_suite(path)
        return
    options = RunOptions()
    prepared = prepare_program(path, options)
    with look_around(prepared, options) as look:
        yield from _unfit(prepared.program, prepared.data, look.answers.lookup, str(path))


def _of_suite(path: Path) -> Iterator[Doubt]:
    """A case that cannot be walked says nothing of the answers."""
    suite = prepare_suite(path, RunOptions(is_offline=True))
    with stored_answers(suite.project.files.root) as answers:
        for unit in suite.units:
            with suppress(RunnerError):
                program = suite.program(unit)
                steps = {name: step.renewed(is_settled=False) for name, step in program.steps.items()}
                shown = f"case '{unit.id}' of {path}"
                yield from _unfit(replace(program, steps=steps), suite.data, answers.lookup, shown)


def _unfit(program: Program, data: Mapping[str, Items], lookup: Lookup, where: str) -> Iterator[Doubt]:
    found: list[PlannedCall] = []
    make_plan(RunState(program, data), lookup, lambda _: "", on_call=found.append)
    for call in found:
        if call.reason.startswith("now-invalid"):
            place = f"{call.ask.step}[{call.ask.item}]" if call.ask.item else call.ask.step
            yield Doubt(call.ask.key, "unfit", f"{place} in {where} does not fit today's schema and ensure")


def _parts(answer: StoredAnswer) -> tuple[bytes, ...]:
    said = canonical(safe_ingredients(answer.ingredients))
    return (answer.endpoint.encode(), bytes(answer.body), answer.payload, said)


def _secret_in(parts: Iterable[bytes], values: Mapping[str, bytes]) -> str:
    for part in parts:
        name = next((name for name, value in values.items() if value in part), "")
        if name:
            return f"it holds the key of {name}"
        if any(_is_key(match) for match in _KEYS.findall(part)):
            return "it holds what looks like a key"
    return ""


def _is_key(text: bytes) -> bool:
    return len(set(text)) >= LEAST_LETTERS


def prove(
    root: Path, answers: LayeredAnswers, environ: Mapping[str, str], named: Iterable[Path], found: Iterable[Path] = ()
) -> Proof:
    """Of the workflows that are `found`, one that cannot be planned is only told. Raises RunnerError for a named one."""
    told = [*doubts(root, answers, environ), *(doubt for workflow in named for doubt in misfits(workflow))]
    unproved: list[str] = []
    for workflow in found:
        try:
            told += misfits(workflow)
        except RunnerError as error:
            unproved.append(f"{workflow}: {error.problems[0].message}")
    return Proof(tuple(dict.fromkeys(told)), tuple(unproved))
