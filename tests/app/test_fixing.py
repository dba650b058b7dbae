"""`check --fix` on real files: what is safe is repaired, and not a byte more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.app import api

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
