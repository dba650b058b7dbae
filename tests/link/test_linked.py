from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.core.workflow import SchemaSource
from runner.link.linked import Linked, LinkedStep
from runner.link.stages import Stage

LinkText = Callable[..., Linked]
REVIEWS = "data: {reviews: {file: r.jsonl}, mails: {file: m.jsonl}}\n"
INPUTS = "inputs: {ticket: {type: string}, turns: {type: array}}\n"


def test_needs_are_read_from_all_texts_of_a_step(linked: LinkText) -> None:
    found = linked(
        """\
        steps:
          a: {prompt: x}
          b: {prompt: x}
          c: {prompt: x}
          d: {prompt: x}
          e: {prompt: x}
          last:
            when: steps.a.text != ""
            system: "{{ steps.b.text }}"
            prompt: "{{ steps.c.text }}"
            ensure: [text != steps.d.text]
            save: "{{ steps.e.text }}"
        """
    )
    assert found.steps["last"].hard == {"a", "b", "c", "d", "e"}
    assert found.final_steps == ("last",)


@pytest.mark.parametrize(
    "text",
    [
        '{{ steps.a.text | default("") }}',
        "{% if steps.a.text is defined %}{{ steps.a.text }}{% endif %}",
        "{{ steps.a.skipped }}",
        "{{ steps.a.failed }}",
        "{% if not steps.a.skipped %}{{ steps.a.text }}{% endif %}",
    ],
)
def test_a_guarded_reading_is_a_soft_need(linked: LinkText, text: str) -> None:
    step = linked(f"steps:\n  a: {{prompt: x}}\n  b: {{prompt: '{text}'}}\n").steps["b"]
    assert step.soft == {"a"}
    assert step.hard == frozenset()


def test_one_unguarded_reading_makes_a_need_hard(linked: LinkText) -> None:
    found = linked("steps:\n  a: {prompt: x}\n  b: {prompt: '{{ steps.a.text | default(1) }}{{ steps.a.text }}'}\n")
    assert found.steps["b"].hard == {"a"}
    assert found.steps["b"].soft == frozenset()


def test_a_step_that_is_needed_and_not_read_is_ordered_before(linked: LinkText) -> None:
    found = linked("steps:\n  a: {prompt: x}\n  b: {prompt: x}\n  c: {prompt: '{{ steps.a.text }}', needs: [a, b]}\n")
    step = found.steps["c"]
    assert step.hard == {"a"}
    assert step.ordered == {"b"}
    assert step.needs == {"a", "b"}
    assert step.barriers == frozenset()


def test_a_lane_that_is_needed_and_not_read_is_waited_for_as_a_whole(linked: LinkText) -> None:
    found = linked(
        REVIEWS
        + """\
steps:
  tag: {for_each: data.reviews, prompt: x}
  same: {for_each: data.reviews, prompt: x, needs: [tag]}
  sum: {prompt: x, needs: [tag]}
"""
    )
    assert found.steps["same"].barriers == frozenset()
    assert found.steps["sum"].barriers == {"tag"}
    assert found.stages == (
        Stage("data.reviews", ("tag", "same"), frozenset()),
        Stage("", ("sum",), frozenset({0})),
    )


def test_steps_over_the_same_list_share_a_lane_however_it_is_spelt(linked: LinkText) -> None:
    found = linked(
        INPUTS
        + REVIEWS
        + """\
steps:
  a: {for_each: data.reviews, prompt: x}
  b: {for_each: ' data["reviews"] ', prompt: x}
  c: {for_each: inputs.turns | reverse, prompt: x}
  d: {for_each: "(inputs['turns']|reverse)", prompt: x}
  e: {for_each: data.mails, prompt: x}
"""
    )
    lanes = [found.steps[name].lane for name in "abcde"]
    assert lanes[0] == lanes[1] == "data.reviews"
    assert lanes[2] == lanes[3]
    assert len(set(lanes)) == len(found.lanes) == 3
    assert found.lanes["data.reviews"].data == "reviews"
    assert found.lanes[lanes[2]].data == ""


def test_a_lane_needs_what_its_list_reads(linked: LinkText) -> None:
    found = linked(
        REVIEWS
        + """\
steps:
  tag: {for_each: data.reviews, prompt: x}
  split: {prompt: x, fields: {parts: [string]}}
  again: {for_each: steps.tag.texts, prompt: x}
  part: {for_each: steps.split.output.parts | default(""), prompt: "{{ item }}"}
"""
    )
    assert found.lanes[found.steps["again"].lane].barriers == {"tag"}
    part = found.lanes[found.steps["part"].lane]
    assert part.needs == {"split"}
    assert part.barriers == frozenset()
    assert [use.is_soft for use in part.uses] == [True]
    assert found.final_steps == ("again", "part")


