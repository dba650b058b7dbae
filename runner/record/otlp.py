"""Where spans go: to a file, a line of OTLP in JSON for each batch, or to a collector that takes the same over HTTP."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import orjson
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.util.types import AttributeValue

from runner.core.canonical import Json
from runner.core.version import VERSION

HEADERS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
TIMEOUT_S: Final = 10.0
MOST_WAITING: Final = 65_536

Send = Callable[[bytes], None]
"""Takes a batch of spans as one line of JSON. Raises OSError."""


def provider_for(send: Send, tell: Callable[[str], None]) -> TracerProvider:
    """A provider whose spans are sent by batches; `tell` hears once what keeps them from arriving."""
    resource = Resource.create({SERVICE_NAME: "runner", "service.version": VERSION})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OtlpExporter(send, tell)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MOST_WAITING, schedule_delay_millis=1000))
    return provider


class OtlpExporter(SpanExporter):
    """What cannot be sent once is not tried again: a run is not held up by those who watch it."""

    def __init__(self, send: Send, tell: Callable[[str], None]) -> None:
        self._send = send
        self._tell = tell
        self._is_broken = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._is_broken:
            return SpanExportResult.FAILURE
        try:
            self._send(orjson.dumps(document_of(spans), option=orjson.OPT_APPEND_NEWLINE))
        except (OSError, HTTPException) as error:
            self._is_broken = True
            self._tell(_reason(error))
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS


def _reason(error: OSError | HTTPException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the collector answered {error.code}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    said = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return str(said)


def to_file(path: Path) -> Send:
    """Adds to a file, which is begun anew with the first spans."""
    mode = "wb"

    def send(data: bytes) -> None:
        nonlocal mode
        with path.open(mode) as file:
            file.write(data)
        mode = "ab"

    return send


def to_collector(url: str, environ: Mapping[str, str]) -> Send:
    """Posts to a collector, with the headers that the environment says."""
    headers = {"Content-Type": "application/json", "User-Agent": f"runner/{VERSION}", **headers_of(environ)}

    opener = urllib.request.build_opener(_NoRedirects)

    def send(data: bytes) -> None:
        request = urllib.request.Request(url, data, headers)  # noqa: S310 - the scheme was looked at
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            answer.read()

    return send


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The headers may hold a key, which is for one host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def headers_of(environ: Mapping[str, str]) -> dict[str, str]:
    """`name=value,name=value`, as the conventions have it."""
    pairs = (pair.partition("=") for name in HEADERS for pair in environ.get(name, "").split(",") if "=" in pair)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


# --- OTLP in JSON


def document_of(spans: Sequence[ReadableSpan]) -> Json:
    """An ExportTraceServiceRequest of spans that one provider has made."""
    resource = spans[0].resource if spans else Resource.get_empty()
    scope = {"name": "runner", "version": VERSION}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource.attributes)},
                "scopeSpans": [{"scope": scope, "spans": [_span(span) for span in spans]}],
            }
        ]
    }


def _span(span: ReadableSpan) -> Json:
    context = span.get_span_context()
    assert context is not None
    return {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        **({"parentSpanId": f"{span.parent.span_id:016x}"} if span.parent is not None else {}),
        "name": span.name,
        "kind": span.kind.value + 1,  # counted from 1 on the wire
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes or {}),
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.timestamp),
                "attributes": _attributes(event.attributes or {}),
            }
            for event in span.events
        ],
        "status": {"code": span.status.status_code.value},
    }


def _attributes(attributes: Mapping[str, AttributeValue]) -> list[Json]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: AttributeValue) -> Json:
    """Ours are words and numbers; of others' only the resource has more, and it may be told as text."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": str(value)}
