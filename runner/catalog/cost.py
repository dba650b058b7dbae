"""What an answer costs (pure)."""

from __future__ import annotations

from runner.core.model import Price
from runner.core.response import Usage

_TOKENS_PER_PRICE = 1_000_000


def cost_usd(usage: Usage, price: Price | None) -> float | None:
    """US dollars; None when the price or the counts are not known, which is never the same as 0."""
    if price is None:
        return None
    if not price.input and not price.output and not price.cached_input:
        return 0.0
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    cached_price = price.input if price.cached_input is None else price.cached_input
    fresh = usage.input_tokens - cached
    # Thinking tokens are among the output tokens.
    total = fresh * price.input + cached * cached_price + usage.output_tokens * price.output
    return total / _TOKENS_PER_PRICE
