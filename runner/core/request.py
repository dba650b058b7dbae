"""What is sent, and the key that names it: what is sent is what is keyed."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from runner.core.canonical import ordered
from runner.core.frozen import dataclass
from runner.core.long_text import Body, LongBody
from runner.core.media import Attachment

# Version of the key format itself. Raising it invalidates every stored answer: a major release.
KEY_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Request:
    """The encoded call.

    `provider` is the identity, `endpoint` the path with the model in it, `headers` only those that change the
    answer (API version, beta flags), `body` the bytes that go on the wire (of a long text in pieces). Credentials, hosts, timeouts and limits
    are added by the transport and never stand here. Where a file is shown, the body names its digest, and
    `attachments` say what the transport puts there; a request that was read from a store has none.
    """

    dialect: str
    key_version: int
    provider: str
    endpoint: str
    body: Body
    headers: tuple[tuple[str, str], ...] = ()
    sample: int = 0
    salt: str = ""
    attachments: tuple[Attachment, ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 over the identity and the body as sent; `sample` 0 and an empty salt leave no trace."""
        return cache_key(self)


def cache_key(request: Request) -> str:
    """The one place that decides what makes two calls the same (64 hex digits)."""
    sha = _head(
        request.dialect,
        request.key_version,
        request.provider,
        request.endpoint,
        request.headers,
        request.sample,
        request.salt,
    ).copy()
    body = request.body
    if isinstance(body, LongBody):
        for chunk in body.chunks():
            sha.update(chunk)
    else:
        sha.update(body)
    return sha.hexdigest()


@lru_cache(maxsize=256)
def _head(
    dialect: str,
    key_version: int,
    provider: str,
    endpoint: str,
    headers: tuple[tuple[str, str], ...],
    sample: int,
    salt: str,
) -> hashlib._Hash:
    """The digest as far as the requests of one step share it; it is copied, never added to."""
    head: list[object] = [KEY_FORMAT, dialect, key_version, provider, endpoint, sorted(headers)]
    if sample:
        head.append({"sample": sample})
    if salt:
        head.append({"salt": salt})
    return hashlib.sha256(ordered(head) + b"\n")
