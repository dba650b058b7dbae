from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from runner.core.canonical import Json
from runner.plan.advance import Answered, Ask
from runner.plan.items import Item, ItemList
from runner.plan.output_values import output_value
from runner.plan.outputs import TableRow, answers, table_rows
from runner.plan.stages import RunState
from runner.templates.problems import RenderFailed

if TYPE_CHECKING:
    from tests.plan.conftest import Flow, Talk

MakeFlow = Callable[..., "Flow"]
Talks = type["Talk"]


def echo(talk: Talks) -> Callable[[Ask], Answered]:
    """Says the prompt again; one that holds "cut" is cut off."""

    def answer(ask: Ask) -> Answered:
        text = str(ask.call.messages[0].text)
        return talk.said(text, finish="length" if "cut" in text else "stop")

    return answer


def values(state: RunState) -> list[Json]:
    program, scope = state.program, state.scope()
    return [output_value(output, scope, program.inputs) for output in program.linked.outputs]


def table(state: RunState) -> list[TableRow]:
    (output,) = state.program.linked.outputs
    return list(table_rows(output, state, state.scope()))


def cells(state: RunState) -> list[Json]:
    return [dict(row.cells) if not row.problem else row.problem for row in table(state)]


# Values


def test_an_output_is_a_value_over_inputs_and_answers(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        inputs: {n: {}}
        data: {rows: {file: r.jsonl}}
        steps:
          a: {prompt: hi}
          b: {for_each: data.rows, prompt: "{{ item }}"}
        outputs:
          text: steps.a.text
          all: steps.b.texts
          n: inputs.n + 1
        """,
        inputs={"n": 1},
    )
    state, _ = flow.run(echo(talk), {"rows": ["x", "y"]})
    assert values(state) == ["hi", ["x", "y"], 2]


def test_an_output_over_a_skipped_failed_or_blocked_step_is_null(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        steps:
          skipped: {when: 1 == 2, prompt: x}
          failed: {prompt: cut}
          blocked: {prompt: "{{ steps.failed.text }}"}
          good: {prompt: fine}
        outputs:
          skipped: steps.skipped.text
          failed: steps.failed.text
          blocked: steps.blocked.text
          both: steps.good.text ~ steps.skipped.text
          guarded: steps.skipped.text | default("none")
          state: steps.skipped.skipped
        """
    )
    state, _ = flow.run(echo(talk))
    assert values(state) == [None, None, None, None, "none", True]


def test_an_output_over_a_barrier_that_did_not_open_is_null(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}}
        steps:
          a: {for_each: data.rows, prompt: "{{ item }}"}
        outputs:
          all: steps.a.texts
        """
    )
    good, _ = flow.run(echo(talk), {"rows": ["x"]})
    bad, _ = flow.run(echo(talk), {"rows": ["x", "cut"]})
    assert (values(good), values(bad)) == ([["x"]], [None])


def test_an_output_that_ends_undefined_is_an_error(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow("inputs: {n: {}}\nsteps:\n  a: {prompt: x}\noutputs:\n  n: inputs.n.size\n", inputs={"n": {}})
    state, _ = flow.run(echo(talk))
    with pytest.raises(RenderFailed) as error:
        values(state)
    assert str(error.value) == "flow.yaml:5:6: 'inputs.n.size' is undefined"


# Without outputs


def test_without_outputs_the_last_step_answers(make_flow: MakeFlow, talk: Talks) -> None:
    state, _ = make_flow("steps:\n  a: {prompt: x}\n  b: {prompt: '{{ steps.a.text }}!'}\n").run(echo(talk))
    assert answers(state, state.scope()) == "x!"


def test_without_outputs_several_last_steps_answer_by_name(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}}
        steps:
          first: {prompt: x}
          text: {prompt: "{{ steps.first.text }}"}
          json: {prompt: "{{ 3 }}", fields: {n: integer}}
          samples: {prompt: x, samples: 2}
          lane: {for_each: data.rows, prompt: "{{ item }}"}
          lane_json: {for_each: data.rows, prompt: "{{ item }}", schema: {}}
          skipped: {when: 1 == 2, prompt: x}
        """
    )
    state, _ = flow.run(lambda ask: talk.said({"n": 3}) if "json" in ask.step else echo(talk)(ask), {"rows": ["r"]})
    assert answers(state, state.scope()) == {
        "text": "x",
        "json": {"n": 3},
        "samples": ["x", "x"],
        "lane": ["r"],
        "lane_json": [{"n": 3}],
        "skipped": None,
    }


def test_without_outputs_a_skipped_lane_answers_null(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        "steps:\n  a: {when: 1 == 2, prompt: x}\n  b: {for_each: steps.a.text | list, prompt: '{{ item }}'}\n"
    )
    state, _ = flow.run(echo(talk))
    assert answers(state, state.scope()) is None


