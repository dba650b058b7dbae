from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.config import load as load_module
from runner.config.load import Loaded, ProjectFiles, find_root, load_settings, load_values, load_workflow
from runner.core.errors import FileError
from runner.core.problem import render_all
from runner.core.span import Span
from runner.core.workflow import MessageTemplate

Write = Callable[..., Path]
Load = Callable[..., Loaded]
Complaints = Callable[..., str]

STEP = "steps:\n  a:\n    model: m\n    prompt: p\n"


def _shown(loaded: Loaded) -> str:
    return render_all(loaded.problems, loaded.sources)


def _messages(loaded: Loaded) -> list[str]:
    return [problem.message for problem in loaded.problems]


def _refusal(files: ProjectFiles, path: str) -> tuple[str, str]:
    with pytest.raises(FileError) as caught:
        files.read(path)
    (problem,) = caught.value.problems
    return problem.code, problem.message


# --- the root


def test_the_root_is_the_nearest_folder_with_settings(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "runner.yaml").touch()
    (tmp_path / "a" / "pyproject.toml").touch()
    assert find_root(deep / "x.yaml") == tmp_path
    assert find_root(deep) == tmp_path


def test_the_root_is_else_the_nearest_repository_or_package(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert find_root(deep / "x.yaml") == tmp_path
    (tmp_path / "a" / "pyproject.toml").touch()
    assert find_root(deep / "x.yaml") == tmp_path / "a"


def test_the_root_is_else_the_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "_ROOT_MARKS", ())
    assert find_root(tmp_path / "x.yaml") == tmp_path
    assert find_root(tmp_path) == tmp_path


def test_paths_are_shown_relative_to_the_root_or_as_typed(tmp_path: Path) -> None:
    files = ProjectFiles(tmp_path)
    assert files.display(tmp_path / "a" / ".." / "b.yaml") == "b.yaml"
    assert files.display(Path("/elsewhere/x.yaml")) == "/elsewhere/x.yaml"


def test_paths_below_a_linked_root_are_relative_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert ProjectFiles(tmp_path / "link").display(tmp_path / "real" / "b.yaml") == "b.yaml"


# --- files of the project


def test_files_below_the_root_are_read(write: Write) -> None:
    files = ProjectFiles(write({"a/b.txt": "hello", "c/d.txt": ""}))
    assert files.read("a/b.txt") == b"hello"
    assert files.read("c/../a/b.txt") == b"hello"
    assert files.locate("c/d.txt").name == "d.txt"


def test_nothing_outside_the_root_is_read(write: Write, tmp_path: Path) -> None:
    root = write({"in/a.txt": "inside", "secret.txt": "outside"})
    (root / "in" / "link.txt").symlink_to(root / "secret.txt")
    (root / "in" / "folder").symlink_to(root)
    files = ProjectFiles(root / "in")
    for path in ("../secret.txt", "/etc/passwd", "link.txt", "folder/secret.txt", "a/../../secret.txt"):
        assert _refusal(files, path) == ("outside-root", f"{path} lies outside the project")


def test_links_inside_the_root_are_followed(write: Write) -> None:
    root = write({"a.txt": "text"})
    (root / "link.txt").symlink_to(root / "a.txt")
    assert ProjectFiles(root).read("link.txt") == b"text"


def test_a_link_that_leads_nowhere_is_told_as_one(write: Write) -> None:
    root = write({"nowhere.md": "x", "folder/a.txt": "x"})
    (root / "p.md").symlink_to("nowher.md")
    (root / "deep").symlink_to("folder")
    files = ProjectFiles(root)
    assert _refusal(files, "p.md") == ("missing-file", "p.md is a link to 'nowher.md', where there is no file")
    assert _refusal(files, "deep/b.txt") == ("missing-file", "there is no file deep/b.txt")


def test_what_is_no_readable_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"folder/a.txt": "x", "big.txt": "x" * 11})
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to(root / "loop")
    files = ProjectFiles(root)
    assert _refusal(files, "folder") == ("is-a-directory", "folder is a directory")
    assert _refusal(files, "pipe") == ("not-a-file", "pipe is a device, pipe or socket")
    assert _refusal(files, "folder/a.txt/b") == ("missing-file", "there is no file folder/a.txt/b")
    assert _refusal(files, "a\0b") == ("missing-file", "a path cannot hold a NUL character")
    assert _refusal(files, "x" * 300) == ("unreadable-file", f"{'x' * 300} cannot be read: file name too long")
    assert _refusal(files, "loop")[0] in ("missing-file", "unreadable-file")
    monkeypatch.setattr(load_module, "MAX_FILE_BYTES", 10)
    assert _refusal(files, "big.txt") == ("too-large", "big.txt has 11 bytes, more than the 10 that are read")


