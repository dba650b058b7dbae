"""Rows that are made from rows, from the file to the table: what is asked, planned and told."""

from __future__ import annotations

import json
from typing import Any

import pytest

import runner
from runner.app import api
from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.plan.planned import StepPlan

THEMES = {"r1": ["price", "taste"], "r2": ["price"], "r3": [], "r4": ["taste", "taste"]}
STARS = {"r1": 2, "r2": 1, "r3": 5, "r4": 4}
MENTIONS = "{rows: data.reviews, each: steps.tag.output.themes, columns: {theme: each.name, stars: item.stars}}"
FLOW = """
format: 1
data:
  reviews: {file: reviews.jsonl, key: id, schema: {type: object, properties: {id: {type: string}, stars: {type: integer}},
    required: [id, stars]}}
  mentions: MENTIONS
DATA
defaults: {model: box/small}
steps:
  tag:
    for_each: data.reviews
    prompt: "tag {{ item.id }}"
    schema: {type: object, required: [themes], properties: {themes: {type: array, maxItems: 3, items: {type: object,
      required: [name], properties: {name: {enum: [price, taste]}}}}}}
STEPS
"""
CHECK = """
  check:
    for_each: data.mentions
    prompt: "check {{ item.theme }} {{ item.stars }}"
"""


@pytest.fixture
def reviews(project: Any) -> Any:
    """A project whose reviews have themes."""

    def respond(_dialect: str, body: Any, _n: int) -> Any:
        kind, *words = body["messages"][-1]["content"].split()
        if kind == "tag":
            return project.special.get(words[0]) or project.Answer(
                text=json.dumps({"themes": [{"name": name} for name in THEMES[words[0]]]})
            )
        return project.special.get(kind) or project.Answer(text=" ".join(["said", kind, *words]))

    def write(steps: str = CHECK, data: str = "", mentions: str = MENTIONS) -> None:
        text = FLOW.replace("MENTIONS", mentions).replace("DATA\n", data).replace("STEPS", steps)
        project.workflow(text)

    project.server.respond = respond
    project.write("reviews.jsonl", "".join(json.dumps({"id": name, "stars": STARS[name]}) + "\n" for name in THEMES))
    project.flow = write
    return project


def plan_of(project: Any, **options: Any) -> dict[str, StepPlan]:
    plan = plan_workflow(project.root / "flow.yaml", RunOptions(**options)).plan
    return {step.step: step for step in plan.steps}


def table(project: Any, name: str) -> list[Any]:
    return [json.loads(line) for line in (project.root / "out" / f"{name}.jsonl").read_text().splitlines()]


def items_of(project: Any, step: str) -> list[str]:
    """The items of a step that came to an end, in the order in which they were told."""
    ended = (event.outcome for event in project.events if event.__class__.__name__ == "Settled")
    return [outcome.item for outcome in ended if outcome.step == step]


# --- elements of answers


def test_each_element_of_an_answer_is_asked_about(reviews: Any) -> None:
    reviews.flow()
    assert reviews.run().exit_code == 0
    assert reviews.asked == [
        "check price",
        "check price",
        "check taste",
        "check taste",
        "tag r1",
        "tag r2",
        "tag r3",
        "tag r4",
    ]


def test_a_row_is_named_by_the_row_before_and_its_element(reviews: Any) -> None:
    reviews.flow()
    reviews.run()
    names = sorted(items_of(reviews, "check"))
    assert [name.split("/")[0] for name in names] == ["r1", "r1", "r2", "r4", "r4"]
    assert names[4] == f"{names[3]}#2"  # the same theme twice
    assert len({name.partition("/")[2].removesuffix("#2") for name in names}) == 2


def test_a_key_names_the_elements(reviews: Any) -> None:
    reviews.flow(mentions=MENTIONS[:-1] + ", key: theme}")
    reviews.run()
    assert sorted(items_of(reviews, "check")) == ["r1/price", "r1/taste", "r2/price", "r4/taste", "r4/taste#2"]


def test_another_order_of_rows_asks_nothing_again(reviews: Any) -> None:
    reviews.flow()
    reviews.run()
    lines = (reviews.root / "reviews.jsonl").read_text().splitlines()
    reviews.write("reviews.jsonl", "\n".join(reversed(lines)))
    reviews.run()
    assert reviews.asked == []


