"""What a step may say: the keys, their kinds, and their words for editors."""

from __future__ import annotations

from runner.config.common_grammar import (
    DURATION,
    FILLED,
    MODEL,
    RESERVED,
    SCHEMA,
    TEXT,
    THINKING,
    TOOL_NAME,
    TOOL_NAME_IN_WORDS,
)
from runner.config.fields import (
    VARIABLE,
    VARIABLE_IN_WORDS,
    AnyMapping,
    Expr,
    Key,
    ListOf,
    Names,
    Number,
    Prompt,
    Record,
    Shapes,
    Text,
    Value,
    Variants,
)
from runner.core.media import MEDIUM_KINDS
from runner.core.tool import DEFAULT_MAX_TURNS

_SEED = Number(is_whole=True, minimum=-(2**63), maximum=2**63 - 1, says="a whole number of at most 64 bits")
_VARIABLE = Text(pattern=VARIABLE, says=VARIABLE_IN_WORDS, taken=RESERVED)
_MESSAGE = Record(
    "a message",
    (
        Key(
            "role",
            Text(choices=("user", "assistant"), says="the system text has its own key, 'system'"),
            "Who speaks; the system text has its own key.",
            is_required=True,
        ),
        Key("text", Prompt(), "What is said: a template, or {file: path}.", is_required=True),
    ),
    later=("files",),
)
_REPEATED = Record(
    "a repeated message",
    (
        Key("for_each", Expr(), "The list whose elements the messages are repeated for.", is_required=True),
        Key("as", _VARIABLE, "What the element is called in the messages.", is_required=True),
        Key("messages", ListOf(_MESSAGE, minimum=1), "The messages for one element.", is_required=True),
    ),
    later=("files",),
)
_SECONDS = Number(minimum=0, says="a number of seconds")
_CLIP = Record(
    "a clip",
    (
        Key("from", _SECONDS, "Where the part begins, in seconds."),
        Key("to", _SECONDS, "Where the part ends, in seconds."),
        Key("fps", Number(above=0, maximum=24), "How many pictures of each second the model sees."),
    ),
    at_least_one=("from", "to", "fps"),
)
_FILE_OF_STEP = Record(
    "a file",
    (
        Key("image", Prompt(), "The path of an image: a template."),
        Key("audio", Prompt(), "The path of a sound: a template."),
        Key("video", Prompt(), "The path of a video: a template."),
        Key("document", Prompt(), "The path of a document, PDF or text: a template."),
        Key("clip", _CLIP, "The part of a video that the model sees."),
        Key("resolution", Text(choices=("low", "medium", "high")), "How closely the model looks."),
    ),
    exactly_one=MEDIUM_KINDS,
    needs={"clip": ("video",), "resolution": ("image", "video", "document")},
)
_REPEATED_FILES = Record(
    "a repeated file",
    (
        Key("for_each", Expr(), "The list whose elements the files are repeated for.", is_required=True),
        Key("as", _VARIABLE, "What the element is called in the files.", is_required=True),
        Key("files", ListOf(_FILE_OF_STEP, minimum=1), "The files for one element.", is_required=True),
    ),
)
_CACHE = Record(
    "a cache setting",
    (
        Key(
            "use",
            Text(choices=("auto", "refresh", "off")),
            "auto: take stored answers; refresh: ask again and store; off: neither take nor store.",
        ),
        Key("salt", TEXT, "Text that enters the cache key, to ask anew."),
    ),
    main="use",
)
_CONTEXT_CACHE = Record(
    "a context cache",
    (
        Key("ttl", DURATION, "How long it is kept: seconds, or text such as 30m; 1h when left out."),
        Key(
            "after_run",
            Text(choices=("keep", "delete")),
            "keep (when left out): later runs use it until its time is over; delete: it goes when the run has ended.",
        ),
    ),
    main="ttl",
)
_TARGET = Record(
    "a model to ask next",
    (
        Key("model", MODEL, "The model: provider/model, or an alias.", is_required=True),
        Key("thinking", THINKING, "How hard it thinks; left out, the model's own level."),
        Key("temperature", Number(minimum=0, maximum=2), "How freely it chooses its words."),
        Key("top_p", Number(minimum=0, maximum=1), "The share of likely words to choose from."),
        Key(
            "max_output_tokens",
            Number(is_whole=True, minimum=1, maximum=1_000_000_000),
            "The most that it may write; left out, what the step says.",
        ),
        Key("seed", _SEED, "A seed for its choices."),
        Key("options", AnyMapping(), "Fields of its provider's own, passed through and part of the cache key."),
    ),
    main="model",
)
_ESCALATE = Record(
    "an escalation",
    (
        Key(
            "to",
            Shapes(text=MODEL, mapping=_TARGET, sequence=ListOf(Shapes(text=MODEL, mapping=_TARGET), minimum=1)),
            "The model to ask next, or several to ask one after another.",
            is_required=True,
        ),
        Key("when", Expr(), "An expression over the step's own `output` or `text`: where it holds, the next is asked."),
        Key(
            "on",
            ListOf(Text(choices=("invalid", "cut", "refused", "transport"))),
            "The failures for which the next is asked; invalid, cut and refused when left out.",
        ),
    ),
)
_TOOL = Text(pattern=TOOL_NAME, says=TOOL_NAME_IN_WORDS)
STEP_KEYS = (
    Key("description", TEXT, "What the step is for."),
    Key("tags", ListOf(FILLED), "Words to select steps by."),
    Key("model", MODEL, "The model that answers: provider/model, or an alias."),
    Key("thinking", THINKING, "How hard the model thinks; `default` is the model's own level."),
    Key("system", Prompt(), "The system text: a template, or {file: path}."),
    Key("prompt", Prompt(), "What is asked: a template, or {file: path}."),
    Key(
        "messages",
        ListOf(Variants("for_each", _REPEATED, _MESSAGE), minimum=1),
        "What is asked, as a conversation of user and assistant.",
    ),
    Key(
        "files",
        ListOf(Variants("for_each", _REPEATED_FILES, _FILE_OF_STEP), minimum=1),
        "What the model is shown with the question: images, sounds, videos and documents.",
    ),
    Key(
        "embed",
        Prompt(),
        "The text of which the model gives a vector, in place of a question: a template, or {file: path}.",
    ),
    Key("schema", SCHEMA, "The JSON Schema that the answer must fit: a path, or the schema itself."),
    Key(
        "fields",
        AnyMapping(is_schema=True, is_filled=True),
        "The short form of a schema: all named fields, none other.",
    ),
    Key("enforce", Text(choices=("provider", "local")), "Who holds the answer to the schema; local: it is not sent."),
    Key("ensure", ListOf(Expr()), "Expressions over `output` or `text` that must hold."),
    Key("repair", Number(is_whole=True, minimum=0, maximum=10), "How often an answer that does not fit is sent back."),
    Key("escalate", _ESCALATE, "Which model is asked next, and for which answers and failures."),
    Key("temperature", Number(minimum=0, maximum=2), "How freely the model chooses its words."),
    Key("top_p", Number(minimum=0, maximum=1), "The share of likely words to choose from."),
    Key(
        "max_output_tokens",
        Number(is_whole=True, minimum=1, maximum=1_000_000_000),
        "The most that the model may write.",
    ),
    Key("seed", _SEED, "A seed for the model's choices."),
    Key("stop", ListOf(Text(pattern=".|\n", says="text that is not empty")), "Texts at which the answer ends."),
    Key("needs", ListOf(FILLED), "The steps that this one reads; found by itself, complete if written."),
    Key("when", Expr(), "The step is skipped where this is false."),
    Key("for_each", Expr(), "Run once per element of a list or data source."),
    Key("as", _VARIABLE, "What the element is called, besides `item`."),
    Key("on_error", Text(choices=("fail", "skip")), "What a failed item does: fail the run, or be left out."),
    Key("min_success", Number(minimum=0, maximum=1), "The share of items that must be good, with on_error: skip."),
    Key("max_parallel", Number(is_whole=True, minimum=1, maximum=100_000), "How many calls of this step run at once."),
    Key("samples", Number(is_whole=True, minimum=1, maximum=1000), "How many answers to take, each stored on its own."),
    Key("timeout", DURATION, "How long an answer may take: seconds, or text such as 30s or 5m."),
    Key("retries", Number(is_whole=True, minimum=0, maximum=100), "How often a request that failed is sent again."),
    Key(
        "transport",
        Text(choices=("online", "batch")),
        "batch: ask by the provider's batch interface, many questions at once, for less and later; online: one by one.",
    ),
    Key("cache", _CACHE, "How stored answers are used."),
    Key(
        "context_cache",
        _CONTEXT_CACHE,
        "Keep at the provider what is the same for all items, so that it is paid for in full once. Gemini and Vertex AI.",
    ),
    Key("options", AnyMapping(), "Fields of the provider's own, passed through and part of the cache key."),
    Key("tools", ListOf(_TOOL, minimum=1), "The tools of runner.yaml that the model may call."),
    Key(
        "tool_choice",
        Text(pattern=TOOL_NAME, says="auto, required, none or the name of a tool"),
        "Whether the model must call a tool in its first answer: auto, required, none, or the name of one.",
    ),
    Key(
        "max_turns",
        Number(is_whole=True, minimum=1, maximum=100),
        f"How often the model may be asked in a conversation with tools; {DEFAULT_MAX_TURNS} when left out.",
    ),
    Key("save", Prompt(), "Where the answer is written, relative to the project root: a template."),
)
# A step that runs a tool in place of asking a model, and what it may say besides.
_CALL_KEYS = (
    Key("call", _TOOL, "The tool of runner.yaml that the step runs."),
    Key(
        "with",
        Names("argument", Value(), pattern=r"\S", says="a name that is not empty"),
        "What the tool is given: a value for each of its parameters.",
    ),
)
_NEEDS = {"with": ("call",), "tool_choice": ("tools",), "max_turns": ("tools",)}
BESIDE_CALL = (
    *("description", "tags", "needs", "when", "for_each", "as", "on_error", "min_success", "max_parallel", "timeout"),
    *("cache", "ensure", "call", "with"),
)
_BESIDE_NO_CALL = tuple(("call", key.name) for key in STEP_KEYS if key.name not in BESIDE_CALL)
DEFAULTS_EITHER = (("prompt", "messages"), ("schema", "fields"))
# A vector is made of a text, and of nothing that concerns an answer in words.
NOT_TO_EMBED = (
    *("prompt", "messages", "system", "files", "thinking", "schema", "fields", "enforce", "repair", "escalate"),
    *("temperature", "top_p", "max_output_tokens", "seed", "stop", "samples"),
    *("tools", "tool_choice", "max_turns", "context_cache"),
)
STEP_EITHER = (*DEFAULTS_EITHER, *(("embed", name) for name in NOT_TO_EMBED))
# What a step with a loop may say itself.
BESIDE_LOOP = (
    *("description", "tags", "needs", "when", "for_each", "as", "on_error", "min_success", "max_parallel", "loop"),
)
_NOT_IN_LOOP = (
    "needs",
    "for_each",
    "as",
    "on_error",
    "min_success",
    "max_parallel",
    "samples",
    "save",
    "context_cache",
)
# A loop asks nothing itself: what concerns a question belongs into its steps.
_BESIDE_NO_LOOP = tuple(
    ("loop", key.name) for key in (*STEP_KEYS, *_CALL_KEYS) if key.name not in (*BESIDE_LOOP, "with")
)
INNER_STEP = Record(
    "a step of a loop",
    (*(key for key in STEP_KEYS if key.name not in _NOT_IN_LOOP), *_CALL_KEYS),
    either=(*STEP_EITHER, *(pair for pair in _BESIDE_NO_CALL if pair[1] not in _NOT_IN_LOOP)),
    needs=_NEEDS,
    has_free_keys=True,
    hints={
        **dict.fromkeys(_NOT_IN_LOOP, "put it into the step that has the loop"),
        "context_cache": "the questions of a loop grow from turn to turn, so that nothing of them is kept",
        "loop": "a loop inside a loop is not possible",
    },
)
_STATE = Record(
    "a state",
    (
        Key("schema", SCHEMA, "The JSON Schema of the state, an object: a path, or the schema itself."),
        Key("fields", AnyMapping(is_schema=True, is_filled=True), "Its short form."),
        Key(
            "start",
            Names("key", Value(), pattern=r"\S", says="a name that is not empty"),
            "The state before the first turn: a value for each key.",
            is_required=True,
        ),
    ),
    exactly_one=("schema", "fields"),
)
_LOOP = Record(
    "a loop",
    (
        Key(
            "max",
            Number(is_whole=True, minimum=1, maximum=10_000),
            "The most turns: it bounds calls and cost.",
            is_required=True,
        ),
        Key("state", _STATE, "What is carried from turn to turn.", is_required=True),
        Key(
            "steps",
            Names("step", INNER_STEP, pattern=VARIABLE, says=VARIABLE_IN_WORDS, minimum=1),
            "The steps of a turn, which see `state` and `turn`.",
            is_required=True,
        ),
        Key(
            "next",
            Names("key", Expr(), pattern=r"\S", says="a name that is not empty"),
            "The next state: expressions over the old one; other keys are kept.",
        ),
        Key("until", Expr(), "The loop ends after the turn for which this holds; it sees the new state."),
        Key("over", Expr(), "A list: one turn for each of its elements."),
        Key("as", _VARIABLE, "What the element is called."),
    ),
    either=(("until", "over"),),
    needs={"as": ("over",), "over": ("as",)},
)
_LOOP_KEY = Key("loop", _LOOP, "Steps that are walked turn by turn, with a state.")
STEP = Record(
    "a step",
    (*STEP_KEYS, *_CALL_KEYS, _LOOP_KEY),
    either=(*STEP_EITHER, *_BESIDE_NO_LOOP, *_BESIDE_NO_CALL),
    needs=_NEEDS,
    has_free_keys=True,
)
DEFAULTS = Record(
    "defaults",
    tuple(key for key in STEP_KEYS if key.name not in ("description", "embed")),
    either=DEFAULTS_EITHER,
    has_free_keys=True,
    hints=dict.fromkeys(("call", "with"), "put it into the step that runs the tool"),
)
