"""One contract over every Store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.core.ports import Store
from runner.store.local import LocalStore
from runner.store.memory import MemoryStore

KEYS = [f"{number:064x}" for number in range(600)]


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = LocalStore(tmp_path / "store", wait_s=0) if request.param == "local" else MemoryStore()
    yield made
    made.close()


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert store.get_many(KEYS) == {}
    assert list(store.scan()) == []
    store.delete(KEYS)


def test_what_was_put_is_got_byte_for_byte(store: Store) -> None:
    entries = {key: bytes([number % 256]) * (number % 50 + 1) for number, key in enumerate(KEYS)}
    store.put_many(entries)
    assert store.get_many(KEYS) == entries
    assert dict(store.scan()) == entries


def test_only_what_is_asked_for_is_given(store: Store) -> None:
    store.put_many({KEYS[0]: b"a", KEYS[1]: b"b"})
    assert store.get_many([KEYS[1], KEYS[2]]) == {KEYS[1]: b"b"}
    assert store.get_many([]) == {}


def test_putting_again_replaces(store: Store) -> None:
    store.put_many({KEYS[0]: b"old"})
    store.put_many({KEYS[0]: b"new"})
    assert list(store.scan()) == [(KEYS[0], b"new")]


def test_putting_nothing_changes_nothing(store: Store) -> None:
    store.put_many({})
    assert list(store.scan()) == []


def test_deleted_entries_are_gone_and_unknown_keys_are_no_matter(store: Store) -> None:
    store.put_many({KEYS[0]: b"a", KEYS[1]: b"b"})
    store.delete([KEYS[0], KEYS[2]])
    assert store.get_many(KEYS) == {KEYS[1]: b"b"}


def test_a_scan_outlives_what_is_put_and_deleted_meanwhile(store: Store) -> None:
    store.put_many(dict.fromkeys(KEYS, b"x"))
    seen = set()
    for key, _ in store.scan():
        seen.add(key)
        store.delete([key])
    assert seen == set(KEYS)
    assert store.get_many(KEYS) == {}
