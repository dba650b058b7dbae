from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.core.outcome import Violation
from runner.output import engines
from runner.output.engine_fast import FastEngine
from runner.output.engine_plain import PlainEngine, may_backtrack
from runner.output.misfit import Unusable
from runner.output.validate import Validator
from runner.output.violations import MOST_VIOLATIONS, violations_of


@dataclass(frozen=True)
class Case:
    """A schema, a value, and the lines that tell what does not fit (none: it fits)."""

    schema: Json
    value: Json
    told: tuple[str, ...] = ()


def tagged(kind: str, name: str, schema: Json) -> Json:
    properties = {"kind": {"const": kind}, name: schema}
    return {"type": "object", "properties": properties, "required": ["kind", name], "additionalProperties": False}


SHAPES = {"oneOf": [tagged("circle", "radius", {"type": "number"}), tagged("box", "side", {"type": "integer"})]}
QUEUE = {"enum": ["billing", "bug", "how-to"]}
ORDER = {
    "type": "object",
    "properties": {"quantity": {"type": "integer", "minimum": 1}, "tone": {"type": "string"}},
    "required": ["quantity", "tone"],
    "additionalProperties": False,
}

CASES = {
    "fits": Case(ORDER, {"quantity": 1, "tone": "x"}),
    "type": Case(ORDER, {"quantity": "two", "tone": ""}, ('/quantity type: an integer, at least 1; found "two"',)),
    "minimum": Case(ORDER, {"quantity": 0, "tone": ""}, ("/quantity minimum: an integer, at least 1; found 0",)),
    "whole numbers with a point": Case(ORDER, {"quantity": 2.0, "tone": ""}),
    "fraction": Case(ORDER, {"quantity": 2.5, "tone": ""}, ("/quantity type: an integer, at least 1; found 2.5",)),
    "true is no number": Case({"type": "number"}, True, (" type: a number; found true",)),
    "required": Case(
        ORDER,
        {"tone": ""},
        (" required: a property 'quantity': an integer, at least 1; found an object with 'tone'",),
    ),
    "required, two": Case(
        {"required": ["a", "b"]},
        {},
        (" required: a property 'a'; found an empty object", " required: a property 'b'; found an empty object"),
    ),
    "unexpected": Case(
        ORDER,
        {"quantity": 1, "tone": "", "tonne": 5, "\x1b": 6},
        (
            " additionalProperties: no property '\\u001b'; found 6",
            " additionalProperties: no property 'tonne' (did it mean 'tone'?); found 5",
        ),
    ),
    "patterns allow": Case({"patternProperties": {"^x": True}, "additionalProperties": False}, {"xa": 1}),
    "patterns": Case(
        {"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False},
        {"xa": 1, "b": 1},
        (" additionalProperties: no property 'b'; found 1", "/xa type: text; found 1"),
    ),
    "enum": Case(QUEUE, "how_to", (" enum: one of billing, bug, how-to (did it mean 'how-to'?); found \"how_to\"",)),
    "enum, far": Case(QUEUE, "zzz", (' enum: one of billing, bug, how-to; found "zzz"',)),
    "enum, other kind": Case(QUEUE, 5, (" enum: one of billing, bug, how-to; found 5",)),
    "enum and type": Case(
        {"type": "string", **QUEUE}, 5, (" enum: one of billing, bug, how-to; found 5", " type: text; found 5")
    ),
    "enum tells 1 from true": Case({"enum": [1]}, True, (" enum: 1; found true",)),
    "const": Case({"const": [1]}, [2], (" const: a list of 1; found a list of 1",)),
    "length": Case({"type": "string", "maxLength": 1}, "ab", (' maxLength: text of at most 1 character; found "ab"',)),
    "length counts characters": Case({"maxLength": 1}, "😀"),
    "pattern": Case({"pattern": "^a"}, "b", (' pattern: a value, matching ^a; found "b"',)),
    "multiple": Case({"multipleOf": 0.01}, 19.99),
    "no multiple": Case({"multipleOf": 0.01}, 19.999, (" multipleOf: a value, a multiple of 0.01; found 19.999",)),
    "multiples are of numbers": Case({"multipleOf": 2}, True),
    "unique": Case({"uniqueItems": True}, [1, 1.0], (" uniqueItems: a value, all different; found a list of 2",)),
    "items": Case({"items": {"type": "null"}}, [None, 1], ("/1 type: null; found 1",)),
    "tuple": Case({"prefixItems": [True], "items": False}, [1, 2, "x"], ("/1 false: nothing here; found 2", '/2 false: nothing here; found "x"')),
    "never": Case({"properties": {"a": False}}, {"a": 1}, ("/a false: nothing here; found 1",)),
    "nothing": Case(False, 1, (" false: nothing here; found 1",)),
    "contains": Case(
        {"contains": {"type": "integer"}}, ["x"], (" contains: a list of at least 1 element fitting: an integer; found a list of 1",)
    ),
    "contains, none at all": Case({"contains": True, "minContains": 0}, []),
    "contains, few": Case(
        {"contains": {"type": "integer"}, "minContains": 2},
        [1],
        (" contains: a list of at least 2 elements fitting: an integer; found a list of 1",),
    ),
    "contains, many": Case(
        {"contains": {"type": "integer"}, "maxContains": 1},
        [1, 2],
        (" contains: a list of 1 element fitting: an integer; found a list of 2",),
    ),
    "not": Case({"not": {"type": "string"}}, "x", (' not: anything but text; found "x"',)),
    "companion": Case(
        {"dependentRequired": {"a": ["b", "c"], "z": ["y"]}},
        {"a": 1, "c": 2},
        (" dependentRequired: a property 'b' beside 'a'; found an object with 'a', 'c'",),
    ),
    "names": Case(
        {"propertyNames": {"maxLength": 1}}, {"ab": 1}, (" propertyNames: property names that are text of at most 1 character; found \"ab\"",)
    ),
    "names by reference": Case(
        {"propertyNames": {"$ref": "#/$defs/n"}, "$defs": {"n": {"enum": ["a", "b"]}}},
        {"ab": 1},
        (' propertyNames: property names that are one of a, b; found "ab"',),
    ),
    "no names": Case({"propertyNames": False}, {"a": 1}, (" propertyNames: an empty object; found an object with 'a'",)),
    "names of what has none": Case({"propertyNames": False}, 5),
    "unevaluated": Case(
        {"properties": {"a": True}, "unevaluatedProperties": False},
        {"a": 1, "b": 2},
        (" unevaluatedProperties: no property that the schema does not name; found an object with 'a', 'b'",),
    ),
    "unevaluated items": Case(
        {"prefixItems": [True], "unevaluatedItems": False}, [1, 2], (" unevaluatedItems: no further element; found a list of 2",)
    ),
    "then": Case(
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, (" required: a property 'b'; found an object with 'a'",)
    ),
    "reference": Case(
        {"properties": {"n": {"$ref": "#/$defs/n", "maximum": 4}}, "$defs": {"n": {"type": "integer"}}},
        {"n": 9},
        ("/n maximum: an integer, at most 4; found 9",),
    ),
    "closest by kind": Case(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "maxLength": 2}]},
        "abc",
        (' maxLength: text of at most 2 characters; found "abc"',),
    ),
    "no kind fits": Case(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, "abc", (' anyOf: an integer, at least 1 or null; found "abc"',)
    ),
    "closest by tag": Case(
        SHAPES, {"kind": "box", "side": "x", "more": 1}, (" additionalProperties: no property 'more'; found 1", '/side type: an integer; found "x"')
    ),
    "closest by number": Case(
        {"anyOf": [{"required": ["a", "b"]}, {"required": ["c"]}]}, {}, (" required: a property 'c'; found an empty object",)
    ),
    "alternatives in alternatives": Case(
        {"anyOf": [{"type": "null"}, {"type": "array", "items": SHAPES}]},
        [{"kind": "circle"}],
        ("/0 required: a property 'radius': a number; found an object with 'kind'",),
    ),
    "several fit": Case(
        {"oneOf": [{"type": "integer"}, {"minimum": 1}, {"type": "string"}]},
        5,
        (" oneOf: a value that fits only one of the alternatives; found 5",),
    ),
    "date": Case({"format": "date"}, "2026-02-30", (' format: a value, a date such as 2026-01-31; found "2026-02-30"',)),
    "unknown format": Case({"format": "shoe-size"}, "x"),
    "pointer": Case({"additionalProperties": {"type": "null"}}, {"a/b~": 1}, ("/a~1b~0 type: null; found 1",)),
}  # fmt: skip


