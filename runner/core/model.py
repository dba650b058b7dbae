"""What a model is and can do, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Literal, get_args

from runner.core.frozen import dataclass

ThinkingLevel = Literal["none", "minimal", "low", "medium", "high", "max"]
THINKING_LEVELS: tuple[ThinkingLevel, ...] = get_args(ThinkingLevel)

MODALITIES = ("text", "image", "audio", "video", "document")

StructuredMode = Literal["json_schema", "grammar", "prompt", "none"]


@dataclass(frozen=True, slots=True)
class LongPrice:
    """What all tokens of a question with more than `over` input tokens cost."""

    over: int
    input: float
    output: float
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, as listed on `date` (ISO). Thinking tokens cost what output tokens do.

    `cached_input` is for input tokens that the provider had cached (None: as any other), `long` for long questions,
    `batch` the share of the price that an answer by the batch interface costs (None: there is none, or it is not known),
    `storage` what it costs to keep a million tokens at the provider for an hour (None: not known).
    """

    input: float
    output: float
    cached_input: float | None = None
    date: str = ""
    long: LongPrice | None = None
    batch: float | None = None
    storage: float | None = None

    @property
    def in_batch(self) -> Price | None:
        """What answers by the batch interface cost; None where that is not known."""
        if self.batch is None:
            return self if self.is_free else None
        long = self.long and LongPrice(self.long.over, *_shared(self.long, self.batch))
        given, made, cached = _shared(self, self.batch)
        return replace(self, input=given, output=made, cached_input=cached, long=long, batch=None)

    @property
    def is_free(self) -> bool:
        parts = (self, self.long) if self.long else (self,)
        return not any(part.input or part.output or part.cached_input for part in parts)


def _shared(price: Price | LongPrice, share: float) -> tuple[float, float, float | None]:
    """A share of what new input, output and cached input cost."""
    cached = price.cached_input
    return price.input * share, price.output * share, None if cached is None else cached * share


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What one model of one provider accepts and costs; unknown numbers are None, an unknown price too.

    `thinking_levels` is empty for a model without the control: nothing is sent and setting a level is an error.
    `is_thinking_in_cap`: what it thinks counts towards `max_output_tokens`.
    `accepts` are the kinds of input that it reads, empty where that is not known.
    `refuses` names step keys that the model answers with an error (such as `temperature`), `refuses_thinking` those that
    it takes at the level none only. `thinking_words` is the
    model's own way to say a level, where its dialect would say it otherwise: a word, or a number of tokens.
    `mixes_tools`: it takes functions beside tools that the provider runs (None: nobody knows). `gives` is "" where nobody knows whether it answers in words or with a vector. `least_kept_tokens` are the fewest
    that its provider keeps for later questions.
    """

    provider: str
    model: str
    title: str = ""
    thinking_levels: tuple[ThinkingLevel, ...] = ()
    default_thinking: ThinkingLevel | None = None
    is_thinking_in_cap: bool = False
    thinking_words: Mapping[str, str | int] = field(default_factory=dict)
    accepts: tuple[str, ...] = ("text",)
    structured: StructuredMode = "json_schema"
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    refuses: tuple[str, ...] = ()
    price: Price | None = None
    retired: str = ""
    replacement: str = ""
    note: str = ""
    is_listed: bool = True
    tokenizer: str = ""
    gives: Literal["", "text", "vector", "both"] = "text"
    refuses_thinking: tuple[str, ...] = ()
    least_kept_tokens: int | None = None
    mixes_tools: bool | None = None


@dataclass(frozen=True, slots=True)
class FactsGiven:
    """What a project says of a model; None leaves what the catalogue says."""

    title: str | None = None
    thinking_levels: tuple[ThinkingLevel, ...] | None = None
    default_thinking: ThinkingLevel | None = None
    accepts: tuple[str, ...] | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    refuses: tuple[str, ...] | None = None
    retired: str | None = None
    replacement: str | None = None
    note: str | None = None

    def over(self, facts: ModelFacts) -> ModelFacts:
        """The facts as the project knows them; a level to send by default is always one that the model has."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        changed = replace(facts, is_listed=True, **{name: value for name, value in given.items() if value is not None})
        if changed.default_thinking not in changed.thinking_levels:
            return replace(changed, default_thinking=next(iter(changed.thinking_levels), None))
        return changed


@dataclass(frozen=True, slots=True)
class Provider:
    """A service that answers: how to speak to it and which environment variable holds its key.

    `identity` enters the key (a built-in's name; for others the configured identity, else the base URL).
    `settings` are the dialect's own, such as `model_path` of a llama provider or `file` of a scripted one.
    `header_env` pairs headers with the environment variables that fill them (an organisation, a project).
    """

    name: str
    dialect: str
    base_url: str = ""
    key_env: str = ""
    identity: str = ""
    is_builtin: bool = False
    is_free: bool = False
    price: Price | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    header_env: tuple[tuple[str, str], ...] = ()

    @property
    def is_in_process(self) -> bool:
        """Whether it answers inside this process: a call that is dropped costs nobody anything."""
        return self.dialect in {"llama", "llama-embed"}


@dataclass(frozen=True, slots=True)
class Route:
    """A model name made concrete: who answers, under which id, and what is known of it."""

    name: str
    provider: Provider
    model: str
    facts: ModelFacts
    thinking: ThinkingLevel | None = None
