"""What of a step's question is the same for all items: found from what its texts read, never from what they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from runner.core.frozen import dataclass
from runner.core.workflow import (
    Expression,
    FileTemplate,
    MessageTemplate,
    RepeatedFiles,
    RepeatedMessages,
    Step,
    Template,
)
from runner.link.readings import ReadText
from runner.link.scope import Place


@dataclass(frozen=True, slots=True)
class SharedEntries:
    """So many entries of `messages`, from the first on, are the same for all items, and so many of `files`.

    Where the system text is not, nothing of the question is: it goes before all others.
    """

    messages: int = 0
    files: int = 0
    is_system: bool = True


def shared_entries(
    step: Step, place: Place, texts: Sequence[ReadText], lane_of: Mapping[str, str], below: frozenset[str]
) -> SharedEntries:
    """`texts` are those of the question, `lane_of` has the lane of each step, `below` those that walk an item's own rows."""
    changing = {id(text.source) for text in texts if _reads_item(text, place, lane_of, below)}

    def is_same(entry: MessageTemplate | RepeatedMessages | FileTemplate | RepeatedFiles) -> bool:
        return not any(id(source) in changing for source in _sources(entry))

    return SharedEntries(
        messages=len(list(takewhile(is_same, step.messages))),
        files=len(list(takewhile(is_same, step.files))),
        is_system=id(step.system) not in changing,
    )


def _reads_item(text: ReadText, place: Place, lane_of: Mapping[str, str], below: frozenset[str]) -> bool:
    own = place.item_names | place.others
    if any(reference.path[0] in own for reference in text.readings.references):
        return True
    if below & {use.step for use in text.uses}:
        return True
    return any(not use.is_barrier and bool(place.lane) and lane_of[use.step] == place.lane for use in text.uses)


def _sources(
    entry: MessageTemplate | RepeatedMessages | FileTemplate | RepeatedFiles,
) -> Iterator[Template | Expression]:
    if isinstance(entry, MessageTemplate):
        yield entry.text
    elif isinstance(entry, FileTemplate):
        yield entry.path
    else:
        yield entry.items
        inner = entry.messages if isinstance(entry, RepeatedMessages) else entry.files
        yield from (one.text if isinstance(one, MessageTemplate) else one.path for one in inner)
