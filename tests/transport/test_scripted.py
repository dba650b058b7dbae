"""Answers from a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from runner.core.errors import FileError
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.problem import Problem
from runner.core.request import Request
from runner.core.span import Span
from runner.transport.script import Rule, read_script
from runner.transport.scripted import ScriptedTransport, last_user_text, payload

MakeRoute = Callable[..., Route]
MakeRequest = Callable[..., Request]


def neutral(text: str) -> dict[str, Any]:
    return {"system": None, "messages": [{"role": "user", "text": text}], "schema": None}


@pytest.fixture
def ask(make_route: MakeRoute, make_request: MakeRequest) -> Callable[..., Any]:
    """Ask a transport and read its payload."""

    def ask(transport: ScriptedTransport, text: str = "hello", timeout_s: float = 60) -> Any:
        request = make_request(dialect="scripted", body=neutral(text))
        return json.loads(asyncio.run(transport.send(make_route(model="script-1"), request, timeout_s=timeout_s)))

    return ask


def fail(ask: Callable[..., Any], transport: ScriptedTransport, text: str = "hello", timeout_s: float = 60) -> Failure:
    with pytest.raises(CallFailed) as caught:
        ask(transport, text, timeout_s)
    return caught.value.failure


def test_the_first_rule_that_matches_answers(ask: Callable[..., Any]) -> None:
    script = b"""[
      {"match": "mood", "answer": {"zeta": 1, "alpha": [true]}},
      {"match": "cut", "answer": "half an ans", "finish": "length"},
      {"answer": "else"}
    ]"""
    transport = ScriptedTransport.from_file(script)
    assert ask(transport, "the mood, please") == {
        "text": '{"zeta":1,"alpha":[true]}',
        "finish": "stop",
        "usage": {"input_tokens": 23, "output_tokens": 7},
        "model": "script-1",
    }
    assert [ask(transport, text)["finish"] for text in ("cut it", "mood and cut", "other")] == [
        "length",
        "stop",
        "stop",
    ]
    assert ask(transport)["text"] == "else"
    assert transport.requests == []  # it may be asked a million times


def test_only_the_last_user_message_is_matched() -> None:
    said = [{"role": "user", "text": "one"}, {"role": "assistant", "text": "two"}, {"role": "user", "text": "three"}]
    assert last_user_text(json.dumps({"messages": [*said, {"role": "assistant", "text": "four"}]}).encode()) == "three"
    assert last_user_text(b'{"messages": []}') == ""


def test_json_lines_and_a_rules_key_say_the_same() -> None:
    rules = (Rule(match="a", answer="1"), Rule(answer="null", times=2, delay_s=0.5))
    lines = b'\xef\xbb\xbf{"match": "a", "answer": "1"}\n\n{"answer": null, "times": 2, "delay_s": 0.5}\r\n'
    assert read_script(lines) == rules
    listed = b'[{"match": "a", "answer": "1"}, {"answer": null, "times": 2, "delay_s": 0.5}]'
    assert read_script(listed) == rules
    assert read_script(b'{"rules": ' + listed + b"}") == rules
    assert read_script(b'{"answer": "only"}') == (Rule(answer="only"),)
    assert read_script(b"") == ()


def test_a_rule_can_be_used_up(ask: Callable[..., Any]) -> None:
    transport = ScriptedTransport.from_file(b'{"answer": "first", "times": 1}\n{"answer": "then"}')
    assert [ask(transport)["text"] for _ in range(3)] == ["first", "then", "then"]


def test_a_message_that_no_rule_matches_is_shown(ask: Callable[..., Any]) -> None:
    transport = ScriptedTransport.from_file(b'[{"match": "x", "answer": "y"}]')
    assert fail(ask, transport, "hello\n") == Failure(
        FailureKind.BAD_REQUEST, "no rule of the script matches the message 'hello\\n'"
    )
    assert fail(ask, transport, "long " * 40).message.endswith("long long …'")


@pytest.mark.parametrize(
    ("rule", "failure"),
    [
        ({"status": 503}, Failure(FailureKind.TRANSIENT, "the script answers 503", status=503)),
        ({"status": 401}, Failure(FailureKind.AUTH, "the script answers 401", status=401)),
        ({"status": 404, "message": "gone"}, Failure(FailureKind.NOT_FOUND, "gone", status=404)),
        ({"kind": "quota"}, Failure(FailureKind.QUOTA, "the script answers quota")),
        (
            {"status": 429, "retry_after_s": 7},
            Failure(FailureKind.TRANSIENT, "the script answers 429", retry_after_s=7.0, status=429),
        ),
    ],
)
def test_a_rule_can_fail(ask: Callable[..., Any], rule: Any, failure: Failure) -> None:
    assert fail(ask, ScriptedTransport.from_file(json.dumps([{"fail": rule}]).encode())) == failure


def test_a_delay_is_waited_for_up_to_the_deadline(ask: Callable[..., Any]) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    transport = ScriptedTransport.from_file(b'[{"answer": "late", "delay_s": 5}]', sleep=sleep)
    assert ask(transport)["text"] == "late"
    failure = fail(ask, transport, timeout_s=2)
    assert (failure.kind, failure.message) == (
        FailureKind.UNKNOWN_DELIVERY,
        "'box' did not answer in full within 2 s; it may have been paid",
    )
    assert waits == [5.0, 2]


def test_a_function_can_answer(ask: Callable[..., Any]) -> None:
    transport = ScriptedTransport(lambda request: payload("computed", request))
    assert ask(transport)["text"] == "computed"
    assert fail(ask, ScriptedTransport(lambda _: Failure(FailureKind.QUOTA, "empty"))).message == "empty"
    asyncio.run(transport.aclose())


def test_every_mistake_of_a_script_is_shown_with_its_line() -> None:
    script = b'{"answer": "fine"}\n{"answr": "x"}\n\n{"match": "only"}\n'
    with pytest.raises(FileError) as caught:
        read_script(script, "answers.jsonl")
    assert caught.value.problems == (
        Problem(
            "bad-script",
            "rule 2 has the unknown key 'answr'",
            Span("answers.jsonl", 2, 1),
            expected="answer, calls, delay_s, fail, finish, match, times",
            nearest="answer",
        ),
        Problem("bad-script", "rule 3 needs either 'answer' or 'fail'", Span("answers.jsonl", 4, 1)),
    )
    assert caught.value.sources == {"answers.jsonl": script.decode()}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ([], "is not a mapping"),
        ({"answer": "x", "fail": {}}, "needs either 'answer' or 'fail'"),
        ({"answer": "x", "match": 1}, "has a 'match' that is not text"),
        ({"answer": "x", "finish": "stopped"}, "has an unknown 'finish'"),
        ({"answer": "x", "delay_s": -1}, "has a 'delay_s' that is not a number of seconds"),
        ({"answer": "x", "delay_s": True}, "has a 'delay_s' that is not a number of seconds"),
        ({"answer": "x", "delay_s": "1"}, "has a 'delay_s' that is not a number of seconds"),
        ({"answer": "x", "calls": {}}, "has 'calls' that are no list of calls"),
        ({"answer": "x", "calls": [{"arguments": {}}]}, "has 'calls' that are no list of calls"),
        ({"answer": "x", "times": -1}, "has a 'times' that is not a whole number"),
        ({"answer": "x", "times": 1.5}, "has a 'times' that is not a whole number"),
        ({"answer": "x", "times": False}, "has a 'times' that is not a whole number"),
        ({"fail": 503}, "has a 'fail' that is not a mapping"),
        ({"fail": {"status": "503"}}, "has a 'status' that is not a number"),
        ({"fail": {"status": True}}, "has a 'status' that is not a number"),
        ({"fail": {"kind": "tired"}}, "has an unknown 'kind'"),
        ({"fail": {"statuss": 1}}, "has the unknown key 'statuss'"),
        ({"fail": {"message": 1}}, "has a 'message' that is not text"),
    ],
)
def test_a_wrong_rule_is_refused(rule: Any, message: str) -> None:
    with pytest.raises(FileError, match=f"^rule 1 {message}$"):
        read_script(json.dumps([rule]).encode())


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (b"\xff\xfe", "^s.json is not text in UTF-8$"),
        (b"answer: x", "^this line is not a rule in JSON$"),
        (b'{"answer": NaN}', "^this line is not a rule in JSON$"),
        (b"[" * 100_000, "^this line is not a rule in JSON$"),
    ],
)
def test_a_file_that_is_no_script_is_refused(script: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_script(script, "s.json")


@pytest.mark.parametrize(
    ("reply", "told"), [(Rule(answer="hello"), ["hello"]), (Rule(answer=""), []), (b"<oops>", []), (b"[]", [])]
)
def test_a_written_answer_is_told_at_once(
    make_route: MakeRoute, make_request: MakeRequest, reply: Any, told: list[str]
) -> None:
    heard: list[str] = []
    transport = ScriptedTransport(lambda _: reply)
    route, request = make_route(dialect="scripted"), make_request(dialect="scripted")
    asyncio.run(transport.stream(route, request, timeout_s=5, hear=heard.append))
    assert heard == told
