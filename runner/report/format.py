"""Money, durations, counts as people read them. Unknown is `?`, never 0."""

from __future__ import annotations

from math import floor, log10

_SMALLEST_SHOWN = 1e-6


def money(usd: float | None) -> str:
    """US dollars: cents from ten cents on, two significant digits below."""
    if usd is None:
        return "?"
    if usd == 0 or usd >= 0.0995:
        return f"${usd:,.2f}"
    if usd < _SMALLEST_SHOWN:
        return f"<${_SMALLEST_SHOWN:.6f}"
    return "$" + f"{usd:.{1 - floor(log10(usd))}f}".rstrip("0")


def duration(seconds: float) -> str:
    """`0.4 s`, `1 min 05 s`, `2 h 03 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def lasting(seconds: float) -> str:
    """A time that somebody has chosen: `30 min`, `6 h`, `1 h 30 min`."""
    return duration(seconds).removesuffix(" 00 s").removesuffix(" 00 min")


def age(seconds: float) -> str:
    """`3 days old`, in the largest unit that fits."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{count(int(seconds // length), unit)} old"
    return "less than a minute old"


def number(value: int | None) -> str:
    """A count with thousands apart."""
    return "?" if value is None else f"{value:,}"


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 call`, `3 calls`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def size(amount: int) -> str:
    """Bytes in powers of 1000: `512 B`, `1.2 kB`, `3.4 MB`."""
    if amount < 1000:
        return f"{amount} B"
    scaled = float(amount)
    for unit in ("kB", "MB", "GB"):
        scaled /= 1000
        if scaled < 999.95:
            return f"{scaled:.1f} {unit}"
    return f"{scaled / 1000:.1f} TB"
