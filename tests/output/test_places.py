from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json, escape_pointer
from runner.core.span import Span
from runner.output.places import places

TEXT = """{
  "type": "object",
  "a/b": [1, {"x": null}, []],
  "c": "quote \\" here"
}"""


def test_every_value_has_its_place() -> None:
    assert places(TEXT, "s.json") == {
        "": Span("s.json", 1, 1, 1),
        "/type": Span("s.json", 2, 11, 8),
        "/a~1b": Span("s.json", 3, 10, 1),
        "/a~1b/0": Span("s.json", 3, 11, 1),
        "/a~1b/1": Span("s.json", 3, 14, 1),
        "/a~1b/1/x": Span("s.json", 3, 20, 4),
        "/a~1b/2": Span("s.json", 3, 27, 1),
        "/c": Span("s.json", 4, 8, 15),
    }


def test_a_scalar_is_a_text_too() -> None:
    assert places(" 42", "s.json") == {"": Span("s.json", 1, 2, 2)}


def pointers(value: Json, pointer: str = "") -> set[str]:
    found = {pointer}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found |= pointers(inner, f"{pointer}/{escape_pointer(str(key))}")
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, st.sampled_from([None, 2]))
def test_the_places_are_those_of_the_values(value: Json, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    found = places(text, "s.json")
    assert found.keys() == pointers(value)
    lines = text.split("\n")
    for pointer, span in found.items():
        part = lines[span.line - 1][span.column - 1 :][: span.length]
        if span.length > 1:
            assert json.loads(part) is not ..., pointer
