"""Where Vertex AI listens, and whose credentials are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.core.model import Provider
from runner.core.problem import Problem, render
from runner.transport import vertex
from runner.transport.secrets import Secrets, Trust
from runner.transport.vertex import CredentialSource, check_vertex, find_credentials, locate, place, takes_tokens

EXPRESS = Provider("vertex", "vertex", "https://aiplatform.googleapis.com", "GOOGLE_API_KEY", "vertex", is_builtin=True)
ENDPOINT = "/v1/publishers/google/models/gemini-3.1-flash-lite:generateContent"
USER = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}


@pytest.mark.parametrize(
    ("location", "base_url", "at"),
    [
        ("", "https://aiplatform.googleapis.com", "global"),
        ("global", "https://aiplatform.googleapis.com", "global"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com", "eu"),
        ("us", "https://aiplatform.us.rep.googleapis.com", "us"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com", "europe-west4"),
    ],
)
def test_project_and_location_make_the_host_and_the_path(location: str, base_url: str, at: str) -> None:
    provider = locate(EXPRESS, {"GOOGLE_CLOUD_PROJECT": "shop", "GOOGLE_CLOUD_LOCATION": location})
    assert (provider.base_url, provider.key_env, takes_tokens(provider)) == (base_url, "", True)
    assert place(provider, ENDPOINT) == (
        f"/v1/projects/shop/locations/{at}/publishers/google/models/gemini-3.1-flash-lite:generateContent"
    )
    assert Secrets({}, Trust()).check(provider) is None


def test_without_a_project_it_is_express_mode_with_a_key() -> None:
    assert locate(EXPRESS, {"GOOGLE_CLOUD_LOCATION": "us"}) is EXPRESS
    assert place(EXPRESS, ENDPOINT) == ENDPOINT
    assert not takes_tokens(EXPRESS)
    assert Secrets({"GOOGLE_API_KEY": "AQ.key"}, Trust()).check(EXPRESS) is None


@pytest.mark.parametrize(
    ("project", "location", "told"),
    [
        (
            "shop",
            "evil.example/x",
            (
                "bad-variable: GOOGLE_CLOUD_LOCATION is 'evil.example/x', which is no location\n"
                "  expected: a location such as global, us or europe-west4"
            ),
        ),
        (
            "../shop",
            "us",
            "bad-variable: GOOGLE_CLOUD_PROJECT is '../shop', which is no project\n  expected: the id of a project",
        ),
    ],
)
def test_what_is_no_place_is_told_and_never_makes_a_host(project: str, location: str, told: str) -> None:
    environ = {"GOOGLE_CLOUD_PROJECT": project, "GOOGLE_CLOUD_LOCATION": location, "GOOGLE_OAUTH_ACCESS_TOKEN": "t"}
    provider = locate(EXPRESS, environ)
    assert provider.base_url.endswith(".googleapis.com")
    assert "evil" not in provider.base_url
    problem = check_vertex(provider, environ)
    assert problem is not None
    assert render(problem, {}) == told


def test_credentials_are_looked_for_in_order(tmp_path: Path) -> None:
    named, gcloud = tmp_path / "named.json", tmp_path / ".config/gcloud/application_default_credentials.json"
    environ = {"HOME": str(tmp_path)}
    assert find_credentials(environ) == CredentialSource()
    gcloud.parent.mkdir(parents=True)
    gcloud.write_text(json.dumps(USER), encoding="utf-8")
    assert find_credentials(environ) == CredentialSource(file=USER)
    moved = tmp_path / "elsewhere"
    assert find_credentials({**environ, "CLOUDSDK_CONFIG": str(moved)}) == CredentialSource()
    named.write_text(json.dumps({**USER, "client_id": "other"}), encoding="utf-8")
    environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(named)
    found = find_credentials(environ)
    assert isinstance(found, CredentialSource)
    assert found.file == {**USER, "client_id": "other"}
    environ["GOOGLE_OAUTH_ACCESS_TOKEN"] = "ya29.ready"
    ready = find_credentials(environ)
    assert ready == CredentialSource(token="ya29.ready")
    assert "ya29" not in repr(ready)
    assert check_vertex(locate(EXPRESS, {"GOOGLE_CLOUD_PROJECT": "shop"}), environ) is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "does not exist\n  fix:      gcloud auth application-default login, or export GOOGLE_APPLICATION_CREDENTIALS=PATH"),
        ("{", "is not JSON\n  fix:      gcloud auth application-default login, or export GOOGLE_APPLICATION_CREDENTIALS=PATH"),
        (
            '{"type": "external_account"}',
            ("holds no credentials of a kind that is known\n"
            "  expected: a file of type authorized_user, service_account, or a ready token in GOOGLE_OAUTH_ACCESS_TOKEN\n"
            "  fix:      gcloud auth application-default login, or export GOOGLE_APPLICATION_CREDENTIALS=PATH"),
        ),
        (
            "[]",
            ("holds no credentials of a kind that is known\n"
            "  expected: a file of type authorized_user, service_account, or a ready token in GOOGLE_OAUTH_ACCESS_TOKEN\n"
            "  fix:      gcloud auth application-default login, or export GOOGLE_APPLICATION_CREDENTIALS=PATH"),
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_good_is_told_before_the_run(tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "c.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    environ = {"GOOGLE_CLOUD_PROJECT": "shop", "GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    problem = check_vertex(locate(EXPRESS, environ), environ)
    assert problem is not None
    assert render(problem, {}) == f"bad-credentials: the credentials file {path} {told}"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    found = find_credentials({"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path)})
    assert isinstance(found, Problem)
    assert found.message == f"the credentials file {tmp_path} cannot be read: Is a directory"


@pytest.mark.parametrize("missing", ["google", "google.auth"])
def test_the_library_is_asked_for_where_a_file_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def find(name: str) -> Any:
        return None if name == missing else object()

    monkeypatch.setattr(vertex, "find_spec", find)
    path = tmp_path / "c.json"
    path.write_text(json.dumps(USER), encoding="utf-8")
    problem = find_credentials({"GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    assert isinstance(problem, Problem)
    assert render(problem, {}) == (
        "missing-library: credentials of Google Cloud need the library google-auth, which is not installed\n"
        "  fix:      pip install 'runner[vertex]', or export GOOGLE_OAUTH_ACCESS_TOKEN=$(gcloud auth print-access-token)"
    )
