"""A question in two: what is kept at the provider, and the rest that names it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.call import Call, Message, SharedPart, ToolSpec
from runner.core.context import Divided, with_fields
from runner.core.long_text import LongText, SpelledBody, Stretch
from runner.core.media import Medium
from runner.core.model import ModelFacts, Provider, Route
from runner.dialects import DIALECTS
from runner.dialects.contexts import divide, keeps_contexts

RouteTo = Callable[..., Route]
TALK = (Message("user", "Read this."), Message("assistant", "I have."), Message("user", "What is it?"))
TOOL = ToolSpec("look", "Looks.", {"type": "object", "properties": {"q": {"type": "string"}}})


def medium(name: str) -> Medium:
    return Medium("document", "application/pdf", name * 64, 10, path=f"/{name}.pdf", shown=f"{name}.pdf")


def divided(call: Call, route: Route, dialect: str = "gemini") -> Divided:
    return divide(call, route, DIALECTS[dialect].encode(call, route))


def bodies(found: Divided) -> tuple[Any, Any]:
    return json.loads(bytes(found.kept.body)), json.loads(bytes(found.naming("cachedContents/1").body))


@pytest.mark.parametrize("dialect", ["gemini", "vertex"])
def test_what_goes_before_the_item_is_kept_and_the_rest_names_it(route_to: RouteTo, dialect: str) -> None:
    call = Call("m", TALK, system="Long rules.", tools=(TOOL,), temperature=0.5, shared=SharedPart(2))
    kept, rest = bodies(divided(call, route_to(dialect), dialect))
    assert kept == {
        "systemInstruction": {"parts": [{"text": "Long rules."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Read this."}]},
            {"role": "model", "parts": [{"text": "I have."}]},
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "look", "description": "Looks.", "parametersJsonSchema": TOOL.parameters}
                ]
            }
        ],
    }
    assert rest == {
        "contents": [{"role": "user", "parts": [{"text": "What is it?"}]}],
        "generationConfig": {"temperature": 0.5},
        "cachedContent": "cachedContents/1",
    }
    problems_of = importlib.import_module("descriptions").problems_of
    assert problems_of(f"{dialect}-context", kept) == problems_of(dialect, rest) == []


def test_a_system_text_alone_is_kept_without_turns(route_to: RouteTo) -> None:
    kept, rest = bodies(divided(Call("m", TALK[:1], system="Long.", shared=SharedPart()), route_to("gemini")))
    assert kept == {"systemInstruction": {"parts": [{"text": "Long."}]}}
    assert rest["contents"] == [{"role": "user", "parts": [{"text": "Read this."}]}]


def test_files_are_kept_in_a_turn_of_their_own_and_travel_with_it(route_to: RouteTo) -> None:
    files = (medium("a"), medium("b"), medium("c"))
    call = Call("m", (Message("user", "Compare.", files),), shared=SharedPart(0, 2))
    found = divided(call, route_to("gemini"))
    kept, rest = bodies(found)
    assert [len(turn["parts"]) for turn in kept["contents"]] == [2]
    assert [len(turn["parts"]) for turn in rest["contents"]] == [2]
    assert [one.medium for one in found.kept.attachments] == list(files[:2])
    assert [one.medium for one in found.rest.attachments] == [files[2]]


def test_the_same_file_twice_is_counted_where_it_stands(route_to: RouteTo) -> None:
    call = Call("m", (Message("user", "Compare.", (medium("a"), medium("a"))),), shared=SharedPart(0, 1))
    found = divided(call, route_to("gemini"))
    assert (len(found.kept.attachments), len(found.rest.attachments)) == (1, 1)


def test_the_key_does_not_know_of_it(route_to: RouteTo) -> None:
    whole = Call("m", TALK, system="Long rules.")
    shared = replace(whole, shared=SharedPart(1))
    assert whole == shared
    route = route_to("gemini")
    assert DIALECTS["gemini"].encode(whole, route).key == DIALECTS["gemini"].encode(shared, route).key


def test_the_name_follows_from_what_is_kept_and_who_reads_it(route_to: RouteTo) -> None:
    call = Call("m", TALK, system="Long rules.", shared=SharedPart(1))
    route = route_to("gemini")
    ident = divided(call, route).ident
    same = replace(call, messages=(*TALK[:2], Message("user", "Another question.")), temperature=0.1)
    assert divided(same, route).ident == ident
    others = [
        divided(replace(call, system="Longer rules."), route),
        divided(replace(call, shared=SharedPart(2)), route),
        divided(call, route_to("gemini", model="gemini-2.5-pro")),
        divided(call, route_to("vertex"), "vertex"),
    ]
    assert len({ident, *(one.ident for one in others)}) == 5
    assert len(ident) == 40


def test_who_keeps_contexts() -> None:
    assert keeps_contexts(Provider("box", "gemini", "http://127.0.0.1:1"))
    assert keeps_contexts(Provider("vertex", "vertex"))
    assert not keeps_contexts(Provider("openai", "openai-responses"))
    assert not keeps_contexts(Provider("cometapi", "gemini", settings={"server": "gateway"}))


@given(
    texts=st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5),
    system=st.none() | st.text(max_size=5),
    cut=st.integers(0, 4),
)
def test_both_parts_together_are_the_question(texts: list[str], system: str | None, cut: int) -> None:
    """Turn by turn, and nothing is said twice."""
    messages = tuple(Message("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))
    call = Call("m", messages, system=system, seed=1, shared=SharedPart(min(cut, len(texts) - 1)))
    route = Route("gemini/m", Provider("gemini", "gemini", is_builtin=True), "m", ModelFacts("gemini", "m"))
    found = divided(call, route)
    kept, rest = json.loads(bytes(found.kept.body)), json.loads(bytes(found.rest.body))
    whole = json.loads(bytes(DIALECTS["gemini"].encode(call, route).body))
    assert kept.pop("contents", []) + rest.pop("contents") == whole.pop("contents")
    assert {**kept, **rest} == whole
    assert not set(kept) & set(rest)


def test_a_long_text_is_not_put_together(route_to: RouteTo) -> None:
    """It stays in the pieces that it was read in, in what is kept too."""
    book = LongText((Stretch("word " * 300_000, 0, 1_500_000),))
    call = Call("m", (Message("user", book), *TALK[1:]), shared=SharedPart(1))
    found = divided(call, route_to("gemini"))
    assert isinstance(found.kept.body, SpelledBody)
    sent = with_fields(found.kept, {"ttl": "60s"})
    assert isinstance(sent.body, SpelledBody)
    assert json.loads(bytes(sent.body)) == {
        "ttl": "60s",
        "contents": [{"role": "user", "parts": [{"text": "word " * 300_000}]}],
    }
    assert isinstance(found.naming("cachedContents/1").body, bytes)
    short = replace(call, messages=(Message("user", "word " * 300_000), *TALK[1:]))
    assert divided(short, route_to("gemini")).ident == found.ident
