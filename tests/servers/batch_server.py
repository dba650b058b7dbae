"""A local server with the batch interfaces of OpenAI and Gemini: files, jobs, lists, answers; it counts every action.

Every line is checked as a single request would be. What a row comes to is the test's to say: `respond(body)` gives an
Answer (a status other than 200 is an error row), "expired" (in the error file) or "missing" (in neither file).
Answers are written in the opposite order of the questions.
"""

from __future__ import annotations

import email
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

# Plain modules beside this one.
import wire_chat
import wire_embed
import wire_gemini
import wire_media
import wire_responses
from descriptions import form_problems, line_problems, problems_of
from wire import Answer, Json, Received, Refused, Wire

Respond: TypeAlias = Callable[[Json], "Answer | str"]
OPENAI_EMBED, GEMINI_EMBED = wire_embed.WIRES[:2]
ENDPOINTS: dict[str, Wire] = {
    "/v1/chat/completions": wire_chat.WIRE,
    "/v1/responses": wire_responses.WIRE,
    "/v1/embeddings": OPENAI_EMBED,
}
PAGE = 2


@dataclass
class Job:
    """One job: its lines, and what was made of them."""

    id: str
    name: str
    lines: list[Json]
    status: str = "running"
    files: list[str | None] = field(default_factory=lambda: [None, None])
    looks: int = 0
    errors: list[Json] = field(default_factory=list)


