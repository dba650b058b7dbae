"""What a column holds: the narrowest kind that all of its values fit exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.rows.column_kinds import MOST_FIELDS, FieldsOf, Kind, ListOf, cell_for, common, kind_of, settled, widened


def kind(*values: Json) -> Kind:
    return common(map(kind_of, values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), "nothing"),
        ((None, None), "nothing"),
        ((True, None), "boolean"),
        ((1, 2, None), "integer"),
        ((1, 2.5), "number"),
        ((1, 2**60), "long"),
        ((2**60, 2.5), "json"),
        ((2**63,), "json"),
        (("a", None), "string"),
        (("a", 1), "json"),
        ((True, 1), "json"),
        (([], None), ListOf("nothing")),
        (([1], [2.5, None]), ListOf("number")),
        (([1], "a"), "json"),
        (({"a": 1}, {"b": "x"}, None), FieldsOf({"a": "integer", "b": "string"})),
        (({"a": 1}, {"a": "x"}), FieldsOf({"a": "json"})),
        (({"a": 1}, [1]), "json"),
        (({str(n): n for n in range(MOST_FIELDS)}, {"one more": 1}), "json"),
    ],
)
def test_the_kind_of_values_is_the_narrowest_that_all_fit(values: tuple[Json, ...], expected: Kind) -> None:
    assert kind(*values) == expected


def test_what_never_came_has_a_kind_all_the_same() -> None:
    open_kind = FieldsOf({"a": "nothing", "b": ListOf("nothing"), "c": FieldsOf({}), "d": "long", "e": "number"})
    assert settled(open_kind) == FieldsOf(
        {"a": "string", "b": ListOf("string"), "c": "json", "d": "integer", "e": "number"}
    )


def test_json_stands_as_text_wherever_it_is() -> None:
    assert cell_for("integer") is None
    assert cell_for(FieldsOf({"a": "string", "b": ListOf("number")})) is None
    cell = cell_for(ListOf(FieldsOf({"a": "json", "b": "string"})))
    assert cell is not None
    assert cell([{"a": {"x": 1}, "b": "y"}, {"a": None}, None]) == [{"a": '{"x":1}', "b": "y"}, {"a": None}, None]
    assert cell(None) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)


@given(VALUES, VALUES, VALUES)
def test_the_order_of_values_does_not_matter(one: Json, two: Json, three: Json) -> None:
    a, b, c = kind_of(one), kind_of(two), kind_of(three)
    assert widened(a, b) == widened(b, a)
    assert widened(widened(a, b), a) == widened(a, b)
    if "json" not in repr((a, b, c)):
        assert settled(common((a, b, c))) == settled(common((c, b, a)))
