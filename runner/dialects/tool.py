"""Tools that are run here, spoken to as models are: so that their results are keyed, stored and replayed alike.

The payload is `{"text", "is_error"}`: the result as a JSON text, or what went wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from runner.core.call import Call
from runner.core.canonical import Json, ordered
from runner.core.media import MediaRules
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import LoweredSchema
from runner.core.request import Request
from runner.core.response import Finish, Response, Usage
from runner.core.tool import TOOL_DIALECT
from runner.dialects.payload import bad_answer, read_answer, scrub_json


class ToolDialect:
    """What is sent is the function, its version and its arguments; in a conversation also the turn that asks for it."""

    name: ClassVar[str] = TOOL_DIALECT
    key_version: ClassVar[int] = 1
    options: ClassVar[frozenset[str]] = frozenset()
    lacks: ClassVar[frozenset[str]] = frozenset()
    media: ClassVar[MediaRules] = MediaRules()

    def encode(self, call: Call, route: Route) -> Request:
        settings = route.provider.settings
        body: dict[str, Json] = {"arguments": call.arguments}
        if call.asked_in:
            body["asked_in"] = call.asked_in
        if settings["version"]:
            body["version"] = settings["version"]
        return Request(
            dialect=self.name,
            key_version=self.key_version,
            provider=TOOL_DIALECT,
            endpoint=settings["python"],
            body=ordered(body),
            sample=call.sample,
            salt=call.salt,
        )

    def decode(self, payload: bytes) -> Response:
        answer = read_answer(payload)
        if not isinstance(answer.get("text"), str):
            raise bad_answer("the result of the tool is not stored as text")
        return Response(answer["text"], Finish.COMPLETE, Usage(0, 0), detail="error" if answer.get("is_error") else "")

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:  # noqa: ARG002
        """Nothing is asked over a wire."""
        return Failure(FailureKind.TOOL, f"the tool failed ({status})")

    def lower(self, schema: Json) -> LoweredSchema:
        return LoweredSchema(body=schema)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, lambda _: None)
