"""Provider trouble from end to end: the right kind, the exact number of requests, nothing kept that is no answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from runner.app import api
from runner.core.events import Retrying

ONE_STEP = """
format: 1
defaults: {model: box/small, retries: 2, timeout: 8s}
steps:
  ask:
    prompt: "ask about tea"
    fields: {word: string}
"""

LANE = """
format: 1
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: box/small
    for_each: data.rows
    prompt: "tag {{ item.id }} x"
    fields: {label: string, size: integer}
outputs:
  count: steps.tag.outputs | length
  table: {rows: data.rows, file: out/table.jsonl, columns: {id: item.id, label: steps.tag.output.label}}
"""

GOOD = '{"word": "tea"}'
CHAT = {
    "id": "c",
    "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": GOOD}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
BODY = json.dumps(CHAT).encode()


@pytest.fixture(autouse=True)
def waits(skipped_waits: list[float]) -> list[float]:
    return skipped_waits


@pytest.fixture
def one(project: Any) -> Any:
    project.workflow(ONE_STEP)
    return project


def kept(project: Any) -> int:
    """How many entries there are in the cache and in the recordings."""
    stats = api.cache_stats(project.root)
    layers = [layer for name, layer in stats.items() if name != "folders"]
    return sum(layer["answers"] + layer["failures"] + layer["damaged"] for layer in layers)


def journal(project: Any, run: str) -> list[dict[str, Any]]:
    lines = (project.root / ".runner/runs" / run / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def wire(body: bytes, *, status: str = "200 OK", length: int | None = None, kind: str = "application/json") -> bytes:
    """An answer as it stands on the wire; the connection is closed behind it."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {size}\r\n\r\n".encode() + body


@dataclass(frozen=True)
class Trouble:
    """What a provider does to every request, and what becomes of a run with two retries."""

    id: str
    answer: dict[str, Any]
    kind: str
    requests: int
    message: str


HTML = b"<!DOCTYPE html><html><body>It works!</body></html>"
DEEP = b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

