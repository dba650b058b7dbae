"""Runs that keep at the provider what all their questions share: made once, named in each, paid and told."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.core.events import ContextEnded, ContextKept, Event, Noted
from runner.record.summary import read_summary

RULES = "A rule that holds for all. " * 400
FLOW = """
data: {rows: {file: rows.jsonl, key: id}}
steps:
  ask:
    for_each: data.rows
    model: box/m
    max_output_tokens: 50
    context_cache: {ttl: 30m}
    system: {file: rules.md}
    prompt: "About {{ item.id }}?"
"""
PRICE = "{input: 1, output: 2, cached_input: 0.1, storage: 1}"


@dataclass
class Shop:
    """A project whose model answers from a local server that keeps contexts."""

    root: Path
    server: Any
    events: list[Event] = field(default_factory=list)

    @property
    def flow(self) -> Path:
        return self.root / "flow.yaml"

    def write(self, rows: int, *, flow: str = FLOW, price: str = PRICE, more: str = "") -> None:
        provider = f"{{dialect: gemini, base_url: '{self.server.base_url}', identity: box, price: {price}{more}}}"
        (self.root / "runner.yaml").write_text(f"providers: {{box: {provider}}}\n", encoding="utf-8")
        lines = [json.dumps({"id": f"r{number}"}) for number in range(rows)]
        (self.root / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
        (self.root / "rules.md").write_text(RULES, encoding="utf-8")
        self.flow.write_text(flow, encoding="utf-8")

    def run(self, **options: Any) -> runner.RunResult:
        self.events.clear()
        self.server.forget()
        self.server.contexts.asked.clear()
        return runner.run(self.flow, sinks=[self.events.append], **{"consent": True, **options})

    @property
    def kept(self) -> list[ContextKept]:
        return [event for event in self.events if isinstance(event, ContextKept)]

    @property
    def notes(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Noted)]


@pytest.fixture
def shop(tmp_path: Path, counting_server: Any) -> Shop:
    return Shop(tmp_path, counting_server(lambda _d, _b, _n: counting_server.Answer("seen"), key=""))


def test_what_all_items_share_is_handed_over_once_and_named_in_each_question(shop: Shop) -> None:
    shop.write(20)
    result = shop.run()
    assert (result.exit_code, result.problems, shop.server.refused) == (0, (), [])
    assert shop.server.contexts.asked == ["GET /v1beta/cachedContents", "POST /v1beta/cachedContents"]
    assert [body["systemInstruction"] for body in shop.server.contexts.made] == [{"parts": [{"text": RULES}]}]
    assert {body["cachedContent"] for body in shop.server.bodies} == {"cachedContents/c1"}
    assert not any("systemInstruction" in body for body in shop.server.bodies)


def test_storing_is_part_of_the_cost_and_cached_tokens_are_counted(shop: Shop) -> None:
    shop.write(20)
    summary = shop.run().summary
    (kept,) = shop.kept
    tokens = kept.tokens
    assert (kept.made_usd, kept.kept_usd) == (tokens / 1e6, tokens / 1e6 / 2)
    step = summary.steps[0]
    assert (step.kept_tokens, step.cached_tokens) == (tokens, 20 * tokens)
    assert step.keeping_usd == pytest.approx(tokens * 1.5 / 1e6)
    assert step.cost_usd == pytest.approx(tokens * 1.5 / 1e6 + 20 * (tokens * 0.1 + 10 * 1 + 5 * 2) / 1e6)
    assert summary.cost_usd == step.cost_usd
    read = read_summary(shop.root / ".runner" / "runs" / "r1")
    assert read is not None
    assert read.steps == summary.steps


def test_answers_are_the_same_with_and_without_it(shop: Shop) -> None:
    shop.write(8)
    shop.run()
    shop.flow.write_text(FLOW.replace("    context_cache: {ttl: 30m}\n", ""), encoding="utf-8")
    assert shop.run().summary.cached == 8
    assert (shop.server.count, shop.server.contexts.asked) == (0, [])


def test_a_later_run_uses_what_is_kept_and_pays_no_storing(shop: Shop) -> None:
    shop.write(20)
    shop.run()
    shop.write(21)
    summary = shop.run().summary
    assert (shop.server.contexts.asked, shop.server.bodies[0]["cachedContent"]) == ([], "cachedContents/c1")
    assert (summary.calls, summary.keeping_usd, shop.kept[0].is_new) == (1, 0.0, False)


def test_what_is_listed_at_the_provider_is_not_made_again(shop: Shop) -> None:
    """Where the memory of the project was lost, or the project lies on another machine."""
    shop.write(20)
    shop.run()
    (shop.root / ".runner" / "contexts.json").unlink()
    shop.write(40)
    assert shop.run().exit_code == 0
    assert shop.server.contexts.asked == ["GET /v1beta/cachedContents"]
    assert len(shop.server.contexts.made) == 1


@pytest.mark.parametrize("is_gone", [True, False])
def test_what_expires_meanwhile_is_made_anew_once(shop: Shop, counting_server: Any, is_gone: bool) -> None:
    def respond(_dialect: str, _body: Any, number: int) -> Any:
        if number == 10:
            shop.server.contexts.expire(is_gone=is_gone)
        return counting_server.Answer("seen")

    shop.server.respond = respond
    shop.write(30)
    result = shop.run(parallel=4)
    assert (result.exit_code, result.summary.good, len(shop.server.contexts.made)) == (0, 30, 2)
    assert [kept.is_new for kept in shop.kept] == [True, True]
    assert all(body.get("cachedContent") for body in shop.server.bodies)
    assert result.summary.steps[0].kept_tokens == 2 * shop.kept[0].tokens


def test_what_is_always_gone_fails_with_what_the_provider_says(shop: Shop) -> None:
    """Once anew, and not for ever."""
    shop.server.contexts.kept = Forgetful()
    shop.write(1, flow=FLOW.replace("{ttl: 30m}", "{ttl: 1m}"), price="free")
    result = shop.run()
    assert (result.exit_code, len(shop.server.contexts.made)) == (3, 2)
    assert "CachedContent not found (or permission denied)" in result.problems[0].message


class Forgetful(dict[str, Any]):
    """Shows what was made, and never has it."""

    def __contains__(self, key: object) -> bool:
        return False


def test_another_refusal_does_not_make_it_anew(shop: Shop, counting_server: Any) -> None:
    shop.server.respond = lambda _d, _b, _n: counting_server.Answer("bad word", status=400)
    shop.write(8)
    assert shop.run().exit_code == 3
    assert len(shop.server.contexts.made) == 1


def test_what_is_too_small_is_sent_with_each_question(shop: Shop) -> None:
    shop.server.contexts.least = 100_000
    shop.write(8)
    result = shop.run()
    assert (result.exit_code, result.summary.good, result.summary.keeping_usd) == (0, 8, 0.0)
    assert all("systemInstruction" in body for body in shop.server.bodies)
    assert (
        len([note for note in shop.notes if note.startswith("what the questions of ask share is sent with each: ")])
        == 1
    )


def test_what_would_cost_more_than_it_saves_is_not_kept(shop: Shop) -> None:
    """A million tokens cost 1 to hand over and 0.5 to keep, and each question saves 0.9: two are worth it."""
    shop.write(1)
    assert shop.run().exit_code == 0
    assert (shop.server.contexts.asked, "systemInstruction" in shop.server.bodies[0]) == ([], True)
    shop.write(3)
    assert shop.run().exit_code == 0
    assert (len(shop.server.contexts.made), shop.server.count) == (1, 2)


def test_a_provider_that_keeps_nothing_ends_the_run_before_a_question_is_paid(shop: Shop) -> None:
    shop.server.contexts.refuse = lambda method, _path: (
        (400, {}, {"error": {"code": 400, "message": "no caching here", "status": "INVALID_ARGUMENT"}})
        if method == "POST"
        else None
    )
    shop.write(8)
    result = shop.run(parallel=1)
    assert (result.exit_code, shop.server.count) == (3, 0)
    assert shop.server.contexts.asked.count("POST /v1beta/cachedContents") == 1
    assert "what all questions of ask share could not be kept: " in result.problems[0].message
    assert "no caching here" in result.problems[0].message


def test_a_provider_that_is_overloaded_is_asked_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_clock: object, _seconds: float) -> None:
        return None

    monkeypatch.setattr("runner.app.transports.SystemClock.sleep", sleep)
    left = [2]

    def refuse(method: str, _path: str) -> Any:
        if method == "POST" and left[0]:
            left[0] -= 1
            return 503, {}, {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
        return None

    shop.server.contexts.refuse = refuse
    shop.write(4)
    result = shop.run(parallel=1)
    assert (result.exit_code, result.summary.good, len(shop.server.contexts.made)) == (0, 4, 1)


def test_a_budget_without_room_for_storing_keeps_nothing_and_asks_nothing(shop: Shop) -> None:
    shop.write(8, flow=FLOW + "budget: {tokens: 3500}\n")
    with pytest.raises(runner.RunnerError, match="which take at least"):
        shop.run()
    assert (shop.server.count, shop.server.contexts.made) == (0, [])


def test_what_is_for_this_run_only_is_deleted_at_its_end(shop: Shop) -> None:
    shop.write(8, flow=FLOW.replace("{ttl: 30m}", "{ttl: 30m, after_run: delete}"))
    summary = shop.run().summary
    assert shop.server.contexts.asked[-1] == "DELETE /v1beta/cachedContents/c1"
    assert (shop.server.contexts.kept, json.loads((shop.root / ".runner" / "contexts.json").read_text())) == ({}, {})
    (ended,) = [event for event in shop.events if isinstance(event, ContextEnded)]
    assert 0.0 <= ended.seconds < 60.0
    assert ended.kept_usd == pytest.approx(shop.kept[0].tokens * ended.seconds / 3600 / 1e6)
    assert shop.kept[0].made_usd is not None
    assert summary.steps[0].keeping_usd == pytest.approx(shop.kept[0].made_usd + (ended.kept_usd or 0.0))


def test_what_cannot_be_deleted_is_told_and_expires(shop: Shop) -> None:
    shop.write(8, flow=FLOW.replace("{ttl: 30m}", "{ttl: 30m, after_run: delete}"))
    shop.server.contexts.refuse = lambda method, _path: (500, {}, {}) if method == "DELETE" else None
    assert shop.run().exit_code == 0
    assert any(note.startswith("what ask kept could not be deleted, and expires: ") for note in shop.notes)


def test_files_that_all_items_show_are_kept_too(shop: Shop) -> None:
    shop.write(8, flow=FLOW.replace("system: {file: rules.md}", "files: [{document: a.pdf}]"))
    (shop.root / "a.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(128)) * 100)
    result = shop.run()
    assert (result.exit_code, shop.server.refused) == (0, [])
    (made,) = shop.server.contexts.made
    assert [part["inlineData"]["mimeType"] for part in made["contents"][0]["parts"]] == ["application/pdf"]
    assert all(len(turn["parts"]) == 1 for body in shop.server.bodies for turn in body["contents"])


def test_a_repair_names_it_too(shop: Shop, counting_server: Any) -> None:
    texts = iter(["no json", '{"n": 1}'])
    shop.server.respond = lambda _d, _b, _n: counting_server.Answer(next(texts, '{"n": 1}'))
    shop.write(4, flow=FLOW + "    fields: {n: integer}\n    repair: 1\n")
    result = shop.run(parallel=1)
    assert (result.exit_code, result.summary.repairs, len(shop.server.contexts.made)) == (0, 1, 1)
    assert {body["cachedContent"] for body in shop.server.bodies} == {"cachedContents/c1"}


def test_two_processes_keep_one(shop: Shop) -> None:
    shop.write(20)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = runner.run(shop.flow, consent=True).exit_code
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert (len(shop.server.contexts.made), shop.server.count) == (1, 20)


def _die_at(number: int) -> None:
    """Points lie before and after each request that keeps or looks, and each note on the disk."""
    from runner.transport import context_memory, contexts
    from runner.transport.port import HttpTransport

    left = [number]

    def point() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    real_ask, real_write = HttpTransport.ask, context_memory.write_memory

    async def ask(*given: Any, **more: Any) -> Any:
        point()
        said = await real_ask(*given, **more)
        point()
        return said

    def write(*given: Any) -> None:
        point()
        real_write(*given)
        point()

    HttpTransport.ask = ask  # type: ignore[method-assign]
    setattr(contexts, "write_memory", write)  # noqa: B010 - it is another module's


def _dies(run: Callable[[], Any], number: int) -> bool:
    """A run in a process of its own that is killed at the numbered point; whether it came that far."""
    child = os.fork()
    if child == 0:
        try:
            _die_at(number)
            run()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_death_at_any_point_keeps_nothing_twice_and_asks_each_question_once(
    tmp_path: Path, counting_server: Any
) -> None:
    deaths = 0
    while True:
        root = tmp_path / str(deaths)
        root.mkdir()
        shop = Shop(root, counting_server(lambda _d, _b, _n: counting_server.Answer("seen"), key=""))
        shop.write(5)
        died = _dies(lambda shop=shop: runner.run(shop.flow, consent=True), deaths + 1)  # type: ignore[misc]
        was_told = (root / ".runner" / "runs" / "r1" / "journal.jsonl").read_text().count('"event":"context"')
        result = runner.run(shop.flow, consent=True, sinks=[shop.events.append])
        assert (result.exit_code, shop.server.refused) == (0, []), f"after point {deaths + 1}"
        assert len(shop.server.contexts.made) == 1, f"kept twice after point {deaths + 1}"
        assert shop.server.count == 5, f"asked twice after point {deaths + 1}"
        told = [kept.is_new for kept in shop.kept]
        assert told.count(True) + was_told >= 1, f"paid and never told after point {deaths + 1}"
        if not died:
            break
        deaths += 1
    assert deaths >= 8


def test_a_conversation_with_tools_names_them_with_the_rest(
    shop: Shop, counting_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn has what was said so far, and neither the system text nor the tools again."""

    def respond(_dialect: str, body: Any, _number: int) -> Any:
        is_first = len(body["contents"]) == 1
        return counting_server.Answer(calls=(("count", {"n": 2}),)) if is_first else counting_server.Answer("two")

    shop.server.respond = respond
    shop.write(4, flow=FLOW + "    tools: [count]\n")
    (shop.root / "shop_counting.py").write_text("def count(n):\n    return n\n", encoding="utf-8")
    with (shop.root / "runner.yaml").open("a", encoding="utf-8") as file:
        parameters = "{type: object, properties: {n: {type: integer}}, required: [n]}"
        file.write(f"tools: {{count: {{python: 'shop_counting:count', parameters: {parameters}}}}}\n")
    monkeypatch.syspath_prepend(str(shop.root))
    result = shop.run()
    assert (result.exit_code, shop.server.refused, shop.server.count) == (0, [], 8)
    assert [set(made) for made in shop.server.contexts.made] == [
        {"systemInstruction", "tools", "model", "displayName", "ttl"}
    ]
    assert all(set(body) == {"contents", "generationConfig", "cachedContent"} for body in shop.server.bodies)


