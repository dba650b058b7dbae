"""What can be known to be wrong in a template before it is rendered: names of filters, tests, functions and files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from runner.core.errors import FileError
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.span import Origin, Span
from runner.core.workflow import Expression, Template
from runner.templates.environment import Environment
from runner.templates.places import Place, place_of, place_of_name
from runner.templates.problems import TemplateProblem, describe_syntax, sources_of
from runner.templates.syntax import first_place, spell
from runner.templates.tree import Tree
from runner.templates.values import Refused

FileNode = nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends
_FUNCTIONS = ("dict", "namespace", "range")
_ALWAYS_CALLABLE = frozenset(("caller", "loop", "self", "super", *_FUNCTIONS))
_TEST_POSITION = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}
_COMPLAINTS = (
    (r"missing a required argument: '(\w+)'", "needs an argument: {}"),
    (r"too many positional arguments", "takes fewer arguments"),
    (r"got an unexpected keyword argument '(\w+)'", "has no argument '{}'"),
    (r"multiple values for argument '(\w+)'", "gets '{}' twice"),
)
_TOO_DEEP = "it is nested too deeply, or a number in it has too many digits"


def name_of(source: Template | Expression) -> str:
    """The file that relative names in the source start from."""
    return (source.file if isinstance(source, Template) else "") or source.origin.file


def parse(env: Environment, text: str, name: str, origin: Origin) -> Tree:
    """The syntax tree of a template. Raises TemplateProblem."""
    try:
        return env.parse_template(text, name)
    except TemplateSyntaxError as error:
        problem = describe_syntax(error, text, origin)
    except (RecursionError, ValueError, MemoryError):
        problem = Problem("template-syntax", f"the template cannot be read: {_TOO_DEEP}", origin.span())
    raise TemplateProblem(problem, sources_of(text, origin))


def parse_expression(env: Environment, expression: Expression) -> Tree:
    """The syntax tree of an expression. Raises TemplateProblem."""
    text, origin = expression.text, expression.origin
    stripped = text.strip()
    try:
        if stripped.startswith(("{{", "{%")):
            fix = stripped[2:-2].strip() if stripped.startswith("{{") and stripped.endswith("}}") else ""
            problem = Problem("template-syntax", "an expression is written without braces", origin.span(), fix=fix)
        elif not stripped:
            problem = Problem("template-syntax", "the expression is empty", origin.span())
        else:
            return env.parse_expression(text)
    except TemplateSyntaxError as error:
        problem = describe_syntax(error, text, origin, is_expression=True)
    except (RecursionError, ValueError, MemoryError):
        message = "the expression cannot be read: it is nested too deeply, or a number in it has too many digits"
        problem = Problem("template-syntax", message, origin.span())
    raise TemplateProblem(problem)


def examine(env: Environment, tree: Tree, origin: Origin) -> Iterator[Problem]:
    """Unknown filters, tests and functions, wrong arguments, and file names that are not written out."""
    for node in tree.find(nodes.Filter):
        yield from _examine_filter(env, node, origin)
    for test in tree.find(nodes.Test):
        if test.name not in env.tests:
            yield _unknown("test", test.name, env.test_names, _span(origin, place_of_name(test), len(test.name)))
    calls = tree.find(nodes.Call)
    assigned = _assigned_names(tree) if calls else frozenset()
    for call in calls:
        yield from _examine_call(env, call, assigned, origin)


def _examine_filter(env: Environment, node: nodes.Filter, origin: Origin) -> Iterator[Problem]:
    span = _span(origin, place_of(node), len(node.name))
    if node.name not in env.filter_names:
        yield _unknown("filter", node.name, env.filter_names, span)
        return
    if node.dyn_args is None and node.dyn_kwargs is None:
        try:
            env.signature(node.name).bind(*node.args, **{_keyword(pair).key: None for pair in node.kwargs})
        except TypeError as error:
            takes = str(env.signature(node.name)).partition(")")[0].partition("(")[2]
            yield Problem(
                "filter-arguments", f"the filter '{node.name}' {_spoken(error)}", span, expected=_plain(takes)
            )
    position = 0 if node.name == "map" else _TEST_POSITION.get(node.name, -1)
    named = node.args[position] if 0 <= position < len(node.args) else None
    if isinstance(named, nodes.Const) and isinstance(named.value, str):
        word, names = ("filter", env.filter_names) if node.name == "map" else ("test", tuple(env.tests))
        if named.value not in names:
            yield _unknown(word, named.value, names, _span(origin, place_of(named), len(named.value) + 2))


def _keyword(pair: nodes.Node) -> nodes.Keyword:
    # Jinja's types say "pair" where its parser makes keywords.
    return cast(nodes.Keyword, pair)


def _spoken(error: TypeError) -> str:
    """Python's complaint about arguments, as a claim about the filter."""
    for pattern, words in _COMPLAINTS:
        found = re.match(pattern, str(error))
        if found:
            return words.format(*found.groups())
    return "cannot take these arguments"


