"""Texts by digest, kept while questions are asked, so that a later change can be told line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from runner.core.canonical import digest
from runner.core.errors import StorageError
from runner.record.folders import write_record_file

MAX_BYTES: Final = 4 * 2**20
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def keep_texts(folder: Path, texts: Iterable[str]) -> None:
    """Write those that are not there. They only serve explanations: a full disk is no reason to stop."""
    with suppress(OSError, StorageError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for text in texts:
            if len(text) > MAX_BYTES:  # none of them is shorter in bytes
                continue
            path = folder / f"{digest(text)}.txt"
            data = text.encode("utf-8", "surrogatepass")
            if not path.exists() and len(data) <= MAX_BYTES:
                write_record_file(path, data)


def read_text(folder: Path, text_digest: str) -> str | None:
    """The text, if it was kept and is unchanged."""
    if not _DIGEST.match(text_digest):
        return None
    try:
        with (folder / f"{text_digest}.txt").open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    return data.decode("utf-8", "surrogatepass") if digest(data) == text_digest else None
