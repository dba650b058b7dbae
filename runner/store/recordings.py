"""Answers kept in git: one file per answer, the places that use them, and texts by digest.

Files are written aside and renamed; equal content leaves a file untouched. A recording comes with a clone, so it is
used only if the key recomputed from its request is the one in its name.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from runner.core.answer import StoredAnswer
from runner.core.canonical import Json, canonical, digest
from runner.core.frozen import dataclass
from runner.store.entry import DamagedEntry, safe_ingredients
from runner.store.lock import one_at_a_time
from runner.store.recording_text import format_recording, parse_recording
from runner.store.trouble import told

MAX_RECORDING_BYTES: Final = 64 * 2**20
_KEY = re.compile(r"[0-9a-f]{64}\Z")
_NAMED = re.compile(rb"[0-9a-f]{64}")
_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\Z")

Scrub: TypeAlias = Callable[[str, bytes], bytes]
Place: TypeAlias = tuple[str, str, int, int]


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """Where an answer is used: one line of `places/<workflow>.jsonl`."""

    workflow: str
    step: str
    item: str
    sample: int
    repair: int
    key: str
    ingredients: Mapping[str, Json] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return (self.step, self.item, self.sample, self.repair)


def _ignore(_sentence: str) -> None:
    """The warning is of no use to the caller."""


class Recordings:
    """`scrub` is given a dialect's name and a payload, and gives the payload without clocks, ids and paths."""

    def __init__(self, folder: Path, scrub: Scrub) -> None:
        self._folder = folder
        self._scrub = scrub

    def get_many(self, keys: Sequence[str], *, warn: Callable[[str], None] = _ignore) -> dict[str, StoredAnswer]:
        """What is recorded; a damaged or foreign recording is left out, and told to `warn` in one sentence."""
        found: dict[str, StoredAnswer] = {}
        root = f"{self._folder}{os.sep}"
        shards = _shards(root)
        for key in keys:
            may_be_there = (shards is None or key[:2] in shards) and _KEY.match(key)
            data = _read(f"{root}{key[:2]}{os.sep}{key[2:]}.json") if may_be_there else None
            if data is None:
                continue
            try:
                found[key] = _parse(key, data)
            except DamagedEntry as error:
                warn(f"the recording {self._path(key)} will not be used: {error.reason}")
        return found

    def write(
        self,
        chains: Iterable[Sequence[StoredAnswer]],
        places: Iterable[PlaceLine] = (),
        texts: Iterable[str] = (),
        replaces: str = "",
    ) -> int:
        """Whole chains, then the texts, then the place lines; gives the number of recordings that changed.

        A place that is there already gets the new line, other places are kept, but not those of the workflow that
        `replaces` names: its places are these lines and no others. Raises StorageError.
        """
        with told(self._folder):
            changed = sum(self._write_answer(answer) for chain in chains for answer in chain)
            for text in texts:
                _write_whole(self._folder / "texts" / f"{digest(text)}.txt", text.encode("utf-8"))
            by_workflow: dict[str, dict[Place, PlaceLine]] = {}
            for line in places:
                by_workflow.setdefault(line.workflow, {})[line.place] = line
            for workflow, lines in by_workflow.items():
                self._write_places(workflow, lines, keeps_others=workflow != replaces)
        return changed

    def remove_unnamed(self) -> int:
        """Remove the answers and texts that no places file names; how many answers. Raises StorageError.

        Nothing is removed as long as one places file cannot be read whole: what it names is not known.
        """
        named: set[str] = set()
        with told(self._folder):
            places = [path for path in _list(self._folder / "places") if path.suffix == ".jsonl"]
            for path in places:
                data = _read(str(path)) or b""
                lines = _read_places(path)
                if len(lines) != len(data.splitlines()):
                    return 0
                named |= {text.decode() for line in lines.values() for text in _NAMED.findall(line)}
            unnamed = [key for key, _, _ in self.scan() if key not in named]
            for key in unnamed:
                self._path(key).unlink()
                with suppress(OSError):  # others are in it
                    self._path(key).parent.rmdir()
            for path in _list(self._folder / "texts"):
                if path.suffix == ".txt" and path.stem not in named:
                    path.unlink()
        return len(unnamed)

    def places_file(self, workflow: str) -> Path:
        """The file of a workflow's places, whether it exists or not."""
        name = workflow if _PLAIN_NAME.match(workflow) else f"workflow-{digest(workflow)[:16]}"
        return self._folder / "places" / f"{name}.jsonl"

    def read_text(self, text_digest: str) -> str | None:
        """A text that an ingredient names, if it is there and unchanged."""
        data = _read(str(self._folder / "texts" / f"{text_digest}.txt")) if _KEY.match(text_digest) else None
        if data is None or digest(data) != text_digest:
            return None
        return data.decode("utf-8", "replace")

    def scan(self) -> Iterator[tuple[str, int, StoredAnswer | DamagedEntry]]:
        """Key, size in bytes, and the answer or why it is none, in the order of the keys."""
        for shard in sorted(path for path in _list(self._folder) if _SHARD.match(path.name)):
            for path in sorted(path for path in _list(shard) if path.suffix == ".json"):
                key = shard.name + path.stem
                data = _read(str(path))
                try:
                    yield key, len(data or b""), _parse(key, data or b"")
                except DamagedEntry as error:
                    yield key, len(data or b""), error

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key[2:]}.json"

    def _write_answer(self, answer: StoredAnswer) -> bool:
        if not _KEY.match(answer.key):
            raise ValueError(f"{answer.key} is not a key")
        payload = self._scrub(answer.dialect, answer.payload)
        return _write_whole(self._path(answer.key), format_recording(answer, payload))

    def _write_places(self, workflow: str, lines: Mapping[Place, PlaceLine], *, keeps_others: bool) -> None:
        path = self.places_file(workflow)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Reading, merging and replacing is one act, or of two writers one would lose lines.
        with one_at_a_time(path.parent, wait_s=30):
            merged = {place: _format_place(line) for place, line in lines.items()}
            for place, old in _read_places(path).items() if keeps_others else ():
                merged.setdefault(place, old)
            _write_whole(path, b"".join(merged[place] for place in sorted(merged)))


