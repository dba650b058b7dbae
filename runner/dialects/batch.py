"""How the protocols that have a batch interface write requests into its files, and what its answers are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from runner.core.batch import BatchFormat, BatchRow
from runner.core.canonical import Json, ordered
from runner.core.model import Provider
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import Dialect
from runner.core.request import Request
from runner.dialects import ASKED, DIALECTS
from runner.dialects.payload import show

# The codes of google.rpc.Status, as the HTTP statuses that they stand for.
_RPC: Final = {
    1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500,
    14: 503, 15: 500, 16: 401,
}  # fmt: skip
_AGAIN: Final = frozenset({"batch_expired", "server_error", "rate_limit_exceeded", "token_limit_exceeded"})


class OpenAIBatch:
    """Lines of OpenAI's batch files; the answers of Chat Completions, Responses and Embeddings stand in them alike."""

    most_lines = 50_000
    most_bytes = 200 * 1024 * 1024

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def head(self, key: str, request: Request) -> bytes:
        return ordered({"custom_id": key, "method": "POST", "url": url_of(request.endpoint)})[:-1] + b',"body":'

    def row(self, line: bytes) -> BatchRow | None:
        match _value(line):
            case {"custom_id": str() as key, "response": {"status_code": int() as status, "body": body}}:
                return _answered(self._dialect, key, status, body)
            case {"custom_id": str() as key, "error": dict() as error}:
                return BatchRow(key, failure=_failure(error))
            case {"custom_id": str() as key}:
                return BatchRow(key, failure=Failure(FailureKind.BAD_ANSWER, "the batch gave neither answer nor error"))
            case _:
                return None


class GeminiBatch:
    """Lines of Gemini's batch files."""

    most_lines = 200_000
    most_bytes = 2 * 1024 * 1024 * 1024

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def head(self, key: str, request: Request) -> bytes:  # noqa: ARG002 - the file holds one model's questions
        return ordered({"key": key})[:-1] + b',"request":'

    def row(self, line: bytes) -> BatchRow | None:
        match _value(line):
            case {"key": str() as key, "response": dict() as body}:
                return _answered(self._dialect, key, 200, body)
            case {"key": str() as key, "error": dict() as error} | {"key": str() as key, "status": dict() as error}:
                return _answered(self._dialect, key, _status(error.get("code")), {"error": error})
            case {"key": str() as key}:
                return BatchRow(key, failure=Failure(FailureKind.BAD_ANSWER, "the batch gave neither answer nor error"))
            case _:
                return None


BATCH_FORMATS: Mapping[str, BatchFormat] = {
    "gemini": GeminiBatch(DIALECTS["gemini"]),
    "openai-chat": OpenAIBatch(DIALECTS["openai-chat"]),
    "openai-responses": OpenAIBatch(DIALECTS["openai-responses"]),
    "openai-embed": OpenAIBatch(ASKED["openai-embed"]),
    "gemini-embed": GeminiBatch(ASKED["gemini-embed"]),
}
"""Dialect name → the format of its batch files."""


def offers_batch(provider: Provider) -> bool:
    """Whether a provider may have a batch interface: it speaks a protocol that has one, and is no gateway to others."""
    return provider.dialect in BATCH_FORMATS and provider.settings.get("server") != "gateway"


def url_of(endpoint: str) -> str:
    """The endpoint as OpenAI's batch files name it: with the version, which stands in the base URL otherwise."""
    return f"/v1{endpoint}"


def _value(line: bytes) -> Json:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _answered(dialect: Dialect, key: str, status: int, body: Json) -> BatchRow:
    payload = ordered(body)
    if status == 200:
        return BatchRow(key, payload=payload)
    return BatchRow(key, failure=dialect.failure(status, {}, payload))


def _status(code: Json) -> int:
    return _RPC.get(code, code if isinstance(code, int) and code >= 400 else 500)


def _failure(error: Mapping[str, Json]) -> Failure:
    """An error of the batch itself; a row that it did not come to may be sent again."""
    code, message = error.get("code"), show(str(error.get("message") or error.get("code") or "no reason given"))
    kind = FailureKind.TRANSIENT if code in _AGAIN else FailureKind.BAD_REQUEST
    return Failure(kind, f"the batch did not answer: {message}")


def job_failure(code: Json, message: Json) -> Failure:
    """Why a job, or a line of it, was refused before it began."""
    return _failure({"code": code, "message": message})