class BatchServer:
    """`looks` is how often a job is looked at before it ends as `end` (completed, expired, cancelled, failed).

    `wrong` is what the vendors' descriptions do not allow. `extra` is appended to every file of answers. `refuse(action)` gives an HTTP status for an action that fails.
    """

    def __init__(self, respond: Respond | None = None) -> None:
        self.respond: Respond = respond or (lambda _body: Answer())
        self.looks = 1
        self.end = "completed"
        self.errors: list[Json] = []
        self.extra: list[bytes] = []
        self.refuse: Callable[[str], int] = lambda _action: 0
        self.actions: Counter[str] = Counter()
        self.refused: list[str] = []
        self.wrong: list[str] = []
        self.files: dict[str, bytes] = {}
        self.jobs: dict[str, Job] = {}
        self.shown = wire_media.FileService()
        self._uploads: dict[str, bytes] = {}
        self._lock = threading.Lock()
        outer = self

        class Exchange(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._serve(self)

            def do_POST(self) -> None:
                outer._serve(self)

            def log_message(self, *_args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def asked(self) -> Counter[str]:
        """How often each question was handed over, in whatever job."""
        return Counter(json.dumps(_body(line), sort_keys=True) for job in self.jobs.values() for line in job.lines)

    def start(self) -> BatchServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    # HTTP

    def _serve(self, exchange: BaseHTTPRequestHandler) -> None:
        data = exchange.rfile.read(int(exchange.headers.get("content-length") or 0))
        url = urlsplit(exchange.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        headers: dict[str, str] = {}
        with self._lock:
            try:
                shown = self._file(exchange, url.path, data)
                if shown is not None:
                    status, headers, said = shown
                else:
                    action = self._action(exchange.command, url.path, query)
                    self.actions[action] += 1
                    if self.refuse(action):
                        raise Refused(self.refuse(action), f"{action} is refused")
                    status, said = 200, self._act(action, exchange, url.path, query, data, headers)
            except Refused as refused:
                self.refused.append(refused.message)
                status, said = refused.status, {"error": {"message": refused.message, "code": refused.code or None}}
            except Exception as error:
                self.wrong.append(repr(error))
                status, said = 400, {"error": {"message": repr(error)}}
        self._say(exchange, status, headers, said)

    def _file(
        self, exchange: BaseHTTPRequestHandler, path: str, data: bytes
    ) -> tuple[int, dict[str, str], Json] | None:
        """What is said about the files of questions; None for all else."""
        is_of_batch = b'"application/jsonl"' in data or b'name="purpose"\r\n\r\nbatch' in data
        if path.endswith(("/content", ":download")) or is_of_batch:
            return None
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        said = self.shown.answer(self.base_url, exchange.command, path, headers, data)
        if said is not None:
            self.actions["file"] += 1
            status = self.refuse("file")
            return (status, {}, {"error": {"message": "file is refused"}}) if status else said
        return None

    def _say(self, exchange: BaseHTTPRequestHandler, status: int, headers: dict[str, str], said: Json) -> None:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        exchange.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            exchange.send_header(name, value)
        exchange.end_headers()
        exchange.wfile.write(body)

    def _action(self, method: str, path: str, query: Json) -> str:
        known = (
            ("upload", "POST", r"/v1/files|/upload/v1beta/files"),
            ("piece", "POST", r"/uploads/\w+"),
            ("create", "POST", r"/v1/batches|/v1beta/models/[^/]+:(batchGenerateContent|asyncBatchEmbedContent)"),
            ("list", "GET", r"/v1/batches|/v1beta/batches"),
            ("look", "GET", r"/v1/batches/\w+|/v1beta/batches/\w+"),
            ("download", "GET", r"/v1/files/\w+/content|/v1beta/files/\w+:download"),
        )
        for action, verb, pattern in known:
            if verb == method and re.fullmatch(pattern, path):
                return action
        raise Refused(404, f"no such path: {method} {path}")

    def _act(
        self,
        action: str,
        exchange: BaseHTTPRequestHandler,
        path: str,
        query: Json,
        data: bytes,
        headers: dict[str, str],
    ) -> Json:
        is_gemini = "/v1beta/" in path or action == "piece"
        match action:
            case "upload" if is_gemini:
                self._hold(problems_of("gemini-file", json.loads(data)))
                assert json.loads(data)["file"]["mimeType"] == "application/jsonl"
                name = f"u{len(self._uploads)}"
                self._uploads[name] = b""
                headers["x-goog-upload-url"] = f"{self.base_url}/uploads/{name}"
                return {}
            case "upload":
                fields, content = _form(exchange.headers["content-type"], data)
                self._hold(form_problems(fields))
                return {"id": self._store(content)}
            case "piece":
                name = path.rpartition("/")[2]
                assert int(exchange.headers["x-goog-upload-offset"]) == len(self._uploads[name])
                self._uploads[name] += data
                if "finalize" not in exchange.headers["x-goog-upload-command"]:
                    return {}
                headers["x-goog-upload-status"] = "final"
                return {"file": {"name": f"files/{self._store(self._uploads[name])}", "state": "ACTIVE"}}
            case "create":
                return self._create(json.loads(data), path, is_gemini)
            case "list":
                return self._list(query, is_gemini)
            case "look":
                return self._look(path.rpartition("/")[2], is_gemini)
            case _:
                file = path.split("/")[3].partition(":")[0]
                return self.files[file]

    def _store(self, data: bytes) -> str:
        name = f"file{len(self.files)}"
        self.files[name] = data
        return name

    def _hold(self, problems: list[str]) -> None:
        """What the vendors' descriptions do not allow is a mistake of ours, whatever the test is about."""
        self.wrong += problems
        if problems:
            raise Refused(400, f"the description does not allow {problems}")

    # Jobs

    def _create(self, body: Json, path: str, is_gemini: bool) -> Json:
        is_embed = path.endswith(":asyncBatchEmbedContent")
        described = "gemini-embed-batch" if is_embed else "gemini-batch" if is_gemini else "openai-batch"
        self._hold(problems_of(described, body))
        if is_gemini:
            file, name = body["batch"]["inputConfig"]["fileName"].removeprefix("files/"), body["batch"]["displayName"]
        else:
            file, name = body["input_file_id"], body["metadata"]["runner_batch"]
            assert body["completion_window"] == "24h"
        if file not in self.files:
            raise Refused(404, f"no such file: {file}")
        lines = [json.loads(line) for line in self.files[file].splitlines()]
        keys = [_key(line) for line in lines]
        if len(set(keys)) != len(keys):
            raise Refused(400, "keys must be unique")
        for line in lines:
            self._hold(line_problems(line))
            if not is_gemini and line["url"] != body["endpoint"]:
                raise Refused(400, "one endpoint a file")
            wire = _wire(line)
            if is_gemini and is_embed != (wire is GEMINI_EMBED):
                raise Refused(400, "questions and texts are not asked alike")
            wire.check(wire.read(_body(line)), {})
        job = Job(f"job{len(self.jobs)}", name, lines)
        self.jobs[job.id] = job
        return self._told(job, is_gemini)

    def _list(self, query: Json, is_gemini: bool) -> Json:
        """The newest first, a page of two."""
        jobs = list(self.jobs.values())[::-1]
        after = query.get("pageToken" if is_gemini else "after")
        start = next((number for number, job in enumerate(jobs, 1) if job.id == after), 0)
        page, more = jobs[start : start + PAGE], len(jobs) > start + PAGE
        told = [self._told(job, is_gemini) for job in page]
        if is_gemini:
            return {"operations": told, **({"nextPageToken": page[-1].id} if more else {})}
        return {"object": "list", "data": told, "has_more": more}

    def _look(self, name: str, is_gemini: bool) -> Json:
        job = self.jobs[name]
        job.looks += 1
        if job.status == "running" and job.looks >= self.looks:
            self._finish(job, is_gemini)
        return self._told(job, is_gemini)

    def _finish(self, job: Job, is_gemini: bool) -> None:
        job.status, job.errors = self.end, self.errors
        if self.end == "failed":
            return
        good, bad = [], []
        for line in reversed(job.lines):
            said = self._missing_file(_body(line)) or self.respond(_body(line))
            if isinstance(said, Answer) and said.status == 200:
                good.append(_answer_line(line, said))
            elif isinstance(said, Answer) or said == "expired":
                bad.append(_error_line(line, said))
        if is_gemini:
            good, bad = [*good, *bad], []
        job.files = [self._store(b"\n".join([*lines, *self.extra])) if lines else None for lines in (good, bad)]

    def _missing_file(self, body: Json) -> Answer | None:
        try:
            self.shown.check_named(body)
        except Refused as refused:
            return Answer(text=refused.message, status=refused.status)
        return None

    def _told(self, job: Job, is_gemini: bool) -> Json:
        output, error = job.files
        if not is_gemini:
            status = {"running": "in_progress"}.get(job.status, job.status)
            return {
                "id": job.id, "object": "batch", "status": status, "metadata": {"runner_batch": job.name},
                "output_file_id": output, "error_file_id": error, "errors": {"data": job.errors},
                "request_counts": {"total": len(job.lines), "completed": 0, "failed": 0},
            }  # fmt: skip
        state = {"completed": "SUCCEEDED"}.get(job.status, job.status.upper())
        batch = {
            "displayName": job.name,
            "state": f"BATCH_STATE_{state}",
            "batchStats": {"requestCount": str(len(job.lines))},
        }
        if output:
            batch["output"] = {"responsesFile": f"files/{output}"}
        failed = {"error": {"code": 3, "message": job.errors[0]["message"]}} if job.errors else {}
        return {"name": f"batches/{job.id}", "metadata": batch, "done": job.status != "running", **failed}


def _form(content_type: str, data: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of a form, and its file."""
    form = email.message_from_bytes(f"content-type: {content_type}\r\n\r\n".encode() + data)
    parts = {
        part.get_param("name", header="content-disposition"): part for part in form.walk() if not part.is_multipart()
    }
    assert parts["purpose"].get_payload(decode=True) == b"batch"
    found = parts["file"].get_payload(decode=True)
    assert isinstance(found, bytes)
    return {str(name): str(part.get_payload()) for name, part in parts.items() if name != "file"}, found


def _key(line: Json) -> str:
    return str(line.get("custom_id") or line["key"])


def _body(line: Json) -> Json:
    return line["body"] if "body" in line else line["request"]


def _wire(line: Json) -> Wire:
    if "url" in line:
        return ENDPOINTS[line["url"]]
    return GEMINI_EMBED if "content" in line["request"] else wire_gemini.GEMINI


def _answer_line(line: Json, answer: Answer) -> bytes:
    wire, body = _wire(line), _body(line)
    path = line.get("url", "/v1beta/models/some-model:generateContent")
    said = (
        json.loads(answer.raw)
        if answer.raw is not None
        else wire.answer(answer, Received(wire.dialect, path, wire.prompt(wire.read(body)), wire.read(body), {}))
    )
    if "key" in line:
        return json.dumps({"key": line["key"], "response": said}).encode()
    response = {"status_code": 200, "request_id": "r", "body": said}
    return json.dumps({"id": "x", "custom_id": line["custom_id"], "response": response, "error": None}).encode()


def _error_line(line: Json, said: Answer | str) -> bytes:
    if isinstance(said, str):
        error = {"code": "batch_expired", "message": "This request could not be executed before the batch expired."}
        if "key" in line:
            return json.dumps({"key": line["key"], "error": {"code": 4, "message": error["message"]}}).encode()
        return json.dumps({"id": "x", "custom_id": line["custom_id"], "response": None, "error": error}).encode()
    if "key" in line:
        return json.dumps({"key": line["key"], "error": {"code": said.status, "message": said.text}}).encode()
    response = {"status_code": said.status, "request_id": "r", "body": _wire(line).error(said)}
    return json.dumps({"id": "x", "custom_id": line["custom_id"], "response": response, "error": None}).encode()
