"""What lies about in a project beside the workflows that are checked, looked at only to be sure that nothing uses a thing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path

FOREIGN = frozenset({"node_modules", "cache", "__pycache__", "site-packages"})
READ_AS_TEXT = (".yaml", ".yml", ".json", ".toml", ".py", ".md", ".txt", ".j2", ".jinja")
MOST_FILES = 20_000
MOST_BYTES = 50_000_000
_SUITE = re.compile(r"\.suite\.ya?ml$")


class Surroundings:
    """The files below a root. Where there are too many of them to be looked at, everything counts as used."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def texts(self) -> Mapping[str, str] | None:
        """Text by path relative to the root, None where there is too much of it. Documents of prose say nothing of use."""
        return self._texts(lambda name: name.endswith(READ_AS_TEXT) and not _is_prose(name))

    @cached_property
    def suites(self) -> Mapping[str, str] | None:
        """The texts of suites alone."""
        return self._texts(lambda name: _SUITE.search(name) is not None)

    def _texts(self, is_read: Callable[[str], bool]) -> Mapping[str, str] | None:
        found: dict[str, str] = {}
        size = 0
        for name in self._names:
            if size > MOST_BYTES:
                break
            if is_read(name):
                found[name] = _text(self.root / name)
                size += len(found[name])
        return None if len(self._names) > MOST_FILES or size > MOST_BYTES else found

    @cached_property
    def _names(self) -> list[str]:
        """The files below the root, one more than are looked at where there are too many."""
        return list(islice(self._files(), MOST_FILES + 1))

    def _files(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(
                one for one in folders
                if not one.startswith(".") and one not in FOREIGN and not Path(folder, one, "pyvenv.cfg").exists()
            )  # fmt: skip
            inside = Path(folder).relative_to(self.root)
            yield from ((inside / name).as_posix() for name in sorted(names) if not name.startswith("."))

    def is_in_suite(self, name: str) -> bool:
        """Whether a suite may use a name of a workflow."""
        word = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
        return self.suites is None or any(word.search(text) for text in self.suites.values())

    def is_named(self, file: str) -> bool:
        """Whether some other file may name this one."""
        name = file.rpartition("/")[2]
        return self.texts is None or any(name in text for other, text in self.texts.items() if other != file)


def _is_prose(name: str) -> bool:
    return name.endswith(".md") and (name.startswith("docs/") or "/" not in name)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return ""
