"""Rows that are made from rows, from the file to the table: what is asked, planned and told."""

from __future__ import annotations

import json
from typing import Any

import pytest

import runner
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
