"""`check --fix` on real files: what is safe is repaired, and not a byte more."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.app import api
from runner.app.fixing import replace_file
from runner.core.errors import StorageError

HEAD = "inputs:\n  topic: {type: string}\n"
STEP = "    model: local/smollm2-135m\n"

Fix = Callable[..., str]


@pytest.fixture
def fix(tmp_path: Path) -> Fix:
    """What a workflow's text is after --fix; other files are written beside it."""
    (tmp_path / "pyproject.toml").write_text("", "utf-8")

    def repair(text: str, **files: str) -> str:
        for name, content in files.items():
            (tmp_path / f"{name}.md").write_bytes(content.encode())
        path = tmp_path / "flow.yaml"
        path.write_bytes(text.encode())
        shown = api.check([path])
        expected = api.fix([path], is_writing=False)
        assert path.read_bytes() == text.encode()
        done = api.fix([path])
        assert (done.repaired, done.diff) == (expected.repaired, expected.diff)
        assert bool(done.repaired) == any(problem.edits for problem in shown.problems)
        again = api.fix([path])
        assert (again.repaired, again.diff, again.files) == (0, "", ())
        return path.read_bytes().decode()

    return repair


REPAIRS = {
    "a misspelt key": ("steps:\n  a:\n" + STEP + "    promt: Hi  # say hi\n", "    prompt: Hi  # say hi\n"),
    "another style of a key": ("steps:\n  a:\n" + STEP + "    prompt: Hi\n    onError: skip\n", "    on_error: skip\n"),
    "a key in quotes": ("steps:\n  a:\n" + STEP + '    "promt": Hi\n', '    "prompt": Hi\n'),
    "a misspelt choice": ("steps:\n  a:\n" + STEP + "    prompt: Hi\n    on_error: skipp\n", "    on_error: skip\n"),
    "a number where text is meant": ("name: 1.10\nsteps:\n  a:\n" + STEP + "    prompt: Hi\n", 'name: "1.10"\n'),
    "a truth value where text is meant": ("steps:\n  a:\n" + STEP + "    prompt: yes\n    system: true\n", '"true"'),
    "a quoted number": ("steps:\n  a:\n" + STEP + "    prompt: Hi\n    repair: '1'\n", "    repair: 1\n"),
    "a double-quoted number": ("steps:\n  a:\n" + STEP + '    prompt: Hi\n    repair: "1"\n', "    repair: 1\n"),
    "a key that is a number": (
        "steps:\n  a:\n" + STEP + "    prompt: Hi\n    fields: {1: string}\n",
        'fields: {"1": string}',
    ),
    "an unquoted template": (
        HEAD + "steps:\n  a:\n" + STEP + "    prompt: {{ inputs.topic }}  # it\n",
        'prompt: "{{ inputs.topic }}"  # it\n',
    ),
    "an unquoted template with more text": (
        HEAD + "steps:\n  a:\n" + STEP + '    prompt: {{ inputs.topic }} and "more"  # it\n',
        "prompt: '{{ inputs.topic }} and \"more\"'  # it\n",
    ),
    "an unquoted expression": (
        HEAD + "steps:\n  a:\n" + STEP + "    prompt: Of {{ inputs.topic }}\n    when: {{ inputs.topic }}\n",
        '    when: "inputs.topic"\n',
    ),
    "braces in an expression": (
        HEAD + "steps:\n  a:\n" + STEP + "    prompt: Of {{ inputs.topic }}\n    when: '{{- -1 < 2 }}'\n",
        "    when: '-1 < 2'\n",
    ),
    "braces in a block": (
        HEAD + "steps:\n  a:\n" + STEP + "    prompt: Of {{ inputs.topic }}\n    when: |\n      {{ inputs.topic }}\n",
        "    when: |\n      inputs.topic\n",
    ),
    "an expression cut in brackets": (
        "steps:\n  a:\n" + STEP + "    prompt: Hi\n    when: min(1, 2) == 1\n    ensure: [max(1, 2) == 2]\n",
        'ensure: ["max(1, 2) == 2"]\n',
    ),
    "a misspelt input": (
        HEAD + "steps:\n  a:\n" + STEP + "    prompt: |\n      On {{ inputs.tpoic }}.\n      Now.\n",
        "      On {{ inputs.topic }}.\n      Now.\n",
    ),
    "a misspelt input in quotes": (
        HEAD + "steps:\n  a:\n" + STEP + "    prompt: On {{ inputs['tpoic'] }}.\n",
        "    prompt: On {{ inputs['topic'] }}.\n",
    ),
    "a misspelt root": (
        HEAD + "steps:\n  a:\n" + STEP + "    prompt: On {{ input.topic }}.\n",
        "    prompt: On {{ inputs.topic }}.\n",
    ),
    "a misspelt filter": ("steps:\n  a:\n" + STEP + "    prompt: \"{{ 'x' | uper }}\"\n", "{{ 'x' | upper }}"),
    "a misspelt test": ("steps:\n  a:\n" + STEP + '    prompt: "{{ 1 is defind }}"\n', "{{ 1 is defined }}"),
    "a misspelt function": ("steps:\n  a:\n" + STEP + '    prompt: "{{ rnage(2) }}"\n', "{{ range(2) }}"),
    "a misspelt type": ("steps:\n  a:\n" + STEP + "    prompt: Hi\n    fields: {a: strng}\n", "fields: {a: string}\n"),
    "a misspelt option": (
        "steps:\n  a:\n    model: openai-chat/gpt-5\n    prompt: Hi\n    options: {servicetier: flex}\n",
        "options: {service_tier: flex}\n",
    ),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_one_mistake_is_repaired_and_nothing_else_changes(name: str, fix: Fix) -> None:
    text, wanted = REPAIRS[name]
    after = fix(text)
    assert wanted in after
    kept = [line for line in text.splitlines() if line in after.splitlines()]
    assert len(kept) == len(text.splitlines()) - 1
    assert len(after.splitlines()) == len(text.splitlines())


STEPS = f"steps:\n  read:\n{STEP}    prompt: Read.\n  sort:\n{STEP}    prompt: Sort.\n  reply:\n{STEP}"
READS = "    prompt: Answer {{ steps.read.text }} and {{ steps.sort.text }}.\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    needs: []\n", "    needs: [read, sort]\n"),
        ("    needs: [ read ]  # first\n", "    needs: [ read, sort ]  # first\n"),
        ("    needs: ['read']\n", "    needs: ['read', sort]\n"),
        ("    needs:\n      - read  # first\n", "    needs:\n      - sort\n      - read  # first\n"),
        ("    needs:\n    - sort\n", "    needs:\n    - read\n    - sort\n"),
        ("    needs: [raed]\n", "    needs: [read, sort]\n"),
    ],
)
def test_needs_are_completed(before: str, after: str, fix: Fix) -> None:
    assert fix(STEPS + before + READS) == STEPS + after + READS