# Tables

TABLE = """\
data: {rows: {file: r.jsonl}}
steps:
  once: {prompt: fine}
  a: {for_each: data.rows, when: item != "skip"%s, prompt: "{{ item }}"}
  b: {for_each: data.rows, prompt: "{{ steps.a.text | default('-') }}!"}
outputs:
  t: {rows: data.rows, file: t.jsonl, columns: {row: item, a: steps.a.text, b: steps.b.text, once: steps.once.text}}
"""


def test_a_table_has_a_row_per_item_in_source_order(make_flow: MakeFlow, talk: Talks) -> None:
    state, _ = make_flow(TABLE % "").run(echo(talk), {"rows": ["y", "x"]}, lambda many: many - 1)
    assert cells(state) == [
        {"row": "y", "a": "y", "b": "y!", "once": "fine"},
        {"row": "x", "a": "x", "b": "x!", "once": "fine"},
    ]


def test_columns_of_a_skipped_step_are_null(make_flow: MakeFlow, talk: Talks) -> None:
    state, _ = make_flow(TABLE % "").run(echo(talk), {"rows": ["skip"]})
    assert cells(state) == [{"row": "skip", "a": None, "b": "-!", "once": "fine"}]


def test_failed_items_are_kept_apart_with_why(make_flow: MakeFlow, talk: Talks) -> None:
    state, _ = make_flow(TABLE % "").run(echo(talk), {"rows": ["x", "cut", "y"]})
    assert [row.problem for row in table(state)] == ["", "a: cut: the answer was cut off (length)", ""]
    assert table(state)[1].cells == {}
    assert table(state)[1].item.value == "cut"


def test_items_that_are_left_out_are_kept_apart_too(make_flow: MakeFlow, talk: Talks) -> None:
    state, _ = make_flow(TABLE % ", on_error: skip").run(echo(talk), {"rows": ["x", "cut!"]})
    assert [row.problem for row in table(state)] == ["", "a: cut: the answer was cut off (length)"]


def test_blocked_items_are_kept_apart(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}}
        steps:
          once: {prompt: cut}
          a: {for_each: data.rows, prompt: "{{ steps.once.text }}"}
        outputs:
          t: {rows: data.rows, file: t.jsonl, columns: {row: item}}
        """
    )
    state, _ = flow.run(echo(talk), {"rows": ["x"]})
    assert cells(state) == ["a: step 'once' failed"]


def test_bad_rows_are_kept_apart(make_flow: MakeFlow) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}, mails: {file: m.jsonl}}
        steps:
          a: {for_each: data.mails, prompt: x}
        outputs:
          t: {rows: data.rows, file: t.jsonl, columns: {row: item}}
        """
    )
    state = RunState(
        flow.program, {"rows": ItemList((Item("line-1", None, 0, "not JSON"), Item("r2", 2, 1))), "mails": ItemList()}
    )
    assert cells(state) == ["not JSON", {"row": 2}]


def test_a_column_that_cannot_be_evaluated_fails_its_row(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}}
        steps:
          a: {for_each: data.rows, prompt: x}
        outputs:
          t: {rows: data.rows, file: t.jsonl, columns: {size: item.size}}
        """
    )
    state, _ = flow.run(echo(talk), {"rows": [{"size": 1}, {}]})
    assert cells(state) == [{"size": 1}, "'item.size' is undefined"]


def test_a_column_over_a_failed_step_elsewhere_or_a_closed_barrier_is_null(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}, others: {file: o.jsonl}}
        steps:
          once: {prompt: cut}
          a: {for_each: data.rows, prompt: "{{ item }}"}
          b: {for_each: data.others, prompt: "{{ item }}"}
        outputs:
          t:
            rows: data.rows
            file: t.jsonl
            columns:
              once: steps.once.text
              own: steps.a.text
              mine: steps.a.texts | length
              others: steps.b.texts | length
              guarded: steps.once.text | default("-")
        """
    )
    state, _ = flow.run(echo(talk), {"rows": ["x"], "others": ["y", "cut"]})
    assert cells(state) == [{"once": None, "own": "x", "mine": 1, "others": None, "guarded": "-"}]


def test_a_table_over_a_list_that_could_not_be_made_is_empty(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        inputs: {n: {}}
        steps:
          a: {prompt: x}
        outputs:
          t: {rows: inputs.n, file: t.jsonl, columns: {row: item}}
        """,
        inputs={"n": 3},
    )
    state, _ = flow.run(echo(talk))
    assert cells(state) == []
    assert list(state.lane_failures) == ["inputs.n"]
