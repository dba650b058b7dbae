"""Files in a body: a mark that names the digest stands where the transport puts what they hold.

So the body that is keyed is small, and the same whichever way a file travels. Parts are written as plain JSON here;
what the marks look like in the finished body follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.core.call import Call
from runner.core.canonical import Json, ordered
from runner.core.frozen import dataclass
from runner.core.long_text import Body
from runner.core.media import Attachment, MediaRules, Medium, rules_for, to_upload
from runner.core.model import Provider

TEXT = "text/plain"

# Names that providers want for what has none: that of the author's file says nothing of what it holds.
FILE_NAMES: Mapping[str, str] = {"application/pdf": "document.pdf", TEXT: "document.txt"}


@dataclass(frozen=True, slots=True)
class Part:
    """A medium in a protocol's own shape.

    `fields` are those that give way to the file, `before` and `after` the fields around them, `inline` the same
    fields as they are sent, with `HERE` where the content goes, `uploaded` those that name an uploaded file instead.
    """

    medium: Medium
    fields: Mapping[str, Json]
    inline: Mapping[str, Json]
    uploaded: Mapping[str, Json] | None = None
    is_text: bool = False


HERE = "\x00"
_HERE = b"\\u0000"


def name_of(medium: Medium) -> str:
    """What stands for the content of a file in a body."""
    return f"sha256:{medium.sha256}"


def attachments(
    call: Call, part_of: Callable[[Medium], Part], rules: MediaRules, provider: Provider, body: Body
) -> tuple[Attachment, ...]:
    """What the transport is told of the files of a call, in the order in which they stand in its body.

    Files that a request has no room for are uploaded, the largest first.
    """
    media = [medium for message in call.messages for medium in message.files]
    if not media:
        return ()
    chosen = to_upload(media, len(body), rules_for(rules, provider)) or frozenset()
    return tuple(_attachment(part_of(medium), number in chosen) for number, medium in enumerate(media))


def _attachment(part: Part, by_upload: bool) -> Attachment:
    return Attachment(
        medium=part.medium,
        mark=_inside(part.fields),
        inline=_split(part.inline),
        uploaded=None if part.uploaded is None else _split(part.uploaded),
        is_text=part.is_text,
        by_upload=by_upload and part.uploaded is not None,
    )


def _inside(fields: Mapping[str, Json]) -> bytes:
    """Fields as they stand in a body, without the braces around them."""
    return ordered(dict(fields))[1:-1]


def _split(fields: Mapping[str, Json]) -> tuple[bytes, bytes]:
    before, after = _inside(fields).split(_HERE)
    return before, after


def data_url(medium: Medium, *, is_mark: bool) -> str:
    """A file within a URL; the mark of one names its digest."""
    return f"data:{medium.mime};sha256,{medium.sha256}" if is_mark else f"data:{medium.mime};base64,{HERE}"
