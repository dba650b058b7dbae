"""References against schemas: nothing is said of what is right, and what is wrong is told at its own place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.checks import check
from runner.checks.context import CheckContext
from runner.checks.spelling import is_slip
from runner.config.load import ProjectFiles, load_workflow
from runner.link.linked import link
from runner.templates.environment import make_environment

CORRECT = Path(__file__).parent / "correct"
Findings = Callable[..., str]


def _further_files() -> dict[str, str]:
    found = (path for path in CORRECT.rglob("*") if path.is_file() and path.parent not in (CORRECT, CORRECT / "media"))
    return {path.relative_to(CORRECT).as_posix(): path.read_text("utf-8") for path in found}


@pytest.mark.parametrize("path", sorted(CORRECT.glob("*.yaml")), ids=lambda path: path.stem)
def test_nothing_is_said_of_a_correct_workflow(path: Path, findings: Findings) -> None:
    assert findings(path.read_text("utf-8"), files=_further_files()) == ""


FLOW = """\
defaults: {model: me/any, tags: [read-or-not]}
inputs:
  order: {type: object, properties: {id: {type: string}, lines: {type: array, items: {type: object, properties: {sku: {type: string}}, required: [sku], additionalProperties: false}}, note: {type: string}}, required: [id, lines], additionalProperties: false}
  size: {type: integer}
  examples: {type: array, items: {type: object, properties: {question: {type: string}}, required: [question], additionalProperties: false}}
data:
  reviews: {file: data/reviews.jsonl, key: id, schema: schemas/review.json}
  closed: {file: "-", schema: {type: object, properties: {title: {type: string}, tags: {type: array, items: {enum: [new, old]}}}, required: [title, tags], additionalProperties: false}}
  csv: {file: data/reviews.csv}
steps:
  extract: {prompt: x, schema: schemas/ticket.json}
  classify: {prompt: x, fields: {queue: [bug, billing, other], urgent: boolean, score: number, reasons: [string], parts: [{theme: [red, blue], note: "string?"}]}}
  tag: {for_each: data.closed, as: row, prompt: "{{ row.title }}", fields: {theme: [red, blue], mood: string}}
  each: {for_each: inputs.order.lines, as: line, prompt: "{{ line.sku }}"}
  write: {prompt: "{{ inputs.size }} {{ inputs.examples }}", samples: 2}
  guess: {prompt: x, fields: {beans: integer}, samples: 2}
  shape: {prompt: x, schema: schemas/shape.json}
  of_reviews: {for_each: data.reviews, prompt: "{{ item.text }}"}
  of_csv: {for_each: data.csv, prompt: "{{ item.text }}"}
