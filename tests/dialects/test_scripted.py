from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from runner.core.call import Call
from runner.core.model import Route
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed, LoweredSchema
from runner.core.response import Finish, Usage
from runner.dialects.scripted import ScriptedDialect

scripted = ScriptedDialect()
RouteTo = Callable[..., Route]
Ask = Callable[..., Call]


def test_the_body_is_the_call_in_neutral_words(route_to: RouteTo, full_call: Call) -> None:
    request = scripted.encode(full_call, route_to("scripted"))
    assert request.endpoint == "/answers.json@" + "cd" * 32
    body = json.loads(bytes(request.body))
    assert list(body) == [
        *(
            "model",
            "system",
            "messages",
            "schema",
            "thinking",
            "temperature",
            "top_p",
            "max_output_tokens",
            "seed",
            "stop",
        ),
    ]
    assert body["messages"][1] == {"role": "assistant", "text": "Quite big."}
    assert body["schema"] == full_call.schema


def test_what_is_unset_is_not_sent(route_to: RouteTo, ask: Ask) -> None:
    assert json.loads(bytes(scripted.encode(ask("hi"), route_to("scripted")).body)) == {
        "model": "answers.json",
        "messages": [{"role": "user", "text": "hi"}],
    }


@pytest.mark.parametrize(
    ("word", "finish"),
    [("stop", Finish.COMPLETE), ("length", Finish.CUT), ("refused", Finish.REFUSED), ("", Finish.UNKNOWN)],
)
def test_finishes_are_three_words(word: str, finish: Finish) -> None:
    payload = {"text": "x", "finish": word, "usage": {"input_tokens": 3, "output_tokens": 1}, "model": "script"}
    response = scripted.decode(json.dumps(payload).encode())
    assert (response.text, response.finish, response.usage, response.model) == ("x", finish, Usage(3, 1), "script")


def test_a_payload_without_text_is_no_answer() -> None:
    with pytest.raises(CallFailed, match="the answer has no text"):
        scripted.decode(b'{"finish": "stop"}')


def test_an_error_may_be_scripted() -> None:
    with pytest.raises(CallFailed) as caught:
        scripted.decode(b'{"error": {"code": 429, "message": "slow down"}}')
    assert caught.value.failure.kind is FailureKind.TRANSIENT


def test_a_schema_is_taken_as_it_is() -> None:
    schema = {"oneOf": [{"type": "string"}, {"not": {}}]}
    assert scripted.lower(schema) == LoweredSchema(body=schema)


def test_a_recording_has_sorted_keys() -> None:
    assert scripted.scrub(b'{"text": "x", "finish": "stop"}') == b'{"finish":"stop","text":"x"}'
