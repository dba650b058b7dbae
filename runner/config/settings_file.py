"""The nodes of `runner.yaml` → `Settings`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from runner.config.common_grammar import BUDGET, FORMAT_NUMBER
from runner.config.fields import NAME_IN_WORDS, PATH, VARIABLE, Key, Names, Number, Record, Shapes, Text
from runner.config.including import without_echoes
from runner.config.keys import Keys
from runner.config.model_facts import DATE, MODELS_HERE, PRICED, aliases_of, facts_of, read_facts
from runner.config.nodes import Entry, MappingNode, Node, ScalarNode
from runner.config.rate_limits import LIMITS, read_limits
from runner.config.reading import Reading
from runner.config.tools_file import TOOLS, read_tools
from runner.config.verify import Findings, verify
from runner.config.wording import Place
from runner.config.workflow_file import read_budget, read_models
from runner.core.frozen import dataclass
from runner.core.model import FactsGiven, LongPrice, Price, Provider
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Span
from runner.core.workflow import Settings

BUILTIN_PROVIDERS = ("gemini", "vertex", "cometapi", "openai", "openai-chat", "anthropic", "local", "scripted")
# Which keys each dialect takes; the first of them it cannot do without.
_DIALECT_KEYS: Mapping[str, tuple[str, ...]] = {
    "gemini": ("base_url", "key_env", "identity", "upload_over_mb"),
    "openai-chat": ("base_url", "key_env", "identity", "server", "upload_over_mb"),
    "openai-responses": ("base_url", "key_env", "identity", "upload_over_mb"),
    "anthropic": ("base_url", "key_env", "identity"),
    "llama": ("model_path", "identity"),
    "scripted": ("file", "identity"),
}
_EVERY_DIALECT = ("dialect", "price")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")

_FILLED = Text(pattern=r"\S", says="text")
_AMOUNT = Number(minimum=0)
_AMOUNTS = (
    Key("input", _AMOUNT, "US dollars for a million input tokens.", is_required=True),
    Key("output", _AMOUNT, "US dollars for a million output tokens, thinking among them.", is_required=True),
    Key("cached_input", _AMOUNT, "US dollars for a million input tokens that the provider had cached."),
)
_LONG = Record(
    "a price of long questions",
    (
        Key("over", Number(is_whole=True, minimum=1), "From more input tokens than this on.", is_required=True),
        *_AMOUNTS,
    ),
)
_PRICE = Record(
    "a price",
    (
        *_AMOUNTS,
        Key("long", _LONG, "What all tokens of a long question cost."),
        Key(
            "batch", Number(minimum=0, maximum=1), "The share of the price that an answer by batch costs, such as 0.5."
        ),
        Key("storage", _AMOUNT, "US dollars for a million tokens that are kept at the provider for an hour."),
        Key("date", DATE, "The day of the price list."),
    ),
)
_ANY_PRICE = Shapes(text=Text(choices=("free",)), mapping=_PRICE)
_PROVIDER = Record(
    "a provider",
    (
        Key(
            "dialect",
            Text(choices=tuple(_DIALECT_KEYS)),
            "How to speak to it: the protocol of a service or gateway, llama (a GGUF file) or scripted (answers from a file).",
            is_required=True,
        ),
        Key(
            "base_url",
            Text(pattern=r"^https?://[^/\s]", says="a URL that starts with https://, or with http:// for this machine"),
            "Where it listens.",
        ),
        Key(
            "key_env",
            Text(pattern=VARIABLE, says="the name of an environment variable"),
            "The environment variable that holds its key; the key itself never stands in a file.",
        ),
        Key("price", _ANY_PRICE, "What it costs: free, or dollars."),
        Key("identity", _FILLED, "What stands for the provider in the cache key; the base URL when left out."),
        Key("model_path", PATH, "The GGUF file of a llama provider."),
        Key("file", PATH, "The answers of a scripted provider."),
        Key(
            "server",
            Text(choices=("llama.cpp", "vllm", "ollama"), hints={"llama": "llama.cpp", "llamacpp": "llama.cpp"}),
            "What runs there, where thinking is to be switched.",
        ),
        Key(
            "upload_over_mb",
            Number(above=0, maximum=2000),
            "It takes files by upload: how many megabytes a request may have before its files are uploaded first.",
        ),
    ),
    hints=dict.fromkeys(
        ("api_key", "apikey", "key", "token", "secret", "password"),
        "key_env: NAME of the environment variable that holds the key; the key itself never stands in a file",
    ),
)
SETTINGS = Record(
    "runner.yaml",
    (
        Key("format", FORMAT_NUMBER, "The version of the format: 1."),
        Key(
            "providers",
            Names("provider", _PROVIDER, says=f"{NAME_IN_WORDS}, and no slash"),
            "Own servers and gateways, by the name that models start with.",
        ),
        Key("models", MODELS_HERE, "Names for models, and what is known of models, by provider/model."),
        Key(
            "prices",
            Names("price", _ANY_PRICE, pattern=PRICED, says="provider/model"),
            "What models cost here, by provider/model; goes before the built-in list.",
        ),
        LIMITS,
        Key("budget", BUDGET, "What one run of any workflow of the project may spend."),
        Key("tools", TOOLS, "What workflows may name as tools: functions in Python, and those of the providers."),
    ),
    later=("cache",),
    has_free_keys=True,
)


def read_settings(node: Node, file: str, reading: Reading) -> Settings | None:
    """The project's providers and model aliases; all that is wrong goes to `reading.problems`."""
    findings = Findings()
    verify(node, SETTINGS, Place("runner.yaml"), findings)
    reading.problems += without_echoes(findings.problems, reading.problems)
    if not isinstance(node, MappingNode):
        return None
    keys = Keys(node, findings.rejected)
    providers = _Providers(reading, findings)
    return Settings(
        span=Span(file, 1, 1),
        spans=_spans(keys),
        file=file,
        providers={
            entry.key: provider
            for entry in keys.entries("providers")
            if (provider := providers.read(entry.key, entry.key_span, entry.value))
        },
        models=read_models(aliases_of(keys), findings),
        facts=_facts(keys, findings, reading),
        prices=_prices(keys, findings, reading),
        budget=read_budget(keys),
        tools=read_tools(keys, findings, reading),
        limits=read_limits(keys, findings, reading, _owners(keys)),
    )