def test_a_file_that_may_not_be_opened(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ProjectFiles(write({"a.txt": "x"}))

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert _refusal(files, "a.txt") == ("unreadable-file", "a.txt cannot be read: permission denied")


def test_a_file_that_becomes_a_pipe_before_it_is_opened(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"a.txt": "x"})
    os.mkfifo(root / "pipe")
    monkeypatch.setattr(load_module, "_ensure_regular", lambda *_, **__: None)
    assert _refusal(ProjectFiles(root), "pipe") == ("not-a-file", "pipe is a device, pipe or socket")


def test_a_file_that_grows_while_it_is_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"a.txt": "x" * 20})
    real = os.fstat

    def smaller(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[6] = 5
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", smaller)
    monkeypatch.setattr(load_module, "MAX_FILE_BYTES", 10)
    assert _refusal(ProjectFiles(root), "a.txt") == ("too-large", "a.txt has 11 bytes, more than the 10 that are read")


# --- the file that the user names


def test_a_missing_workflow_names_the_nearest(write: Write) -> None:
    root = write({"flows/triage.yaml": STEP})
    assert _shown(load_workflow(root / "flows" / "triag.yaml")) == (
        "missing-file: there is no file flows/triag.yaml\n  nearest:  flows/triage.yaml"
    )


def test_a_missing_workflow_in_a_missing_folder(tmp_path: Path) -> None:
    loaded = load_workflow(tmp_path / "no" / "x.yaml", root=tmp_path)
    assert _shown(loaded) == "missing-file: there is no file no/x.yaml"
    assert (loaded.workflow, loaded.root, loaded.files) == (None, tmp_path, ())


def test_a_directory_as_workflow(write: Write) -> None:
    assert _shown(load_workflow(write({"flows/a.yaml": STEP}) / "flows")) == (
        "is-a-directory: flows is a directory\n  expected: a file"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\x00\x01", "flow.yaml is not a text file: it is binary"),
        (b"[" * 50_000, "values are nested more than 64 levels deep"),
        (b"", "flow.yaml is empty"),
    ],
)
def test_workflows_that_are_none(load: Load, content: bytes, message: str) -> None:
    loaded = load("", {"flow.yaml": content})
    assert (loaded.workflow, _messages(loaded)) == (None, [message])


def test_a_workflow_of_200_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    loaded = load_workflow(path, root=tmp_path)
    assert _messages(loaded) == ["big.yaml has 200,000,000 bytes, more than the 10,000,000 that are read"]
    assert loaded.sources == {}


def test_the_files_that_were_read_are_listed_with_their_texts(load: Load) -> None:
    loaded = load(
        "include: [more.yaml]\nsteps:\n  a:\n    model: m\n    prompt: {file: p/a.md}\n    system: {file: p/a.md}\n    schema: s.json\n",
        {"p/a.md": "Hi\r\n", "s.json": "{}", "more.yaml": "models: {m: x/y}\n"},
    )
    assert loaded.problems == ()
    assert loaded.files == ("flow.yaml", "more.yaml", "p/a.md", "s.json")
    assert loaded.sources["p/a.md"] == "Hi\n"


# --- files that a workflow names


def test_a_missing_prompt_file_is_shown_where_it_is_named(write: Write) -> None:
    root = write(
        {
            "flows/a.yaml": "steps:\n  a:\n    model: m\n    prompt: {file: ../prompts/replay.md}\n",
            "prompts/reply.md": "x",
        }
    )
    assert _shown(load_workflow(root / "flows" / "a.yaml")) == (
        "flows/a.yaml:4:20: missing-file: there is no file prompts/replay.md\n"
        "    4 |     prompt: {file: ../prompts/replay.md}\n"
        "      |                    ^^^^^^^^^^^^^^^^^^^^\n"
        "  nearest:  ../prompts/reply.md"
    )


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "~/x.md", "../x.md", "a/../../x.md", "C:\\x.md", "https://x.example/y", ".."]
)
def test_paths_that_leave_the_project(load: Load, path: str) -> None:
    loaded = load(f"steps:\n  a:\n    model: m\n    prompt: {{file: '{path}'}}\n    schema: '{path}'\n")
    assert _messages(loaded) == [f"{path} lies outside the project"] * 2


