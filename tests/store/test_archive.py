"""An archive is the same bytes for the same answers, and only what we write is read."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import FileError
from runner.store import archive
from runner.store.archive import ArchivedEntry, read_archive, write_archive
from runner.store.entry import MAX_ENTRY_BYTES, encode_entry

Entries = list[ArchivedEntry]


@pytest.fixture
def entries(make_answer: Any) -> Entries:
    answers = [make_answer(question, payload=b'{"text":"%d"}' % size * size) for size, question in enumerate("abcde")]
    return sorted((ArchivedEntry(one.key, encode_entry(one)) for one in answers), key=lambda entry: entry.key)


def written(entries: Entries) -> bytes:
    file = io.BytesIO()
    assert write_archive(file, entries) == len(entries)
    return file.getvalue()


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(FileError) as caught:
        list(read_archive(path))
    assert caught.value.problems[0].code == "bad-archive"
    message = caught.value.problems[0].message
    assert message.startswith(f"{path} is not imported: ")
    return message.removeprefix(f"{path} is not imported: ")


def sealed(members: list[tuple[tarfile.TarInfo, bytes]], tail: bytes = bytes(1024)) -> bytes:
    """An archive of any members, with the digest that fits them."""
    data = b""
    for member, content in members:
        member.size = len(content) if member.isreg() else 0
        data += member.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)
    last = tarfile.TarInfo(archive.LAST)
    last.mode, digest = 0o600, hashlib.sha256(data).hexdigest().encode() + b"\n"
    last.size = len(digest)
    return data + last.tobuf(tarfile.USTAR_FORMAT) + digest + bytes(-len(digest) % 512) + tail


def member(name: str, content: bytes, **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.mode = 0o600
    for field, value in changes.items():
        setattr(made, field, value)
    return made, content


FIRST = (archive.FIRST, b"answers of runner, archive format 1\n")


def test_what_was_written_is_read(entries: Entries, tmp_path: Path) -> None:
    path = tmp_path / "cache.tar"
    path.write_bytes(written(entries))
    assert list(read_archive(path)) == entries
    path.write_bytes(written([]))
    assert list(read_archive(path)) == []


def test_the_same_answers_are_the_same_bytes_and_any_reader_of_tar_can_look_into_them(entries: Entries) -> None:
    assert written(entries) == written(list(entries))
    with tarfile.open(fileobj=io.BytesIO(written(entries))) as tar:
        members = tar.getmembers()
    assert [one.name for one in members[1:-1]] == [f"{entry.key[:2]}/{entry.key[2:]}" for entry in entries]
    assert {(one.mode, one.mtime, one.uid, one.gid, one.uname, one.gname) for one in members} == {
        (0o600, 0, 0, 0, "", "")
    }


def test_keys_are_written_in_order(entries: Entries) -> None:
    with pytest.raises(ValueError, match="sorted"):
        write_archive(io.BytesIO(), reversed(entries))


def test_an_archive_that_is_cut_off_anywhere_is_refused(entries: Entries, tmp_path: Path) -> None:
    whole = written(entries)
    for length in range(0, len(whole), 97):
        assert refused(tmp_path / "cache.tar", whole[:length])


@pytest.mark.slow
def test_a_byte_that_was_changed_is_found(entries: Entries, tmp_path: Path) -> None:
    whole = written(entries[:1])
    for place in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[place] ^= 0x41
        assert refused(tmp_path / "cache.tar", bytes(changed))


@pytest.mark.parametrize(
    "hostile",
    [
        lambda content: member("../../etc/passwd", content),
        lambda content: member("/etc/passwd", content),
        lambda content: member("ab/" + "c" * 61, content),
        lambda content: member("AB/" + "c" * 62, content),
        lambda content: member("ab/" + "c" * 62, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        lambda content: member("ab/" + "c" * 62, b"", type=tarfile.LNKTYPE, linkname="runner-cache"),
        lambda content: member("ab/" + "c" * 62, b"", type=tarfile.DIRTYPE),
        lambda content: member("ab/" + "c" * 62, b"", type=tarfile.FIFOTYPE),
        lambda content: member("ab/" + "c" * 62, content, mode=0o4755),
        lambda content: member("ab/" + "c" * 62, content, mtime=1),
        lambda content: member("ab/" + "c" * 62, content, uname="root"),
        lambda content: member("sha257", content),
    ],
    ids=range(12),
)
def test_a_member_that_is_no_plain_answer_is_refused(
    hostile: Callable[[bytes], tuple[tarfile.TarInfo, bytes]], entries: Entries, tmp_path: Path
) -> None:
    data = sealed([member(*FIRST), hostile(b"x")])
    said = refused(tmp_path / "cache.tar", data)
    assert "member" in said


def test_an_answer_that_does_not_belong_to_its_key_is_refused(entries: Entries, tmp_path: Path) -> None:
    one, other = entries[:2]
    data = sealed([member(*FIRST), member(f"{one.key[:2]}/{one.key[2:]}", other.data)])
    assert (
        refused(tmp_path / "cache.tar", data) == f"the answer {one.key[:12]} is damaged: it belongs to another request"
    )


def test_an_answer_that_comes_twice_is_refused(entries: Entries, tmp_path: Path) -> None:
    one = entries[0]
    again = member(f"{one.key[:2]}/{one.key[2:]}", one.data)
    said = refused(tmp_path / "cache.tar", sealed([member(*FIRST), again, again]))
    assert said == f"the answer {one.key[:12]} comes twice or out of order"


def test_more_answers_than_anybody_has_are_refused(
    entries: Entries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 4)
    assert "out of order" in refused(tmp_path / "cache.tar", written(entries))


def test_a_size_beyond_any_answer_is_refused_before_it_is_read(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("ab/" + "c" * 62)
    huge.size, huge.mode = MAX_ENTRY_BYTES + 1, 0o600
    data = sealed([member(*FIRST)])[:1024] + huge.tobuf(tarfile.USTAR_FORMAT)
    assert "no plain file of ours" in refused(tmp_path / "cache.tar", data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (sealed([member(*FIRST)], tail=bytes(1025)), "something stands behind its end"),
        (sealed([member(*FIRST)], tail=bytes(1023)), "something stands behind its end"),
        (sealed([]), "it is no archive of stored answers"),
        (sealed([member(archive.FIRST, b"hello\n")]), "it is no archive of stored answers"),
        (
            sealed([member(archive.FIRST, b"answers of runner, archive format 2\n")]),
            "it has format 2, and this version reads format 1",
        ),
        (b"\x1f\x8b" + bytes(600), "it is no archive of stored answers"),
        (b"", "it is cut off"),
    ],
)
def test_what_is_no_archive_is_refused_in_words(data: bytes, said: str, tmp_path: Path) -> None:
    assert refused(tmp_path / "cache.tar", data) == said


def test_an_archive_whose_digest_is_of_another_is_refused(entries: Entries, tmp_path: Path) -> None:
    data = written(entries)
    wrong = data[: -1024 - 512] + b"0" * 64 + b"\n" + bytes(512 - 65) + bytes(1024)
    assert refused(tmp_path / "cache.tar", wrong) == "its checksum is wrong"


def test_something_between_members_is_refused(entries: Entries, tmp_path: Path) -> None:
    data = bytearray(written(entries))
    data[1023] = 1
    assert refused(tmp_path / "cache.tar", bytes(data)) == "something stands between its members"


@given(st.binary(max_size=2000))
def test_no_bytes_end_in_anything_but_a_refusal(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.tar"
    refused(path, data)
    refused(path, written([])[:1024] + data)
