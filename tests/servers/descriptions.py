"""Whether what goes out is what the vendors' own descriptions of their services allow.

Always: the typed dictionaries of OpenAI's client, and Google's description of Vertex AI in google-api-python-client.
Where RUNNER_API_DESCRIPTIONS names a folder with the published descriptions (generativelanguage.v1beta.json,
aiplatform.v1.json, openai-openapi.json), by these too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson
from description_walks import Discovery, OpenApi, typed_problems

Json: TypeAlias = Any
FOLDER: Final = "RUNNER_API_DESCRIPTIONS"
_VERTEX: Final = "GoogleCloudAiplatformV1beta1"
# What the Gemini API takes beyond Vertex AI.
_GEMINI_ONLY: Final[Mapping[str, Mapping[str, Any]]] = {
    "GenerateContentRequest": {
        "model": {"type": "string"},
        "store": {"type": "boolean"},
        "serviceTier": {"type": "string", "enum": ["standard", "flex", "priority"]},
    },
    "GenerationConfig": {"enableEnhancedCivicAnswers": {"type": "boolean"}},
    "ToolConfig": {"includeServerSideToolInvocations": {"type": "boolean"}},
    "Part": {"toolCall": {"$ref": "ToolCall"}, "toolResponse": {"$ref": "ToolResponse"}},
    "FunctionCall": {"id": {"type": "string"}},
    "FunctionResponse": {"id": {"type": "string"}},
}
_VERTEX_ONLY: Final = {
    "GenerateContentRequest": frozenset({"labels", "modelArmorConfig"}),
    "GenerationConfig": frozenset({"audioTimestamp", "routingConfig", "modelConfig"}),
}
# What own servers take beside OpenAI's fields.
OWN_SERVERS: Final = frozenset(
    {
        "chat_template_kwargs",
        "enable_thinking",
        "top_k",
        "min_p",
        "repeat_penalty",
        "repetition_penalty",
        "cache_prompt",
    }
)


# What only the published description knows.
_PUBLISHED = {
    "gemini-batch": "BatchGenerateContentRequest",
    "gemini-embed-batch": "AsyncBatchEmbedContentRequest",
    "gemini-file": "CreateFileRequest",
    "gemini-embed": "EmbedContentRequest",
    "gemini-embeds": "BatchEmbedContentsRequest",
}


def problems_of(dialect: str, body: Json, *, is_own_server: bool = False) -> list[str]:
    """What the descriptions do not allow in a body; nothing is known of the dialects that are not the two vendors'."""
    match dialect:
        case "gemini":
            return _gemini(body)
        case "vertex":
            return _vertex(body)
        case "gemini-context" | "vertex-context":
            return _context(dialect, body)
        case "openai-chat":
            if is_own_server:
                body = {name: value for name, value in body.items() if name not in OWN_SERVERS}
            return _openai("chat", "CreateChatCompletionRequest", body)
        case "openai-responses":
            return _openai("responses", "CreateResponse", body)
        case "openai-embeddings" | "openai-embed":
            return _openai("embeddings", "CreateEmbeddingRequest", body)
        case "openai-batch":
            return _openai("batch", "CreateBatchRequest", body)
        case "vertex-embed":
            name = "EmbedContentRequest"
            published = _published("aiplatform.v1.json", f"{_VERTEX.removesuffix('beta1')}{name}", body)
            return _of_vertex().problems(name, body) + published
        case _ if dialect in _PUBLISHED:
            return _published("generativelanguage.v1beta.json", _PUBLISHED[dialect], body)
        case _:
            return []


def line_problems(line: Json) -> list[str]:
    """What is wrong with a line of a batch file: OpenAI's have four fields, Gemini's a key and a request."""
    if "custom_id" not in line:
        dialect = "gemini-embed" if "content" in line.get("request", ()) else "gemini"
        return _exact(line, {"key", "request"}) or problems_of(dialect, line["request"])
    dialects = {
        "/v1/chat/completions": "openai-chat",
        "/v1/responses": "openai-responses",
        "/v1/embeddings": "openai-embed",
    }
    found = _exact(line, {"custom_id", "method", "url", "body"})
    if found or line["method"] != "POST" or line["url"] not in dialects:
        return [*found, f"{line.get('method')} {line.get('url')}"]
    return problems_of(dialects[line["url"]], line["body"])


