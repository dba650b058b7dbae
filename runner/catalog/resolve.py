"""A model's name made concrete: aliases followed, the provider found, the facts looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runner.catalog.cost import cost_usd
from runner.catalog.facts import Catalog, facts_for, parse_catalog
from runner.catalog.thinking import thinking_for
from runner.core.frozen import dataclass
from runner.core.model import FactsGiven, ModelFacts, Price, Provider, Route
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Span
from runner.core.workflow import ModelAlias

__all__ = ["Catalog", "cost_usd", "parse_catalog", "resolve", "thinking_for", "warnings_for"]

_SOON_DAYS = 60


@dataclass(frozen=True, slots=True)
class _Named:
    """Where the aliases lead: the full name, where it was written, and the alias that sets the thinking level."""

    name: str
    span: Span | None
    option: str = ""
    thinking_by: ModelAlias | None = None

    def problem(self, code: str, message: str, *, expected: str = "", near: str = "", fix: str = "") -> Problem:
        notes = (("given by", self.option),) if self.option else ()
        return Problem(code, message, self.span, expected, near, fix, notes)


def resolve(
    name: str,
    *,
    aliases: Mapping[str, ModelAlias],
    overrides: Mapping[str, str],
    providers: Mapping[str, Provider],
    catalog: Catalog,
    span: Span,
    given: Mapping[str, FactsGiven] | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Route | Problem:
    """The route of a model name that is written at `span`.

    `overrides` (`--model alias=provider/model`) go before `aliases`, and take the place of an alias with its thinking
    level; `providers` are the project's own, and so are the facts that are `given` and `prices`, by provider/model.
    """
    named = _follow(name, aliases, overrides, span)
    if isinstance(named, Problem):
        return named
    owner, slash, model = named.name.partition("/")
    provider = providers.get(owner) or catalog.provider_for(owner, model)
    if not slash:
        return _neither(named, aliases, catalog)
    if provider is None:
        known = [*providers, *catalog.providers]
        near = nearest(owner, known)
        message = f"there is no provider '{owner}'"
        return named.problem(
            "unknown-model", message, expected=f"a provider: {listed(known)}", near=near and f"{near}/{model}"
        )
    known = catalog.models_of(owner)
    if not model or (owner in catalog.closed and provider.is_builtin and model not in known):
        near = nearest(model, known)
        message = f"provider '{owner}' has no model '{model}'" if model else f"'{named.name}' names no model"
        return named.problem("unknown-model", message, expected=listed(known), near=near and f"{owner}/{near}")
    facts = known_facts(provider, model, catalog, given or {}, prices or {})
    route = Route(f"{owner}/{model}", provider, model, facts)
    return _with_thinking(route, named.thinking_by)


def known_facts(
    provider: Provider,
    model: str,
    catalog: Catalog,
    given: Mapping[str, FactsGiven],
    prices: Mapping[str, Price],
) -> ModelFacts:
    """What the catalogue says of a model, and over it what the project says, by provider/model."""
    name, facts = f"{provider.name}/{model}", facts_for(provider, model, catalog)
    facts = given[name].over(facts) if name in given else facts
    return replace(facts, price=prices[name]) if name in prices else facts


def _follow(name: str, aliases: Mapping[str, ModelAlias], overrides: Mapping[str, str], span: Span) -> _Named | Problem:
    named, seen = _Named(name, span), [name]
    while named.name in overrides or named.name in aliases:
        if named.name in overrides:
            target = overrides[named.name]
            named = replace(named, name=target, span=None, option=f"--model {named.name}={target}")
        else:
            alias = aliases[named.name]
            sets_thinking = alias.thinking not in {None, "default"} and named.thinking_by is None
            named = _Named(alias.use, alias.at("use"), "", alias if sets_thinking else named.thinking_by)
        if named.name in seen:
            circle = " → ".join([*seen[seen.index(named.name) :], named.name])
            return named.problem("model-circle", f"the alias '{named.name}' leads back to itself: {circle}")
        seen.append(named.name)
    return named


def _with_thinking(route: Route, alias: ModelAlias | None) -> Route | Problem:
    if alias is None:
        return route
    level = thinking_for(route, alias.thinking, alias.at("thinking"))
    return level if isinstance(level, Problem) else replace(route, thinking=level)


def _neither(named: _Named, aliases: Mapping[str, ModelAlias], catalog: Catalog) -> Problem:
    """A name without a slash that is no alias; often the id of a model without its provider."""
    by_id = {model: f"{owner}/{model}" for owner, model in reversed(list(catalog.models)) if owner in catalog.providers}
    near = nearest(named.name, [*aliases, *by_id])
    return named.problem(
        "unknown-model",
        f"'{named.name}' is no alias of a model, and a model is written provider/model",
        expected=f"an alias ({listed(aliases)}) or provider/model" if aliases else "provider/model",
        near=near if near in aliases else by_id.get(near, ""),
    )


def warnings_for(route: Route, catalog: Catalog, today: str, span: Span | None) -> tuple[Problem, ...]:
    """What to know before asking: the model is or will soon be switched off, or is not in the catalogue.

    `today` is a date in ISO form.
    """
    found = [_retirement(route, today, span), _unlisted(route, catalog, span)]
    return tuple(problem for problem in found if problem is not None)


def _retirement(route: Route, today: str, span: Span | None) -> Problem | None:
    date, better = route.facts.retired, route.facts.replacement
    if not date or not _is_near(date, today):
        return None
    happens = "was switched off by its vendor on" if date <= today else "will be switched off by its vendor on"
    return Problem(
        "retired-model",
        f"{route.name} {happens} {date}",
        span,
        fix=f"{route.provider.name}/{better}" if better else "",
        severity="warning",
    )


def _is_near(date: str, today: str) -> bool:
    from datetime import date as day  # needed for the few models with an end only

    return (day.fromisoformat(date) - day.fromisoformat(today)).days <= _SOON_DAYS


def _unlisted(route: Route, catalog: Catalog, span: Span | None) -> Problem | None:
    if route.facts.is_listed or not route.provider.is_builtin:
        return None
    near = nearest(route.model, catalog.models_of(route.provider.name))
    return Problem(
        "unlisted-model",
        f"{route.name} is not in the catalogue, so its price, limits and thinking levels are not known",
        span,
        nearest=near and f"{route.provider.name}/{near}",
        severity="warning",
    )
