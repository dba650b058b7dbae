"""A workflow of about 2,000 lines as a large project would write it: every step reads earlier ones, none is a copy.

uv run python benchmarks/large.py > large.yaml
"""

from __future__ import annotations

from collections.abc import Iterator

STEPS = 130
_THEMES = ("delivery", "price", "quality", "service", "usability", "safety", "billing")

_HEAD = """\
# yaml-language-server: $schema=../.runner/workflow.schema.json
format: 1
name: large
description: Reads contracts, finds what is in them, and writes reports about it.

inputs:
  customer: {type: string, description: Whom the report is for}
  language: {enum: [English, German, French], default: English}
  limits:
    type: object
    properties: {words: {type: integer, minimum: 10}, claims: {type: integer}}
    required: [words, claims]
    default: {words: 200, claims: 5}

data:
  contracts:
    file: contracts.jsonl
    key: id
    schema:
      type: object
      properties: {id: {type: string}, text: {type: string}, year: {type: integer}, country: {type: string}}
      required: [id, text, year]

models:
  fast: gemini/gemini-3.1-flash-lite

defaults:
  model: fast
  repair: 1

steps:
"""


def large_workflow(steps: int = STEPS) -> str:
    """The text of the workflow; in a project of its own it needs one line of `contracts.jsonl` and no other file."""
    lines = [_HEAD]
    lines += ["\n".join(_step(number)) + "\n" for number in range(steps)]
    lines.append("\n".join(_outputs(steps)) + "\n")
    return "\n".join(lines)


def _step(number: int) -> Iterator[str]:
    match number % 5:
        case 0:
            yield from _claims(number)
        case 1:
            yield from _judged(number)
        case 2:
            yield from _row(number)
        case 3:
            yield from _text(number)
        case _:
            yield from _report(number)


def _claims(number: int) -> Iterator[str]:
    theme = _THEMES[number % len(_THEMES)]
    earlier = f"steps.claims_{number - 5}.output.title" if number else "inputs.customer"
    yield f"  claims_{number}:"
    yield f"    description: What is said about {theme}, part {number}."
    yield "    system: You read contracts and answer with what they say, never with what they should say."
    yield "    prompt: |"
    yield f"      For {{{{ inputs.customer }}}}: list what is claimed about {theme} (part {number})."
    yield f"      Before this came: {{{{ {earlier} }}}}"
    yield "      At most {{ inputs.limits.claims }} claims, in {{ inputs.language }}."
    yield "    schema:"
    yield "      type: object"
    yield "      properties:"
    yield "        title: {type: string, minLength: 1}"
    yield "        claims:"
    yield "          type: array"
    yield "          items:"
    yield "            type: object"
    yield f"            properties: {{text: {{type: string}}, part_{number}: {{type: integer}}}}"
    yield f"            required: [text, part_{number}]"
    yield "      required: [title, claims]"


def _judged(number: int) -> Iterator[str]:
    claims = f"steps.claims_{number - 1}.output"
    yield f"  judged_{number}:"
    yield f"    description: How well part {number - 1} holds."
    yield "    prompt: |"
    yield f"      Title: {{{{ {claims}.title | upper }}}}"
    yield f"      {{% for claim in {claims}.claims %}}"
    yield f"      {{{{ loop.index }}}}. {{{{ claim.text }}}} (part {{{{ claim.part_{number - 1} }}}})"
    yield "      {% else %}"
    yield f"      Nothing is claimed in part {number - 1}."
    yield "      {% endfor %}"
    yield "    fields:"
    yield "      verdict: [holds, doubtful, wrong]"
    yield "      score: integer 0..100"
    yield "      reasons: [string]"
    yield "    ensure:"
    yield f"      - output.score >= {number % 10} or output.verdict == 'wrong'"
    yield "      - output.reasons | length > 0"


def _row(number: int) -> Iterator[str]:
    yield f"  row_{number}:"
    yield "    for_each: data.contracts"
    yield "    on_error: skip"
    yield "    min_success: 0.9"
    yield "    prompt: |"
    yield f"      Question {number}: what does contract {{{{ item.id }}}} of {{{{ item.year }}}} promise?"
    yield f"      It is read for {{{{ inputs.customer }}}}; the verdict so far: {{{{ steps.judged_{number - 1}.output.verdict }}}}."
    yield "      {% if item.country is defined %}Country: {{ item.country }}{% endif %}"
    yield "      {{ item.text }}"
    yield "    fields:"
    yield "      promise: string"
    yield "      is_kept: boolean"
    yield f"      weight_{number}: number"


def _text(number: int) -> Iterator[str]:
    yield f"  text_{number}:"
    yield f"    when: steps.judged_{number - 2}.output.score > {number % 20}"
    yield "    max_output_tokens: 400"
    yield "    prompt: |"
    yield f"      Write {{{{ inputs.limits.words }}}} words about part {number}:"
    yield f"      {{{{ steps.row_{number - 1}.outputs | length }}}} contracts were read."
    yield f"      {{% set kept = steps.row_{number - 1}.outputs | selectattr('is_kept') | list %}}"
    yield "      {{ kept | length }} promises are kept, such as:"
    yield f"      {{% for row in kept[:3] %}}- {{{{ row.promise }}}} ({{{{ row.weight_{number - 1} | round(2) }}}})"
    yield "      {% endfor %}"
    yield f"      Reasons: {{{{ steps.judged_{number - 2}.output.reasons | join(', ') }}}}"


def _report(number: int) -> Iterator[str]:
    yield f"  report_{number}:"
    yield "    messages:"
    yield "      - role: user"
    yield "        text: |"
    yield f"          This is part {number} of the report for {{{{ inputs.customer }}}}."
    yield f"          {{{{ steps.text_{number - 1}.text | default('(left out)') }}}}"
    yield f"      - {{role: assistant, text: Which verdict does part {number} have?}}"
    yield f"      - {{role: user, text: 'It is {{{{ steps.judged_{number - 3}.output.verdict }}}}. Sum up.'}}"
    yield "    fields:"
    yield "      summary: string"
    yield "      mood: [good, bad, mixed]"
    yield "    ensure:"
    yield "      - output.summary | length < 2000"


def _outputs(steps: int) -> Iterator[str]:
    yield "outputs:"
    for number in range(4, steps, 5):
        yield f"  summary_{number}: steps.report_{number}.output.summary"
        yield f"  promises_{number}: steps.row_{number - 2}.outputs | map(attribute='promise') | list"
    yield "  table:"
    yield "    rows: data.contracts"
    yield "    file: out/contracts.csv"
    yield "    columns:"
    yield "      id: item.id"
    for number in range(2, steps, 5):
        yield f"      kept_{number}: steps.row_{number}.output.is_kept"


if __name__ == "__main__":
    print(large_workflow(), end="")
