"""A plan as a graph: what every picture of it shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.report.plan_text import SYMBOLS, state_in_words

NO_STATE: Final = "no items"
UNSEEN: Final = "\N{REPLACEMENT CHARACTER}"

# Fill, line and text of each state; the symbol and the words say the same without colour.
COLORS: Final[Mapping[str, tuple[str, str, str]]] = {
    "cached": ("#e3f4e6", "#2b7a3d", "#123d1c"),
    "call": ("#fde9d2", "#b45f06", "#4f2a02"),
    "may call": ("#fff7cf", "#8a6d00", "#463700"),
    "skipped": ("#eeeeee", "#6a6a6a", "#333333"),
    "cannot run": ("#fbdcdc", "#b3261e", "#5c0f0a"),
    "not selected": ("#f5f5fb", "#6d6d8f", "#3b3b57"),
    "no items": ("#ffffff", "#6a6a6a", "#333333"),
}


@dataclass(frozen=True, slots=True)
class Node:
    """A step: `state` is one of the words of a plan, `words` says more of it. `lane` is the list that it walks."""

    name: str
    model: str
    state: str
    words: str
    lane: str = ""
    description: str = ""

    @property
    def symbol(self) -> str:
        return SYMBOLS.get(self.state, " ")


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` reads `source`: its answer, the answers of all its items, or its list of items."""

    source: str
    target: str
    kind: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in order of execution, so that every edge points forward."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def lanes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(node.lane for node in self.nodes if node.lane))


def graph_of(document: Mapping[str, Json]) -> Graph:
    """The graph of a plan's document."""
    steps = {step["step"]: step for step in document["steps"]}
    shapes = document["shape"]
    nodes = tuple(_node(shape, steps[shape["step"]]) for shape in shapes)
    edges = tuple(Edge(read["step"], shape["step"], read["kind"]) for shape in shapes for read in shape["reads"])
    return Graph(document["workflow"], nodes, edges)


def _node(shape: Mapping[str, Json], step: Mapping[str, Json]) -> Node:
    return Node(
        name=shape["step"],
        model=step["model"],
        state=step["fate"],
        words=state_in_words(step),
        lane=shape["lane"],
        description=shape["description"],
    )


def plain(text: str) -> str:
    """One line without control, direction and half characters: nothing foreign steers what shows it."""
    return "".join(_seen(character) for character in " ".join(text.split()))


def _seen(character: str) -> str:
    # Printable is what Unicode calls so: no controls, no direction marks, no surrogates, no private use.
    return character if character.isprintable() else UNSEEN
