"""Where Vertex AI listens, and whose credentials are at hand: read from the environment, nothing is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from runner.core.model import Provider
from runner.core.problem import Problem, listed
from runner.transport.secrets import home

PROJECT: Final = "GOOGLE_CLOUD_PROJECT"
LOCATION: Final = "GOOGLE_CLOUD_LOCATION"
TOKEN: Final = "GOOGLE_OAUTH_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
FILE_TYPES: Final = ("service_account", "authorized_user")

# They become part of a host and a path, so nothing else may stand in them.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.:-]*[a-z0-9])?")
_LOCATION = re.compile(r"[a-z0-9-]+")
_MULTI_REGIONS = frozenset({"us", "eu"})


def locate(provider: Provider, environ: Mapping[str, str]) -> Provider:
    """The provider at the project and location of the environment; without a project it is express mode, with a key."""
    project = environ.get(PROJECT, "").strip()
    if not project:
        return provider
    location = environ.get(LOCATION, "").strip() or "global"
    settings = {**provider.settings, "project": project, "location": location}
    return replace(provider, base_url=f"https://{_host(location)}", key_env="", settings=settings)


def _host(location: str) -> str:
    # What is no location is told by `check_vertex`, and never makes a host.
    if location == "global" or not _LOCATION.fullmatch(location):
        return "aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def takes_tokens(provider: Provider) -> bool:
    """Whether the provider is asked with an access token instead of a key."""
    return provider.dialect in {"vertex", "vertex-embed"} and "project" in provider.settings


def place(provider: Provider, endpoint: str) -> str:
    """The endpoint with the project and the location, which are no part of a request's key."""
    if not takes_tokens(provider):
        return endpoint
    project, location = provider.settings["project"], provider.settings["location"]
    return endpoint.replace("/publishers/", f"/projects/{project}/locations/{location}/publishers/", 1)


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """What an access token is had from: a ready token, the content of a credentials file, or the metadata server."""

    token: str = ""
    file: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return "CredentialSource(***)"


def check_vertex(provider: Provider, environ: Mapping[str, str]) -> Problem | None:
    """Why Vertex AI cannot be called with an access token, or None."""
    checks = ((PROJECT, provider.settings["project"], _NAME), (LOCATION, provider.settings["location"], _LOCATION))
    for variable, value, pattern in checks:
        if not pattern.fullmatch(value):
            word = "project" if variable == PROJECT else "location"
            expected = "the id of a project" if variable == PROJECT else "a location such as global, us or europe-west4"
            return Problem("bad-variable", f"{variable} is '{value}', which is no {word}", expected=expected)
    found = find_credentials(environ)
    return found if isinstance(found, Problem) else None


def find_credentials(environ: Mapping[str, str]) -> CredentialSource | Problem:
    """The first of: a ready token, the file that the environment names, gcloud's own file, the metadata server."""
    token = environ.get(TOKEN, "").strip()
    if token:
        return CredentialSource(token=token)
    named = environ.get(FILE, "").strip()
    path = Path(named) if named else _gcloud_file(environ)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _bad_file(path, "does not exist") if named else CredentialSource()
    except OSError as error:
        return _bad_file(path, f"cannot be read: {error.strerror}")
    return _read_file(path, content)


def _gcloud_file(environ: Mapping[str, str]) -> Path:
    folder = environ.get("CLOUDSDK_CONFIG", "").strip()
    return (Path(folder) if folder else home(environ) / ".config" / "gcloud") / "application_default_credentials.json"


def _read_file(path: Path, content: bytes) -> CredentialSource | Problem:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return _bad_file(path, "is not JSON")
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in FILE_TYPES:
        return replace(_bad_file(path, "holds no credentials of a kind that is known"), expected=_kinds())
    if find_spec("google") is None or find_spec("google.auth") is None:
        return Problem(
            "missing-library",
            "credentials of Google Cloud need the library google-auth, which is not installed",
            fix=f"pip install 'runner[vertex]', or export {TOKEN}=$(gcloud auth print-access-token)",
        )
    return CredentialSource(file=value)


def _kinds() -> str:
    return f"a file of type {listed(FILE_TYPES)}, or a ready token in {TOKEN}"


def _bad_file(path: Path, what: str) -> Problem:
    return Problem(
        "bad-credentials",
        f"the credentials file {path} {what}",
        fix=f"gcloud auth application-default login, or export {FILE}=PATH",
    )
