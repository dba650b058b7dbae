"""`files` of a step, `glob` of a data source and `upload_over_mb` of a provider, as they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.config.load import Loaded, load_settings
from runner.core.media import Clip
from runner.core.span import Origin
from runner.core.workflow import DataSource, FileEntry, FileTemplate, RepeatedFiles, Template

Load = Callable[..., Loaded]
Complaints = Callable[..., str]
STEP = "steps:\n  a:\n    model: m\n    prompt: p\n    for_each: data.x\n    as: row\n    files:\n"


def files_of(loaded: Loaded) -> tuple[FileEntry, ...]:
    assert loaded.workflow is not None
    return loaded.workflow.steps["a"].files


def told(entry: FileEntry) -> tuple[object, ...]:
    assert isinstance(entry, FileTemplate)
    return entry.kind, entry.path.text, entry.clip, entry.resolution


def test_each_kind_of_file_is_read_with_how_it_is_looked_at(load: Load) -> None:
    loaded = load(
        f'{STEP}      - image: "{{{{ row.path }}}}"\n        resolution: high\n      - audio: a.wav\n'
        "      - video: a.mp4\n        clip: {from: 0.5, to: 20, fps: 2}\n      - video: b.mp4\n        clip: {to: 3}\n"
        "      - document: {file: notes.md}\n"
    )
    assert loaded.problems == ()
    assert [told(entry) for entry in files_of(loaded)] == [
        ("image", "{{ row.path }}", None, "high"),
        ("audio", "a.wav", None, None),
        ("video", "a.mp4", Clip(0.5, 20, 2), None),
        ("video", "b.mp4", Clip(None, 3, None), None),
        ("document", "notes.md", None, None),
    ]


def test_a_file_key_below_a_kind_names_the_file_itself_and_no_template_in_it(load: Load) -> None:
    (entry,) = files_of(load(f"{STEP}      - document: {{file: notes.md}}\n", {"notes.md": "{{ row.x }}"}))
    assert isinstance(entry, FileTemplate)
    assert entry.path == Template("notes.md", Origin("flow.yaml", 8, 26))


def test_repeated_files_have_a_list_a_name_and_files(load: Load) -> None:
    loaded = load(
        f'{STEP}      - for_each: row.pages\n        as: page\n        files: [{{image: "{{{{ page }}}}"}}]\n'
    )
    assert loaded.problems == ()
    (entry,) = files_of(loaded)
    assert isinstance(entry, RepeatedFiles)
    assert (entry.items.text, entry.name, str(entry.span)) == ("row.pages", "page", "flow.yaml:8:9")
    assert [told(inner) for inner in entry.files] == [("image", "{{ page }}", None, None)]


def test_repeated_files_cannot_take_the_name_of_the_element(complaints: Complaints) -> None:
    assert complaints(f"{STEP}      - {{for_each: row.pages, as: row, files: [{{image: a.png}}]}}\n") == (
        "flow.yaml:8:31: reserved-name: 'as' of a file of step 'a' is 'row', which names the step's own element already\n"
        "    8 |       - {for_each: row.pages, as: row, files: [{image: a.png}]}\n"
        "      |                               ^^\n"
        "  expected: a name other than row"
    )


def test_broken_files_are_left_out(load: Load) -> None:
    loaded = load(
        f"{STEP}      - a.png\n      - {{picture: a.png}}\n      - {{image: a.png, audio: a.wav}}\n"
        "      - {image: }\n      - {document: {file: [1]}}\n      - {document: {}}\n"
        "      - {for_each: x, files: [{image: a.png}]}\n      - {audio: a.wav, clip: {to: 3}}\n"
        "      - {video: a.mp4, clip: {}}\n      - {image: a.png, resolution: huge}\n"
    )
    assert [problem.message for problem in loaded.problems] == [
        "entry 1 of 'files' of step 'a' is text",
        "entry 2 of 'files' of step 'a' has no key 'picture'",
        "entry 2 of 'files' of step 'a' lacks a key",
        "entry 3 of 'files' of step 'a' has both 'image' and 'audio'",
        "'image' of entry 4 of 'files' of step 'a' has no value",
        "'file' of 'document' of entry 5 of 'files' of step 'a' is a list",
        "'document' of entry 6 of 'files' of step 'a' lacks the key 'file'",
        "entry 7 of 'files' of step 'a' lacks the key 'as'",
        "entry 8 of 'files' of step 'a' has the key 'clip', which belongs to 'video'",
        "'clip' of entry 9 of 'files' of step 'a' lacks a key",
        "'resolution' of entry 10 of 'files' of step 'a' cannot be 'huge'",
    ]
    assert [entry.kind for entry in files_of(loaded) if isinstance(entry, FileTemplate)] == [
        "image",
        "audio",
        "video",
        "image",
    ]


def test_a_pattern_gives_rows_of_files_relative_to_its_own_folder(load: Load) -> None:
    loaded = load("data:\n  x: {glob: 'media/*.png'}\nsteps:\n  a:\n    model: m\n    prompt: p\n")
    assert loaded.problems == ()
    assert loaded.workflow is not None
    source = loaded.workflow.data["x"]
    assert (source.file, source.glob, source.base, source.folder) == ("", "media/*.png", "", "")
    assert source.schema is not None
    assert source.schema.value == {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("path", "name", "stem", "suffix")},
        "required": ["path", "name", "stem", "suffix"],
        "additionalProperties": False,
    }


def test_a_path_in_a_row_starts_in_the_folder_of_the_rows(load: Load) -> None:
    loaded = load("data:\n  x: {file: sub/rows.csv}\nsteps:\n  a:\n    model: m\n    prompt: p\n")
    assert loaded.workflow is not None
    source = loaded.workflow.data["x"]
    assert isinstance(source, DataSource)
    assert source.folder == "sub"


def test_a_pattern_cannot_lie_outside_the_project(load: Load) -> None:
    loaded = load("data:\n  x: {glob: '../*.png'}\nsteps:\n  a:\n    model: m\n    prompt: p\n")
    assert [(str(one.span), one.code, one.message) for one in loaded.problems] == [
        ("flow.yaml:2:13", "outside-root", "../*.png lies outside the project")
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{file: x.csv, glob: '*.png'}", "data source 'x' has both 'file' and 'glob'"),
        ("{key: id}", "data source 'x' lacks a key"),
        ("{glob: [a]}", "'glob' of data source 'x' is a list"),
    ],
)
def test_a_source_has_a_file_or_a_pattern(load: Load, source: str, message: str) -> None:
    loaded = load(f"data:\n  x: {source}\nsteps:\n  a:\n    model: m\n    prompt: p\n")
    assert [problem.message for problem in loaded.problems] == [message]


def test_megabytes_before_an_upload_are_kept_as_bytes(write: Callable[..., Path]) -> None:
    text = "providers:\n  box: {dialect: gemini, base_url: 'http://localhost:1', price: free, upload_over_mb: 1.5}\n"
    loaded = load_settings(write({"runner.yaml": text}))
    assert loaded.problems == ()
    assert loaded.settings.providers["box"].settings == {"upload_over": "1500000"}


def test_a_server_and_its_uploads_are_both_kept(write: Callable[..., Path]) -> None:
    text = (
        "providers:\n  box: {dialect: openai-chat, base_url: 'http://localhost:1', price: free, server: vllm,"
        " upload_over_mb: 2}\n"
    )
    loaded = load_settings(write({"runner.yaml": text}))
    assert loaded.problems == ()
    assert loaded.settings.providers["box"].settings == {"server": "vllm", "upload_over": "2000000"}


def test_a_protocol_without_uploads_has_no_key_for_them(settings_complaints: Complaints) -> None:
    text = "providers:\n  box: {dialect: anthropic, base_url: 'http://localhost:1', price: free, upload_over_mb: 2}\n"
    assert settings_complaints(text) == (
        "runner.yaml:2:74: unknown-key: provider 'box' has the key 'upload_over_mb', "
        "which the dialect anthropic does not use\n"
        "    2 |   box: {dialect: anthropic, base_url: 'http://localhost:1', price: free, upload_over_mb: 2}\n"
        "      |                                                                          ^^^^^^^^^^^^^^\n"
        "  expected: a key of this dialect: base_url, dialect, identity, key_env, price"
    )