def test_only_rows_for_which_where_holds_are_made(reviews: Any) -> None:
    where = MENTIONS[:-1] + ', where: item.stars < 3 and each.name == "price"}'
    reviews.flow(mentions=where)
    reviews.run()
    assert [one for one in reviews.asked if one.startswith("check")] == ["check price", "check price"]


def test_rows_of_a_file_can_be_sifted_without_a_step(reviews: Any) -> None:
    steps = "\n  say: {for_each: data.bad, prompt: 'say {{ item.id }}'}\n"
    reviews.flow(steps, "  bad: {rows: data.reviews, where: item.stars < 3}\n")
    plan = plan_of(reviews)
    assert (plan["say"].calls, plan["say"].items, plan["say"].after) == (2, 2, ())
    reviews.run()
    assert [one for one in reviews.asked if one.startswith("say")] == ["say r1", "say r2"]
    assert sorted(items_of(reviews, "say")) == ["r1", "r2"]


def test_a_limit_takes_the_first_rows(reviews: Any) -> None:
    reviews.flow(mentions=MENTIONS[:-1] + ", limit: 2}")
    reviews.run()
    assert [one for one in reviews.asked if one.startswith("check")] == ["check price", "check taste"]


def test_from_the_row_before_all_answers_are_those_of_its_own_rows(reviews: Any) -> None:
    steps = (
        CHECK
        + """
  close:
    for_each: data.reviews
    prompt: "close {{ item.id }} {{ steps.check.texts | length }}"
outputs:
  closed: {rows: data.reviews, file: out/closed.jsonl, columns: {id: item.id, checks: steps.check.texts}}
"""
    )
    reviews.flow(steps)
    assert reviews.run().exit_code == 0
    prompts = sorted(one.prompt for one in reviews.server.requests if one.prompt.startswith("close"))
    assert prompts == ["close r1 2", "close r2 1", "close r3 0", "close r4 2"]
    assert table(reviews, "closed")[:2] == [
        {"id": "r1", "checks": ["said check price 2", "said check taste 2"]},
        {"id": "r2", "checks": ["said check price 1"]},
    ]


def test_from_elsewhere_all_answers_are_all(reviews: Any) -> None:
    reviews.flow(CHECK + '\n  sum: {prompt: "sum {{ steps.check.texts | length }}"}\n')
    reviews.run()
    assert "sum 5" in reviews.asked


# --- failures


def test_a_row_whose_step_failed_has_no_rows_and_the_others_go_on(reviews: Any) -> None:
    reviews.flow(CHECK + '\n  sum: {prompt: "sum {{ steps.check.texts | length }}"}\n')
    reviews.special["r1"] = reviews.Answer(text="no", finish="refused")
    result = reviews.run()
    assert result.exit_code == 1
    assert [one for one in reviews.asked if not one.startswith("tag")] == ["check price", "check taste"]
    assert result.outputs == {"sum": None} or result.outputs is None


def test_a_row_that_reads_its_own_rows_waits_for_these_alone(reviews: Any) -> None:
    close = "\n  close: {for_each: data.reviews, prompt: 'close {{ item.id }} {{ steps.check.texts | length }}'}\n"
    reviews.flow(CHECK + close)
    reviews.special["r1"] = reviews.Answer(text="no", finish="refused")
    assert reviews.run().exit_code == 1
    closed = sorted(one.prompt for one in reviews.server.requests if one.prompt.startswith("close"))
    assert closed == ["close r2 1", "close r3 0", "close r4 2"]


def test_what_is_left_out_makes_no_rows(reviews: Any) -> None:
    reviews.flow(CHECK + '\n  sum: {prompt: "sum {{ steps.check.texts | length }}"}\n')
    reviews.edit("  tag:\n", "  tag:\n    on_error: skip\n")
    reviews.special["r1"] = reviews.Answer(text="no", finish="refused")
    assert reviews.run().exit_code == 0
    assert "sum 3" in reviews.asked


def test_groups_are_not_made_when_a_row_failed(reviews: Any) -> None:
    reviews.flow(SUM, BY_THEME)
    reviews.special["r1"] = reviews.Answer(text="no", finish="refused")
    result = reviews.run()
    assert result.exit_code == 1
    assert [one for one in reviews.asked if one.startswith("sum")] == []


