"""Files that lack their end, by what they say of their own length; what says nothing is whole."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from runner.core.cut_media import is_cut
from runner.core.magic import types_of

MEDIA = Path(__file__).parents[2] / "data" / "media"


def looks_cut(content: bytes, mime: str) -> bool:
    return is_cut(io.BytesIO(content), len(content), mime)


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return len(content).to_bytes(4, "big") + name + content + b"sum."


def box(name: bytes, content: bytes = b"", *, is_long: bool = False) -> bytes:
    if is_long:
        return (1).to_bytes(4, "big") + name + (len(content) + 16).to_bytes(8, "big") + content
    return (len(content) + 8).to_bytes(4, "big") + name + content


def riff(kind: bytes, content: bytes) -> bytes:
    return b"RIFF" + (len(content) + 4).to_bytes(4, "little") + kind + content


def segment(kind: int, content: bytes = b"") -> bytes:
    return bytes([0xFF, kind]) + (len(content) + 2).to_bytes(2, "big") + content


PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", bytes(40)) + chunk(b"IEND")
HEAD = b"\xff\xd8" + segment(0xE0, bytes(14)) + b"\xff" + segment(0xDB, bytes(65)) + b"\xff\xd0"
JPEG = HEAD + segment(0xDA, bytes(10))
MP4 = box(b"ftyp", b"isom" + bytes(12)) + box(b"mdat", bytes(40), is_long=True) + box(b"moov", bytes(24))
WHOLE = {
    "image/png": PNG,
    "image/jpeg": JPEG,
    "image/webp": riff(b"WEBP", bytes(60)),
    "audio/wav": riff(b"WAVE", bytes(60)),
    "video/avi": riff(b"AVI ", bytes(60)),
    "video/mp4": MP4,
    "video/quicktime": MP4,
    "image/heic": MP4,
}


@pytest.mark.parametrize("mime", WHOLE)
def test_a_whole_file_is_whole_whatever_comes_behind_it(mime: str) -> None:
    assert not looks_cut(WHOLE[mime], mime)
    assert not looks_cut(WHOLE[mime] + b"junk", mime)
    assert not looks_cut(WHOLE[mime] + b"much more junk", mime)


@pytest.mark.parametrize("mime", ["image/png", "image/webp", "audio/wav", "video/avi"])
def test_a_file_that_says_how_long_it_is_is_cut_wherever_it_is_cut(mime: str) -> None:
    for end in range(12, len(WHOLE[mime]) - 8):
        assert looks_cut(WHOLE[mime][:end], mime), end


def test_a_photograph_is_cut_before_its_picture_begins_and_nobody_knows_afterwards() -> None:
    for end in range(2, len(HEAD) + 4):
        assert looks_cut(JPEG[:end], "image/jpeg"), end
    for end in range(len(HEAD) + 4, len(JPEG)):
        assert not looks_cut(JPEG[:end], "image/jpeg"), end


def test_boxes_are_cut_within_and_not_between() -> None:
    ends = {0, 24, 24 + 56}  # before, between and behind boxes
    for end in range(8, len(MP4)):
        assert looks_cut(MP4[:end], "video/mp4") is not any(at <= end < at + 8 for at in ends), end


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (b"RIFF\0\0\0\0WAVE", "audio/wav"),
        (b"RIFF\xff\xff\xff\xffWAVE" + bytes(60), "audio/wav"),
        (b"RIFF\x00\xf0\xff\x7fWAVE" + bytes(60), "audio/wav"),
        (riff(b"WAVE", bytes(60))[:-8], "audio/wav"),
        (box(b"ftyp", b"isom") + b"\0\0\0\0mdat" + bytes(9), "video/mp4"),
        (box(b"ftyp", b"isom") + b"\0\0\1\0\xa9\0\0\0" + bytes(9), "video/mp4"),
        (b"\xff\xd8 no segment", "image/jpeg"),
        (b"\xff\xd8\xff\xd9 no picture", "image/jpeg"),
        (b"ID3", "audio/mp3"),
        (b"%PDF-1.7", "application/pdf"),
    ],
)
def test_what_does_not_say_how_long_it_is_is_taken_as_it_is(content: bytes, mime: str) -> None:
    assert not looks_cut(content, mime)


@pytest.mark.parametrize(
    ("start", "part", "mime"),
    [
        (b"\x89PNG\r\n\x1a\n", chunk(b"tEXt"), "image/png"),
        (b"\xff\xd8", b"\xff\xd0", "image/jpeg"),
        (b"", box(b"free"), "video/mp4"),
    ],
)
def test_a_file_of_endless_parts_is_not_walked_to_its_end(start: bytes, part: bytes, mime: str) -> None:
    assert not looks_cut(start + part * 100_001, mime)


def test_the_files_of_the_examples_are_whole() -> None:
    for path in MEDIA.iterdir():
        content = path.read_bytes()
        for mime in types_of(content).values():
            assert not looks_cut(content, mime), path
            assert looks_cut(content[: len(content) // 2], mime), path
