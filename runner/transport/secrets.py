"""Keys by name: read from the environment, bound to hosts, masked wherever they are shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote, urlsplit

from runner.core.errors import FileError
from runner.core.frozen import dataclass
from runner.core.model import Provider
from runner.core.problem import Problem, listed

# Variables that every user of these services has set: each goes to the hosts of its own service and nowhere else,
# whatever a project's file or an option says.
WELL_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "ANTHROPIC_API_KEY": frozenset({"api.anthropic.com"}),
    "COMETAPI_API_KEY": frozenset({"api.cometapi.com"}),
    "COMETAPI_KEY": frozenset({"api.cometapi.com"}),
    "COMET_API_KEY": frozenset({"api.cometapi.com"}),
    "DEEPSEEK_API_KEY": frozenset({"api.deepseek.com"}),
    "GEMINI_API_KEY": frozenset({"generativelanguage.googleapis.com"}),
    "GOOGLE_API_KEY": frozenset({"generativelanguage.googleapis.com", "aiplatform.googleapis.com"}),
    "GROQ_API_KEY": frozenset({"api.groq.com"}),
    "MISTRAL_API_KEY": frozenset({"api.mistral.ai"}),
    "OPENAI_API_KEY": frozenset({"api.openai.com"}),
    "OPENROUTER_API_KEY": frozenset({"openrouter.ai"}),
    "XAI_API_KEY": frozenset({"api.x.ai"}),
}

STARS = "***"
_SHORTEST_MASKED = 4  # shorter values would mask ordinary text


class Secret:
    """A key. It shows itself as stars, cannot be pickled, and gives its value to `reveal` only."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return STARS

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is never written down")


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """The text with stars in place of every key, also where it stands quoted for a URL."""
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= _SHORTEST_MASKED:
            for spelling in {value, quote(value, safe="", errors="surrogatepass")}:
                text = text.replace(spelling, STARS)
    return text


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by name or address (never by a look-up)."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(base_url: str) -> str:
    """The host that a base URL names, in lower case, or "" when it is no plain http or https address."""
    if not base_url.isascii() or any(char <= " " or char in '\\\x7f"<>' for char in base_url):
        return ""
    try:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.query or parts.fragment:
        return ""
    return host.rstrip(".")


def check_address(provider: Provider) -> Problem | None:
    """A provider is reached over https; http stays on this machine."""
    host = host_of(provider.base_url)
    if not host:
        return Problem(
            "bad-address",
            f"provider '{provider.name}' has no usable base_url",
            expected="an address such as https://api.example.com/v1, without a user, a query or blanks",
        )
    if urlsplit(provider.base_url).scheme == "https" or is_loopback(host):
        return None
    return Problem(
        "insecure-address",
        f"provider '{provider.name}' would send prompts to {host} without encryption",
        expected="https (http only to this machine: localhost, 127.0.0.1 or ::1)",
        fix=f"base_url: https://{provider.base_url.partition('://')[2]}",
    )


@dataclass(frozen=True, slots=True)
class Trust:
    """Which variable may go to which host, as the user (not the project) allowed."""

    pairs: frozenset[tuple[str, str]] = frozenset()

    def allows(self, variable: str, host: str) -> bool:
        return (variable, host) in self.pairs


def trust_path(environ: Mapping[str, str]) -> Path:
    """The user's own list. A relative XDG_CONFIG_HOME is ignored: it could point into a clone."""
    configured = Path(environ.get("XDG_CONFIG_HOME") or ".")
    base = configured if configured.is_absolute() else home(environ) / ".config"
    return base / "runner" / "trust.json"


def home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def read_trust(environ: Mapping[str, str]) -> Trust:
    """`{"allow": [{"variable": "BOX_KEY", "host": "box.example"}]}`; no file allows nothing. Raises FileError."""
    path = trust_path(environ)
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Trust()
    except OSError as error:
        raise FileError(_bad_trust(path, f"cannot be read: {error.strerror}")) from None
    except (ValueError, RecursionError):
        raise FileError(_bad_trust(path, "is not JSON")) from None
    entries = value.get("allow") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not all(map(_is_pair, entries)):
        raise FileError(_bad_trust(path, "does not have the expected shape"))
    return Trust(frozenset((entry["variable"], entry["host"].lower()) for entry in entries))


