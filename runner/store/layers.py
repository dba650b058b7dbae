"""The layers as one: recordings first, then what was received here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from runner.core.answer import StoredAnswer
from runner.core.frozen import dataclass
from runner.core.outcome import Source
from runner.core.ports import Store
from runner.store.entry import DamagedEntry, decode_entry, encode_entry
from runner.store.recordings import Recordings

SET_ASIDE: Final = "damaged-"
"""Before the key of a damaged entry that a new answer has replaced."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """One stored thing: its answer, or the reason why it is none. `source` names the layer."""

    key: str
    source: Source
    size_bytes: int
    answer: StoredAnswer | None = None
    damage: str = ""


class LayeredAnswers:
    """Fills `core.ports.Answers`. Each damaged entry is told once, as one sentence, to `warn`."""

    def __init__(self, recordings: Recordings | None, store: Store, warn: Callable[[str], None]) -> None:
        self._recordings = recordings
        self._store = store
        self._warn = warn
        self._damaged: set[str] = set()
        self._told: set[str] = set()

    @property
    def damaged(self) -> frozenset[str]:
        """Keys whose entry in the store was found damaged: the reason why they are asked again."""
        return frozenset(self._damaged)

    def lookup(self, keys: Sequence[str]) -> dict[str, StoredAnswer]:
        found = self._recordings.get_many(keys, warn=self._tell) if self._recordings else {}
        missing = [key for key in keys if key not in found] if found else keys
        for key, data in self._store.get_many(missing).items() if missing else ():
            try:
                found[key] = decode_entry(key, data)
            except DamagedEntry as error:
                self._damaged.add(key)
                self._tell(f"the stored answer {key[:12]} is damaged and will not be used: {error.reason}")
        return found

    def commit(self, answers: Sequence[StoredAnswer]) -> None:
        """Also keeps aside the damaged entries that are replaced. Of nothing, it proves that the store can be written."""
        entries = {answer.key: encode_entry(answer) for answer in answers}
        replaced = [key for key in entries if key in self._damaged]
        aside = (
            {SET_ASIDE + key: data for key, data in self._store.get_many(replaced).items() if data} if replaced else {}
        )
        self._store.put_many({**aside, **entries})
        self._damaged.difference_update(replaced)

    def scan(self) -> Iterator[Scanned]:
        """Everything stored, layer by layer, damaged entries with the reason."""
        if self._recordings:
            for key, size, found in self._recordings.scan():
                yield _scanned(key, Source.RECORDED, size, found)
        for key, data in self._store.scan():
            yield _scanned(key, Source.CACHED, len(data), _decode(key, data))

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._warn(sentence)


def _decode(key: str, data: bytes) -> StoredAnswer | DamagedEntry:
    if key.startswith(SET_ASIDE):
        return DamagedEntry("it was damaged before and is kept aside")
    try:
        return decode_entry(key, data)
    except DamagedEntry as error:
        return error


def _scanned(key: str, source: Source, size: int, found: StoredAnswer | DamagedEntry) -> Scanned:
    if isinstance(found, DamagedEntry):
        return Scanned(key, source, size, damage=found.reason)
    return Scanned(key, source, size, answer=found)
