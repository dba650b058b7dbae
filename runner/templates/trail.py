"""What is known of a value in a template: the path that it is read from, and which holes its author has filled."""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import nodes

from runner.core.frozen import dataclass, replace
from runner.core.span import Span

ELEMENT = "[]"
Path = tuple[str, ...]
Guards = frozenset[Path]
# Stands beside the paths that have a value where it depends on a test whether anything is read at all.
ON_A_TEST: Guards = frozenset((("",),))

_ALL_ANSWERS = len(("steps", "NAME", "outputs"))
GIVES_ELEMENT = frozenset(("first", "last", "min", "max", "vote", "find"))
GIVES_SAME_LIST = frozenset(
    ("list", "sort", "reverse", "unique", "select", "reject", "selectattr", "rejectattr", "shuffle")
)
GIVES_LISTS = frozenset(("chunks", "windows", "batch", "slice"))
# What fails for null, or makes a word of it.
SPENDS = frozenset(("length", "count", "sum", "join", "upper", "lower", "title", "capitalize", "trim", "replace",
                    "truncate", "wordcount", "round", "abs", "int", "float"))  # fmt: skip
# Filters whose argument names a field of the elements: its position, where it can be given without its name.
_FIELD_POSITION = {"sort": 2, "unique": 1, "min": 1, "max": 1, "sum": 0, "join": 1, "groupby": 0,
                   "selectattr": 0, "rejectattr": 0, "find": 0, "map": None}  # fmt: skip
LANGUAGE_NAMES = frozenset(("caller", "self", "super", "varargs", "kwargs", "range", "namespace", "dict"))


@dataclass(frozen=True, slots=True)
class Reference:
    """One reading of a path. `spans` has the place of each part, `span` the place of the whole.

    `[]` in the path is an element of a list. `is_guarded`: the author has said what happens when there is no value.
    Of the first `provided` parts the author has said so, or no use is made of them here that a hole would spoil.
    `picked` is how one of all answers was taken from an end of their list: `[-1]`, ` | first`. Where `is_bound`, it
    begins with a name of the template's own; what that stands for was read where the name was bound. `is_spent`: it
    is printed, walked or computed with here, for which null is no value. `is_on_a_test`: it is read only where some
    test comes out one way.
    """

    path: Path
    span: Span
    is_guarded: bool
    spans: tuple[Span, ...]
    provided: int = 0
    picked: str = ""
    is_bound: bool = False
    is_spent: bool = False
    is_on_a_test: bool = False

    def is_echo(self, span: Span | None) -> bool:
        """Whether a finding at this place is one of the value that the name was bound to, and told there."""
        first = self.spans[0]
        return self.is_bound and span is not None and (span.line, span.column) == (first.line, first.column)


@dataclass(frozen=True, slots=True)
class Word:
    """A text that is written out, and where."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Comparison:
    """A path whose value is compared with words: by `==`, `!=`, `in`, and by tests and filters that do the same."""

    path: Path
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Readings:
    """All that a template or expression reads, in the order of reading.

    `tested` are the paths that decide what else is read; `facts` those that have a value wherever an expression holds.
    """

    references: tuple[Reference, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    tested: Guards = frozenset()
    facts: Guards = frozenset()


@dataclass(frozen=True, slots=True)
class Trail:
    """What is known of a value: the path that it is read from.

    `wraps` counts the lists around it that are not in the data, such as chunks. Where `is_rearranged`, a position in
    it is not a position in the data. `is_provided`: a hole in it does no harm; `known` are paths that have a value
    wherever this one is read, since the list was sifted for it.
    """

    path: Path
    spans: tuple[Span, ...]
    wraps: int = 0
    is_guarded: bool = False
    is_rearranged: bool = False
    is_provided: bool = False
    known: Guards = frozenset()
    picked: str = ""
    is_bound: bool = False

    def into(self, key: str, span: Span) -> Trail | None:
        return None if self.wraps else replace(self, path=(*self.path, key), spans=(*self.spans, span))

    def element(self) -> Trail:
        if self.wraps:
            return replace(self, wraps=self.wraps - 1)
        return replace(self, path=(*self.path, ELEMENT), spans=(*self.spans, self.spans[-1]), is_rearranged=False)

    def end(self, spelled: str) -> Trail:
        """The element at an end of the list, or counted from it."""
        is_of_all = len(self.path) == _ALL_ANSWERS and not self.wraps and not self.is_rearranged
        return replace(self.element(), picked=spelled) if is_of_all else self.element()


Scope = dict[str, Trail | None]


def arguments_of(node: nodes.Filter | nodes.Test) -> list[nodes.Node]:
    """All that a filter or test is given besides its value."""
    return [*node.args, *node.kwargs, *(extra for extra in (node.dyn_args, node.dyn_kwargs) if extra is not None)]


def field_argument(node: nodes.Filter) -> nodes.Node | None:
    """The argument that names a field of the elements, such as that of `sort(attribute="name")`."""
    if node.name not in _FIELD_POSITION:
        return None
    for pair in node.kwargs:
        if str(pair.key) in ("attribute", "key"):
            return pair.value
    position = _FIELD_POSITION[node.name]
    return node.args[position] if position is not None and position < len(node.args) else None


def constant(node: nodes.Node | None) -> str:
    """A text that is written out, or ""."""
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else ""


def tests_defined(node: nodes.Filter) -> bool:
    """Whether `selectattr` or `rejectattr` asks if a field is there."""
    return len(node.args) > 1 and constant(node.args[1]) in ("defined", "undefined")


def keeps_defined(node: nodes.Filter, position: int) -> bool:
    """Whether a filter keeps just what is defined: its test stands at a position among the arguments."""
    test = constant(node.args[position]) if position < len(node.args) else ""
    return test == ("defined" if node.name.startswith("select") else "undefined")


def asks_for_step(path: Path) -> bool:
    """`steps.S.skipped` and `steps.S.failed` have a value whatever became of the step."""
    return len(path) == 3 and path[0] == "steps" and path[2] in ("skipped", "failed")


def is_along(path: Path, guard: Path) -> bool:
    shorter = min(len(path), len(guard))
    return path[:shorter] == guard[:shorter]


def depth_provided(path: Path, guards: Iterable[Path]) -> int:
    """How many leading parts of a path have a value, as the guards say."""
    return max((min(len(path), len(guard)) for guard in guards if is_along(path, guard)), default=0)


def whole(spans: tuple[Span, ...]) -> Span:
    start, end = spans[0], spans[-1]
    if start.file != end.file or start.line != end.line or end.column < start.column:
        return start
    return replace(start, length=end.column + end.length - start.column)


def bind(target: nodes.Node, bound: Trail | None, scope: Scope) -> None:
    """Let the names of an assignment stand for a value; parts of a value are not followed."""
    if isinstance(target, nodes.Name):
        scope[target.name] = bound
    elif isinstance(target, nodes.Tuple):
        for name in target.items:
            bind(name, None, scope)
