"""`runner test -n N`: the cases of a large suite replayed and judged by several processes, from stored answers."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from runner.app.suite_session import SuiteSession
from runner.app.types import RunOptions
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass, replace
from runner.core.problem import render_all
from runner.suites.verdict import Verdict

FEWEST: Final = 100
"""Cases that are worth a process of their own: it reads and checks the suite again."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a process says of a case: its verdict and the run that holds it, or why there is none."""

    verdict: Verdict | None
    run: str = ""
    refusal: str = ""


def processes_for(options: RunOptions, cases: int) -> int:
    """How many processes replay so many cases. One, unless nothing is asked and nothing is written over all of them."""
    is_apart = options.is_offline and not (options.is_recording or options.is_locked or options.updates_lock)
    return max(1, min(options.processes, cases // FEWEST)) if is_apart else 1


class Replayers:
    """The processes of one suite. Each case is heard from the one that has it, in its own time."""

    def __init__(self, path: Path, options: RunOptions, names: Sequence[str]) -> None:
        count = processes_for(options, len(names))
        context = multiprocessing.get_context("spawn")
        own = replace(options, ask=None, tell=None, hear=None, watch=None)
        self._heard: dict[str, Replayed] = {}
        self._whose: dict[str, int] = {name: number % count for number, name in enumerate(names)}
        self._ends: list[Connection] = []
        self._processes = []
        for number in range(count):
            end, other = context.Pipe(duplex=False)
            share = [name for name, whose in self._whose.items() if whose == number]
            process = context.Process(target=_replay, args=(other, path, own, share), daemon=True)
            process.start()
            other.close()
            self._ends.append(end)
            self._processes.append(process)

    def hear(self, name: str) -> Replayed:
        end = self._ends[self._whose[name]]
        while name not in self._heard:
            try:
                self._heard |= end.recv()
            except EOFError:
                return Replayed(None, refusal="the process that replayed the case ended before it was judged")
        return self._heard[name]

    def close(self) -> None:
        """Those that have not told all are not waited for."""
        is_whole = len(self._heard) == len(self._whose)
        for process, end in zip(self._processes, self._ends, strict=True):
            end.close()
            if not is_whole:
                process.terminate()
            process.join()


def _replay(end: Connection, path: Path, options: RunOptions, names: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the process that started it
    with suppress(BrokenPipeError):
        for told in _replayed(path, options, names):
            end.send(told)
    end.close()


def _replayed(path: Path, options: RunOptions, names: Sequence[str]) -> Iterator[Mapping[str, Replayed]]:
    session: SuiteSession | None = None
    try:
        session = SuiteSession(path, options)
        for name in names:
            verdict = session.verdict(name)
            yield {name: Replayed(verdict, session.run)}
    except RunnerError as error:
        refusal = render_all(error.problems, error.sources)
        yield {name: Replayed(None, refusal=refusal) for name in names}
    finally:
        if session is not None:
            session.finish()
