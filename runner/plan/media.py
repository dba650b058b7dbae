"""The files of a question: their paths rendered, looked at, and put where the model sees them. Pure but for `find`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from runner.core.call import Call, Message
from runner.core.canonical import Json
from runner.core.frozen import replace
from runner.core.media import MediaRules, Medium, inline_bytes, misfit, to_upload
from runner.core.model import Route
from runner.core.ports import FindMedium
from runner.core.problem import Problem
from runner.core.workflow import FileTemplate
from runner.link.parts import LinkedFile
from runner.templates.expression import CompiledExpression
from runner.templates.problems import RenderFailed

ListOf = Callable[[CompiledExpression, Mapping[str, Json]], Sequence[Json]]


def render_files(
    entry: LinkedFile, values: Mapping[str, Json], find: FindMedium, list_of: ListOf
) -> Iterator[tuple[FileTemplate, Medium]]:
    """The files of one entry of `files`. Raises RenderFailed."""
    if entry.items is not None:
        for element in list_of(entry.items, values):
            for inner in entry.inner:
                yield from render_files(inner, {**values, entry.name: element}, find, list_of)
        return
    assert entry.file is not None
    assert entry.path is not None
    path = entry.path.render(values).strip()
    if not path:
        message = f"the path of the {entry.file.kind} is empty"
        raise RenderFailed(Problem("empty-path", message, entry.file.span))
    yield entry.file, find(entry.file, path, entry.lead)


def ensure_fitting(found: Sequence[tuple[FileTemplate, Medium]], rules: MediaRules, route: Route) -> None:
    """Whether the files of a question can be sent, one by one and together. Raises RenderFailed."""
    for entry, medium in found:
        problem = misfit(medium, rules, route.name)
        if problem is not None:
            raise RenderFailed(replace(problem, span=entry.span))
    media = [medium for _, medium in found]
    if to_upload(media, 0, rules) is None:
        total = sum(inline_bytes(medium) for medium in media)
        message = f"the files together take {total:,} bytes of a request, more than {route.name} takes"
        raise RenderFailed(
            Problem("too-large", message, found[0][0].span, expected=f"at most {rules.request_bytes:,} bytes")
        )


def with_files(messages: Sequence[Message], files: tuple[Medium, ...]) -> tuple[Message, ...]:
    """The files stand before the text of the last message of the user, which asks about them."""
    last = max((number for number, message in enumerate(messages) if message.role == "user"), default=None)
    if last is None or not files:
        return tuple(messages)
    return tuple(replace(one, files=files) if number == last else one for number, one in enumerate(messages))


def digests_of(call: Call) -> dict[str, Json]:
    """What each file holds and how it is looked at, by its path: so that a change can be told."""
    found: dict[str, list[Json]] = {}
    for message in call.messages:
        for medium in message.files:
            found.setdefault(medium.shown, []).append(_brief(medium))
    return {path: briefs[0] if len(briefs) == 1 else briefs for path, briefs in found.items()}


def _brief(medium: Medium) -> Json:
    clip = medium.clip
    asked = [medium.kind, clip and [clip.start, clip.end, clip.fps], medium.resolution]
    return [medium.sha256, *asked] if clip or medium.resolution else medium.sha256
