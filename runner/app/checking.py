"""All findings of some workflow and suite files: structure, references and facts, rows, and what nothing uses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from runner.app.columns import check_columns
from runner.app.located_below import base_of, folders_below, located_below
from runner.app.project import Project, open_project
from runner.app.routes import complete_route
from runner.app.row_findings import check_rows
from runner.app.surroundings import Surroundings
from runner.app.types import CheckReport
from runner.app.unused_files import is_whole, unused_files
from runner.checks.enforcement import Enforcement, enforcements
from runner.checks.models import model_notes
from runner.checks.unread import unread_fields
from runner.config.including import is_suite_name
from runner.config.load import SETTINGS_FILE, ProjectFiles, find_root
from runner.core.model import Route
from runner.core.problem import Problem, in_order
from runner.core.span import Span


class Checking:
    """What was found so far. `used` are the files that were read, by the root of their project.

    `changed` is what some files, by their real paths, are taken to hold; with `is_strict` comments that silence nothing
    are findings. Without `is_walking` neither rows nor notes are looked at. Of several projects, `below` says in which
    folder each stands, and every place is told from the folder that holds them all.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        models: Mapping[str, str],
        changed: Mapping[Path, bytes],
        *,
        is_strict: bool,
        is_walking: bool,
    ) -> None:
        self.base = base_of(paths)
        self.below = folders_below(paths)
        self.around = cache(Surroundings)
        self.models = models
        self.changed = changed
        self.is_strict = is_strict
        self.is_walking = is_walking
        self.owners: dict[str, tuple[ProjectFiles, str]] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self.schemas: list[Enforcement] = []
        self.sources: dict[str, str] = {}
        self.names: list[str] = []
        self.used: dict[Path, set[str]] = {}
        self.walked: set[tuple[Path, Span]] = set()

    def report(self) -> CheckReport:
        """What was found, in the order of places."""
        return CheckReport(
            tuple(in_order(self.problems)),
            self.sources,
            tuple(self.names),
            tuple(in_order(self.notes)),
            tuple(self.schemas),
            self.base,
        )

    def take(self, path: Path) -> None:
        files, project, found, read = self._opened(path)
        below = self.below.get(files.root, "")
        self.problems += located_below(below, found)
        self.sources |= {f"{below}{name}": text for name, text in read.items()}
        self.owners |= {f"{below}{name}": (files, name) for name in read}
        self.names.append(f"{below}{files.display(path)}")
        self.used.setdefault(files.root, set()).update(read)
        if project is not None:
            self.used[files.root].update(project.read_files, project.sources)
            if not self.is_walking:
                return
            self.problems += located_below(below, self._rows(project))
            context = project.context
            if context is not None:
                self.notes += located_below(below, (*unread_fields(context), *model_notes(context)))
                self.schemas += enforcements(context, f"{below}{files.display(path)}")

    def _opened(self, path: Path) -> tuple[ProjectFiles, Project | None, Sequence[Problem], Mapping[str, str]]:
        """A file as what it is: settings, a suite, or a workflow."""
        if path.name == SETTINGS_FILE:
            from runner.app.settings_check import open_settings

            root = find_root(path)
            loaded = open_settings(root, self.changed, is_strict=self.is_strict)
            return ProjectFiles(root, self.changed), None, loaded.problems, loaded.sources
        if is_suite_name(path.name):
            from runner.app.suites import open_suite

            suite = open_suite(
                path, self.models, _complete, changed=self.changed, is_strict=self.is_strict, around=self.around
            )
            return suite.files, suite.project, suite.problems, suite.sources
        project = open_project(
            path, self.models, _complete, changed=self.changed, is_strict=self.is_strict, around=self.around
        )
        return project.files, project, project.problems, project.sources

    def _rows(self, project: Project) -> Iterator[Problem]:
        """What is wrong with the rows that a workflow reads; what an included file declares is walked once."""
        if project.workflow is None or project.linked is None:
            return
        data = project.workflow.data
        used = project.linked.files_walked & data.keys()
        places = {name: (project.files.root, data[name].span) for name in used}
        fresh = [name for name, place in places.items() if place not in self.walked]
        self.walked.update(places.values())
        yield from check_rows(project.workflow, fresh, project.files)
        yield from check_columns(project.linked, project.files)

    def unused(self, folders: Sequence[Path]) -> Iterator[Problem]:
        """Files that nothing uses, where the folders hold a whole project."""
        for root, files in self.used.items():
            if any(is_whole(folder, root) for folder in folders):
                yield from located_below(self.below.get(root, ""), unused_files(root, files, self.around(root)))


def _complete(route: Route, files: ProjectFiles) -> Route | Problem:
    return complete_route(route, files, os.environ)
