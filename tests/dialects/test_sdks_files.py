"""The official clients and our dialects show the same files, stream the same questions and hand over the same batches:
what goes out must mean the same, field by field.
"""

from __future__ import annotations

import asyncio
import email
import hashlib
import importlib
import json
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types
from openai import OpenAI

from runner.core.call import Call, Message
from runner.core.media import Clip, Medium, MediumKind
from runner.core.model import Provider, Route
from runner.dialects import ASKED as ASKED_IN
from runner.dialects import DIALECTS
from runner.dialects.batch import BATCH_FORMATS
from runner.dialects.streams import STREAMS
from runner.transport.batch_gemini import GeminiBatchWire
from runner.transport.batch_http import BatchHttp
from runner.transport.batch_openai import OpenAIBatchWire
from runner.transport.secrets import Secrets, Trust
from runner.transport.sending import body_of, encode_now, pieces_of
from runner.transport.uploads import Uploads
from runner.transport.wire import Reply

RouteTo = Callable[..., Route]
Ask = Callable[..., Call]
Shown = Callable[..., Medium]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(range(60))
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(range(100))
PDF = b"%PDF-1.7\n" + bytes(range(128))
SAID = '{"radius": 1737, "sure": true}'
ASKED = "What is this?"


def asked(server: Any) -> tuple[str, Any]:
    assert (server.refused, server.count) == ([], 1)
    return server.requests[0].path, server.requests[0].body


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., Medium]:
    def make(kind: MediumKind, mime: str, content: bytes, **more: Any) -> Medium:
        path = tmp_path / mime.replace("/", ".")
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        return Medium(kind, mime, digest, len(content), path=str(path), shown=path.name, **more)

    return make


def sent(dialect: str, route: Route, *media: Medium, names: Mapping[int, str] | None = None) -> tuple[str, Any]:
    """The address and the body as our transport writes it, files and all."""
    call = Call(model="m", messages=(Message("user", ASKED, media),))
    request = DIALECTS[dialect].encode(call, route)
    body = asyncio.run(body_of(request, names or {}))
    assert isinstance(body, bytes)
    return request.endpoint, json.loads(body)


# Files


def data_url(mime: str, content: bytes) -> str:
    import base64

    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def test_a_chat_shows_files_as_openais_client_does(
    server: Any, openai_client: OpenAI, route_to: RouteTo, shown: Callable[..., Medium]
) -> None:
    import base64

    openai_client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": data_url("image/png", PNG), "detail": "low"}},
                    {
                        "type": "input_audio",
                        "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"},
                    },
                    {
                        "type": "file",
                        "file": {"filename": "document.pdf", "file_data": data_url("application/pdf", PDF)},
                    },
                    {"type": "text", "text": ASKED},
                ],
            }
        ],
    )
    media = (
        shown("image", "image/png", PNG, resolution="low"),
        shown("audio", "audio/wav", WAV),
        shown("document", "application/pdf", PDF),
    )
    path, body = sent("openai-chat", route_to("openai-chat"), *media)
    assert asked(server) == ("/v1" + path, body)


def test_a_chat_names_an_uploaded_file_as_openais_client_does(
    server: Any, openai_client: OpenAI, route_to: RouteTo, shown: Callable[..., Medium]
) -> None:
    uploaded = openai_client.files.create(
        file=("document.pdf", PDF, "application/pdf"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 172_800},
    )
    openai_client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[
            {
                "role": "user",
                "content": [{"type": "file", "file": {"file_id": uploaded.id}}, {"type": "text", "text": ASKED}],
            }
        ],
    )
    pdf = shown("document", "application/pdf", PDF)
    path, body = sent("openai-chat", route_to("openai-chat"), pdf, names={0: uploaded.id})
    assert asked(server) == ("/v1" + path, body)


def test_a_response_shows_files_as_openais_client_does(
    server: Any, openai_client: OpenAI, route_to: RouteTo, shown: Callable[..., Medium]
) -> None:
    uploaded = openai_client.files.create(
        file=("a.png", PNG, "image/png"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 172_800},
    )
    openai_client.responses.create(
        model="gpt-5.4-mini",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": data_url("image/png", PNG), "detail": "high"},
                    {"type": "input_image", "file_id": uploaded.id, "detail": "auto"},
                    {
                        "type": "input_file",
                        "filename": "document.pdf",
                        "file_data": data_url("application/pdf", PDF),
                    },
                    {"type": "input_text", "text": ASKED},
                ],
            }
        ],
        store=False,
    )
    media = (
        shown("image", "image/png", PNG, resolution="high"),
        shown("image", "image/png", PNG),
        shown("document", "application/pdf", PDF),
    )
    path, body = sent("openai-responses", route_to("openai-responses"), *media, names={1: uploaded.id})
    assert asked(server) == ("/v1" + path, body)


