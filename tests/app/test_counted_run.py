"""A whole workflow against a server that counts: outcomes and calls are exact, and reruns ask only with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

ROWS = 40
CALLS = 3 + ROWS + ROWS + 1


@pytest.fixture
def troubled(project: Any, make_rows: Callable[[Any], str]) -> Any:
    """One answer that does not fit and is repaired, one refused, one cut, all among 200 rows."""
    project.write("rows.jsonl", make_rows([{"id": f"r{number:03d}"} for number in range(200)]))
    answer = project.Answer
    project.special = {
        "tag r007 third-word": lambda body: answer(text='{"label": "x", "size": "big"}'),
        "tag r050 third-word": answer(finish="refused", text="I cannot do that."),
        "tag r100 third-word": answer(finish="length", text='{"label": "lo'),
    }
    return project


def test_outcomes_and_calls_of_the_first_run_are_exact(troubled: Any) -> None:
    result = troubled.run()
    assert result.exit_code == 0, result.problems
    assert result.outputs == {"total": 198, "table": {"file": "out/table.jsonl", "rows": 198, "failed": 2}}
    tag = next(step for step in result.summary.steps if step.step == "tag")
    assert (tag.good, tag.failed, tag.repairs, tag.calls) == (198, 2, 1, 201)
    assert troubled.server.count == 3 + 201 + 198 + 1
    lines = (troubled.root / "out/table.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"id": "r000", "label": "label-r000", "tone": "calm"}
    failed = [json.loads(line) for line in (troubled.root / "out/table.jsonl.failed.jsonl").read_text().splitlines()]
    assert [(line["id"], line["problem"].split(":")[1].strip()) for line in failed] == [
        ("r050", "refused"),
        ("r100", "cut"),
    ]
    assert [line["row"] for line in failed] == [51, 101]


def test_the_rerun_makes_no_call_and_gives_the_same(troubled: Any) -> None:
    first = troubled.run()
    second = troubled.run()
    assert troubled.server.count == 0
    assert second.outputs == first.outputs
    assert second.summary.calls == 0


def test_without_skip_the_rerun_asks_exactly_the_failed_ones_again(troubled: Any) -> None:
    troubled.run()
    troubled.edit("    on_error: skip\n", "")
    result = troubled.run()
    assert troubled.asked == ["tag r050", "tag r100"]
    assert troubled.reasons() == ["failed-before", "failed-before"]
    assert result.exit_code == 1
    assert result.outputs["total"] is None, "a barrier over failed items does not open"


def test_a_failure_that_heals_opens_the_barrier(troubled: Any) -> None:
    troubled.run()
    troubled.edit("    on_error: skip\n", "")
    troubled.special = {}
    result = troubled.run()
    assert troubled.asked == ["sum 200", "tag r050", "tag r100", "tone of", "tone of"]
    assert result.exit_code == 0
    assert result.outputs["total"] == 200
    assert not (troubled.root / "out/table.jsonl.failed.jsonl").exists()


def _never_fits(project: Any) -> None:
    bad = project.Answer(text='{"label": "x", "size": "big"}')
    project.special = {"tag r007 third-word": bad}
    real = project.respond

    def respond(dialect: str, body: Any, n: int) -> Any:
        if any("tag r007" in message["content"] for message in body["messages"]):
            return bad
        return real(dialect, body, n)

    project.server.respond = respond


def test_raising_repair_costs_one_call(project: Any) -> None:
    _never_fits(project)
    project.run()
    project.edit("repair: 1", "repair: 2")
    project.run()
    assert project.server.count == 1
    assert len(project.server.bodies[0]["messages"]) == 6 or len(project.server.bodies[0]["messages"]) == 5


def test_loosening_ensure_costs_no_call(project: Any) -> None:
    project.edit("    repair: 1\n", "    repair: 0\n    ensure: [output.size > 5]\n")
    first = project.run()
    assert first.exit_code == 1, "all items fail, so fewer than one is good"
    project.edit("output.size > 5", "output.size > 2")
    second = project.run()
    assert project.asked.count("sum 40") == 1
    assert [asked for asked in project.asked if asked.startswith("tag")] == []
    assert second.exit_code == 0


def test_reordering_the_rows_makes_no_call_in_the_lane(project: Any, make_rows: Callable[[Any], str]) -> None:
    project.run()
    values = [{"id": f"r{number:03d}"} for number in reversed(range(ROWS))]
    project.write("rows.jsonl", make_rows(values))
    result = project.run()
    assert project.server.count == 0
    lines = (project.root / "out/table.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["id"] == "r039"
    assert result.exit_code == 0


def test_adding_a_row_asks_only_that_row_and_the_barrier(project: Any, make_rows: Callable[[Any], str]) -> None:
    project.run()
    project.write("rows.jsonl", make_rows([{"id": "new"}, *({"id": f"r{number:03d}"} for number in range(ROWS))]))
    project.run()
    assert project.asked == ["sum 41", "tag new", "tone of"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("  first:\n", "  first:   # a comment\n", id="a comment"),
        pytest.param(
            '  first:\n    prompt: "first about {{ inputs.topic }}"\n    fields: {word: string}\n',
            '  first:\n        fields:\n            word: "string"\n        prompt: "first about {{ inputs.topic }}"\n',
            id="indentation and key order",
        ),
        pytest.param("defaults: {model: fast}", "defaults: {model: fast, timeout: 33s, retries: 1}", id="timeout"),
        pytest.param("models: {fast: box/small}\ndefaults: {model: fast}", "defaults: {model: box/small}", id="alias"),
    ],
)
def test_a_change_that_means_nothing_makes_no_call(project: Any, old: str, new: str) -> None:
    first = project.run()
    project.edit(old, new)
    second = project.run()
    assert project.server.count == 0
    assert second.outputs == first.outputs


def test_renaming_a_step_makes_no_call(project: Any) -> None:
    project.run()
    project.edit("  second:\n", "  middle:\n")
    project.edit("steps.second.output", "steps.middle.output")
    project.run()
    assert project.server.count == 0


def test_changing_a_setting_of_the_second_step_asks_it_and_what_reads_it(project: Any) -> None:
    project.run()
    project.edit('  second:\n    prompt: "second about', '  second:\n    temperature: 0.5\n    prompt: "second about')
    project.run()
    assert project.asked == ["second about"], "the same answer came, so nothing behind it changed"
    assert project.reasons() == ["option:temperature: (none) → 0.5"]
    project.special = {"second about first-word": project.Answer(text='{"word": "other"}')}
    project.edit("temperature: 0.5", "temperature: 0.7")
    project.run()
    assert project.asked == ["second about", "third about"], "an equal answer upstream leaves what is behind it cached"


def test_an_input_is_an_ingredient(project: Any) -> None:
    project.run()
    project.run(inputs={"topic": "coffee"})
    assert project.asked == ["first about"]
    assert project.reasons() == ["input:topic: tea → coffee"]


def test_refresh_asks_a_step_again(project: Any) -> None:
    project.run()
    project.run(refresh=["first"])
    assert project.asked == ["first about"]
    assert project.reasons() == ["forced"]


def test_without_cache_everything_is_asked_and_nothing_is_kept(project: Any) -> None:
    project.run(use_cache=False)
    assert project.server.count == CALLS
    project.run(use_cache=False)
    assert project.server.count == CALLS
    assert not (project.root / "cache").exists()


def test_offline_replays_what_is_stored(project: Any) -> None:
    first = project.run()
    second = project.run(offline=True)
    assert second.outputs == first.outputs
    assert project.server.count == 0


def test_offline_a_miss_names_the_nearest_answer_and_the_ingredient(project: Any) -> None:
    project.run()
    result = project.run(offline=True, inputs={"topic": "coffee"})
    assert result.exit_code == 6
    assert project.server.count == 0
    assert result.outputs is None
    assert len((project.root / "out/table.jsonl").read_text().splitlines()) == ROWS, "the table of the run stays"
    message = result.problems[0].message
    assert message.startswith("first: not stored, and --offline allows no call; the nearest stored answer ")
    assert message.endswith(" differs in input:topic: tea → coffee")


def test_thirty_rows_run_side_by_side(project: Any) -> None:
    # The first ones wait long enough for the others to come also on a machine that has much else to do.
    project.special = {
        f"tag r{number:03d} third-word": project.Answer(text='{"label": "x", "size": 1}', delay_s=3.0)
        for number in range(30)
    }
    project.run(parallel=30)
    assert 20 <= project.server.highest_in_flight <= 30


def test_equal_questions_are_asked_once(project: Any, make_rows: Callable[[Any], str]) -> None:
    project.edit("rows.jsonl, key: id", "rows.jsonl")
    project.write("rows.jsonl", make_rows([{"id": "same"}] * 40))
    result = project.run(parallel=20)
    assert project.asked == ["first about", "second about", "sum 40", "tag same", "third about", "tone of"]
    assert result.outputs["table"]["rows"] == 40


THREE_STEPS = """
format: 1
defaults: {model: g/gemini-3.1-flash-lite, fields: {word: string}}
steps:
  first:
    prompt: "first"
  second:
    prompt: "second {{ steps.first.output.word }}"
  third:
    prompt: "third {{ steps.second.output.word }}"