def told(violations: tuple[Violation, ...]) -> tuple[str, ...]:
    return tuple(f"{v.pointer} {v.keyword}: {v.expected}; found {v.found}" for v in violations)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_does_not_fit_is_told_in_our_words(case: Case) -> None:
    validator = Validator(case.schema)
    assert told(validator.violations(case.value)) == case.told
    assert validator.fits(case.value) is not bool(case.told)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_both_engines_say_the_same_in_the_same_words(case: Case) -> None:
    engine = PlainEngine(case.schema)
    assert engine.is_valid(case.value) is not bool(case.told)
    assert told(violations_of(engine.misfits(case.value), case.schema)) == case.told


FORMATS = {
    "date": (["2026-01-31"], ["2026-1-31", "31.01.2026", "x"]),
    "date-time": (["2026-01-31T09:30:00Z", "2026-01-31t09:30:00.25+02:00"], ["2026-01-31", "2026-01-31T25:00:00Z", "2026-02-30T09:30:00Z"]),
    "time": (["09:30:00Z"], ["09:30", "9:30:00Z"]),
    "email": (["a@example.com"], ["a", "@example.com"]),
    "uri": (["https://example.com/x?y#z", "urn:x:y"], ["example.com", "/x", "https://exa mple.com"]),
    "hostname": (["example.com"], ["-x.com", "a..b"]),
    "uuid": (["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
    "ipv4": (["127.0.0.1"], ["127.0.0.256"]),
    "ipv6": (["::1"], ["1::2::3"]),
    "regex": (["^a$"], ["["]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_checked_by_both_engines(name: str) -> None:
    good, bad = FORMATS[name]
    for engine in (FastEngine({"format": name}), PlainEngine({"format": name})):
        assert [engine.is_valid(text) for text in [*good, *bad]] == [True] * len(good) + [False] * len(bad)
        assert engine.is_valid(5)


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "a", "ab", "b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


def wider(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    some = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    return (
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": named, "required": st.lists(st.sampled_from("abc"), unique=True)}
        )
        | st.fixed_dictionaries({"properties": named, "additionalProperties": inner})
        | st.fixed_dictionaries(
            {"items": inner}, optional={"uniqueItems": st.booleans(), "maxItems": st.integers(0, 2)}
        )
        | st.fixed_dictionaries({"contains": inner}, optional={"minContains": st.integers(0, 2)})
        | some.map(lambda many: {"anyOf": many})
        | some.map(lambda many: {"oneOf": many})
        | some.map(lambda many: {"allOf": many})
        | inner.map(lambda one: {"not": one})
        | inner.map(lambda one: {"propertyNames": one})
    )


SCHEMAS = st.recursive(
    st.booleans()
    | st.sampled_from(["string", "integer", "number", "null", "array", "object", ["boolean", "string"]]).map(lambda name: {"type": name})
    | st.lists(SCALARS, min_size=1, max_size=3).map(lambda options: {"enum": options})
    | st.integers(-2, 2).map(lambda bound: {"minimum": bound})
    | st.integers(0, 2).map(lambda bound: {"maxLength": bound}),
    wider,
    max_leaves=6,
)  # fmt: skip


@given(SCHEMAS, VALUES)
def test_the_engines_agree_and_a_misfit_always_has_words(schema: Json, value: Json) -> None:
    validator, plain = Validator(schema), PlainEngine(schema)
    fits = validator.fits(value)
    assert plain.is_valid(value) == fits
    assert (validator.violations(value) == ()) == fits
    assert (violations_of(plain.misfits(value), schema) == ()) == fits


def nested(levels: int, leaf: Json = 1) -> Json:
    value = leaf
    for number in range(levels):
        value = [value] if number % 2 else {"a": value}
    return value


def test_deep_values_are_refused_before_a_validator_recurses() -> None:
    validator = Validator(True)
    assert validator.fits(nested(64))
    assert not validator.fits(nested(500))

    (violation,) = validator.violations(nested(70))
    assert (violation.keyword, violation.expected, violation.found) == ("json", "a JSON value", "nested too deeply")


def test_half_a_character_does_not_fit() -> None:
    validator = Validator({"type": "string"})
    assert not validator.fits("\ud800")
    assert validator.violations("\ud800") == (
        Violation("", "json", "a JSON value", "text with half a character (a lone surrogate)"),
    )


def test_what_is_told_is_sorted_and_bounded() -> None:
    violations = Validator({"items": {"type": "null"}}).violations(list(range(500)))
    assert len(violations) == MOST_VIOLATIONS
    assert list(violations) == sorted(violations, key=lambda v: (v.pointer, v.keyword))


@pytest.mark.parametrize("engine", [FastEngine, PlainEngine])
def test_an_engine_says_where_a_schema_is_unusable(engine: type[FastEngine | PlainEngine]) -> None:
    with pytest.raises(Unusable, match="the schema at /properties/a/type cannot be used") as caught:
        engine({"properties": {"a": {"type": "strin"}}})
    assert caught.value.pointer == "/properties/a/type"
    with pytest.raises(Unusable, match="the schema at its top cannot be used"):
        engine(5)


def test_patterns_take_linear_time() -> None:
    slow = "a" * 5_000 + "!"
    assert not Validator({"pattern": "^(a+)+$"}).fits(slow)
    assert not Validator({"pattern": r"^(?=a)(a+)+\1$"}).fits(slow)


@pytest.mark.parametrize(
    ("pattern", "is_slow"),
    [
        ("^(a+)+$", True),
        ("(a|aa)*$", True),
        ("((a*)b)+", True),
        ("(a{2,}){3,}", True),
        ("^[a-z]+$", False),
        ("^(abc)+$", False),
        ("(a|b)c*", False),
        (r"\(a+\)+", False),
        ("[(+]+)", False),
    ],
)
def test_the_plain_engine_refuses_patterns_that_could_take_for_ever(pattern: str, is_slow: bool) -> None:
    assert may_backtrack(pattern) is is_slow


def test_the_plain_engine_looks_for_slow_patterns_everywhere() -> None:
    with pytest.raises(Unusable, match="the schema at /items cannot be used"):
        PlainEngine({"items": {"pattern": "(a+)+"}})
    with pytest.raises(Unusable, match="the schema at its top cannot be used"):
        PlainEngine({"patternProperties": {"(a+)+": True}, "additionalProperties": True})
    with pytest.raises(Unusable):
        PlainEngine({"patternProperties": 5})


@pytest.mark.parametrize("schema", [{"type": "strin", "items": {"minimum": "x"}}, {"required": [1]}])
def test_both_engines_find_what_the_standard_does_not_allow(schema: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = set(engines.meta_errors(schema))
    monkeypatch.setitem(sys.modules, "runner.output.engine_fast", None)
    monkeypatch.delattr("runner.output.engine_fast", raising=False)
    assert set(engines.meta_errors(schema)) == fast
    assert isinstance(engines.build_engine({}), PlainEngine)


def test_the_fast_engine_is_taken_where_it_can_be() -> None:
    assert isinstance(engines.build_engine({}), FastEngine)


class _Counting(BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012 - a server makes its handlers itself

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Counting) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_no_engine_fetches_anything(keyword: str, server: HTTPServer) -> None:
    address = f"http://127.0.0.1:{server.server_port}/x.json"
    with pytest.raises(Unusable):
        FastEngine({keyword: address})
    engine = PlainEngine({keyword: address})
    with pytest.raises(Exception, match="Unresolvable"):
        engine.is_valid(1)
    assert _Counting.seen == []


def test_importing_the_package_imports_no_validator() -> None:
    script = (
        "import sys, runner.output.judge, runner.output.schema, runner.output.validate; "
        "print([name for name in ('jsonschema', 'jsonschema_rs', 'referencing', 'asyncio', 'httpx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
