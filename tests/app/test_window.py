"""A question that the model cannot read is not asked."""

from __future__ import annotations

from typing import Any

FLOW = """
format: 1
inputs: {text: {type: string}}
models: {small: local/smollm2-135m}
steps:
  a: {model: small, prompt: "Say: {{ inputs.text }}"}
"""


def test_a_prompt_with_more_words_than_the_window_fails_before_a_call(project: Any) -> None:
    project.workflow(FLOW)
    result = project.run(inputs={"text": "word " * 3000})
    assert result.exit_code == 1
    assert [failure.failure.message for failure in result.failures] == [
        "the prompt has at least 3,001 tokens, and local/smollm2-135m reads at most 2,048"
    ]
    assert result.summary.calls == 0
