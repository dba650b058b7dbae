"""Batches of questions that show files, and of texts that become vectors: as online, but handed over together."""

from __future__ import annotations

import base64
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions, RunResult
from runner.core.media import Medium
from runner.dialects.batch import BATCH_FORMATS

Run = Callable[..., RunResult]
Project = Callable[..., Path]

PDF = b"%PDF-1.7\n" + bytes(range(128)) * 4
FILES = {"a": PDF + b"a" * 2000, "b": PDF + b"b" * 3000, "c": PDF + b"c" * 500}
FLOW = """
format: 1
inputs: {words: {type: array, items: {type: string}}}
defaults: {model: box/some-model, transport: TRANSPORT, fields: {said: string}}
steps:
  look:
    for_each: inputs.words
    prompt: "What is in {{ item }}?"
    files: [{document: "NAME"}]
"""
VECTORS = """
format: 1
inputs: {words: {type: array, items: {type: string}}}
steps:
  place: {model: box/vectors, for_each: inputs.words, embed: "{{ item }}", transport: TRANSPORT}
outputs: {places: steps.place.outputs}
"""
SAID = [{"said": "yes"}] * 3


@pytest.fixture
def shown(tmp_path: Path, batch_project: Project) -> Project:
    """A project whose questions show a PDF each; above `over` megabytes it is uploaded."""

    def make(
        *, name: str = "{{ item }}.pdf", over: str = "", folder: Path = tmp_path, transport: str = "batch"
    ) -> Path:
        path = batch_project(flow=FLOW.replace("NAME", name).replace("TRANSPORT", transport), folder=folder)
        if over:
            settings = path.parent / "runner.yaml"
            settings.write_text(settings.read_text().replace("identity: box", f"identity: box, upload_over_mb: {over}"))
        for word, content in FILES.items():
            (folder / f"{word}.pdf").write_bytes(content)
        return path

    return make


def digests(body: Any) -> list[str]:
    found: list[str] = importlib.import_module("wire_media").digests(body)
    return found


def bodies(server: Any) -> list[Any]:
    return [line.get("body") or line["request"] for job in server.jobs.values() for line in job.lines]


def names(body: Any) -> list[str]:
    return [name for _, name in importlib.import_module("wire_media")._names(body)]


def failed(result: RunResult) -> dict[str, str]:
    """What is said of each step that failed, which does so for one item."""
    return {one.step: one.failure.message for one in result.failures if one.failure is not None}


def test_files_are_shown_within_the_lines_and_the_answers_are_those_of_single_questions(
    shown: Project, batch_run: Run, batch_server: Any
) -> None:
    result = batch_run(path := shown())
    assert (result.exit_code, result.problems, result.outputs, batch_server.refused) == (0, (), SAID, [])
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3]
    assert batch_server.actions["file"] == 0
    sent = [json.dumps(body) for body in bodies(batch_server)]
    assert all("JVBERi0xLjcK" in text for text in sent)
    shown(transport="online")
    assert batch_run(path, is_offline=True).outputs == SAID


def test_what_is_kept_names_the_digest_and_not_the_file(shown: Project, batch_run: Run) -> None:
    path = shown(over="0.001")
    batch_run(path)
    plan = api.plan(path, RunOptions(inputs={"words": ["a", "b", "c"]}))
    assert plan.plan.calls == 0
    shown(over="", transport="online")
    assert batch_run(path, is_offline=True).outputs == SAID


def test_large_files_are_uploaded_before_and_named_by_the_lines(
    shown: Project, batch_run: Run, batch_server: Any
) -> None:
    assert batch_run(shown(over="0.002")).outputs == SAID
    assert sorted(batch_server.shown.stored.values()) == sorted([FILES["a"], FILES["b"]])
    assert sorted(len(names(body)) for body in bodies(batch_server)) == [0, 1, 1]
    assert batch_server.refused == []


