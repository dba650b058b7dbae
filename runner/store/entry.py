"""One answer as bytes: a checksum, a canonical JSON head, then body and payload as they were; never pickle.

    magic and version (4) | checksum (16) | flag (1) | size of the content (4) | content, deflated if the flag says so
    content = size of the head (4) | size of the body (4) | head | body | payload

An entry of a later format has to live under another row name than the bare key, so that this version neither reads
nor overwrites it.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Final

import orjson

from runner.core.answer import HEADERS, StoredAnswer
from runner.core.canonical import Json, NotJson, canonical, ensure_json
from runner.core.errors import StorageError
from runner.core.long_text import LONG, Body
from runner.core.outcome import ANSWER_KINDS, FailureKind, Source
from runner.core.problem import Problem
from runner.core.request import Request, cache_key
from runner.store.packed import Content, PackedBody, Unpackable, pack_in_pieces

ENTRY_FORMAT: Final = 1
MAX_ENTRY_BYTES: Final = 256 * 2**20
DEFLATE_FROM: Final = 1024

_MAGIC = b"rnr" + bytes([ENTRY_FORMAT])
_FRAME = struct.Struct(">4s16sBI")
_SIZES = struct.Struct(">II")
_PLAIN, _DEFLATED = 0, 1
_REST = struct.Struct(">BI")
_SUM_BYTES = 16
_SUM_END = len(_MAGIC) + _SUM_BYTES
_LAST_KEY_VERSION = 99


class DamagedEntry(Exception):
    """Stored bytes that cannot be trusted; a miss with a warning, never more."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def encode_entry(answer: StoredAnswer) -> bytes:
    """Raises StorageError for an answer beyond the limit, ValueError for a key that is not the request's."""
    head = canonical(
        {
            "at": answer.received_at,
            "dialect": answer.dialect,
            "endpoint": answer.endpoint,
            "failure": answer.failure,
            "ingredients": safe_ingredients(answer.ingredients),
            "key": answer.key,
            "key_version": find_key_version(answer),
            "provider": answer.provider,
            "salt": answer.salt,
            "sample": answer.sample,
            "seconds": answer.seconds,
        }
    )
    sizes = _SIZES.pack(len(head), len(answer.body))
    size = len(sizes) + len(head) + len(answer.body) + len(answer.payload)
    if size > MAX_ENTRY_BYTES:
        raise StorageError(_too_large(answer, size))
    if size >= LONG:
        return _frame_long(size, (sizes, head, answer.body, answer.payload))
    content = b"".join((sizes, head, bytes(answer.body), answer.payload))
    flag, packed = _PLAIN, content
    if size >= DEFLATE_FROM:
        flag, packed = _DEFLATED, _deflate(content)
    rest = _REST.pack(flag, size) + packed
    return _MAGIC + _checksum(rest) + rest


def _frame_long(size: int, parts: Iterable[Body]) -> bytes:
    """The same in pieces: neither the content nor what it is packed into is held twice."""
    rest = _REST.pack(_DEFLATED, size)
    sha = hashlib.sha256(rest)
    made = BytesIO()
    made.write(_MAGIC + bytes(_SUM_BYTES) + rest)
    for piece in pack_in_pieces(parts):
        sha.update(piece)
        made.write(piece)
    made.seek(len(_MAGIC))
    made.write(sha.digest()[:_SUM_BYTES])
    return made.getvalue()


def decode_entry(key: str, data: bytes, *, source: Source = Source.CACHED) -> StoredAnswer:
    """The answer stored under `key`. Raises DamagedEntry, whatever the bytes are."""
    if _is_long(data):
        return _decode_long(key, data, source)
    content = _open_frame(data)
    if len(content) < _SIZES.size:
        raise DamagedEntry("it is too short")
    head_size, body_size = _SIZES.unpack_from(content)
    body_at = _SIZES.size + head_size
    payload_at = body_at + body_size
    if payload_at > len(content):
        raise DamagedEntry("its parts do not fit its size")
    try:
        head = orjson.loads(content[_SIZES.size : body_at])
    except ValueError:
        raise DamagedEntry("its head is not JSON") from None
    answer, version = _read_head(head, content[body_at:payload_at], content[payload_at:], source)
    verify_key(answer, version, key)
    return answer


def _is_long(data: bytes) -> bool:
    """Whether an entry says that it holds much, which is then never inflated as a whole."""
    if len(data) < _FRAME.size:
        return False
    magic, _, flag, size = _FRAME.unpack_from(data)
    return bool(magic == _MAGIC and flag == _DEFLATED and LONG <= size <= MAX_ENTRY_BYTES)


def _decode_long(key: str, data: bytes, source: Source) -> StoredAnswer:
    """The body stays packed; all of it is looked through, here and for its key."""
    _, checksum, _, size = _FRAME.unpack_from(data)
    if checksum != _checksum(memoryview(data)[_SUM_END:]):
        raise DamagedEntry("its checksum is wrong")
    try:
        head, body, payload = _read_long(memoryview(data)[_FRAME.size :], size)
    except Unpackable as error:
        raise DamagedEntry(str(error)) from None
    except ValueError:
        raise DamagedEntry("its head is not JSON") from None
    answer, version = _read_head(head, body, payload, source)
    verify_key(answer, version, key)
    return answer


