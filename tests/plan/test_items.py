from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aside import InMemory
from runner.core.canonical import Json, digest_of
from runner.plan import items_aside
from runner.plan.items import ROOT_ITEM, Item, ItemList, Named, Row, identify, named, number, unnumbered
from runner.plan.items_aside import ItemsAside


def items(*values: Json, key: str = "") -> list[Item]:
    return list(identify((Row(value, line) for line, value in enumerate(values, 1)), key))


def ids(*values: Json, key: str = "") -> list[str]:
    return [item.id for item in items(*values, key=key)]


def problems(*values: Json, key: str = "") -> list[str]:
    return [item.problem for item in items(*values, key=key)]


def test_the_key_of_a_row_is_its_id() -> None:
    assert items({"id": "r1", "n": 1}, {"id": 7}, {"id": 1.5}, key="id") == [
        Item("r1", {"id": "r1", "n": 1}, 0),
        Item("7", {"id": 7}, 1),
        Item("1.5", {"id": 1.5}, 2),
    ]


def test_without_a_key_the_digest_of_the_row_is_its_id() -> None:
    assert ids({"b": 1, "a": 2}, "text") == [digest_of({"a": 2, "b": 1})[:10], digest_of("text")[:10]]


def test_equal_rows_are_numbered() -> None:
    first, second, third, other = ids("x", "x", "x", "y")
    assert (second, third) == (f"{first}#2", f"{first}#3")
    assert other == digest_of("y")[:10]


def test_a_key_that_came_before_makes_a_bad_item_under_an_id_of_its_own() -> None:
    assert items({"id": "a"}, {"id": "a"}, key="id") == [
        Item("a", {"id": "a"}, 0),
        Item("a#2", {"id": "a"}, 1, "key 'a' came before"),
    ]


def test_a_number_and_its_spelling_are_one_key() -> None:
    assert problems({"id": 5}, {"id": "5"}, key="id") == ["", "key '5' came before"]


def test_keys_that_look_numbered_do_not_share_an_id() -> None:
    rows = [{"id": name} for name in ("a", "a", "a#2", "b#2", "b", "b")]
    assert ids(*rows, key="id") == ["a", "a#2", "a#2#", "b#2", "b", "b#2#"]
    assert problems(*rows, key="id") == ["", "key 'a' came before", "", "", "", "key 'b' came before"]


def test_a_row_without_a_usable_key_is_a_bad_item_named_by_its_line() -> None:
    rows: list[Json] = [{}, {"id": None}, {"id": ""}, {"id": True}, {"id": ["a"]}, "text", {"id": 0}]
    assert ids(*rows, key="id") == [*(f"line-{line}" for line in range(1, 7)), "0"]
    assert problems(*rows, key="id") == ["field 'id' holds no key"] * 6 + [""]


def test_a_bad_row_keeps_what_is_wrong_with_it() -> None:
    rows = [Row(None, 3, "not JSON"), Row({"id": "a"}, 4, "/n: an integer is needed")]
    assert list(identify(rows, "id")) == [
        Item("line-3", None, 0, "not JSON"),
        Item("a", {"id": "a"}, 1, "/n: an integer is needed"),
    ]
    assert [item.id for item in identify(rows)] == ["line-3", "line-4"]


def test_a_row_that_json_cannot_say_is_a_bad_item() -> None:
    (item,) = items({"n": float("inf")})
    assert (item.id, item.problem) == ("line-1", "/n: inf is not a JSON number")


def test_a_step_that_runs_once_has_one_item_without_a_name() -> None:
    assert ROOT_ITEM.id == ""


_ROWS = st.lists(st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2), max_size=8)


@given(_ROWS, st.randoms(use_true_random=False))
def test_reordered_rows_keep_their_ids(rows: list[Json], random: object) -> None:
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # a random.Random
    named = {(item.id, repr(sorted(item.value.items()))) for item in items(*rows)}
    assert named == {(item.id, repr(sorted(item.value.items()))) for item in items(*mixed)}


@given(st.lists(st.sampled_from(["a", "a#2", "a#2#", "a#3", "line-2", "", "b"])))
def test_ids_are_unique_whatever_the_keys(keys: list[str]) -> None:
    found = ids(*({"id": key} for key in keys), key="id")
    assert len(set(found)) == len(keys)


# Of many rows, those that may come again are known before they are numbered

_NAMES = st.sampled_from(["a", "b", "a#2", "a#2#", "a#2#2", "a#", "a##2", "a#3", "#2", "c", "line-2", ""])


@given(st.lists(_NAMES, max_size=12), st.booleans())
def test_names_that_come_once_need_not_be_remembered(keys: list[str], has_keys: bool) -> None:
    rows = [Named(key, None, "bad" if key == "c" else "") for key in keys]
    again = {key for key in keys if keys.count(key) > 1}
    some = list(number(rows, has_keys=has_keys, may_come_again=lambda name: name in again))
    assert some == list(number(rows, has_keys=has_keys))


@given(_ROWS)
def test_items_that_are_put_aside_are_the_same_whenever_they_are_walked(rows: list[Json]) -> None:
    known = [named(Row(row, line, "bad" if line == 2 else ""), "a") for line, row in enumerate(rows, 1)]
    aside = ItemsAside(known, InMemory().pieces())
    expected = [Item(one.name, one.value, index, one.problem) for index, one in enumerate(known)]
    assert (len(aside), list(aside), list(aside)) == (len(rows), expected, expected)
    assert list(aside.named()) == known


def test_the_longest_value_is_known_in_bytes() -> None:
    rows = [Row("é", 1), Row({"a": [1, 2]}, 2), Row(None, 3)]
    kept = ItemsAside((named(row, "") for row in rows), InMemory().pieces())
    assert (ItemList(identify(rows)).longest, kept.longest) == (11, 11)
    assert (ItemList().longest, ItemsAside([], InMemory().pieces()).longest) == (0, 0)


def test_many_items_are_put_aside_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_aside, "PIECE_BYTES", 40)
    rows = [named(Row("x" * size, size), "") for size in range(30)]
    kept = ItemsAside(rows, InMemory().pieces())
    assert [item.value for item in kept] == [row.value for row in rows]


@pytest.mark.parametrize(
    ("name", "whose"),
    [("a#2", "a"), ("a#2##", "a"), ("a#2#3", "a#2"), ("a#", "a#"), ("a#x", "a#x"), ("a#2\nb#7", "a#2\nb")],
)
def test_a_numbered_name_says_whose_repeat_it_is(name: str, whose: str) -> None:
    assert unnumbered(name) == whose