def test_vertex_keeps_it_in_the_project_from_the_file_to_the_wire(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an access token, at the host of the location; here both are played by the local server."""
    from urllib.parse import urlsplit, urlunsplit

    from runner.transport.wire_direct import DirectWire
    from runner.transport.wire_httpx import HttpxWire

    hosts: set[str] = set()
    real_post, real_ask = DirectWire.post, HttpxWire.ask

    def here(url: str) -> str:
        parts = urlsplit(url)
        hosts.add(parts.netloc)
        return str(shop.server.base_url) + urlunsplit(("", "", *parts[2:]))

    async def post(wire: DirectWire, url: str, *given: Any) -> Any:
        return await real_post(wire, here(url), *given)

    async def ask(wire: HttpxWire, method: str, url: str, *given: Any) -> Any:
        return await real_ask(wire, method, here(url), *given)

    monkeypatch.setattr(DirectWire, "post", post)
    monkeypatch.setattr(HttpxWire, "ask", ask)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "a-token-of-the-shop")
    kept = "{ttl: 30m, after_run: delete}"
    shop.write(9, flow=FLOW.replace("box/m", "vertex/gemini-3.1-flash-lite").replace("{ttl: 30m}", kept))
    result = shop.run()
    assert (result.exit_code, result.problems, shop.server.refused) == (0, (), [])
    assert hosts == {"europe-west4-aiplatform.googleapis.com"}
    place = "/v1/projects/shop/locations/europe-west4/cachedContents"
    assert shop.server.contexts.asked == [f"GET {place}", f"POST {place}", f"DELETE {place}/c1"]
    name = "projects/shop/locations/europe-west4/cachedContents/c1"
    assert {body["cachedContent"] for body in shop.server.bodies} == {name}
    model = "projects/shop/locations/europe-west4/publishers/google/models/gemini-3.1-flash-lite"
    assert [made["model"] for made in shop.server.contexts.made] == [model]
    assert shop.kept[0].model == "vertex/gemini-3.1-flash-lite"
