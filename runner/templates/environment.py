"""The one sandboxed Jinja2 environment: our rules of access, our undefined, our filters, and bounds on everything.

Jinja's sandbox is the second line. The first is that a template meets plain data only and that data has no attributes:
a dot looks for a key and for nothing else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from posixpath import dirname, join, normpath
from threading import Lock
from typing import Any, cast

from jinja2 import Template as JinjaTemplate
from jinja2 import nodes
from jinja2.environment import TemplateModule
from jinja2.exceptions import TemplateNotFound
from jinja2.lexer import TokenStream
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, TemplateReference
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context

from runner.core.long_list import LongList
from runner.core.long_text import LONG, Piece, Text, join_texts
from runner.core.ports import ReadFile
from runner.core.problem import nearest
from runner.templates.arithmetic import calculate
from runner.templates.bounds import Counted, Limits, Meter
from runner.templates.list_filters import LIST_FILTERS
from runner.templates.places import place_tokens
from runner.templates.predicates import TESTS
from runner.templates.quick import quick_expression, quick_template
from runner.templates.syntax import EACH, WEIGHED, OurCodeGenerator, OurParser
from runner.templates.text_filters import TEXT_FILTERS
from runner.templates.tree import Tree
from runner.templates.values import Group, Missing, Nothing, Refused, kind, text

_LOOP_CALLS = frozenset(("cycle", "changed"))
_LOOP_NAMES = _LOOP_CALLS | frozenset(
    ("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem")
)
_SEQUENCES = (list, tuple, str, range, Sequence)
_LOOPED = (*_SEQUENCES, Mapping)
_TAKE_MISSING = frozenset(("default", "d", "defined", "undefined"))
_ABSENT = object()


def make_environment(
    read: ReadFile | None = None, *, limits: Limits | None = None, clock: Callable[[], float] | None = None
) -> Environment:
    """An environment for one project; without `read` no template can bring in another file.

    Safe to share between threads: what a rendering used is counted per thread.
    """
    bounds = limits or Limits()
    return Environment(read, Meter(bounds, clock) if clock else Meter(bounds))


def default(_env: Environment, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """The value, or the default where there is none; with `boolean` also where it is null, empty, zero or false."""
    return default_value if isinstance(value, Missing) or (boolean and not value) else value


class Environment(ImmutableSandboxedEnvironment):
    """Compiles and runs templates under our rules. Use `compile_template` and `compile_expression`."""

    code_generator_class = OurCodeGenerator
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, read: ReadFile | None, meter: Meter) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            newline_sequence="\n",
            keep_trailing_newline=False,
            autoescape=False,
            undefined=Missing,
            optimized=False,
            finalize=self.finalize_output,
            cache_size=0,
        )
        self.meter = meter
        self.read = read
        self.concat = self.join_pieces  # type: ignore[method-assign]  # Jinja wants a static function; its code calls ours
        self._trees: dict[tuple[str, str | None], Tree] = {}
        self._compiling = Lock()
        self._signatures: dict[str, inspect.Signature] = {}
        self._files: dict[str, JinjaTemplate] = {}
        self.texts: dict[str, str] = {}
        self.long_texts: list[Piece] = []
        self._functions: dict[str, Callable[..., Any]] = {"default": default, "d": default, **LIST_FILTERS}
        self._calls = {name: self._guarded("filter", name, call, self) for name, call in self._functions.items()}
        self._calls |= {name: self._guarded("filter", name, call, self.meter) for name, call in TEXT_FILTERS.items()}
        self._functions |= TEXT_FILTERS
        self.filters.clear()
        self.filters.update(self._calls)
        self._tests = {name: self._guarded("test", name, _without_first(call), None) for name, call in TESTS.items()}
        self.tests.clear()
        self.tests.update(self._tests)
        self.filter_names = tuple(sorted(self.filters))
        self.test_names = tuple(sorted(name for name in self.tests if name.isalpha()))
        self.filters[EACH] = self._count
        self.filters[WEIGHED] = self._weigh
        self.globals.clear()
        self.globals.update({"range": self._range, "namespace": Namespace, "dict": _make_mapping})

    # What compiled templates ask for.

    def reach(self, holder: Any, name: Any, path: str) -> Any:
        """The element `name` of a value: mapping keys first, then positions of a list, and nothing else of data."""
        if type(holder) is dict:
            found = holder.get(name, _ABSENT)
            return Missing.at(path, holder) if found is _ABSENT else found
        return self._reach_other(holder, name, path)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.reach(obj, attribute, f"(…).{attribute}")

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self.reach(obj, argument, f"(…)[{argument}]")

    def cut(self, value: Any, part: slice, _path: str) -> Any:
        """A slice of a list or a text."""
        if isinstance(value, Missing):
            value.fail()
        if not isinstance(value, _SEQUENCES):
            raise Refused(f"{kind(value)} cannot be sliced")
        self.meter.charge(len(value))
        return value[part]

    def join(self, pieces: Iterable[Any]) -> str:
        """What `~` does."""
        return self.join_pieces([text(piece) for piece in pieces])

    def join_pieces(self, pieces: Iterable[str]) -> str:
        """The captured output of a block, a macro or a whole template."""
        made = list(pieces)
        self.meter.charge_text(sum(map(len, made)))
        return "".join(map(str, made)) if self.long_texts else "".join(made)

    def gather_pieces(self, pieces: Iterable[Piece]) -> Text:
        """As `join_pieces`, but a long text stays in pieces."""
        made = list(pieces)
        size = sum(map(len, made))
        self.meter.charge_text(size)
        return join_texts(made) if size >= LONG or self.long_texts else "".join(map(str, made))

    def finalize_output(self, value: Any) -> str:
        """What `{{ … }}` inserts."""
        if type(value) is not str:
            if isinstance(value, (dict, list, tuple, LongList)):
                self.meter.weigh(value)
            inserted = text(value)
        else:
            inserted = value
        self.meter.charge(len(inserted))
        return inserted

    def call_binop(self, _context: Context, operator: str, left: Any, right: Any) -> Any:
        return calculate(self.meter, operator, left, right)

    def without_else(self, _hint: str) -> Nothing:
        return Nothing()

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063 -- Jinja's signature
        """Call a macro, a block, a recursive loop or one of our functions; nothing else can be called."""
        if isinstance(__obj, Missing):
            raise Refused(_why_not_called(__self, __obj))
        if not __self._is_callable(__obj):
            raise Refused(f"{kind(__obj)} cannot be called")
        if isinstance(__obj, LoopContext):
            args = tuple(__self._count(__context, argument) for argument in args)
        __self.meter.enter()
        for argument in args:
            __self.meter.weigh(argument)
        made = __context.call(__obj, *args, **kwargs)
        __self.meter.leave()
        return made

    # What filters ask for.

    def apply(self, name: str, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if name not in self.filter_names:
            raise Refused(f"there is no filter '{name}'", fix=nearest(str(name), self.filter_names))
        return self._calls[name](None, value, *args, **kwargs)

    def holds(self, name: str, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        if name not in self._tests:
            raise Refused(f"there is no test '{name}'", fix=nearest(str(name), self.test_names))
        return bool(self._tests[name](None, value, *args, **kwargs))

    def signature(self, name: str) -> inspect.Signature:
        """The arguments of a filter, after the value that it is applied to."""
        found = self._signatures.get(name)
        if found is None:
            taken = inspect.signature(self._functions[name])
            found = taken.replace(parameters=list(taken.parameters.values())[2:])
            self._signatures[name] = found
        return found

    # Other files.

    def join_path(self, template: str, parent: str) -> str:
        """The name of a file, relative to the root, that `parent` calls `template`. Refuses to leave the root."""
        joined = normpath(join(dirname(parent), template))
        if template.startswith("/") or "\\" in template or joined.startswith(("../", "/")) or joined in (".", ".."):
            raise Refused(f"'{template}' is not a file inside the project")
        return joined

    def source_of(self, name: str) -> str:
        """The text of a file, by its name relative to the root. Raises Refused, or FileError from `read`."""
        if self.read is None:
            raise Refused(f"'{name}' cannot be read: no other file may be brought in here")
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused(f"'{name}' is not a text in UTF-8") from None

    def get_template(
        self,
        name: Any,
        parent: str | None = None,
        globals: Any = None,  # noqa: A002, ARG002 -- Jinja's signature
    ) -> JinjaTemplate:
        """The compiled file that a template brings in. All were installed when the template was compiled."""
        self.meter.iterate(1)
        full = self.join_path(name, parent or "")
        if full not in self._files:
            raise TemplateNotFound(full)
        return self._files[full]

    def install(self, tree: Tree, name: str, text: str) -> None:
        """Compile a file that templates may bring in, and keep it."""
        self._files[name] = self.assemble(tree.root, name)
        self.texts[name] = text

    # Parsing and compiling.

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        placed = place_tokens(self.lexer, source, name, filename, state)
        return TokenStream(self.lexer.wrap(placed, name, filename), name, filename)

    def parse_template(self, source: str, name: str) -> Tree:
        """The syntax tree of a text; equal texts are parsed once."""
        return self._parsed(source, name, lambda: quick_template(source) or OurParser(self, source, name).parse())

    def parse_expression(self, source: str) -> Tree:
        def parse() -> nodes.Expr:
            found = quick_expression(source)
            return found or OurParser(self, source, state="variable").parse_whole_expression()

        return self._parsed(source, None, parse)

    def _parsed(self, source: str, name: str | None, parse: Callable[[], nodes.Node]) -> Tree:
        tree = self._trees.get((source, name))
        if tree is None:
            tree = self._trees[source, name] = Tree(parse())
            for node in tree.nodes:
                node.environment = self
        return tree

    def assemble(self, root: nodes.Node, name: str) -> JinjaTemplate:
        """Turn a syntax tree into something that runs. Afterwards the tree is as it was."""
        with self._compiling:
            code = self.compile(cast(nodes.Template, root), name, f"template {name}")
        return JinjaTemplate.from_code(self, code, self.globals)

    # Inside.

    def _reach_other(self, holder: Any, name: Any, path: str) -> Any:
        if isinstance(holder, Missing):
            return holder.deeper(path)
        found: Any = _ABSENT
        if isinstance(holder, LoopContext):
            found = getattr(holder, name) if name in _LOOP_NAMES else _ABSENT
        elif isinstance(holder, Group) and name in Group._fields:
            found = getattr(holder, name)
        elif isinstance(holder, _SEQUENCES):
            if type(name) is int and -len(holder) <= name < len(holder):
                found = holder[name]
        elif isinstance(holder, Mapping):
            found = holder.get(name, _ABSENT)
        elif isinstance(name, str):
            found = _language_attribute(holder, name)
        return Missing.at(path, holder) if found is _ABSENT else found

    def _is_callable(self, value: Any) -> bool:
        if isinstance(value, (Macro, BlockReference, LoopContext)):
            return True
        if value in (self.globals["range"], Namespace, _make_mapping):
            return True
        return isinstance(getattr(value, "__self__", None), LoopContext) and value.__name__ in _LOOP_CALLS

    def _range(self, *bounds: int) -> range:
        try:
            made = range(*bounds)
        except (TypeError, ValueError):
            raise Refused("'range' takes one to three whole numbers, and its step is not 0") from None
        size = max(0, (made.stop - made.start + made.step - (1 if made.step > 0 else -1)) // made.step)
        self.meter.ensure_range(size)
        return made

    @pass_context
    def _count(self, _context: Context, value: Any) -> Counted:
        if isinstance(value, Missing):
            value.fail()
        if not isinstance(value, _LOOPED):
            raise Refused(f"a loop needs a list, and this is {kind(value)}")
        return Counted(value, self.meter)

    @pass_context
    def _weigh(self, _context: Context, value: Any) -> Any:
        self.meter.weigh(value)
        return value

    def _guarded(self, word: str, name: str, function: Callable[..., Any], first: Any) -> Callable[..., Any]:
        takes_missing = name in _TAKE_MISSING
        charge = self.meter.charge

        # Jinja computes calls with constants while compiling, where nothing is counted; a context prevents that.
        @pass_context
        def call(_context: Context | None, value: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(value, Missing):
                if not takes_missing:
                    value.fail()
            elif isinstance(value, (str, list, LongList)):
                charge(len(value))
            try:
                return function(first, value, *args, **kwargs)
            except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
                raise Refused(f"the {word} '{name}' does not work on {_described(value, args)}") from None

        return call


def _without_first(test: Callable[..., bool]) -> Callable[..., bool]:
    return lambda _first, value, *args: test(value, *args)


def _described(value: Any, args: tuple[Any, ...]) -> str:
    others = f" with {', '.join(map(kind, args))}" if args else ""
    inside = (
        " of " + " and ".join(sorted({kind(item) for item in value[:1000]}))
        if isinstance(value, list | LongList)
        else ""
    )
    return f"{kind(value)}{inside}{others}"


def _make_mapping(**pairs: Any) -> dict[str, Any]:
    return pairs


def _language_attribute(holder: Any, name: str) -> Any:
    """What a namespace, an imported file and `self` show; private names never."""
    if name.startswith("_"):
        return _ABSENT
    match holder:
        case Namespace() | TemplateModule():
            return getattr(holder, name, _ABSENT)
        case TemplateReference():
            try:
                return holder[name]
            except KeyError:
                return _ABSENT
        case BlockReference() if name == "super":
            return holder.super
        case _:
            return _ABSENT


def _why_not_called(env: Environment, value: Missing) -> str:
    name = value.path.rpartition(".")[2]
    if value.hint or "." not in value.path:
        return f"there is no function '{value.path}'" if not value.hint else value.hint
    advice = f"; there is a filter: … | {name}" if name in env.filters else ""
    return f"'{value.path}' cannot be called: data has no methods{advice}"
