"""Embeddings of OpenAI, the Gemini API and Vertex AI, as strict as the real services. An answer's text is the vector."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import wire_chat
import wire_gemini
from wire import Answer, Json, Received, Refused, Wire, bearer, check_model, only, words

KINDS = words(
    "RETRIEVAL_QUERY RETRIEVAL_DOCUMENT SEMANTIC_SIMILARITY CLASSIFICATION CLUSTERING QUESTION_ANSWERING "
    "FACT_VERIFICATION CODE_RETRIEVAL_QUERY"
)
GEMINI_FIELDS = words("model content taskType title outputDimensionality")
VERTEX_CONFIG = words("taskType title outputDimensionality autoTruncate audioTrackExtraction documentOcr")


def _check(body: Json, _headers: Mapping[str, str]) -> None:
    only(body, words("model input dimensions encoding_format user"), "")
    check_model(body)
    if not isinstance(body.get("input"), str) or not body["input"]:
        raise Refused(400, "'$.input' is invalid")
    if body.get("dimensions", 1) < 1:
        raise Refused(400, "'dimensions' must be at least 1")


def _check_gemini(body: Json, _headers: Mapping[str, str]) -> None:
    _check_content(body, GEMINI_FIELDS)


def _check_vertex(body: Json, _headers: Mapping[str, str]) -> None:
    """Beside the content options have a place of their own; the fields of old are on their way out."""
    _check_content(body, words("model content embedContentConfig"))
    config = body.get("embedContentConfig", {})
    only(config, VERTEX_CONFIG, "embed_content_config.")
    _check_kind(config)


def _check_many(body: Json, _headers: Mapping[str, str]) -> None:
    only(body, frozenset({"requests"}), "")
    for one in body["requests"]:
        check_model(one)
        _check_content(one, GEMINI_FIELDS)


def _check_content(body: Json, fields: frozenset[str]) -> None:
    only(body, fields, "")
    only(body.get("content"), frozenset({"role", "parts"}), "content.")
    for part in body["content"]["parts"]:
        only(part, frozenset({"text"}), "content.parts.")
    _check_kind(body)


def _check_kind(config: Json) -> None:
    if config.get("taskType", "CLUSTERING") not in KINDS:
        raise Refused(400, "invalid value at 'task_type'", "INVALID_ARGUMENT")


def _answer(answer: Answer, received: Received) -> Json:
    usage = {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens}
    rows = [{"object": "embedding", "index": 0, "embedding": json.loads(answer.text)}]
    return {"object": "list", "data": rows, "model": received.body["model"], "usage": usage}


def _answer_gemini(answer: Answer, _received: Received) -> Json:
    return {"embedding": {"values": json.loads(answer.text)}}


def _answer_many(answer: Answer, received: Received) -> Json:
    return {"embeddings": [{"values": json.loads(answer.text)} for _ in received.body["requests"]]}


def _answer_vertex(answer: Answer, received: Received) -> Json:
    usage = {"promptTokenCount": answer.input_tokens, "totalTokenCount": answer.input_tokens}
    return {**_answer_gemini(answer, received), "truncated": False, "usageMetadata": usage}


def _said(body: Json) -> str:
    return "".join(part["text"] for part in body["content"]["parts"])


WIRES = (
    Wire("openai-embed", re.compile(r"(/v1)?/embeddings"), bearer, _check, lambda body: str(body["input"]), _answer,
         wire_chat.error),
    Wire("gemini-embed", re.compile(r"/(v1|v1beta)/models/[^/:?]+:embedContent"), wire_gemini.GEMINI.key, _check_gemini,
         _said, _answer_gemini, wire_gemini.error, wire_gemini.read),
    Wire("gemini-embeds", re.compile(r"/(v1|v1beta)/models/[^/:?]+:batchEmbedContents"), wire_gemini.GEMINI.key, _check_many,
         lambda body: "\n".join(map(_said, body["requests"])), _answer_many, wire_gemini.error, wire_gemini.read),
    Wire("vertex-embed",
         re.compile(r"/(v1|v1beta1)/(projects/[^/]+/locations/[^/]+/)?publishers/google/models/[^/:?]+:embedContent"),
         wire_gemini.VERTEX.key, _check_vertex, _said, _answer_vertex, wire_gemini.error, wire_gemini.read),
)  # fmt: skip