# --- groups, order, joins

BY_THEME = "  by_theme: {rows: data.mentions, where: item.stars < 5, group: [theme]}\n"
SUM = """
  sum:
    for_each: data.by_theme
    prompt: "sum {{ item.theme }}:{% for one in group %} {{ one.stars }}{% endfor %}"
"""


def test_a_group_has_its_rows(reviews: Any) -> None:
    outputs = (
        "outputs:\n  sums: {rows: data.by_theme, file: out/sums.jsonl, columns: {theme: item.theme, rows: group}}\n"
    )
    reviews.flow(SUM + outputs, BY_THEME)
    assert reviews.run().exit_code == 0
    prompts = sorted(one.prompt for one in reviews.server.requests if one.prompt.startswith("sum"))
    assert prompts == ["sum price: 2 1", "sum taste: 2 4 4"]
    assert sorted(items_of(reviews, "sum")) == ["price", "taste"]
    assert table(reviews, "sums")[0] == {
        "theme": "price",
        "rows": [{"theme": "price", "stars": 2}, {"theme": "price", "stars": 1}],
    }


def test_a_changed_group_says_so(reviews: Any) -> None:
    reviews.flow(SUM, BY_THEME)
    reviews.run()
    reviews.write("reviews.jsonl", (reviews.root / "reviews.jsonl").read_text().replace('"stars": 1', '"stars": 3'))
    reviews.run()
    assert [one.prompt for one in reviews.server.requests] == ["sum price: 2 3"]
    (reason,) = reviews.reasons()
    assert reason == "data:group"


def test_the_columns_of_a_group_are_worked_out_from_its_rows(reviews: Any) -> None:
    columns = "{theme: item.theme, n: group | length, mean: group | sum(attribute='stars') / (group | length)}"
    data = f"  counts: {{rows: data.mentions, group: theme, columns: {columns.replace(', mean: group | sum', ', sum: group | sum').replace(' / (group | length)', '')}, sort: [-n, theme]}}\n"
    outputs = "\noutputs:\n  counts: {rows: data.counts, file: out/counts.jsonl, columns: {theme: item.theme, n: item.n, sum: item.sum}}\n"
    reviews.flow(outputs, data)
    assert reviews.run().exit_code == 0
    assert table(reviews, "counts") == [{"theme": "taste", "n": 3, "sum": 10}, {"theme": "price", "n": 2, "sum": 3}]


def test_rows_are_sorted_and_cut_off(reviews: Any) -> None:
    data = (
        "  worst: {rows: data.reviews, sort: stars, limit: 2}\n  best: {rows: data.reviews, sort: -stars, limit: 2}\n"
    )
    outputs = "\noutputs:\n  worst: {rows: data.worst, file: out/worst.jsonl, columns: {id: item.id}}\n"
    outputs += "  best: {rows: data.best, file: out/best.jsonl, columns: {id: item.id}}\n"
    reviews.flow(outputs, data)
    reviews.run()
    assert [[row["id"] for row in table(reviews, name)] for name in ("worst", "best")] == [["r2", "r1"], ["r3", "r4"]]


def test_rows_stand_beside_their_partners(reviews: Any) -> None:
    reviews.write("themes.jsonl", '{"theme": "price", "long": "what it costs"}\n{"theme": "price", "long": "dear"}\n')
    data = "  themes: {file: themes.jsonl}\n"
    data += "  both: {rows: data.mentions, join: {with: data.themes, on: theme}, columns: {stars: item.stars, long: item.themes.long}}\n"
    outputs = (
        "\noutputs:\n  both: {rows: data.both, file: out/both.jsonl, columns: {stars: item.stars, long: item.long}}\n"
    )
    reviews.flow(outputs, data)
    assert reviews.run().exit_code == 0
    assert table(reviews, "both") == [
        {"stars": 2, "long": "what it costs"},
        {"stars": 2, "long": "dear"},
        {"stars": 1, "long": "what it costs"},
        {"stars": 1, "long": "dear"},
    ]


