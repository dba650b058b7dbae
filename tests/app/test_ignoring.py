"""Comments that silence findings, on real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.app import api
from runner.app.types import CheckReport

STEP = "steps:\n  a: {model: local/smollm2-135m, prompt: Hello.}\n"
Check = Callable[..., list[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """The findings as `line:column code`."""
    (tmp_path / "pyproject.toml").write_text("", "utf-8")

    def find(text: str, *, is_strict: bool = False, **files: str) -> list[str]:
        for name, content in files.items():
            (tmp_path / f"{name}.md").write_text(content, "utf-8")
        (tmp_path / "flow.yaml").write_text(text, "utf-8")
        report: CheckReport = api.check([tmp_path / "flow.yaml"], is_strict=is_strict)
        return [f"{p.span.line}:{p.span.column} {p.code}" for p in report.problems if p.span]

    return find


@pytest.mark.parametrize(
    "inputs",
    [
        "inputs:\n  who: {type: string}  # runner: ignore[unused-input]\n",
        "inputs:\n  # runner: ignore[unused-input]\n  who: {type: string}\n",
        "inputs:\n  # runner: ignore[unused-input]\n  # it is for later\n\n  who: {type: string}\n",
        "inputs:\n  who: {type: string}  #runner: ignore[unused-data, unused-input] it is for later\n",
    ],
)
def test_a_comment_on_the_line_or_above_silences_a_warning(inputs: str, check: Check) -> None:
    assert check(inputs + STEP) == []


@pytest.mark.parametrize(
    "inputs",
    [
        "# runner: ignore[unused-input]\ninputs:\n  who: {type: string}\n",
        "inputs:\n  who: {type: string}\n  # runner: ignore[unused-input]\n",
        "inputs:\n  who: {type: string}  # runner: ignore[unused-data]\n",
        "inputs:\n  who: {type: string, description: '# runner: ignore[unused-input]'}\n",
        "inputs:\n  who: {type: string, description: '\n # runner: ignore[unused-input]'}\n",
    ],
)
def test_a_comment_elsewhere_or_inside_a_value_silences_nothing(inputs: str, check: Check) -> None:
    assert [found.split()[1] for found in check(inputs + STEP)] == ["unused-input"]


SOFT = "steps:\n  a:\n    model: local/smollm2-135m\n    prompt: Hello.\n    schema: {type: object, properties: {x: {type: string}}}\n"
READS = "  b:\n    model: local/smollm2-135m\n"


def test_a_comment_that_opens_a_block_holds_for_the_block(check: Check) -> None:
    block = "    prompt: |{}\n      Repeat:\n      {{{{ steps.a.output.x }}}}\n    on_error: fail\n"
    assert check(SOFT + READS + block.format("")) == ["10:25 may-be-absent"]
    assert check(SOFT + READS + block.format("  # runner: ignore[may-be-absent]")) == []


def test_a_sign_inside_a_block_is_text(check: Check) -> None:
    block = "    prompt: |\n      # runner: ignore[may-be-absent]\n      {{ steps.a.output.x }}\n"
    assert check(SOFT + READS + block) == ["10:25 may-be-absent"]


@pytest.mark.parametrize(
    "prompt",
    [
        "{{ steps.a.output.x }} {# runner: ignore[may-be-absent] #}\n",
        "{#- runner: ignore[may-be-absent] -#}\n{{ steps.a.output.x }}\n",
    ],
)
def test_a_comment_in_a_prompt_file_silences(prompt: str, check: Check) -> None:
    assert check(SOFT + READS + "    prompt: {file: p.md}\n", p=prompt) == []


def test_an_error_from_the_catalogue_can_be_silenced_and_the_run_agrees(check: Check) -> None:
    step = "steps:\n  a:\n    model: gemini/gemini-3.1-flash-lite\n    prompt: Hello.\n"
    cap = "    max_output_tokens: 1000000"
    assert check(f"{step}{cap}\n") == ["5:24 over-the-cap"]
    assert check(f"{step}{cap}  # runner: ignore[over-the-cap]\n") == []


def test_an_error_that_would_make_a_call_go_wrong_stays(check: Check) -> None:
    text = "steps:\n  a:\n    model: local/smollm2-135m\n    prompt: Hi {{ inputs.who }}  # runner: ignore[unknown-input]\n"
    assert "unknown-input" in "".join(check(text))


def test_an_unknown_code_is_a_warning_at_its_place(check: Check) -> None:
    assert check("inputs:\n  who: {type: string}  # runner: ignore[unused-input, unused-inptu]\n" + STEP) == [
        "2:55 unknown-code"
    ]


def test_a_comment_that_silences_nothing_is_told_by_strict(check: Check) -> None:
    text = "# runner: ignore[unused-data]\n" + STEP
    assert check(text) == []
    assert check(text, is_strict=True) == ["1:18 unused-ignore"]


def test_strict_keeps_still_where_errors_may_hide_what_is_silenced(check: Check) -> None:
    text = "# runner: ignore[unused-input]\ninputs: {who: {type: string}}\nsteps: {a: {model: 7, prompt: Hello.}}\n"
    assert "unused-ignore" not in "".join(check(text, is_strict=True))


def test_comments_above_a_syntax_error_are_read_and_others_are_not(check: Check) -> None:
    text = "# runner: ignore[unused-inptu]\nsteps: {a: @x}\n# runner: ignore[unused-inptu]\n"
    assert check(text) == ["1:18 unknown-code", "2:12 yaml-syntax"]
