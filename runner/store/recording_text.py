"""One recording as text for people: the request and the answer as JSON where that loses no byte.

Nothing in it changes from run to run: no clock, no id, no place of a step; the payload comes scrubbed.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import orjson

from runner.core.answer import HEADERS, StoredAnswer
from runner.core.canonical import Json, ordered
from runner.core.outcome import Source
from runner.store.entry import (
    DamagedEntry,
    check_headers,
    find_key_version,
    read_failure,
    verify_key,
)

RECORDING_FORMAT: Final = 1


def format_recording(answer: StoredAnswer, payload: bytes) -> bytes:
    """Stable bytes. Raises ValueError for a key that is not the request's."""
    request: dict[str, Json] = {
        "body": _bytes_to_json(bytes(answer.body)),
        "dialect": answer.dialect,
        "endpoint": answer.endpoint,
        "headers": answer.ingredients.get(HEADERS) or [],
        "key_version": find_key_version(answer),
        "provider": answer.provider,
        "salt": answer.salt,
        "sample": answer.sample,
    }
    recording = {
        "answer": _bytes_to_json(payload),
        "failure": answer.failure,
        "format": RECORDING_FORMAT,
        "request": request,
    }
    return orjson.dumps(recording, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def parse_recording(key: str, data: bytes) -> StoredAnswer:
    """The recorded answer, if it is one and belongs to the key. Raises DamagedEntry, whatever the bytes are."""
    try:
        recording = orjson.loads(data)
    except ValueError:
        raise DamagedEntry("it is not JSON") from None
    match recording:
        case {
            "format": int() as version,
            "answer": dict() as answer,
            "failure": str() | None as failure,
            "request": {
                "body": dict() as body,
                "dialect": str() as dialect,
                "endpoint": str() as endpoint,
                "headers": list() as headers,
                "key_version": int() as key_version,
                "provider": str() as provider,
                "salt": str() as salt,
                "sample": int() as sample,
            },
        } if version == RECORDING_FORMAT:
            check_headers(headers)
            found = StoredAnswer(
                key=key,
                dialect=dialect,
                provider=provider,
                endpoint=endpoint,
                body=_json_to_bytes(body),
                payload=_json_to_bytes(answer),
                failure=read_failure(failure),
                ingredients={HEADERS: headers} if headers else {},
                sample=sample,
                salt=salt,
                source=Source.RECORDED,
            )
            verify_key(found, key_version, key)
            return found
        case _:
            raise DamagedEntry("it is not a recording of this format")


def _bytes_to_json(data: bytes) -> dict[str, Json]:
    """`{json: …}` if writing it again gives the very same bytes, else `{text: …}` or `{base64: …}`."""
    try:
        value = orjson.loads(data)
        if ordered(value) == data:
            return {"json": value}
    except (ValueError, TypeError):
        pass
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _json_to_bytes(spelled: dict[str, Json]) -> bytes:
    match spelled:
        case {"json": value}:
            return ordered(value)
        case {"text": str() as text}:
            return text.encode("utf-8")
        case {"base64": str() as text}:
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                pass
    raise DamagedEntry("its request or its answer cannot be read")