def test_a_path_outside_names_the_root_and_the_way_out(write: Write) -> None:
    root = write({"flows/a.yaml": f"{STEP}    schema: ../../x.json\n"})
    assert _shown(load_workflow(root / "flows" / "a.yaml")) == (
        "flows/a.yaml:5:13: outside-root: ../../x.json lies outside the project\n"
        "    5 |     schema: ../../x.json\n"
        "      |             ^^^^^^^^^^^^\n"
        "  expected: a path inside the project, relative to the file that names it\n"
        f"  root:     {root}\n"
        "  fix:      put an empty runner.yaml into the folder that is to be the project's root"
    )
    (root / "runner.yaml").write_text("", encoding="utf-8")
    assert _shown(load_workflow(root / "flows" / "a.yaml")).endswith(f"  root:     {root}")


def test_a_link_that_leaves_the_project_is_refused(write: Write) -> None:
    root = write({"in/flow.yaml": "steps:\n  a:\n    model: m\n    prompt: {file: a.md}\n", "secret.md": "s"})
    (root / "in" / "a.md").symlink_to(root / "secret.md")
    loaded = load_workflow(root / "in" / "flow.yaml", root=root / "in")
    assert _messages(loaded) == ["a.md lies outside the project"]
    assert "secret.md" not in loaded.sources


def test_a_binary_prompt_file(load: Load) -> None:
    loaded = load("steps:\n  a:\n    model: m\n    prompt: {file: p.png}\n", {"p.png": b"\x89PNG\x00"})
    assert [(str(problem.span), problem.message) for problem in loaded.problems] == [
        ("flow.yaml:4:20", "p.png is not a text file: it is binary")
    ]


def test_a_mistake_in_a_schema_file_is_shown_there_with_its_user(load: Load) -> None:
    loaded = load(
        f"{STEP}    schema: s.json\n  b:\n    model: m\n    prompt: p\n    schema: s.json\n",
        {"s.json": '{"a": 1,\n "a": 2}'},
    )
    assert _shown(loaded) == (
        "s.json:2:2: duplicate-key: the key 'a' is there twice\n"
        '    2 |  "a": 2}\n'
        "      |  ^^^\n"
        "  first:    s.json:1:2\n"
        "  used by:  step 'a', flow.yaml:5:13\n"
        "  fix:      keep one of the two"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "s.json is no JSON Schema"),
        ("{", "the file ends inside a bracket that is not closed"),
        ("", "s.json is empty"),
        ('{"a":' * 50_000, "values are nested more than 64 levels deep"),
        (b"\x00", "s.json is not a text file: it is binary"),
    ],
)
def test_schema_files_that_are_none(load: Load, content: str | bytes, message: str) -> None:
    loaded = load(f"{STEP}    schema: s.json\n", {"s.json": content})
    assert _messages(loaded) == [message]
    assert loaded.problems[0].notes[-1] == ("used by", "step 'a', flow.yaml:5:13")


def test_a_json_file_that_only_yaml_could_read_is_told(load: Load) -> None:
    loaded = load(f"{STEP}    schema: s.json\n", {"s.json": "{type: object}"})
    assert _shown(loaded) == (
        "s.json:1:2: invalid-json: s.json is no JSON: expecting property name enclosed in double quotes\n"
        "    1 | {type: object}\n"
        "      |  ^\n"
        "  used by:  step 'a', flow.yaml:5:13"
    )


def test_a_yaml_file_may_hold_a_schema_as_yaml(load: Load) -> None:
    loaded = load(f"{STEP}    schema: s.yaml\n", {"s.yaml": "{type: object}"})
    assert loaded.problems == ()
    assert loaded.workflow is not None
    schema = loaded.workflow.steps["a"].schema
    assert schema is not None
    assert (schema.value, schema.file) == ({"type": "object"}, "s.yaml")


def test_a_number_too_long_for_json_is_left_to_the_check_of_the_schema(load: Load) -> None:
    loaded = load(f"{STEP}    schema: s.json\n", {"s.json": '{"maximum": ' + "9" * 5000 + "}"})
    assert "invalid-json" not in [problem.code for problem in loaded.problems]


def test_what_a_step_lacks_is_not_told_where_a_merge_may_bring_it(load: Load) -> None:
    loaded = load("x-base: &base {model: m, prompt: p}\nsteps:\n  a:\n    <<: *base\n    repair: 1\n")
    assert [problem.code for problem in loaded.problems] == ["merge-key"]


def test_a_schema_of_data_names_its_user(load: Load) -> None:
    loaded = load(f"data: {{d: {{file: d.csv, schema: s.json}}}}\n{STEP}", {"s.json": "[1]"})
    assert loaded.problems[0].notes == (("used by", "data source 'd', flow.yaml:1:33"),)


# --- includes