def test_a_list_in_brackets_over_lines_is_left_alone(fix: Fix) -> None:
    text = STEPS + "    needs: [\n      read\n    ]\n" + READS
    assert fix(text) == text


UNSAFE = {
    "a name with two near ones": "inputs: {topic_a: {type: string}, topic_b: {type: string}}\nsteps:\n  a:\n"
    + STEP
    + "    prompt: '{{ inputs.topic_a }} {{ inputs.topic_b }} {{ inputs.topic_c }}'\n",
    "a name that differs by a digit": "inputs: {line1: {type: string}}\nsteps:\n  a:\n"
    + STEP
    + "    prompt: '{{ inputs.line1 }} {{ inputs.line2 }}'\n",
    "a key that is there already": "steps:\n  a:\n" + STEP + "    prompt: Hi\n    promt: Ho\n",
    "two keys for one": "steps:\n  a:\n" + STEP + "    prompt: Hi\n    on_eror: fail\n    onerror: skip\n",
    "a model": "steps:\n  a:\n    model: local/smollm2-135\n    prompt: Hi\n",
    "a number in folded text": "steps:\n  a:\n" + STEP + "    prompt: >\n      {{ 'x' | uper }}\n",
    "a template that goes on below": "steps:\n  a:\n" + STEP + "    prompt: {{ 1 }} and\n      more\n",
    "a template with a sign of a comment": "steps:\n  a:\n" + STEP + "    prompt: {{ 1 # 2 }} and\n",
    "a template that is not closed": "steps:\n  a:\n" + STEP + "    prompt: {{ 1 and\n",
    "a quoted word for a number": "steps:\n  a:\n" + STEP + "    prompt: Hi\n    repair: 'one'\n",
    "tabs of unknown width": "steps:\n\ta:\n\t\tmodel: local/smollm2-135m\n\t\tprompt: |\n\t\t\tHi\n\t\t\t\tHo\n",
    "braces around two values": HEAD
    + "steps:\n  a:\n"
    + STEP
    + "    prompt: '{{ inputs.topic }}'\n    when: '{{ inputs.topic }} == {{ inputs.topic }}'\n",
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_not_certain_stays(name: str, fix: Fix) -> None:
    assert fix(UNSAFE[name]).count("\n") == UNSAFE[name].count("\n")
    if name != "two keys for one":
        assert fix(UNSAFE[name]) == UNSAFE[name]


# --- bytes, files and rounds


def test_line_ends_the_byte_order_mark_and_everything_else_stay(fix: Fix) -> None:
    text = "\ufeffinputs: {topic: {type: string}}\r\nsteps:\r\n  a:  # 🙂\r\n    model: local/smollm2-135m\r\n    promt: '🙂 {{ inputs.tpoic }}'\r\n"
    wanted = text.replace("promt", "prompt").replace("tpoic", "topic")
    assert fix(text) == wanted


def test_lines_that_are_added_end_as_the_others(fix: Fix) -> None:
    text = (STEPS + "    needs:\n    - sort\n" + READS).replace("\n", "\r\n")
    assert fix(text) == (STEPS + "    needs:\n    - read\n    - sort\n" + READS).replace("\n", "\r\n")


def test_tabs_become_spaces_where_there_is_one_way(fix: Fix) -> None:
    text = "steps:\n\ta:\n\t\tmodel: local/smollm2-135m\n\t\tprompt: Hi\n"
    assert fix(text) == text.replace("\t", "  ")
    one = "steps:\n  a:\n\tmodel: local/smollm2-135m\n    prompt: Hi\n"
    assert fix(one) == one.replace("\t", "    ")


def test_a_prompt_file_is_repaired_where_all_its_readers_agree(fix: Fix, tmp_path: Path) -> None:
    flow = HEAD + "steps:\n  a:\n" + STEP + "    prompt: {file: p.md}\n"
    assert fix(flow, p="On {{ inputs.tpoic }}.\n") == flow
    assert (tmp_path / "p.md").read_text("utf-8") == "On {{ inputs.topic }}.\n"


def test_a_prompt_file_that_another_workflow_reads_well_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", "utf-8")
    (tmp_path / "p.md").write_text("On {{ inputs.tpoic }}.\n", "utf-8")
    flows = []
    for name in ("topic", "tpoic"):
        flows.append(tmp_path / f"{name}.yaml")
        text = f"inputs: {{{name}: {{type: string}}}}\nsteps:\n  a:\n{STEP}    prompt: {{file: p.md}}\n"
        flows[-1].write_text(text, "utf-8")
    assert api.fix(flows).repaired == 0
    assert (tmp_path / "p.md").read_text("utf-8") == "On {{ inputs.tpoic }}.\n"


def test_what_is_left_is_reported(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", "utf-8")
    path = tmp_path / "flow.yaml"
    path.write_text("steps:\n  a:\n" + STEP + "    promt: '{{ inputs.zzz }}'\n", "utf-8")
    done = api.fix([path])
    assert (done.repaired, done.files) == (1, ("flow.yaml",))
    assert [(problem.code, problem.edits) for problem in done.left.problems] == [("unknown-input", ())]
    assert done.diff.startswith("--- a/flow.yaml\n+++ b/flow.yaml\n@@")
    assert "-    promt: '{{ inputs.zzz }}'\n+    prompt: '{{ inputs.zzz }}'\n" in done.diff


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"one")
    path.chmod(0o640)
    replace_file(path, b"one", b"two")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o640)
    assert [one.name for one in tmp_path.iterdir()] == ["a.yaml"]


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"else")
    with pytest.raises(StorageError, match=r"a\.yaml was changed by somebody else meanwhile"):
        replace_file(path, b"one", b"two")
    assert path.read_bytes() == b"else"


