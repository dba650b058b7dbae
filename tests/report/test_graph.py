"""A plan as a picture: nothing foreign breaks out of a label, no box hides another, equal plans give equal bytes."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.report.graph import COLORS, Edge, Graph, Node, graph_of, plain
from runner.report.graph_layout import lay_out
from runner.report.graph_svg import svg
from runner.report.graph_text import dot, mermaid
from runner.report.plan_text import SYMBOLS

HOSTILE = [
    '"]; evil["',
    "<script>alert(1)</script>",
    "]]></style>&amp;&#x26;",
    "\\N \\G \\",
    '%%{init: {"securityLevel": "loose"}}%%',
    "`- **bold**`",
    "click s0 href javascript:alert(1)",
    "end",
    "\x1b[31m\x00\x07",
    "\u202eright to left\u2066",
    "half \ud800 a character",
    "zwölf 漢字 🎉",
    "x" * 500,
    "two\nlines\r\n\tof text",
    "",
]
SMALL = Graph(
    "demo",
    (
        Node("first", "m/a", "call", "call"),
        Node("tag", "m/b", "may call", "2 may be called", lane="data.rows"),
        Node("last", "m/a", "cached", "cached", description="The end"),
    ),
    (Edge("first", "tag", "list"), Edge("tag", "last", "all items"), Edge("first", "last", "answer")),
)


def made_of(text: str) -> Graph:
    node = Node(text, text, "call", text, lane=text, description=text)
    return Graph(text, (node, Node(f"{text}2", text, "cached", text)), (Edge(text, f"{text}2", "all items"),))


def big(seed: int, steps: int = 300) -> Graph:
    dice = random.Random(seed)
    nodes = tuple(
        Node(f"step{n}", "m/a", dice.choice(list(COLORS)), "words", dice.choice(["", "data.rows"]))
        for n in range(steps)
    )
    edges = [
        Edge(f"step{dice.randrange(max(0, n - 20), n)}", f"step{n}", dice.choice(["answer", "all items", "list"]))
        for n in range(1, steps)
        for _ in range(dice.randrange(1, 3))
    ]
    return Graph("big", nodes, tuple(edges))


def test_mermaid_says_the_state_in_symbol_words_and_colour() -> None:
    assert mermaid(SMALL) == (
        "flowchart TD\n"
        '  s0["#91;+#93; first<br/>call<br/>m/a"]\n'
        '  s2["#91;=#93; last<br/>cached<br/>m/a"]\n'
        '  subgraph lane0["for each of data.rows"]\n'
        '    s1["#91;~#93; tag<br/>2 may be called<br/>m/b"]\n'
        "  end\n"
        "  s0 -.->|list| s1\n"
        "  s1 ==>|all items| s2\n"
        "  s0 --> s2\n"
        "  classDef is_call fill:#fde9d2,stroke:#b45f06,color:#4f2a02\n"
        "  class s0 is_call\n"
        "  classDef is_may_call fill:#fff7cf,stroke:#8a6d00,color:#463700\n"
        "  class s1 is_may_call\n"
        "  classDef is_cached fill:#e3f4e6,stroke:#2b7a3d,color:#123d1c\n"
        "  class s2 is_cached"
    )


def test_dot_says_the_state_in_symbol_words_and_colour() -> None:
    drawn = dot(SMALL)
    assert drawn.startswith('digraph "demo" {\n')
    assert r'  s0 [label="+ first\ncall\nm/a", tooltip="first", fillcolor="#fde9d2"' in drawn
    assert '    label="for each of data.rows"\n' in drawn
    assert '  s1 -> s2 [style=bold, penwidth=2.5, label="all items"]\n  s0 -> s2\n}' in drawn


@pytest.mark.parametrize("text", HOSTILE)
def test_a_label_in_mermaid_cannot_be_ended(text: str) -> None:
    for line in mermaid(made_of(text)).splitlines():
        for label in re.findall(r'\["(.*)"\]', line):
            rest = re.sub(r"#\d+;|<br/>", "", label)
            assert re.fullmatch(r"[A-Za-z0-9 _\-.,/:+=~!()]*", rest), line


@pytest.mark.parametrize("text", HOSTILE)
def test_a_label_in_dot_cannot_be_ended(text: str) -> None:
    drawn = dot(made_of(text))
    drawn.encode("utf-8")
    without_strings = re.sub(r'"(?:[^"\\]|\\.)*"', '""', drawn)
    assert set(without_strings) <= set('abcdefghijklmnopqrstuvwxyzTB0123456789 \n{}[]=,_->."')
    assert not re.search(r"&(?!amp;)", drawn), "an entity would be read as another character"


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
@pytest.mark.parametrize("text", HOSTILE)
def test_graphviz_reads_what_dot_prints(text: str) -> None:  # pragma: no cover - only where Graphviz is
    done = subprocess.run(
        ["dot", "-Tsvg"], input=dot(made_of(text)).encode(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    ET.fromstring(done.stdout)


@pytest.mark.parametrize("text", HOSTILE)
def test_svg_is_xml_and_holds_no_script_and_no_link(text: str) -> None:
    drawn = svg(made_of(text))
    assert drawn.isascii()
    names = {element.tag.rpartition("}")[2] for element in ET.fromstring(drawn).iter()}
    assert names <= {"svg", "title", "desc", "style", "defs", "marker", "path", "text", "g", "rect"}
    attributes = {name for element in ET.fromstring(drawn).iter() for name in element.attrib}
    assert not {name for name in attributes if name.startswith("on") or "href" in name}


@given(st.text())
def test_any_text_stays_text_in_a_picture(text: str) -> None:
    root = ET.fromstring(svg(made_of(text)))
    tips = [element.text or "" for element in root.iter() if element.tag.endswith("title")]
    assert tips[0] == f"Plan of {plain(text)}"


def test_svg_tells_the_same_without_the_picture() -> None:
    root = ET.fromstring(svg(SMALL))
    described = next(element.text for element in root.iter() if element.tag.endswith("desc"))
    assert described == "first: call. tag: 2 may be called, after first. last: cached, after tag, first"
    shown = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert shown == [
        "demo", "+ first", "call", "m/a", "~ tag", "2 may be called", "m/b", "for each of data.rows",
        "= last", "cached", "m/a",
        "+ call, ~ may call, = cached", "thick line: waits for all items", "dashed line: makes the list of items",
    ]  # fmt: skip


def test_a_graph_without_steps_is_a_picture_too() -> None:
    empty = Graph("none", (), ())
    ET.fromstring(svg(empty))
    assert mermaid(empty) == "flowchart TD"
    assert dot(empty).endswith("\n}")


def test_every_state_of_a_plan_has_a_symbol_and_a_colour() -> None:
    assert set(COLORS) == set(SYMBOLS)


def rectangles(drawn: str) -> list[tuple[int, int, int, int]]:
    root = ET.fromstring(drawn)
    cards = [element.attrib for element in root.iter() if element.attrib.get("class", "").startswith("step ")]
    return [(int(card["x"]), int(card["y"]), int(card["width"]), int(card["height"])) for card in cards]


@pytest.mark.parametrize("seed", range(3))
def test_of_300_steps_no_box_hides_another(seed: int) -> None:
    boxes = sorted(rectangles(svg(big(seed))), key=lambda box: (box[1], box[0]))
    assert len(boxes) == 300
    for one, other in pairwise(boxes):
        assert one[1] != other[1] or one[0] + one[2] < other[0]


@pytest.mark.parametrize("seed", range(3))
def test_an_edge_that_skips_a_layer_goes_round_the_boxes_there(seed: int) -> None:
    graph = big(seed)
    widths = {node.name: 200 for node in graph.nodes}
    layout = lay_out(widths, list(dict.fromkeys((edge.source, edge.target) for edge in graph.edges)))
    level = {name: number for number, layer in enumerate(layout.layers) for name in layer}
    assert any(layout.ways.values())
    for (source, target), way in layout.ways.items():
        assert level[source] < level[target]
        assert len(way) == level[target] - level[source] - 1
        for number, x in enumerate(way, level[source] + 1):
            assert all(abs(x - layout.x[name]) > 100 for name in layout.layers[number])


def test_equal_graphs_are_drawn_with_equal_bytes() -> None:
    assert svg(big(7)) == svg(big(7))
    assert len(svg(big(7))) < 300_000


def test_a_straight_line_of_steps_is_drawn_straight() -> None:
    layout = lay_out({"a": 100, "b": 200, "c": 120}, [("a", "b"), ("b", "c")])
    assert layout.layers == (("a",), ("b",), ("c",))
    assert set(layout.x.values()) == {100}


def test_the_graph_of_a_document_has_every_step_and_read() -> None:
    step: dict[str, Any] = {
        "step": "b", "model": "m/x", "fate": "call", "items": 1, "calls": 1, "cached": 0, "may_calls": 0, "skipped": 0,
        "failed": 0,
    }  # fmt: skip
    shape = {"step": "b", "model": "m", "lane": "", "description": "d", "tags": [], "reads": []}
    read = {**shape, "step": "c", "reads": [{"step": "b", "kind": "answer"}]}
    found = graph_of({"workflow": "w", "steps": [step, {**step, "step": "c"}], "shape": [shape, read]})
    assert found == Graph(
        "w",
        (
            Node("b", "m/x", "call", "call", description="d"),
            Node("c", "m/x", "call", "call", description="d"),
        ),
        (Edge("b", "c", "answer"),),
    )
