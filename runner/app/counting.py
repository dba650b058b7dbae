"""Tokens counted by a model's own tokenizer, where it is installed and its table is on this machine already."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from runner.plan.estimate import Counter
from runner.plan.program import Program

# Where the library keeps the table of an encoding: under the digest of its address. What it holds is compared before
# the library sees it, since it would fetch a table that is missing or damaged.
_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
_TABLES = {"o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"}


def counters_of(program: Program, environ: Mapping[str, str] | None = None) -> dict[str, Counter]:
    """The steps whose questions can be counted; no network, and nothing is loaded for the others."""
    found: dict[str, Counter] = {}
    for name, step in program.asked.items():
        counter = _counter(step.route.facts.tokenizer, _table_of(step.route.facts.tokenizer, environ or os.environ))
        if counter is not None:
            found[name] = counter
    return found


def _table_of(name: str, environ: Mapping[str, str]) -> Path:
    folder = environ.get("TIKTOKEN_CACHE_DIR") or environ.get("DATA_GYM_CACHE_DIR")
    place = Path(folder) if folder else Path(tempfile.gettempdir()) / "data-gym-cache"
    return place / hashlib.sha1(_ADDRESS.format(name=name).encode(), usedforsecurity=False).hexdigest()


@cache
def _counter(name: str, table: Path) -> Counter | None:
    if name not in _TABLES or find_spec("tiktoken") is None:
        return None
    try:
        is_whole = hashlib.sha256(table.read_bytes()).hexdigest() == _TABLES[name]
    except OSError:
        return None
    if not is_whole:
        return None
    import tiktoken

    encoding = tiktoken.get_encoding(name)
    return Counter(name, lambda text: len(encoding.encode_ordinary(text)))
