"""Files in questions, as strict as the real services: parts, and the two ways to upload."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wire import Json, Refused, only

_DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,(.*)", re.DOTALL)
_STARTS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "audio/wav": b"RIFF",
    "application/pdf": b"%PDF-",
}
_OFFSET = re.compile(r"\d+(\.\d+)?s")


def _camel(fields: Json) -> dict[str, Json]:
    """Fields in the spelling of the protocol, which reads another one too."""
    return {re.sub(r"_([a-z])", lambda found: found[1].upper(), name): value for name, value in fields.items()}


def decoded(data: Json, mime: str) -> bytes:
    """The bytes of a file in base64 without breaks, which must be what the type says."""
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Refused(400, "the data is no base64") from None
    if not content or not content.startswith(_STARTS.get(mime, b"")):
        raise Refused(400, f"the file is no {mime}")
    return content


def from_url(url: Json) -> bytes:
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        raise Refused(400, "invalid URL of a file")
    return decoded(match[2], match[1])


def check_gemini_part(part: Json) -> None:
    """One data field a part; what is said of a video stands beside a file."""
    beside = {"videoMetadata", "mediaResolution"} & set(part)
    kinds = set(part) - beside - {"thought", "thoughtSignature"}
    if len(kinds) != 1:
        raise Refused(400, "required oneof field 'data' must have one initialized field", "INVALID_ARGUMENT")
    if beside and "text" in kinds:
        raise Refused(400, "video_metadata needs a file", "INVALID_ARGUMENT")
    if "inlineData" in part:
        only(part["inlineData"], frozenset({"mimeType", "data"}), "inline_data.")
        decoded(part["inlineData"].get("data"), part["inlineData"].get("mimeType"))
    if "fileData" in part:
        only(part["fileData"], frozenset({"mimeType", "fileUri"}), "file_data.")
    video = part.get("videoMetadata", {})
    only(video, frozenset({"startOffset", "endOffset", "fps"}), "video_metadata.")
    if any(not _OFFSET.fullmatch(video[name]) for name in ("startOffset", "endOffset") if name in video):
        raise Refused(400, "invalid duration in video_metadata", "INVALID_ARGUMENT")
    level = part.get("mediaResolution", {"level": "MEDIA_RESOLUTION_LOW"})
    if level.get("level") not in {f"MEDIA_RESOLUTION_{one}" for one in ("LOW", "MEDIUM", "HIGH", "ULTRA_HIGH")}:
        raise Refused(400, "invalid media_resolution.level", "INVALID_ARGUMENT")


def check_chat_content(content: Json) -> None:
    for part in content if isinstance(content, list) else ():
        match part.get("type"):
            case "text":
                only(part, frozenset({"type", "text"}), "content.")
            case "image_url":
                only(part["image_url"], frozenset({"url", "detail"}), "content.image_url.")
                _check_detail(part["image_url"])
                from_url(part["image_url"].get("url"))
            case "input_audio":
                only(part["input_audio"], frozenset({"data", "format"}), "content.input_audio.")
                if part["input_audio"].get("format") not in {"wav", "mp3"}:
                    raise Refused(400, "invalid value: 'input_audio.format'")
                decoded(part["input_audio"].get("data"), f"audio/{part['input_audio']['format']}")
            case "file":
                _check_file(part.get("file"), "content.file.")
            case kind:
                raise Refused(400, f"invalid value: '{kind}'")


def check_responses_content(content: Json) -> None:
    for part in content if isinstance(content, list) else ():
        match part.get("type"):
            case "input_text" | "output_text":
                only(part, frozenset({"type", "text", "annotations"}), "content.")
            case "input_image":
                only(part, frozenset({"type", "image_url", "file_id", "detail"}), "content.")
                _check_detail(part)
                if ("image_url" in part) is ("file_id" in part):
                    raise Refused(400, "an image needs an image_url or a file_id")
                if "image_url" in part:
                    from_url(part["image_url"])
            case "input_file":
                _check_file({name: value for name, value in part.items() if name != "type"}, "content.")
            case kind:
                raise Refused(400, f"invalid value: '{kind}'")


def _check_detail(part: Json) -> None:
    if part.get("detail", "auto") not in {"auto", "low", "high"}:
        raise Refused(400, "invalid value: 'detail'")


def _check_file(file: Json, where: str) -> None:
    only(file, frozenset({"filename", "file_data", "file_id"}), where)
    if ("file_data" in file) is ("file_id" in file) or ("file_data" in file and not file.get("filename")):
        raise Refused(400, "a file needs a file_id, or file_data with a filename")
    if "file_data" in file:
        from_url(file["file_data"])


def check_anthropic_content(content: Json) -> None:
    for block in content if isinstance(content, list) else ():
        kind, source = block.get("type"), block.get("source", {})
        if kind == "text":
            only(block, frozenset({"type", "text"}), "messages.content.")
            continue
        if kind not in {"image", "document"}:
            raise Refused(400, f"messages.content: unknown type '{kind}'")
        only(block, frozenset({"type", "source"}), "messages.content.")
        only(source, frozenset({"type", "media_type", "data"}), "messages.content.source.")
        if source.get("type") == "text":
            if (kind, source.get("media_type")) != ("document", "text/plain"):
                raise Refused(400, "a text source is a document of text/plain")
        elif source.get("type") == "base64":
            decoded(source.get("data"), source.get("media_type"))
        else:
            raise Refused(400, "messages.content.source.type: unknown")


@dataclass
class _Upload:
    mime: str
    size: int
    content: bytes = b""


@dataclass
class FileService:
    """The files of both services. `polls` is how often a file is not ready; with `fails` it never becomes so."""

    polls: int = 0
    fails: bool = False
    kept_s: int = 172_800
    stored: dict[str, bytes] = field(default_factory=dict)
    started: int = 0
    keyed: list[bool] = field(default_factory=list)
    asked: int = 0
    _open: dict[str, _Upload] = field(default_factory=dict)
    _mimes: dict[str, str] = field(default_factory=dict)
    _waiting: dict[str, int] = field(default_factory=dict)

    def answer(
        self, base: str, method: str, path: str, headers: Mapping[str, str], data: bytes
    ) -> tuple[int, dict[str, str], Json] | None:
        """What a path of files says, None for any other path."""
        if path == "/upload/v1beta/files":
            return self._begin(base, headers, data)
        if path.startswith("/upload/session/"):
            return self._receive(path, headers, data)
        if path.startswith("/v1beta/files/") and method == "GET":
            return self._look(base, path.removeprefix("/v1beta/"))
        if path == "/v1/files":
            return self._form(headers, data)
        return None

    def check_named(self, body: Json) -> None:
        """Files that a question names must be there, and ready."""
        for kind, name in _names(body):
            name = name.partition("/v1beta/")[2] if kind == "fileUri" else name
            if name not in self.stored or self._waiting.get(name):
                status = 403 if kind == "fileUri" else 404
                raise Refused(status, f"no such file, or it may not be read: {name}")

    def _begin(self, base: str, headers: Mapping[str, str], data: bytes) -> tuple[int, dict[str, str], Json]:
        self.started += 1
        wanted = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
        if any(headers.get(name) != value for name, value in wanted.items()):
            return 400, {}, {"error": {"code": 400, "message": "not the start of an upload"}}
        if set(json.loads(data)) != {"file"} or set(_camel(json.loads(data)["file"])) - {
            "displayName",
            "mimeType",
            "name",
            "sizeBytes",
        }:
            return 400, {}, {"error": {"code": 400, "message": "unknown field"}}
        mime, size = headers["x-goog-upload-header-content-type"], int(headers["x-goog-upload-header-content-length"])
        name = f"session-{self.started}"
        self._open[name] = _Upload(mime, size)
        return 200, {"x-goog-upload-url": f"{base}/upload/session/{name}", "x-goog-upload-status": "active"}, {}

    def _receive(self, path: str, headers: Mapping[str, str], data: bytes) -> tuple[int, dict[str, str], Json]:
        self.keyed.append("x-goog-api-key" in headers)
        upload = self._open[path.rpartition("/")[2]]
        if int(headers["x-goog-upload-offset"]) != len(upload.content):
            return 400, {}, {"error": {"code": 400, "message": "wrong offset"}}
        upload.content += data
        if headers["x-goog-upload-command"] == "upload":
            if len(data) % 262_144:
                return 400, {}, {"error": {"code": 400, "message": "pieces are multiples of 256 KiB"}}
            return 200, {"x-goog-upload-status": "active"}, {}
        if len(upload.content) != upload.size:
            return 400, {}, {"error": {"code": 400, "message": "the file is not whole"}}
        name = f"files/f-{len(self.stored) + 1}"
        self.stored[name] = upload.content
        self._mimes[name] = upload.mime
        self._waiting[name] = self.polls
        return 200, {"x-goog-upload-status": "final"}, {"file": self._file(path, name)}

    def _look(self, base: str, name: str) -> tuple[int, dict[str, str], Json]:
        self.asked += 1
        if name not in self.stored:
            return 404, {}, {"error": {"code": 404, "message": "no such file", "status": "NOT_FOUND"}}
        self._waiting[name] -= 1
        return 200, {}, self._file(base, name)

    def _file(self, _base: str, name: str) -> Json:
        is_waiting = self._waiting[name] > 0
        state = "PROCESSING" if is_waiting else "FAILED" if self.fails else "ACTIVE"
        return {
            "name": name,
            "mimeType": self._mimes[name],
            "sizeBytes": str(len(self.stored[name])),
            "expirationTime": "2099-01-01T00:00:00.123456789Z",
            "uri": f"https://generativelanguage.googleapis.com/v1beta/{name}",
            "state": state,
            **({"error": {"code": 3, "message": "it cannot be read"}} if state == "FAILED" else {}),
        }

    def _form(self, headers: Mapping[str, str], data: bytes) -> tuple[int, dict[str, str], Json]:
        self.started += 1
        kind, _, boundary = headers["content-type"].partition("; boundary=")
        fields: dict[str, bytes] = {}
        for part in data.split(f"--{boundary}".encode())[1:-1]:
            head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            name = re.search(rb' name="([^"]+)"', head)
            assert name is not None
            fields[name[1].decode()] = content.removesuffix(b"\r\n")
        wanted = {"purpose", "file", "expires_after[anchor]", "expires_after[seconds]"}
        if kind != "multipart/form-data" or set(fields) != wanted or fields["purpose"] != b"user_data":
            return 400, {}, {"error": {"message": "invalid form", "type": "invalid_request_error"}}
        file_id = f"file-{len(self.stored) + 1}"
        self.stored[file_id] = fields["file"]
        return 200, {}, {"id": file_id, "object": "file", "bytes": len(fields["file"]), "expires_at": 4_070_908_800}


def _names(value: Json) -> Iterator[tuple[str, str]]:
    """The names of uploaded files in a body."""
    if isinstance(value, list):
        for each in value:
            yield from _names(each)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in {"fileUri", "file_id"}:
                yield name, inner
            else:
                yield from _names(inner)


def digests(value: Json) -> list[str]:
    """The digests of all files within a body, in their order."""
    if isinstance(value, list):
        return [one for each in value for one in digests(each)]
    if isinstance(value, str):
        match = _DATA_URL.fullmatch(value)
        return [hashlib.sha256(base64.b64decode(match[2])).hexdigest()] if match else []
    if not isinstance(value, dict):
        return []
    if "data" in value and value.get("type") != "text":
        return [hashlib.sha256(base64.b64decode(value["data"])).hexdigest()]
    return [one for inner in value.values() for one in digests(inner)]
