"""A strict local server that speaks two wire protocols and counts what it is asked.

It answers like the real services do to a wrong request: an unknown field is 400, a wrong path 404, no key 401.
What it answers to a right one is the test's to say: `respond(dialect, body, n)` for the n-th request (from 1).
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Any


@dataclass(frozen=True)
class Answer:
    """What one request gets.

    `finish` is stop, length or refused. With `raw` the body is these bytes, with `wire` everything that is written
    is, and the connection is closed. Other than 200, `text` is the error's message and `code` its code.
    """

    text: str = "ok"
    finish: str = "stop"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    raw: bytes | None = None
    wire: bytes | None = None
    code: str = ""
    model: str = ""
    input_tokens: int = 10
    output_tokens: int = 5


@dataclass(frozen=True)
class Received:
    """One request that was understood."""

    dialect: str
    path: str
    prompt: str
    body: Json
    headers: Mapping[str, str]


Respond: TypeAlias = Callable[[str, Json, int], Answer]

CHAT_PATHS = ("/chat/completions", "/v1/chat/completions")
GEMINI_PATH = re.compile(r"/(v1|v1beta)/models/([^/:?]+):generateContent")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CHAT_FIELDS = _words(
    "model messages max_completion_tokens max_tokens reasoning_effort verbosity temperature top_p n stop seed logprobs "
    "top_logprobs presence_penalty frequency_penalty logit_bias response_format tools tool_choice parallel_tool_calls "
    "stream stream_options service_tier store metadata prompt_cache_key safety_identifier user modalities"
)
GEMINI_FIELDS = _words(
    "contents systemInstruction generationConfig safetySettings tools toolConfig cachedContent serviceTier store model"
)
GEMINI_CONFIG_FIELDS = _words(
    "temperature topP topK candidateCount maxOutputTokens stopSequences seed presencePenalty frequencyPenalty "
    "responseLogprobs logprobs responseMimeType responseSchema responseJsonSchema responseModalities thinkingConfig "
    "mediaResolution speechConfig imageConfig"
)
THINKING_FIELDS = frozenset({"thinkingLevel", "thinkingBudget", "includeThoughts"})
PART_FIELDS = frozenset({"text", "inlineData", "fileData"})


class Refused(Exception):
    """A request that the real service would not take."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