def test_rows_are_made_of_made_rows_over_several_steps(reviews: Any) -> None:
    data = "  worries: {rows: data.mentions, where: \"'price' in steps.check.text\", columns: {theme: item.theme, said: steps.check.text}}\n"
    steps = CHECK + "\n  answer: {for_each: data.worries, prompt: 'answer {{ item.said }}'}\n"
    reviews.flow(steps, data)
    assert reviews.run().exit_code == 0
    answers = [one.prompt for one in reviews.server.requests if one.prompt.startswith("answer")]
    assert sorted(answers) == ["answer said check price 1", "answer said check price 2"]


# --- plans


def test_a_plan_bounds_what_is_made_of_answers_that_are_not_there(reviews: Any) -> None:
    reviews.flow()
    plan = plan_of(reviews)
    assert (plan["tag"].calls, plan["check"].calls, plan["check"].may_calls) == (4, 0, 12)
    assert plan["check"].after == ("tag",)


def test_a_plan_knows_the_rows_of_the_answers_that_are_there(reviews: Any) -> None:
    reviews.flow()
    reviews.run(select=("tag",))
    reviews.edit("check {{", "look at {{")
    reviews.write("reviews.jsonl", (reviews.root / "reviews.jsonl").read_text() + '{"id": "r5", "stars": 5}\n')
    plan = plan_of(reviews)
    assert (plan["tag"].cached, plan["tag"].calls) == (4, 1)
    assert (plan["check"].calls, plan["check"].may_calls) == (4, 3)  # one question is asked twice
    assert plan["check"].shared == 1


def test_a_limit_bounds_the_plan(reviews: Any) -> None:
    reviews.flow(mentions=MENTIONS[:-1] + ", limit: 7}")
    assert plan_of(reviews)["check"].may_calls == 7


def test_groups_of_listed_words_are_bounded_by_the_words(reviews: Any) -> None:
    reviews.flow(SUM, BY_THEME)
    plan = plan_of(reviews)
    assert (plan["sum"].calls, plan["sum"].may_calls, plan["sum"].after) == (0, 2, ("tag",))


def test_without_a_bound_the_plan_says_so(reviews: Any) -> None:
    reviews.flow()
    reviews.edit("maxItems: 3, ", "")
    plan = plan_of(reviews)
    assert (plan["check"].items, plan["check"].may_calls) == (None, None)


def test_with_all_answers_stored_nothing_is_unknown(reviews: Any) -> None:
    reviews.flow(CHECK + SUM, BY_THEME)
    reviews.run()
    plan = plan_of(reviews)
    assert all((step.calls, step.may_calls, step.after) == (0, 0, ()) for step in plan.values())
    assert (plan["check"].cached, plan["sum"].cached) == (5, 2)


# --- what cannot be


def test_made_rows_cannot_be_given(reviews: Any) -> None:
    reviews.flow()
    with pytest.raises(runner.RunnerError, match="--data names 'mentions', whose rows are made from those of another"):
        reviews.run(data={"mentions": reviews.root / "reviews.jsonl"})


# --- rows that cannot be made


def problems(result: runner.RunResult) -> list[str]:
    return [problem.message for problem in result.problems]


SAY = "\n  say: {for_each: data.some, prompt: 'say {{ item.id }}'}\n"


def test_a_condition_that_cannot_be_evaluated_fails_the_row_and_no_other(reviews: Any) -> None:
    reviews.flow(SAY, "  some: {rows: data.reviews, where: (6 / (item.stars - 2)) < 5}\n")
    result = reviews.run()
    assert (result.exit_code, [one for one in reviews.asked if one.startswith("say")]) == (
        1,
        ["say r2", "say r3", "say r4"],
    )
    (message,) = problems(result)
    assert message == "say[r1]: row 1 is bad: flow.yaml:7:37: '/' divides by zero"


def test_a_row_that_is_no_json_fails(reviews: Any) -> None:
    reviews.flow(SAY, "  some: {rows: data.reviews, columns: {id: item.id, n: 1e308 * 10 * item.stars}}\n")
    result = reviews.run()
    assert result.exit_code == 1
    assert "it cannot be written as JSON" in problems(result)[0]


