"""OpenAI's Chat Completions, and every server that speaks them.

Own servers (llama.cpp, vLLM, Ollama, gateways) get the same strict schema with `strict: true`: those that do not
know the flag skip it, and a schema with every property required is the one that grammars keep best. They differ in
two words: `max_tokens` for the cap, and `system` for the role of the system text. Where a provider's `server` says
what runs there, thinking is switched its way; llama.cpp keeps to a schema without showing it to the model, so there
it also stands in the system text, in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from runner.core.call import Call
from runner.core.canonical import Json
from runner.core.long_text import spell
from runner.core.media import MediaRules
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import LoweredSchema
from runner.core.request import Request
from runner.core.response import Response
from runner.dialects.chat_shape import (
    CHAT_MEDIA,
    chat_failure,
    chat_messages,
    chat_part,
    chat_tools,
    clean_chat,
    decode_chat,
)
from runner.dialects.media import attachments
from runner.dialects.naming import identity_of, schema_name
from runner.dialects.openai_schema import lower_for_openai
from runner.dialects.options import place_options
from runner.dialects.payload import scrub_json
from runner.dialects.words import with_schema_in_words

# All go to the top of the body. The second half is for own servers.
_OPTIONS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    (
        "verbosity",
        "service_tier",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "store",
        "metadata",
        "prompt_cache_key",
        "safety_identifier",
        "max_completion_tokens",
        "reasoning_effort",
        "chat_template_kwargs",
        "enable_thinking",
        "top_k",
        "min_p",
        "repeat_penalty",
        "repetition_penalty",
        "cache_prompt",
    ),
    (),
)
# `max` is refused here by some models that take it elsewhere; `xhigh` is the highest that all of them take.
_EFFORTS = {"max": "xhigh"}
# Servers whose chat templates have a switch for thinking, and no degrees of it.
_SWITCHED = frozenset({"llama.cpp", "vllm"})
_OFF = frozenset({"none", "minimal"})


class OpenAIChatDialect:
    name: ClassVar[str] = "openai-chat"
    key_version: ClassVar[int] = 1
    options: ClassVar[frozenset[str]] = frozenset(_OPTIONS)
    lacks: ClassVar[frozenset[str]] = frozenset()
    media: ClassVar[MediaRules] = CHAT_MEDIA

    def encode(self, call: Call, route: Route) -> Request:
        server = route.provider.settings.get("server", "")
        is_openai = route.provider.is_builtin and not server
        system = with_schema_in_words(call) if server == "llama.cpp" else call.system
        # Behind a gateway, a model of OpenAI's still refuses the older name.
        cap = "max_completion_tokens" if is_openai or "max_tokens" in route.facts.refuses else "max_tokens"
        fields: dict[str, Json] = {
            "model": route.model,
            "messages": chat_messages(system, call.messages, system_role="developer" if is_openai else "system"),
            **_thinking(call.thinking, server),
            "temperature": call.temperature,
            "top_p": call.top_p,
            cap: call.max_output_tokens,
            "seed": call.seed,
            "stop": list(call.stop) or None,
            "response_format": self._format(call),
            **chat_tools(call),
        }
        body = {name: value for name, value in fields.items() if value is not None}
        place_options(body, call.options, _OPTIONS)
        sent = spell(body)
        return Request(
            dialect=self.name,
            key_version=self.key_version,
            provider=identity_of(route.provider),
            endpoint="/chat/completions",
            body=sent,
            sample=call.sample,
            salt=call.salt,
            attachments=attachments(call, chat_part, self.media, route.provider, sent),
        )

    def _format(self, call: Call) -> Json:
        if call.schema is None:
            return None
        schema = self.lower(call.schema).body
        return {
            "type": "json_schema",
            "json_schema": {"name": schema_name(call.schema_name), "strict": True, "schema": schema},
        }

    def decode(self, payload: bytes) -> Response:
        return decode_chat(payload)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return chat_failure(status, headers, body)

    def lower(self, schema: Json) -> LoweredSchema:
        return lower_for_openai(schema)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, clean_chat)


def _thinking(level: str | None, server: str) -> dict[str, Json]:
    if level is None:
        return {}
    if server in _SWITCHED:
        return {"chat_template_kwargs": {"enable_thinking": level not in _OFF}}
    return {"reasoning_effort": _EFFORTS.get(level, level)}
