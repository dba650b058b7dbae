"""What the commands and the Python interface hand in and get back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runner.core.frozen import dataclass

if TYPE_CHECKING:
    from runner.checks.enforcement import Enforcement
    from runner.core.budget import Limit
    from runner.core.canonical import Json
    from runner.core.events import Heard
    from runner.core.outcome import Outcome
    from runner.core.problem import Problem
    from runner.core.traffic import SeeTraffic
    from runner.record.summary import RunSummary

Command = Literal["run", "test"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run; everything has the default of a plain `runner run FLOW`.

    `inputs` are values already (`-i n=v` gives text, which is read as JSON where the input's schema asks for
    something else; see `input_texts`). `data` maps a source's name to a path typed by the user, which is trusted.
    `models` maps an alias to `provider/model`. `refresh` names steps to ask again, or holds "*" for all.
    `select` names the steps that may be asked (`step`, `step+`, `+step`, `tag:x`, `changed`); none means all.
    With `is_only_failed` only the items whose last outcome was a failure are asked, and what reads them.
    `saved_plan` is the file of a plan that must still hold; with `is_locked` all must be as `runner.lock` says,
    and `updates_lock` writes it.
    `use_cache=False` neither reads nor writes stored answers. `trust` names providers whose key may go to their
    host. `stdin` holds what was read from standard input for data sources, `stdin_reader` says what has read it
    already (such as "-i text=-"): it can be read once. `environ` replaces the process's environment (tests).

    `max_cost` bounds the money of this run, besides the budgets of the files. `has_consent` lets it start whatever it
    may cost; otherwise, above `consent_usd` (None: the budget, else 1 USD) or where a price is not known, `ask` is
    asked with the question, and without it the run does not start. `tell` takes details that somebody may want.
    `writes` are files that the caller will write, by option: one that the workflow reads is refused.

    `is_batch` asks all steps in batches whose provider has them; `is_detached` hands batch jobs over and waits for none.
    With `hear`, answers are streamed, and their text is told as it comes. `watch` is told where to look at the requests
    under way, as soon as there may be any.
    `words` are those of the command line, for a run that is taken up again by its id. `samples` is how often each case
    of a suite is asked, 0 for what the suite says. `processes` is how many replay the cases of a suite.
    """

    inputs: Mapping[str, Json] = field(default_factory=dict)
    input_texts: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Path] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    is_offline: bool = False
    refresh: frozenset[str] = frozenset()
    select: tuple[str, ...] = ()
    is_only_failed: bool = False
    saved_plan: Path | None = None
    is_locked: bool = False
    updates_lock: bool = False
    is_recording: bool = False
    use_cache: bool = True
    is_fail_fast: bool = False
    max_parallel: int = 8
    trust: frozenset[str] = frozenset()
    verbosity: int = 0
    environ: Mapping[str, str] | None = None
    stdin: Mapping[str, bytes] = field(default_factory=dict)
    stdin_reader: str = ""
    max_cost: Limit | None = None
    has_consent: bool = False
    consent_usd: float | None = None
    writes: Mapping[str, Path] = field(default_factory=dict)
    ask: Callable[[str], bool] | None = None
    tell: Callable[[str], None] | None = None
    is_batch: bool = False
    is_detached: bool = False
    words: tuple[str, ...] = ()
    hear: Callable[[Heard], None] | None = None
    samples: int = 0
    processes: int = 1
    watch: Callable[[SeeTraffic], None] | None = None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings of some workflow files, and the texts their places point into. `files` were checked.

    `notes` are worth a look and nothing more: most are as their author wants them. `schemas` say for each step with a
    schema who holds the answer to it. Paths are told from the folder `base`.
    """

    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    files: tuple[str, ...]
    notes: tuple[Problem, ...] = ()
    schemas: tuple[Enforcement, ...] = ()
    base: Path = Path()

    @property
    def errors(self) -> int:
        return sum(problem.is_error for problem in self.problems)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run gave. `outputs` is the JSON document of standard output; `exit_code` as in the documentation.

    `problems` explain failures in the author's words (one for each kind and step, with the first items), and
    `failures` are the outcomes themselves. `failed_files` hold the rows that tables lack because they failed.
    """

    run: str
    outputs: Json
    exit_code: int
    summary: RunSummary
    failures: tuple[Outcome, ...] = ()
    problems: tuple[Problem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    failed_files: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return self.exit_code == 0
