"""The embedded model: llama.cpp in process, asked with an OpenAI-like chat body.

Equal requests must give equal bytes on every run, so what the engine would otherwise choose by itself is always
sent: temperature 0 when unset, seed 0 at that temperature, a cap, and `cache_prompt: false` (a warm prompt cache splits the work into
other batches, which may tip a rounding). The engine turns the schema into a grammar but does not show it to the
model, so it also stands in the system text, in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import ClassVar

from runner.core.call import Call
from runner.core.canonical import Json
from runner.core.frozen import replace
from runner.core.long_text import spell
from runner.core.media import MediaRules
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import LoweredSchema
from runner.core.request import Request
from runner.core.response import Response
from runner.dialects.chat_shape import chat_failure, chat_messages, clean_chat, decode_chat
from runner.dialects.llama_schema import lower_for_llama
from runner.dialects.naming import digest_endpoint, identity_of, schema_name
from runner.dialects.options import place_options
from runner.dialects.payload import scrub_json, text_of
from runner.dialects.words import with_schema_in_words

DEFAULT_MAX_TOKENS = 512

_OPTIONS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    (
        "top_k",
        "min_p",
        "typical_p",
        "repeat_penalty",
        "repeat_last_n",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "chat_template_kwargs",
    ),
    (),
)


class LlamaDialect:
    name: ClassVar[str] = "llama"
    key_version: ClassVar[int] = 1
    options: ClassVar[frozenset[str]] = frozenset(_OPTIONS)
    lacks: ClassVar[frozenset[str]] = frozenset({"tools"})
    media: ClassVar[MediaRules] = MediaRules()

    def encode(self, call: Call, route: Route) -> Request:
        """`settings["weights_sha256"]` of the provider must be known by now."""
        fields: dict[str, Json] = {
            "messages": chat_messages(with_schema_in_words(call), call.messages, system_role="system"),
            "max_tokens": DEFAULT_MAX_TOKENS if call.max_output_tokens is None else call.max_output_tokens,
            "temperature": 0 if call.temperature is None else call.temperature,
            "top_p": call.top_p,
            **_seed(call),
            "stop": list(call.stop) or None,
            "cache_prompt": False,
            "response_format": self._format(call),
        }
        body = {name: value for name, value in fields.items() if value is not None}
        place_options(body, call.options, _OPTIONS)
        return Request(
            dialect=self.name,
            key_version=self.key_version,
            provider=identity_of(route.provider),
            endpoint=digest_endpoint(route, "weights_sha256"),
            body=spell(body),
            sample=call.sample,
            salt=call.salt,
        )

    def _format(self, call: Call) -> Json:
        if call.schema is None:
            return None
        schema = self.lower(call.schema).body
        return {"type": "json_schema", "json_schema": {"name": schema_name(call.schema_name), "schema": schema}}

    def decode(self, payload: bytes) -> Response:
        response = decode_chat(payload)
        return replace(response, model=_file_name(response.model))

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return chat_failure(status, headers, body)

    def lower(self, schema: Json) -> LoweredSchema:
        return lower_for_llama(schema)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, _clean)


def _seed(call: Call) -> dict[str, Json]:
    """With a temperature and no seed the engine draws its own, so that samples of one question differ."""
    if call.seed is None and call.temperature:
        return {}
    return {"seed": 0 if call.seed is None else call.seed}


def _file_name(model: str) -> str:
    """The engine names the model by the path of its weights, which differs from machine to machine."""
    return PurePath(model.replace("\\", "/")).name


def _clean(answer: dict[str, Json]) -> None:
    clean_chat(answer)
    if "model" in answer:
        answer["model"] = _file_name(text_of(answer["model"]))
