"""What files of several kinds say alike: texts, models, budgets, durations."""

from __future__ import annotations

from runner.config.fields import (
    NAME_IN_WORDS,
    PATH,
    AnyMapping,
    Key,
    Names,
    Number,
    Record,
    Shapes,
    Text,
)
from runner.core.model import THINKING_LEVELS

FORMAT = 1
FORMAT_NUMBER = Number(
    is_whole=True, minimum=FORMAT, maximum=FORMAT, says=f"{FORMAT}: this release reads format {FORMAT}"
)

# Words that mean something in templates and expressions, so that no element may be called by them.
RESERVED = (
    *("item", "inputs", "steps", "data", "state", "turn", "case", "each", "group", "output", "text", "outputs"),
    *("loop", "self", "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else"),
)

TEXT = Text()
FILLED = Text(pattern=r"\S", says="text")
MODEL = Text(pattern=r"\S", says="provider/model, or an alias")
THINKING = Text(
    choices=(*THINKING_LEVELS, "default"),
    hints={"off": "none", "no": "none", "on": "default", "auto": "default", "highest": "max"},
)
SCHEMA = Shapes(text=PATH, mapping=AnyMapping(is_schema=True))
_ALIAS = Record(
    "a model",
    (
        Key("use", MODEL, "The model: provider/model, or another alias.", is_required=True),
        Key("thinking", THINKING, "How hard the model thinks, unless a step says otherwise."),
    ),
    main="use",
)
MODELS = Names(
    "model", Shapes(text=MODEL, mapping=_ALIAS), pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", says=f"{NAME_IN_WORDS} and ."
)

_LIMIT = Number(is_whole=True, minimum=0)
BUDGET = Record(
    "a budget",
    (
        Key("usd", Number(minimum=0), "The most US dollars that one run may spend."),
        Key("calls", _LIMIT, "The most requests that one run may send, repairs and retries among them."),
        Key("tokens", _LIMIT, "The most tokens that one run may use, question and answer together."),
    ),
)
DURATION = Shapes(
    number=Number(above=0),
    text=Text(pattern=r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$", says="a number with ms, s, m or h, such as 30s"),
)
# What every provider takes for the name of a function.
TOOL_NAME = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
TOOL_NAME_IN_WORDS = "the name of a tool: a letter or _, then letters, digits, _ and -, at most 64"