"""


@pytest.fixture
def gemini(project: Any) -> Any:
    """Three dependent steps on the other dialect; an answer depends on the question and on the thinking level."""
    project.write(
        "runner.yaml", f'providers:\n  g: {{dialect: gemini, base_url: "{project.server.base_url}", price: free}}\n'
    )
    project.workflow(THREE_STEPS)

    def respond(_dialect: str, body: Any, _n: int) -> Any:
        text = body["contents"][-1]["parts"][0]["text"]
        level = body["generationConfig"]["thinkingConfig"]["thinkingLevel"]
        return project.Answer(text=json.dumps({"word": f"{text.split()[0]}-{level}"}))

    project.server.respond = respond
    return project


def test_changing_the_thinking_level_of_the_second_step_asks_it_and_what_reads_it(gemini: Any) -> None:
    assert gemini.run().outputs == {"word": "third-MINIMAL"}
    gemini.edit("  second:\n", "  second:\n    thinking: low\n")
    gemini.run()
    assert gemini.asked == ["second first-MINIMAL", "third second-LOW"]
    assert gemini.reasons() == ["thinking: minimal → low", "upstream:second"]
    gemini.edit("thinking: low", "thinking: minimal")
    gemini.run()
    assert gemini.server.count == 0, "the level that is the default is sent all the same, so it is the same request"
