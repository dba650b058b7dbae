"""What is worth knowing of models, and nothing more: names that move, models with an end."""

from __future__ import annotations

from collections.abc import Callable

FLOW = "steps:\n  a: {model: %s, prompt: x}\n"


def test_a_moving_name_is_a_note(findings: Callable[..., str]) -> None:
    assert findings(FLOW % "openai/fast-latest", with_notes=True) == (
        "flow.yaml:2:14: note: moving-name: openai/fast-latest is a moving name: "
        "its vendor may answer with another model under it\n"
        "    2 |   a: {model: openai/fast-latest, prompt: x}\n"
        "      |              ^^^^^^^^^^^^^^^^^^\n"
        "  fix:      'run --update-lock' notes the version that answers, and 'run --locked' holds it"
    )
    assert findings(FLOW % "openai/fast-latest") == ""


def test_a_model_with_an_end_is_a_note_that_names_its_replacement(findings: Callable[..., str]) -> None:
    shown = findings(FLOW % "openai/old", with_notes=True)
    assert shown.splitlines()[0] == (
        "flow.yaml:2:14: note: model-end: openai/old is switched off by its vendor on 2027-01-01"
    )
    assert shown.splitlines()[-1] == "  fix:      openai/new"
    assert "fix" not in findings(FLOW % "openai/older", with_notes=True)
