"""The files that questions show: found below the root, looked at once, named by the digest of what they hold."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from runner.config.load import ProjectFiles
from runner.core.cut_media import is_cut
from runner.core.errors import FileError
from runner.core.frozen import dataclass, replace
from runner.core.magic import HEAD_BYTES, types_of
from runner.core.media import MAX_FILE_BYTES, Medium, MediumKind
from runner.core.ports import FindMedium
from runner.core.problem import Problem
from runner.core.workflow import FileTemplate, Step, Workflow
from runner.link.parts import Lane, LinkedStep

_CHUNK = 1024 * 1024
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_WORDS: Mapping[MediumKind, str] = {
    "image": "an image",
    "audio": "a sound",
    "video": "a video",
    "document": "a document",
}


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one look at a file found: its MIME type for each kind that it may be, its digest, its size, whether it lacks its end."""

    types: Mapping[MediumKind, str]
    sha256: str
    size: int
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class _Base:
    """Where a path starts, and the folder that it may not leave; None where the user has typed it."""

    folder: Path
    within: ProjectFiles | None


class MediaFiles:
    """Looks at files; one that has not changed (path, size and time) is read once.

    `typed_inputs` names the inputs whose value the user typed: a path in one is the user's own, relative to the
    working folder. `given` maps data sources to the files that the user named instead of theirs. Unless `is_whole` only
    the first bytes of files are read, and nothing has a digest.
    """

    def __init__(
        self,
        files: ProjectFiles,
        workflow: Workflow,
        typed_inputs: frozenset[str] = frozenset(),
        given: Mapping[str, Path] | None = None,
        *,
        is_whole: bool = True,
    ) -> None:
        self._files = files
        self._workflow = workflow
        self._typed = typed_inputs
        self._given = given or {}
        self._is_whole = is_whole
        self._looked: dict[tuple[str, int, int], _Looked] = {}

    @property
    def seen(self) -> frozenset[str]:
        """The files below the root that were looked at, relative to it."""
        root = os.path.realpath(self._files.root) + os.sep
        return frozenset(Path(path[len(root) :]).as_posix() for path, _, _ in self._looked if path.startswith(root))

    def of_linked(self, linked: LinkedStep, lanes: Mapping[str, Lane]) -> FindMedium | None:
        """What looks at the files of a step, None for a step without files."""
        return self.of_step(linked.step, lanes[linked.lane].data if linked.lane else "") if linked.files else None

    def _file_of(self, source: str) -> str:
        """The source whose file the rows come from; made rows lie where those lie that they are made from."""
        made = self._workflow.data[source].made
        while made is not None:
            source = made.rows.text.strip().removeprefix("data.")
            made = self._workflow.data[source].made
        return source

    def of_step(self, step: Step, source: str = "") -> FindMedium:
        """Looks at the files of one step; `source` is the data source that it runs over, or ""."""
        rows = frozenset({"item", step.for_each.name}) if step.for_each and source else frozenset()

        def find(entry: FileTemplate, path: str, lead: tuple[str, ...]) -> Medium:
            try:
                return self._find(entry, path, self._base(entry, lead, source if lead[:1] and lead[0] in rows else ""))
            except FileError as error:
                raise FileError([replace(one, span=entry.span) for one in error.problems]) from None

        return find

    def _base(self, entry: FileTemplate, lead: tuple[str, ...], source: str) -> _Base:
        """Where a path starts: beside the rows that it comes from, where the user is, or beside its template."""
        source = self._file_of(source) if source else ""
        if source in self._given:
            folder = Path(os.path.realpath(self._given[source])).parent
            is_inside = folder.is_relative_to(os.path.realpath(self._files.root))
            return _Base(folder, self._files if is_inside else ProjectFiles(folder))
        if source:
            return _Base(self._files.root / self._workflow.data[source].folder, self._files)
        if len(lead) == 2 and lead[0] == "inputs" and lead[1] in self._typed:
            return _Base(Path.cwd(), None)
        return _Base(self._files.root / os.path.dirname(entry.path.origin.file), self._files)  # noqa: PTH120

    def _find(self, entry: FileTemplate, path: str, base: _Base) -> Medium:
        if _URL.match(path):
            message = f"{path} is a URL, and only files are shown to models"
            raise FileError(Problem("not-a-file", message, expected="the path of a file"))
        located = _locate(path, base)
        shown = self._files.display(base.folder / path)
        looked = self._look(located, shown)
        mime = looked.types.get(entry.kind)
        if mime is None:
            raise FileError(_wrong_kind(entry, shown, looked, path))
        if looked.is_cut:
            message = f"{shown} ends in the middle: it is no whole {_noun(entry.kind)} ({mime})"
            raise FileError(
                Problem("cut-file", message, fix="bring the file anew: its copy or download was not finished")
            )
        return Medium(entry.kind, mime, looked.sha256, looked.size, entry.clip, entry.resolution, str(located), shown)

    def _look(self, path: Path, shown: str) -> _Looked:
        try:
            status = path.stat()
            mark = (str(path), status.st_size, status.st_mtime_ns)
            if mark not in self._looked:
                _ensure_size(status.st_size, shown)
                self._looked[mark] = _look_at(path) if self._is_whole else _peek_at(path, status.st_size)
        except OSError as error:
            message = f"{shown} cannot be read: {(error.strerror or str(error)).lower()}"
            raise FileError(Problem("unreadable-file", message)) from None
        return self._looked[mark]


