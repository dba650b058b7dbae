"""Under xdist one process asks, the controller; the workers hear its verdicts case by case, through a folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runner.app.suite_session import SuiteSession
from runner.app.types import RunOptions
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass
from runner.core.problem import render_all
from runner.core.span import Span
from runner.suites.cases import THRESHOLDS
from runner.suites.verdict import Finding, Kind, Measured, Taken, Verdict

ENDED = "ended"
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class Heard:
    """What the controller says of a case: its verdict and the run that holds it, or why there is none."""

    verdict: Verdict | None
    run: str = ""
    refusal: str = ""


class Controller:
    """Asks for the cases of all suites, one suite after the other, and tells each verdict as soon as it is known."""

    def __init__(self, options: RunOptions) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="runner-suites-"))
        self._options = options
        self._current: SuiteSession | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def begin(self, root: Path, nodes: Iterable[str]) -> None:
        """Every worker collects the same nodes: the first that says so starts the asking."""
        if self._thread is not None:
            return
        wanted: dict[str, list[str]] = {}
        for node in nodes:
            file, _, name = node.partition("::")
            if name:
                wanted.setdefault(file, []).append(name)
        self._thread = threading.Thread(target=self._run, args=(root, wanted), name="suites", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ask nothing more; what is under way is kept."""
        with self._lock:
            self._stopped.set()
            if self._current is not None:
                self._current.stop()
        if self._thread is not None:
            self._thread.join()
        self._tell_the_end()

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, root: Path, wanted: Mapping[str, Sequence[str]]) -> None:
        try:
            for file, names in wanted.items():
                self._ask(root, file, names)
        finally:
            self._tell_the_end()

    def _tell_the_end(self) -> None:
        with suppress(FileNotFoundError):  # nobody listens any longer
            (self.folder / ENDED).touch()

    def _ask(self, root: Path, file: str, selected: Sequence[str]) -> None:
        names = list(selected)
        session: SuiteSession | None = None
        try:
            with self._lock:
                if self._stopped.is_set():
                    return
                session = self._current = SuiteSession(root / file, self._options)
            names = counted(selected, session.units)
            session.start(names)
            if self._stopped.is_set():
                session.stop()
            for name in names:
                self._tell(f"{file}::{name}", {"verdict": asdict(session.verdict(name)), "run": session.run})
        except RunnerError as error:
            sources = {**session.suite.sources, **error.sources} if session else error.sources
            for name in names:
                self._tell(f"{file}::{name}", {"refusal": render_all(error.problems, sources)})
        finally:
            if session is not None:
                session.finish()

    def _tell(self, node: str, said: Mapping[str, Any]) -> None:
        path = _path(self.folder, node)
        if not path.exists():
            aside = path.with_suffix(".new")
            aside.write_text(json.dumps(said), encoding="utf-8")
            os.replace(aside, path)  # noqa: PTH105 - whole or not at all


def counted(selected: Sequence[str], units: Iterable[str]) -> list[str]:
    """The cases to run of what was selected. The thresholds alone are about all cases: of none they would say nothing."""
    return [name for name in selected if name != THRESHOLDS] or list(units)


def hear(folder: Path, node: str) -> Heard:
    """Wait for what the controller says of a case. Nothing, where it stopped before the case."""
    path = _path(folder, node)
    while True:
        has_ended = not folder.exists() or (folder / ENDED).exists()
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if has_ended:
                return Heard(None, refusal="stopped before it was asked")
            time.sleep(_PAUSE_S)
            continue
        if "refusal" in said:
            return Heard(None, refusal=said["refusal"])
        return Heard(_verdict(said["verdict"]), said["run"])


def _path(folder: Path, node: str) -> Path:
    return folder / f"{hashlib.sha256(node.encode()).hexdigest()[:32]}.json"


def _verdict(said: Mapping[str, Any]) -> Verdict:
    return Verdict(
        said["unit"],
        Kind(said["kind"]),
        tuple(_finding(one) for one in said["findings"]),
        Taken(**{**said["taken"], "models": tuple(said["taken"]["models"])}),
        {name: Measured(**one) for name, one in said["metrics"].items()},
        said["snapshots"],
        said["since"],
    )


def _finding(said: Mapping[str, Any]) -> Finding:
    return Finding(**{**said, "details": tuple(said["details"]), "span": Span(**said["span"])})
