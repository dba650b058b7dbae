"""The only module that prints: standard output is the result, standard error is the story."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import RLock
from typing import IO, Literal, TextIO

from runner.cli.safe_text import fit, redact, safe_json, secret_values
from runner.cli.settings import Look, wants_color
from runner.core.canonical import Json, ordered
from runner.core.errors import StorageError
from runner.core.harmless import safe
from runner.core.problem import Problem, in_order, render

Style = Literal["", "error", "warning", "dim", "bold"]

_SGR: Mapping[Style, str] = {"error": "1;31", "warning": "33", "dim": "2", "bold": "1"}


class Console:
    """Two streams and a look. Everything foreign passes `safe` on its way out, and every secret is masked."""

    def __init__(
        self,
        look: Look,
        *,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.look = look
        self.environ = os.environ if environ is None else environ
        self.lock = RLock()
        # Either is None where the process was started without it.
        self._stdout: TextIO | None = stdout or sys.stdout
        self._stderr: TextIO | None = stderr or sys.stderr
        self._gone: set[int] = set()
        self._is_ci = self.environ.get("GITHUB_ACTIONS") == "true"
        self._secrets = secret_values(self.environ)
        self._has_color = wants_color(look.color, self.environ, is_terminal=_is_terminal(self._stderr))
        self._above: Callable[[str], None] | None = None
        self.has_open_line = False

    @property
    def is_ci(self) -> bool:
        return self._is_ci

    @property
    def is_result_shown_to_a_person(self) -> bool:
        return _is_terminal(self._stdout)

    @property
    def has_live_story(self) -> bool:
        """Whether a block that redraws itself may be shown."""
        look = self.look
        wanted = look.has_progress and not look.quiet and self.environ.get("TERM") != "dumb"
        return wanted and _is_terminal(self._stderr)

    @property
    def may_ask(self) -> bool:
        """Whether a person sees the story, and types."""
        return not self.look.quiet and _is_terminal(self._stderr) and _is_terminal(sys.stdin)

    def confirm(self, question: str) -> bool:
        """Ask a person; nothing but yes is yes."""
        with self.lock:
            self._say(self._stderr, f"{fit(self.safe(question), _encoding(self._stderr))}\ngo on? [y/N] ")
            answer = sys.stdin.readline() if sys.stdin is not None else ""
        return answer.strip().lower() in ("y", "yes")

    @contextmanager
    def owning_stdout(self) -> Iterator[None]:
        """Standard output for results alone: what a function of the project, or a program that it starts, writes to it
        goes to standard error.
        """
        stream = sys.__stdout__
        # In place of the process's own stream somebody else's may stand, which is theirs to guard.
        if stream is None or stream is not self._stdout or stream.closed:
            yield
            return
        stream.flush()
        number = stream.fileno()
        own = open(os.dup(number), "w", encoding=stream.encoding, errors=stream.errors)  # noqa: PTH123, SIM115  # closed below
        _point(number, self._stderr)
        self._stdout = own
        try:
            yield
        finally:
            with suppress(OSError):
                stream.flush()
            if id(own) in self._gone:
                self._gone = self._gone - {id(own)} | {id(stream)}
            os.dup2(own.fileno(), number)
            self._stdout = stream
            own.close()

    @property
    def story_stream(self) -> TextIO | None:
        return self._stderr

    def result(self, document: Json) -> None:
        """A JSON document: indented for a person, in one line otherwise."""
        self.result_json(self.json_text(document, is_indented=self.is_result_shown_to_a_person))

    def json_text(self, document: Json, *, is_indented: bool = False) -> str:
        if is_indented:
            return json.dumps(document, indent=2, ensure_ascii=False)
        return ordered(document).decode()

    def result_json(self, text: str) -> None:
        """One line, or more, of JSON text; flushed."""
        self._say(self._stdout, fit(safe_json(text, is_ci=self._is_ci), _encoding(self._stdout), is_json=True) + "\n")

    def failure(self, document: Json) -> None:
        """A document about something that went wrong, with secrets masked."""
        self.result_json(redact(self.json_text(document), self._secrets))

    def report(self, text: str) -> None:
        """The text report that the command was asked for."""
        if text:
            self._say(self._stdout, fit(self.safe(text), _encoding(self._stdout)) + "\n")

    def commands(self, lines: Iterable[str], *, is_result: bool = False) -> None:
        """Workflow commands of ours for the CI service; what is foreign in them is escaped already."""
        stream = self._stdout if is_result else self._stderr
        if self.look.quiet >= 2:
            return
        for line in lines:
            mark, rest = line[:2], safe(redact(line[2:], self._secrets), is_ci=True)
            self._say(stream, fit(mark + rest, _encoding(stream)) + "\n")

    def story(self, text: str, style: Style = "") -> None:
        """A line of what happens."""
        if not self.look.quiet:
            self._tell(text, style)

    def piece(self, text: str, style: Style = "") -> None:
        """Part of a line of what happens; the next whole line begins on its own."""
        if not self.look.quiet:
            shown = self._painted(fit(self.safe(text), _encoding(self._stderr)), style)
            with self.lock:
                self._say(self._stderr, shown)
                self.has_open_line = not text.endswith("\n")

    def end_line(self) -> None:
        """What follows begins on a line of its own."""
        with self.lock:
            if self.has_open_line:
                self.has_open_line = False
                self._say(self._stderr, "\n")

    def unsafe_ends(self) -> tuple[str, ...]:
        """What must be seen whole to be made harmless: text that comes in pieces may not be cut inside of it."""
        return (*self._secrets, *(("##[",) if self._is_ci else ()))

    def detail(self, text: str, *, level: int = 1) -> None:
        """A line for those who asked for more."""
        if self.look.verbosity >= level:
            self.story(text, "dim")

    def error(self, text: str) -> None:
        """What went wrong; shown also to those who want quiet."""
        if self.look.quiet < 2:
            self._tell(text, "error")

    def problems(self, problems: Iterable[Problem], sources: Mapping[str, str]) -> None:
        """Rendered findings as errors, a blank line between them."""
        for index, problem in enumerate(in_order(problems)):
            if self.look.quiet >= 2 or (self.look.quiet and not problem.is_error):
                continue
            # A value quoted in the message may hold line breaks; it shall not pass for lines of ours.
            quoted = replace(problem, message=problem.message.replace("\n", "\\n"))
            head, _, rest = render(quoted, sources).partition("\n")
            with self.lock:
                if index:
                    self._tell("", "")
                self._tell(head, "error" if problem.is_error else "warning")
                if rest:
                    self._tell(rest, "")

    def redacted(self, text: str) -> str:
        """Without the values of secrets."""
        return redact(text, self._secrets)

    def safe(self, text: str) -> str:
        return safe(redact(text, self._secrets), is_ci=self._is_ci)

    def divert(self, above: Callable[[str], None] | None) -> None:
        """While a live block is shown, lines of the story are written above it."""
        self._above = above

    def _tell(self, text: str, style: Style) -> None:
        shown = self._painted(fit(self.safe(text), _encoding(self._stderr)), style)
        with self.lock:
            self.end_line()
            if self._above is not None:
                self._above(shown)
            else:
                self._say(self._stderr, shown + "\n")

    def _painted(self, text: str, style: Style) -> str:
        if not style or not self._has_color:
            return text
        return "\n".join(f"\x1b[{_SGR[style]}m{line}\x1b[0m" if line else line for line in text.split("\n"))

    def _say(self, stream: TextIO | None, text: str) -> None:
        """Write and flush. A closed pipe ends the stream quietly; the command goes on to its own exit code."""
        if stream is None or id(stream) in self._gone or (stream is self._stdout and self.look.quiet >= 2):
            return
        try:
            with self.lock:
                stream.write(text)
                stream.flush()
        except OSError as error:
            self._gone.add(id(stream))
            silence(stream)
            if stream is self._stdout and not isinstance(error, BrokenPipeError):
                reason = error.strerror or "unknown reason"
                raise StorageError(
                    Problem("unwritable-output", f"the result could not be written to standard output: {reason}")
                ) from None


def _point(number: int, stream: TextIO | None) -> None:
    """Have a descriptor go where the stream goes, or nowhere."""
    if stream is not None:
        with suppress(OSError, ValueError):
            os.dup2(stream.fileno(), number)
            return
    _point_at_nothing(number)


def _point_at_nothing(number: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)


def silence(stream: IO[str]) -> None:
    """Point the stream at nothing, so that what is still buffered fails nowhere at exit."""
    with suppress(OSError, ValueError):
        _point_at_nothing(stream.fileno())


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _encoding(stream: TextIO | None) -> str | None:
    return getattr(stream, "encoding", None)


def columns(rows: Sequence[Sequence[str]], gap: str = "   ") -> str:
    """Rows as left-aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        gap.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