def _locate(path: str, base: _Base) -> Path:
    """Raises FileError unless it is a file, below the root or typed by the user."""
    if base.within is not None:
        if path.startswith(("/", "~")):
            raise FileError(
                Problem("outside-root", f"{path} lies outside the project", expected="a path inside the project")
            )
        return base.within.locate(os.path.relpath(base.folder / path, base.within.root))
    typed = Path(os.path.realpath(base.folder / Path(path).expanduser()))
    try:
        return ProjectFiles(typed.parent).locate(typed.name)
    except FileError as error:
        told = [replace(one, message=one.message.replace(typed.name, path, 1), nearest="") for one in error.problems]
        raise FileError(told) from None


def _ensure_size(size: int, shown: str) -> None:
    if size > MAX_FILE_BYTES:
        message = f"{shown} has {size:,} bytes, more than any service takes"
        raise FileError(Problem("too-large", message, expected=f"at most {MAX_FILE_BYTES:,} bytes"))
    if not size:
        raise FileError(Problem("empty-file", f"{shown} is empty"))


def _peek_at(path: Path, size: int) -> _Looked:
    with path.open("rb") as file:
        types = types_of(file.read(HEAD_BYTES))
        return _Looked(types, "", size, _lacks_its_end(file, size, types))


def _look_at(path: Path) -> _Looked:
    """Reads a file once, piece by piece; a text must be one to its end."""
    sha, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        types = types_of(head)
        decoder = codecs.getincrementaldecoder("utf-8")() if "text/plain" in types.values() else None
        chunk = head
        try:
            while chunk:
                sha.update(chunk)
                size += len(chunk)
                if decoder is not None:
                    decoder.decode(chunk)
                chunk = file.read(_CHUNK)
            if decoder is not None:
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _Looked({}, "", size)
        return _Looked(types, sha.hexdigest(), size, _lacks_its_end(file, size, types))


def _lacks_its_end(file: BinaryIO, size: int, types: Mapping[MediumKind, str]) -> bool:
    return any(is_cut(file, size, mime) for mime in types.values())


def _wrong_kind(entry: FileTemplate, shown: str, looked: _Looked, path: str) -> Problem:
    wanted = _WORDS[entry.kind]
    if not looked.types:
        return Problem("unknown-file-type", f"{shown} is no {_noun(entry.kind)} that is known by what it holds")
    kind, mime = next(iter(looked.types.items()))
    message = f"{shown} is to be {wanted}, and by what it holds it is {_WORDS[kind]} ({mime})"
    return Problem("wrong-file-type", message, fix=f"{kind}: {path}")


def _noun(kind: MediumKind) -> str:
    return _WORDS[kind].partition(" ")[2]
