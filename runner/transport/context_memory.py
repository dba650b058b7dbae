"""What is remembered of parts of questions that providers keep: their names there, by what they hold.

A name that is empty stands for one that was begun, and of which nobody knows whether it was made.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runner.core.context import Kept
from runner.core.model import Route

# A name is not used in the last part of its life: the question may be long on its way.
MARGIN_S: Final = 60.0
MARGIN_SHARE: Final = 0.1


def is_usable(kept: Kept, ttl_s: float, now: float) -> bool:
    """Whether it was made, and has time enough left."""
    return bool(kept.name) and kept.expires_at - min(MARGIN_S, ttl_s * MARGIN_SHARE) > now


def memory_key(route: Route, ident: str) -> str:
    """The same part at the same provider, and there at the same place."""
    settings = route.provider.settings
    at = "/".join(settings[name] for name in ("project", "location") if name in settings)
    return " ".join(filter(None, (route.provider.base_url.rstrip("/"), at, ident)))


def read_memory(path: Path) -> dict[str, Kept]:
    """A memory that is not there, or damaged, remembers nothing."""
    try:
        entries = json.loads(path.read_bytes())
        return {
            key: Kept(str(name), float(until), None if tokens is None else int(tokens))
            for key, (name, until, tokens) in entries.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_memory(path: Path, known: Mapping[str, Kept]) -> None:
    """All or nothing, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    entries = {key: [one.name, one.expires_at, one.tokens] for key, one in sorted(known.items())}
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(entries, indent=1))
    aside.replace(path)