TROUBLES = (
    Trouble(
        "html",
        {"raw": HTML},
        "bad-answer",
        1,
        "ask: the answer is a web page, not JSON: does base_url lead to the API (for most servers it ends in /v1)?",
    ),
    Trouble("empty body", {"raw": b""}, "bad-answer", 1, "ask: the answer is empty"),
    Trouble(
        "half a JSON",
        {"raw": b'{"choices": [{"mess'},
        "bad-answer",
        1,
        'ask: the answer is not JSON: {"choices": [{"mess',
    ),
    Trouble(
        "closed in the middle",
        {"wire": wire(BODY[:40], length=len(BODY))},
        "unknown-delivery",
        3,
        "ask: 'box' closed the connection before the answer was complete; it may have been paid; tried 3 times",
    ),
    Trouble(
        "closed at once",
        {"wire": b""},
        "unknown-delivery",
        3,
        "ask: 'box' closed the connection before the answer was complete; it may have been paid; tried 3 times",
    ),
    Trouble(
        "no HTTP at all",
        {"wire": b"\x00\x01\x02 hello\r\n\r\n"},
        "unknown-delivery",
        3,
        "ask: 'box' closed the connection before the answer was complete; it may have been paid; tried 3 times",
    ),
    Trouble(
        "silence",
        {"delay_s": 30.0},
        "unknown-delivery",
        3,
        "ask: 'box' did not answer in full within 0.2 s; it may have been paid; tried 3 times",
    ),
    Trouble(
        "401",
        {"status": 401, "text": "Incorrect API key provided: sk-canary123456", "code": "invalid_api_key"},
        "auth",
        1,
        "ask: the provider answered 401: Incorrect API key provided: ***",
    ),
    Trouble("403", {"status": 403, "text": "no access"}, "auth", 1, "ask: the provider answered 403: no access"),
    Trouble(
        "404",
        {"status": 404, "text": "no such model", "code": "model_not_found"},
        "not-found",
        1,
        "ask: the provider answered 404: no such model (model 'small' at HOST/v1/chat/completions)",
    ),
    Trouble(
        "quota",
        {"status": 429, "text": "You exceeded your current quota", "code": "insufficient_quota"},
        "quota",
        1,
        "ask: the provider answered 429: You exceeded your current quota",
    ),
    Trouble(
        "overload",
        {"status": 503, "text": "overloaded"},
        "transient",
        3,
        "ask: the provider answered 503: overloaded; tried 3 times",
    ),
    Trouble(
        "a wish to come back tomorrow",
        {"status": 429, "text": "later", "headers": {"retry-after": "86400"}},
        "transient",
        1,
        "ask: the provider answered 429: later; the provider asks to wait 86400 s, and a run waits 120 s at most",
    ),
    Trouble("400", {"status": 400, "text": "bad field"}, "bad-request", 1, "ask: the provider answered 400: bad field"),
    Trouble(
        "redirect to another host",
        {"status": 307, "headers": {"location": "https://evil.example/steal?x=1"}},
        "bad-answer",
        1,
        "ask: 'box' redirects to evil.example, which is not followed; check base_url",
    ),
    Trouble(
        "100 MB",
        {"raw": b" " * 100 * 2**20},
        "bad-answer",
        1,
        "ask: the answer of 'box' is larger than any answer should be",
    ),
    Trouble("deep nesting", {"raw": DEEP}, "bad-answer", 1, "ask: the answer is nested deeper than 64 levels"),
    Trouble("a list", {"raw": b"[1, 2]"}, "bad-answer", 1, "ask: the answer is JSON, but no object: [1, 2]"),
    Trouble(
        "no choices",
        {"raw": b'{"object": "list", "data": []}'},
        "bad-answer",
        1,
        "ask: the answer has no choices",
    ),
    Trouble(
        "invalid UTF-8",
        {"raw": b'{"choices": "\xff\xfe"}'},
        "bad-answer",
        1,
        'ask: the answer is not JSON: {"choices": "\\xff\\xfe"}',
    ),
    Trouble(
        "an error inside a 200",
        {"raw": b'{"error": {"message": "boom", "code": 500}}'},
        "transient",
        3,
        "ask: the provider answered 200: boom; tried 3 times",
    ),
)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.id)
def test_a_provider_in_trouble_ends_the_run_with_3_and_nothing_is_kept(one: Any, trouble: Trouble) -> None:
    if trouble.id == "silence":
        one.edit("timeout: 8s", "timeout: 200ms")
    bad = one.Answer(**trouble.answer)
    one.server.respond = lambda *_: bad
    result = one.run()
    problem = result.problems[0]
    host = one.server.base_url.removeprefix("http://")
    assert (problem.code, problem.message.replace(host, "HOST")) == (trouble.kind, trouble.message)
    assert result.exit_code == 3
    assert one.server.count == trouble.requests
    assert result.outputs is None
    assert kept(one) == 0
    assert result.summary.calls == 1
    ended = journal(one, result.run)[-1]
    assert (ended["event"], ended["status"], ended["exit_code"]) == ("finished", "failed", 3)
    one.server.respond = lambda *_: one.Answer(text=GOOD)
    healed = one.run()
    assert (healed.exit_code, healed.outputs, one.server.count) == (0, {"word": "tea"}, 1)


