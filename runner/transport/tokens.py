"""Access tokens of Google Cloud: fetched when the first call needs one, kept until shortly before their end."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

import httpx

from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.problem import Problem
from runner.transport.secrets import Secret
from runner.transport.vertex import CredentialSource, find_credentials

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
# A token is given up this long before its end, so that none runs out on the way.
MARGIN_S: Final = 225.0
TIMEOUT_S: Final = 10.0
_METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
_NO_CREDENTIALS = (
    "no credentials of Google Cloud were found (gcloud auth application-default login, or "
    "export GOOGLE_APPLICATION_CREDENTIALS=PATH, or express mode: unset GOOGLE_CLOUD_PROJECT, export GOOGLE_API_KEY)"
)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token, who pays where the credentials name a project of their own, and until when (Unix seconds)."""

    secret: Secret
    quota_project: str = ""
    until: float = float("inf")

    def headers(self) -> list[tuple[str, str]]:
        paid_by = [("x-goog-user-project", self.quota_project)] if self.quota_project else []
        return [("authorization", f"Bearer {self.secret.reveal()}"), *paid_by]


class Tokens:
    """Gives every call the same token; one caller fetches it while the others wait.

    `inner` replaces the network, `now` the clock (tests).
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        inner: httpx.BaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._environ = environ
        self._inner = inner
        self._now = now
        self._held: Bearer | None = None
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def bearer(self) -> Bearer:
        """Raises CallFailed."""
        async with self._lock():
            if self._held is None or self._held.until - MARGIN_S <= self._now():
                self._held = await asyncio.to_thread(self._fetch)
            return self._held

    def forget(self, bearer: Bearer) -> None:
        """The service did not take it: the next call fetches another one."""
        if self._held is bearer:
            self._held = None

    def _lock(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock())
        return self._turn[1]

    def _fetch(self) -> Bearer:
        source = find_credentials(self._environ)
        if isinstance(source, Problem):
            raise _failed(FailureKind.AUTH, source.message)
        if source.token:
            return Bearer(Secret(source.token))
        # The metadata server is on this machine's own network: no proxy leads there.
        with httpx.Client(
            transport=self._inner, trust_env=source.file is not None, follow_redirects=False, timeout=TIMEOUT_S
        ) as client:
            return self._from_metadata(client) if source.file is None else _from_file(source, client)

    def _from_metadata(self, client: httpx.Client) -> Bearer:
        host = self._environ.get("GCE_METADATA_HOST", "").strip() or "metadata.google.internal"
        try:
            answer = client.get(
                f"http://{host}{_METADATA}", params={"scopes": SCOPE}, headers={"metadata-flavor": "Google"}
            )
            value = json.loads(answer.content) if answer.status_code == 200 else {}
            return Bearer(Secret(str(value["access_token"])), "", self._now() + float(value["expires_in"]))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            raise _failed(FailureKind.AUTH, _NO_CREDENTIALS) from None


def _from_file(source: CredentialSource, client: httpx.Client) -> Bearer:
    from google.auth.exceptions import GoogleAuthError, TransportError

    try:
        credentials = _credentials(source.file)
        credentials.refresh(_Asker(client))
    except TransportError:
        raise _failed(FailureKind.TRANSIENT, "the service that gives access tokens cannot be reached") from None
    except ValueError:
        raise _failed(FailureKind.AUTH, "the credentials file of Google Cloud is damaged") from None
    except GoogleAuthError as error:
        said = re.match(r"[a-z_]{1,60}", str(error.args[0]) if error.args else "")
        reason = f" ({said[0]})" if said else ""
        raise _failed(FailureKind.AUTH, f"the credentials of Google Cloud were not taken{reason}") from None
    end = credentials.expiry.replace(tzinfo=UTC).timestamp()
    return Bearer(Secret(credentials.token), credentials.quota_project_id or "", end)


def _credentials(file: Any) -> Any:
    if file["type"] == "service_account":
        from google.oauth2 import service_account

        account: Any = service_account.Credentials
        return account.from_service_account_info(file, scopes=[SCOPE], quota_project_id=file.get("quota_project_id"))
    from google.oauth2 import credentials

    user: Any = credentials.Credentials
    return user.from_authorized_user_info(file, scopes=[SCOPE])


def _failed(kind: FailureKind, message: str) -> CallFailed:
    return CallFailed(Failure(kind, message), requests=0)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the credentials library reads of an answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Asker:
    """The credentials library's way to the network, over the client that is at hand."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_more: Any,
    ) -> _Answer:
        from google.auth import exceptions

        unreachable: Any = exceptions.TransportError
        try:
            answer = self._client.request(method, url, content=body, headers=headers, timeout=timeout or TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise unreachable("the token service cannot be reached") from None
        return _Answer(answer.status_code, answer.headers, answer.content)
