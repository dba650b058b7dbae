"""Files that are shown to models: whether the model sees their kind, and what those are whose path is plain."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.errors import FileError
from runner.core.frozen import replace
from runner.core.media import MEDIUM_KINDS, MediaRules, misfit, rules_for
from runner.core.model import Route
from runner.core.problem import Problem, listed
from runner.core.workflow import FileTemplate, RepeatedFiles, Step, Workflow

_MOST_MODELS = 4


def check_media(context: CheckContext) -> Iterator[Problem]:
    """What is wrong with the `files` of steps."""
    for name, step in context.linked.workflow.asked.items():
        route = context.routes.get(name)
        rules = rules_for(context.dialect_of(route).media, route.provider) if route is not None else None
        for entry in files_of(step):
            yield from _clip(entry)
            unseen = (
                list(_unseen(context, step, entry, route, rules)) if route is not None and rules is not None else []
            )
            yield from unseen
            if not unseen:
                yield from _look(context, step, entry, route, rules)


def files_of(step: Step) -> Iterator[FileTemplate]:
    """All entries of `files`, those that are repeated among them."""
    for entry in step.files:
        yield from entry.files if isinstance(entry, RepeatedFiles) else (entry,)


def shown_files(workflow: Workflow) -> Iterator[str]:
    """The files below the root that a workflow shows by a path that is known before anything is rendered."""
    for step in workflow.asked.values():
        for entry in files_of(step):
            name = entry.path.text.strip()
            if "{" not in name and not name.startswith("/"):
                yield posixpath.normpath(posixpath.join(posixpath.dirname(entry.path.origin.file), name))


def _clip(entry: FileTemplate) -> Iterator[Problem]:
    clip = entry.clip
    if clip is not None and clip.end is not None and clip.end <= (clip.start or 0):
        message = f"the clip ends at {clip.end:g} s, and it begins at {clip.start or 0:g} s"
        yield Problem("empty-clip", message, entry.span, fix="let 'to' be later than 'from'")


def _unseen(
    context: CheckContext, step: Step, entry: FileTemplate, route: Route, rules: MediaRules
) -> Iterator[Problem]:
    """A kind that the model does not see, or a wish that its protocol has no word for."""
    accepts = [kind for kind in MEDIUM_KINDS if kind in rules.types]
    if route.facts.accepts:
        accepts = [kind for kind in accepts if kind in route.facts.accepts]
    if entry.kind not in accepts:
        message = f"step '{step.name}' shows a file of the kind {entry.kind}, which {route.name} does not take"
        others = context.takers(entry.kind, route.provider.name)
        taken_by = ", ".join(others[:_MOST_MODELS]) + (" and others" if len(others) > _MOST_MODELS else "")
        yield Problem(
            "refused-file",
            message,
            entry.span,
            expected=listed(accepts) if accepts else "no files",
            notes=(("taken by", taken_by),) if others else (),
        )
        return
    if entry.clip is not None and not rules.has_clips:
        message = f"step '{step.name}' shows part of a video, and {route.name} takes whole ones only"
        yield Problem("refused-setting", message, entry.span, fix="leave clip out")
    if entry.resolution is not None and entry.resolution not in rules.resolutions:
        message = f"step '{step.name}' sets the resolution {entry.resolution}, which {route.name} does not take"
        words = listed(rules.resolutions)
        fix = "" if words else "leave resolution out"
        yield Problem("refused-setting", message, entry.span, expected=words, fix=fix)


def _look(
    context: CheckContext, step: Step, entry: FileTemplate, route: Route | None, rules: MediaRules | None
) -> Iterator[Problem]:
    """A file whose path is plain text can be looked at now."""
    if context.look is None or "{" in entry.path.text:
        return
    try:
        medium = context.look(step)(entry, entry.path.text.strip(), ())
    except FileError as error:
        yield from error.problems
        return
    problem = misfit(medium, rules, route.name) if route is not None and rules is not None else None
    if problem is not None:
        yield replace(problem, span=entry.span)