def test_a_list_that_is_none_fails_the_row(reviews: Any) -> None:
    reviews.flow(
        SAY.replace(".id", ""), "  some: {rows: data.reviews, each: 'item.id if item.stars == 1 else [item.id]'}\n"
    )
    result = reviews.run()
    assert [one for one in reviews.asked if one.startswith("say")] == ["say r1", "say r3", "say r4"]
    assert "gives text, and a list is needed" in problems(result)[0]


def test_a_bad_row_of_a_file_stays_bad_and_stops_a_group(reviews: Any) -> None:
    reviews.write("reviews.jsonl", '{"id": "r1", "stars": "many"}\n{"id": "r2", "stars": 1}\n')
    group = "  groups: {rows: data.reviews, group: stars}\n  some: {rows: data.reviews, limit: 5}\n"
    reviews.flow(SAY + "\n  sum: {for_each: data.groups, prompt: 'sum {{ item.stars }}'}\n", group)
    result = reviews.run()
    assert result.exit_code == 1
    assert [one for one in reviews.asked if not one.startswith("tag")] == ["say r2"]
    assert (
        "data source 'groups' is made from all rows, and row 'r1' is bad: /stars is \"many\", expected an integer"
        in problems(result)
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{rows: data.plain, group: kind, columns: {id: item.kind}}", "row 'b' has no field 'kind'"),
        ("{rows: data.plain, join: {with: data.reviews, on: kind}}", "row 'r1' of 'reviews' has no field 'kind'"),
        ("{rows: data.reviews, join: {with: data.plain, on: kind}}", "row 'b' of 'plain' has no field 'kind'"),
        ("{rows: data.plain, join: {with: data.reviews, on: stars}}", "it has no field 'stars' to join by"),
        ("{rows: data.plain, group: id, columns: {id: group | sum(attribute='kind')}}", "'sum' adds numbers"),
        ("{rows: data.plain, group: id, columns: {id: 1e308 * 10}}", "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_joined_or_grouped_is_told(reviews: Any, data: str, message: str) -> None:
    reviews.write("plain.jsonl", '{"id": "a", "kind": "x"}\n{"id": "b"}\n')
    reviews.flow(SAY, f"  plain: {{file: plain.jsonl, key: id}}\n  some: {data}\n")
    reviews.edit("required: [id, stars]", "required: [id]")
    result = reviews.run()
    assert result.exit_code == 1
    assert any(message in one for one in problems(result)), problems(result)


# --- what is read besides


def test_rows_wait_for_steps_that_run_once(reviews: Any) -> None:
    steps = "\n  ask: {prompt: ask for a word}\n" + SAY
    reviews.flow(
        steps, "  some: {rows: data.reviews, where: item.stars < 3, columns: {id: steps.ask.text ~ item.id}}\n"
    )
    plan = plan_of(reviews)
    assert (plan["say"].may_calls, plan["say"].after) == (4, ("ask",))
    assert reviews.run().exit_code == 0
    said = [one.prompt for one in reviews.server.requests if one.prompt.startswith("say")]
    assert sorted(said) == ["say said ask for a wordr1", "say said ask for a wordr2"]


@pytest.mark.parametrize(("condition", "asked"), [("", []), (" | default('none')", ["say none"] * 4)])
def test_rows_of_a_skipped_step_are_not_made(reviews: Any, condition: str, asked: list[str]) -> None:
    steps = "\n  ask: {when: 1 > 2, prompt: ask}\n" + SAY
    data = f"  some: {{rows: data.reviews, columns: {{id: steps.ask.text{condition}, n: item.id}}}}\n"
    reviews.flow(steps.replace("item.id", "item.id }} {{ item.n"), data)
    assert reviews.run().exit_code == 0
    assert [one for one in reviews.asked if one.startswith("say")] == asked


def test_rows_of_a_failed_step_are_not_made(reviews: Any) -> None:
    steps = "\n  ask: {prompt: ask}\n" + SAY
    reviews.flow(steps, "  some: {rows: data.reviews, columns: {id: steps.ask.text}}\n")
    reviews.special["ask"] = reviews.Answer(text="no", finish="refused")
    assert reviews.run().exit_code == 1
    assert [one for one in reviews.asked if one.startswith("say")] == []


def test_columns_of_groups_may_read_all_answers(reviews: Any) -> None:
    data = "  some: {rows: data.mentions, group: theme, columns: {id: steps.tag.outputs | length, theme: item.theme}}\n"
    reviews.flow(SAY, data)
    assert plan_of(reviews)["say"].may_calls == 2
    reviews.run()
    assert [one for one in reviews.asked if one.startswith("say")] == ["say 4"]  # two groups, one question


def test_rows_made_from_rows_that_failed_go_on_where_they_can(reviews: Any) -> None:
    data = "  high: {rows: data.mentions, where: item.stars > 1}\n  some: {rows: data.high, sort: theme}\n"
    steps = "\n  high: {for_each: data.high, prompt: 'high {{ item.theme }}'}\n" + SAY.replace("item.id", "item.theme")
    reviews.flow(steps, data)
    reviews.special["r1"] = reviews.Answer(text="no", finish="refused")
    assert reviews.run().exit_code == 1
    assert [one for one in reviews.asked if not one.startswith("tag")] == ["high taste"]


def test_own_rows_may_be_read_where_rows_are_made(reviews: Any) -> None:
    data = "  some: {rows: data.reviews, where: steps.check.texts | length > 1, columns: {id: item.id, all: steps.check.texts}}\n"
    reviews.flow(CHECK + SAY, data)
    assert reviews.run().exit_code == 0
    assert [one for one in reviews.asked if one.startswith("say")] == ["say r1", "say r4"]
    reviews.special["r4"] = reviews.Answer(text="no", finish="refused")
    assert reviews.run(refresh=("tag",)).exit_code == 1
    assert [one for one in reviews.asked if one.startswith("say")] == []


def test_own_rows_reach_over_several_sources(reviews: Any) -> None:
    data = "  letters: {rows: data.mentions, each: '[item.theme, item.stars]', columns: {one: each}}\n"
    steps = "\n  spell: {for_each: data.letters, prompt: 'spell {{ item.one }}'}\n"
    steps += (
        "\n  close: {for_each: data.reviews, prompt: \"close {{ item.id }} {{ steps.spell.texts | join('+') }}\"}\n"
    )
    reviews.flow(steps, data)
    assert reviews.run().exit_code == 0
    closed = sorted(one.prompt for one in reviews.server.requests if one.prompt.startswith("close"))
    assert closed[0] == "close r1 said spell price+said spell 2+said spell taste+said spell 2"
    assert closed[2] == "close r3 "


def test_a_failed_row_of_its_own_holds_up_its_row_alone(reviews: Any) -> None:
    close = "\n  close: {for_each: data.reviews, prompt: 'close {{ item.id }} {{ steps.check.texts | length }}'}\n"
    reviews.flow(CHECK + close)
    plain = reviews.server.respond

    def respond(dialect: str, body: Any, number: int) -> Any:
        if body["messages"][-1]["content"] == "check price 1":
            return reviews.Answer(text="no", finish="refused")
        return plain(dialect, body, number)

    reviews.server.respond = respond
    assert reviews.run().exit_code == 1
    closed = sorted(one.prompt for one in reviews.server.requests if one.prompt.startswith("close"))
    assert closed == ["close r1 2", "close r3 0", "close r4 2"]


def test_own_rows_of_a_source_that_is_skipped_are_skipped(reviews: Any) -> None:
    steps = "\n  ask: {when: 1 > 2, prompt: ask}\n" + CHECK
    steps += "\n  close: {for_each: data.reviews, prompt: 'close {{ steps.check.texts | length }}'}\n"
    reviews.flow(steps, mentions=MENTIONS.replace("each.name", "each.name ~ steps.ask.text"))
    assert reviews.run().exit_code == 0
    assert [one for one in reviews.asked if not one.startswith("tag")] == []


# --- names


def test_groups_are_named_by_their_values(reviews: Any) -> None:
    rows = ["a/b", "null", None, 1, "1", True, {"x": 1}, "y" * 100, ""]
    reviews.write("plain.jsonl", "".join(json.dumps({"kind": one, "id": 1}) + "\n" for one in rows))
    data = "  plain: {file: plain.jsonl}\n  some: {rows: data.plain, group: [kind, id]}\n"
    reviews.flow(SAY.replace("item.id", "item.kind | json"), data)
    reviews.run()
    names = set(items_of(reviews, "say"))
    (digest,) = names - {"a%2Fb/1", '"null"/1', "null/1", "1/1", '"1"/1', "true/1", '{"x":1}/1', '""/1'}
    assert (len(names), len(digest)) == (len(rows), 16)


def test_equal_keys_are_numbered(reviews: Any) -> None:
    data = "  some: {rows: data.mentions, key: theme, columns: {theme: item.theme, id: item.theme}}\n"
    reviews.flow(SAY, data)
    reviews.run()
    assert sorted(items_of(reviews, "say")) == ["price", "price#2", "taste", "taste#2", "taste#3"]


def test_a_row_without_its_key_is_bad(reviews: Any) -> None:
    data = "  some: {rows: data.mentions, key: theme, columns: {theme: 'item.theme if item.stars > 1 else true', id: item.stars}}\n"
    data += "  parts: {rows: data.mentions, each: '[item.theme]', key: word, columns: {word: 'none if item.stars == 1 else each'}}\n"
    data += "  groups: {rows: data.mentions, group: theme, key: n, columns: {n: \"item.theme if item.theme == 'price' else []\"}}\n"
    steps = SAY + "\n  part: {for_each: data.parts, prompt: 'part {{ item.word }}'}\n"
    steps += "\n  sum: {for_each: data.groups, prompt: 'sum {{ item.n }}'}\n"
    reviews.flow(steps, data)
    result = reviews.run()
    assert result.exit_code == 1
    told = [message.partition(": ")[2] for message in problems(result)]
    assert sorted(told) == [
        "row 2 is bad: field 'n' holds no key",
        "row 3 is bad: field 'theme' holds no key",
        "row 3 is bad: field 'word' holds no key",
    ]


def test_a_row_with_several_partners_is_named_for_both(reviews: Any) -> None:
    reviews.write("more.jsonl", '{"id": "x", "stars": 2}\n{"id": "y/z", "stars": 2}\n{"id": "w", "stars": 1}\n')
    data = "  more: {file: more.jsonl, key: id}\n  some: {rows: data.reviews, join: {with: data.more, on: stars}}\n"
    reviews.flow(SAY.replace("item.id", "item.id }} {{ item.more.id"), data)
    reviews.run()
    assert sorted(items_of(reviews, "say")) == ["r1/x", "r1/y%2Fz", "r2"]


# --- many


def test_many_rows_are_made_in_parts(reviews: Any) -> None:
    lines = [json.dumps({"id": f"r{number}", "stars": number % 3}) for number in range(1200)]
    reviews.write("reviews.jsonl", "\n".join(lines))
    data = "  twice: {rows: data.reviews, each: '[1, 2]', columns: {stars: item.stars, id: item.id, time: each}}\n"
    data += "  counts: {rows: data.twice, group: [stars, time], columns: {stars: item.stars, time: item.time, n: group | length, first: (group | first).id}, sort: -time}\n"
    data += "  groups: {rows: data.twice, group: time}\n  sorted: {rows: data.twice, sort: -id, limit: 900}\n"
    outputs = '\n  sum: {for_each: data.groups, prompt: "sum {{ item.time }} {{ group | length }} {{ (group | last).id }} {{ group[3].id }}"}\n'
    outputs += "outputs:\n  counts: {rows: data.counts, file: out/counts.jsonl, columns: {row: item}}\n"
    outputs += "  last: {rows: data.sorted, file: out/last.jsonl, columns: {id: item.id}}\n  sums: steps.sum.texts\n"
    reviews.flow(outputs, data)
    reviews.edit("  tag:\n", "  tag:\n    when: 1 > 2\n")
    result = reviews.run()
    assert result.exit_code == 0
    assert [row["row"] for row in table(reviews, "counts")][:2] == [
        {"stars": 0, "time": 2, "n": 400, "first": "r0"},
        {"stars": 1, "time": 2, "n": 400, "first": "r1"},
    ]
    assert [row["id"] for row in table(reviews, "last")][:3] == ["r999", "r999", "r998"]
    assert len(table(reviews, "last")) == 900
    assert result.outputs["sums"] == ["said sum 1 1200 r1199 r3", "said sum 2 1200 r1199 r3"]


# --- plans of which a part is known


def stored(project: Any, more: int = 1) -> None:
    """The themes of all reviews are stored but those of the first ones, which are new."""
    project.run(select=("tag",))
    new = "".join(json.dumps({"id": f"n{number}", "stars": 3}) + "\n" for number in range(more))
    project.write("reviews.jsonl", new + (project.root / "reviews.jsonl").read_text())


def test_a_limit_leaves_open_which_rows_are_the_first(reviews: Any) -> None:
    reviews.flow(mentions=MENTIONS[:-1] + ", limit: 5}")
    stored(reviews)
    check = plan_of(reviews)["check"]
    assert (check.calls, check.may_calls) == (2, 3)


def test_rows_of_rows_that_are_not_known_are_not_known_either(reviews: Any) -> None:
    data = "  high: {rows: data.mentions, where: item.stars > 1, limit: 9}\n  more: {rows: data.high, each: '[1, 2]', columns: {n: each, theme: item.theme}}\n"
    data += "  two: {rows: data.high, limit: 4}\n  sorted: {rows: data.high, sort: theme}\n"
    data += "  pairs: {rows: data.high, join: {with: data.mentions, on: theme}}\n"
    steps = "".join(
        f"\n  {name}: {{for_each: data.{source}, prompt: '{name} {{{{ item.theme }}}}'}}\n"
        for name, source in (("h", "high"), ("m", "more"), ("t", "two"), ("s", "sorted"), ("p", "pairs"))
    )
    reviews.flow(steps, data)
    stored(reviews)
    plan = plan_of(reviews)
    assert {name: (plan[name].calls + plan[name].shared, plan[name].may_calls) for name in "hmtsp"} == {
        "h": (4, 3),
        "m": (8, None),
        "t": (1, 3),
        "s": (0, 7),
        "p": (0, 56),
    }
    assert all(plan[name].after == ("tag",) for name in "hmtsp")


def test_a_plan_bounds_the_tokens_of_rows_that_are_not_there(reviews: Any) -> None:
    reviews.flow()
    assert plan_of(reviews)["check"].input_tokens == 23  # the longest word and the longest number
    reviews.edit("enum: [price, taste]", "type: string")
    assert plan_of(reviews)["check"].input_tokens is None


# --- which steps, and which items


def test_what_is_made_of_steps_that_are_not_selected_and_not_stored_cannot_run(reviews: Any) -> None:
    reviews.flow()
    with pytest.raises(runner.RunnerError, match="'check' cannot run: 'tag' is not selected and has no stored answer"):
        reviews.run(select=("check",))
    assert reviews.asked == []


def test_offline_the_rows_of_stored_answers_are_made(reviews: Any) -> None:
    reviews.flow()
    reviews.run()
    assert reviews.run(offline=True).exit_code == 0
    stored(reviews)
    result = reviews.run(offline=True)
    assert (result.exit_code, reviews.asked) == (6, [])


def test_only_failed_rows_are_asked_again(reviews: Any) -> None:
    reviews.flow(mentions=MENTIONS[:-1] + ", key: theme}")
    plain = reviews.server.respond

    def respond(dialect: str, body: Any, number: int) -> Any:
        if body["messages"][-1]["content"] == "check price 1":
            return reviews.Answer(text="no", finish="refused")
        return plain(dialect, body, number)

    reviews.server.respond = respond
    assert reviews.run().exit_code == 1
    reviews.server.respond = plain
    reviews.server.forget()
    assert api.run(reviews.root / "flow.yaml", RunOptions(is_only_failed=True)).exit_code == 0
    assert [one.prompt for one in reviews.server.requests] == ["check price 1"]


def test_a_saved_plan_does_not_hold_when_the_rows_change_that_rows_are_made_from(reviews: Any, tmp_path: Any) -> None:
    reviews.flow(
        "\n  say: {for_each: data.some, prompt: 'say {{ item.id }}'}\n", "  some: {rows: data.reviews, limit: 9}\n"
    )
    report = plan_workflow(reviews.root / "flow.yaml", RunOptions(), on_call=lambda *_: None)
    before = report.depends_on["steps"]["say"]["data"]
    stored(reviews)
    report = plan_workflow(reviews.root / "flow.yaml", RunOptions(), on_call=lambda *_: None)
    assert before.keys() == {"reviews"}
    assert report.depends_on["steps"]["say"]["data"] != before