@pytest.mark.parametrize(
    ("first", "requests"),
    [
        pytest.param([{"status": 429, "text": "slow down", "headers": {"retry-after": "7"}}], 2, id="429 with a wish"),
        pytest.param([{"status": 500, "text": "oops"}, {"status": 500, "text": "oops"}], 3, id="500 twice"),
        pytest.param([{"wire": b""}], 2, id="a closed connection"),
    ],
)
def test_what_passes_is_tried_again(one: Any, waits: list[float], first: list[dict[str, Any]], requests: int) -> None:
    answers = [*(one.Answer(**given) for given in first), one.Answer(text=GOOD)]
    one.server.respond = lambda _dialect, _body, n: answers[n - 1]
    result = one.run()
    assert (result.exit_code, result.outputs, one.server.count) == (0, {"word": "tea"}, requests)
    assert len(waits) >= requests - 1
    if "headers" in first[0]:
        assert 7 <= waits[0] <= 8
    assert sum(isinstance(event, Retrying) for event in one.events) == requests - 1
    assert one.run().summary.calls == 0


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(BODY.replace(b'"id": "c"', b'"id": "a", "id": "b"'), id="duplicate keys"),
        pytest.param(b"\n " + BODY + b"\n", id="blanks around"),
    ],
)
def test_an_answer_that_is_odd_but_clear_is_taken(one: Any, raw: bytes) -> None:
    one.server.respond = lambda *_: one.Answer(raw=raw)
    result = one.run()
    assert (result.exit_code, result.outputs) == (0, {"word": "tea"})


def test_a_wrong_content_type_does_not_matter(one: Any) -> None:
    one.server.respond = lambda *_: one.Answer(wire=wire(BODY, kind="text/html"))
    assert one.run().outputs == {"word": "tea"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("[" * 5000 + "]" * 5000, "invalid-output", id="deep"),
        pytest.param('{"word": NaN}', "invalid-output", id="NaN"),
        pytest.param('{"word": "a", "word": 1}', "invalid-output", id="the last of two keys counts"),
        pytest.param("", "invalid-output", id="empty"),
        pytest.param('{"word": "\\ud800"}', "invalid-output", id="half a character"),
        pytest.param('{"word": ' + "9" * 5000 + "}", "invalid-output", id="digits"),
    ],
)
def test_a_bad_answer_ends_the_run_with_1_and_is_kept_as_a_failure(one: Any, text: str, code: str) -> None:
    one.server.respond = lambda *_: one.Answer(text=text)
    result = one.run()
    assert (result.exit_code, result.problems[0].code) == (1, code)
    assert api.cache_stats(one.root)["cached"]["failures"] == 1
    one.run()
    assert (one.server.count, one.reasons()) == (1, ["failed-before"])


# A lane under trouble


@pytest.fixture
def lane(project: Any, make_rows: Callable[[Any], str]) -> Any:
    project.workflow(LANE)
    project.write("rows.jsonl", make_rows([{"id": f"r{number:04d}"} for number in range(1000)]))
    return project


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param({"status": 401, "text": "no"}, "auth", id="key"),
        pytest.param({"status": 429, "text": "no", "code": "insufficient_quota"}, "quota", id="quota"),
        pytest.param({"status": 404, "text": "no", "code": "model_not_found"}, "not-found", id="model"),
    ],
)
@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_a_provider_that_is_gone_is_not_asked_a_thousand_times(
    lane: Any, answer: dict[str, Any], kind: str, on_error: str
) -> None:
    lane.edit("    for_each:", f"    on_error: {on_error}\n    for_each:")
    lane.server.respond = lambda *_: lane.Answer(**answer)
    result = lane.run(parallel=8)
    assert result.exit_code == 3
    assert lane.server.count <= 8
    (problem,) = result.problems
    assert problem.code == kind
    left = 1000 - lane.server.count
    assert problem.notes[-1] == ("not asked", f"{left} items of tag, nor what comes behind")
    assert "run the same command again" in problem.fix
    assert ("providers.box.key_env" in problem.fix) is (kind == "auth")
    assert result.summary.calls == lane.server.count, "what was never sent is no call"
    assert result.summary.failed == lane.server.count, "what was never sent is no failure"
    assert not (lane.root / "out/table.jsonl").exists()


