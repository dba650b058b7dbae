"""The plan is the run with the network taken away: what it calls certain is called, and nothing beyond its bounds.

Workflows, their answers and the state of their caches are made from a number, so that each is the same every time.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.core.canonical import ordered
from runner.core.errors import CallNeeded, OverBudget
from runner.core.events import AttemptMade
from runner.core.outcome import Attempt
from runner.core.span import Span
from runner.output.schema import fields_schema
from runner.plan.planned import Plan

SEEDS = range(200)
CAP = 60
HERE = Span("flow.yaml", 1, 1)
FIELDS = "{flag: boolean, word: string, words: [string]}"
SCHEMA_BYTES = len(ordered(fields_schema({"flag": "boolean", "word": "string", "words": ["string"]}, lambda _: HERE)))
LONG = "Think of this one as well, and of what it may mean to all who read it. " * 8
OF_ALL = (
    "{{ steps.NAME.outputs | length }}",
    "{{ steps.NAME.outputs | map(attribute='word') | join }}",
    "{% for one in steps.NAME.outputs %}" + LONG + "{{ one.word }}. {% endfor %}",
)
OF_ONE = (
    "{{ steps.NAME.output.word }}",
    "{{ steps.NAME.output.word | default('none') }}",
    "{% for word in steps.NAME.output.words %}Think of this word as well: {{ word }}. {% endfor %}",
)
PART = "Say it in few words.\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82"
IMAGE_TOKENS = 85
STATES = (
    "schema: {type: object, properties: {n: {type: integer}, said: {type: string, maxLength: 400}}, required: [n, said], additionalProperties: false}",
    "fields: {n: integer, said: string}",
)


@dataclass
class Recipe:
    """A workflow on its way: what is decided by the dice, and which steps there are, each with its lane."""

    dice: random.Random
    lanes: dict[str, str] = field(default_factory=dict)
    sampled: dict[str, str] = field(default_factory=dict)
    loops: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    fields: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"rows": ("n",), "others": ("n",)})

    def text(self) -> str:
        dice = self.dice
        steps = [self.step(f"s{number}") for number in range(dice.randrange(2, 7))]
        budget = dice.choice(
            ["", "", "", "", "budget: {calls: 6}\n", "budget: {tokens: 900}\n", "budget: {usd: 0.0006}\n"]
        )
        head = "format: 1\nname: made\ndata:\n  rows: {file: rows.jsonl}\n  others: {file: others.jsonl, key: n}\n"
        head += "".join(f"  {name}: {source}\n" for name, source in self.made.items())
        head += f"inputs: {{topic: {{type: string, default: tea}}}}\n{budget}"
        return f"{head}defaults: {{model: box/small, max_output_tokens: {CAP}, fields: {FIELDS}}}\nsteps:\n{''.join(steps)}"

    def step(self, name: str) -> str:
        dice = self.dice
        singles = [other for other, lane in self.lanes.items() if not lane]
        lists = [f"steps.{dice.choice(singles)}.output.words"] if singles else []
        lane = dice.choice(
            ["", "", "", "data.rows", "data.rows", "data.others", *lists, *[f"data.{one}" for one in self.made]]
        )
        if dice.random() < 0.25:
            lane = f"data.{self.source()}"
        if dice.random() < 0.15:
            return self.loop(name, lane)
        lines = [f"  {name}:", *(f"    {line}" for line in self.prompt(name, lane))]
        lines += [f"    repair: {dice.randrange(3)}"] if dice.random() < 0.7 else []
        lines += [f"    for_each: {lane}"] if lane else []
        lines += [f"    when: {self.condition(lane)}"] if dice.random() < 0.4 else []
        lines += ["    on_error: skip"] if dice.random() < 0.4 else []
        lines += ['    ensure: [output.word != "w5"]'] if dice.random() < 0.2 else []
        lines += [f"    cache: {{use: {dice.choice(['off', 'refresh'])}}}"] if dice.random() < 0.06 else []
        lines += [f"    escalate: {self.escalation()}"] if dice.random() < 0.2 else []
        lines += ["    temperature: 0.5"] if dice.random() < 0.2 else []
        if dice.random() < 0.15:
            lines.append(f"    samples: {dice.randrange(1, 4)}")
            self.sampled[name] = lane
        else:
            self.lanes[name] = lane
        return "\n".join(lines) + "\n"

    def source(self) -> str:
        """A further source of rows, made from those of another."""
        dice = self.dice
        before = dice.choice(["rows", "rows", "others", *self.made])
        steps = [name for name, lane in self.lanes.items() if lane == f"data.{before}"]
        name, fields = f"made{len(self.made)}", self.fields[before]
        keys = [f"rows: data.{before}"]
        said = f"steps.{dice.choice(steps)}.output" if steps else ""
        kind = dice.choice(
            ["each", "each", "where", "group", "sort", "join"] if said else ["where", "group", "sort", "join"]
        )
        match kind:
            case "each":
                keys += [f"each: {said}.words", f"columns: {{n: item.{fields[0]}, word: each}}"]
                keys += ['where: each != "w3-0"'] if dice.random() < 0.3 else []
                fields = ("n", "word")
            case "where":
                keys += [f"where: {said}.flag" if said else f"where: item.{fields[0]} != 1"]
                if said and dice.random() < 0.6:
                    keys += [f"columns: {{n: item.{fields[0]}, flag: {said}.flag, word: {said}.word}}"]
                    fields = ("n", "flag", "word")
            case "group":
                by = dice.choice(fields)
                keys += [f"group: {by}"]
                fields = (by,)
                if dice.random() < 0.5:
                    keys += [f"columns: {{{by}: item.{by}, count: group | length}}"]
                    fields = (by, "count")
            case "sort":
                keys += [f"sort: {dice.choice(['', '-'])}{dice.choice(fields)}"]
            case _:
                keys += [f"join: {{with: data.{before}, on: {dice.choice(fields)}}}"]
        keys += [f"limit: {dice.randrange(1, 5)}"] if dice.random() < 0.5 else []
        self.made[name] = "{" + ", ".join(keys) + "}"
        self.fields[name] = fields
        return name

    def loop(self, name: str, lane: str) -> str:
        """Turns of one or two steps, whose state is bounded or not."""
        dice = self.dice
        most = dice.randrange(1, 4)
        lines = [f"  {name}:", *([f"    for_each: {lane}"] if lane else [])]
        lines += [f"    when: {self.condition(lane)}"] if dice.random() < 0.3 else []
        lines += ["    on_error: skip"] if dice.random() < 0.4 else []
        lines += ["    loop:", f"      max: {most}", "      state:", f"        {dice.choice(STATES)}"]
        lines += ['        start: {n: 0, said: ""}', "      steps:"]
        read = [
            "{{ state.n }}",
            dice.choice(["", "{{ state.said }}", "{% for a in [1, 2] %}{{ state.said }}{% endfor %}"]),
        ]
        read += [
            *self.readings(lane),
            *(["{{ item }}"] if lane else []),
            *(["{{ turn }}"] if dice.random() < 0.5 else []),
        ]
        lines += ["        ask:", f"          prompt: {json.dumps(f'{name} asks of ' + ' '.join(read))}"]
        lines += [f"          repair: {dice.randrange(2)}"] if dice.random() < 0.5 else []
        lines += [f"          escalate: {self.escalation()}"] if dice.random() < 0.2 else []
        if dice.random() < 0.5:
            lines += [
                "        say:",
                f"          prompt: {json.dumps(name + ' says {{ steps.ask.output.word }} {{ state.n }}')}",
            ]
            lines += ["          when: steps.ask.output.flag"] if dice.random() < 0.4 else []
        lines += ["      next: {n: turn, said: steps.ask.output.word ~ state.said}"]
        if dice.random() < 0.3:
            lines += ['      over: "[7, inputs.topic]"', "      as: part"]
        else:
            lines += (
                [f"      until: {dice.choice(['not steps.ask.output.flag', 'state.n >= 2'])}"]
                if dice.random() < 0.7
                else []
            )
        self.loops[name] = lane
        return "\n".join(lines) + "\n"

    def prompt(self, name: str, lane: str) -> Iterator[str]:
        dice = self.dice
        parts = [f"{name} asks of {{{{ inputs.topic }}}}", *self.readings(lane)]
        parts += ["{{ item }}"] if lane and dice.random() < 0.8 else []
        keeps_group = "group:" in (text := self.made.get(lane.removeprefix("data."), "")) and "columns:" not in text
        parts += ["{% for one in group %}{{ one }} {% endfor %}"] if keeps_group and dice.random() < 0.8 else []
        if dice.random() < 0.2:
            yield "system: Be as short as you can."
        if dice.random() < 0.15:
            yield f"files: [{{image: '{dice.choice(['media/a.png', 'media/{{ inputs.topic }}.png'])}'}}]"
        if dice.random() < 0.15:
            yield f"messages: [{{role: user, text: {json.dumps(' '.join(parts))}}}, {{role: assistant, text: Yes?}},"
            yield "  {for_each: '[1, 2]', as: time, messages: [{role: user, text: 'Again, {{ time }}.'}]}]"
            return
        parts += ["{% include 'parts/short.md' %}"] if dice.random() < 0.15 else []
        yield f"prompt: {json.dumps(' '.join(parts))}"

    def readings(self, lane: str) -> Iterator[str]:
        dice = self.dice
        for other in dice.sample(list(self.lanes), k=min(len(self.lanes), dice.randrange(3))):
            is_barrier = self.lanes[other] and self.lanes[other] != lane
            yield dice.choice(OF_ALL if is_barrier else OF_ONE).replace("NAME", other)
        for other in dice.sample(list(self.sampled), k=min(len(self.sampled), dice.randrange(2))):
            if self.sampled[other] in ("", lane):
                yield "{{ steps.NAME.samples | length }}".replace("NAME", other)
        yield from self.readings_of_loops(lane)

    def readings_of_loops(self, lane: str) -> Iterator[str]:
        dice = self.dice
        for other in dice.sample(list(self.loops), k=min(len(self.loops), dice.randrange(2))):
            if self.loops[other] in ("", lane):
                yield f"{{{{ steps.{other}.{dice.choice(['state.said', 'turns | length', 'finished', 'last.ask.word'])} }}}}"
            else:
                yield f"{{{{ steps.{other}.outputs | length }}}}"

    def escalation(self) -> str:
        to = self.dice.choice(["box/large", "[box/large, box/huge]"])
        when = self.dice.choice(["", ", when: not output.flag"])
        return f"{{to: {to}{when}{self.dice.choice(['', ', on: [refused]'])}}}"

    def condition(self, lane: str) -> str:
        dice = self.dice
        near = [other for other, its in self.lanes.items() if its in ("", lane)]
        if not near or dice.random() < 0.2:
            return 'inputs.topic != "milk"'
        other = dice.choice(near)
        return dice.choice([f"steps.{other}.output.flag", f"not steps.{other}.skipped", f"steps.{other}.output.words"])


def number_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def parts_of(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def reply(project: Any, body: Any) -> Any:
    """An answer that depends on the question alone: most fit, some after a repair, some never; some are cut or refused."""
    parts = [part for message in body["messages"] for part in parts_of(message["content"])]
    messages = [part["text"] for part in parts if part["type"] == "text"]
    images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    number = number_of("".join([*messages, *images]))
    tokens = -(-(len("".join(messages).encode()) + SCHEMA_BYTES) // 4) + IMAGE_TOKENS * len(images)
    size = {"input_tokens": tokens, "output_tokens": 1 + number % CAP}
    if number % 23 == 0:
        return project.Answer(text="I will not.", finish="refused", **size)
    if number % 29 == 0:
        return project.Answer(text='{"flag": tr', finish="length", **size)
    if number % 6 == 0:
        return project.Answer(text='{"flag": "perhaps"}', **size)
    words = [f"w{number % 13}-{index}" for index in range(number % 4)]
    said = {"flag": number % 3 != 0, "word": f"w{number % 11}", "words": words}
    return project.Answer(text=json.dumps(said), **size)


def disturb(project: Any, dice: random.Random) -> None:
    """Bring the cache into another state: answers are gone, damaged or only recorded; or the workflow has changed."""
    database = project.root / "cache/local/cache.db"
    with closing(sqlite3.connect(database)) as db:
        rows = [row[0] for row in db.execute("SELECT rowid FROM Cache ORDER BY rowid")]
        share = dice.choice([0.0, 0.2, 0.6, 1.0])
        db.executemany("DELETE FROM Cache WHERE rowid = ?", [(row,) for row in rows if dice.random() < share])
        if dice.random() < 0.2:
            db.execute("UPDATE Cache SET value = X'00' WHERE rowid IN (SELECT rowid FROM Cache LIMIT 2)")
        db.commit()
    path = project.root / "flow.yaml"
    text = path.read_text()
    for old, new in (("repair: 1", "repair: 2"), ('!= "w5"', '!= "w7"'), ("default: tea", "default: milk")):
        text = text.replace(old, new) if dice.random() < 0.2 else text
    path.write_text(text)
    if dice.random() < 0.2:
        (project.root / "media" / dice.choice(["a.png", "tea.png"])).write_bytes(PNG + bytes([dice.randrange(256)]))


def asked_in(project: Any) -> list[tuple[str, Attempt]]:
    """Every question that went out, by step."""
    made = [event for event in project.events if isinstance(event, AttemptMade)]
    return [(event.step, event.attempt) for event in made if event.attempt.requests]


def hold_together(plan: Plan, project: Any) -> None:
    """What was planned and what was done."""
    asked = asked_in(project)
    count = project.server.count
    assert count == len(asked)
    assert {call.ask.key for call in plan.asked} <= {attempt.key for _, attempt in asked}
    assert plan.calls <= count
    if plan.worst_calls is not None:
        assert count <= plan.worst_calls
    by_step = Counter(step for step, _ in asked)
    for step in plan.steps:
        assert step.calls <= by_step[step.step], step
        assert step.may_calls is None or by_step[step.step] <= step.calls + step.may_calls, step
    for step in plan.steps:
        spent = sum(attempt.cost_usd or 0.0 for name, attempt in asked if name == step.step)
        assert step.least_usd <= spent + 1e-12, step
        assert step.worst_usd is None or spent <= step.worst_usd + 1e-12, step
    assert plan.least_tokens <= sum((one.usage.input_tokens or 0) + (one.usage.output_tokens or 0) for _, one in asked)


def test_the_workflows_have_every_shape() -> None:
    texts = [Recipe(random.Random(seed)).text() for seed in SEEDS]
    shapes = (
        "loop:",
        "over:",
        "until:",
        "files:",
        "escalate:",
        "samples:",
        "when:",
        "on_error: skip",
        "for_each: steps",
        "for_each: data.made",
        "each:",
        "where:",
        "group:",
        "sort:",
        "join:",
        "limit:",
    )
    assert [shape for shape in shapes if sum(shape in text for text in texts) < 10] == []


@pytest.fixture
def made(project: Any) -> Any:
    """The project, its model at a price, with rows of two kinds."""
    runner_yaml = (project.root / "runner.yaml").read_text()
    project.write("runner.yaml", runner_yaml.replace("price: free", "price: {input: 1.0, output: 2.0}"))
    project.write("parts/short.md", PART)
    (project.root / "media").mkdir()
    for name in ("a", "tea", "milk"):
        (project.root / "media" / f"{name}.png").write_bytes(PNG + name.encode())
    project.write("rows.jsonl", "".join(json.dumps({"n": number}) + "\n" for number in range(4)))
    project.write("others.jsonl", "".join(json.dumps({"n": f"o{number}"}) + "\n" for number in range(3)))
    project.server.respond = lambda _dialect, body, _n: reply(project, body)
    return project


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_does_what_the_plan_says(made: Any, seed: int) -> None:
    dice = random.Random(seed)
    path = made.workflow(Recipe(dice).text())
    steps = [
        line.strip(" :\n") for line in path.read_text().split("\n") if line.startswith("  s") and line.endswith(":")
    ]
    for _ in range(2):
        select = (dice.choice(steps) + dice.choice(["", "+"]),) if dice.random() < 0.15 else ()
        plan = plan_workflow(path, RunOptions(select=select)).plan
        try:
            result = made.run(consent=True, select=select, record=dice.random() < 0.2)
        except (CallNeeded, OverBudget):
            assert made.server.count == 0
            break
        if result.exit_code == OverBudget.exit_code:
            assert plan.worst_calls is None or made.server.count <= plan.worst_calls
        else:
            assert result.exit_code in (0, 1, 6), result.problems
            hold_together(plan, made)
        disturb(made, dice)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(0, 200, 10))
def test_once_all_is_stored_nothing_is_unknown(made: Any, seed: int) -> None:
    path = made.workflow(Recipe(random.Random(seed)).text().replace("budget:", "x-budget:"))
    made.run(consent=True)
    plan = plan_workflow(path, RunOptions()).plan
    made.run(consent=True)
    assert plan.calls <= made.server.count
    if plan.worst_calls == plan.calls:
        assert made.server.count == plan.calls