def test_an_include_brings_models_inputs_data_and_steps(write: Write) -> None:
    root = write(
        {
            "flows/a.yaml": "include: [../shared/b.yaml]\ndefaults: {repair: 2}\nsteps: {own: {model: fast, prompt: p}}\n",
            "shared/b.yaml": (
                "format: 1\ndescription: d\nx-y: 1\nmodels: {fast: a/b}\ninputs: {i: {type: string, from_file: i.txt}}\n"
                "data: {d: {file: d.csv, schema: s.json}}\n"
                "steps:\n  theirs: {model: fast, prompt: {file: p.md}, schema: {$ref: s.json}}\n"
            ),
            "shared/p.md": "Hi",
            "shared/s.json": "{}",
        }
    )
    loaded = load_workflow(root / "flows" / "a.yaml")
    assert loaded.problems == ()
    flow = loaded.workflow
    assert flow is not None
    assert (list(flow.steps), list(flow.models)) == (["own", "theirs"], ["fast"])
    assert (flow.data["d"].file, flow.inputs["i"].from_file) == ("shared/d.csv", "shared/i.txt")
    theirs = flow.steps["theirs"]
    assert theirs.repair == 2
    assert theirs.at("repair").file == "flows/a.yaml"
    (message,) = theirs.messages
    assert isinstance(message, MessageTemplate)
    assert message.text.file == "shared/p.md"
    assert theirs.schema is not None
    assert (theirs.schema.base, flow.data["d"].schema and flow.data["d"].schema.base) == ("shared", "shared")
    assert theirs.span == Span("shared/b.yaml", 8, 3, 6)


def test_a_name_in_both_files_is_an_error(complaints: Complaints) -> None:
    shown = complaints(f"include: [b.yaml]\n{STEP}", {"b.yaml": "steps:\n  a: {model: m, prompt: p}\n"})
    assert shown == (
        "flow.yaml:3:3: defined-twice: step 'a' is defined in flow.yaml and in b.yaml\n"
        "    3 |   a:\n"
        "      |   ^\n"
        "  expected: a name that only one of the files defines\n"
        "  other:    b.yaml:2:3"
    )


def test_an_included_file_brings_nothing_else(load: Load) -> None:
    loaded = load(f"include: [b.yaml]\n{STEP}", {"b.yaml": "include: [c.yaml]\ndefaults: {}\noutputs: {}\n"})
    assert _messages(loaded) == [
        "the included file b.yaml has no key 'include'",
        "the included file b.yaml has no key 'defaults'",
        "the included file b.yaml has no key 'outputs'",
    ]


def test_includes_that_cannot_be(load: Load) -> None:
    loaded = load(
        f"include: [b.yaml, ./b.yaml, flow.yaml, no.yaml, list.yaml, 5, ../x.yaml]\n{STEP}",
        {"b.yaml": "x-a: 1", "list.yaml": "- 1"},
    )
    assert sorted(_messages(loaded)) == sorted(
        [
            "entry 6 of 'include' of the workflow is the number 5",
            "b.yaml is included twice",
            "flow.yaml is the workflow itself",
            "there is no file no.yaml",
            "the included file list.yaml is a list",
            "../x.yaml lies outside the project",
        ]
    )
    assert loaded.workflow is not None


# --- values


def test_values_are_read_with_the_same_rules() -> None:
    assert load_values(b"a: no\nb: [1, 2.5]\n", "x.yaml") == ({"a": "no", "b": [1, 2.5]}, [])
    value, problems = load_values(b"a: 1\na: 2\n", "x.yaml")
    assert (value, [problem.code for problem in problems]) == ({"a": 1}, ["duplicate-key"])
    value, problems = load_values(b"\x00", "x.yaml")
    assert (value, [problem.code for problem in problems]) == (None, ["not-text"])


def test_settings_that_are_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "runner.yaml").symlink_to("nowhere")
    (problem,) = load_settings(tmp_path).problems
    assert problem.message == "runner.yaml is a link to 'nowhere', where there is no file"


def test_a_key_in_the_settings_is_never_shown(write: Write) -> None:
    root = write(
        {
            "runner.yaml": 'providers:\n  a: {dialect: gemini, base_url: "https://me:hush@a.example", api_key: hush}\n'
            '  b: {dialect: gemini, base_url: "https://b.example", "token": "hush", key_env: B_KEY}\n'
        }
    )
    shown = load_settings(root).sources["runner.yaml"]
    assert "hush" not in shown
    assert 'base_url: "https://•••••••@a.example", api_key: ••••}' in shown
    assert 'base_url: "https://b.example", "token": "••••", key_env: B_KEY}' in shown
