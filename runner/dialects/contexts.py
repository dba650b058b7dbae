"""A question of Gemini's protocol in two: what is kept at the provider, and what names it. Pure.

What is named must not be said again: the system text, the tools and how they are called go with what is kept. The
turns of both follow one another; files that are kept stand in a turn of their own.
"""

from __future__ import annotations

import hashlib
from typing import Final

from runner.core.call import Call
from runner.core.canonical import Json, ordered
from runner.core.context import Divided
from runner.core.frozen import replace
from runner.core.long_text import chunks_of, spell
from runner.core.model import Provider, Route
from runner.core.request import Request
from runner.dialects.gemini import GeminiDialect, VertexDialect

_DIALECTS: Final = {one.name: one for one in (GeminiDialect(), VertexDialect())}
_FIELD: Final = "cachedContent"
_BEFORE: Final = ("systemInstruction",)
_BEHIND: Final = ("tools", "toolConfig")
IDENT_DIGITS: Final = 40


def keeps_contexts(provider: Provider) -> bool:
    """Whether a provider may keep parts of questions: it speaks Gemini's protocol, and is no gateway to others."""
    return provider.dialect in _DIALECTS and provider.settings.get("server") != "gateway"


def divide(call: Call, route: Route, request: Request) -> Divided:
    """The question in two. What is kept is named by all that it says and the model that reads it."""
    shared = call.shared
    assert shared is not None, "a question that shares nothing is asked as a whole"
    body = _DIALECTS[request.dialect].fields(call, route)
    contents = body["contents"]
    first, rest = contents[: shared.messages], contents[shared.messages :]
    if shared.files:
        turn = rest[0]
        first = [*first, {**turn, "parts": turn["parts"][: shared.files]}]
        rest = [{**turn, "parts": turn["parts"][shared.files :]}, *rest[1:]]
    before = {name: body[name] for name in _BEFORE if name in body}
    behind = {name: body[name] for name in _BEHIND if name in body}
    turns: dict[str, Json] = {"contents": first} if first else {}
    others = {name: value for name, value in body.items() if name not in (*_BEFORE, *_BEHIND)}
    kept = replace(request, body=spell({**before, **turns, **behind}))
    count = sum(len(message.files) for message in call.messages[: shared.messages]) + shared.files
    return Divided(
        ident=_ident(kept),
        kept=replace(kept, attachments=request.attachments[:count]),
        rest=replace(request, body=spell({**others, "contents": rest}), attachments=request.attachments[count:]),
        field=_FIELD,
    )


def _ident(kept: Request) -> str:
    sha = hashlib.sha256(ordered([kept.dialect, kept.provider, kept.endpoint]) + b"\n")
    for chunk in chunks_of(kept.body):
        sha.update(chunk)
    return sha.hexdigest()[:IDENT_DIGITS]
