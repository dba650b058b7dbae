"""OpenAI's Chat Completions, and every server that speaks them.

Own servers (llama.cpp, vLLM, Ollama, gateways) get the same strict schema with `strict: true`: those that do not
know the flag skip it, and a schema with every property required is the one that grammars keep best. They differ in
two words only: `max_tokens` for the cap, and `system` for the role of the system text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from runner.core.call import Call
from runner.core.canonical import Json, ordered
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import LoweredSchema
from runner.core.request import Request
from runner.core.response import Response
from runner.dialects.chat_shape import chat_failure, chat_messages, clean_chat, decode_chat
from runner.dialects.naming import identity_of, schema_name
from runner.dialects.openai_schema import lower_for_openai
from runner.dialects.options import place_options
from runner.dialects.payload import scrub_json

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


class OpenAIChatDialect:
    name: ClassVar[str] = "openai-chat"
    key_version: ClassVar[int] = 1
    options: ClassVar[frozenset[str]] = frozenset(_OPTIONS)

    def encode(self, call: Call, route: Route) -> Request:
        is_openai = route.provider.is_builtin
        # Behind a gateway, a model of OpenAI's still refuses the older name.
        cap = "max_completion_tokens" if is_openai or "max_tokens" in route.facts.refuses else "max_tokens"
        fields: dict[str, Json] = {
            "model": route.model,
            "messages": chat_messages(call.system, call.messages, system_role="developer" if is_openai else "system"),
            "reasoning_effort": _EFFORTS.get(call.thinking or "", call.thinking),
            "temperature": call.temperature,
            "top_p": call.top_p,
            cap: call.max_output_tokens,
            "seed": call.seed,
            "stop": list(call.stop) or None,
            "response_format": self._format(call),
        }
        body = {name: value for name, value in fields.items() if value is not None}
        place_options(body, call.options, _OPTIONS)
        return Request(
            dialect=self.name,
            key_version=self.key_version,
            provider=identity_of(route.provider),
            endpoint="/chat/completions",
            body=ordered(body),
            sample=call.sample,
            salt=call.salt,
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
