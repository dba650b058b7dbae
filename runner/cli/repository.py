"""Where a project stands in its repository: services that show findings there count paths from the top of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from runner.app.located_below import located_below
from runner.app.types import CheckReport
from runner.core.frozen import replace
from runner.core.problem import Problem

# Where GitHub and GitLab say that the repository is checked out.
_CHECKED_OUT_AT = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


def folder_in_repository(base: Path, environ: Mapping[str, str]) -> str:
    """The way from the top of the repository to a folder, with a slash behind it; "" where they are the same."""
    real = Path(os.path.realpath(base))
    tops = [Path(os.path.realpath(environ[name])) for name in _CHECKED_OUT_AT if environ.get(name)]
    tops += [one for one in (real, *real.parents) if (one / ".git").exists()]
    top = next((one for one in tops if real.is_relative_to(one)), real)
    return "" if top == real else f"{real.relative_to(top).as_posix()}/"


def in_repository(problems: Iterable[Problem], base: Path, environ: Mapping[str, str]) -> list[Problem]:
    """Findings whose places are told from `base`, told from the top of the repository."""
    return list(located_below(folder_in_repository(base, environ), problems))


def report_in_repository(report: CheckReport, environ: Mapping[str, str]) -> CheckReport:
    folder = folder_in_repository(report.base, environ)
    return replace(
        report,
        problems=tuple(located_below(folder, report.problems)),
        sources={f"{folder}{name}": text for name, text in report.sources.items()},
        base=Path(),
    )
