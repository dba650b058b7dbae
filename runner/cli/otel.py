"""The spans of a run on their way: to a file or to a collector."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from runner.cli.collectors import is_file
from runner.cli.console import Console
from runner.core.events import Event
from runner.record.otlp import provider_for, to_collector, to_file
from runner.record.spans import Spans


class SentSpans:
    """A sink of events. What keeps spans from arriving is told once, and ends no run."""

    def __init__(self, target: str, console: Console) -> None:
        self._console = console
        send = to_file(Path(target)) if is_file(target) else to_collector(target, console.environ)
        self._provider = provider_for(lambda data: send(console.redacted(data.decode()).encode()), self._tell)
        self._spans = Spans(self._provider)

    def _tell(self, reason: str) -> None:
        self._console.story(f"--otel: spans could not be sent: {reason}", "warning")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._provider.shutdown()

    def __call__(self, event: Event) -> None:
        self._spans(event)
