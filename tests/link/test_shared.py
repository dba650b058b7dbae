"""What of a step's question is the same for all items, found from what its texts read."""

from __future__ import annotations

from collections.abc import Callable

from runner.link.linked import Linked
from runner.link.shared import SharedEntries

LinkText = Callable[..., Linked]
HEAD = """
    inputs: {{book: {{type: string}}, words: {{type: array, items: {{type: string}}}}, rows: {{type: array, items: {{type: string}}}}}}
    steps:
      rules: {{prompt: "Sum up {{{{ inputs.book }}}}"}}
      each: {{for_each: inputs.rows, prompt: "{{{{ item }}}}"}}
      ask:
        for_each: {rows}
        as: row
        context_cache: {{ttl: 1h}}
{step}
    """


def shared(linked: LinkText, step: str, rows: str = "inputs.rows") -> SharedEntries | None:
    indented = "\n".join(f"        {line}" for line in step.strip().splitlines())
    return linked(HEAD.format(rows=rows, step=indented)).steps["ask"].shared


def test_what_reads_inputs_and_steps_that_run_once_is_the_same(linked: LinkText) -> None:
    step = """
system: "{{ inputs.book }} {{ steps.rules.text }}"
messages:
  - {role: user, text: "{{ inputs.book }}"}
  - {role: assistant, text: Yes.}
  - {role: user, text: "{{ row }}"}
"""
    assert shared(linked, step) == SharedEntries(2, 0, True)


def test_all_answers_of_another_list_are_the_same(linked: LinkText) -> None:
    assert (
        shared(linked, 'system: "{{ steps.each.texts | join }}"\nprompt: "{{ row }}"', "inputs.words")
        == SharedEntries()
    )


def test_the_answer_of_this_item_is_not(linked: LinkText) -> None:
    step = 'system: "{{ steps.each.text }}"\nprompt: "{{ row }}"'
    assert shared(linked, step) == SharedEntries(is_system=False)
    assert shared(linked, 'system: "{% if steps.each.skipped %}none{% endif %}"\nprompt: "{{ row }}"') == SharedEntries(
        is_system=False
    )


def test_the_item_changes_a_text_under_each_of_its_names(linked: LinkText) -> None:
    assert shared(linked, 'system: "{{ item }}"\nprompt: Hello.') == SharedEntries(1, 0, False)
    assert shared(linked, 'system: "{{ row }}"\nprompt: Hello.') == SharedEntries(1, 0, False)
    assert shared(linked, 'system: "{% set x = row %}{{ x }}"\nprompt: Hello.') == SharedEntries(1, 0, False)


def test_repeated_messages_are_the_same_when_their_list_is(linked: LinkText) -> None:
    step = """
messages:
  - {{for_each: '{items}', as: one, messages: [{{role: user, text: "{{{{ {read} }}}}"}}]}}
  - {{role: user, text: "{{{{ row }}}}"}}
"""
    assert shared(linked, step.format(items="inputs.words", read="one")) == SharedEntries(1)
    assert shared(linked, step.format(items="[row]", read="one")) == SharedEntries(0)
    assert shared(linked, step.format(items="inputs.words", read="row")) == SharedEntries(0)


def test_files_are_the_same_up_to_the_first_that_changes(linked: LinkText) -> None:
    step = """
files:
  - {document: book.pdf}
  - {for_each: inputs.words, as: word, files: [{image: "{{ word }}.png"}]}
  - {image: "{{ row }}.png"}
  - {document: book.pdf}
prompt: "{{ row }}"
"""
    assert shared(linked, step) == SharedEntries(0, 2)


def test_a_step_that_does_not_want_it_is_not_looked_at(linked: LinkText) -> None:
    assert linked("steps: {a: {prompt: Hello.}}\n").steps["a"].shared is None
