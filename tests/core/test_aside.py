from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aside import InMemory, pack, pack_list, pack_lists, unpack
from runner.core.canonical import Json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_what_is_packed_comes_out_as_it_was(value: Json) -> None:
    assert unpack(pack(value)) == value


@given(st.lists(JSON, max_size=5))
def test_packed_values_make_a_packed_list(values: list[Json]) -> None:
    assert unpack(pack_list([pack(value) for value in values])) == values


@given(st.lists(st.lists(JSON, max_size=3), max_size=3))
def test_packed_lists_make_the_same_list_at_once(values: list[list[Json]]) -> None:
    packed = [[pack(value) for value in one] for one in values]
    assert unpack(pack_lists(packed)) == values


@pytest.mark.parametrize("value", ["half \ud800", 2**80, {"n": [-(2**70)]}, ["\udfff", math.pi]])
def test_what_orjson_cannot_say_is_packed_all_the_same(value: Json) -> None:
    assert pack(value).startswith(b" ")
    assert unpack(pack(value)) == value


def test_what_orjson_can_say_is_left_to_it() -> None:
    assert pack({"a": [1, "é"]}) == orjson.dumps({"a": [1, "é"]})


def test_pieces_in_memory_are_taken_by_their_place() -> None:
    pieces = InMemory().pieces()
    places = [pieces.put(data) for data in (b"one", b"", b"three")]
    assert places == [0, 3, 3]
    assert pieces.get(3, 5) == b"three"


def test_a_table_in_memory_has_what_was_put_last() -> None:
    table = InMemory().table()
    table["a"] = "1"
    table["a"] = "2"
    assert (table.get("a"), table.get("b")) == ("2", None)
