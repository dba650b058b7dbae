"""The section `limits` of `runner.yaml`: how much the models of the project may be asked."""

from __future__ import annotations

from runner.config.common_grammar import DURATION
from runner.config.fields import Key, ListOf, Number, Record, Text
from runner.config.keys import Keys
from runner.config.nodes import Node
from runner.config.reading import Reading
from runner.config.step_file import seconds_of
from runner.config.verify import Findings
from runner.core.limits import RateLimit
from runner.core.problem import Problem, listed, nearest

_AMOUNT = Number(is_whole=True, minimum=1)
_BOUNDS = ("requests", "tokens", "input_tokens", "output_tokens", "in_flight")
_LIMIT = Record(
    "a limit",
    (
        Key(
            "models",
            Text(pattern=r"^[^/\s]+(/\S+)?$", says="provider/model, where * stands for any letters, such as gemini/*"),
            "The models that it holds for, each for itself: provider/model, where * stands for any letters.",
            is_required=True,
        ),
        Key("requests", _AMOUNT, "The most requests in the time of `per`."),
        Key("tokens", _AMOUNT, "The most tokens, of questions and answers together."),
        Key("input_tokens", _AMOUNT, "The most tokens of questions."),
        Key("output_tokens", _AMOUNT, "The most tokens of answers, thinking among them."),
        Key(
            "per", DURATION, "The time that the numbers are for: seconds, or text such as 1s, 1m (the default) or 24h."
        ),
        Key("in_flight", _AMOUNT, "The most requests under way at once."),
    ),
    at_least_one=_BOUNDS,
    needs={"per": ("requests", "tokens", "input_tokens", "output_tokens")},
)
LIMITS = Key("limits", ListOf(_LIMIT), "How much models may be asked; what is left out is learnt from their answers.")


def read_limits(keys: Keys, findings: Findings, reading: Reading, providers: frozenset[str]) -> tuple[RateLimit, ...]:
    """The limits in their order; one that no provider fits holds nobody to anything, which is told."""
    found = []
    for node in keys.mappings("limits"):
        one = Keys(node, findings.rejected)
        models = one.text("models")
        if models is None:
            continue
        value = one.get("models")
        assert value is not None
        limit = _limit(one, models, value)
        owner = models.partition("/")[0]
        if "*" not in owner and owner not in providers:
            near = nearest(owner, providers)
            reading.problems.append(
                Problem(
                    "unknown-provider",
                    f"'limits' names '{models}', but there is no provider '{owner}'",
                    value.span,
                    f"a provider: {listed(providers)}",
                    near and near + models[len(owner) :],
                )
            )
        found.append(limit)
    return tuple(found)


def _limit(keys: Keys, models: str, value: Node) -> RateLimit:
    return RateLimit(
        models=models if "/" in models or models == "*" else f"{models}/*",
        span=value.span,
        requests=keys.whole("requests"),
        tokens=keys.whole("tokens"),
        input_tokens=keys.whole("input_tokens"),
        output_tokens=keys.whole("output_tokens"),
        per_s=seconds_of(keys.get("per")) or 60.0,
        in_flight=keys.whole("in_flight"),
    )
