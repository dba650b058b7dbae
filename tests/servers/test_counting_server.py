"""The test server itself: strict where the real services are."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
RESPONSES = {"model": "m", "input": "hello"}
MESSAGES: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
OPEN = {"type": "object", "properties": {"a": {"type": "object"}}, "additionalProperties": False}
BOTH = {"thinkingLevel": "LOW", "thinkingBudget": 1}
VERTEX_PATH = "/v1/projects/p/locations/us/publishers/google/models/g-1:generateContent"
KEYS = {"authorization": "Bearer k", "x_goog_api_key": "k", "x_api_key": "k", "anthropic_version": "2026-10-21"}
GEMINI_PATH = "/v1beta/models/g-1:generateContent"


def post(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json", **names})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_it_speaks_both_protocols_and_counts_by_prompt(counting_server: Any) -> None:
    server = counting_server(lambda dialect, _body, n: counting_server.Answer(text=f"{dialect} {n}"))
    status, chat = post(f"{server.chat_url}/chat/completions", CHAT, authorization="Bearer k")
    assert (status, chat["choices"][0]["message"]["content"]) == (200, "openai-chat 1")
    status, gemini = post(server.base_url + GEMINI_PATH, GEMINI, x_goog_api_key="k")
    assert (status, gemini["candidates"][0]["content"]["parts"]) == (200, [{"text": "gemini 2"}])
    assert (server.count, dict(server.by_prompt), server.refused) == (2, {"hello": 2}, [])


def test_a_refused_and_a_cut_answer_look_like_the_real_ones(counting_server: Any) -> None:
    server = counting_server(lambda _d, _b, n: counting_server.Answer("no", "refused" if n % 2 else "length"))
    key = {"authorization": "Bearer k", "x_goog_api_key": "k"}
    shown = [post(f"{server.chat_url}/chat/completions", CHAT, **key)[1]["choices"][0] for _ in range(2)]
    assert [(c["finish_reason"], c["message"]["refusal"]) for c in shown] == [("stop", "no"), ("length", None)]
    shown = [post(server.base_url + GEMINI_PATH, GEMINI, **key)[1]["candidates"][0] for _ in range(2)]
    assert [(c["finishReason"], "content" in c) for c in shown] == [("SAFETY", False), ("MAX_TOKENS", True)]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", {**CHAT, "thinking": 1}, 400),
        ("/v1/chat/completions", {"model": "m"}, 400),
        ("/v1/chat/completions", {**CHAT, "messages": [{"role": "robot", "content": ""}]}, 400),
        ("/v1/nowhere", CHAT, 404),
        ("/v1/responses", CHAT, 400),
        ("/v1/responses", {**RESPONSES, "stop": ["x"]}, 400),
        ("/v1/responses", {**RESPONSES, "seed": 1}, 400),
        ("/v1/responses", {**RESPONSES, "max_output_tokens": 15}, 400),
        ("/v1/responses", {**RESPONSES, "reasoning": {"effort": "huge"}}, 400),
        ("/v1/responses", {**RESPONSES, "text": {"format": {"type": "json_schema", "name": "a b"}}}, 400),
        ("/v1/messages", {**MESSAGES, "seed": 1}, 400),
        ("/v1/messages", {"model": "m", "messages": MESSAGES["messages"]}, 400),
        ("/v1/messages", {**MESSAGES, "thinking": {"type": "enabled", "budget_tokens": 9}}, 400),
        ("/v1/messages", {**MESSAGES, "output_config": {"effort": "none"}}, 400),
        ("/v1/messages", {**MESSAGES, "output_config": {"format": {"type": "json_schema", "schema": OPEN}}}, 400),
        (VERTEX_PATH, {**GEMINI, "store": True}, 400),
        (VERTEX_PATH, {"contents": [{"parts": [{"text": "x"}]}]}, 400),
        (GEMINI_PATH, {**GEMINI, "labels": {"a": "b"}}, 400),
        (GEMINI_PATH, {**GEMINI, "generationConfig": {"thinkingConfig": BOTH}}, 400),
        (GEMINI_PATH, {**GEMINI, "generationConfig": {"max_tokens": 1}}, 400),
        (GEMINI_PATH, {**GEMINI, "generationConfig": {"responseJsonSchema": {}}}, 400),
        (GEMINI_PATH, {"contents": [{"role": "assistant", "parts": []}]}, 400),
        (GEMINI_PATH, {"contents": [{"role": "user", "parts": [{}]}]}, 400),
        ("/v1beta/models/g-1:streamGenerateContent", GEMINI, 404),
    ],
)
def test_a_wrong_request_is_refused(counting_server: Any, path: str, body: Any, status: int) -> None:
    server = counting_server()
    given, error = post(server.base_url + path, body, **KEYS)
    assert (given, server.count, len(server.refused)) == (status, 0, 1)
    assert error["error"]["message"]


def test_it_speaks_the_other_protocols_too(counting_server: Any) -> None:
    server = counting_server(lambda dialect, _body, n: counting_server.Answer(text=f"{dialect} {n}"))
    _, responses = post(server.base_url + "/v1/responses", RESPONSES, **KEYS)
    _, messages = post(server.base_url + "/v1/messages", MESSAGES, **KEYS)
    _, vertex = post(server.base_url + VERTEX_PATH, GEMINI, authorization="Bearer k")
    assert responses["output"][0]["content"][0]["text"] == "openai-responses 1"
    assert messages["content"][0]["text"] == "anthropic 2"
    assert vertex["candidates"][0]["content"]["parts"] == [{"text": "vertex 3"}]
    assert dict(server.by_prompt) == {"hello": 3}
    assert post(server.base_url + "/v1/messages", MESSAGES, x_api_key="k")[0] == 400


def test_a_strict_schema_must_be_closed_and_require_everything(counting_server: Any) -> None:
    server = counting_server(key="")
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "strict": True, "schema": schema}}
    assert post(f"{server.chat_url}/chat/completions", {**CHAT, "response_format": wanted})[0] == 400
    schema["required"] = ["a"]
    assert post(f"{server.chat_url}/chat/completions", {**CHAT, "response_format": wanted})[0] == 200


def test_a_missing_or_wrong_key_is_refused(counting_server: Any) -> None:
    server = counting_server(key="right")
    assert post(f"{server.chat_url}/chat/completions", CHAT)[0] == 401
    assert post(server.base_url + GEMINI_PATH, GEMINI, x_goog_api_key="wrong")[0] == 401
    assert post(server.base_url + GEMINI_PATH, GEMINI, x_goog_api_key="right")[0] == 200


def test_it_serves_64_connections_at_once(counting_server: Any) -> None:
    server = counting_server(lambda _d, _b, _n: counting_server.Answer(delay_s=0.2), key="")
    with ThreadPoolExecutor(64) as pool:
        statuses = list(pool.map(lambda _: post(f"{server.chat_url}/chat/completions", CHAT)[0], range(64)))
    assert statuses == [200] * 64
    assert server.highest_in_flight > 1


def test_the_network_is_out_of_reach() -> None:
    with pytest.raises(AssertionError, match=r"look up 'example\.org'"):
        socket.create_connection(("example.org", 80))
    with socket.socket() as sock, pytest.raises(AssertionError, match=r"reach 192\.0\.2\.1"):
        sock.connect(("192.0.2.1", 80))
    with socket.socket() as sock, pytest.raises(AssertionError, match=r"reach 192\.0\.2\.1"):
        sock.connect_ex(("192.0.2.1", 80))
