"""What Gemini and Vertex AI keep of questions (`cachedContents`), as strict as the real services."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from wire import Json, Received, Refused, only, words
from wire_gemini import check_turns, read
from wire_tools import check_gemini_tools

FIELDS = words("model displayName contents systemInstruction tools toolConfig ttl expireTime")
_COLLECTION = re.compile(r"/(?:v1beta|v1beta1|v1)/(projects/[^/]+/locations/[^/]+/)?cachedContents")
_ONE = re.compile(r"/(?:v1beta|v1beta1|v1)/((?:projects/[^/]+/locations/[^/]+/)?cachedContents/[^/?]+)")
_TTL = re.compile(r"[0-9]+(\.[0-9]{1,9})?s")
Reply = tuple[int, dict[str, str], Json]


@dataclass
class ContextService:
    """What is kept. Less than `least` tokens is not; `page` is how many a list gives at once, `refuse` may say no."""

    least: int = 1024
    page: int = 1000
    kept: dict[str, Json] = field(default_factory=dict)
    made: list[Json] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    now: Callable[[], float] = time.time
    refuse: Callable[[str, str], Reply | None] = lambda _method, _path: None
    problems_of: Callable[..., list[str]] | None = None

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], data: bytes, key: str | None
    ) -> Reply | None:
        """What such a path says, None for any other path."""
        path = urlsplit(target).path
        collection, one = _COLLECTION.fullmatch(path), _ONE.fullmatch(path)
        if collection is None and one is None:
            return None
        self.asked.append(f"{method} {path}")
        given = headers.get("x-goog-api-key", "") or headers.get("authorization", "").removeprefix("Bearer ")
        if key != "" and (not given or (key is not None and given != key)):
            return _error(401, "no valid API key", "UNAUTHENTICATED")
        refused = self.refuse(method, path)
        if refused is not None:
            return refused
        if collection is not None:
            parent = collection[1] or ""
            try:
                return self._make(parent, data) if method == "POST" else self._list(method, parent, target)
            except Refused as error:
                return _error(error.status, error.message, "INVALID_ARGUMENT")
        assert one is not None
        return self._one(method, one[1])

    def expire(self, *, is_gone: bool = True) -> None:
        """All that is kept is over. For a while a service may still show what it no longer uses."""
        for entry in self.kept.values():
            entry["until"] = self.now() - 1
        if is_gone:
            self.kept.clear()

    def check_question(self, received: Received) -> int:
        """A question that names what is kept must not say it again; how many tokens it names."""
        body = received.body
        name = body.get("cachedContent")
        if name is None:
            return 0
        if name not in self.kept:
            raise Refused(403, "CachedContent not found (or permission denied)", "PERMISSION_DENIED")
        entry = self.kept[name]
        if entry["until"] < self.now():
            raise Refused(400, f"Cache content {name.rpartition('/')[2]} is expired.", "INVALID_ARGUMENT")
        if {"systemInstruction", "tools", "toolConfig"} & set(body):
            text = "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config."
            raise Refused(400, text, "INVALID_ARGUMENT")
        model = entry["model"].rpartition("models/")[2]
        if f"/models/{model}:" not in received.path:
            raise Refused(
                400, f"Model used by GenerateContent request and CachedContent ({model}) have to be the same."
            )
        tokens: int = entry["tokens"]
        return tokens

    def _make(self, parent: str, data: bytes) -> Reply:
        try:
            body = read(json.loads(data))
        except ValueError:
            raise Refused(400, "the body is not JSON") from None
        only(body, FIELDS, "")
        model = body.get("model", "")
        wanted = rf"{parent}publishers/google/models/[^/]+" if parent else r"models/[^/]+"
        if not re.fullmatch(wanted, model):
            raise Refused(400, f"invalid model name: {model}")
        if ("ttl" in body) is ("expireTime" in body) and "ttl" in body:
            raise Refused(400, "ttl and expire_time exclude each other")
        if not _TTL.fullmatch(body.get("ttl", "3600s")):
            raise Refused(400, "invalid value at 'cached_content.ttl'")
        if len(body.get("displayName", "")) > 128:
            raise Refused(400, "display_name is too long")
        if not {"contents", "systemInstruction", "tools"} & set(body):
            raise Refused(400, "nothing to keep")
        check_turns([*body.get("contents", ()), *([body["systemInstruction"]] if "systemInstruction" in body else [])])
        check_gemini_tools({"contents": [], **body})
        if self.problems_of is not None:
            found = self.problems_of("vertex-context" if parent else "gemini-context", body)
            if found:
                raise Refused(400, f"the description does not allow {found}")
        tokens = len(json.dumps(body)) // 4
        if tokens < self.least:
            raise Refused(400, _too_small(tokens, self.least, is_vertex=bool(parent)))
        name = f"{parent}cachedContents/c{len(self.made) + 1}"
        until = self.now() + float(body.get("ttl", "3600s")[:-1])
        self.made.append(body)
        self.kept[name] = {"model": model, "tokens": tokens, "displayName": body.get("displayName", ""), "until": until}
        return 200, {}, self._shown(name)

    def _list(self, method: str, parent: str, target: str) -> Reply:
        if method != "GET":
            raise Refused(405, "POST or GET")
        query = parse_qs(urlsplit(target).query)
        if set(query) - {"pageSize", "pageToken"}:
            raise Refused(400, f"unknown name: {sorted(query)}")
        start = int(query.get("pageToken", ["0"])[0])
        names = [name for name in self.kept if name.startswith(f"{parent}cachedContents/")]
        page = names[start : start + self.page]
        more = {"nextPageToken": str(start + self.page)} if len(names) > start + self.page else {}
        return 200, {}, {"cachedContents": [self._shown(name) for name in page], **more} if page else {}

    def _one(self, method: str, name: str) -> Reply:
        if name not in self.kept:
            return _error(403, "CachedContent not found (or permission denied)", "PERMISSION_DENIED")
        if method == "DELETE":
            del self.kept[name]
            return 200, {}, {}
        return 200, {}, self._shown(name)

    def _shown(self, name: str) -> Json:
        entry = self.kept[name]
        stamp = datetime.fromtimestamp(entry["until"], UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "name": name,
            "model": entry["model"],
            "displayName": entry["displayName"],
            "expireTime": stamp,
            "usageMetadata": {"totalTokenCount": entry["tokens"]},
        }


def _too_small(tokens: int, least: int, *, is_vertex: bool) -> str:
    """Each of the two services in its own words."""
    if is_vertex:
        return f"The cached content is of {tokens} tokens. The minimum token count to start caching is {least}."
    return f"Cached content is too small. total_token_count={tokens}, min_total_token_count={least}"


def _error(status: int, message: str, word: str) -> Reply:
    return status, {}, {"error": {"code": status, "message": message, "status": word}}
