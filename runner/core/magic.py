"""What a file is, told from its first bytes and never from its name."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.media import MediumKind

HEAD_BYTES = 4096

_STARTS: tuple[tuple[bytes, MediumKind, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image", "image/png"),
    (b"\xff\xd8\xff", "image", "image/jpeg"),
    (b"GIF87a", "image", "image/gif"),
    (b"GIF89a", "image", "image/gif"),
    (b"II*\x00", "image", "image/tiff"),
    (b"MM\x00*", "image", "image/tiff"),
    (b"fLaC", "audio", "audio/flac"),
    (b"ID3", "audio", "audio/mp3"),
    (b"FLV\x01", "video", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video", "video/mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video", "video/wmv"),
)
# Files of chunks: the first word says so, the third what they hold.
_CHUNKS: Mapping[tuple[bytes, bytes], tuple[MediumKind, str]] = {
    (b"RIFF", b"WEBP"): ("image", "image/webp"),
    (b"RIFF", b"WAVE"): ("audio", "audio/wav"),
    (b"RIFF", b"AVI "): ("video", "video/avi"),
    (b"FORM", b"AIFF"): ("audio", "audio/aiff"),
    (b"FORM", b"AIFC"): ("audio", "audio/aiff"),
}
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx"})
_HEIF_BRANDS = frozenset({b"mif1", b"msf1", b"heif"})
_SOUND_BRANDS = frozenset({b"M4A ", b"M4B "})
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\b\x1b")

_OTHERS: Mapping[MediumKind, tuple[str, ...]] = {
    "image": ("image/heic", "image/heif", "image/avif"),
    "audio": ("audio/mp4", "audio/3gpp", "audio/webm", "audio/x-matroska", "audio/ogg", "audio/aac"),
    "video": ("video/mp4", "video/quicktime", "video/3gpp", "video/webm", "video/x-matroska", "video/ogg"),
    "document": ("application/pdf", "text/plain"),
}
ALL_TYPES: Mapping[MediumKind, frozenset[str]] = {
    kind: frozenset(
        (*others, *(one[2] for one in _STARTS if one[1] == kind), *(m for k, m in _CHUNKS.values() if k == kind))
    )
    for kind, others in _OTHERS.items()
}
"""Every type that is told apart, by kind."""


def types_of(head: bytes) -> Mapping[MediumKind, str]:
    """The MIME type of a file by its first bytes, for each kind that it may be; empty when they say nothing.

    Some containers hold sound or pictures with it, so that they may be both.
    """
    for start, kind, mime in _STARTS:
        if head.startswith(start):
            return {kind: mime}
    chunk = _CHUNKS.get((head[:4], head[8:12]))
    if chunk is not None:
        return {chunk[0]: chunk[1]}
    if head[4:8] == b"ftyp":
        return _by_brand(head[8:12])
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        name = "webm" if b"webm" in head[:64] else "x-matroska"
        return {"video": f"video/{name}", "audio": f"audio/{name}"}
    if head.startswith(b"OggS"):
        return {"audio": "audio/ogg", "video": "video/ogg"}
    if b"%PDF-" in head[:1024]:
        return {"document": "application/pdf"}
    if _is_frame(head):
        return {"audio": "audio/aac" if head[1] & 0x06 == 0 else "audio/mp3"}
    return {"document": "text/plain"} if _is_text(head) else {}


def _by_brand(brand: bytes) -> Mapping[MediumKind, str]:
    """The family of MP4, whose fourth word says which one it is."""
    if brand in _HEIC_BRANDS:
        return {"image": "image/heic"}
    if brand in _HEIF_BRANDS:
        return {"image": "image/heif"}
    if brand == b"avif":
        return {"image": "image/avif"}
    if brand in _SOUND_BRANDS:
        return {"audio": "audio/mp4"}
    if brand == b"qt  ":
        return {"video": "video/quicktime"}
    if brand.startswith(b"3g"):
        return {"video": "video/3gpp", "audio": "audio/3gpp"}
    return {"video": "video/mp4", "audio": "audio/mp4"}


def _is_frame(head: bytes) -> bool:
    """Whether a frame of MPEG audio begins here: eleven bits set, and a version and a layer that exist.

    Layer I is in no use any more, and its frames begin as texts in UTF-16 do.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] & 0x18 == 0x08:
        return False
    is_aac = head[1] & 0xF6 == 0xF0
    return is_aac or (head[1] & 0x06 in (0x02, 0x04) and head[2] & 0xF0 not in (0x00, 0xF0) and head[2] & 0x0C != 0x0C)


def _is_text(head: bytes) -> bool:
    """Whether these may be the first bytes of a text in UTF-8; the last character may be cut."""
    if not head or _CONTROLS & set(head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > 0 and len(head) - error.start < 4 and error.reason == "unexpected end of data"
    return True