def _plain(signature: str) -> str:
    """The names of a signature without its types."""
    names = [part.partition(":")[0].strip() for part in signature.split(", ")]
    return ", ".join(name for name in names if name.lstrip("*").isidentifier()) or "no arguments"


def _unknown(word: str, name: str, names: tuple[str, ...], span: Span) -> Problem:
    known = [known for known in names if known.isidentifier()]
    return Problem(
        f"unknown-{word}",
        f"there is no {word} '{name}'",
        span,
        expected=f"a {word}: {listed(known)}",
        nearest=nearest(name, known),
        edits=renaming(span, name, known, is_identifier=True),
    )


def _examine_call(env: Environment, call: nodes.Call, assigned: frozenset[str], origin: Origin) -> Iterator[Problem]:
    callee: nodes.Node = call.node
    while isinstance(callee, nodes.Getattr | nodes.Getitem):
        callee = callee.node
    root = callee.name if isinstance(callee, nodes.Name) else ""
    if root in assigned or root in _ALWAYS_CALLABLE:
        return
    if isinstance(call.node, nodes.Name):
        span = _span(origin, place_of(call.node), len(root))
        fix = f"… | {root}" if root in env.filter_names else ""
        close = nearest(root, _FUNCTIONS)
        edits = renaming(span, root, _FUNCTIONS, is_identifier=True)
        yield Problem(
            "unknown-function",
            f"there is no function '{root}'",
            span,
            f"a function: {listed(_FUNCTIONS)}",
            close,
            fix,
            edits=edits,
        )
    elif isinstance(call.node, nodes.Getattr):
        name = call.node.attr
        fix = f"{spell(call.node.node)} | {name}" if name in env.filter_names else ""
        message = f"'{spell(call.node)}' cannot be called: data has no methods"
        yield Problem("method-call", message, _span(origin, place_of_name(call.node), len(name)), fix=fix)
    else:
        yield Problem("method-call", "this cannot be called: data has no methods", _span(origin, first_place(call), 1))


def _assigned_names(tree: Tree) -> frozenset[str]:
    names = {node.name for node in tree.find(nodes.Name) if node.ctx in ("store", "param")}
    names |= {macro.name for macro in tree.find(nodes.Macro)}
    names |= {imported.target for imported in tree.find(nodes.Import)}
    for imported in tree.find(nodes.FromImport):
        names |= {name if isinstance(name, str) else name[1] for name in imported.names}
    return frozenset(names)


def file_nodes(tree: Tree) -> Sequence[FileNode]:
    """The places where a template brings in another file."""
    return [] if tree.is_plain else tree.find(nodes.Extends, nodes.Import, nodes.FromImport, nodes.Include)


def file_named(node: FileNode) -> str | None:
    """The name as written, or None when it is computed."""
    written = node.template
    return written.value if isinstance(written, nodes.Const) and isinstance(written.value, str) else None


def examine_all(env: Environment, tree: Tree, text: str, name: str, origin: Origin) -> dict[str, str]:
    """Examine a template and every file it brings in; gives the texts of these files.

    Raises TemplateProblem with all that was found.
    """
    own = sources_of(text, origin)
    sources = dict(own)
    try:
        found = list(_examine_files(env, tree, name, origin, sources))
    except RecursionError:
        found = [Problem("template-syntax", "the template is nested too deeply", origin.span())]
    if found:
        raise TemplateProblem(found, sources)
    return {file: inner for file, inner in sources.items() if file not in own}


def _examine_files(
    env: Environment, tree: Tree, name: str, origin: Origin, sources: dict[str, str]
) -> Iterator[Problem]:
    yield from examine(env, tree, origin)
    for node in file_nodes(tree):
        place = place_of(node.template)
        written = file_named(node)
        if written is None:
            yield Problem("computed-file", "the name of a file that is brought in must be written out",
                          _span(origin, place, 1), expected='a text, such as "parts/tone.md"')  # fmt: skip
            continue
        span = _span(origin, place, len(written) + 2)
        try:
            full = env.join_path(written, name)
            if full in sources:
                continue
            inner_text = env.source_of(full)
            sources[full] = inner_text
            inner = parse(env, inner_text, full, Origin(full))
        except Refused as error:
            yield Problem("template-file", str(error), span)
        except FileError as error:
            if not (isinstance(node, nodes.Include) and node.ignore_missing):
                yield replace(error.problems[0], span=span)
        except TemplateProblem as error:
            yield from error.problems
        else:
            found = list(_examine_files(env, inner, full, Origin(full), sources))
            yield from found or _install(env, inner, full, inner_text)


def _install(env: Environment, tree: Tree, name: str, text: str) -> Iterator[Problem]:
    try:
        env.install(tree, name, text)
    except TemplateSyntaxError as error:
        yield describe_syntax(error, text, Origin(name))


def _span(origin: Origin, place: Place, length: int) -> Span:
    return origin.span(int(place), place.column, length)
