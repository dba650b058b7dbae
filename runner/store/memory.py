"""A Store in memory: the double for tests, ours and others', and the store of a run that keeps nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence


class MemoryStore:
    """Fills `core.ports.Store`; ends with the process."""

    def __init__(self, entries: Mapping[str, bytes] | None = None) -> None:
        self._entries: dict[str, bytes] = dict(entries or {})

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: self._entries[key] for key in keys if key in self._entries}

    def put_many(self, entries: Mapping[str, bytes]) -> None:
        self._entries.update(entries)

    def scan(self) -> Iterator[tuple[str, bytes]]:
        return iter(list(self._entries.items()))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._entries.pop(key, None)

    def close(self) -> None:
        """Nothing is held open."""
