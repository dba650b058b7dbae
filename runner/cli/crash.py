"""The report file of a defect: the traceback without secrets."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

from runner.cli.safe_text import redact, secret_values
from runner.core.version import VERSION


def write_report(error: BaseException, command: str, environ: Mapping[str, str]) -> Path | None:
    """The report's path, or None when it can be written nowhere. Arguments are left out: they may be private."""
    text = redact(_text(error, command), secret_values(environ))
    for folder in (_record_folder(Path.cwd()), Path(tempfile.gettempdir())):
        path = _write(folder, text) if folder else None
        if path:
            return path
    return None


def _text(error: BaseException, command: str) -> str:
    head = f"runner {VERSION}, command '{command}', Python {sys.version.split()[0]}, {platform.platform()}"
    return f"{head}\n\n{''.join(traceback.format_exception(error))}"


def _record_folder(start: Path) -> Path | None:
    """The nearest `.runner` from here upwards."""
    return next((folder / ".runner" for folder in (start, *start.parents) if (folder / ".runner").is_dir()), None)


def _write(folder: Path, text: str) -> Path | None:
    try:
        handle, name = tempfile.mkstemp(prefix="crash-", suffix=".txt", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return None
    return Path(name)