def _is_pair(entry: object) -> bool:
    return isinstance(entry, dict) and set(entry) == {"variable", "host"} and all(map(_is_text, entry.values()))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _bad_trust(path: Path, what: str) -> Problem:
    return Problem(
        "bad-trust-file",
        f"your list of trusted hosts {path} {what}",
        expected='{"allow": [{"variable": "BOX_KEY", "host": "box.example"}]}',
    )


class Secrets:
    """Gives a provider its key, and nobody else's.

    `trusted_names` are the providers named by `--trust`. Nothing is read from `environ` before it is asked for.
    """

    def __init__(self, environ: Mapping[str, str], trust: Trust, trusted_names: frozenset[str] = frozenset()) -> None:
        self._environ = environ
        self._trust = trust
        self._trusted_names = trusted_names

    def __repr__(self) -> str:
        return "Secrets(***)"

    def check(self, provider: Provider) -> Problem | None:
        """Why the provider cannot be called, or None; to be asked before the run."""
        if not provider.base_url and not provider.key_env:
            return None
        return check_address(provider) or self._check_trust(provider) or self._check_key(provider)

    def key_for(self, provider: Provider) -> Secret | None:
        """The key to send, None where the provider takes none. Raises ValueError when `check` has a finding."""
        problem = self.check(provider)
        if problem is not None:
            raise ValueError(problem.message)
        return Secret(self._value(provider.key_env)) if provider.key_env else None

    def headers_for(self, provider: Provider) -> list[tuple[str, str]]:
        """What the environment adds to the requests of a provider, such as the organisation that pays."""
        values = ((header, self._value(variable)) for header, variable in provider.header_env)
        return [(header, value) for header, value in values if value]

    def known(self, *providers: Provider) -> tuple[Secret, ...]:
        """Every key that could be at hand: the well-known ones and those of the given providers, for `redact`."""
        names = dict.fromkeys([*WELL_KNOWN, *(provider.key_env for provider in providers)])
        return tuple(Secret(value) for value in map(self._value, names) if value)

    def _value(self, variable: str) -> str:
        return self._environ.get(variable, "").strip()

    def _check_trust(self, provider: Provider) -> Problem | None:
        variable, host = provider.key_env, host_of(provider.base_url)
        own_hosts = WELL_KNOWN.get(variable.upper())
        if own_hosts is not None:
            return None if host in own_hosts else _stray_key(provider, host, own_hosts)
        if not variable or provider.is_builtin or is_loopback(host) or provider.name in self._trusted_names:
            return None
        return None if self._trust.allows(variable, host) else self._untrusted(provider, host)

    def _untrusted(self, provider: Provider, host: str) -> Problem:
        entry = json.dumps({"variable": provider.key_env, "host": host})
        return Problem(
            "untrusted-provider",
            f"provider '{provider.name}' would send the key in {provider.key_env} to {host}, "
            "and you have not allowed that",
            expected="your consent: a project's file alone cannot send a key anywhere",
            fix=f'add --trust {provider.name} for one run, or {entry} to "allow" in {trust_path(self._environ)}',
        )

    def _check_key(self, provider: Provider) -> Problem | None:
        value = self._value(provider.key_env) if provider.key_env else "-"
        if not value:
            return Problem(
                "missing-key",
                f"provider '{provider.name}' needs a key in the environment variable {provider.key_env}, "
                "which is not set",
                fix=f"export {provider.key_env}=YOUR_KEY",
            )
        if not _is_plain(value):
            return Problem(
                "bad-key",
                f"the key in {provider.key_env} has characters that no key has, such as a blank or a line break",
                fix=f"export {provider.key_env}=YOUR_KEY, copied anew",
            )
        return next((_bad_header(name) for _, name in provider.header_env if not _is_plain(self._value(name))), None)


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


def _bad_header(variable: str) -> Problem:
    text = f"{variable} has characters that no header can hold, such as a blank or a line break"
    return Problem("bad-variable", text, fix=f"unset {variable}, or export it anew")


def _stray_key(provider: Provider, host: str, own_hosts: frozenset[str]) -> Problem:
    return Problem(
        "untrusted-provider",
        f"provider '{provider.name}' would send the key in {provider.key_env} to {host}, "
        f"and that key goes to {listed(own_hosts)} only",
        fix=f"give {host} a key of its own: key_env: {_own_variable(provider.name)}",
    )


def _own_variable(name: str) -> str:
    spelled = "".join(char if char.isalnum() else "_" for char in name).upper()
    return f"{spelled}_KEY" if f"{spelled}_KEY" not in WELL_KNOWN else f"MY_{spelled}_KEY"
