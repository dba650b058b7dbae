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
