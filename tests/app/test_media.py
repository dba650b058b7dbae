"""Files that a model is shown, from a workflow to a strict server and back."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app.planning import plan_workflow
from runner.app.types import RunOptions

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\xc8tEXt" + bytes(range(200)) + b"sum.\0\0\0\0IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(100))
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(60)
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(300_000)
PDF = b"%PDF-1.7\n" + bytes(range(128)) * 4
DIALECTS = ("gemini", "openai-chat", "openai-responses", "anthropic")
Project = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_clock: object, _seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("runner.app.transports.SystemClock.sleep", sleep)


@pytest.fixture
def project(tmp_path: Path, counting_server: Any) -> Project:
    """A project whose only model is asked in a dialect; what it answers is "seen"."""

    def make(dialect: str, files: str, *, more: str = "", extra: str = "", data: dict[str, bytes] | None = None) -> Any:
        server = counting_server(lambda _d, _b, _n: counting_server.Answer("seen"), key="")
        url = server.chat_url if dialect.startswith("openai") else server.base_url
        (tmp_path / "runner.yaml").write_text(
            f"providers:\n  box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: free{extra}}}\n",
            encoding="utf-8",
        )
        flow = f"{more}\nsteps:\n  look:\n    model: box/m\n    prompt: What is this?\n    files:\n{files}\n"
        (tmp_path / "flow.yaml").write_text(flow, encoding="utf-8")
        (tmp_path / "media").mkdir(exist_ok=True)
        for name, content in (data or {}).items():
            (tmp_path / "media" / name).write_bytes(content)
        return server

    return make


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digests(body: Any) -> list[str]:
    found: list[str] = importlib.import_module("wire_media").digests(body)
    return found


def why(path: Path) -> list[str]:
    plan = plan_workflow(path, RunOptions()).plan
    return [reason for step in plan.steps for reason in step.reasons]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_image_is_sent_as_it_is_and_asked_about_once(tmp_path: Path, project: Project, dialect: str) -> None:
    server = project(dialect, "      - image: media/a.png", data={"a.png": PNG})
    result = runner.run(tmp_path / "flow.yaml")
    assert (result.exit_code, result.outputs, server.refused) == (0, "seen", [])
    assert digests(server.bodies[0]) == [sha(PNG)]
    assert server.requests[0].prompt == "What is this?"
    assert runner.run(tmp_path / "flow.yaml", record=True).outputs == "seen"
    shutil.rmtree(tmp_path / "cache" / "local")
    assert runner.run(tmp_path / "flow.yaml", offline=True).outputs == "seen"
    assert server.count == 1
    (recording,) = (path for path in (tmp_path / "cache" / "recordings").rglob("*.json"))
    assert sha(PNG) in recording.read_text("utf-8")


@pytest.mark.parametrize("dialect", ["gemini", "openai-chat", "openai-responses", "anthropic"])
def test_documents_are_sent_as_each_protocol_takes_them(tmp_path: Path, project: Project, dialect: str) -> None:
    text = 'A "quoted"\nline — and ünïcode.\n'
    files = "      - document: media/a.pdf\n      - document: media/notes.md"
    server = project(dialect, files, data={"a.pdf": PDF, "notes.md": text.encode()})
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert server.refused == []
    if dialect == "gemini":
        assert digests(server.bodies[0]) == [sha(PDF), sha(text.encode())]
    else:
        assert digests(server.bodies[0]) == [sha(PDF)]
        assert json.dumps(text) in json.dumps(server.bodies[0])


def test_sound_and_video_with_a_clip_go_to_gemini(tmp_path: Path, project: Project) -> None:
    files = (
        "      - audio: media/a.wav\n"
        "      - video: media/a.mp4\n        clip: {from: 0.5, to: 20, fps: 2}\n        resolution: low"
    )
    server = project("gemini", files, data={"a.wav": WAV, "a.mp4": MP4})
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    parts = server.bodies[0]["contents"][0]["parts"]
    assert digests(parts) == [sha(WAV), sha(MP4)]
    assert parts[1]["videoMetadata"] == {"startOffset": "0.5s", "endOffset": "20s", "fps": 2}
    assert parts[1]["mediaResolution"] == {"level": "MEDIA_RESOLUTION_LOW"}
    assert parts[2] == {"text": "What is this?"}


def test_sound_goes_to_chat_completions_with_its_format(tmp_path: Path, project: Project) -> None:
    server = project("openai-chat", "      - audio: media/a.wav", data={"a.wav": WAV})
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert server.bodies[0]["messages"][0]["content"][0]["input_audio"]["format"] == "wav"


def test_a_file_that_was_moved_is_not_asked_about_again(tmp_path: Path, project: Project) -> None:
    server = project("gemini", "      - image: media/a.png", data={"a.png": PNG})
    runner.run(tmp_path / "flow.yaml")
    (tmp_path / "media" / "a.png").rename(tmp_path / "media" / "b.png")
    flow = (tmp_path / "flow.yaml").read_text("utf-8").replace("a.png", "b.png")
    (tmp_path / "flow.yaml").write_text(flow, "utf-8")
    assert runner.run(tmp_path / "flow.yaml", offline=True).outputs == "seen"
    assert server.count == 1


def test_a_file_that_holds_something_else_is_the_reason(tmp_path: Path, project: Project) -> None:
    files = "      - image: media/a.png\n      - image: media/b.png"
    project("gemini", files, data={"a.png": PNG, "b.png": PNG + b"x"})
    runner.run(tmp_path / "flow.yaml")
    (tmp_path / "media" / "a.png").write_bytes(PNG + b"changed")
    assert why(tmp_path / "flow.yaml") == ["file:media/a.png"]


def test_another_look_at_a_file_is_a_reason(tmp_path: Path, project: Project) -> None:
    project("gemini", "      - video: media/a.mp4", data={"a.mp4": MP4})
    runner.run(tmp_path / "flow.yaml")
    flow = (tmp_path / "flow.yaml").read_text("utf-8").replace("a.mp4", "a.mp4\n        clip: {to: 3}")
    (tmp_path / "flow.yaml").write_text(flow, "utf-8")
    assert why(tmp_path / "flow.yaml") == ["option:clip"]


def test_another_resolution_of_the_same_file_is_told_as_such(tmp_path: Path, project: Project) -> None:
    project("gemini", "      - image: media/a.png\n        resolution: low", data={"a.png": PNG})
    runner.run(tmp_path / "flow.yaml")
    flow = (tmp_path / "flow.yaml").read_text("utf-8")
    (tmp_path / "flow.yaml").write_text(flow.replace("resolution: low", "resolution: high"), "utf-8")
    assert why(tmp_path / "flow.yaml") == ["option:resolution: low → high"]
    (told,) = plan_workflow(tmp_path / "flow.yaml", RunOptions(), "").why
    text = (tmp_path / "flow.yaml").read_text("utf-8").splitlines()
    line = 1 + next(number for number, one in enumerate(text) if "image:" in one)
    assert [place.split(":")[:2] for place in told.places] == [["flow.yaml", str(line)]]


def test_rows_name_files_beside_themselves(tmp_path: Path, project: Project) -> None:
    server = project(
        "gemini", "      - image: '{{ item.photo }}'\n    for_each: data.rows",
        more="data: {rows: {file: media/rows.jsonl, key: id}}",
        data={"a.png": PNG, "rows.jsonl": b'{"id": 1, "photo": "a.png"}\n{"id": 2, "photo": "../media/b.jpg"}\n',
              "b.jpg": JPEG},
    )  # fmt: skip
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert sorted(digests(server.bodies)) == sorted([sha(PNG), sha(JPEG)])


def test_a_row_whose_file_is_missing_fails_alone_and_before_any_call(tmp_path: Path, project: Project) -> None:
    server = project(
        "gemini", "      - image: '{{ item.photo }}'\n    for_each: data.rows",
        more="data: {rows: {file: media/rows.jsonl, key: id}}",
        data={"a.png": PNG, "rows.jsonl": b'{"id": 1, "photo": "none.png"}\n{"id": 2, "photo": "a.png"}\n'},
    )  # fmt: skip
    result = runner.run(tmp_path / "flow.yaml")
    assert (result.exit_code, server.count) == (1, 1)
    assert [str(one.failure.message) for one in result.failures if one.failure] == [
        "flow.yaml:7:16: there is no file media/none.png"
    ]


def test_a_row_cannot_name_a_file_outside_the_project(tmp_path: Path, project: Project) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(PNG)
    server = project(
        "gemini", "      - image: '{{ item.photo }}'\n    for_each: data.rows",
        more="data: {rows: {file: media/rows.jsonl}}",
        data={"rows.jsonl": b'{"photo": "../../secret.png"}\n{"photo": "/etc/passwd"}\n{"photo": "http://x/y.png"}\n'},
    )  # fmt: skip
    for name in ("runner.yaml", "flow.yaml", "media"):
        (tmp_path / name).rename(folder / name)
    result = runner.run(folder / "flow.yaml")
    assert (result.exit_code, server.count) == (1, 0)
    told = sorted(str(one.failure.message) for one in result.failures if one.failure)
    assert told == [
        "flow.yaml:7:16: ../secret.png lies outside the project",
        "flow.yaml:7:16: /etc/passwd lies outside the project",
        "flow.yaml:7:16: http://x/y.png is a URL, and only files are shown to models",
    ]


def test_a_path_that_the_user_types_is_the_users_own(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.png").write_bytes(PNG)
    folder = tmp_path / "inside"
    folder.mkdir()
    server = project("gemini", "      - image: '{{ inputs.photo }}'", more="inputs: {photo: {type: string}}")
    for name in ("runner.yaml", "flow.yaml"):
        (tmp_path / name).rename(folder / name)
    monkeypatch.chdir(outside)
    assert runner.run(folder / "flow.yaml", inputs={"photo": "mine.png"}).exit_code == 0
    assert digests(server.bodies[0]) == [sha(PNG)]
    missing = runner.run(folder / "flow.yaml", inputs={"photo": "none.png"})
    assert [one.failure.message for one in missing.failures if one.failure] == [
        "flow.yaml:7:16: there is no file none.png"
    ]


def test_a_pattern_finds_files_and_each_is_an_item(tmp_path: Path, project: Project) -> None:
    server = project(
        "gemini", "      - image: '{{ item.path }}'\n    for_each: data.photos",
        more="data: {photos: {glob: 'media/*.p*', key: stem}}",
        data={"a.png": PNG, "b.png": PNG + b"b", "c.txt": b"no"},
    )  # fmt: skip
    result = runner.run(tmp_path / "flow.yaml")
    assert (result.exit_code, result.outputs) == (0, ["seen", "seen"])
    assert sorted(digests(server.bodies)) == sorted([sha(PNG), sha(PNG + b"b")])


def test_files_are_repeated_for_the_elements_of_a_list(tmp_path: Path, project: Project) -> None:
    server = project(
        "gemini",
        "      - for_each: inputs.pages\n        as: page\n        files: [{image: 'media/{{ page }}.png'}]",
        more="inputs: {pages: {type: array, items: {type: string}, default: [a, b]}}",
        data={"a.png": PNG, "b.png": PNG + b"b"},
    )
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert digests(server.bodies[0]) == [sha(PNG), sha(PNG + b"b")]


def test_files_stand_with_the_last_thing_that_the_user_says(tmp_path: Path, project: Project) -> None:
    server = project("gemini", "      - image: media/a.png", data={"a.png": PNG})
    flow = (tmp_path / "flow.yaml").read_text("utf-8")
    talk = "messages: [{role: user, text: One}, {role: assistant, text: Two}, {role: user, text: Three}]"
    (tmp_path / "flow.yaml").write_text(flow.replace("prompt: What is this?", talk), "utf-8")
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert [len(turn["parts"]) for turn in server.bodies[0]["contents"]] == [1, 1, 2]


# Uploads


UPLOADED = {
    "gemini": ("      - image: media/a.png", {"a.png": PNG + bytes(9_000_000)}),
    "openai-responses": ("      - image: media/a.png", {"a.png": PNG + bytes(2000)}),
    "openai-chat": ("      - document: media/a.pdf", {"a.pdf": PDF + bytes(2000)}),
}


@pytest.mark.parametrize("dialect", UPLOADED)
def test_a_large_file_is_uploaded_once_and_has_the_key_of_one_that_is_sent_within(
    tmp_path: Path, project: Project, dialect: str
) -> None:
    files, data = UPLOADED[dialect]
    (content,) = data.values()
    server = project(dialect, files, extra=", upload_over_mb: 0.001", data=data)
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert (server.refused, list(server.files.stored.values()), server.files.started) == ([], [content], 1)
    assert digests(server.bodies[0]) == []
    assert not any(server.files.keyed)
    assert runner.run(tmp_path / "flow.yaml", refresh=["look"]).exit_code == 0
    assert (server.count, server.files.started) == (2, 1)  # its name is remembered from run to run
    again = project(dialect, files, data=data)
    assert runner.run(tmp_path / "flow.yaml", offline=True).outputs == "seen"
    assert again.count == 0


def test_an_upload_is_awaited_until_the_file_is_ready(tmp_path: Path, project: Project) -> None:
    files, data = UPLOADED["gemini"]
    server = project("gemini", files, extra=", upload_over_mb: 0.001", data=data)
    server.files.polls = 3
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert (server.refused, server.files.asked) == ([], 3)


def test_a_file_that_the_provider_cannot_use_is_not_asked_about(tmp_path: Path, project: Project) -> None:
    files, data = UPLOADED["gemini"]
    server = project("gemini", files, extra=", upload_over_mb: 0.001", data=data)
    server.files.fails = True
    result = runner.run(tmp_path / "flow.yaml")
    assert (result.exit_code, server.count, server.files.started) == (3, 0, 1)
    assert [one.failure.message for one in result.failures if one.failure] == [
        "media/a.png could not be uploaded: 'box' cannot use it: it cannot be read"
    ]


@pytest.mark.parametrize("dialect", UPLOADED)
def test_a_file_that_the_provider_has_forgotten_is_uploaded_again(
    tmp_path: Path, project: Project, dialect: str
) -> None:
    files, data = UPLOADED[dialect]
    server = project(dialect, files, extra=", upload_over_mb: 0.001", data=data)
    runner.run(tmp_path / "flow.yaml")
    server.files.stored.clear()
    assert runner.run(tmp_path / "flow.yaml", refresh=["look"]).exit_code == 0
    assert (server.count, len(server.refused), server.files.started) == (2, 1, 2)


def test_many_questions_about_one_file_upload_it_once(tmp_path: Path, project: Project) -> None:
    server = project(
        "gemini", "      - image: media/a.png\n    for_each: inputs.asked",
        more="inputs: {asked: {type: array, items: {type: string}, default: [a, b, c, d]}}",
        extra=", upload_over_mb: 0.001", data={"a.png": PNG + bytes(3000)},
    )  # fmt: skip
    flow = (tmp_path / "flow.yaml").read_text("utf-8").replace("What is this?", "What is {{ item }}?")
    (tmp_path / "flow.yaml").write_text(flow, "utf-8")
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert (server.count, server.files.started) == (4, 1)


# What is shown is not written over


def save_to(tmp_path: Path, name: str, *, more: str = "") -> None:
    flow = (tmp_path / "flow.yaml").read_text("utf-8")
    (tmp_path / "flow.yaml").write_text(f"{flow.rstrip()}\n    save: {name}\n{more}", "utf-8")


@pytest.mark.parametrize("name", ["media/a.png", "./media/../media/A.png"])
def test_a_saved_text_never_replaces_a_file_that_a_step_shows(tmp_path: Path, project: Project, name: str) -> None:
    server = project("gemini", "      - image: media/a.png", data={"a.png": PNG})
    save_to(tmp_path, name)
    with pytest.raises(runner.RunnerError) as caught:
        runner.run(tmp_path / "flow.yaml")
    assert [(one.code, one.severity) for one in caught.value.problems] == [("overwrites", "error")]
    assert (server.count, (tmp_path / "media" / "a.png").read_bytes()) == (0, PNG)


def test_a_saved_text_never_replaces_a_file_that_a_row_names(tmp_path: Path, project: Project) -> None:
    server = project(
        "gemini", "      - image: '{{ item.photo }}'\n    for_each: data.rows",
        more="data: {rows: {file: media/rows.jsonl, key: id}}",
        data={"a.png": PNG, "rows.jsonl": b'{"id": "1", "photo": "a.png"}\n{"id": "2", "photo": "a.png"}\n'},
    )  # fmt: skip
    save_to(tmp_path, "'{% if item.id == \"1\" %}media/a.png{% else %}out/{{ item.id }}.txt{% endif %}'")
    result = runner.run(tmp_path / "flow.yaml")
    assert [one.message for one in result.problems] == [
        "look[1] would write over 'media/a.png', which this project reads"
    ]
    assert (server.count, result.exit_code) == (1, 1)
    assert (tmp_path / "media" / "a.png").read_bytes() == PNG
    assert (tmp_path / "out" / "2.txt").read_text("utf-8") == "seen"


def test_a_saved_text_never_replaces_a_file_that_a_pattern_found(tmp_path: Path, project: Project) -> None:
    server = project(
        "gemini", "      - image: '{{ item.path }}'\n    for_each: data.photos",
        more="data: {photos: {glob: 'media/*', key: name}}",
        data={"a.png": PNG, "notes.txt": b"mine"},
    )  # fmt: skip
    (tmp_path / "flow.yaml").write_text(
        (tmp_path / "flow.yaml").read_text("utf-8").replace("for_each: data.photos", "for_each: data.photos\n    when: item.suffix == '.png'")
        .rstrip() + "\n    save: media/notes.txt\n", "utf-8")  # fmt: skip
    result = runner.run(tmp_path / "flow.yaml")
    assert [one.message for one in result.problems if one.is_error] == [
        "look[a.png] would write over 'media/notes.txt', which this project reads"
    ]
    assert (server.count, (tmp_path / "media" / "notes.txt").read_bytes()) == (1, b"mine")


def test_a_text_that_no_request_has_room_for_is_told_before_any_call(tmp_path: Path, project: Project) -> None:
    server = project("openai-chat", "      - document: media/long.txt", data={"long.txt": b""})
    with (tmp_path / "media" / "long.txt").open("wb") as file:
        for _ in range(51):
            file.write(b"word " * 200_000)
    with pytest.raises(runner.RunnerError) as caught:
        runner.run(tmp_path / "flow.yaml")
    assert [one.message for one in caught.value.problems] == [
        "media/long.txt has 51,000,000 bytes, more than box/m takes"
    ]
    assert server.count == 0


def test_a_text_goes_within_a_request_whose_other_files_are_uploaded(tmp_path: Path, project: Project) -> None:
    files = "      - document: media/a.pdf\n      - document: media/notes.md"
    data = {"a.pdf": PDF + bytes(2000), "notes.md": b"words " * 300}
    server = project("openai-responses", files, extra=", upload_over_mb: 0.001", data=data)
    assert runner.run(tmp_path / "flow.yaml").exit_code == 0
    assert (server.refused, list(server.files.stored.values())) == ([], [data["a.pdf"]])
    assert "words words" in json.dumps(server.bodies[0])