class CountingServer:
    """Runs in its own thread between `start` and `stop`; speaks HTTP/1.1 with connections kept open.

    `key` is the one that is accepted; None accepts any, "" asks for none.
    """

    def __init__(self, respond: Respond | None = None, *, key: str | None = None) -> None:
        self.respond: Respond = respond or (lambda _dialect, _body, _n: Answer())
        self.requests: list[Received] = []
        self.refused: list[tuple[int, str]] = []
        self.errors: list[Exception] = []
        self.highest_in_flight = 0
        self.connections = 0
        self._in_flight = 0
        self._key = key
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counting-server", daemon=True)
        self._open: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """For a `gemini` provider; a chat provider may use it too, or `chat_url`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def chat_url(self) -> str:
        return f"{self.base_url}/v1"

    @property
    def count(self) -> int:
        """Requests that were understood; those that were not are in `refused`."""
        return len(self.requests)

    @property
    def by_prompt(self) -> Counter[str]:
        """How often each last user message was asked."""
        return Counter(request.prompt for request in self.requests)

    @property
    def bodies(self) -> list[Json]:
        return [request.body for request in self.requests]

    def forget(self) -> None:
        """Start counting anew."""
        self.requests.clear()
        self.refused.clear()
        self.highest_in_flight = 0

    def settle(self) -> None:
        """Wait until every connection has ended: a caller that was killed may leave a request that is still unread."""
        # Connections are accepted in their order: once this one is answered, none of the caller's is still waiting.
        with socket.create_connection(("127.0.0.1", self._port)) as last:
            last.sendall(b"GET /settled HTTP/1.1\r\nconnection: close\r\n\r\n")
            while last.recv(4096):
                pass
        self.refused.remove((404, "no such path: /settled"))
        until = time.monotonic() + 30
        while self._open and time.monotonic() < until:
            time.sleep(0.001)
        assert not self._open, "a connection is still open"

    def start(self) -> CountingServer:
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256))
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for connection in self._open:
            connection.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._open, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side went away, or the test is over
        finally:
            writer.close()
            self._open.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _version = head[0].split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        data = await reader.readexactly(int(headers.get("content-length", "0")))
        self._in_flight += 1
        self.highest_in_flight = max(self.highest_in_flight, self._in_flight)
        try:
            answer, body = await self._answer(method, path, headers, data)
        finally:
            self._in_flight -= 1
        if answer.wire is not None:
            writer.write(answer.wire)
            await writer.drain()
            return False
        lines = {"content-type": "application/json", "content-length": str(len(body)), **dict(answer.headers)}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {answer.status} Said\r\n{text}\r\n".encode("latin-1") + body)
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    async def _answer(self, method: str, path: str, headers: dict[str, str], data: bytes) -> tuple[Answer, bytes]:
        dialect = "gemini" if ":generateContent" in path else "openai-chat"
        try:
            received = self._understand(method, path, headers, data)
            self.requests.append(received)
            answer = self.respond(received.dialect, received.body, len(self.requests))
        except Refused as refused:
            self.refused.append((refused.status, refused.message))
            answer = Answer(text=refused.message, status=refused.status, code=refused.code)
            return answer, _error(dialect, answer)
        except Exception as error:
            self.errors.append(error)
            answer = Answer(text=f"the test's own respond failed: {error!r}", status=400)
            return answer, _error(dialect, answer)
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.raw is not None:
            return answer, answer.raw
        if answer.status != 200:
            return answer, _error(received.dialect, answer)
        return answer, (_gemini if received.dialect == "gemini" else _chat)(answer, received)

    def _understand(self, method: str, path: str, headers: dict[str, str], data: bytes) -> Received:
        is_gemini = GEMINI_PATH.fullmatch(path) is not None
        if not is_gemini and path not in CHAT_PATHS:
            raise Refused(404, f"no such path: {path}", "not_found")
        if method != "POST":
            raise Refused(405, "POST only")
        self._check_key(headers, is_gemini)
        if headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refused(400, "content-type must be application/json")
        try:
            body = json.loads(data)
        except ValueError:
            raise Refused(400, "the body is not JSON") from None
        (_check_gemini if is_gemini else _check_chat)(body)
        dialect = "gemini" if is_gemini else "openai-chat"
        return Received(dialect, path, prompt_of(dialect, body), body, headers)

    def _check_key(self, headers: dict[str, str], is_gemini: bool) -> None:
        if self._key == "":
            return
        if is_gemini:
            given = headers.get("x-goog-api-key", "")
        else:
            given = headers.get("authorization", "").removeprefix("Bearer ")
        if not given or (self._key is not None and given != self._key):
            raise Refused(401, "no valid API key", "invalid_api_key")


def prompt_of(dialect: str, body: Json) -> str:
    """The text of the last user message."""
    if dialect == "gemini":
        turns = [turn for turn in body["contents"] if turn.get("role", "user") == "user"]
        return "".join(part.get("text", "") for part in turns[-1]["parts"]) if turns else ""
    turns = [turn for turn in body["messages"] if turn["role"] == "user"]
    return _content_text(turns[-1]["content"]) if turns else ""


def _content_text(content: Json) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _check_chat(body: Json) -> None:
    _only(body, CHAT_FIELDS, "")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused(400, "you must provide a model parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "'messages' must be a list that is not empty")
    for message in messages:
        _only(message, frozenset({"role", "content", "name"}), "messages.")
        if message.get("role") not in {"system", "developer", "user", "assistant"} or "content" not in message:
            raise Refused(400, "a message needs a role and a content")
    wanted = body.get("response_format", {"type": "text"})
    if wanted["type"] not in {"text", "json_object", "json_schema"}:
        raise Refused(400, "unknown response_format")
    if wanted["type"] == "json_schema":
        _only(wanted, frozenset({"type", "json_schema"}), "response_format.")
        inner = wanted["json_schema"]
        _only(inner, frozenset({"name", "description", "schema", "strict"}), "response_format.json_schema.")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", inner.get("name", "")):
            raise Refused(400, "invalid 'response_format.json_schema.name'")
        if inner.get("strict"):
            _check_strict(inner.get("schema"), "root")


def _check_strict(schema: Json, place: str) -> None:
    """The rule that people trip over: every object closed, every property required."""
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        names = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != names:
            raise Refused(400, f"invalid schema for response_format at {place}", "invalid_json_schema")
    for name, inner in {**schema.get("properties", {}), **schema.get("$defs", {})}.items():
        _check_strict(inner, name)
    _check_strict(schema.get("items"), f"{place} items")
    for inner in schema.get("anyOf", ()):
        _check_strict(inner, f"{place} anyOf")


def _check_gemini(body: Json) -> None:
    _only(body, GEMINI_FIELDS, "")
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise Refused(400, "contents is not specified", "INVALID_ARGUMENT")
    turns = [*contents, *([body["systemInstruction"]] if "systemInstruction" in body else [])]
    for turn in turns:
        _only(turn, frozenset({"role", "parts"}), "contents.")
        if turn.get("role", "user") not in {"user", "model"}:
            raise Refused(400, "please use a valid role: user, model", "INVALID_ARGUMENT")
        for part in turn.get("parts", ()):
            _only(part, PART_FIELDS, "contents.parts.")
            if len(part) != 1:
                raise Refused(400, "required oneof field 'data' must have one initialized field", "INVALID_ARGUMENT")
    config = body.get("generationConfig", {})
    _only(config, GEMINI_CONFIG_FIELDS, "generation_config.")
    _only(config.get("thinkingConfig", {}), THINKING_FIELDS, "generation_config.thinking_config.")
    if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
        raise Refused(400, "responseJsonSchema needs responseMimeType application/json", "INVALID_ARGUMENT")


def _only(value: Json, fields: frozenset[str], where: str) -> None:
    if not isinstance(value, dict):
        raise Refused(400, f"'{where}' must be an object")
    for name in value:
        if name not in fields:
            raise Refused(400, f"Unrecognized request argument supplied: {where}{name}", "unknown_parameter")


def _chat(answer: Answer, received: Received) -> bytes:
    is_refused = answer.finish == "refused"
    message = {
        "role": "assistant",
        "content": None if is_refused else answer.text,
        "refusal": answer.text if is_refused else None,
    }
    reason = "stop" if is_refused else answer.finish
    usage = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    return _dump(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": answer.model or received.body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": usage,
        }
    )


def _gemini(answer: Answer, received: Received) -> bytes:
    reason = {"stop": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}.get(answer.finish, answer.finish)
    content = {} if answer.finish == "refused" else {"content": {"role": "model", "parts": [{"text": answer.text}]}}
    match = GEMINI_PATH.fullmatch(received.path)
    assert match is not None
    usage = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": answer.output_tokens,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
    }
    return _dump(
        {
            "candidates": [{**content, "finishReason": reason, "index": 0}],
            "usageMetadata": usage,
            "modelVersion": answer.model or match[2],
            "responseId": "response-1",
        }
    )


def _error(dialect: str, answer: Answer) -> bytes:
    if dialect == "gemini":
        status = answer.code or {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND"}.get(
            answer.status, "RESOURCE_EXHAUSTED" if answer.status == 429 else "UNAVAILABLE"
        )
        return _dump({"error": {"code": answer.status, "message": answer.text, "status": status}})
    kind = "invalid_request_error" if answer.status < 429 else "server_error"
    return _dump({"error": {"message": answer.text, "type": kind, "param": None, "code": answer.code or None}})


def _dump(value: Json) -> bytes:
    return json.dumps(value).encode()