def test_the_same_item_is_read_in_the_own_lane_and_all_items_elsewhere(linked: LinkText) -> None:
    found = linked(
        REVIEWS
        + """\
steps:
  tag: {for_each: data.reviews, prompt: x, fields: {label: string}}
  check: {for_each: data.reviews, prompt: "{{ steps.tag.output.label }}"}
  rank: {for_each: data.reviews, prompt: "{{ steps.tag.output.label }} of {{ steps.tag.outputs | length }}"}
  other: {for_each: data.mails, prompt: "{{ steps.check.texts }}"}
"""
    )
    assert found.steps["check"].barriers == frozenset()
    assert found.steps["rank"].barriers == {"tag"}
    assert found.steps["other"].barriers == {"check"}


def test_samples_are_read_in_the_own_lane_and_all_of_them_elsewhere(linked: LinkText) -> None:
    found = linked(
        REVIEWS
        + """\
steps:
  tag: {for_each: data.reviews, prompt: x, samples: 3}
  pick: {for_each: data.reviews, prompt: "{{ steps.tag.samples | vote }}"}
  sum: {prompt: "{{ steps.tag.texts }}"}
"""
    )
    assert found.steps["pick"].hard == found.steps["sum"].barriers == {"tag"}


def test_what_the_prompt_reads_of_inputs_and_item_is_known(linked: LinkText) -> None:
    found = linked(
        INPUTS
        + REVIEWS
        + """\
steps:
  a: {for_each: data.reviews, as: review, when: item.stars > 1, prompt: "{{ review.text }} {{ inputs.ticket }}"}
  b: {for_each: data.reviews, prompt: "{{ item }} {{ inputs }}"}
  c: {prompt: x, ensure: [text != inputs.ticket]}
"""
    )
    assert [found.steps[name].inputs for name in "abc"] == [{"ticket"}, {""}, set()]
    assert [found.steps[name].item_fields for name in "abc"] == [{"text"}, {""}, set()]


def test_repeated_messages_see_their_element(linked: LinkText) -> None:
    found = linked(
        INPUTS
        + """\
steps:
  reply:
    messages:
      - for_each: inputs.turns
        as: entry
        messages:
          - {role: user, text: "{{ entry.question }}"}
          - {role: assistant, text: "{{ entry.answer }}"}
      - {role: user, text: "{{ inputs.ticket }}"}
"""
    )
    repeated, last = found.steps["reply"].messages
    assert repeated.text is None
    assert repeated.items is not None
    assert (repeated.name, [inner.role for inner in repeated.inner]) == ("entry", ["user", "assistant"])
    assert (last.role, last.items, last.inner) == ("user", None, ())
    assert found.steps["reply"].inputs == {"turns", "ticket"}


def test_texts_schemas_and_conditions_are_compiled(linked: LinkText) -> None:
    found = linked(
        """\
        steps:
          reply:
            system: s
            when: 1 == 1
            prompt: x
            schema: {type: object, properties: {label: {type: string}}}
            ensure: [output.label != "", output.label != "?"]
          page: {prompt: x, save: out/page.html}
        """
    )
    step = found.steps["reply"]
    assert step.system is not None
    assert step.when is not None
    assert step.schema is not None
    assert len(step.ensure) == 2
    assert step.name == "reply"
    assert found.steps["page"].save is not None
    assert found.steps["page"].schema is None


def test_a_table_opens_the_lane_of_its_rows(linked: LinkText) -> None:
    found = linked(
        REVIEWS
        + """\
steps:
  tag: {for_each: data.reviews, prompt: x}
  sum: {prompt: "{{ steps.tag.texts }}"}
outputs:
  tagged: {rows: data.reviews, file: t.jsonl, columns: {id: item.id, tag: steps.tag.text, n: steps.tag.texts | length}}
  plain: {rows: data.mails, file: m.jsonl, columns: {id: item.id}}
  sum: steps.sum.text | default("")
"""
    )
    tagged, plain, value = found.outputs
    assert (tagged.lane, list(tagged.columns)) == ("data.reviews", ["id", "tag", "n"])
    assert [(use.field, use.is_barrier) for use in tagged.uses] == [("text", False), ("texts", True)]
    assert (plain.lane, plain.uses) == ("data.mails", ())
    assert found.lanes["data.mails"].data == "mails"
    assert value.value is not None
    assert [(use.step, use.is_soft) for use in value.uses] == [("sum", True)]