def test_gemini_is_shown_files_as_googles_client_shows_them(
    server: Any, google_client: genai.Client, route_to: RouteTo, shown: Callable[..., Medium]
) -> None:
    video = types.Part(
        inline_data=types.Blob(mime_type="video/mp4", data=MP4),
        video_metadata=types.VideoMetadata(start_offset="0.5s", end_offset="20s", fps=2),
    )
    image = types.Part.from_bytes(
        data=PNG, mime_type="image/png", media_resolution=types.PartMediaResolutionLevel.MEDIA_RESOLUTION_LOW
    )
    parts = [
        image,
        types.Part.from_bytes(data=WAV, mime_type="audio/wav"),
        video,
        types.Part.from_bytes(data=PDF, mime_type="application/pdf"),
        types.Part(text=ASKED),
    ]
    google_client.models.generate_content(
        model="gemini-3.1-flash-lite", contents=[types.Content(role="user", parts=parts)]
    )
    media = (
        shown("image", "image/png", PNG, resolution="low"),
        shown("audio", "audio/wav", WAV),
        shown("video", "video/mp4", MP4, clip=Clip(0.5, 20, 2)),
        shown("document", "application/pdf", PDF),
    )
    assert asked(server) == sent("gemini", route_to("gemini"), *media)


def test_gemini_is_shown_an_uploaded_file_as_googles_client_shows_it(
    server: Any, google_client: genai.Client, route_to: RouteTo, shown: Callable[..., Medium], tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_bytes(MP4)
    theirs = google_client.files.upload(
        file=tmp_path / "clip.mp4", config=types.UploadFileConfig(mime_type="video/mp4", display_name="clip")
    )
    google_client.models.generate_content(
        model="gemini-3.1-flash-lite",
        contents=[types.Content(role="user", parts=[types.Part(file_data=uri_of(theirs)), types.Part(text=ASKED)])],
    )
    video = shown("video", "video/mp4", MP4)
    reference = asyncio.run(upload(server, video))
    assert server.files.stored.popitem()[1] == server.files.stored.popitem()[1] == MP4
    assert asked(server) == sent("gemini", route_to("gemini"), video, names={0: str(theirs.uri)})
    assert reference.rpartition("/")[0] == str(theirs.uri).rpartition("/")[0]


def uri_of(file: types.File) -> types.FileData:
    return types.FileData(file_uri=file.uri, mime_type=file.mime_type)


async def upload(server: Any, medium: Medium) -> str:
    """Our upload to the same server, over httpx."""
    provider = Provider("box", "gemini", server.base_url, identity="box")
    async with httpx.AsyncClient() as client:

        async def ask(method: str, url: str, headers: Any, content: Any, *, is_trusted: bool = True) -> Reply:
            said = await client.request(method, url, headers=list(headers), content=content)
            return Reply(said.status_code, dict(said.headers), said.content)

        route = Route("box/m", provider, "m", None)  # type: ignore[arg-type]
        return (await Uploads().reference(route, medium, ask, None))[0]  # type: ignore[arg-type]


# Streams


def opened(dialect: str, call: Call, route: Route) -> tuple[str, Any]:
    request = STREAMS[dialect].open(DIALECTS[dialect].encode(call, route))
    return request.endpoint, json.loads(bytes(request.body))


def test_a_streamed_chat_is_what_openais_client_asks(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask
) -> None:
    stream = openai_client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    path, body = opened("openai-chat", ask("hi"), route_to("openai-chat"))
    assert (asked(server), "".join(pieces)) == (("/v1" + path, body), SAID)


def test_a_streamed_response_is_what_openais_client_asks(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask
) -> None:
    events = openai_client.responses.create(
        model="gpt-5.4-mini", input=[{"role": "user", "content": "hi"}], stream=True, store=False
    )
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    path, body = opened("openai-responses", ask("hi"), route_to("openai-responses"))
    assert (asked(server), "".join(pieces)) == (("/v1" + path, body), SAID)


def test_a_streamed_question_is_what_googles_client_asks(
    server: Any, google_client: genai.Client, route_to: RouteTo, ask: Ask
) -> None:
    chunks = list(google_client.models.generate_content_stream(model="gemini-3.1-flash-lite", contents="hi"))
    assert asked(server) == opened("gemini", ask("hi"), route_to("gemini"))
    assert "".join(chunk.text or "" for chunk in chunks) == SAID


# Batches


class Wires:
    """Both sides' calls of a batch interface, without a network."""

    def __init__(self, answer: Any) -> None:
        self.seen: list[httpx.Request] = []
        self._answer = answer
        self.inner = httpx.MockTransport(self._say)

    def _say(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        return httpx.Response(200, json=self._answer)

    async def _say_later(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self._say(request)

    def http(self) -> BatchHttp:
        return BatchHttp(Secrets({}, Trust()), lambda *_: None, inner=httpx.MockTransport(self._say_later))  # type: ignore[arg-type]

    @property
    def bodies(self) -> list[tuple[str, str, Any]]:
        return [(one.method, one.url.path, json.loads(one.content)) for one in self.seen]


def form_of(request: httpx.Request) -> dict[str, tuple[str | None, bytes]]:
    """The fields of a form, each with the name of its file."""
    whole = email.message_from_bytes(
        f"content-type: {request.headers['content-type']}\r\n\r\n".encode() + request.content
    )
    return {
        str(part.get_param("name", header="content-disposition")): (part.get_filename(), content)
        for part in whole.walk()
        if isinstance(content := part.get_payload(decode=True), bytes)
    }


def openai_route() -> Route:
    return Route("box/m", Provider("box", "openai-responses", "http://127.0.0.1:1/v1"), "m", None)  # type: ignore[arg-type]


def test_a_batch_is_started_as_openais_client_starts_it(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    path.write_bytes(b"{}\n")
    wires = Wires({"id": "x", "object": "batch", "data": [], "status": "completed"})
    http: Any = httpx.Client(transport=wires.inner)
    with OpenAI(api_key="k", base_url="http://127.0.0.1:1/v1", http_client=http) as client:
        client.files.create(file=("name.jsonl", b"{}\n", "application/jsonl"), purpose="batch")
        client.batches.create(
            input_file_id="x", endpoint="/v1/responses", completion_window="24h", metadata={"runner_batch": "name"}
        )
        client.batches.list(limit=100)
        client.batches.retrieve("x")

    async def ours() -> None:
        wire, route = OpenAIBatchWire(wires.http()), openai_route()
        await wire.upload(route, "name", path)
        await wire.create(route, "/responses", "name", "x")
        await wire.find(route, "name")
        await wire.look(route, "x")

    asyncio.run(ours())
    theirs, mine = wires.seen[:4], wires.seen[4:]
    assert [(one.method, one.url) for one in mine] == [(one.method, one.url) for one in theirs]
    assert form_of(mine[0]) == form_of(theirs[0])
    assert json.loads(mine[1].content) == json.loads(theirs[1].content)


def test_a_batch_is_started_as_googles_client_starts_it(ask: Ask, route_to: RouteTo, full_call: Call) -> None:
    wires = Wires({"name": "batches/x", "metadata": {"state": "BATCH_STATE_PENDING"}})
    options = types.HttpOptions(
        base_url="http://127.0.0.1:1", api_version="v1beta", client_args={"transport": wires.inner}
    )
    with genai.Client(api_key="k", vertexai=False, http_options=options) as client:
        client.batches.create(
            model="gemini-3.1-flash-lite", src="files/f", config=types.CreateBatchJobConfig(display_name="name")
        )
        client.batches.create(
            model="gemini-3.1-flash-lite",
            src=[
                types.InlinedRequest(
                    contents=[types.Content(role="user", parts=[types.Part(text="hi")])],
                    config=types.GenerateContentConfig(
                        system_instruction="Be brief.",
                        max_output_tokens=64,
                        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
                    ),
                )
            ],
        )
    call = ask("hi", system="Be brief.", max_output_tokens=64, thinking="low")
    request = DIALECTS["gemini"].encode(call, route_to("gemini"))

    async def ours() -> None:
        provider = Provider("box", "gemini", "http://127.0.0.1:1")
        route = Route("box/m", provider, "m", None)  # type: ignore[arg-type]
        await GeminiBatchWire(wires.http()).create(route, request.endpoint, "name", "files/f")

    asyncio.run(ours())
    theirs, inlined, mine = wires.bodies
    assert mine == theirs
    line = json.loads(BATCH_FORMATS["gemini"].head("k", request) + bytes(request.body) + b"}")
    (one,) = inlined[2]["batch"]["inputConfig"]["requests"]["requests"]
    assert plain(line["request"]) == plain(one["request"])


def test_a_batch_of_vectors_is_started_as_googles_client_starts_it() -> None:
    wires = Wires({"name": "batches/x", "metadata": {"state": "BATCH_STATE_PENDING"}})
    options = types.HttpOptions(
        base_url="http://127.0.0.1:1", api_version="v1beta", client_args={"transport": wires.inner}
    )
    texts = types.EmbedContentBatch(
        contents=[types.Content(role="user", parts=[types.Part(text="sea")])],
        config=types.EmbedContentConfig(task_type="CLUSTERING", output_dimensionality=8),
    )
    with genai.Client(api_key="k", vertexai=False, http_options=options) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the method is new
        create = client.batches.create_embeddings
        named = types.CreateEmbeddingsBatchJobConfig(display_name="name")
        create(model="vectors", src=types.EmbeddingsBatchJobSource(file_name="files/f"), config=named)
        create(model="vectors", src=types.EmbeddingsBatchJobSource(inlined_requests=texts))
    route = Route("box/vectors", Provider("box", "gemini-embed", "http://127.0.0.1:1"), "vectors", None)  # type: ignore[arg-type]
    call = Call("vectors", (Message("user", "sea"),), options={"taskType": "CLUSTERING", "outputDimensionality": 8})
    request = ASKED_IN["gemini-embed"].encode(call, route)

    async def ours() -> None:
        await GeminiBatchWire(wires.http()).create(route, request.endpoint, "name", "files/f")

    asyncio.run(ours())
    theirs, inlined, mine = wires.bodies
    assert mine == (theirs[0], theirs[1], camel(theirs[2]))
    line = json.loads(BATCH_FORMATS["gemini-embed"].head("k", request) + bytes(request.body) + b"}")
    (one,) = inlined[2]["batch"]["inputConfig"]["requests"]["requests"]
    assert line == {"key": "k", "request": camel(one["request"])}


@pytest.mark.parametrize("is_uploaded", [False, True])
def test_a_line_shows_files_as_googles_client_does(is_uploaded: bool, shown: Shown, route_to: RouteTo) -> None:
    wires = Wires({"name": "batches/x", "metadata": {"state": "BATCH_STATE_PENDING"}})
    options = types.HttpOptions(
        base_url="http://127.0.0.1:1", api_version="v1beta", client_args={"transport": wires.inner}
    )
    part = (
        types.Part.from_uri(file_uri="https://h/v1beta/files/1", mime_type="image/png")
        if is_uploaded
        else types.Part.from_bytes(data=PNG, mime_type="image/png")
    )
    contents = [types.Content(role="user", parts=[part, types.Part(text=ASKED)])]
    with genai.Client(api_key="k", vertexai=False, http_options=options) as client:
        client.batches.create(model="m", src=[types.InlinedRequest(contents=contents)])
    call = Call("m", (Message("user", ASKED, files=(shown("image", "image/png", PNG),)),))
    request = DIALECTS["gemini"].encode(call, route_to("gemini"))
    names = {0: "https://h/v1beta/files/1"} if is_uploaded else {}
    pieces = pieces_of(request, names)
    body = b"".join(piece if isinstance(piece, bytes) else b"".join(encode_now(piece.medium)) for piece in pieces)
    read: Any = importlib.import_module("wire_gemini").read
    (one,) = wires.bodies[0][2]["batch"]["inputConfig"]["requests"]["requests"]
    ours, theirs = read(json.loads(body))["contents"], read(one["request"])["contents"]
    for content in (ours, theirs):
        data = content[0]["parts"][0].get("inlineData")
        if data is not None:  # the client writes base64 for URLs
            data["data"] = data["data"].replace("-", "+").replace("_", "/")
    assert ours == theirs


def camel(value: Any) -> Any:
    """Names in the spelling of the documentation, without the role of a text that becomes a vector, which is the one there is."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {re.sub(r"_([a-z])", lambda found: found[1].upper(), name): camel(inner) for name, inner in value.items()}


def plain(body: Any) -> Any:
    """Names in one spelling, and without the role of a system text, which says nothing."""
    import importlib

    read: Any = importlib.import_module("wire_gemini").read(body)
    read["systemInstruction"].pop("role", None)
    return read
