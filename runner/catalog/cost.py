"""What an answer costs (pure)."""

from __future__ import annotations

from runner.core.model import Price
from runner.core.response import Usage

_TOKENS_PER_PRICE = 1_000_000


def cost_usd(usage: Usage, price: Price | None, *, is_batch: bool = False) -> float | None:
    """US dollars; None when the price or the counts are not known, which is never the same as 0."""
    if price is None or (is_batch and price.batch is None):
        return None
    if price.is_free:
        return 0.0
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    tier = price if price.long is None or usage.input_tokens <= price.long.over else price.long
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    cached_price = tier.input if tier.cached_input is None else tier.cached_input
    fresh = usage.input_tokens - cached
    # Thinking tokens are among the output tokens.
    total = fresh * tier.input + cached * cached_price + usage.output_tokens * tier.output
    share = price.batch if is_batch and price.batch is not None else 1.0
    return total * share / _TOKENS_PER_PRICE
