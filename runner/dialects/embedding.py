"""Vectors of texts, by the embedding interfaces of OpenAI (and all who speak like it), Gemini and Vertex AI, and by the
embedded engine.

A vector is an answer like any other: decoded it is JSON text, a list of numbers, which is checked against its schema
on every read. Nothing of a call but its text, its model and its options is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final
from urllib.parse import quote

import orjson

from runner.core.call import Call
from runner.core.canonical import Json
from runner.core.long_text import spell
from runner.core.media import MediaRules
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import CallFailed, LoweredSchema
from runner.core.request import Request
from runner.core.response import Finish, Response, Usage
from runner.dialects.chat_shape import chat_failure
from runner.dialects.gemini import GeminiDialect
from runner.dialects.naming import digest_endpoint, identity_of
from runner.dialects.options import place_options
from runner.dialects.payload import bad_answer, count_of, list_of, mapping_of, read_answer, scrub_json, text_of

EMBEDDINGS: Final[Mapping[str, str]] = {
    "gemini": "gemini-embed",
    "vertex": "vertex-embed",
    "openai-chat": "openai-embed",
    "openai-responses": "openai-embed",
    "llama": "llama-embed",
    "scripted": "scripted",
}
"""By the dialect that a provider answers questions in: the one in which it gives vectors."""

_OPENAI_OPTIONS: Mapping[str, tuple[str, ...]] = {"dimensions": ()}
_GEMINI_OPTIONS: Mapping[str, tuple[str, ...]] = dict.fromkeys(("taskType", "title", "outputDimensionality"), ())
# Vertex AI has a place for them; outside of it they are on their way out.
_VERTEX_OPTIONS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    (*_GEMINI_OPTIONS, "autoTruncate"), ("embedContentConfig",)
)


class _Embedding:
    """What the interfaces share: there is no schema, no file and no setting of how words are chosen."""

    lacks: ClassVar[frozenset[str]] = frozenset()
    media: ClassVar[MediaRules] = MediaRules()
    key_version: ClassVar[int] = 1

    def lower(self, schema: Json) -> LoweredSchema:
        del schema
        return LoweredSchema(body=None)


class OpenAIEmbedding(_Embedding):
    name: ClassVar[str] = "openai-embed"
    options: ClassVar[frozenset[str]] = frozenset(_OPENAI_OPTIONS)

    def encode(self, call: Call, route: Route) -> Request:
        body: dict[str, Json] = {"model": route.model, "input": call.messages[0].text}
        place_options(body, call.options, _OPENAI_OPTIONS)
        return _request(self.name, self.key_version, call, route, "/embeddings", body)

    def decode(self, payload: bytes) -> Response:
        answer = read_answer(payload)
        rows = list_of(answer.get("data"))
        if not rows and answer.get("error"):
            raise CallFailed(self.failure(200, {}, payload))
        vector = mapping_of(rows[0]).get("embedding") if rows else None
        return _response(vector, mapping_of(answer.get("usage")).get("prompt_tokens"), text_of(answer.get("model")))

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return chat_failure(status, headers, body)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, lambda _: None)


class LlamaEmbedding(OpenAIEmbedding):
    """llama.cpp in process, which has no choices: what model it is, its weights say."""

    name: ClassVar[str] = "llama-embed"
    options: ClassVar[frozenset[str]] = frozenset()

    def encode(self, call: Call, route: Route) -> Request:
        endpoint = digest_endpoint(route, "weights_sha256")
        return _request(self.name, self.key_version, call, route, endpoint, {"input": call.messages[0].text})


class GeminiEmbedding(_Embedding):
    name: ClassVar[str] = "gemini-embed"
    models: ClassVar[str] = GeminiDialect.models
    places: ClassVar[Mapping[str, tuple[str, ...]]] = _GEMINI_OPTIONS
    options: ClassVar[frozenset[str]] = frozenset(_GEMINI_OPTIONS)

    def encode(self, call: Call, route: Route) -> Request:
        body: dict[str, Json] = {"content": {"role": "user", "parts": [{"text": call.messages[0].text}]}}
        place_options(body, call.options, self.places)
        endpoint = f"{self.models}{quote(route.model, safe='')}:embedContent"
        return _request(self.name, self.key_version, call, route, endpoint, body)

    def decode(self, payload: bytes) -> Response:
        """The Gemini API does not count the tokens; Vertex AI does."""
        answer = read_answer(payload)
        if answer.get("error"):
            raise CallFailed(self.failure(200, {}, payload))
        vector = mapping_of(answer.get("embedding")).get("values")
        return _response(vector, mapping_of(answer.get("usageMetadata")).get("promptTokenCount"), "")

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return GeminiDialect().failure(status, headers, body)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, lambda _: None)


class VertexEmbedding(GeminiEmbedding):
    name: ClassVar[str] = "vertex-embed"
    models: ClassVar[str] = "/v1/publishers/google/models/"
    places: ClassVar[Mapping[str, tuple[str, ...]]] = _VERTEX_OPTIONS
    options: ClassVar[frozenset[str]] = frozenset(_VERTEX_OPTIONS)


def _request(name: str, version: int, call: Call, route: Route, endpoint: str, body: dict[str, Json]) -> Request:
    return Request(
        dialect=name,
        key_version=version,
        provider=identity_of(route.provider),
        endpoint=endpoint,
        body=spell(body),
        sample=call.sample,
        salt=call.salt,
    )


def _response(vector: Json, tokens: Json, model: str) -> Response:
    if not isinstance(vector, list) or not vector:
        raise bad_answer("the answer has no vector")
    given = count_of(tokens)
    # No text has zero tokens: who says so does not count.
    usage = Usage(given, 0) if given else Usage()
    return Response(orjson.dumps(vector).decode(), Finish.COMPLETE, usage, model, "a vector")
