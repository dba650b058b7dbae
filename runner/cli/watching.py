"""What tells others how a run stands: its spans on their way, and the file of its metrics."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from runner.app.metrics_file import MetricsFile
from runner.cli import files
from runner.cli.collectors import is_file
from runner.cli.console import Console
from runner.core.ports import EventSink


def event_printer(console: Console) -> EventSink:
    """A line on standard output for each event."""
    from runner.record.lines import to_line, to_record

    return lambda event: console.result_json(to_line(to_record(event)).decode().rstrip("\n"))


def metrics_file(path: Path, console: Console) -> MetricsFile:
    """The file of `--metrics`, without a key in any name."""
    return MetricsFile(
        path,
        lambda reason: console.story(f"--metrics: {reason}", "warning"),
        write=lambda target, text: files.write_whole(target, console.redacted(text)),
    )


class SentSpans:
    """Each sink of events is one run. What keeps spans from arriving is told once, and ends no run."""

    def __init__(self, target: str, console: Console) -> None:
        from runner.record.otlp import provider_for, to_collector, to_file
        from runner.record.spans import Spans

        self._console = console
        send = to_file(Path(target)) if is_file(target) else to_collector(target, console.environ)
        self._provider = provider_for(lambda data: send(console.redacted(data.decode()).encode()), self._tell)
        self._new = Spans

    def _tell(self, reason: str) -> None:
        self._console.story(f"--otel: spans could not be sent: {reason}", "warning")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._provider.shutdown()

    def sink(self) -> EventSink:
        """A sink for the events of one more run."""
        return self._new(self._provider)