def test_a_workflow_with_mistakes_has_no_stages(load_and_link: Callable[..., tuple[object, Linked]]) -> None:
    _, found = load_and_link("steps:\n  a: {prompt: '{{ steps.b.text }}'}\n  b: {prompt: '{{ nothing }}'}\n", None)
    assert found.stages == ()
    assert list(found.steps) == ["a", "b"]


def test_a_warning_keeps_the_stages(load_and_link: Callable[..., tuple[object, Linked]]) -> None:
    text = "steps:\n  a: {for_each: data.reviews, prompt: x}\n  b: {prompt: '{{ steps.a.texts[0] }}'}\n"
    _, found = load_and_link(REVIEWS + text, None)
    assert [problem.severity for problem in found.problems] == ["warning"]
    assert len(found.stages) == 2


def test_a_schema_file_is_compiled_with_what_it_refers_to(linked: LinkText) -> None:
    found = linked(
        "steps:\n  a: {prompt: x, schema: schemas/a.json}\n",
        {
            "schemas/a.json": '{"type": "object", "properties": {"b": {"$ref": "b.json"}}}',
            "schemas/b.json": '{"type": "string"}',
        },
    )
    step: LinkedStep = found.steps["a"]
    assert isinstance(step.step.schema, SchemaSource)
    assert step.schema is not None
    assert step.schema.digest


# Escalation


def test_the_expression_of_an_escalation_sees_the_own_answer_and_what_the_prompt_sees(linked: LinkText) -> None:
    found = linked(
        """\
        inputs: {limit: {type: number, default: 0.5}}
        steps:
          a: {prompt: x, fields: {n: number}}
          b:
            prompt: x
            fields: {sure: number}
            escalate: {to: scripted/top, when: output.sure < inputs.limit + steps.a.output.n}
        """
    )
    assert found.steps["b"].needs == {"a"}
    titles = {reading.subject.title for reading in found.typing.readings if reading.text.role == "escalate.when"}
    assert titles == {"the output of 'b'", "input 'limit'", "the output of 'a'"}


def test_a_wrong_name_in_the_expression_of_an_escalation_is_told_at_its_place(complaints: Callable[..., str]) -> None:
    assert complaints("steps:\n  a: {prompt: x, escalate: {to: scripted/top, when: output.sure < 1}}\n") == (
        "flow.yaml:2:53: wrong-field: step 'a' reads 'output', but the answer of 'a' is text\n"
        "    2 |   a: {prompt: x, escalate: {to: scripted/top, when: output.sure < 1}}\n"
        "      |                                                     ^^^^^^\n"
        "  expected: text\n"
        "  fix:      text"
    )


def test_files_are_linked_with_what_their_paths_begin_with(linked: LinkText) -> None:
    found = linked(
        """\
        data: {reviews: {file: r.jsonl}}
        steps:
          a: {prompt: x}
          b:
            for_each: data.reviews
            as: row
            prompt: x
            files:
              - image: "{{ row.path }}"
              - document: notes/{{ steps.a.text }}.md
              - for_each: row.pages
                as: page
                files: [{image: "{{ page.path }}", resolution: low}]
        """
    )
    step = found.steps["b"]
    assert step.hard == {"a"}
    picture, note, pages = step.files
    assert (picture.lead, note.lead) == (("row", "path"), ())
    assert picture.file is not None
    assert (picture.file.kind, picture.name, picture.inner) == ("image", "", ())
    assert (pages.file, pages.path, pages.name) == (None, None, "page")
    assert pages.items is not None
    assert pages.items.path == ("row", "pages")
    assert [inner.lead for inner in pages.inner] == [("row", "pages", "[]", "path")]


def test_a_wrong_name_in_the_path_of_a_file_is_told_at_its_place(complaints: Callable[..., str]) -> None:
    text = 'steps:\n  a:\n    prompt: x\n    files:\n      - image: "{{ rwo.path }}"\n'
    assert complaints(text) == (
        "flow.yaml:5:20: unknown-name: step 'a' reads 'rwo', but there is no such name here\n"
        '    5 |       - image: "{{ rwo.path }}"\n'
        "      |                    ^^^\n"
        "  expected: inputs.NAME, steps.NAME.…"
    )
