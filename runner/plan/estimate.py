"""Tokens and money before a call. Pure; how each number was made is said with it.

Tokens in are the bytes of the texts and the schema divided by four. Tokens out are what earlier answers of the step
took on average, else the cap of the step or the model, as an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable

from runner.core.call import Call
from runner.core.canonical import ordered
from runner.core.frozen import dataclass
from runner.core.long_text import size_of
from runner.core.media import Medium
from runner.core.model import ModelFacts, Price

BYTES_PER_TOKEN = 4
LEAST_TOKENS_OUT = 1
FRAME_TOKENS = 4  # what a message takes besides its text
REPAIR_TOKENS = 1000  # the list of what does not fit, of at most ten lines, and the frame around it
RESULT_TOKENS = 20_000  # the results of the tools that one answer calls, of at most 64 KiB, and the frame around them
MILLION = 1_000_000
# What pictures take at their closest look, and sounds, videos and PDFs at a low quality, which has few bytes a second.
IMAGE_TOKENS = 1600
BYTES_PER_TOKEN_OF = {"audio": 250, "video": 200, "document": 25}


@dataclass(frozen=True, slots=True)
class History:
    """What earlier fresh answers of a step took: how many there were, and their tokens in all."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TokensOut:
    """`likely` and `most`, None where nothing is known; `is_measured` when earlier answers say so."""

    likely: int | None
    most: int | None
    is_measured: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """A tokenizer: what it is called, and how it counts a text."""

    name: str
    count: Callable[[str], int]


def tokens_in(call: Call, counter: Counter | None = None) -> int:
    """The tokens of a rendered question: counted, else an estimate: a quarter of its bytes, rounded up."""
    if counter is not None:
        texts = [*(message.text for message in call.messages), *([call.system] if call.system else [])]
        schema = ordered(call.schema).decode() if call.schema is not None else ""
        counted = sum(counter.count(str(text)) + FRAME_TOKENS for text in texts) + counter.count(schema)
        return counted + tokens_of(_tool_bytes(call))
    size = sum(size_of(message.text) for message in call.messages) + size_of(call.system or "")
    size += _tool_bytes(call)
    if call.schema is not None:
        size += len(ordered(call.schema))
    return tokens_of(size)


def _tool_bytes(call: Call) -> int:
    """What a question says of tools, and of what they gave."""
    if not call.tools:
        return 0
    told = [[tool.name, tool.description, tool.parameters] for tool in call.tools]
    said = [message.said for message in call.messages if message.said is not None]
    results = sum(len(result.text.encode()) for message in call.messages for result in message.results)
    return len(ordered(told)) + (len(ordered(said)) if said else 0) + results


def media_tokens(call: Call) -> int:
    """An estimate for the files of a question; what is behind it is said in the document on cost."""
    return sum(_tokens_of_medium(medium) for message in call.messages for medium in message.files)


def _tokens_of_medium(medium: Medium) -> int:
    if medium.mime.startswith("text/"):
        return tokens_of(medium.size)
    return IMAGE_TOKENS if medium.kind == "image" else -(-medium.size // BYTES_PER_TOKEN_OF[medium.kind])


def tokens_of(size_bytes: int) -> int:
    """A quarter of the bytes, rounded up."""
    return -(-size_bytes // BYTES_PER_TOKEN)


def tokens_out(cap: int | None, facts: ModelFacts, history: History, of_schema: int | None = None) -> TokensOut:
    """What one answer takes. The cap of the step, the model or the schema bounds it; without any, nothing does."""
    bounds = [bound for bound in (cap, facts.max_output_tokens, of_schema) if bound is not None]
    most = min(bounds) if bounds else None
    if history.calls:
        return TokensOut(-(-history.output_tokens // history.calls), most, is_measured=True)
    return TokensOut(most, most)


def price_of(tokens_input: int | None, tokens_output: int | None, price: Price | None) -> float | None:
    """US dollars for one call, None when a number or the price is not known. Free is free, whatever it takes.

    Nobody knows beforehand what a provider will have cached, so all input is priced as new.
    """
    if price is None:
        return None
    if price.is_free:
        return 0.0
    if tokens_input is None or tokens_output is None:
        return None
    tier = price if price.long is None or tokens_input <= price.long.over else price.long
    return (tokens_input * tier.input + tokens_output * tier.output) / MILLION


def chain_usd(
    tokens_input: int | None, tokens_output: int | None, price: Price | None, *, repairs: int, turns: int = 0
) -> float | None:
    """A call whose answers are all as long as they may be and never fit: each repair carries the question and all
    answers so far, each of `turns` with tools their results too.
    """
    if tokens_input is None or tokens_output is None:
        return price_of(None, None, price)
    growth = tokens_output + (RESULT_TOKENS if turns else REPAIR_TOKENS)
    asked = range(repairs + turns + 1)
    return plus(*(price_of(tokens_input + number * growth, tokens_output, price) for number in asked))


def plus(*amounts: float | None) -> float | None:
    """A sum, which is not known when one part is not."""
    return None if None in amounts else sum(amount or 0.0 for amount in amounts)


def times(amount: float | None, number: int) -> float | None:
    """Nothing costs nothing, whatever one would cost."""
    return 0.0 if not number else None if amount is None else amount * number