def test_a_file_that_many_questions_show_is_uploaded_once(
    shown: Project, batch_run: Run, batch_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.app.batch_lines.SPARED_BYTES", 4000)
    path = shown(name="b.pdf", over="1")
    assert batch_run(path).outputs == SAID
    assert list(batch_server.shown.stored.values()) == [FILES["b"]]
    assert [len(names(body)) for body in bodies(batch_server)] == [1, 1, 1]
    assert batch_run(path, inputs={"words": ["d", "e", "f"]}).outputs == SAID
    assert len(batch_server.shown.stored) == 1, "it is remembered"


def test_a_file_that_the_provider_forgot_is_uploaded_anew_and_asked_about_again(
    shown: Project, batch_run: Run, batch_server: Any
) -> None:
    path = shown(name="b.pdf", over="0.001")
    assert batch_run(path, inputs={"words": ["d"]}).exit_code == 0
    batch_server.shown.stored.clear()
    assert batch_run(path).outputs == SAID
    assert [len(job.lines) for job in batch_server.jobs.values()] == [1, 3, 3]


def test_a_file_that_cannot_be_uploaded_is_a_failure_of_its_questions(
    shown: Project, batch_run: Run, batch_server: Any
) -> None:
    batch_server.refuse = lambda action: 400 if action == "file" else 0
    result = batch_run(shown(over="0.0045"))
    assert result.exit_code == 3
    assert failed(result)["look"].endswith("file is refused")
    assert [len(job.lines) for job in batch_server.jobs.values()] == [2]


def test_a_file_that_changes_while_it_is_written_is_asked_about_as_it_is_then(
    shown: Project, batch_run: Run, batch_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from runner.app import batch_lines
    from runner.transport import sending

    real = sending.encode_now

    def read(medium: Medium) -> Any:
        if medium.path.endswith("b.pdf"):
            (tmp_path / "b.pdf").write_bytes(PDF)
        return real(medium)

    monkeypatch.setattr(batch_lines, "encode_now", read)
    result = batch_run(shown())
    assert result.outputs == SAID
    assert [len(job.lines) for job in batch_server.jobs.values()] == [2, 1], "it is another question now"


def test_a_text_that_changes_before_it_is_written_is_asked_about_as_it_is_then(
    shown: Project, batch_run: Run, batch_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from runner.app import batch_lines, batching

    real = batch_lines.lines_of

    async def lines_of(*given: Any) -> Any:
        (tmp_path / "b.txt").write_text("other")
        return await real(*given)

    for word in FILES:
        (tmp_path / f"{word}.txt").write_text(f"{word} was here")
    monkeypatch.setattr(batching, "lines_of", lines_of)
    assert batch_run(shown(name="{{ item }}.txt")).outputs == SAID
    assert [len(job.lines) for job in batch_server.jobs.values()] == [2, 1]
    last = json.dumps(bodies(batch_server)[-1])
    assert "other" in last or base64.b64encode(b"other").decode() in last


def test_nothing_is_handed_over_where_no_question_can_be_written(
    shown: Project, batch_run: Run, batch_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from runner.app import batch_lines
    from runner.transport import sending

    def read(_medium: Medium) -> Any:
        (tmp_path / "c.pdf").unlink(missing_ok=True)
        return real(_medium)

    real = sending.encode_now
    monkeypatch.setattr(batch_lines, "encode_now", read)
    result = batch_run(shown(), inputs={"words": ["c"]})
    assert failed(result) == {"look": "flow.yaml:9:24: there is no file c.pdf"}
    assert not batch_server.jobs


def test_files_within_lines_split_a_job_that_is_too_large(
    shown: Project, batch_run: Run, batch_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in BATCH_FORMATS.values():
        monkeypatch.setattr(type(form), "most_bytes", 8000)
    assert batch_run(shown()).outputs == SAID
    assert sorted(len(job.lines) for job in batch_server.jobs.values()) == [1, 2]
    assert max(map(len, batch_server.files.values())) <= 8000


def test_a_line_is_the_body_of_a_single_question(
    shown: Project, batch_run: Run, batch_server: Any, batch_dialect: str, counting_server: Any
) -> None:
    """Which is held against what the official clients send."""
    path = shown()
    assert batch_run(path).outputs == SAID
    single = counting_server(lambda *_: counting_server.Answer('{"said": "yes"}'), key="")
    url = single.base_url if batch_dialect == "gemini" else single.chat_url
    settings = path.parent / "runner.yaml"
    settings.write_text(re.sub(r"'http[^']*'", f"'{url}'", settings.read_text()))
    path.write_text(path.read_text().replace("transport: batch", "transport: online"))
    assert batch_run(path, refresh=frozenset("*")).outputs == SAID
    online = sorted(json.dumps(request.body) for request in single.requests)
    assert online == sorted(json.dumps(body) for body in bodies(batch_server))


def test_a_long_prompt_is_handed_over_and_kept_in_pieces(
    batch_project: Project, batch_run: Run, batch_server: Any, tmp_path: Path
) -> None:
    text = 'The "road" went on – past the mill.\n' * 40_000
    flow = FLOW[: FLOW.index("  look:")] + "  read: {prompt: {file: long.md}}\n"
    path = batch_project(flow=flow.replace("TRANSPORT", "batch"))
    (tmp_path / "long.md").write_text(text + "{{ inputs.words[0] }}")
    assert batch_run(path).outputs == {"said": "yes"}
    assert json.dumps(text + "a")[1:-1] in json.dumps(bodies(batch_server))
    assert batch_run(path, is_offline=True).outputs == {"said": "yes"}


# Vectors


def test_texts_become_vectors_in_one_job_and_under_the_keys_of_single_ones(
    batch_project: Project, batch_run: Run, batch_server: Any
) -> None:
    batch_server.respond = lambda _body: batch_server.Answer(text="[0.5, -1]")
    path = batch_project(flow=VECTORS.replace("TRANSPORT", "batch"))
    result = batch_run(path)
    assert (result.exit_code, result.problems, batch_server.refused) == (0, (), [])
    assert result.outputs == {"places": [[0.5, -1]] * 3}
    assert [len(job.lines) for job in batch_server.jobs.values()] == [3]
    path.write_text(VECTORS.replace("TRANSPORT", "online"))
    assert batch_run(path, is_offline=True).outputs == result.outputs


def test_an_error_of_a_vector_is_one_of_its_row(batch_project: Project, batch_run: Run, batch_server: Any) -> None:
    def respond(body: Any) -> Any:
        is_bad = '"b"' in json.dumps(body)
        return batch_server.Answer(text="too long", status=400) if is_bad else batch_server.Answer(text="[1]")

    batch_server.respond = respond
    result = batch_run(batch_project(flow=VECTORS.replace("TRANSPORT", "batch")))
    assert "too long" in failed(result)["place"]


# Deaths


def test_a_death_after_any_action_hands_no_question_with_a_file_over_twice(
    tmp_path: Path, shown: Project, batch_run: Run, batch_server: Any, run_and_die: Any
) -> None:
    deaths = 0
    while True:
        batch_server.jobs.clear()
        path = shown(over="0.002", folder=tmp_path / str(deaths))
        died = run_and_die(batch_run, path, deaths + 1)
        result = batch_run(path)
        assert (result.exit_code, list(result.outputs)) == (0, SAID), f"after action {deaths + 1}"
        assert len(batch_server.jobs) == 1, f"handed over again after action {deaths + 1}"
        assert sorted(len(names(body)) for body in bodies(batch_server)) == [0, 1, 1]
        if not died:
            break
        deaths += 1
    assert deaths >= 14  # as without files, and each of two uploads: done, and remembered
