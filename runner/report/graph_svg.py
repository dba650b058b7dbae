"""A graph as one SVG picture: static, without script, the same bytes for the same graph. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import east_asian_width

from runner.report.graph import COLORS, Edge, Graph, Node, plain
from runner.report.graph_layout import Layout, lay_out

CHARACTER = 8
LINE = 18
BOX_HEIGHT = 4 * LINE
LAYER_GAP = 56
MARGIN = 24
LEAST_WIDTH = 120
LONGEST = 40
KINDS = {"answer": "reads the answer", "all items": "waits for all items", "list": "makes the list of items"}
STYLE = """\
svg{background:#fff;font:14px ui-monospace,Menlo,Consolas,monospace}
text{fill:#222}
.step{stroke-width:1.5}
.back{stroke-width:1;opacity:.55}
.name{font-weight:bold}
.edge{fill:none;stroke:#555;stroke-width:1.4}
.all{stroke-width:3.4}
.list{stroke-dasharray:6 4}
.tip{fill:#555}
"""
DARK = """\
@media (prefers-color-scheme:dark){
svg{background:#161616}
.key,.head{fill:#ddd}
.edge{stroke:#aaa}
.tip{fill:#aaa}
}
"""
HEAD = 'role="img" aria-labelledby="graph-title graph-text"'
TIP = """\
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" \
markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>"""


def svg(graph: Graph) -> str:
    """The whole picture, with a title, a description and a key."""
    boxes = {node.name: _width(_lines(node)) for node in graph.nodes}
    layout = lay_out(boxes, list(dict.fromkeys((edge.source, edge.target) for edge in graph.edges)))
    tops = {name: _top(level) for level, layer in enumerate(layout.layers) for name in layer}
    key = _key(graph)
    right = max((layout.x[name] + width // 2 for name, width in boxes.items()), default=0)
    right = max([right, *(x for way in layout.ways.values() for x in way)])
    width = max(right, *(_text_width(line) for line in (*key, graph.title)), LEAST_WIDTH) + 2 * MARGIN
    bottom = _top(len(layout.layers))
    height = bottom + (len(key) + 1) * LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {HEAD}>',
        f'<title id="graph-title">Plan of {_xml(graph.title)}</title>',
        f'<desc id="graph-text">{_xml(_in_words(graph))}</desc>',
        f"<style>{STYLE}{_states()}{DARK}</style>",
        TIP,
        f'<text class="head name" x="{MARGIN}" y="{MARGIN}">{_xml(graph.title)}</text>',
        *(_edge(edge, layout, tops) for edge in graph.edges),
        *(_box(node, layout.x[node.name] + MARGIN, tops[node.name], boxes[node.name]) for node in graph.nodes),
        *(
            f'<text class="key" x="{MARGIN}" y="{bottom + number * LINE}">{_xml(line)}</text>'
            for number, line in enumerate(key)
        ),
        "</svg>",
    ]
    return "\n".join(parts)


def _top(level: int) -> int:
    return MARGIN + LINE + level * (BOX_HEIGHT + LAYER_GAP)


def _lines(node: Node) -> list[str]:
    lane = f"for each of {node.lane}" if node.lane else ""
    return [_cut(line) for line in (f"{node.symbol} {node.name}", node.words, node.model, lane) if line]


def _cut(text: str) -> str:
    text = plain(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _width(lines: Sequence[str]) -> int:
    return max(LEAST_WIDTH, *(_text_width(line) + 2 * CHARACTER for line in lines))


def _text_width(text: str) -> int:
    return sum(CHARACTER * (2 if east_asian_width(one) in "WF" else 1) + 1 for one in text)


def _box(node: Node, middle: int, top: int, width: int) -> str:
    """A card; one that runs per item is a stack of cards."""
    left = middle - width // 2
    word = f"is-{node.state.replace(' ', '-')}"
    size = f'width="{width}" height="{BOX_HEIGHT}" rx="6"'
    shown = _lines(node)
    first = top + (BOX_HEIGHT - len(shown) * LINE) // 2 + LINE - 4
    tip = ": ".join(part for part in (node.name, node.words, node.description) if part)
    rows = "".join(
        f'<text x="{middle}" y="{first + number * LINE}" text-anchor="middle"'
        f' class="{word}-text{"" if number else " name"}">{_xml(line)}</text>'
        for number, line in enumerate(shown)
    )
    back = f'<rect class="back {word}" x="{left + 5}" y="{top + 5}" {size}/>' if node.lane else ""
    return f'<g><title>{_xml(tip)}</title>{back}<rect class="step {word}" x="{left}" y="{top}" {size}/>{rows}</g>'


def _edge(edge: Edge, layout: Layout, tops: dict[str, int]) -> str:
    """From the bottom of a box to the top of another, straight past the boxes of the layers between."""
    x, y = layout.x[edge.source] + MARGIN, tops[edge.source] + BOX_HEIGHT
    path = [f"M{x} {y}"]
    for place in layout.ways[edge.source, edge.target]:
        path.append(_bend(x, y, place + MARGIN, y + LAYER_GAP))
        x, y = place + MARGIN, y + LAYER_GAP + BOX_HEIGHT
        path.append(f"V{y}")
    path.append(_bend(x, y, layout.x[edge.target] + MARGIN, y + LAYER_GAP))
    tip = _xml(f"{edge.target} {KINDS[edge.kind]} of {edge.source}" if edge.kind == "answer" else _tip(edge))
    word = {"answer": "", "all items": " all", "list": " list"}[edge.kind]
    return f'<path class="edge{word}" d="{"".join(path)}" marker-end="url(#tip)"><title>{tip}</title></path>'


def _tip(edge: Edge) -> str:
    if edge.kind == "list":
        return f"{edge.source} {KINDS['list']} of {edge.target}"
    return f"{edge.target} {KINDS['all items']} of {edge.source}"


def _bend(x: int, y: int, to_x: int, to_y: int) -> str:
    if x == to_x:
        return f"V{to_y}"
    middle = (y + to_y) // 2
    return f"C{x} {middle} {to_x} {middle} {to_x} {to_y}"


def _states() -> str:
    return "".join(
        f".is-{state.replace(' ', '-')}{{fill:{fill};stroke:{line}}}.is-{state.replace(' ', '-')}-text{{fill:{text}}}\n"
        for state, (fill, line, text) in COLORS.items()
    )


def _key(graph: Graph) -> list[str]:
    """What the symbols and lines mean, as far as they are there."""
    states = {node.state: node.symbol for node in graph.nodes}
    kinds = {edge.kind for edge in graph.edges}
    lines = [", ".join(f"{symbol} {state}" for state, symbol in states.items())] if states else []
    if "all items" in kinds:
        lines.append("thick line: waits for all items")
    if "list" in kinds:
        lines.append("dashed line: makes the list of items")
    return lines


def _in_words(graph: Graph) -> str:
    """The same as a list, for those who do not see the picture."""
    reads: dict[str, list[str]] = {}
    for edge in graph.edges:
        reads.setdefault(edge.target, []).append(edge.source)
    return ". ".join(
        f"{node.name}: {node.words}" + (f", after {', '.join(reads[node.name])}" if node.name in reads else "")
        for node in graph.nodes
    )


def _xml(text: str) -> str:
    """Text of an element: what is foreign stays text, in plain ASCII whatever the terminal's encoding is."""
    escaped = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return escaped.encode("ascii", "xmlcharrefreplace").decode("ascii")