def test_a_file_that_cannot_be_written_is_a_storage_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"one")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"a\.yaml cannot be written: permission denied"):
        replace_file(path, b"one", b"two")
    assert [one.name for one in tmp_path.iterdir()] == ["a.yaml"]


WORDS = ["prompt: Hi", "promt: Hi", "on_error: skip", "on_eror: skip", "on_error: skipp", "repair: '1'", "system: 1.5",
         "when: '{{ inputs.topic }}'", "ensure: [text]", "system: Be # kind", "tags: [x, y]", "temprature: 1"]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=5, unique_by=lambda word: word.partition(":")[0]), st.booleans())
def test_repairs_touch_only_lines_with_findings_and_need_no_second_time(words: list[str], is_crlf: bool) -> None:
    text = HEAD + "steps:\n  a:\n" + STEP + "".join(f"    {word}\n" for word in words)
    text = text.replace("\n", "\r\n") if is_crlf else text
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flow.yaml"
        path.write_bytes(text.encode())
        (Path(folder) / "pyproject.toml").write_text("", "utf-8")
        lines = {edit.line for problem in api.check([path]).problems for edit in problem.edits}
        api.fix([path])
        after = path.read_bytes().decode()
        assert api.fix([path]).repaired == 0
    before = text.splitlines(keepends=True)
    changed = {
        number for number, (a, b) in enumerate(zip(before, after.splitlines(keepends=True), strict=True), 1) if a != b
    }
    assert changed <= lines
