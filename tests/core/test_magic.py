"""What a file is, by its first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.magic import ALL_TYPES, types_of


@pytest.mark.parametrize(
    ("head", "kind", "mime"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "image", "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image", "image/jpeg"),
        (b"GIF87a\x01", "image", "image/gif"),
        (b"GIF89a\x01", "image", "image/gif"),
        (b"II*\x00\x08", "image", "image/tiff"),
        (b"MM\x00*\x00", "image", "image/tiff"),
        (b"fLaC\x00", "audio", "audio/flac"),
        (b"ID3\x04\x00", "audio", "audio/mp3"),
        (b"FLV\x01\x05", "video", "video/x-flv"),
        (b"\x00\x00\x01\xba\x44", "video", "video/mpeg"),
        (b"\x00\x00\x01\xb3\x14", "video", "video/mpeg"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6", "video", "video/wmv"),
        (b"%PDF-1.7\n", "document", "application/pdf"),
        (b"\xff\xfb\x90\x64", "audio", "audio/mp3"),
        (b"\xff\xf3\x40\xc0", "audio", "audio/mp3"),
        (b"\xff\xf1\x50\x80", "audio", "audio/aac"),
        (b"\xff\xf9\x50\x80", "audio", "audio/aac"),
    ],
)
def test_a_file_is_told_by_how_it_begins(head: bytes, kind: str, mime: str) -> None:
    assert types_of(head) == {kind: mime}


@pytest.mark.parametrize(
    ("group", "holds", "kind", "mime"),
    [
        (b"RIFF", b"WEBP", "image", "image/webp"),
        (b"RIFF", b"WAVE", "audio", "audio/wav"),
        (b"RIFF", b"AVI ", "video", "video/avi"),
        (b"FORM", b"AIFF", "audio", "audio/aiff"),
        (b"FORM", b"AIFC", "audio", "audio/aiff"),
    ],
)
def test_a_file_of_chunks_says_in_its_third_word_what_it_holds(
    group: bytes, holds: bytes, kind: str, mime: str
) -> None:
    assert types_of(group + b"\x24\x00\x00\x00" + holds) == {kind: mime}


def test_chunks_of_another_content_are_of_no_known_type() -> None:
    assert types_of(b"RIFF\x24\x00\x00\x00CDDA") == {}
    assert types_of(b"FORM\x24\x00\x00\x00WEBP") == {}


@pytest.mark.parametrize(
    ("brand", "types"),
    [
        (b"heic", {"image": "image/heic"}),
        (b"heix", {"image": "image/heic"}),
        (b"hevc", {"image": "image/heic"}),
        (b"hevx", {"image": "image/heic"}),
        (b"mif1", {"image": "image/heif"}),
        (b"msf1", {"image": "image/heif"}),
        (b"heif", {"image": "image/heif"}),
        (b"avif", {"image": "image/avif"}),
        (b"M4A ", {"audio": "audio/mp4"}),
        (b"M4B ", {"audio": "audio/mp4"}),
        (b"qt  ", {"video": "video/quicktime"}),
        (b"3gp4", {"video": "video/3gpp", "audio": "audio/3gpp"}),
        (b"isom", {"video": "video/mp4", "audio": "audio/mp4"}),
        (b"mp42", {"video": "video/mp4", "audio": "audio/mp4"}),
    ],
)
def test_the_family_of_mp4_is_told_apart_by_its_brand(brand: bytes, types: dict[str, str]) -> None:
    assert types_of(b"\x00\x00\x00\x18ftyp" + brand) == types


def test_a_container_of_sound_and_pictures_may_be_both() -> None:
    assert types_of(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm") == {"video": "video/webm", "audio": "audio/webm"}
    matroska = {"video": "video/x-matroska", "audio": "audio/x-matroska"}
    assert types_of(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska") == matroska
    assert types_of(b"OggS\x00\x02") == {"audio": "audio/ogg", "video": "video/ogg"}


def test_a_pdf_may_begin_a_little_later() -> None:
    assert types_of(b"\x00" * 1000 + b"%PDF-1.4") == {"document": "application/pdf"}
    assert types_of(b"\x00" * 1020 + b"%PDF-1.4") == {}


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"\xff\xfb\x90", id="too short"),
        pytest.param(b"\xff\x1b\x90\x64", id="three bits of eleven missing"),
        pytest.param(b"\xff\xeb\x90\x64", id="a version that does not exist"),
        pytest.param(b"\xff\xe1\x90\x64", id="no layer, and not AAC either"),
        pytest.param(b"\xff\xfb\x00\x64", id="a free bit rate"),
        pytest.param(b"\xff\xfb\xf0\x64", id="a bit rate that does not exist"),
        pytest.param(b"\xff\xfb\x9c\x64", id="a sampling rate that does not exist"),
        pytest.param(b"\xff\xfe\x41\x00", id="a text in UTF-16"),
    ],
)
def test_what_only_looks_like_sound_is_none(head: bytes) -> None:
    assert types_of(head) == {}


@pytest.mark.parametrize(
    "head",
    [
        b"Plain words.",
        b"\xef\xbb\xbfwith a mark of byte order",
        b"tabs\tand\r\nlines\fand pages \x1b[1mbold\x08",
        "日本語".encode(),
        "cut within the last character: €".encode()[:-1],
        "cut within the last character: \U0001f600".encode()[:-1],
    ],
)
def test_utf_8_without_controls_is_a_text(head: bytes) -> None:
    assert types_of(head) == {"document": "text/plain"}


@pytest.mark.parametrize(
    "head", [b"", b"nul \x00 inside", b"latin \xe9t\xe9", b"wrong \xff end", "€".encode()[:-1], b"PK\x03\x04zip"]
)
def test_anything_else_is_of_no_known_type(head: bytes) -> None:
    assert types_of(head) == {}


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1), st.integers(0, 3))
def test_a_text_stays_a_text_wherever_its_head_ends(text: str, cut: int) -> None:
    whole = ("A note: " + text + " and a last word").encode()
    assert types_of(whole[: len(whole) - cut]) == types_of(whole)


@given(st.binary(max_size=64))
def test_every_type_that_is_found_is_among_those_that_are_told_apart(head: bytes) -> None:
    assert all(mime in ALL_TYPES[kind] for kind, mime in types_of(head).items())