def _spans(keys: Keys) -> dict[str, Span]:
    """`providers.box` is the place of the name, `providers.box.base_url` that of the value; of tools only the names."""
    spans = {entry.key: entry.value.span for entry in keys.node.entries}
    for entry in keys.entries("providers"):
        spans[f"providers.{entry.key}"] = entry.key_span
        inner = entry.value.entries if isinstance(entry.value, MappingNode) else ()
        spans.update((f"providers.{entry.key}.{key.key}", key.value.span) for key in inner)
    spans |= {f"tools.{entry.key}": entry.key_span for entry in keys.entries("tools")}
    return spans


@dataclass(frozen=True, slots=True)
class _Providers:
    reading: Reading
    findings: Findings

    def read(self, name: str, span: Span, node: Node) -> Provider | None:
        if name in BUILTIN_PROVIDERS:
            self._report(
                "builtin-provider",
                f"'{name}' is a built-in provider, which cannot be changed",
                span,
                f"a name other than {listed(BUILTIN_PROVIDERS)}",
            )
            return None
        if not isinstance(node, MappingNode):
            return None
        keys = Keys(node, self.findings.rejected)
        dialect = keys.text("dialect")
        if dialect is None:
            return None
        self._compare_keys(name, dialect, keys, span)
        url = self._base_url(name, keys)
        settings = {key: value for key in ("model_path", "file") if (value := self._path(key, keys))}
        identity = keys.text("identity") or url or next(iter(settings.values()), "")
        if (server := keys.text("server")) is not None:
            settings["server"] = server
        if (megabytes := keys.number("upload_over_mb")) is not None:
            settings["upload_over"] = str(int(megabytes * 1_000_000))
        return Provider(
            name=name,
            dialect=dialect,
            base_url=url,
            key_env=keys.text("key_env") or "",
            identity=identity,
            is_free=keys.text("price") == "free",
            price=_price(keys),
            settings=settings,
        )

    def _compare_keys(self, name: str, dialect: str, keys: Keys, span: Span) -> None:
        """Each dialect has keys of its own."""
        allowed = (*_EVERY_DIALECT, *_DIALECT_KEYS[dialect])
        needed = _DIALECT_KEYS[dialect][0]
        if not keys.has(needed):
            message = f"provider '{name}' lacks the key '{needed}', which the dialect {dialect} needs"
            self._report("missing-key", message, span, f"{needed}: …")
        for entry in keys.node.entries:
            if entry.key in _PROVIDER.by_name and entry.key not in allowed:
                message = f"provider '{name}' has the key '{entry.key}', which the dialect {dialect} does not use"
                self._report("unknown-key", message, entry.key_span, f"a key of this dialect: {listed(allowed)}")

    def _base_url(self, name: str, keys: Keys) -> str:
        text, span = keys.text("base_url"), keys.place("base_url")
        if text is None:
            return ""
        node = keys.get("base_url")
        span = node.span if node else span
        parts = _split(text)
        if parts is None or not parts.hostname:
            self._report(
                "bad-value", f"'base_url' of provider '{name}' is no URL", span, "a URL such as https://host/v1"
            )
        elif parts.username is not None or parts.password is not None:
            message = f"'base_url' of provider '{name}' holds a user name or password"
            self._report("secret-in-file", message, span, "the key in the environment variable that 'key_env' names")
        elif parts.query or parts.fragment:
            message = f"'base_url' of provider '{name}' has a query or fragment"
            self._report("bad-value", message, span, "a URL such as https://host/v1")
        elif parts.scheme == "http" and not _LOOPBACK.fullmatch(parts.hostname):
            message = f"'base_url' of provider '{name}' is not encrypted"
            self._report("insecure-url", message, span, "https://, or http:// for this machine (127.0.0.1, localhost)")
        else:
            return text.rstrip("/")
        return ""

    def _path(self, key: str, keys: Keys) -> str:
        """Weights may lie anywhere, since they are large and shared; answers belong to the project."""
        node = keys.get(key)
        if not isinstance(node, ScalarNode):
            return ""
        return node.raw if key == "model_path" else self.reading.resolve(node.raw, node.span) or ""

    def _report(self, code: str, message: str, span: Span, expected: str) -> None:
        self.reading.problems.append(Problem(code, message, span, expected))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _price(keys: Keys) -> Price | None:
    price = keys.below("price")
    return None if price is None else _dollars(price)


