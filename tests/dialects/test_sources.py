"""What an answer rests on, and what the model thought, wherever a protocol tells it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.core.response import Citation
from runner.dialects import DIALECTS

SEA, LAKE = {"url": "https://a.example/sea", "title": "Sea"}, {"url": "https://a.example/lake"}


def gemini(*chunks: Any) -> Any:
    candidate = {"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}
    return {"candidates": [{**candidate, "groundingMetadata": {"groundingChunks": list(chunks)}}]}


def message(**more: Any) -> Any:
    return {"choices": [{"message": {"content": "x", **more}, "finish_reason": "stop"}]}


def page(found: Any) -> Any:
    return {"uri": found["url"], **({"title": found["title"]} if "title" in found else {})}


PAYLOADS = {
    "gemini": gemini({"web": page(LAKE)}, {"web": page(SEA)}, {"retrievedContext": page(LAKE)}, {"web": {}}, {}),
    "openai-chat": message(annotations=[{"type": "url_citation", "url_citation": each} for each in (LAKE, SEA, LAKE)]),
    "openai-responses": {
        "status": "completed",
        "output": [
            {
                "type": "message",
                "content": [
                    {
                        "type": "output_text",
                        "text": "x",
                        "annotations": [
                            *({"type": "url_citation", **each} for each in (LAKE, SEA)),
                            {"type": "file_citation", "url": "no"},
                        ],
                    }
                ],
            }
        ],
    },
    "anthropic": {
        "content": [{"type": "text", "text": "x", "citations": [LAKE, SEA, {"cited_text": "of a document"}]}],
        "stop_reason": "end_turn",
    },
}
PAYLOADS["vertex"] = PAYLOADS["gemini"]


@pytest.mark.parametrize("dialect", sorted(PAYLOADS))
def test_each_page_is_a_source_once(dialect: str) -> None:
    answer = DIALECTS[dialect].decode(json.dumps(PAYLOADS[dialect]).encode())
    assert answer.sources == (Citation("https://a.example/lake"), Citation("https://a.example/sea", "Sea"))


def test_a_title_that_comes_later_is_taken() -> None:
    payload = gemini(
        {"web": page(LAKE)}, {"web": {**page(LAKE), "title": "Lake"}}, {"web": {**page(LAKE), "title": "L"}}
    )
    assert DIALECTS["gemini"].decode(json.dumps(payload).encode()).sources == (Citation(LAKE["url"], "Lake"),)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("dialect", ["openai-chat", "llama"])
def test_an_own_server_that_thinks_aloud_is_heard(dialect: str, name: str) -> None:
    answer = DIALECTS[dialect].decode(json.dumps(message(**{name: "Hm."})).encode())
    assert (answer.text, answer.thoughts, answer.sources) == ("x", "Hm.", ())