def _format_place(line: PlaceLine) -> bytes:
    place = {"item": line.item, "repair": line.repair, "sample": line.sample, "step": line.step}
    return canonical({"ingredients": safe_ingredients(line.ingredients), "key": line.key, "place": place}) + b"\n"


def _read_places(path: Path) -> dict[Place, bytes]:
    """Lines by place, as they are; those that cannot be read are dropped."""
    lines: dict[Place, bytes] = {}
    for line in (_read(str(path)) or b"").splitlines(keepends=True):
        with suppress(ValueError):
            match orjson.loads(line):
                case {
                    "key": str(),
                    "place": {
                        "step": str() as step,
                        "item": str() as item,
                        "sample": int() as sample,
                        "repair": int() as repair,
                    },
                }:
                    lines[(step, item, sample, repair)] = line.rstrip(b"\r\n") + b"\n"
    return lines


def _parse(key: str, data: bytes) -> StoredAnswer:
    if len(data) > MAX_RECORDING_BYTES:
        raise DamagedEntry("it is too large")
    return parse_recording(key, data)


def _read(path: str) -> bytes | None:
    """The file's bytes, None if there is none; b"" for one that cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a Path costs more than the system call of a miss
            return file.read(MAX_RECORDING_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return b""


def _shards(folder: str) -> frozenset[str] | None:
    """What is in the folder, so that a key which is not recorded costs no system call; None where it is not told."""
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - once for every few keys
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError:
        return None


def _list(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()


def _write_whole(path: Path, data: bytes) -> bool:
    """All or nothing, through a file of a random name beside it; False if the content was there already."""
    if _read(str(path)) == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, f"{path.parent} is a link to another folder")
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with aside.open("xb") as file:
            file.write(data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return True
