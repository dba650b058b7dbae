"""Files in the bodies of each dialect: a mark stands where the file goes, and what goes around it is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runner.core.call import Call, Message
from runner.core.media import Attachment, Clip, Medium
from runner.core.model import Provider, Route
from runner.core.ports import Dialect
from runner.dialects.anthropic import AnthropicDialect
from runner.dialects.gemini import GeminiDialect, VertexDialect
from runner.dialects.llama import LlamaDialect
from runner.dialects.openai_chat import OpenAIChatDialect
from runner.dialects.openai_responses import OpenAIResponsesDialect
from runner.dialects.scripted import ScriptedDialect

RouteTo = Callable[..., Route]


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


PNG = Medium("image", "image/png", sha("png"), 70, path="/a/p.png", shown="p.png")
WAV = Medium("audio", "audio/wav", sha("wav"), 80)
MP4 = Medium("video", "video/mp4", sha("mp4"), 90)
PDF = Medium("document", "application/pdf", sha("pdf"), 100)
TEXT = Medium("document", "text/plain", sha("text"), 110)
DIALECTS: dict[str, Dialect] = {
    "gemini": GeminiDialect(),
    "vertex": VertexDialect(),
    "openai-chat": OpenAIChatDialect(),
    "openai-responses": OpenAIResponsesDialect(),
    "anthropic": AnthropicDialect(),
}
TAKEN = {
    "gemini": (PNG, WAV, MP4, PDF, TEXT),
    "vertex": (PNG, WAV, MP4, PDF, TEXT),
    "openai-chat": (PNG, WAV, PDF, TEXT),
    "openai-responses": (PNG, PDF, TEXT),
    "anthropic": (PNG, PDF, TEXT),
}


def showing(*files: Medium) -> Call:
    return Call(model="m", messages=(Message("user", "What is this?", files),))


def encoded(dialect: str, route: Route, *files: Medium) -> tuple[Any, tuple[Attachment, ...]]:
    request = DIALECTS[dialect].encode(showing(*files), route)
    return json.loads(bytes(request.body)), request.attachments


def sent(dialect: str, route: Route, *files: Medium) -> Any:
    """The body with each file within it, as the transport makes it."""
    request = DIALECTS[dialect].encode(showing(*files), route)
    body = bytes(request.body)
    for number, one in enumerate(request.attachments):
        before, after = one.inline
        body = body.replace(one.mark, before + f"FILE{number}".encode() + after, 1)
    return json.loads(body)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_mark_stands_in_the_body_once_and_in_the_order_of_the_files(dialect: str, route_to: RouteTo) -> None:
    request = DIALECTS[dialect].encode(showing(*TAKEN[dialect]), route_to(dialect))
    assert [one.medium for one in request.attachments] == list(TAKEN[dialect])
    assert [bytes(request.body).count(one.mark) for one in request.attachments] == [1] * len(TAKEN[dialect])
    places = [bytes(request.body).index(one.mark) for one in request.attachments]
    assert places == sorted(places)
    assert [one.medium.sha256.encode() in one.mark for one in request.attachments] == [True] * len(places)
    assert [one.is_text for one in request.attachments] == [
        one.mime == "text/plain" and dialect not in {"gemini", "vertex"} for one in TAKEN[dialect]
    ]
    assert not any(one.by_upload for one in request.attachments)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_where_a_file_lies_changes_nothing_that_is_sent(dialect: str, route_to: RouteTo) -> None:
    moved = replace(PNG, path="/elsewhere/q.png", shown="q.png")
    assert encoded(dialect, route_to(dialect), PNG) == encoded(dialect, route_to(dialect), moved)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_question_without_files_has_none(dialect: str, route_to: RouteTo) -> None:
    assert encoded(dialect, route_to(dialect))[1] == ()


def test_gemini_is_shown_parts_with_what_is_said_of_a_clip_beside_them(route_to: RouteTo) -> None:
    clip = replace(MP4, clip=Clip(0.5, 20, 2), resolution="low")
    later = replace(MP4, clip=Clip(start=3))
    assert sent("gemini", route_to("gemini"), PNG, clip, later)["contents"] == [
        {
            "role": "user",
            "parts": [
                {"inlineData": {"mimeType": "image/png", "data": "FILE0"}},
                {
                    "inlineData": {"mimeType": "video/mp4", "data": "FILE1"},
                    "videoMetadata": {"startOffset": "0.5s", "endOffset": "20s", "fps": 2},
                    "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                },
                {
                    "inlineData": {"mimeType": "video/mp4", "data": "FILE2"},
                    "videoMetadata": {"startOffset": "3s"},
                },
                {"text": "What is this?"},
            ],
        }
    ]


def test_a_chat_is_shown_content_parts(route_to: RouteTo) -> None:
    close = replace(PNG, resolution="high")
    assert sent("openai-chat", route_to("openai-chat"), PNG, close, WAV, PDF, TEXT)["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,FILE0"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,FILE1", "detail": "high"}},
                {"type": "input_audio", "input_audio": {"data": "FILE2", "format": "wav"}},
                {
                    "type": "file",
                    "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,FILE3"},
                },
                {"type": "text", "text": "FILE4"},
                {"type": "text", "text": "What is this?"},
            ],
        }
    ]


def test_responses_are_shown_input_parts(route_to: RouteTo) -> None:
    close = replace(PNG, resolution="low")
    assert sent("openai-responses", route_to("openai-responses"), PNG, close, PDF, TEXT)["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,FILE0", "detail": "auto"},
                {"type": "input_image", "image_url": "data:image/png;base64,FILE1", "detail": "low"},
                {
                    "type": "input_file",
                    "filename": "document.pdf",
                    "file_data": "data:application/pdf;base64,FILE2",
                },
                {"type": "input_text", "text": "FILE3"},
                {"type": "input_text", "text": "What is this?"},
            ],
        }
    ]


def test_anthropic_is_shown_blocks(route_to: RouteTo) -> None:
    assert sent("anthropic", route_to("anthropic"), PNG, PDF, TEXT)["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "FILE0"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "FILE1"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "FILE2"}},
                {"type": "text", "text": "What is this?"},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("dialect", "medium", "uploaded"),
    [
        ("gemini", MP4, (b'"fileData":{"mimeType":"video/mp4","fileUri":"', b'"}')),
        ("openai-chat", PNG, None),
        ("openai-chat", WAV, None),
        ("openai-chat", TEXT, None),
        ("openai-chat", PDF, (b'"file_id":"', b'"')),
        ("openai-responses", PNG, (b'"file_id":"', b'"')),
        ("openai-responses", PDF, (b'"file_id":"', b'"')),
        ("openai-responses", TEXT, None),
        ("anthropic", PDF, None),
    ],
)
def test_an_uploaded_file_is_named_instead(
    dialect: str, medium: Medium, uploaded: tuple[bytes, bytes] | None, route_to: RouteTo
) -> None:
    (one,) = encoded(dialect, route_to(dialect), medium)[1]
    assert one.uploaded == uploaded


def test_what_a_request_has_no_room_for_is_uploaded_the_largest_first(route_to: RouteTo) -> None:
    small, large = replace(PDF, size=20_000_000), replace(PDF, size=30_000_000, sha256=sha("large"))
    body, found = encoded("openai-chat", route_to("openai-chat"), small, large)
    assert [one.by_upload for one in found] == [False, True]
    light = encoded("openai-chat", route_to("openai-chat"), small, replace(large, size=3))
    assert body == light[0]
    assert [one.by_upload for one in light[1]] == [False, False]


def test_a_text_is_never_uploaded_where_it_can_only_be_said(route_to: RouteTo) -> None:
    (one,) = encoded("openai-chat", route_to("openai-chat"), replace(TEXT, size=60_000_000))[1]
    assert (one.uploaded, one.by_upload) == (None, False)


def test_an_own_server_takes_uploads_only_where_the_project_says_so(route_to: RouteTo) -> None:
    large = replace(PDF, size=60_000_000)
    box = Provider("box", "openai-chat", "http://localhost:1", identity="box")
    (one,) = encoded("openai-chat", route_to("openai-chat", provider=box), large)[1]
    assert not one.by_upload
    told = replace(box, settings={"upload_over": "1000"})
    (one,) = encoded("openai-chat", route_to("openai-chat", provider=told), replace(PDF, size=2_000))[1]
    assert one.by_upload


def test_a_scripted_model_is_told_what_the_files_hold(route_to: RouteTo) -> None:
    clip = replace(MP4, clip=Clip(end=3), resolution="low")
    request = ScriptedDialect().encode(showing(PNG, clip), route_to("scripted"))
    assert request.attachments == ()
    assert json.loads(bytes(request.body))["messages"] == [
        {
            "role": "user",
            "text": "What is this?",
            "files": [
                {"image": f"sha256:{PNG.sha256}", "type": "image/png"},
                {
                    "video": f"sha256:{MP4.sha256}",
                    "type": "video/mp4",
                    "clip": [None, 3, None],
                    "resolution": "low",
                },
            ],
        }
    ]


def test_the_embedded_model_takes_no_files() -> None:
    assert LlamaDialect.media.types == {}
    assert VertexDialect.media.uploads == frozenset()


@pytest.mark.parametrize(
    ("second", "said"),
    [(0.5, "0.5s"), (20, "20s"), (12345.67, "12345.67s"), (0.000000001, "0.000000001s"), (100000.25, "100000.25s")],
)
def test_a_clip_is_named_with_all_its_digits(second: float, said: str, route_to: RouteTo) -> None:
    (turn,) = sent("gemini", route_to("gemini"), replace(MP4, clip=Clip(start=second)))["contents"]
    assert turn["parts"][0]["videoMetadata"] == {"startOffset": said}
