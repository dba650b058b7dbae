"""Tools: what `runner.yaml` says that they are, and how a step uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from runner.core.frozen import dataclass
from runner.core.located import Located, SchemaSource
from runner.core.model import ModelFacts, Price, Provider, Route
from runner.core.span import Span
from runner.core.values import Value

TOOL_DIALECT: Final = "tool"
DEFAULT_MAX_TURNS: Final = 8
ALONE: Final = "alone"
"""The setting of a function that never runs twice at once."""

OwnTool = Literal["web_search", "code_execution"]
TOOL_CHOICES: Final = ("auto", "required", "none")
OWN_TOOLS: tuple[OwnTool, ...] = get_args(OwnTool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Located):
    """A tool of `runner.yaml`: a function in Python (`python` is `module:function`), or one of the provider's (`own`).

    `version` is the author's, to have it run anew. Results of one that is not `is_replayed` are never stored. One that is
    not `is_parallel` never runs twice at once, and the calls of an answer run it in their order.
    """

    name: str
    description: str = ""
    python: str = ""
    own: OwnTool | Literal[""] = ""
    parameters: SchemaSource | None = None
    returns: SchemaSource | None = None
    version: str = ""
    is_replayed: bool = True
    is_parallel: bool = True

    @property
    def route(self) -> Route:
        """Who runs it, for a question that is put to a tool and not to a model."""
        facts = ModelFacts(TOOL_DIALECT, self.name, accepts=(), price=Price(0.0, 0.0))
        settings = {"python": self.python, "version": self.version, **({} if self.is_parallel else {ALONE: "yes"})}
        provider = Provider(TOOL_DIALECT, TOOL_DIALECT, identity=TOOL_DIALECT, is_builtin=True, settings=settings)
        return Route(f"{TOOL_DIALECT}/{self.name}", provider, self.name, facts)


@dataclass(frozen=True, slots=True)
class ToolUse:
    """`call` and `with` of a step: the tool that it runs, and what that is given."""

    tool: str
    arguments: Mapping[str, Value]
    span: Span
