"""A hostile template gets nothing, and stops soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.templates.bounds import Limits, Meter

# Published payloads of server-side template injection against Jinja2, and variations that aim at our own objects.
PAYLOADS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ x['__cl' ~ 'ass__'] }}",
    "{{ [].__class__.__base__.__subclasses__() }}",
    "{{ {}.__class__ }}",
    "{{ (1).__class__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ range.__self__ }}",
    "{{ range.__func__.__globals__ }}",
    "{{ dict.mro() }}",
    "{{ dict.__globals__ }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ self['__init__'] }}",
    "{{ config }}",
    "{{ request.application.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ url_for.__globals__ }}",
    "{{ environment }}",
    "{{ context }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format_map({'0': x}) }}",
    "{{ ['{0.__class__}'.format] | map('x') }}",
    "{{ '%(a)r' | format(a=x) }}",
    "{{ '%a' % 'x' }}",
    "{{ x | map(attribute='__class__') | list }}",
    "{{ [x] | sort(attribute='__class__') }}",
    "{{ [x] | groupby('__class__') }}",
    "{{ [x] | map('attr', '__class__') | list }}",
    "{{ [x] | selectattr('__class__', 'string') | list }}",
    "{{ x | random }}",
    "{{ x | pprint }}",
    "{{ x | xmlattr }}",
    "{{ x | safe }}",
    "{{ x | e }}",
    "{{ x.append(1) }}",
    "{{ x.upper() }}",
    "{{ 'abc'.upper() }}",
    "{{ d.items() }}",
    "{{ d.get('a') }}",
    "{{ now() }}",
    "{{ x() }}",
    "{{ x[0]() }}",
    "{{ (x | first)() }}",
    "{{ range }}",
    "{{ namespace }}",
    "{{ self }}",
    "{{ range(1, 2, 0) }}",
    "{{ range('a') }}",
    "{% set ns = namespace(a=1) %}{{ ns.__class__ }}",
    "{% set ns = namespace(a=1) %}{{ ns._Namespace__attrs }}",
    "{% set ns = namespace(a=1) %}{{ ns }}",
    "{% set d.a = 1 %}",
    "{% for i in [1] %}{{ loop._iterable }}{% endfor %}",
    "{% for i in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{% for i in [1] %}{{ loop }}{% endfor %}",
    "{% for i in [1] %}{{ loop.cycle.__func__ }}{% endfor %}",
    "{% for i in [1] %}{{ loop([1]) }}{% endfor %}",
    "{% macro m() %}{{ caller.__class__ }}{% endmacro %}{{ m.__init__ }}",
    "{% macro m() %}{% endmacro %}{{ m }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{{ varargs.__class__ }}{% endmacro %}{{ m(1) }}",
    "{% macro m() %}{{ kwargs.pop('a') }}{% endmacro %}{{ m(a=1) }}",
    "{% block b %}{{ self.b._stack }}{% endblock %}",
    "{% block b %}{{ super() }}{% endblock %}",
    "{% block b %}{{ self.b.super() }}{% endblock %}",
    "{% autoescape true %}<{% endautoescape %}",
    "{% include '/etc/passwd' %}",
    "{% include '../../etc/passwd' %}",
    "{% include x %}",
    "{% import 'os' as os %}{{ os.popen('id') }}",
    "{% from 'x' import __builtins__ %}",
    "{% extends x %}",
    "{% do x.append(1) %}",
    "{% debug %}",
    "{{ 1 is filter }}",
    "{{ x is callable }}",
    "{{ x is sameas x }}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_published_payload_gets_nothing(bench: Any, payload: str) -> None:
    with pytest.raises(RunnerError):
        bench.rendered(payload, x=["data"], d={"a": 1})


@pytest.mark.parametrize("payload", [p[3:-3] for p in PAYLOADS if p.startswith("{{") and p.count("{{") == 1])
def test_a_published_payload_gets_nothing_from_an_expression(bench: Any, payload: str) -> None:
    with pytest.raises(RunnerError):
        bench.value(payload, x=["data"], d={"a": 1})


OUTPUT = "a text of more than 64,000,000 characters would be made"
WORK = "the template makes more than 256,000,000 characters on its way"
LOOPS = "the template's loops and macros run more than 20,000 rounds in all"
BIG = "'**' gives a number beyond 64 bits"
BOMBS = [
    ("{{ 'a' * 10**9 }}", OUTPUT),
    ("{{ 10**9 * 'a' }}", OUTPUT),
    ("{{ [0] * 10**9 }}", OUTPUT),
    ("{{ ('a' * 10**7) | replace('a', 'b' * 10**3) }}", OUTPUT),
    ("{{ ('a' * 10**7) | replace('', 'bbbbbbbb') }}", OUTPUT),
    ("{{ ('a\n' * 10**6) | indent(1000) }}", OUTPUT),
    ("{{ (['a' * 10**6] * 1000) | join }}", OUTPUT),
    ("{{ ('a ' * 10**7) | wordwrap(2, wrapstring='xxxxxxxxxx') }}", "'wordwrap' works on lines of up to 100,000 characters"),
    ("{{ 'a' | center(900000000) }}", "a width of 900,000,000 is more than the 10,000 that a template may ask for"),
    ("{{ 'a' | indent(900000000) }}", "a width of 900,000,000 is more than the 10,000 that a template may ask for"),
    ("{{ [1] | tojson(indent=900000000) }}", "an indent of 900,000,000 is more than the 10,000 that a template may ask for"),
    ("{{ '%900000000d' % 1 }}", "a width of 900,000,000 is more than the 10,000 that a template may ask for"),
    ("{{ '%.900000000f' | format(1) }}", "a precision of 900,000,000 is more than the 10,000 that a template may ask for"),
    ("{{ '%*d' % (9, 1) }}", "'%*' is no place for a value that 'format' knows"),
    ("{{ [1] | batch(900000000, 0) }}", "a range of 900,000,000 numbers is more than the 100,000 allowed"),
    ("{{ [1] | slice(900000000) }}", "a range of 900,000,000 numbers is more than the 100,000 allowed"),
    ("{{ 1.5 | round(900000000, 'ceil') }}", "'round' works on up to 300 digits"),
    ("{{ range(10**9) }}", "a range of 1,000,000,000 numbers is more than the 100,000 allowed"),
    ("{{ range(10**9, 0, -1) }}", "a range of 1,000,000,000 numbers is more than the 100,000 allowed"),
    ("{{ 9**(9**8) }}", BIG),
    ("{{ (-9)**65 }}", BIG),
    ("{{ 2**64 * 2 }}", "'*' gives a number beyond 64 bits"),
    ("{{ (-8)**0.5 }}", BIG),
    ("{{ 1e308 * 10 }}", "a number that is not finite cannot be written"),
    ("{{ 1e308 ** 2 }}", "'**' gives a number that is too large"),
    ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", LOOPS),
    ("{% for a in range(99999) %}{% for b in range(99999) %}{{ loop.last }}{% endfor %}{% endfor %}", LOOPS),
    ("{% for a in range(99999) if a %}{% for b in range(99999) if b %}{% endfor %}{% endfor %}", LOOPS),
    ("{% for a in range(9999) %}{{ x }}{% endfor %}", WORK),
    ("{% set ns = namespace(t='aaaaaaaa') %}{% for a in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}", OUTPUT),
    ("{% set ns = namespace(t='aaaaaaaa') %}{% for a in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}", OUTPUT),
    ("{% set ns = namespace(t=[1]) %}{% for a in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}", OUTPUT),
    ("{% set ns = namespace(t=[1]) %}{% for a in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.t }}", "a value has more than 50,000 elements inside"),
    ("{% set ns = namespace(t=[1]) %}{% for a in range(60) %}{% set ns.t = {'a': ns.t, 'b': ns.t} %}{% endfor %}{{ ns.t == [] or ns.t == ns.t }}", "a value has more than 50,000 elements inside"),
    ("{% set ns = namespace(t='a' * 10**6) %}{% for a in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ [1] | zip(ns.t) | unique }}", WORK),
    ("{% for i in range(400) %}{% set y = x | windows(900) %}{% endfor %}", WORK),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "macros and recursive loops call each other more than 40 levels deep"),
    ("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(39) }}", LOOPS),
    ("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "macros and recursive loops call each other more than 40 levels deep"),
    ("{% for a in [1] recursive %}{{ loop([1, 1, 1]) if loop.depth < 30 else '' }}{% endfor %}", LOOPS),
    ("{% macro m() %}{% for i in range(100) %}{{ x | join }}{% endfor %}{% endmacro %}{{ m() }}", OUTPUT),
    ("{{ [[" + "[" * 60 + "]" * 60 + "]] }}", None),
    ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "the template cannot be read: it is nested too deeply, or a number in it has too many digits"),
    ("{{ " + "-" * 900 + "1 }}", None),
    ("{{ " + "9" * 5000 + " }}", "the template cannot be read: it is nested too deeply, or a number in it has too many digits"),
    ("{{ " + "+".join("1" * 3000) + " }}", "the template is nested too deeply"),
    ("{% for a in [1] %}" * 30 + "{% endfor %}" * 30, "the template is nested too deeply"),
    ("{% set ns = namespace(t=[]) %}{% for a in range(3000) %}{% set ns.t = [ns.t] %}{% endfor %}{{ ns.t }}", "the value is nested too deeply to be written"),
]  # fmt: skip


@pytest.mark.parametrize(("bomb", "message"), BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_stops_soon_and_names_the_limit(bench_with: Callable[..., Any], bomb: str, message: str | None) -> None:
    # Small limits and a clock that stands still: the test is quick, and no slow machine changes the message.
    bench = bench_with(limits=Limits(iterations=20_000, nodes=50_000), clock=lambda: 0.0)
    x = ["y" * 1000] * 1000
    if message is None:
        try:
            bench.rendered(bomb, x=x)
        except RunnerError:
            return
    else:
        assert message in bench.failure(bomb, x=x)


def test_the_limits_are_wide_enough_for_honest_work() -> None:
    limits = Limits()
    assert (limits.iterations, limits.range_size, limits.output_characters) == (1_000_000, 100_000, 64_000_000)
    assert limits.seconds == 10


def test_a_rendering_has_a_deadline(bench_with: Callable[..., Any]) -> None:
    seconds = iter(range(0, 1000, 3))
    slow = bench_with(limits=Limits(seconds=5), clock=lambda: float(next(seconds)))
    template = "{% for i in range(1000) %}{{ 'x' in t }}{% endfor %}"
    assert "the template takes longer than 5 s to render" in slow.failure(template, t="y")


def test_what_one_rendering_used_is_not_held_against_the_next(bench_with: Callable[..., Any]) -> None:
    compiled = bench_with(limits=Limits(iterations=1000)).compiled("{% for i in range(900) %}x{% endfor %}")
    assert {len(compiled.render({})) for _ in range(3)} == {900}


def test_a_limit_of_elements_is_counted_in_loops_that_show_their_length(bench: Any) -> None:
    assert bench.rendered("{% for i in [1, 2] %}{{ loop.length }}{{ loop.revindex }}{% endfor %}") == "2221"


def test_the_meter_looks_at_the_clock_only_after_much_work() -> None:
    looks: list[int] = []

    def clock() -> float:
        looks.append(1)
        return 0.0

    meter = Meter(Limits(), clock)
    meter.charge(900_000)
    assert len(looks) == 1
    meter.charge(900_000)
    assert len(looks) == 2


def test_rendered_text_is_not_rendered_again(bench: Any) -> None:
    row = "{{7*7}}"
    for _ in range(3):
        row = bench.rendered("{{ row }}", row=row)
    assert row == "{{7*7}}"


def test_data_rows_with_names_of_the_language_are_only_data(bench: Any) -> None:
    row = {"self": 1, "loop": 2, "range": 3, "namespace": 4, "__class__": 5, "constructor": 6}
    assert bench.rendered("{{ r.self }}{{ r.loop }}{{ r.range }}{{ r.__class__ }}{{ r.constructor }}", r=row) == "12356"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% set f = 1 %}{{ f() }}", "a number cannot be called"),
        (
            "{% set f = 'a' %}{{ f.upper() }}",
            "'f.upper' cannot be called: data has no methods; there is a filter: … | upper",
        ),
        ("{% set f = 'a' %}{{ f.go() }}", "'f.go' cannot be called: data has no methods"),
        ("{% set f = ([] | first) %}{{ f() }}", "'first' found nothing: the list is empty"),
        ("{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "No caller defined"),
        ("{% if false %}{% set f = 1 %}{% endif %}{{ f() }}", "there is no function 'f'"),
        ("{% for x in 1 %}{% endfor %}", "a loop needs a list, and this is a number"),
        ("{% for x in [1] recursive %}{{ loop(1) }}{% endfor %}", "a loop needs a list, and this is a number"),
        ("{{ self.nothing }}", "'self.nothing' is undefined"),
        ("{{ range[0] }}", "'range[0]' is undefined"),
    ],
)
def test_what_cannot_be_called_or_walked_is_said_while_rendering(bench: Any, template: str, message: str) -> None:
    assert message in bench.failure(template)


def test_the_ways_of_jinja_to_an_attribute_follow_our_rules_too(bench: Any) -> None:
    assert bench.env.getattr({"a": 1}, "a") == 1
    assert bench.env.getitem([1], 0) == 1
    assert repr(bench.env.getattr("text", "upper")) == repr(bench.env.getitem("text", "__class__")) == "undefined"


def test_a_rendering_that_needs_too_much_memory_is_a_limit() -> None:
    from runner.core.span import Span
    from runner.templates.problems import describe_failure

    problem = describe_failure(MemoryError(), Span("p.md", 1, 1))
    assert (problem.code, problem.message) == ("template-limit", "the template needs more memory than there is")
