"""What link keeps of everything that is read."""

from __future__ import annotations

from collections.abc import Callable

from runner.link.linked import Linked
from runner.link.paths import Gap

LinkText = Callable[..., Linked]

FLOW = """\
    data: {rows: {file: "-"}}
    steps:
      tag:
        for_each: data.rows
        prompt: "{{ item.text }}"
        schema: {type: object, properties: {note: {type: string}}}
      say: {prompt: "%s"}
    outputs: {said: steps.say.text}
    """


def _seen(linked: Linked) -> list[tuple[str, str, str, Gap | None]]:
    return [
        (reading.text.role, ".".join(reading.path), reading.typed.kind, reading.gap)
        for reading in linked.typing.readings
    ]


def test_every_reading_of_something_with_a_schema_has_its_type(linked: LinkText) -> None:
    found = linked(FLOW % "{% for t in steps.tag.outputs %}{{ t.note }}{% endfor %}")
    assert _seen(found) == [
        ("prompt", "steps.tag.outputs", "value", None),
        ("prompt", "steps.tag.outputs.[].note", "value", Gap(4)),
        ("outputs", "steps.say.text", "value", None),
    ]


def test_a_part_that_is_written_elsewhere_has_no_place(linked: LinkText) -> None:
    found = linked(FLOW % "{{ steps.tag.outputs | map(attribute='note') | join }}")
    (first, *_) = found.typing.readings
    assert [first.span(index) is None for index in range(5)] == [True, False, False, False, False]


def test_nothing_is_known_of_an_answer_whose_schema_is_none(
    load_and_link: Callable[[str, None], tuple[object, Linked]],
) -> None:
    text = """\
        steps:
          a: {prompt: x, schema: {type: strng}}
          b: {prompt: "{{ steps.a.output.x }}"}
        """
    _, found = load_and_link(text, None)
    assert _seen(found) == []
    assert [problem.code for problem in found.problems] == ["invalid-schema"]


NOTE = "{type: object, properties: {note: {type: string}, kind: {enum: [good, bad]}}}"


def _gaps(linked: Linked, role: str = "prompt") -> list[tuple[str, Gap | None]]:
    return [(path, gap) for found, path, _, gap in _seen(linked) if found == role]


def test_a_word_that_an_answer_can_never_be_is_kept_with_those_that_it_can(linked: LinkText) -> None:
    found = linked(f"""\
        steps:
          a: {{prompt: x, schema: {NOTE}}}
          b: {{prompt: x, when: "steps.a.output.kind in ['good', 'ugly'] or inputs.x == 'y' or steps.a.output.note == 'z'"}}
        inputs: {{x: {{type: string}}}}
        """)
    (unequal,) = found.typing.unequal
    assert (unequal.word.text, unequal.values) == ("ugly", ("good", "bad"))
    assert ".".join(unequal.path) == "steps.a.output.kind"


def test_a_condition_under_which_a_step_runs_allows_for_a_gap(linked: LinkText) -> None:
    text = f"""\
        steps:
          a: {{prompt: x, schema: {NOTE}}}
          b: {{prompt: "{{{{ steps.a.output.note }}}}"%s}}
        """
    assert _gaps(linked(text % "")) == [("steps.a.output.note", Gap(3))]
    assert _gaps(linked(text % ", when: steps.a.output.note is defined")) == [("steps.a.output.note", None)]


def test_a_condition_of_a_step_that_is_needed_over_two_ways_allows_for_a_gap(linked: LinkText) -> None:
    found = linked(f"""\
        steps:
          a: {{prompt: x, schema: {NOTE}}}
          gate: {{prompt: x, when: steps.a.output.note is defined}}
          left: {{prompt: "{{{{ steps.gate.text }}}}"}}
          right: {{prompt: "{{{{ steps.gate.text }}}}"}}
          end: {{prompt: "{{{{ steps.left.text }}}}{{{{ steps.right.text }}}}{{{{ steps.a.output.note }}}}"}}
        """)
    assert _gaps(found)[-1] == ("steps.a.output.note", None)


def test_every_row_of_a_csv_file_has_all_its_columns(linked: LinkText) -> None:
    text = """\
        data: {rows: {file: r.%s, schema: {type: object, properties: {note: {type: string}}}}}
        steps:
          a: {for_each: data.rows, prompt: "{{ item.note }}"}
        """
    assert _gaps(linked(text % "jsonl")) == [("item.note", Gap(1))]
    assert _gaps(linked(text % "csv")) == [("item.note", None)]


def test_a_value_in_a_csv_file_may_be_null_where_its_schema_says_so(linked: LinkText) -> None:
    found = linked("""\
        data: {rows: {file: r.csv, schema: {type: object, properties: {note: {type: [object, "null"]}}}}}
        steps:
          a: {for_each: data.rows, prompt: "{{ item.note.x }}"}
        """)
    assert _gaps(found) == [("item.note.x", Gap(1, is_null=True))]


def test_nothing_is_known_of_rows_without_a_schema(linked: LinkText) -> None:
    found = linked("""\
        data: {rows: {file: r.jsonl}}
        steps:
          a: {for_each: data.rows, prompt: "{{ item.note }}"}
        """)
    assert _seen(found) == []


def test_nothing_is_known_of_an_input_whose_schema_is_none(linked: LinkText) -> None:
    found = linked("""\
        inputs: {x: {type: strng}}
        steps:
          a: {prompt: "{{ inputs.x.y }}{{ inputs.x.z }}"}
        """)
    assert _seen(found) == []