def form_problems(fields: Mapping[str, str]) -> list[str]:
    """What is wrong with the form of an upload to OpenAI, its nested fields written `outer[inner]`."""
    from openai.types.file_create_params import FileCreateParams

    body: dict[str, Json] = {}
    for name, value in fields.items():
        outer, _, inner = name.removesuffix("]").partition("[")
        if inner:
            body.setdefault(outer, {})[inner] = int(value) if value.isdigit() else value
        elif name != "file":
            body[name] = value
    return [one for one in typed_problems(body, FileCreateParams, "form") if one != "form: 'file' is missing"]


def has_published() -> bool:
    """Whether a folder with the published descriptions is named."""
    return bool(os.environ.get(FOLDER))


def _exact(value: Json, names: set[str]) -> list[str]:
    return [] if set(value) == names else [f"line: {sorted(set(value) ^ names)} are missing or unknown"]


def _gemini(body: Json) -> list[str]:
    found = _shared().problems("GenerateContentRequest", body)
    for name, given in (("GenerateContentRequest", body), ("GenerationConfig", body.get("generationConfig"))):
        inside = _VERTEX_ONLY[name] & set(given) if isinstance(given, dict) else ()
        found += [f"{name}.{each}: only Vertex AI takes it" for each in sorted(inside)]
    return found + _published("generativelanguage.v1beta.json", "GenerateContentRequest", body)


def _context(dialect: str, body: Json) -> list[str]:
    """What is kept of questions."""
    if dialect == "gemini-context":
        published = _published("generativelanguage.v1beta.json", "CachedContent", body)
        return _shared().problems("CachedContent", body) + published
    schema = f"{_VERTEX.removesuffix('beta1')}CachedContent"
    return _of_vertex().problems("CachedContent", body) + _published("aiplatform.v1.json", schema, body)


def _vertex(body: Json) -> list[str]:
    schema = f"{_VERTEX.removesuffix('beta1')}GenerateContentRequest"
    return _of_vertex().problems("GenerateContentRequest", body) + _published("aiplatform.v1.json", schema, body)


def _openai(kind: str, name: str, body: Json) -> list[str]:
    return typed_problems(body, _params()[kind], kind) + _published("openai-openapi.json", name, body)


@cache
def _params() -> Mapping[str, Any]:
    from openai.types.batch_create_params import BatchCreateParams
    from openai.types.chat.completion_create_params import CompletionCreateParams
    from openai.types.embedding_create_params import EmbeddingCreateParams
    from openai.types.responses.response_create_params import ResponseCreateParams

    return {
        "chat": CompletionCreateParams,
        "responses": ResponseCreateParams,
        "embeddings": EmbeddingCreateParams,
        "batch": BatchCreateParams,
    }


@cache
def _vertex_schemas() -> Mapping[str, Any]:
    documents = resources.files("googleapiclient") / "discovery_cache" / "documents"
    schemas: Mapping[str, Any] = orjson.loads((documents / "aiplatform.v1beta1.json").read_bytes())["schemas"]
    return schemas


@cache
def _of_vertex() -> Discovery:
    return Discovery(_vertex_schemas(), _VERTEX)


@cache
def _shared() -> Discovery:
    return Discovery(_vertex_schemas(), _VERTEX, _GEMINI_ONLY)


def _published(file: str, name: str, body: Json) -> list[str]:
    folder = os.environ.get(FOLDER)
    return _document(Path(folder) / file).problems(name, body) if folder else []


@cache
def _document(path: Path) -> Discovery | OpenApi:
    value = orjson.loads(path.read_bytes())
    return OpenApi(value["components"]["schemas"]) if "components" in value else Discovery(value["schemas"])
