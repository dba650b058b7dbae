"""Files that end in the middle: where a format says how long it is, and the file is shorter.

Only what is certain is told. A format that says nothing of its length, or says that it does not know it (a sound that was
written into a pipe), is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO, Final

# Programs that do not know how long a file will be write this, or more, or nothing.
_UNKNOWN_LENGTH: Final = 0x7FFF0000
_SIGNATURE_BYTES: Final = 8
# No file that is meant has more parts; one that is not is taken as it is.
_MOST_PARTS: Final = 100_000
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_PICTURE, _END_OF_PICTURE = 0xDA, 0xD9


def is_cut(file: BinaryIO, size: int, mime: str) -> bool:
    """Whether a file of this type, at its beginning, lacks its end. Reads no more than heads of its parts."""
    look = _LOOKS.get(mime)
    return look is not None and look(file, size)


def _png(file: BinaryIO, size: int) -> bool:
    """Chunks (a length, a name, the content, a checksum), the last of which is called IEND."""
    at = _SIGNATURE_BYTES
    for _ in range(_MOST_PARTS):
        if at + 12 > size:
            return True
        file.seek(at)
        head = file.read(8)
        at += 12 + int.from_bytes(head[:4])
        if head[4:] == b"IEND":
            return at > size
    return False


def _riff(file: BinaryIO, size: int) -> bool:
    """The first chunk is the file. Some count its own head with it."""
    file.seek(4)
    length = int.from_bytes(file.read(4), "little")
    return size < length < _UNKNOWN_LENGTH


def _jpeg(file: BinaryIO, size: int) -> bool:
    """Segments up to the one in which the picture begins; what comes then has no length."""
    at = 2
    for _ in range(_MOST_PARTS):
        if at + 4 > size:
            return True
        file.seek(at)
        mark, kind, *length = file.read(4)
        if mark != 0xFF or kind in (_START_OF_PICTURE, _END_OF_PICTURE):
            return False
        if kind == 0xFF or kind in _NO_LENGTH:
            at += 1 if kind == 0xFF else 2
        else:
            at += 2 + int.from_bytes(bytes(length))
    return False


def _boxes(file: BinaryIO, size: int) -> bool:
    """The family of MP4: boxes that say how long they are, one after another to the end of the file."""
    at = 0
    for _ in range(_MOST_PARTS):
        if at + 8 > size:
            return at > size
        file.seek(at)
        head = file.read(16)
        length, name = int.from_bytes(head[:4]), head[4:8]
        if length == 1 and len(head) < 16:
            return True
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8 or not name.isalnum():
            return False  # to the end of the file, or what is no box
        at += length
    return False


_LOOKS: Final[Mapping[str, Callable[[BinaryIO, int], bool]]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    **dict.fromkeys(("image/webp", "audio/wav", "video/avi"), _riff),
    **dict.fromkeys(
        ("image/heic", "image/heif", "image/avif", "audio/mp4", "video/mp4", "video/quicktime", "video/3gpp"), _boxes
    ),
}
