"""Change the repository's own examples and suites: each case has the verdict that it should, and the cause is named.

All edits start from a copy in which every suite passes from the answers kept in git, so that what is told is told of the edit.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.cli.main import main

pytestmark = pytest.mark.slow  # the copy that passes is made first

ROOT = Path(__file__).parents[2]
FOLDERS = ("workflows", "prompts", "schemas", "data", "cache/recordings")


@dataclass(frozen=True)
class Edit:
    """`verdicts` are the letters of the cases, "" where no case runs; `causes` all that is told of why, in its order."""

    suite: str
    file: str
    old: str
    new: str
    code: int
    verdicts: str
    causes: tuple[str, ...]


def edit(suite: str, file: str, old: str, new: str, code: int, verdicts: str, *causes: str) -> Edit:
    return Edit(suite, file, old, new, code, verdicts, causes)


def missed(step: str, ingredient: str) -> str:
    return f"{step}: needs-call: its answer is not stored; the nearest stored answer KEY differs in {ingredient}"


EDITS = {
    "a word of a prompt": edit("hello", "workflows/hello.yaml", "Say hello to", "Say hi to", 6, "FF",
        missed("greet", "the text at workflows/hello.yaml:18")),
    "a word of a prompt file": edit("triage", "prompts/extract.md", "one short sentence", "a short sentence", 6, "FFF",
        missed("extract", "the text at prompts/extract.md:5")),
    "a prompt of the second step": edit("triage", "workflows/triage.yaml", "Which of these is it?", "Which is it?", 6,
        "FFF", missed("classify", "the text at workflows/triage.yaml:32")),
    "a prompt of the last step": edit("triage", "workflows/triage.yaml", "Write one friendly", "Write a friendly", 6,
        "FFF", missed("reply", "the text at workflows/triage.yaml:41")),
    "a system text": edit("moderation", "workflows/moderation.yaml", "film magazine", "music magazine", 6, "FFFFFFF",
        missed("decide", "its system text"), "case 'thanks' has no verdict: missing"),
    "a system text where there was none": edit("image-question", "workflows/image-question.yaml",
        "    thinking: minimal\n", "    thinking: minimal\n    system: Be short.\n", 6, "FF",
        missed("look", "its system text")),
    "a system text of a conversation": edit("interview", "workflows/interview.yaml", "in one short sentence",
        "in one sentence", 6, "FF", missed("talk", "its system text")),
    "a level": edit("moderation", "workflows/moderation.yaml", "thinking: minimal", "thinking: high", 6, "FFFFFFF",
        missed("decide", "thinking: minimal → high"), "case 'thanks' has no verdict: missing"),
    "a level of all steps": edit("page", "workflows/page.yaml", "thinking: minimal", "thinking: low", 6, "F",
        missed("design", "thinking: minimal → low")),
    "a level of a model that is asked second": edit("cheap-first", "workflows/cheap-first.yaml", "thinking: medium",
        "thinking: high", 6, "Fx", missed("classify", "thinking: medium → high")),
    "a level that the model lacks": edit("moderation", "workflows/moderation.yaml", "thinking: minimal",
        "thinking: max", 2, "",
        "workflows/moderation.yaml:14:15: thinking-level: gemini/gemini-3.1-flash-lite has no thinking level 'max'"),
    "a level of a model without levels": edit("hello", "workflows/hello.yaml", "    model: fast\n",
        "    model: fast\n    thinking: low\n", 2, "",
        "workflows/hello.yaml:17:15: thinking-level: local/smollm2-135m has no thinking levels"),
    "a temperature": edit("invoice", "workflows/invoice.yaml", "temperature: 0\n", "temperature: 0.5\n", 6, "FF",
        missed("read", "option:temperature: 0 → 0.5")),
    "a temperature that there cannot be": edit("invoice", "workflows/invoice.yaml", "temperature: 0\n",
        "temperature: -1\n", 2, "",
        "workflows/invoice.yaml:21:18: bad-value: 'temperature' of step 'read' cannot be -1"),
    "a cap": edit("hello", "workflows/hello.yaml", "max_output_tokens: 60", "max_output_tokens: 80", 6, "FF",
        missed("greet", "option:max_output_tokens: 60 → 80")),
    "a seed": edit("hello", "workflows/hello.yaml", "    model: fast\n", "    model: fast\n    seed: 7\n", 6, "FF",
        missed("greet", "option:seed: (none) → 7")),
    "a stop": edit("triage", "workflows/triage.yaml", "stop: [\"\\n\"]", "stop: [\".\"]", 6, "FFF",
        missed("reply", "option:stop: ['\\n'] → ['.']")),
    "a stop of rows made from rows": edit("themes", "workflows/themes.yaml", "stop: [\".\", \"\\n\"]", "stop: [\".\"]", 6, "F",
        missed("advise[delivery]", "option:stop: ['.', '\\n'] → ['.']")),
    "a salt": edit("translation", "workflows/translation.yaml", "  german:\n", "  german:\n    cache: {salt: again}\n",
        6, "F", missed("german[kettle]", "salt: (none) → again")),
    "a model": edit("audio-notes", "workflows/audio-notes.yaml", "gemini/gemini-3.1-flash-lite",
        "gemini/gemini-3-flash-preview", 6, "F",
        missed("note[three-tones]", "model: gemini/gemini-3.1-flash-lite → gemini/gemini-3-flash-preview")),
    "a model that there is not": edit("audio-notes", "workflows/audio-notes.yaml",
        "gemini-3.1-flash-lite\n    thinking", "gemini-3.1-flash-lita\n    thinking", 2, "",
        "workflows/audio-notes.yaml:16:15: thinking-level: the thinking levels of gemini/gemini-3.1-flash-lita are not known"),
    "a bound of the schema": edit("cheap-first", "workflows/cheap-first.yaml", "number 0..1", "number 0..2", 6, "FF",
        missed("classify", "schema:/properties/confidence/maximum: 1 → 2")),
    "a bound of a schema file": edit("triage", "schemas/ticket.json", "\"maxLength\": 60", "\"maxLength\": 50", 6,
        "FFF", missed("extract", "schema:/properties/product/maxLength: 60 → 50")),
    "a type of a schema file": edit("triage", "schemas/ticket.json", "[\"string\", \"null\"]", "\"string\"", 6, "FFF",
        missed("extract", "schema:/properties/order/type: string, null → string")),
    "a field more": edit("hello", "workflows/hello.yaml", "      greeting: string",
        "      greeting: string\n      language: string", 6, "FF", missed("greet", "schema:/properties/language")),
    "a word of the schema more": edit("moderation", "workflows/moderation.yaml", "[fine, spam, harassment, threat]",
        "[fine, spam, harassment, threat, other]", 6, "FFFFFFF",
        missed("decide", "schema:/properties/label/enum: fine, spam, harassment, threat → fine, spam, harassment, threat, other"),
        "case 'thanks' has no verdict: missing"),
    "a word of the schema dropped": edit("invoice", "workflows/invoice.yaml", "[EUR, USD, GBP]", "[EUR, USD]", 2, "",
        "workflows/invoice.suite.yaml:28:69: impossible-expectation: 'currency' in output 'invoice' is never \"GBP\""),
    "a field renamed": edit("hello", "workflows/hello.yaml", "greeting: string", "salute: string", 2, "",
        "workflows/hello.suite.yaml:9:29: unknown-field: the output of 'greet' has no field 'greeting'",
        "workflows/hello.suite.yaml:14:33: unknown-field: the output of 'greet' has no field 'greeting'",
        "workflows/hello.suite.yaml:18:33: unknown-field: the output of 'greet' has no field 'greeting'"),
    "a schema that only we hold": edit("invoice", "workflows/invoice.yaml", "output.lines | length > 0",
        "output.lines | length > 1", 6, ".F",
        "read: needs-call: its answer is not stored; it would be a repair, since the stored answer does not hold: output.lines | length > 1"),
    "an ensure line that no answer holds": edit("moderation", "workflows/moderation.yaml", "    repair: 1\n",
        "    repair: 1\n    ensure: [output.reason | length < 3]\n", 6, "FFFFFFF",
        "decide: needs-call: its answer is not stored; it would be a repair, since the stored answer does not hold: output.reason | length < 3",
        "case 'thanks' has no verdict: missing"),
    "repairs": edit("invoice", "workflows/invoice.yaml", "repair: 2", "repair: 0", 1, ".F",
        "read: invalid: the answer does not fit its schema: at /date expected text, a date such as 2026-01-31, found \"1 June 2024\" (and 1 more)"),
    "a when": edit("triage", "workflows/triage.yaml", "queue != \"other\"", "queue != \"bug\"", 0, ".xx"),
    "a bound of a loop": edit("simulation", "workflows/simulation.yaml", "max: 6", "max: 1", 1, "F.x",
        "outputs.turns 2 ≠ 1 (and 2 more)"),
    "what ends a loop": edit("simulation", "workflows/simulation.yaml", "state.waiting | length == 0",
        "state.waiting | length <= 1", 1, "F.x", "outputs.turns 2 ≠ 1 (and 1 more)"),
    "what an output says": edit("image-question", "workflows/image-question.yaml",
        "shapes: steps.look.output.shapes | length", "shapes: 7", 1, "F.", "outputs.shapes 3 ≠ 7"),
    "an input of a case": edit("hello", "workflows/hello.suite.yaml", "who: Grace", "who: Ada", 6, ".F",
        missed("greet", "input:who: Grace → Ada")),
    "a row of data": edit("moderation", "data/comments.jsonl", "CHEAP PILLS", "GOOD PILLS", 6, "..Ff..F",
        missed("decide", "input:comment: CHEAP PILLS!!! click now www.pills.examp… → GOOD PILLS!!! click now www.pills.exampl…"),
        "case 'pills' has no verdict: missing"),
    "a label of a row": edit("moderation", "data/comments.jsonl", "details.\", \"label\": \"spam\"",
        "details.\", \"label\": \"fine\"", 1, "...f.fF", "right: 0.67 (4 of 6, 95 % 0.30–0.90) < 0.8"),
    "a labelled row, and the share that may slip through": edit("moderation", "data/comments.jsonl",
        "a great help!\", \"label\": \"fine\"", "a great help!\", \"label\": \"spam\"", 1, "f..f..F",
        "right: 0.67 (4 of 6, 95 % 0.30–0.90) < 0.8 (and 1 more)"),
    "an expected value": edit("triage", "workflows/triage.suite.yaml", "steps.classify: {queue: bug}",
        "steps.classify: {queue: billing}", 1, "Fxx", "classify.queue \"billing\" ≠ \"bug\""),
    "an expected output": edit("triage", "workflows/triage.suite.yaml", "outputs.queue: bug", "outputs.queue: how-to",
        1, "Fxx", "outputs.queue \"how-to\" ≠ \"bug\""),
    "a known failure that passes": edit("triage", "workflows/triage.suite.yaml", "{queue: how-to}", "{queue: bug}", 0,
        ".xX"),
    "an expected number": edit("simulation", "workflows/simulation.suite.yaml", "outputs.turns: 2", "outputs.turns: 3",
        1, "F.x", "outputs.turns 3 ≠ 2"),
    "an expected number deep in a list": edit("invoice", "workflows/invoice.suite.yaml",
        "{name: filter paper, quantity: 1, price: 3.2}", "{name: filter paper, quantity: 2, price: 3.2}", 1, "F.",
        "read.lines[1].quantity 2 ≠ 1"),
    "an expected list that is shorter": edit("invoice", "workflows/invoice.suite.yaml",
        "          - {name: filter paper, quantity: 1, price: 3.2}\n", "", 1, "F.",
        "read.lines [{\"name\":\"coffee beans\",\"quantity\":2,\"price\":8.5}] ≠ [{\"name\":\"coffee beans\",\"quantity\":2,\"price\":8.5},{\"name\":\"filter paper\",\"quantity\":1,\"price\":3.2}]"),
    "an expected count of an item": edit("audio-notes", "workflows/audio-notes.suite.yaml", "{tones: 3}", "{tones: 4}",
        1, "F", "note[three-tones].tones 4 ≠ 3"),
    "an expected value that never comes": edit("triage", "workflows/triage.suite.yaml", "steps.classify: {queue: bug}",
        "steps.classify: {queue: bgu}", 2, "",
        "workflows/triage.suite.yaml:16:31: impossible-expectation: 'queue' in the output of 'classify' is never \"bgu\""),
    "an expected field that there is not": edit("invoice", "workflows/invoice.suite.yaml", "total: 20.2", "totl: 20.2",
        2, "", "workflows/invoice.suite.yaml:21:9: impossible-expectation: the output of 'read' has no field 'totl'"),
    "a length": edit("hello", "workflows/hello.suite.yaml", "max: 60", "max: 12", 1, ".F",
        "it is short: its length is 29, more than 12"),
    "a text that must be there": edit("image-question", "workflows/image-question.suite.yaml", "[red, square]",
        "[red, circle]", 1, "F.", "contains \"circle\", \"red\" of outputs.answer: it does not hold \"circle\""),
    "a text that must not be there": edit("page", "workflows/page.suite.yaml", "\"onclick\"]",
        "\"onclick\", \"<form\"]", 1, "F", "it runs nothing and loads nothing: it holds \"<form\""),
    "a pattern": edit("hello", "workflows/hello.suite.yaml", "^(Hello|Hi|Welcome)", "^(Hi|Welcome)", 1, "F.",
        "it greets: the pattern is not found in it"),
    "a likeness": edit("translation", "workflows/translation.suite.yaml", "at_least: 0.8", "at_least: 0.99", 1, "F",
        "similar of outputs.table[1].de: likeness 0.87, less than 0.99"),
    "a path": edit("invoice", "workflows/invoice.suite.yaml", "$.lines[0].quantity", "$.lines[3].quantity", 1, "FF",
        "json_path $.lines[3].quantity of steps.read.output: $.lines[3].quantity leads nowhere"),
    "a limit of tokens": edit("invoice", "workflows/invoice.suite.yaml", "tokens: 2000", "tokens: 20", 1, "FF",
        "tokens: 294 tokens, more than 20", "tokens: 635 tokens, more than 20"),
    "a limit of money": edit("cheap-first", "workflows/cheap-first.suite.yaml", "usd: 0.01", "usd: 0.0000001", 1, "Fx",
        "it costs less than a cent: 0.000068 USD, more than 1e-07"),
    "a threshold": edit("moderation", "workflows/moderation.suite.yaml", "right: 0.8", "right: 0.9", 1, "...f..F",
        "right: 0.83 (5 of 6, 95 % 0.44–0.97) < 0.9"),
    "a condition": edit("reviews", "workflows/reviews.suite.yaml", "length >= 40", "length >= 400", 1, "F",
        "nearly every review was tagged: it is not true"),
    "a name of a step": edit("reviews", "workflows/reviews.suite.yaml", "steps.tag.outputs | length >= 40",
        "steps.tags.outputs | length >= 40", 2, "",
        "workflows/reviews.suite.yaml:9:21: unknown-step: assertion 1 of case 'all reviews' reads step 'tags', but no step has that name"),
    "a comment": edit("hello", "workflows/hello.yaml", "steps:\n", "# all\nsteps:\n", 0, ".."),
    "a description": edit("triage", "workflows/triage.yaml", "Which queue should handle it.", "Its queue.", 0, ".xx"),
    "a seed that orders choices": edit("benchmarks/multiple-choice", "workflows/benchmarks/multiple-choice.yaml",
        "default: first", "default: second", 6, "FFFFFFF", missed("answer", "input:seed: first → second"),
        "case 'ice' has no verdict: missing"),
    "a threshold of a rate": edit("benchmarks/multiple-choice", "workflows/benchmarks/multiple-choice.suite.yaml",
        "right: 0.6", "right: 0.9", 1, "....f.F", "right: 0.83 (5 of 6, 95 % 0.44–0.97) < 0.9"),
    "a text that grows": edit("benchmarks/needle", "workflows/benchmarks/needle.yaml", "default: 200", "default: 201", 6,
        "FFFFFF", missed("find", "input:lines: 200 → 201"), "case 'first' has no verdict: missing"),
    "a depth": edit("benchmarks/needle", "data/benchmarks/needle.jsonl", "\"depth\": 25", "\"depth\": 30", 6, ".F...F",
        missed("find", "input:depth: 25 → 30"), "case 'quarter' has no verdict: missing"),
    "another image": edit("benchmarks/chart", "data/benchmarks/chart.jsonl", "\"falling.png\", \"question\": \"How many",
        "\"valley.png\", \"question\": \"How many", 6, ".F.fF",
        missed("read", "input:image: ../../data/benchmarks/charts/falling.png → ../../data/benchmarks/charts/valley.png, file:data/benchmarks/charts/valley.png, file:data/benchmarks/charts/falling.png"),
        "case 'count' has no verdict: missing"),
    "a likeness of vectors": edit("search", "workflows/search.suite.yaml", "> 0.9", "> 0.99", 1, "F..x",
        "the question is near to its rule: it is not true"),
    "a text that is searched": edit("search", "data/house-rules.json", "takes two coins", "takes three coins", 6, "FFFF",
        "rule[7c0d923f3f]: needs-call: its answer is not stored; the nearest stored answer, of rule[coins/f14bda9d85], differs in data:text"),
    "a version of a tool": edit("shop", "runner.yaml", "version: 1", "version: 2", 6, "F",
        missed("talk", "option:version: 1 → 2")),
    "what was looked up": edit("shop", "workflows/shop.suite.yaml", "stock_of, stock_of]", "stock_of]", 1, "F",
        'outputs.looked_up ["find_articles","stock_of"] ≠ ["find_articles","stock_of","stock_of"]'),
    "a clip": edit("video-scenes", "workflows/video-scenes.yaml", "fps: 2}", "fps: 1}", 6, "F", missed("watch", "option:clip")),
    "a new name of a case": edit("interview", "workflows/interview.suite.yaml", "one question:", "a single question:",
        0, ".."),
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def verdicts(self) -> str:
        found = re.search(r"\.suite\.yaml  (\S+)$", self.err, re.MULTILINE)
        return found[1] if found else ""

    @property
    def causes(self) -> tuple[str, ...]:
        """What is told of each case that fails or, before any runs, of each mistake; keys do not matter."""
        lines = (self.out + self.err).splitlines()
        told = [line.split("  ", 1)[1] for line in lines if line.startswith("FAILED ")]
        told += [line for line in lines if re.match(r"\S+:[0-9]+:[0-9]+: [a-z-]+: ", line)]
        return tuple(dict.fromkeys(re.sub(r"\b[0-9a-f]{12}\b", "KEY", line) for line in told))


def run_suites(root: Path, *words: str) -> Said:
    out, err = io.StringIO(), io.StringIO()
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        with chdir(root):
            code = main(["test", *words, "--offline"])
    finally:
        sys.stdout, sys.stderr = streams
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples in which all suites passed once."""
    root = tmp_path_factory.mktemp("examples")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "runner.yaml", root)
    said = run_suites(root)
    assert said.code == 0, said.out + said.err
    return root


def test_every_kind_of_edit_is_tried_often_enough() -> None:
    assert len(EDITS) >= 50
    assert {one.suite for one in EDITS.values()} == {
        path.relative_to(ROOT / "workflows").as_posix().removesuffix(".suite.yaml")
        for path in (ROOT / "workflows").rglob("*.suite.yaml")
    }


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_an_example_has_the_verdict_and_the_cause_that_it_should(
    passing: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    tried = EDITS[name]
    root = shutil.copytree(passing, tmp_path / "project")
    file = root / tried.file
    text = file.read_text(encoding="utf-8")
    assert text.count(tried.old) == 1
    file.write_text(text.replace(tried.old, tried.new), encoding="utf-8")
    said = run_suites(root, f"workflows/{tried.suite}.suite.yaml")
    assert (said.code, said.verdicts, said.causes) == (tried.code, tried.verdicts, tried.causes), said.out + said.err
    assert " 0 calls, " in said.err + said.out or said.code == 2
