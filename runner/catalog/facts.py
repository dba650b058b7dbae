"""What is known of providers and models: the catalogue's data as types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from fnmatch import fnmatchcase

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.model import THINKING_LEVELS, LongPrice, ModelFacts, Price, Provider, StructuredMode


@dataclass(frozen=True, slots=True)
class Catalog:
    """Built-in providers, and the facts of models by (provider, model).

    `hosts` maps the base URLs of gateways to the name under which their models are listed, `by_model` a gateway to
    the ways of speaking to it, each with a pattern of model names. The providers in `closed` have no models but the
    listed ones; those in `open` take any name.
    """

    providers: Mapping[str, Provider]
    models: Mapping[tuple[str, str], ModelFacts]
    hosts: Mapping[str, str] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    by_model: Mapping[str, tuple[tuple[str, Provider], ...]] = field(default_factory=dict)

    def provider_for(self, name: str, model: str) -> Provider | None:
        """The built-in provider of that name, as this model of it is spoken to."""
        found = next((way for pattern, way in self.by_model.get(name, ()) if fnmatchcase(model, pattern)), None)
        return found or self.providers.get(name)

    def models_of(self, provider: str) -> list[str]:
        return [model for owner, model in self.models if owner == provider]


def parse_catalog(value: Json) -> Catalog:
    """The catalogue from the plain value of `models.yaml`."""
    providers, families, date = value["providers"], value["families"], value["price_date"]
    models = {
        (owner, model): _facts(owner, model, {**families.get(entry.get("like"), {}), **entry}, date)
        for owner, entries in value["models"].items()
        for model, entry in entries.items()
    }
    second = {
        (name, model): replace(facts, provider=name)
        for name, first in value["shared"].items()
        for (owner, model), facts in models.items()
        if owner == first
    }
    return Catalog(
        providers={name: _provider(name, entry) for name, entry in providers.items()},
        models={**models, **{key: facts for key, facts in second.items() if key not in models}},
        hosts={entry["gateway"]: name for name, entry in providers.items() if "gateway" in entry},
        closed=frozenset(name for name, entry in providers.items() if entry.get("only_listed")),
        open=frozenset(name for name, entry in providers.items() if entry.get("is_open")),
        by_model={
            name: tuple((pattern, _provider(name, {**entry, **way})) for pattern, way in entry["by_model"].items())
            for name, entry in providers.items()
            if "by_model" in entry
        },
    )


def _provider(name: str, entry: Mapping[str, Json]) -> Provider:
    return Provider(
        name=name,
        dialect=entry["dialect"],
        base_url=entry.get("base_url", ""),
        key_env=entry.get("key_env", ""),
        identity=name,
        is_builtin=True,
        is_free=entry.get("is_free", False),
        settings=entry.get("settings", {}),
        header_env=tuple(entry.get("headers", {}).items()),
    )


def _facts(owner: str, model: str, entry: Mapping[str, Json], date: str) -> ModelFacts:
    return ModelFacts(
        provider=owner,
        model=model,
        title=entry["title"],
        thinking_levels=tuple(entry.get("levels", ())),
        default_thinking=entry.get("default"),
        is_thinking_in_cap=entry.get("thinking_in_cap", False),
        thinking_words=entry.get("words", {}),
        accepts=tuple(entry.get("accepts", ("text",))),
        structured=entry.get("structured", "json_schema"),
        context_tokens=entry.get("context"),
        max_output_tokens=entry.get("max_output"),
        refuses=tuple(entry.get("refuses", ())),
        refuses_thinking=tuple(entry.get("refuses_thinking", ())),
        price=_price(entry, date),
        retired=entry.get("retired", ""),
        replacement=entry.get("replacement", ""),
        note=entry.get("note", ""),
        tokenizer=entry.get("tokenizer", ""),
        gives=entry.get("gives", "text"),
        least_kept_tokens=entry.get("least_kept"),
        mixes_tools=entry.get("mixes_tools"),
    )


def _price(entry: Mapping[str, Json], date: str) -> Price | None:
    numbers, batch, storage = entry.get("price"), entry.get("batch"), entry.get("storage")
    if numbers is None:
        return None
    return Price(
        input=float(numbers[0]),
        output=float(numbers[1]),
        cached_input=_third(numbers),
        date=date,
        long=_long(entry.get("long")),
        batch=None if batch is None else float(batch),
        storage=None if storage is None else float(storage),
    )


def _long(entry: Json) -> LongPrice | None:
    if entry is None:
        return None
    numbers = entry["price"]
    return LongPrice(int(entry["over"]), float(numbers[0]), float(numbers[1]), _third(numbers))


def _third(numbers: Sequence[Json]) -> float | None:
    return float(numbers[2]) if len(numbers) > 2 else None


def facts_for(provider: Provider, model: str, catalog: Catalog) -> ModelFacts:
    """The facts of a listed model; for any other, what can be said of it."""
    if not provider.is_builtin:
        return _own_facts(provider, model, catalog)
    listed = catalog.models.get((provider.name, model))
    if listed is not None:
        return listed
    is_open = provider.name in catalog.open
    levels = THINKING_LEVELS if is_open else ()
    return ModelFacts(
        provider.name,
        model,
        thinking_levels=levels,
        price=_own_price(provider),
        is_listed=is_open,
        accepts=(),
        gives="",
    )


def _own_facts(provider: Provider, model: str, catalog: Catalog) -> ModelFacts:
    """A model of a project's own provider: what is listed for its gateway, or the abilities (not the price and not
    the retirement) of the model of that name behind the built-in provider of the same dialect: gateways pass on.
    """
    price = _own_price(provider)
    address = next((url for url in catalog.hosts if provider.base_url.startswith(url)), "")
    listed = catalog.models.get((catalog.hosts.get(address, ""), model))
    if listed is not None:
        return replace(listed, provider=provider.name, price=price or listed.price)
    known = _behind(provider, model, catalog)
    if known is not None:
        return replace(known, provider=provider.name, price=price, retired="", replacement="", is_listed=False)
    structured: StructuredMode = "grammar" if provider.dialect == "llama" else "json_schema"
    return ModelFacts(provider.name, model, structured=structured, price=price, is_listed=False, accepts=(), gives="")


def _behind(provider: Provider, model: str, catalog: Catalog) -> ModelFacts | None:
    for builtin in catalog.providers.values():
        if builtin.dialect == provider.dialect and builtin.base_url and (builtin.name, model) in catalog.models:
            return catalog.models[builtin.name, model]
    return None


def _own_price(provider: Provider) -> Price | None:
    return provider.price or (Price(0.0, 0.0) if provider.is_free else None)
