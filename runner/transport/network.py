"""What this machine says of the network: the proxies and certificates of its environment, and how many files may be open."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from functools import cache
from typing import Final
from urllib.parse import urlsplit

MANY_FILES: Final = 10_240


def allow_many_connections() -> None:
    """Every connection is an open file, of which many systems allow 256 or 1,024 unless asked for more."""
    with suppress(ImportError, OSError, ValueError):  # no such limits here, or none that may be changed
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def proxy_of(url: str) -> str:
    """What the environment names for an address, as the usual tools read it; "" for none."""
    from urllib.request import getproxies, proxy_bypass  # brings much, and what is asked on this machine needs none

    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return ""
    proxies = getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all") or ""
    return named if "://" in named or not named else f"http://{named}"


@cache
def certificates() -> ssl.SSLContext:
    """Whom to believe: SSL_CERT_FILE or SSL_CERT_DIR, else the list that comes with certifi."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        import certifi

        file = certifi.where()
    return ssl.create_default_context(cafile=file or None, capath=folder or None)
