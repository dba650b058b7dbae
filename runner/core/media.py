"""Files that a question shows the model: pictures, sounds, videos and documents, named by what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal, get_args

from runner.core.frozen import dataclass, replace
from runner.core.model import Provider
from runner.core.problem import Problem, listed

# No service takes a larger file.
MAX_FILE_BYTES = 2_000_000_000

MediumKind = Literal["image", "audio", "video", "document"]
MEDIUM_KINDS: tuple[MediumKind, ...] = get_args(MediumKind)
Resolution = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Clip:
    """The part of a video to look at, in seconds, and how many pictures of each second; None where it is not said."""

    start: float | None = None
    end: float | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class Medium:
    """One file of a question. What it holds is its `sha256`; where it lies (`path`, absolute) and how it is called
    (`shown`) say nothing about the answer, so that they neither enter the key nor make two media differ.
    """

    kind: MediumKind
    mime: str
    sha256: str
    size: int
    clip: Clip | None = None
    resolution: Resolution | None = None
    path: str = field(default="", compare=False)
    shown: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A medium in the body of a request.

    The body holds `mark` in its place, which names the digest; the attachments of a request stand in the order of
    their marks. `inline` is what goes before and after the file's bytes when they are sent within the body, in base64
    or, with `is_text`, as the characters of a JSON string; `uploaded` what goes before and after the provider's name
    of the file (None where it takes none). Both take the place of the mark; `by_upload` says which one does.
    """

    medium: Medium
    mark: bytes
    inline: tuple[bytes, bytes]
    uploaded: tuple[bytes, bytes] | None = None
    is_text: bool = False
    by_upload: bool = False


@dataclass(frozen=True, slots=True)
class MediaRules:
    """What a protocol can carry: MIME types by kind, resolutions, and whether a part of a video can be named.

    A request may have `request_bytes`, files within it among them, a PDF within it `pdf_bytes`. Beyond that files of
    the kinds in `uploads`, but for the types in `only_inline`, can be uploaded first, of at most `file_bytes` each,
    where the service takes uploads. A request with more than `upload_over` has them uploaded although it has room.
    """

    types: Mapping[MediumKind, frozenset[str]] = field(default_factory=dict)
    resolutions: frozenset[Resolution] = frozenset()
    has_clips: bool = False
    request_bytes: int = MAX_FILE_BYTES
    upload_over: int = MAX_FILE_BYTES
    pdf_bytes: int = MAX_FILE_BYTES
    uploads: frozenset[MediumKind] = frozenset()
    only_inline: frozenset[str] = frozenset()
    file_bytes: int = MAX_FILE_BYTES


def rules_for(rules: MediaRules, provider: Provider) -> MediaRules:
    """What one provider takes of what its protocol carries: a gateway or a project's own server takes uploads only
    where the project says so.
    """
    over = provider.settings.get("upload_over")
    if over is not None:
        return replace(rules, upload_over=int(over))
    has_uploads = provider.is_builtin and "server" not in provider.settings
    return rules if has_uploads else replace(rules, uploads=frozenset())


def inline_bytes(medium: Medium) -> int:
    """What a file takes within a request: base64 writes three bytes as four characters."""
    return medium.size if medium.mime.startswith("text/") else -(-medium.size // 3) * 4


def to_upload(media: Sequence[Medium], rest_bytes: int, rules: MediaRules) -> frozenset[int] | None:
    """The positions of the files to upload so that the request is no larger than it should be, the largest first.

    `rest_bytes` is what the request takes without files. None when no uploads make it as small as it must be.
    """
    chosen = {n for n, one in enumerate(media) if one.mime == "application/pdf" and one.size > rules.pdf_bytes}
    total = rest_bytes + sum(inline_bytes(one) for n, one in enumerate(media) if n not in chosen)
    order = sorted((n for n in range(len(media)) if n not in chosen), key=lambda n: -media[n].size)
    for number in order:
        if total <= min(rules.request_bytes, rules.upload_over):
            break
        if can_be_uploaded(media[number], rules):
            chosen.add(number)
            total -= inline_bytes(media[number])
    is_small = total <= rules.request_bytes and all(can_be_uploaded(media[n], rules) for n in chosen)
    return frozenset(chosen) if is_small else None


def can_be_uploaded(medium: Medium, rules: MediaRules) -> bool:
    return _is_taken_uploaded(medium, rules) and medium.size <= rules.file_bytes


def _is_taken_uploaded(medium: Medium, rules: MediaRules) -> bool:
    return medium.kind in rules.uploads and medium.mime not in rules.only_inline


def misfit(medium: Medium, rules: MediaRules, model: str) -> Problem | None:
    """Why a file cannot be shown to a model by itself; the problem has no place yet."""
    types = rules.types.get(medium.kind, frozenset())
    if medium.mime not in types:
        message = f"{medium.shown} is {medium.mime}, which {model} does not take"
        return Problem("refused-file", message, expected=listed(types))
    if to_upload((medium,), 0, rules) is None:
        most = rules.file_bytes if _is_taken_uploaded(medium, rules) else _most_inline(medium, rules)
        message = f"{medium.shown} has {medium.size:,} bytes, more than {model} takes"
        return Problem("too-large", message, expected=f"at most {most:,} bytes")
    return None


def _most_inline(medium: Medium, rules: MediaRules) -> int:
    """How large a file may be within a request, which writes most files in base64."""
    is_text = medium.mime.startswith("text/")
    within = rules.request_bytes if is_text else rules.request_bytes // 4 * 3
    return min(within, rules.pdf_bytes) if medium.mime == "application/pdf" else within
