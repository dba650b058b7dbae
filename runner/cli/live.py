"""The block of progress that redraws itself on a terminal.

Its thread waits before it draws, so that a run which is answered from the cache never imports rich.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import TYPE_CHECKING

from runner.cli.console import Console

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

FIRST_AFTER_S = 0.4
EVERY_S = 0.1


class LiveBlock:
    """Draws `lines()` at most ten times a second until it is stopped, then leaves no trace."""

    def __init__(
        self,
        console: Console,
        lines: Callable[[], Sequence[str]],
        *,
        first_after_s: float = FIRST_AFTER_S,
        every_s: float = EVERY_S,
    ) -> None:
        self._console = console
        self._lines = lines
        self._first_after_s = first_after_s
        self._every_s = every_s
        self._stopped = Event()
        self._thread = Thread(target=self._draw, name="live block", daemon=True)
        self._live: Live | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self.close()

    def _draw(self) -> None:
        if self._stopped.wait(self._first_after_s):
            return
        self.open()
        while not self._stopped.wait(self._every_s):
            self.refresh()

    def open(self) -> None:
        """Show the block; from now on lines of the story go above it."""
        from rich.console import Console as Terminal
        from rich.live import Live

        terminal = Terminal(file=self._console.story_stream, force_terminal=True, highlight=False, markup=False)
        with self._console.lock:
            # The thread here redraws; rich has no need of a second one.
            self._live = Live(
                console=terminal,
                get_renderable=self._text,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
            self._console.divert(self._print_above)

    def _text(self) -> Text:
        from rich.text import Text

        lines = (self._console.safe(line) for line in self._lines())
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")

    def refresh(self) -> None:
        with self._console.lock:
            if self._live:
                self._live.refresh()

    def close(self) -> None:
        with self._console.lock:
            self._console.divert(None)
            if self._live:
                self._live.stop()
                self._live = None

    def _print_above(self, text: str) -> None:
        from rich.text import Text

        if self._live:  # pragma: no branch - lines come this way only while there is a block
            self._live.console.print(Text.from_ansi(text), soft_wrap=True)
