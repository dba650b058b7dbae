"""Who answers, and where: the parts of a request beside its body."""

from __future__ import annotations

from functools import lru_cache

from runner.core.model import Provider, Route


def identity_of(provider: Provider) -> str:
    """The provider in a key. A project's own name for a provider is no part of the answer, so it is left out."""
    if provider.is_builtin:
        return provider.name
    return provider.identity or provider.base_url.rstrip("/") or provider.dialect


def digest_endpoint(route: Route, setting: str) -> str:
    """The endpoint of what answers in process: the model, and the digest of the bytes behind it."""
    return f"/{route.model}@{route.provider.settings[setting]}"


@lru_cache(maxsize=256)
def schema_name(name: str) -> str:
    """A name that every server takes: letters, digits, `_` and `-`, 1 to 64 of them."""
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in name)
    return kept[:64] or "output"
