"""Every word that the vendors' own descriptions have for the end of an answer: decided on, and success only where it is."""

from __future__ import annotations

import importlib
import json
from typing import Any, get_args

import pytest
from google.genai import types
from openai.types.chat.chat_completion import Choice
from openai.types.responses import ResponseStatus
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_error import ResponseError

from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed
from runner.core.response import Finish
from runner.dialects import DIALECTS

descriptions: Any = importlib.import_module("descriptions")


def words_in(hint: Any) -> set[str]:
    """The words of a Literal, optional or not."""
    return {one for each in get_args(hint) for one in (words_in(each) if get_args(each) else {each})} & _texts(hint)


def _texts(hint: Any) -> set[str]:
    found = [each for part in get_args(hint) for each in (get_args(part) or (part,))]
    return {each for each in found if isinstance(each, str)}


def of_vertex(schema: str, field: str) -> set[str]:
    schemas = descriptions._vertex_schemas()
    words: list[str] = schemas[f"GoogleCloudAiplatformV1beta1{schema}"]["properties"][field]["enum"]
    return set(words)


GEMINI = {one.value for one in types.FinishReason} | of_vertex("Candidate", "finishReason")
BLOCKS = {one.value for one in types.BlockedReason} | of_vertex("GenerateContentResponsePromptFeedback", "blockReason")
CHAT = _texts(Choice.model_fields["finish_reason"].annotation)
STATUSES = _texts(ResponseStatus) or set(get_args(ResponseStatus))
REASONS = _texts(IncompleteDetails.model_fields["reason"].annotation)
CODES = _texts(ResponseError.model_fields["code"].annotation) or set(
    get_args(ResponseError.model_fields["code"].annotation)
)

# What each word of an end is taken for; what is not named here is no success and nothing that can be acted on.
CUT = {"MAX_TOKENS"}
REFUSED = {
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER",
}  # fmt: skip


def test_the_descriptions_have_the_words() -> None:
    assert len(GEMINI) >= 18
    assert len(BLOCKS) >= 5
    assert {"stop", "length", "content_filter", "tool_calls"} <= CHAT
    assert {"completed", "failed", "incomplete"} <= STATUSES
    assert {"max_output_tokens", "content_filter"} <= REASONS
    assert "server_error" in CODES


@pytest.mark.parametrize("name", ["gemini", "vertex"])
@pytest.mark.parametrize("word", sorted(GEMINI))
def test_every_end_of_googles(name: str, word: str) -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": word}]}
    found = DIALECTS[name].decode(json.dumps(answer).encode()).finish
    wanted = Finish.COMPLETE if word == "STOP" else Finish.CUT if word in CUT else Finish.REFUSED
    assert found is (wanted if word == "STOP" or word in CUT | REFUSED else Finish.UNKNOWN)


@pytest.mark.parametrize("name", ["gemini", "vertex"])
@pytest.mark.parametrize("word", sorted(BLOCKS))
def test_every_block_of_googles_is_a_refusal(name: str, word: str) -> None:
    response = DIALECTS[name].decode(json.dumps({"promptFeedback": {"blockReason": word}}).encode())
    assert (response.finish, response.detail) == (Finish.REFUSED, f"the prompt was blocked: {word}")


@pytest.mark.parametrize("name", ["openai-chat", "llama"])
@pytest.mark.parametrize("word", sorted(CHAT))
def test_every_end_of_a_chat(name: str, word: str) -> None:
    message = {"role": "assistant", "content": "x"}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": word}]}
    found = DIALECTS[name].decode(json.dumps(answer).encode()).finish
    known = {"stop": Finish.COMPLETE, "length": Finish.CUT, "content_filter": Finish.REFUSED}
    # A call of a tool is none of these, and no finished answer.
    assert found is known.get(word, found)
    assert (found is Finish.COMPLETE) is (word == "stop")


@pytest.mark.parametrize("status", sorted(STATUSES))
@pytest.mark.parametrize("reason", [None, *sorted(REASONS)])
def test_every_status_of_a_response(status: str, reason: str | None) -> None:
    details = None if reason is None else {"reason": reason}
    part = {"type": "output_text", "text": "x", "annotations": []}
    answer = {"status": status, "incomplete_details": details, "output": [{"type": "message", "content": [part]}]}
    found = DIALECTS["openai-responses"].decode(json.dumps(answer).encode()).finish
    assert (found is Finish.COMPLETE) is (status == "completed")
    if status == "incomplete" and reason in {"max_output_tokens", "content_filter"}:
        assert found is (Finish.CUT if reason == "max_output_tokens" else Finish.REFUSED)


PASSING = {"server_error", "rate_limit_exceeded", "vector_store_timeout"}
POLICIES = {code for code in CODES if code == "bio_policy" or code.endswith("_policy_violation")}


def failed_with(code: str) -> bytes:
    return json.dumps({"status": "failed", "output": [], "error": {"code": code, "message": "No."}}).encode()


@pytest.mark.parametrize("code", sorted(POLICIES))
def test_every_policy_inside_a_response_is_a_refusal(code: str) -> None:
    assert DIALECTS["openai-responses"].decode(failed_with(code)).finish is Finish.REFUSED


@pytest.mark.parametrize("code", sorted(CODES - POLICIES))
def test_every_error_inside_a_response_is_a_failure_and_only_the_services_own_are_passing(code: str) -> None:
    with pytest.raises(CallFailed) as caught:
        DIALECTS["openai-responses"].decode(failed_with(code))
    wanted = FailureKind.TRANSIENT if code in PASSING else FailureKind.BAD_REQUEST
    if code != "data_residency_mismatch":
        assert caught.value.failure.kind is wanted
    assert (caught.value.failure.kind is FailureKind.TRANSIENT) is (code in PASSING)


@pytest.mark.parametrize("name", ["gemini", "vertex", "openai-chat", "openai-responses", "anthropic", "llama"])
def test_a_word_that_nobody_knows_is_no_success(name: str) -> None:
    word = "SOMETHING_NEW"
    message = {"role": "assistant", "content": "x"}
    answer = {
        "candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": word}],
        "choices": [{"index": 0, "message": message, "finish_reason": word}],
        "status": word, "output": [{"type": "message", "content": [{"type": "output_text", "text": "x"}]}],
        "content": [{"type": "text", "text": "x"}], "stop_reason": word,
    }  # fmt: skip
    response = DIALECTS[name].decode(json.dumps(answer).encode())
    assert (response.text, response.finish, response.detail) == ("x", Finish.UNKNOWN, word)
