"""Filters that make text. Each takes the meter first, and charges for what it makes before making it."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal
from urllib.parse import quote

from jinja2 import filters as jinja

from runner.core.canonical import Json
from runner.templates.bounds import Meter
from runner.templates.values import Refused, dumps, text

_LONGEST_LINE_TO_WRAP = 100_000
_SPECIFIER = re.compile(
    r"%(?:\((?P<key>\w+)\))?(?P<flags>[-+ 0#]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<letter>.)", re.DOTALL
)


def upper(_meter: Meter, value: Json) -> str:
    return text(value).upper()


def lower(_meter: Meter, value: Json) -> str:
    return text(value).lower()


def capitalize(_meter: Meter, value: Json) -> str:
    return text(value).capitalize()


def title(_meter: Meter, value: Json) -> str:
    return jinja.do_title(text(value))


def trim(_meter: Meter, value: Json, chars: str | None = None) -> str:
    return text(value).strip(chars)


def string(_meter: Meter, value: Json) -> str:
    return text(value)


def wordcount(_meter: Meter, value: Json) -> int:
    return jinja.do_wordcount(text(value))


def filesizeformat(_meter: Meter, value: float, binary: bool = False) -> str:
    return jinja.do_filesizeformat(value, binary)


def urlencode(_meter: Meter, value: Json) -> str:
    if isinstance(value, Mapping):
        return "&".join(f"{quote(text(key), safe='')}={quote(text(inner), safe='')}" for key, inner in value.items())
    return quote(text(value))


def center(meter: Meter, value: Json, width: int = 80) -> str:
    meter.ensure_width(width, "a width")
    return text(value).center(width)


def truncate(
    _meter: Meter, value: Json, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5
) -> str:
    source = text(value)
    if length < len(end):
        raise Refused(f"'truncate' to {length} leaves no room for its ending {end!r}")
    if len(source) <= length + leeway:
        return source
    kept = source[: length - len(end)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + end


def replace(meter: Meter, value: Json, old: Json, new: Json, count: int | None = None) -> str:
    source, before, after = text(value), text(old), text(new)
    times = source.count(before)
    if count is not None and count >= 0:
        times = min(times, count)
    meter.charge_text(len(source) + times * max(0, len(after) - len(before)))
    return source.replace(before, after, times)


def indent(meter: Meter, value: Json, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    if isinstance(width, int):
        meter.ensure_width(width, "a width")
    source = text(value)
    margin = width if isinstance(width, str) else " " * width
    lines = source.split("\n")
    meter.charge_text(len(source) + len(lines) * len(margin))
    return "\n".join(
        margin + line if (line or blank) and (index or first) else line for index, line in enumerate(lines)
    )


def wordwrap(
    meter: Meter,
    value: Json,
    width: int = 79,
    break_long_words: bool = True,
    wrapstring: str = "\n",
    break_on_hyphens: bool = True,
) -> str:
    wrapped: list[str] = []
    for line in text(value).splitlines():
        if len(line) > _LONGEST_LINE_TO_WRAP:
            raise Refused(f"'wordwrap' works on lines of up to {_LONGEST_LINE_TO_WRAP:,} characters")
        meter.charge_text(len(line) * (1 + len(wrapstring)))
        meter.look()
        parts = textwrap.wrap(
            line,
            width=width,
            expand_tabs=False,
            replace_whitespace=False,
            break_long_words=break_long_words,
            break_on_hyphens=break_on_hyphens,
        )
        wrapped.append(wrapstring.join(parts))
    return wrapstring.join(wrapped)


def striptags(_meter: Meter, value: Json) -> str:
    """Text without tags and comments, entities decoded, white space folded; one pass over the text."""
    from html import unescape  # its table of names takes longer to load than most templates to check

    return unescape(" ".join("".join(_outside_tags(text(value))).split()))


def _outside_tags(source: str) -> Iterator[str]:
    position = 0
    while (start := source.find("<", position)) >= 0:
        opening, closing = ("<!--", "-->") if source.startswith("<!--", start) else ("<", ">")
        end = source.find(closing, start + len(opening))
        if end < 0:
            break
        yield source[position:start]
        position = end + len(closing)
    yield source[position:]


def fenced(meter: Meter, value: Json, language: str = "") -> str:
    """A code block whose fence is longer than any inside, so that the text cannot end it."""
    source = text(value)
    longest = max((len(run) for run in re.findall(r"`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    meter.charge_text(len(source) + 2 * len(fence))
    return f"{fence}{language}\n{source}{'' if source.endswith(chr(10)) or not source else chr(10)}{fence}"


def tojson(meter: Meter, value: Json, indent: int | None = None) -> str:
    """JSON with nothing escaped for HTML, keys in their own order."""
    if indent is not None:
        meter.ensure_width(indent, "an indent")
    meter.weigh(value)
    made = dumps(value, indent)
    meter.charge_text(len(made))
    return made


def join(meter: Meter, pieces: list[str], separator: str) -> str:
    """Texts with a separator between them."""
    meter.charge_text(sum(map(len, pieces)) + len(separator) * len(pieces))
    return separator.join(pieces)


def format_text(meter: Meter, value: Json, *args: Json, **named: Json) -> str:
    """Printf-style formatting; `%s` writes null, true and lists as JSON."""
    if args and named:
        raise Refused("'format' takes values by position or by name, not both")
    rest = iter(args)
    source = text(value)
    pieces: list[str] = []
    position = 0
    for found in _SPECIFIER.finditer(source):
        pieces += [source[position : found.start()], _format_one(meter, found, rest, named)]
        meter.charge_text(len(pieces[-1]))
        position = found.end()
    if next(rest, None) is not None:
        raise Refused("'format' got more values than the text has places")
    return "".join([*pieces, source[position:]])


def _format_one(meter: Meter, found: re.Match[str], rest: Iterator[Json], named: Mapping[str, Json]) -> str:
    letter = found["letter"]
    if letter == "%":
        return "%"
    if letter not in "sdifFeEgGxXoc":
        raise Refused(
            f"'{found[0]}' is no place for a value that 'format' knows", expected="%s, %d, %f, %e, %g, %x, %%"
        )
    for part in ("width", "precision"):
        meter.ensure_width(int((found[part] or "0")[:9]), f"a {part}")
    try:
        value = named[found["key"]] if found["key"] else next(rest)
    except (KeyError, StopIteration):
        raise Refused(f"'format' has no value for '{found[0]}'") from None
    plain_specifier = "%" + found[0].rpartition(")")[2].removeprefix("%") if found["key"] else found[0]
    return plain_specifier % (text(value) if letter == "s" else value)


def to_int(_meter: Meter, value: Json, default: Json = 0, base: int = 10) -> Json:
    """A whole number; `default` where the value is none. What lies beyond 64 bits is none."""
    number: Json = jinja.do_int(value, default, base)
    return default if isinstance(number, int) and abs(number) >= 2**64 else number


def to_float(_meter: Meter, value: Json, default: Json = 0.0) -> Json:
    number: Json = jinja.do_float(value, default)
    return default if isinstance(number, float) and not math.isfinite(number) else number


def absolute(_meter: Meter, value: float) -> float:
    return abs(value)


def round_number(
    meter: Meter, value: float, precision: int = 0, method: Literal["common", "ceil", "floor"] = "common"
) -> float:
    if method not in ("common", "ceil", "floor"):
        raise Refused(f"'round' has no method '{method}'", expected="common, ceil, floor")
    if abs(precision) > 300:
        raise Refused("'round' works on up to 300 digits")
    meter.charge(abs(precision))
    return jinja.do_round(value, precision, method)


TEXT_FILTERS: dict[str, Callable[..., Any]] = {
    "abs": absolute,
    "capitalize": capitalize,
    "center": center,
    "fenced": fenced,
    "filesizeformat": filesizeformat,
    "float": to_float,
    "format": format_text,
    "indent": indent,
    "int": to_int,
    "json": tojson,
    "lower": lower,
    "replace": replace,
    "round": round_number,
    "string": string,
    "striptags": striptags,
    "title": title,
    "tojson": tojson,
    "trim": trim,
    "truncate": truncate,
    "upper": upper,
    "urlencode": urlencode,
    "wordcount": wordcount,
    "wordwrap": wordwrap,
}
