"""The command line of a run that asks, so that it can be taken up again by its id."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from runner.core.frozen import dataclass
from runner.record.folders import write_record_file

COMMAND: Final = "command.json"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The words after `runner run`, and the folder in which they were said.

    `is_piped`: something was read from standard input, which nobody has any more.
    """

    folder: str
    words: tuple[str, ...]
    is_piped: bool = False


def write_command(run_folder: Path, command: CommandLine) -> None:
    """Raises StorageError."""
    write_record_file(run_folder / COMMAND, orjson.dumps(command))


def read_command(run_folder: Path) -> CommandLine | None:
    """None when the run kept none that can be read."""
    try:
        found = orjson.loads((run_folder / COMMAND).read_bytes())
        return CommandLine(str(found["folder"]), tuple(map(str, found["words"])), bool(found["is_piped"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
