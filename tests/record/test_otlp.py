"""Spans on their way: OTLP in JSON, to a file or to a collector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from runner.record.otlp import OtlpExporter, document_of, headers_of, provider_for, to_collector, to_file


class Collector:
    """A server that keeps what it is sent, and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def make_spans(send: Any) -> list[str]:
    """Send a span inside of another; what was told of trouble."""
    told: list[str] = []
    provider = provider_for(send, told.append)
    tracer = provider.get_tracer("any")
    with tracer.start_as_current_span("outer") as outer:
        inner = tracer.start_span("inner", kind=SpanKind.CLIENT, start_time=5, attributes={"a": 1, "b": True, "c": 0.5})
        inner.add_event("retry", {"d": "x"}, 6)
        inner.set_status(Status(StatusCode.ERROR))
        inner.end(7)
        outer.set_attribute("e", ["x", "y"])
    provider.shutdown()
    return told


def spans_in(document: Any) -> dict[str, Any]:
    (resource,) = document["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    assert {"key": "service.name", "value": {"stringValue": "runner"}} in resource["resource"]["attributes"]
    assert scope["scope"]["name"] == "runner"
    return {span["name"]: span for span in scope["spans"]}


def test_a_file_has_a_line_of_otlp_for_each_batch(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text("of an earlier run")
    assert make_spans(to_file(path)) == []
    (line,) = path.read_text().splitlines()
    spans = spans_in(json.loads(line))
    inner, outer = spans["inner"], spans["outer"]
    assert (inner["traceId"], inner["parentSpanId"]) == (outer["traceId"], outer["spanId"])
    assert (len(inner["traceId"]), len(inner["spanId"])) == (32, 16)
    assert "parentSpanId" not in outer
    assert (inner["kind"], outer["kind"]) == (3, 1)
    assert (inner["startTimeUnixNano"], inner["endTimeUnixNano"]) == ("5", "7")
    assert inner["attributes"] == [
        {"key": "a", "value": {"intValue": "1"}},
        {"key": "b", "value": {"boolValue": True}},
        {"key": "c", "value": {"doubleValue": 0.5}},
    ]
    event = {"name": "retry", "timeUnixNano": "6", "attributes": [{"key": "d", "value": {"stringValue": "x"}}]}
    assert inner["events"] == [event]
    assert (inner["status"], outer["status"]) == ({"code": 2}, {"code": 0})


def test_batches_are_added_to_the_file(tmp_path: Path) -> None:
    send = to_file(tmp_path / "spans.jsonl")
    send(b"one\n")
    send(b"two\n")
    assert (tmp_path / "spans.jsonl").read_text() == "one\ntwo\n"


def test_a_run_without_spans_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "spans.jsonl").write_text("of an earlier run")
    provider_for(to_file(tmp_path / "spans.jsonl"), pytest.fail).shutdown()
    assert (tmp_path / "spans.jsonl").read_text() == "of an earlier run"


def test_a_collector_gets_the_same_with_the_headers_of_the_environment(collector: Collector) -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "x-team=a%20b, x-other = c ,"}
    assert make_spans(to_collector(collector.url, environ)) == []
    ((path, headers, document),) = collector.got
    assert (path, headers["content-type"]) == ("/v1/traces", "application/json")
    assert (headers["x-team"], headers["x-other"]) == ("a b", "c")
    assert set(spans_in(document)) == {"inner", "outer"}


def test_headers_of_traces_come_before_those_of_all(collector: Collector) -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "a=1,b=2", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=3"}
    assert headers_of(environ) == {"a": "1", "b": "3"}


def test_a_collector_that_refuses_is_told_once_and_not_asked_again(collector: Collector) -> None:
    collector.status = 503
    told: list[str] = []
    exporter = OtlpExporter(to_collector(collector.url, {}), told.append)
    assert [exporter.export([]), exporter.export([])] == [SpanExportResult.FAILURE] * 2
    assert (told, len(collector.got)) == (["the collector answered 503"], 1)


def test_headers_are_not_carried_to_another_place(collector: Collector) -> None:
    collector.status, collector.headers = 302, {"Location": f"{collector.url}/elsewhere"}
    assert make_spans(to_collector(collector.url, {})) == ["the collector answered 302"]
    assert len(collector.got) == 1


def test_nobody_at_the_address_is_told_in_plain_words(collector: Collector) -> None:
    url = collector.url
    collector.close()
    assert make_spans(to_collector(url, {})) == ["Connection refused"]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    assert make_spans(to_file(tmp_path / "no" / "spans.jsonl")) == ["No such file or directory"]


def test_what_is_no_trouble_of_the_system_is_told_by_its_name() -> None:
    def send(_: bytes) -> None:
        raise TimeoutError

    assert make_spans(send) == ["TimeoutError"]


def test_no_spans_are_a_document_too() -> None:
    assert document_of([])["resourceSpans"][0]["scopeSpans"][0]["spans"] == []
