"""Where the boxes of a graph stand: layers by the longest way, few crossings, edges that go round boxes. Pure.

The usual layered method: an edge that skips layers gets a place-holder in each of them, so that it is led past the
boxes there; layers are ordered by the mean place of their neighbours; places are then drawn to their neighbours as
far as the order allows. All sums are of integers and rounded halves, so that equal graphs give equal places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from runner.core.frozen import dataclass

SWEEPS = 8
PULLS = 6
GAP = 24
EDGE_WIDTH = 12
STRAIGHT = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """`layers` of names from top to bottom, the middle `x` of every box, and the way of every edge.

    `ways` maps a pair of names to the x of its place-holders, one for each layer between the two.
    """

    layers: tuple[tuple[str, ...], ...]
    x: Mapping[str, int]
    ways: Mapping[tuple[str, str], tuple[int, ...]]


@dataclass(slots=True)
class _Grid:
    """Boxes and place-holders as numbers, by layer, with their neighbours above and below."""

    layers: list[list[int]]
    widths: list[int]
    above: list[list[int]]
    below: list[list[int]]


def lay_out(widths: Mapping[str, int], edges: Sequence[tuple[str, str]]) -> Layout:
    """Boxes by name with their widths, in an order in which every edge points forward; one edge for each pair."""
    names = list(widths)
    number = {name: index for index, name in enumerate(names)}
    depth = _depths(names, edges)
    grid = _Grid([[] for _ in range(max(depth.values(), default=-1) + 1)], list(widths.values()), [], [])
    grid.above, grid.below = [[] for _ in names], [[] for _ in names]
    for name in names:
        grid.layers[depth[name]].append(number[name])
    ways = {edge: _lead(grid, number[edge[0]], number[edge[1]], depth[edge[0]], depth[edge[1]]) for edge in edges}
    _order(grid)
    x = _places(grid, len(names))
    return Layout(
        layers=tuple(tuple(names[one] for one in layer if one < len(names)) for layer in grid.layers),
        x={name: x[number[name]] for name in names},
        ways={edge: tuple(x[one] for one in way) for edge, way in ways.items()},
    )


def _depths(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    depth = dict.fromkeys(names, 0)
    targets: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        targets[source].append(target)
    for name in names:
        for target in targets[name]:
            depth[target] = max(depth[target], depth[name] + 1)
    return depth


def _lead(grid: _Grid, source: int, target: int, top: int, bottom: int) -> list[int]:
    """An edge as a chain of place-holders, one in each layer that it crosses."""
    way: list[int] = []
    last = source
    for level in range(top + 1, bottom):
        holder = len(grid.widths)
        grid.widths.append(EDGE_WIDTH)
        grid.above.append([])
        grid.below.append([])
        grid.layers[level].append(holder)
        way.append(holder)
        _join(grid, last, holder)
        last = holder
    _join(grid, last, target)
    return way


def _join(grid: _Grid, upper: int, lower: int) -> None:
    grid.below[upper].append(lower)
    grid.above[lower].append(upper)


def _order(grid: _Grid) -> None:
    """Each layer by the mean place of its neighbours, downwards and upwards in turn."""
    for sweep in range(SWEEPS):
        is_down = sweep % 2 == 0
        layers = grid.layers if is_down else grid.layers[::-1]
        neighbours = grid.above if is_down else grid.below
        for fixed, moved in pairwise(layers):
            _order_by(fixed, moved, neighbours)


def _order_by(fixed: Sequence[int], moved: list[int], neighbours: Sequence[Sequence[int]]) -> None:
    place = {one: index for index, one in enumerate(fixed)}
    wanted = {one: _mean([place[other] for other in neighbours[one]], index) for index, one in enumerate(moved)}
    moved.sort(key=wanted.__getitem__)  # stable: equal wishes keep their order


def _mean(values: Sequence[int], default: float) -> float:
    return sum(values) / len(values) if values else default


def _places(grid: _Grid, boxes: int) -> list[int]:
    """The middle of every box and place-holder."""
    x = [0] * len(grid.widths)
    for layer in grid.layers:
        _spread(layer, grid.widths, [0.0] * len(layer), [1] * len(layer), x)
    for pull in range(PULLS):
        is_down = pull % 2 == 0
        neighbours = grid.above if is_down else grid.below
        for layer in grid.layers if is_down else grid.layers[::-1]:
            wanted = [_mean([x[other] for other in neighbours[one]], x[one]) for one in layer]
            weights = [STRAIGHT if one >= boxes else 1 + len(neighbours[one]) for one in layer]
            _spread(layer, grid.widths, wanted, weights, x)
    left = min((x[one] - grid.widths[one] // 2 for one in range(len(x))), default=0)
    return [place - left for place in x]


def _spread(
    layer: Sequence[int], widths: Sequence[int], wanted: Sequence[float], weights: Sequence[int], x: list[int]
) -> None:
    """As near to where they want to be as their order and widths allow: the least sum of squares.

    Without the widths before it, each place must be at least the one before; neighbours that want to pass each
    other are merged into a block at their common mean.
    """
    offsets: list[int] = []
    reach = 0
    for index, one in enumerate(layer):
        if index:
            reach += (widths[layer[index - 1]] + widths[one]) // 2 + GAP
        offsets.append(reach)
    blocks: list[tuple[float, int, int]] = []  # weighted sum, weight, how many
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        block = ((want - offset) * weight, weight, 1)
        while blocks and blocks[-1][0] * block[1] > block[0] * blocks[-1][1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    starts = [round(total / weight) for total, weight, many in blocks for _ in range(many)]
    for one, start, offset in zip(layer, starts, offsets, strict=True):
        x[one] = start + offset
