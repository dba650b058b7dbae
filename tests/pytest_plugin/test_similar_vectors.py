"""`similar: {by: MODEL}`: texts compared by the vectors of an embedding model, asked for like any answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

SIMILAR = """\
format: 1
workflow: flow.yaml
cases:
  charge:
    with: {ticket: charged twice}
    assert:
      - {of: steps.reply.text, similar: {to: {literal: "We look into the {{ bill }} of \\"yours\\"."}, at_least: 0.7, by: box/vectors}}
  crash:
    with: {ticket: the app crashes}
    expect: {steps.classify: {queue: bug}}
"""
TO = 'We look into the {{ bill }} of "yours".'


def vector(text: str) -> list[float]:
    """Texts about bills lie one way, others another."""
    return [1.0, 0.1] if "bill" in text else [0.1, 1.0]


@pytest.fixture
def vectors(project: Any) -> Any:
    """The project, whose server gives vectors too; `texts` are those that it was asked for."""
    own = project.respond

    def respond(dialect: str, body: Any, number: int) -> Any:
        if "input" not in body:
            return own(dialect, body, number)
        return project.Answer(text=json.dumps(vector(body["input"])))

    project.server.respond = respond
    project.suite(SIMILAR)
    return project


def embedded(project: Any) -> list[str]:
    return [body["input"] for body in project.server.bodies if "input" in body]


def failed(said: Any) -> list[str]:
    return [line for line in said.out.splitlines() if line.startswith("FAILED")]


def test_texts_are_compared_by_the_vectors_of_the_model(vectors: Any) -> None:
    said = vectors.test()
    assert (said.code, said.out) == (0, "")
    assert sorted(embedded(vectors)) == ["Dear customer, billing will help.", TO]
    assert said.err.splitlines()[-1].startswith("2 passed · 6 calls, 0 cached, $0.00 · ")


def test_vectors_are_stored_and_recorded_like_any_answer(vectors: Any) -> None:
    assert "recorded: 6 answers" in vectors.test("--record").err
    (vectors.root / "cache/local").rename(vectors.root / "elsewhere")
    said = vectors.test("--offline")
    assert (said.code, embedded(vectors)) == (0, [])
    assert vectors.test("--record").err.count("0 new or changed") == 1
    vectors.edit("flow.suite.yaml", "at_least: 0.7, by: box/vectors", "at_least: 0.1")
    assert "recorded: 4 answers in cache/recordings, 0 new or changed, 2 removed" in vectors.test("--record").err


def test_a_vector_that_is_not_stored_is_a_miss_of_plain_pytest(vectors: Any, run_pytest: Any) -> None:
    vectors.edit("flow.suite.yaml", "at_least: 0.7, by: box/vectors", "at_least: 0.1")
    vectors.test()
    vectors.edit("flow.suite.yaml", "at_least: 0.1", "at_least: 0.1, by: box/vectors")
    said = run_pytest("-q")
    assert (said.code, embedded(vectors)) == (1, [])
    assert "the vector of steps.reply.text gave no answer: needs-call" in said.out
    assert "  ask     runner test 'flow.suite.yaml::charge'\n" in said.out
    assert vectors.test("--offline").code == 6


def test_what_is_not_alike_is_told_with_both_texts(vectors: Any) -> None:
    vectors.edit("flow.suite.yaml", "{{ bill }}", "stones")
    said = vectors.test()
    assert failed(said) == [
        (
            "FAILED flow.suite.yaml::charge  similar of steps.reply.text: likeness 0.20, less than 0.7, "
            "by the vectors of box/vectors"
        )
    ]
    assert (
        '    expected "We look into the stones of \\"yours\\"."\n    got "Dear customer, billing will help."\n'
        in said.out
    )


def test_vectors_count_towards_the_budget(vectors: Any) -> None:
    vectors.edit("flow.suite.yaml", "cases:", "budget: {calls: 5}\ncases:")
    said = vectors.test()
    assert said.code == 4
    assert "the suite needs" in said.err or "budget" in said.out


def test_each_sample_is_compared_and_the_wanted_text_asked_for_once(vectors: Any) -> None:
    said = vectors.test("--samples", "3", "-k", "charge")
    assert said.code == 0
    assert sorted(embedded(vectors)) == ["Dear customer, billing will help.", TO]


def test_an_output_that_reads_an_input_too_is_compared(vectors: Any) -> None:
    vectors.edit(
        "flow.yaml", 'steps.reply.text | default("(none)")', "inputs.ticket ~ (steps.reply.text | default(''))"
    )
    vectors.edit("flow.suite.yaml", "{of: steps.reply.text,", "{of: outputs.reply,")
    assert vectors.test("-k", "charge").code == 0
    assert sorted(embedded(vectors)) == [TO, "charged twiceDear customer, billing will help."]


def test_a_value_of_the_row_a_file_and_a_mapping_are_texts_too(vectors: Any) -> None:
    vectors.write("rows.jsonl", '{"id": "a", "text": "charged twice", "like": "the bill"}\n')
    vectors.write("like.txt", "a {{ bill }}\n")
    vectors.write("like.json", '{"of": ["bill", null, true, 1.5]}')
    vectors.suite(
        "format: 1\nworkflow: flow.yaml\ncases_from:\n  file: rows.jsonl\n  key: id\n"
        "  with: {ticket: {from: case.text}}\n  assert:\n"
        "    - {of: outputs.reply, similar: {to: {from: case.like}, at_least: 0.9, by: box/vectors}}\n"
        "    - {of: outputs.reply, similar: {to: {file: like.txt}, at_least: 0.9, by: box/vectors}}\n"
        "    - {of: outputs.reply, similar: {to: {file: like.json}, at_least: 0.9, by: box/vectors}}\n"
        "    - {of: steps.classify.output, similar: {to: {bill: [{from: case.like}, 'no\nway', {file: like.txt}]}, "
        "at_least: 0.9, by: box/vectors}}\n"
    )
    said = vectors.test()
    assert (said.code, said.out) == (0, "")
    assert sorted(embedded(vectors)) == sorted(
        [
            "Dear customer, billing will help.",
            "the bill",
            "a {{ bill }}",
            '{"of": ["bill", null, true, 1.5]}',
            '{"queue": "billing", "sure": 0.9}',
            '{"bill": ["the bill", "no way", "a {{ bill }}"]}',
        ]
    )


def test_an_output_of_a_skipped_step_is_null(vectors: Any) -> None:
    vectors.edit("flow.yaml", ' | default("(none)")', "")
    vectors.suite(
        "format: 1\nworkflow: flow.yaml\ncases:\n  spam:\n    with: {ticket: a free phone}\n    assert:\n"
        "      - {of: outputs.reply, similar: {to: stone, at_least: 0.9, by: box/vectors}}\n"
        "      - {of: steps.reply.text, similar: {to: stone, at_least: 0.9, by: box/vectors}}\n"
    )
    said = vectors.test()
    assert sorted(embedded(vectors)) == ["null", "stone"]
    assert "it cannot be evaluated" in said.out


def test_the_models_of_vectors_are_checked(vectors: Any) -> None:
    vectors.edit("flow.suite.yaml", "by: box/vectors", "by: gemini/gemini-3.1-flash-lite")
    said = vectors.test()
    assert said.code == 2
    assert said.err.splitlines()[0] == (
        "flow.suite.yaml:7:121: cannot-embed: assertion 1 of case 'charge' compares vectors, and "
        "gemini/gemini-3.1-flash-lite answers in words"
    )
    vectors.edit("flow.suite.yaml", "by: gemini/gemini-3.1-flash-lite", "by: anthropic/claude-haiku-4-5")
    assert "cannot-embed: assertion 1 of case 'charge' wants a vector, and 'anthropic' gives none" in vectors.test().err
    vectors.edit("flow.suite.yaml", "by: anthropic/claude-haiku-4-5", "by: bxo/vectors")
    assert "flow.suite.yaml:7:121: unknown-model" in vectors.test().err


def test_a_file_that_is_not_there_or_broken_is_told_once(vectors: Any) -> None:
    like = "{of: steps.reply.text, similar: {to: {file: like.json}, at_least: 0.9, by: box/vectors}}"
    vectors.suite(f"format: 1\nworkflow: flow.yaml\ncases: {{a: {{with: {{ticket: x}}, assert: [{like}]}}}}\n")
    assert vectors.test().err.count("missing-file") == 1
    vectors.write("like.json", "{")
    said = vectors.test()
    assert (said.code, said.err.count("like.json:")) == (2, 1)


def test_snapshots_and_reasons_know_nothing_of_vectors(vectors: Any) -> None:
    vectors.edit("flow.suite.yaml", "    expect: {steps.classify: {queue: bug}}\n", "    expect: recorded\n")
    vectors.edit(
        "flow.suite.yaml",
        "    with: {ticket: charged twice}\n",
        "    with: {ticket: charged twice}\n    expect: recorded\n",
    )
    assert vectors.test("--record").code == 0
    (snapshots,) = vectors.root.glob("cache/recordings/snapshots/*.json")
    assert "vector" not in snapshots.read_text(encoding="utf-8")
    vectors.edit("flow.suite.yaml", "{{ bill }}", "stones")
    said = vectors.test()
    assert "changed since: what is expected\n" in said.out


def test_a_provider_that_gives_no_vector_is_trouble(vectors: Any) -> None:
    own = vectors.server.respond
    vectors.server.respond = lambda dialect, body, n: (
        vectors.Answer(status=401) if "input" in body else own(dialect, body, n)
    )
    said = vectors.test("-k", "charge")
    assert said.code == 3
    assert "the vector of" in said.out


def test_vectors_of_different_lengths_cannot_be_compared(vectors: Any) -> None:
    own = vectors.server.respond
    vectors.server.respond = lambda dialect, body, n: (
        vectors.Answer(text="[1]") if body.get("input") == TO else own(dialect, body, n)
    )
    assert failed(vectors.test("-k", "charge")) == [
        (
            "FAILED flow.suite.yaml::charge  similar of steps.reply.text: the vectors of box/vectors are of different "
            "lengths, 2 and 1"
        )
    ]


def test_a_lock_holds_the_model_of_vectors_too(vectors: Any) -> None:
    assert vectors.test("--update-lock").code == 0
    assert "box/vectors" in (vectors.root / "runner.lock").read_text(encoding="utf-8")
    assert vectors.test("--locked").code == 0
