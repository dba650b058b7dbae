"""A graph as text that others draw: Mermaid for code hosts, DOT for Graphviz. Nothing foreign ends a label."""

from __future__ import annotations

from runner.report.graph import COLORS, Edge, Graph, Node, plain

# What stands in a Mermaid label as it is; all else is written as a character's number.
_MERMAID_PLAIN = frozenset(" _-.,/:+=~!()")
_MERMAID_ARROWS = {"answer": "-->", "all items": "==>|all items|", "list": "-.->|list|"}
_DOT_STYLES = {
    "answer": "",
    "all items": ' [style=bold, penwidth=2.5, label="all items"]',
    "list": ' [style=dashed, label="list"]',
}


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart. Lanes are subgraphs."""
    ids = {node.name: f"s{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart TD"]
    lines += [f"  {ids[node.name]}{_mermaid_box(node)}" for node in graph.nodes if not node.lane]
    for number, lane in enumerate(graph.lanes):
        lines.append(f'  subgraph lane{number}["for each of {_mermaid(lane)}"]')
        lines += [f"    {ids[node.name]}{_mermaid_box(node)}" for node in graph.nodes if node.lane == lane]
        lines.append("  end")
    lines += [f"  {ids[edge.source]} {_MERMAID_ARROWS[edge.kind]} {ids[edge.target]}" for edge in graph.edges]
    for state in dict.fromkeys(node.state for node in graph.nodes):
        fill, line, text = COLORS[state]
        word = _class(state)
        lines.append(f"  classDef {word} fill:{fill},stroke:{line},color:{text}")
        lines.append(f"  class {','.join(ids[node.name] for node in graph.nodes if node.state == state)} {word}")
    return "\n".join(lines)


def _mermaid_box(node: Node) -> str:
    # In brackets, since a label that begins with a plus sign would be read as a list.
    shown = (f"[{node.symbol}] {node.name}", node.words, node.model)
    return '["' + "<br/>".join(_mermaid(line) for line in shown) + '"]'


def _mermaid(text: str) -> str:
    return "".join(one if _is_mermaid_plain(one) else f"#{ord(one)};" for one in plain(text))


def _is_mermaid_plain(character: str) -> bool:
    return character in _MERMAID_PLAIN or (character.isascii() and character.isalnum())


def _class(state: str) -> str:
    return "is_" + state.replace(" ", "_")


def dot(graph: Graph) -> str:
    """A digraph for Graphviz. Lanes are clusters."""
    ids = {node.name: f"s{number}" for number, node in enumerate(graph.nodes)}
    lines = [
        f"digraph {_quoted(graph.title)} {{",
        '  graph [charset="UTF-8", rankdir=TB, fontname="sans-serif"]',
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"]',
        '  edge [fontname="sans-serif", fontsize=10]',
    ]
    lines += [f"  {ids[node.name]} {_dot_box(node)}" for node in graph.nodes if not node.lane]
    for number, lane in enumerate(graph.lanes):
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f"    label={_quoted('for each of ' + lane)}")
        lines += [f"    {ids[node.name]} {_dot_box(node)}" for node in graph.nodes if node.lane == lane]
        lines.append("  }")
    lines += [_dot_edge(edge, ids[edge.source], ids[edge.target]) for edge in graph.edges]
    return "\n".join([*lines, "}"])


def _dot_box(node: Node) -> str:
    label = '"' + r"\n".join(_dot(line) for line in (f"{node.symbol} {node.name}", node.words, node.model)) + '"'
    fill, line, text = COLORS[node.state]
    tip = _quoted(node.description or node.name)
    return f'[label={label}, tooltip={tip}, fillcolor="{fill}", color="{line}", fontcolor="{text}"]'


def _dot_edge(edge: Edge, source: str, target: str) -> str:
    return f"  {source} -> {target}{_DOT_STYLES[edge.kind]}"


def _quoted(text: str) -> str:
    return f'"{_dot(text)}"'


def _dot(text: str) -> str:
    """Inside a quoted string: no escape sequence and no entity is made of what is foreign."""
    return plain(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