def test_a_run_that_a_dead_key_stopped_goes_on_when_there_is_a_good_one(lane: Any) -> None:
    dead, good = lane.Answer(status=401, text="no"), lane.Answer(text='{"label": "a", "size": 1}')
    lane.server.respond = lambda _dialect, _body, n: good if n <= 100 else dead
    result = lane.run(parallel=8)
    assert result.exit_code == 3
    assert lane.server.count <= 100 + 8
    assert kept(lane) == 100
    lane.server.respond = lambda *_: good
    healed = lane.run(parallel=8)
    assert (healed.exit_code, lane.server.count, healed.outputs["count"]) == (0, 900, 1000)


def test_fail_fast_starts_no_further_call(lane: Any) -> None:
    bad = lane.Answer(text="no JSON", finish="length")
    good = lane.Answer(text='{"label": "a", "size": 1}')
    lane.server.respond = lambda _dialect, _body, n: bad if n == 5 else good
    result = lane.run(parallel=4, fail_fast=True)
    assert result.exit_code == 1
    assert lane.server.count <= 5 + 4
    assert [problem.code for problem in result.problems] == ["cut"]
    asked = set(lane.server.by_prompt)
    lane.server.respond = lambda *_: good
    again = lane.run(parallel=4)
    assert again.exit_code == 0
    assert len(asked & set(lane.server.by_prompt)) == 1, "the cut one alone is asked again"
    assert lane.server.count == 1000 - len(asked) + 1


def test_fail_fast_after_a_failure_that_was_only_replayed_asks_nothing(lane: Any) -> None:
    """The first chunk of items fails while it is rendered, so no call is begun for the others."""
    lane.edit('prompt: "tag {{ item.id }} x"', 'prompt: "tag {{ item.id }} {{ 10 // item.n }}"')
    rows = [{"id": f"r{number}", "n": 0 if number < 20 else 1} for number in range(50)]
    lane.write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    lane.server.respond = lambda *_: lane.Answer(text='{"label": "a", "size": 1}')
    result = lane.run(parallel=4, fail_fast=True)
    assert result.exit_code == 1
    assert lane.server.count == 0


def test_the_rerun_after_trouble_asks_exactly_what_is_missing(lane: Any, make_rows: Callable[[Any], str]) -> None:
    lane.write("rows.jsonl", make_rows([{"id": f"r{number:04d}"} for number in range(60)]))
    lane.edit("    model: box/small", "    model: box/small\n    retries: 0")
    good = lane.Answer(text='{"label": "a", "size": 1}')
    troubles = {
        "tag r0003 x": lane.Answer(status=500, text="oops"),
        "tag r0010 x": lane.Answer(raw=HTML),
        "tag r0020 x": lane.Answer(wire=b""),
        "tag r0030 x": lane.Answer(status=400, text="bad"),
        "tag r0040 x": lane.Answer(text="no JSON"),
    }
    lane.server.respond = lambda _dialect, body, _n: troubles.get(body["messages"][-1]["content"], good)
    result = lane.run()
    assert (result.exit_code, lane.server.count) == (3, 60)
    assert result.outputs["table"] == {"file": "out/table.jsonl", "rows": 55, "failed": 5}
    assert result.outputs["count"] is None
    lane.server.respond = lambda *_: good
    healed = lane.run()
    assert sorted(lane.server.by_prompt) == sorted(troubles)
    assert (healed.exit_code, healed.outputs["count"]) == (0, 60)


def test_samples_with_partial_failures_keep_the_good_ones(one: Any) -> None:
    one.workflow(
        ONE_STEP.replace("    prompt", "    samples: 4\n    temperature: 1\n    on_error: skip\n    prompt")
        + "outputs: {words: steps.ask.samples}\n"
    )
    good, cut = one.Answer(text=GOOD), one.Answer(text="{", finish="length")
    one.server.respond = lambda _dialect, _body, n: cut if n == 2 else good
    result = one.run()
    assert (result.exit_code, result.outputs) == (0, {"words": [{"word": "tea"}] * 3})
    assert one.server.count == 4
    one.edit("    on_error: skip\n", "")
    one.server.respond = lambda *_: good
    healed = one.run()
    assert (healed.outputs, one.server.count) == ({"words": [{"word": "tea"}] * 4}, 1)