def _dollars(price: Keys) -> Price | None:
    given, made = price.number("input"), price.number("output")
    if given is None or made is None:
        return None
    return Price(
        input=given,
        output=made,
        cached_input=price.number("cached_input"),
        date=price.text("date") or "",
        long=_long(price),
        batch=price.number("batch"),
        storage=price.number("storage"),
    )


def _long(price: Keys) -> LongPrice | None:
    long = price.below("long")
    if long is None:
        return None
    over, given, made = long.whole("over"), long.number("input"), long.number("output")
    if over is None or given is None or made is None:
        return None
    return LongPrice(over, given, made, long.number("cached_input"))


def _prices(keys: Keys, findings: Findings, reading: Reading) -> dict[str, Price]:
    """The prices by provider/model; a provider that nobody has would be a price that is never used."""
    prices: dict[str, Price] = {}
    for entry in keys.entries("prices"):
        problem = _nobodys("prices", entry, keys)
        if problem is not None:
            reading.problems.append(problem)
        elif isinstance(entry.value, MappingNode):
            price = _dollars(Keys(entry.value, findings.rejected))
            prices |= {entry.key: price} if price is not None else {}
        elif id(entry.value) not in findings.rejected:
            prices[entry.key] = Price(0.0, 0.0)
    return prices


def _facts(keys: Keys, findings: Findings, reading: Reading) -> dict[str, FactsGiven]:
    """What is said of models, by provider/model."""
    facts: dict[str, FactsGiven] = {}
    for entry in facts_of(keys):
        problem = _nobodys("models", entry, keys)
        told = len(findings.problems)
        given = read_facts(entry, findings)
        reading.problems += [*findings.problems[told:], *([problem] if problem else [])]
        if given is not None:
            facts[entry.key] = given
    return facts


def _nobodys(section: str, entry: Entry, keys: Keys) -> Problem | None:
    known = _owners(keys)
    owner, slash, model = entry.key.partition("/")
    if not slash or owner in known:
        return None
    near = nearest(owner, known)
    message = f"'{section}' names '{entry.key}', but there is no provider '{owner}'"
    expected = f"a provider: {listed(known)}"
    return Problem("unknown-provider", message, entry.key_span, expected, near and f"{near}/{model}")


def _owners(keys: Keys) -> frozenset[str]:
    """All providers by name."""
    return frozenset({*BUILTIN_PROVIDERS, *(provider.key for provider in keys.entries("providers"))})
