"""`runner models`: the catalogue as rows, and weights on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from runner.app import project
from runner.core.canonical import Json
from runner.core.errors import UsageError
from runner.core.problem import Problem


def model_rows(environ: Mapping[str, str]) -> tuple[dict[str, Json], ...]:
    """One row per listed model, sorted by name: facts, price, and whether the key is set (never the key),
    the vendor has switched it off.
    """
    rows = []
    known, today = project.catalogue(), project.today()
    for (provider, model), facts in sorted(known.models.items()):
        key_env = known.providers[provider].key_env
        rows.append(
            {
                "name": f"{provider}/{model}",
                **asdict(facts),
                "key_env": key_env,
                "has_key": bool(key_env and environ.get(key_env)),
                "has_ended": bool(facts.retired and facts.retired <= today),
            }
        )
    return tuple(rows)


def pull_model(name: str, progress: Callable[[str], None]) -> Path:
    """Fetch the weights of the embedded model. Raises RunnerError."""
    from runner.transport.pull import pull
    from runner.transport.weights import WEIGHTS

    whole = f"local/{WEIGHTS.model}"
    if name not in (whole, WEIGHTS.model):
        raise UsageError(
            Problem(
                "unknown-model", f"'{name}' has no weights to fetch", expected=whole, fix=f"runner models pull {whole}"
            )
        )
    return pull(progress)
