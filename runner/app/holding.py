"""Whether a saved plan still holds: the same plan is made again, and compared call by call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from runner.app.looking import look_around, plan_of
from runner.app.preparing import Prepared
from runner.app.types import RunOptions
from runner.core.canonical import Json, digest_of
from runner.core.errors import CallNeeded, UsageError
from runner.core.frozen import dataclass
from runner.core.ports import Answers
from runner.core.problem import Problem
from runner.plan.explain import changes
from runner.plan.ingredients import brief
from runner.plan.items import Item
from runner.plan.planned import Plan, PlannedCall, StepPlan
from runner.plan.program import Program, StepProgram
from runner.record.plan_file import SavedPlan, SavedStep, read_plan

LOOKED_UP = 500


def depends_on(prepared: Prepared) -> dict[str, Json]:
    """What a plan is made from, by step: settings, texts, inputs and rows; and one digest over it all."""
    steps = {name: _ingredients(prepared, step) for name, step in prepared.program.asked.items()}
    steps |= {name: {"loop": _made_of(step)} for name, step in prepared.program.steps.items() if step.turn}
    return {"digest": digest_of(steps), "steps": steps}


def _made_of(loop: StepProgram) -> Json:
    """What decides over the turns of a loop, as a digest."""
    written = loop.linked.step.loop
    assert written is not None
    texts = {name: text.text for name, text in written.next.items()}
    ends = [written.until.text if written.until else "", written.over.items.text if written.over else ""]
    return digest_of([written.max, written.schema.value, texts, ends])


def _ingredients(prepared: Prepared, step: StepProgram) -> dict[str, Json]:
    program, linked = prepared.program, step.linked
    found = dict(step.fixed_ingredients)
    inputs = {name: brief(_input(program, name)) for name in sorted(linked.inputs)}
    found |= {"inputs": inputs} if inputs else {}
    lane = program.linked.lanes.get(linked.lane)
    if lane is not None and lane.data:
        is_made = lane.data in program.linked.sources
        fields = frozenset({""}) if is_made else linked.item_fields
        files = sorted(program.linked.files_of([lane.data]))
        found["data"] = {name: {"sha256": _digest_of_rows(prepared.data[name], fields)} for name in files}
    return found


def _input(program: Program, name: str) -> Json:
    return program.inputs.get(name) if name else dict(program.inputs)


def _digest_of_rows(rows: Iterable[Item], fields: frozenset[str]) -> str:
    """In whatever order the rows stand; of what is read only."""
    total = sum(int(digest_of([item.id, _read(item, fields)]), 16) for item in rows)
    return f"{total % (1 << 256):064x}"


def _read(item: Item, fields: frozenset[str]) -> Json:
    if "" in fields or not isinstance(item.value, dict):
        return item.value
    return {name: item.value.get(name) for name in sorted(fields)}


def _up_to(number: int) -> str:
    return f"up to {number:,} {'time' if number == 1 else 'times'}"


def ensure_plan_holds(prepared: Prepared, options: RunOptions) -> None:
    """Raises CallNeeded when the run would ask something else than the plan says, FileError for a bad file."""
    if options.saved_plan is None:
        return
    workflow = prepared.project.workflow
    assert workflow is not None
    saved = read_plan(options.saved_plan)
    if saved.file != workflow.file:
        message = f"{options.saved_plan} was made of {saved.file}, not of {workflow.file}"
        raise UsageError(Problem("bad-plan", message, fix=f"runner plan {workflow.file} -o FILE"))
    compared = _Comparison(saved)
    with look_around(prepared, options) as look:
        plan, _ = plan_of(prepared, look, compared.see)
        compared.end(plan, prepared, look.answers)
    if compared.told:
        raise CallNeeded(
            [_problem(options, prepared.program, step, found) for step, found in compared.told.items()],
            prepared.project.sources,
        )


def _problem(options: RunOptions, program: Program, step: str, found: list[str]) -> Problem:
    more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
    known = program.steps.get(step)
    return Problem(
        "stale-plan",
        f"{options.saved_plan} does not hold any more: {found[0]}{more}",
        known.linked.step.span if known else None,
        fix="make the plan again, and look at it",
    )


@dataclass(slots=True)
class _Comparison:
    """Goes along while the plan is made again; `told` says by step what is different, the first first."""

    saved: SavedPlan
    told: dict[str, list[str]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _keys: set[str] = field(default_factory=set)

    def see(self, call: PlannedCall) -> None:
        """A call that is certain now."""
        ask = call.ask
        self._keys = self._keys or {one.key for one in self.saved.calls.values()}
        self._seen.add(ask.key)
        if ask.key in self._keys:
            return
        where = f"{ask.step}[{ask.item}]" if ask.item else ask.step
        before = self.saved.calls.get(ask.place)
        if before is not None:
            self._seen.add(before.key)
            found = ", ".join(str(change) for change in changes(before.ingredients, ask.ingredients))
            self._tell(ask.step, f"{where} would be asked another question: {found or 'the text of the prompt'}")
        elif not self._is_foreseen(ask.step, ask.repair):
            self._tell(ask.step, f"{where} would be asked, which the plan does not have: {call.reason}")

    def _is_foreseen(self, step: str, repair: int) -> bool:
        """Whether the plan said that the step may be called beyond what was certain."""
        before = self.saved.steps.get(step)
        if before is None:
            return False
        return before.may_calls is None or (before.may_calls > 0 and bool(repair or before.after))

    def end(self, plan: Plan, prepared: Prepared, answers: Answers) -> None:
        self._miss_the_gone(answers)
        now = depends_on(prepared)
        if now["digest"] != self.saved.digest:
            for step in plan.steps:
                self._compare_settings(step, now["steps"][step.step])
        for step in plan.steps:
            self._compare_numbers(step)

    def _miss_the_gone(self, answers: Answers) -> None:
        """What was to be asked must be asked, or have been answered since."""
        gone = {place: call.key for place, call in self.saved.calls.items() if call.key not in self._seen}
        keys = list(gone.values())
        stored: set[str] = set()
        for start in range(0, len(keys), LOOKED_UP):
            stored |= answers.lookup(keys[start : start + LOOKED_UP]).keys()
        for (step, item, _, _), key in gone.items():
            if key not in stored:
                where = f"{step}[{item}]" if item else step
                self._tell(step, f"{where} would not be asked, and its answer is not stored")

    def _compare_settings(self, step: StepPlan, now: Mapping[str, Json]) -> None:
        """Of a step whose questions are not known yet, what they will be made of."""
        before = self.saved.steps.get(step.step)
        if before is None or not step.after or step.step in self.told:
            return
        found = ", ".join(str(change) for change in changes(before.ingredients, now))
        if found:
            self._tell(step.step, f"{step.step} may be called with another question: {found}")

    def _compare_numbers(self, step: StepPlan) -> None:
        before = self.saved.steps.get(step.step) or SavedStep(0, 0, (), {})
        if before.may_calls is None or step.step in self.told:
            return
        most = before.calls + before.may_calls
        if step.may_calls is None or step.calls + step.may_calls > most:
            asked = "any number of times" if step.may_calls is None else _up_to(step.calls + step.may_calls)
            self._tell(step.step, f"{step.step} may be called {asked}, and the plan has {most:,}")

    def _tell(self, step: str, sentence: str) -> None:
        self.told.setdefault(step, []).append(sentence)
