"""A question of Gemini's protocol in two: what is kept at the provider, and what names it. Pure.

What is named must not be said again: the system text, the tools and how they are called go with what is kept. The
turns of both follow one another; files that are kept stand in a turn of their own.
"""

from __future__ import annotations

from typing import Final

import orjson

from runner.core.call import SharedPart
from runner.core.canonical import Json, digest, ordered
from runner.core.context import Divided
from runner.core.frozen import replace
from runner.core.media import Attachment
from runner.core.model import Provider
from runner.core.request import Request

DIALECTS_WITH_CONTEXTS: Final = frozenset({"gemini", "vertex"})
_FIELD: Final = "cachedContent"
_BEFORE: Final = ("systemInstruction",)
_BEHIND: Final = ("tools", "toolConfig")
IDENT_DIGITS: Final = 40


def keeps_contexts(provider: Provider) -> bool:
    """Whether a provider may keep parts of questions: it speaks Gemini's protocol, and is no gateway to others."""
    return provider.dialect in DIALECTS_WITH_CONTEXTS and provider.settings.get("server") != "gateway"


def divide(request: Request, shared: SharedPart) -> Divided:
    """The question in two. What is kept is named by all that it says and the model that reads it."""
    body: dict[str, Json] = orjson.loads(bytes(request.body))
    contents = body["contents"]
    first, rest = contents[: shared.messages], contents[shared.messages :]
    if shared.files:
        turn = rest[0]
        first = [*first, {**turn, "parts": turn["parts"][: shared.files]}]
        rest = [{**turn, "parts": turn["parts"][shared.files :]}, *rest[1:]]
    before = {name: body[name] for name in _BEFORE if name in body}
    behind = {name: body[name] for name in _BEHIND if name in body}
    turns = {"contents": first} if first else {}
    kept = ordered({**before, **turns, **behind})
    others = {name: value for name, value in body.items() if name not in (*_BEFORE, *_BEHIND)}
    left = ordered({**others, "contents": rest})
    count = _marks_in(kept, request.attachments)
    return Divided(
        ident=digest(ordered([request.dialect, request.provider, request.endpoint]) + b"\n" + kept)[:IDENT_DIGITS],
        kept=replace(request, body=kept, attachments=request.attachments[:count]),
        rest=replace(request, body=left, attachments=request.attachments[count:]),
        field=_FIELD,
    )


def _marks_in(body: bytes, attachments: tuple[Attachment, ...]) -> int:
    """How many files of a question, from the first on, stand in a part of it."""
    at = count = 0
    for one in attachments:
        at = body.find(one.mark, at)
        if at < 0:
            break
        at += len(one.mark)
        count += 1
    return count