"""
STEP = "  last: {prompt: '%s'}\n"
LAST = FLOW.count("\n") + 1


@dataclass(frozen=True)
class Wrong:
    """What is read in the prompt of a last step, or `yaml` that stands instead, and the finding: where and what.

    The place is the first occurrence of `at` behind the last blank line of the workflow.
    """

    name: str
    reads: str
    code: str
    at: str
    message: str
    yaml: str = STEP

    @property
    def text(self) -> str:
        return FLOW + (self.yaml % self.reads if "%s" in self.yaml else self.yaml)


OUTPUTS = "outputs:\n  last: %s\n"
IN_LANE = "  last: {for_each: data.closed, as: row, prompt: '%s'}\n"
EACH_LINE = "  last: {for_each: inputs.order.lines, as: line, prompt: '%s'}\n"
WHEN = "  last: {prompt: x, when: '%s'}\n"
ENSURE = "  last: {prompt: x, fields: {kind: [red, blue], n: integer}, ensure: ['%s']}\n"
THE_OUTPUT = "the output of 'classify'"
ORDER = "input 'order'"

WRONG = [
    # Fields that there are not.
    Wrong("misspelt", "{{ steps.classify.output.quue }}", "unknown-field", "quue", f"{THE_OUTPUT} has no field 'quue'"),
    Wrong("in brackets", '{{ steps.classify.output["quue"] }}', "unknown-field", '"quue"', f"{THE_OUTPUT} has no field 'quue'"),
    Wrong("of a schema file", "{{ steps.extract.output.titel }}", "unknown-field", "titel", "the output of 'extract' has no field 'titel'"),
    Wrong("behind a reference", "{{ steps.extract.output.customer.nam }}", "unknown-field", "nam", "'customer' in the output of 'extract' has no field 'nam'"),
    Wrong("of a nullable mapping", "{{ steps.extract.output.customer.address.town | default }}{{ steps.extract.output.customer.address.cty }}", "unknown-field", "cty", "'customer.address' in the output of 'extract' has no field 'cty'"),
    Wrong("in a list by index", "{{ steps.extract.output.lines[0].amount }}", "unknown-field", "amount", "'lines[0]' in the output of 'extract' has no field 'amount'"),
    Wrong("in a loop", "{% for l in steps.extract.output.lines %}{{ l.quantty }}{% endfor %}", "unknown-field", "quantty", "an element of 'lines' in the output of 'extract' has no field 'quantty'"),
    Wrong("in a loop over a misspelt list", "{% for l in steps.extract.output.line %}{{ l.sku }}{% endfor %}", "unknown-field", "line ", "the output of 'extract' has no field 'line'"),
    Wrong("in a loop of a loop", "{% for t in steps.tag.outputs %}{{ t.moood }}{% endfor %}", "unknown-field", "moood", "the output of 'tag' has no field 'moood'"),
    Wrong("by map", "{{ steps.tag.outputs | map(attribute=\"thme\") | join }}", "unknown-field", "thme", "the output of 'tag' has no field 'thme'"),
    Wrong("by sort", "{{ steps.tag.outputs | sort(attribute=\"thme\") | length }}", "unknown-field", "thme", "the output of 'tag' has no field 'thme'"),
    Wrong("by selectattr", "{{ steps.tag.outputs | selectattr(\"thme\", \"eq\", \"x\") | list }}", "unknown-field", "thme", "the output of 'tag' has no field 'thme'"),
    Wrong("of the first", "{{ (steps.tag.outputs | reverse | first).thme }}", "unknown-field", "thme", "the output of 'tag' has no field 'thme'"),
    Wrong("of a sample", "{{ steps.guess.samples[0].bean }}", "unknown-field", "bean", "the output of 'guess' has no field 'bean'"),
    Wrong("of every alternative", "{{ steps.shape.output.diameter }}", "unknown-field", "diameter", "the output of 'shape' has no field 'diameter'"),
    Wrong("bound by set", "{% set q = steps.classify.output.quue %}{{ q }}", "unknown-field", "quue", f"{THE_OUTPUT} has no field 'quue'"),
    Wrong("below a bound name", "{% set o = steps.classify.output %}{{ o.quue }}", "unknown-field", "quue", f"{THE_OUTPUT} has no field 'quue'"),
    Wrong("with a default, nearly right", "{{ steps.classify.output.quue | default(\"\") }}", "unknown-field", "quue", f"{THE_OUTPUT} has no field 'quue'"),
    Wrong("in a branch for skipped steps", "{% if not steps.classify.skipped %}{{ steps.classify.output.quue }}{% endif %}", "unknown-field", "quue", f"{THE_OUTPUT} has no field 'quue'"),
    Wrong("of an input", "{{ inputs.order.idd }}", "unknown-field", "idd", f"{ORDER} has no field 'idd'"),
    Wrong("of an input's element", "{{ inputs.order.lines[0].skuu }}", "unknown-field", "skuu", f"'lines[0]' in {ORDER} has no field 'skuu'"),
    Wrong("of a row", "{{ item.titel }}", "unknown-field", "titel", "a row of 'closed' has no field 'titel'", IN_LANE),
    Wrong("of a row by its name", "{{ row.titel }}", "unknown-field", "titel", "a row of 'closed' has no field 'titel'", IN_LANE),
    Wrong("of an answer in the lane", "{{ steps.tag.output.thme }}", "unknown-field", "thme", "the output of 'tag' has no field 'thme'", IN_LANE),
    Wrong("of an element", "{{ line.skuu }}", "unknown-field", "skuu", f"an element of 'lines' in {ORDER} has no field 'skuu'", EACH_LINE),
    Wrong("in the list of a lane", "steps.classify.output.reason", "unknown-field", "reason", f"{THE_OUTPUT} has no field 'reason'", "  last: {for_each: '%s', prompt: x}\n"),
    Wrong("in when", "steps.classify.output.urgnt", "unknown-field", "urgnt", f"{THE_OUTPUT} has no field 'urgnt'", WHEN),
    Wrong("in ensure", "output.m > 3", "unknown-field", "m >", "the output of 'last' has no field 'm'", ENSURE),
    Wrong("in save", "", "unknown-field", "quue", f"{THE_OUTPUT} has no field 'quue'", "  last: {prompt: x, save: 'out/{{ steps.classify.output.quue }}.txt'}\n"),
    Wrong("in system", "", "unknown-field", "quue", f"{THE_OUTPUT} has no field 'quue'", "  last: {prompt: x, system: '{{ steps.classify.output.quue }}'}\n"),
    Wrong("in repeated messages", "", "unknown-field", "qestion", "an element of input 'examples' has no field 'qestion'", "  last: {messages: [{for_each: inputs.examples, as: e, messages: [{role: user, text: '{{ e.qestion }}'}]}]}\n"),
    Wrong("in the list of repeated messages", "", "unknown-field", "line,", f"{ORDER} has no field 'line'", "  last: {messages: [{for_each: inputs.order.line, as: e, messages: [{role: user, text: '{{ e.sku }}'}]}]}\n"),
    Wrong("in an output", "steps.classify.output.quue", "unknown-field", "quue", f"{THE_OUTPUT} has no field 'quue'", OUTPUTS),
    Wrong("in a column", "", "unknown-field", "titel", "a row of 'closed' has no field 'titel'", "outputs:\n  t: {rows: data.closed, file: out/t.csv, columns: {t: item.titel}}\n"),
    # Names that an open mapping does not list.
    Wrong("unlisted in a row", "{{ item.txt }}", "unlisted-field", "txt", "the schema does not name 'txt', which is read from a row of 'reviews'", "  last: {for_each: data.reviews, prompt: '%s'}\n"),
    Wrong("unlisted, two letters exchanged", "{{ item.satrs }}", "unlisted-field", "satrs", "the schema does not name 'satrs', which is read from a row of 'reviews'", "  last: {for_each: data.reviews, prompt: '%s'}\n"),
    # What is no mapping.
    Wrong("a field of text", "{{ steps.classify.output.queue.name }}", "not-a-mapping", "name", f"'queue' in {THE_OUTPUT} is text, which has no field 'name'"),
    Wrong("a field of a text answer", "{{ (steps.each.texts | reverse | first).label }}", "not-a-mapping", "label", "the text of 'each' is text, which has no field 'label'"),
    Wrong("a field of a number", "{{ steps.classify.output.score.value }}", "not-a-mapping", "value", f"'score' in {THE_OUTPUT} is a number, which has no field 'value'"),
    Wrong("a field of an integer input", "{{ inputs.size.width }}", "not-a-mapping", "width", "input 'size' is a number, which has no field 'width'"),
    Wrong("a field of a truth value", "{{ steps.classify.output.urgent.why }}", "not-a-mapping", "why", f"'urgent' in {THE_OUTPUT} is true or false, which has no field 'why'"),
    Wrong("a field of a state", "{{ steps.classify.model.name }}", "not-a-mapping", "name", "'model' of 'classify' is text, which has no field 'name'"),
    Wrong("a field of a list", "{{ steps.extract.output.lines.sku }}", "not-a-mapping", "sku", "'lines' in the output of 'extract' is a list, and 'sku' can only be read from one of its elements"),
    Wrong("a field of all answers", "{{ steps.tag.outputs.theme }}", "not-a-mapping", "theme", "steps.tag.outputs is a list, and 'theme' can only be read from one of its elements"),
    Wrong("a field of all samples", "{{ steps.guess.samples.beans }}", "not-a-mapping", "beans", "steps.guess.samples is a list, and 'beans' can only be read from one of its elements"),
    # What may be absent.
    Wrong("an optional field", "{{ steps.extract.output.note }}", "may-be-absent", "note", "the output of 'extract' may lack the field 'note'"),
    Wrong("an optional field that is tested", "{% if steps.extract.output.note %}x{% endif %}", "may-be-absent", "note", "the output of 'extract' may lack the field 'note'"),
    Wrong("an optional field in a loop", "{% for l in steps.extract.output.lines %}{{ l.discount }}{% endfor %}", "may-be-absent", "discount", "an element of 'lines' in the output of 'extract' may lack the field 'discount'"),
    Wrong("an optional field in when", "steps.extract.output.note != \"\"", "may-be-absent", "note", "the output of 'extract' may lack the field 'note'", WHEN),
    Wrong("an optional field as an output", "steps.extract.output.note", "may-be-absent", "note", "the output of 'extract' may lack the field 'note'", OUTPUTS),
    Wrong("a field of one alternative", "{{ steps.shape.output.radius }}", "may-be-absent", "radius", "only some alternatives of the output of 'shape' have the field 'radius'"),
    Wrong("an optional field of an input", "{{ inputs.order.note }}", "may-be-absent", "note", f"{ORDER} may lack the field 'note'"),
    Wrong("an optional field of a row", "{{ item.author }}", "may-be-absent", "author", "a row of 'reviews' may lack the field 'author'", "  last: {for_each: data.reviews, prompt: '%s'}\n"),
    Wrong("an optional field by sum", "{{ steps.extract.output.lines | sum(attribute=\"discount\") }}", "may-be-absent", "discount", "an element of 'lines' in the output of 'extract' may lack the field 'discount'"),
    Wrong("a field of what may be null", "{{ steps.extract.output.customer.address.city }}", "may-be-absent", "city", "'customer.address' in the output of 'extract' may be null, which has no field 'city'"),
    Wrong("what may be null, printed", "{{ steps.classify.output.parts[0].note }}", "may-be-absent", "note", f"'parts[0].note' in {THE_OUTPUT} may be null, and a value is needed here"),
    Wrong("what may be null, in a text", "{{ \"to \" ~ steps.classify.output.parts[0].note }}", "may-be-absent", "note", f"'parts[0].note' in {THE_OUTPUT} may be null, and a value is needed here"),
    Wrong("what may be null, counted", "{{ steps.classify.output.parts[0].note | length }}", "may-be-absent", "note", f"'parts[0].note' in {THE_OUTPUT} may be null, and a value is needed here"),
    Wrong("what may be null, walked", "{% for a in steps.classify.output.parts[0].note %}x{% endfor %}", "may-be-absent", "note", f"'parts[0].note' in {THE_OUTPUT} may be null, and a value is needed here"),
    Wrong("asked in the other branch", "{% if steps.extract.output.note is defined %}x{% else %}{{ steps.extract.output.note }}{% endif %}", "may-be-absent", "note }}", "the output of 'extract' may lack the field 'note'"),
    # Words that never occur.
    Wrong("a word that never occurs", "steps.classify.output.queue == \"bugs\"", "never-equal", '"bugs"', f"'queue' in {THE_OUTPUT} is never 'bugs'", WHEN),
    Wrong("a word that always differs", "steps.classify.output.queue != \"bil\"", "never-equal", '"bil"', f"'queue' in {THE_OUTPUT} is never 'bil'", WHEN),
    Wrong("on the other side", "\"bugs\" == steps.classify.output.queue", "never-equal", '"bugs"', f"'queue' in {THE_OUTPUT} is never 'bugs'", WHEN),
    Wrong("among others", "steps.classify.output.queue in [\"bug\", \"bil\"]", "never-equal", '"bil"', f"'queue' in {THE_OUTPUT} is never 'bil'", WHEN),
    Wrong("in a list of words", "\"neww\" in item.tags", "never-equal", '"neww"', "an element of 'tags' in a row of 'closed' is never 'neww'", "  last: {for_each: data.closed, prompt: x, when: '%s'}\n"),
    Wrong("in a branch", "{% if steps.classify.output.queue == \"bugs\" %}x{% endif %}", "never-equal", '"bugs"', f"'queue' in {THE_OUTPUT} is never 'bugs'"),
    Wrong("by a test", "{{ steps.classify.output.queue is eq \"bugs\" }}", "never-equal", '"bugs"', f"'queue' in {THE_OUTPUT} is never 'bugs'"),
    Wrong("by a test of several", "{{ steps.classify.output.queue is in [\"bug\", \"bugs\"] }}", "never-equal", '"bugs"', f"'queue' in {THE_OUTPUT} is never 'bugs'"),
    Wrong("by selectattr, a word", "{{ steps.tag.outputs | selectattr(\"theme\", \"equalto\", \"rd\") | list }}", "never-equal", '"rd"', "'theme' in the output of 'tag' is never 'rd'"),
    Wrong("by find, a word", "{{ (steps.tag.outputs | find(\"theme\", \"rd\")).mood }}", "never-equal", '"rd"', "'theme' in the output of 'tag' is never 'rd'"),
    Wrong("by select, a word", "{{ steps.tag.outputs | map(attribute=\"theme\") | select(\"eq\", \"rd\") | list }}", "never-equal", '"rd"', "'theme' in the output of 'tag' is never 'rd'"),
    Wrong("in ensure, a word", "output.kind == \"green\"", "never-equal", '"green"', "'kind' in the output of 'last' is never 'green'", ENSURE),
    Wrong("a kind of failure", "steps.classify.failed == \"refusd\"", "never-equal", '"refusd"', "'failed' of 'classify' is never 'refusd'", WHEN),
    Wrong("a text that is no truth value", "steps.classify.output.parts[0].theme == \"green\"", "never-equal", '"green"', f"'parts[0].theme' in {THE_OUTPUT} is never 'green'", WHEN),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_what_is_wrong_is_told_once_at_its_own_place(wrong: Wrong, findings: Findings) -> None:
    shown = findings(wrong.text, files=_further_files())
    last = wrong.text[len(FLOW) :]
    found = re.findall(r"^flow\.yaml:(\d+):(\d+): (?:warning: )?([a-z-]+): (.*)$", shown, flags=re.MULTILINE)
    offset = last.index(wrong.at, last.rfind("{% else %}") + 1)
    line = LAST + last.count("\n", 0, offset)
    column = offset - last.rfind("\n", 0, offset)
    assert found == [(str(line), str(column), wrong.code, wrong.message)], shown


def test_a_mistaken_reference_leaves_open_what_is_unused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    path = tmp_path / "flow.yaml"
    path.write_text('inputs: {word: {}}\nsteps: {a: {model: me/any, prompt: "{{ inputs.wrd }}"}}\n')
    loaded = load_workflow(path)
    assert loaded.workflow is not None
    read = ProjectFiles(tmp_path).read
    linked = link(loaded.workflow, make_environment(read), read)
    assert [problem.code for problem in linked.problems] == ["unknown-input"]
    context = CheckContext(linked, {}, lambda _: pytest.fail("no route"), lambda _: None)
    assert check(context) == ()


def test_what_an_included_file_declares_may_be_meant_for_others(findings: Findings) -> None:
    shared = "models: {any: me/any, spare: me/other}\ninputs: {spare: {type: string}}\ndata: {rows: {file: '-'}}\n"
    flow = "include: [shared.yaml]\nsteps: {a: {model: any, prompt: x}}\n"
    assert findings(flow, files={"shared.yaml": shared}) == ""


SLIPS = [
    ("tittle", "title", True),
    ("titl", "title", True),
    ("tilte", "title", True),
    ("titre", "title", True),
    ("firstName", "first_name", True),
    ("txt", "text", True),
    ("title", "title", False),
    ("titles", "title", False),
    ("line_2", "line_1", False),
    ("min", "max", False),
    ("mix", "max", False),
    ("id", "ix", False),
    ("start", "state", False),
    ("name_en", "name_de", False),
]


@pytest.mark.parametrize(("name", "other", "expected"), SLIPS)
def test_a_slip_is_one_letter_and_no_number(name: str, other: str, expected: bool) -> None:
    assert is_slip(name, other) is expected
    assert is_slip(other, name) is expected
