"""Two models that speak with each other: each sees the same conversation with its own lines as its own."""

from __future__ import annotations

from typing import Any

FLOW = """
format: 1
name: duel
steps:
  duel:
    loop:
      max: 3
      state:
        fields: {said: [{white: string, black: string}]}
        start: {said: []}
      steps:
        white:
          model: box/white
          messages:
            - {role: user, text: Begin.}
            - for_each: state.said
              as: turn_before
              messages:
                - {role: assistant, text: "{{ turn_before.white }}"}
                - {role: user, text: "{{ turn_before.black }}"}
        black:
          model: box/black
          messages:
            - for_each: state.said
              as: turn_before
              messages:
                - {role: user, text: "{{ turn_before.white }}"}
                - {role: assistant, text: "{{ turn_before.black }}"}
            - {role: user, text: "{{ steps.white.text }}"}
      next:
        said: 'state.said + [{"white": steps.white.text, "black": steps.black.text}]'
outputs: {said: steps.duel.state.said}
"""


def test_two_models_play_against_each_other_and_a_rerun_asks_neither(project: Any) -> None:
    def respond(_dialect: str, body: Any, _n: int) -> Any:
        turn = sum(message["role"] == "assistant" for message in body["messages"]) + 1
        return project.Answer(text=f"{body['model']} {turn}")

    project.server.respond = respond
    project.workflow(FLOW)
    result = project.run(consent=True)
    assert result.outputs == {"said": [{"white": f"white {n}", "black": f"black {n}"} for n in (1, 2, 3)]}
    bodies = project.server.bodies
    assert [body["model"] for body in bodies] == ["white", "black"] * 3
    assert [(one["role"], one["content"]) for one in bodies[4]["messages"]] == [
        ("user", "Begin."), ("assistant", "white 1"), ("user", "black 1"), ("assistant", "white 2"), ("user", "black 2"),
    ]  # fmt: skip
    assert [(one["role"], one["content"]) for one in bodies[5]["messages"]] == [
        ("user", "white 1"), ("assistant", "black 1"), ("user", "white 2"), ("assistant", "black 2"), ("user", "white 3"),
    ]  # fmt: skip
    assert project.run(consent=True).outputs == result.outputs
    assert project.server.count == 0
