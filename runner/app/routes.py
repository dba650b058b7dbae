"""What only the disk knows of a route: the digest of a model's weights, of a file of answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from runner.config.load import ProjectFiles
from runner.core.canonical import digest
from runner.core.errors import RunnerError
from runner.core.model import Route
from runner.core.problem import Problem


def complete_route(route: Route, files: ProjectFiles, environ: Mapping[str, str]) -> Route | Problem:
    """The route with all that enters its requests."""
    provider = route.provider
    if provider.dialect == "scripted":
        return _scripted(route, files)
    if provider.dialect == "vertex":
        from runner.transport.vertex import locate

        return replace(route, provider=locate(provider, environ))
    if provider.dialect == "llama" and not provider.is_builtin:
        return _own_weights(route, files, environ)
    return route


def _scripted(route: Route, files: ProjectFiles) -> Route | Problem:
    name = route.provider.settings.get("file") or route.model
    try:
        data = files.read(name)
    except RunnerError as error:
        return error.problems[0]
    settings = {**route.provider.settings, "file": name, "script_sha256": digest(data)}
    return replace(route, provider=replace(route.provider, settings=settings))


def _own_weights(route: Route, files: ProjectFiles, environ: Mapping[str, str]) -> Route | Problem:
    from runner.transport.weights import find_weights, weights_digest

    settings = dict(route.provider.settings)
    path = Path(settings.get("model_path", ""))
    settings["model_path"] = str(path if path.is_absolute() else files.root / path)
    provider = replace(route.provider, settings=settings)
    found = find_weights(provider, environ)
    if isinstance(found, Problem):
        return replace(found, message=found.message.replace(f"{files.root}/", ""))  # as its author wrote it
    sha256 = weights_digest(found, environ)
    if isinstance(sha256, Problem):
        return sha256
    return replace(route, provider=replace(provider, settings={**settings, "weights_sha256": sha256}))
