"""`runner models`: the catalogue as rows, and weights on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from runner.app import project
from runner.catalog.resolve import known_facts
from runner.core.canonical import Json
from runner.core.errors import UsageError
from runner.core.problem import Problem
from runner.core.workflow import Settings


def model_rows(environ: Mapping[str, str], settings: Settings) -> tuple[dict[str, Json], ...]:
    """One row per model that the catalogue or the project knows, sorted by name: facts, price, whether the key is set
    (never the key) and whether the vendor has switched it off.
    """
    rows = []
    known, today = project.catalogue(), project.today()
    providers = {**known.providers, **settings.providers}
    names = {*(f"{owner}/{model}" for owner, model in known.models), *settings.facts, *settings.prices}
    for name in sorted(names):
        owner, _, model = name.partition("/")
        if owner not in providers:
            continue  # told as a mistake of runner.yaml
        provider = settings.providers.get(owner) or known.provider_for(owner, model) or providers[owner]
        facts = known_facts(provider, model, known, settings.facts, settings.prices)
        key_env = provider.key_env
        rows.append(
            {
                "name": name,
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