def _read_long(packed: memoryview, size: int) -> tuple[Json, Body, bytes]:
    """Head, body and payload. Raises Unpackable, and ValueError for a head that is not JSON."""
    content = Content(packed)
    head_size, body_size = _SIZES.unpack(content.take(_SIZES.size))
    body_at = _SIZES.size + head_size
    if body_at + body_size > size:
        raise Unpackable("its parts do not fit its size")
    head = orjson.loads(content.take(head_size))
    body: Body
    if body_size < LONG:
        body = content.take(body_size)
    else:
        body = PackedBody(packed, body_at, body_size)
        content.skip(body_size)
    payload = content.take(size - body_at - body_size)
    content.end()
    return head, body, payload


def safe_ingredients(ingredients: Mapping[str, Json]) -> dict[str, Json]:
    """The ingredients; only the headers if the rest is no JSON: a paid answer is not lost for its explanation."""
    try:
        ensure_json(dict(ingredients))
        return dict(ingredients)
    except (NotJson, RecursionError):
        return {name: value for name, value in ingredients.items() if name == HEADERS}


def find_key_version(answer: StoredAnswer) -> int:
    """The key version of the dialect that made the key: an answer does not carry it, but its key tells.

    Raises ValueError when the key is not that of the request.
    """
    for version in range(1, _LAST_KEY_VERSION + 1):
        if cache_key(request_of(answer, version)) == answer.key:
            return version
    raise ValueError(f"the key {answer.key} does not belong to the request to {answer.endpoint}")


def request_of(answer: StoredAnswer, key_version: int) -> Request:
    """The request that the answer answers."""
    headers = answer.ingredients.get(HEADERS) or ()
    return Request(
        dialect=answer.dialect,
        key_version=key_version,
        provider=answer.provider,
        endpoint=answer.endpoint,
        body=answer.body,
        headers=tuple((str(name), str(value)) for name, value in headers),
        sample=answer.sample,
        salt=answer.salt,
    )


def verify_key(answer: StoredAnswer, key_version: int, key: str) -> None:
    """Refuse an entry that was moved under another key or whose request was changed."""
    try:
        own = cache_key(request_of(answer, key_version))
    except (TypeError, ValueError):
        raise DamagedEntry("its request has no key") from None
    if own != key or answer.key != key:
        raise DamagedEntry("it belongs to another request")


def _open_frame(data: bytes) -> bytes:
    if len(data) < _FRAME.size:
        raise DamagedEntry("it is too short")
    magic, checksum, flag, size = _FRAME.unpack_from(data)
    if magic != _MAGIC:
        raise DamagedEntry("it is not an entry of this format")
    if checksum != _checksum(data[_SUM_END:]):
        raise DamagedEntry("its checksum is wrong")
    packed = data[_FRAME.size :]
    if size > MAX_ENTRY_BYTES or flag not in (_PLAIN, _DEFLATED):
        raise DamagedEntry("it is not an entry of this format")
    content = _inflate(packed, size) if flag == _DEFLATED else packed
    if len(content) != size:
        raise DamagedEntry("its content has another size than it says")
    return content


def _checksum(rest: bytes | memoryview) -> bytes:
    return hashlib.sha256(rest).digest()[:_SUM_BYTES]


def _deflate(content: bytes) -> bytes:
    # A small window saves a third of the time on the usual answer and costs nothing in size.
    bits, memory = (-13, 5) if len(content) <= 8192 else (-15, 8)
    squeezer = zlib.compressobj(1, zlib.DEFLATED, bits, memory)
    return squeezer.compress(content) + squeezer.flush()


def _inflate(packed: bytes, size: int) -> bytes:
    try:
        # One byte more than stated shows a content that is longer, without inflating all of a bomb.
        return zlib.decompressobj(-15).decompress(packed, size + 1)
    except zlib.error:
        raise DamagedEntry("it cannot be inflated") from None


def _read_head(head: Json, body: Body, payload: bytes, source: Source) -> tuple[StoredAnswer, int]:
    """Types are checked one by one: a checksum is no signature, so the head may be anybody's."""
    match head:
        case {
            "at": float() | int() as at,
            "dialect": str() as dialect,
            "endpoint": str() as endpoint,
            "failure": str() | None as failure,
            "ingredients": dict() as ingredients,
            "key": str() as key,
            "key_version": int() as version,
            "provider": str() as provider,
            "salt": str() as salt,
            "sample": int() as sample,
            "seconds": float() | int() as seconds,
        }:
            check_headers(ingredients.get(HEADERS))
            answer = StoredAnswer(
                key=key,
                dialect=dialect,
                provider=provider,
                endpoint=endpoint,
                body=body,
                payload=payload,
                failure=read_failure(failure),
                ingredients=ingredients,
                sample=sample,
                salt=salt,
                received_at=float(at),
                seconds=float(seconds),
                source=source,
            )
            return answer, version
        case _:
            raise DamagedEntry("its head lacks a field or has one of another type")


def read_failure(name: Json) -> FailureKind | None:
    """The kind of a final failure; only kinds that are answers are ever stored."""
    if name is None:
        return None
    if name in ANSWER_KINDS:
        return FailureKind(name)
    raise DamagedEntry("it names a failure that is never stored")


def check_headers(headers: Json) -> None:
    """Refuse anything but a list of pairs of texts."""
    match headers:
        case None:
            return
        case list() if all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
            for pair in headers
        ):
            return
        case _:
            raise DamagedEntry("its request has no key")


def _too_large(answer: StoredAnswer, size: int) -> Problem:
    return Problem(
        code="answer-too-large",
        message=f"an answer of {size:,} bytes from {answer.endpoint} is too large to be kept",
        expected=f"at most {MAX_ENTRY_BYTES:,} bytes with its request",
    )
