"""What earlier runs have handed over to be kept at providers, as far as it is remembered."""

from __future__ import annotations

import time
from pathlib import Path

from runner.core.context import Divided
from runner.core.problem import Problem
from runner.plan.context_plan import KeptFor
from runner.plan.program import StepProgram

MEMORY = Path(".runner") / "contexts.json"


def not_kept(step: StepProgram) -> Problem | None:
    """Why a step cannot keep anything where its provider is asked: Vertex AI does so for a project."""
    provider = step.route.provider
    if step.context is None or provider.dialect != "vertex" or "project" in provider.settings:
        return None
    return Problem(
        "no-context-cache",
        f"step '{step.name}' keeps what its questions share, and 'vertex' does so for a project only, which is not named",
        step.linked.step.at("context_cache"),
        fix="export GOOGLE_CLOUD_PROJECT=YOUR_PROJECT, with credentials of its own, or leave context_cache out",
    )


def kept_for(root: Path) -> KeptFor:
    """Looks into the memory of the project; a provider may have dropped what stands there."""

    def left(step: StepProgram, divided: Divided) -> float | None:
        from runner.transport.context_memory import is_usable, memory_key, read_memory

        assert step.context is not None, "a step that keeps nothing divides no question"
        found = read_memory(root / MEMORY).get(memory_key(step.route, divided.ident))
        now = time.time()
        return found.expires_at - now if found and is_usable(found, step.context.ttl_s, now) else None

    return left
