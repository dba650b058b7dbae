"""Stored answers as one file that any cache of a CI or bucket can carry: the same answers give the same bytes.

A plain tar: first a member that names the format, then one member per answer in the order of the keys, its bytes as
they are stored (checksum and all), last a digest of everything before it. No time, owner or mode of a machine stands in
it. What is read must be what would have been written, to the byte: so there are no links, no foreign paths, no
sparse files and nothing packed that could grow.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from runner.core.errors import FileError
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.store.entry import MAX_ENTRY_BYTES, DamagedEntry, decode_entry

ARCHIVE_FORMAT: Final = 1
MAX_ENTRIES: Final = 50_000_000
FIRST: Final = "runner-cache"
LAST: Final = "sha256"

_BLOCK = 512
_FIRST_TEXT = b"answers of runner, archive format %d\n"
_NAME = re.compile(r"([0-9a-f]{2})/([0-9a-f]{62})\Z")
_NUMBER = re.compile(rb"answers of runner, archive format ([0-9]{1,9})\n\Z")
_END = bytes(2 * _BLOCK)
_DIGEST_BYTES = 65


@dataclass(frozen=True, slots=True)
class ArchivedEntry:
    """An answer as stored: its key, and bytes that are proved to belong to it."""

    key: str
    data: bytes


def write_archive(file: BinaryIO, entries: Iterable[ArchivedEntry]) -> int:
    """Write whole entries, sorted by key; how many. Raises ValueError for keys out of order, OSError."""
    whole = hashlib.sha256()
    count, last = 0, ""

    def write(name: str, data: bytes) -> None:
        for part in (_header(name, len(data)), data, _padding(len(data))):
            whole.update(part)
            file.write(part)

    write(FIRST, _FIRST_TEXT % ARCHIVE_FORMAT)
    for entry in entries:
        if entry.key <= last:
            raise ValueError("keys of an archive are sorted")
        write(f"{entry.key[:2]}/{entry.key[2:]}", entry.data)
        last = entry.key
        count += 1
    write(LAST, whole.hexdigest().encode() + b"\n")
    file.write(_END)
    return count


def read_archive(path: Path) -> Iterator[ArchivedEntry]:
    """The entries of an archive, each proved; only after the last one it is known that the archive is whole.

    Raises FileError for anything that `write_archive` would not have written, OSError.
    """
    with path.open("rb") as file:
        whole = hashlib.sha256()
        name, data = _member(file, whole, path)
        if name != FIRST:
            raise _bad(path, "it is no archive of stored answers")
        _check_format(path, data)
        last, count = "", 0
        while True:
            so_far = whole.hexdigest().encode() + b"\n"
            name, data = _member(file, whole, path)
            if name == LAST:
                break
            match = _NAME.match(name)
            if match is None:
                raise _bad(path, f"it has a member of another name: {name!r}")
            key, count = match[1] + match[2], count + 1
            if key <= last or count > MAX_ENTRIES:
                raise _bad(path, f"the answer {key[:12]} comes twice or out of order")
            last = key
            yield _proved(path, key, data)
        if data != so_far:
            raise _bad(path, "its checksum is wrong")
        if file.read(len(_END) + 1) != _END:
            raise _bad(path, "something stands behind its end")


def _proved(path: Path, key: str, data: bytes) -> ArchivedEntry:
    try:
        decode_entry(key, data)
    except DamagedEntry as error:
        raise _bad(path, f"the answer {key[:12]} is damaged: {error.reason}") from None
    return ArchivedEntry(key, data)


def _member(file: BinaryIO, whole: hashlib._Hash, path: Path) -> tuple[str, bytes]:
    """The next member, if it is just as we write one."""
    header = _exactly(file, _BLOCK, path)
    name = header[:100].rstrip(b"\0").decode("latin-1")
    try:
        size = int(header[124:135], 8)
    except ValueError:
        raise _bad(path, "it is no archive of stored answers") from None
    limit = MAX_ENTRY_BYTES if _NAME.match(name) else _DIGEST_BYTES
    # Before anything is read: a size is a claim.
    if not 0 <= size <= limit or not name.isascii() or _header(name, size) != header:
        raise _bad(path, f"it has a member that is no plain file of ours: {name!r}")
    data = _exactly(file, size, path)
    padding = _exactly(file, len(_padding(size)), path)
    if any(padding):
        raise _bad(path, "something stands between its members")
    for part in (header, data, padding):
        whole.update(part)
    return name, data


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _exactly(file: BinaryIO, size: int, path: Path) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _bad(path, "it is cut off")
    return data


def _check_format(path: Path, text: bytes) -> None:
    match = _NUMBER.match(text)
    if match is None:
        raise _bad(path, "it is no archive of stored answers")
    if int(match[1]) != ARCHIVE_FORMAT:
        raise _bad(path, f"it has format {int(match[1])}, and this version reads format {ARCHIVE_FORMAT}")


def _bad(path: Path, said: str) -> FileError:
    return FileError(
        Problem(
            "bad-archive",
            f"{path} is not imported: {said}",
            expected="an archive as 'runner cache export' writes it",
            fix="export it anew; nothing of it was taken over",
        )
    )
