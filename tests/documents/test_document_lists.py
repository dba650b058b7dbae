"""What the documents repeat of the program is what the program says; what they link to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.cli.exit_codes import MEANINGS
from runner.cli.index import COMMANDS
from runner.config import common_grammar, settings_file, step_grammar, workflow_grammar
from runner.config.fields import Record
from runner.core.outcome import FailureKind
from runner.dialects import DIALECTS
from runner.templates.environment import make_environment
from runner.transport import script
from runner.transport.secrets import WELL_KNOWN

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
SCALARS = ("model", "thinking", "schema", "salt", "sample", "dialect")

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`+([^`]+)`+")


def prose_of(path: Path) -> str:
    """A document without its blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_or_heading_leads_somewhere(document: str) -> None:
    path = ROOT / document
    for match in _LINK.finditer(prose_of(path)):
        name, _, heading = match["target"].partition("#")
        if name.startswith(("https:", "mailto:")):
            continue
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name}: {match['target']}"
        assert target.is_relative_to(ROOT)
        assert not heading or heading in anchors(target), f"{path.name}: {match['target']}"


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose_of(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def words_of(name: str) -> set[str]:
    """All that stands in code marks outside of blocks, whole and word by word."""
    spans = [span.replace("\\|", "|") for span in _CODE.findall(prose_of(ROOT / name))]
    return {*spans, *(word for span in spans for word in re.split(r"[\s,:{}\[\]()|]+", span))}


def table_of(name: str, head: str) -> dict[str, str]:
    """The first two columns of the table whose head row begins so."""
    rows = re.split(rf"^\| {head} \|.*\n", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    table = re.match(r"(?:\|.*\n)+", rows)
    assert table
    cells = [re.split(r"(?<!\\)\|", row)[1:3] for row in table[0].splitlines()[1:]]
    return {first.strip(): second.strip() for first, second in cells}


def test_the_exit_codes_are_those_of_the_program() -> None:
    assert table_of("README.md", "code") == {str(code): meaning for code, meaning in MEANINGS.items()}


def test_the_commands_are_those_of_the_program() -> None:
    shown = table_of("README.md", "command")
    assert {command.split()[1].rstrip("`"): text for command, text in shown.items()} == COMMANDS


def test_the_options_of_run_are_those_of_the_program() -> None:
    from runner.cli.commands import run
    from runner.cli.parser import CommandParser

    parser = CommandParser("run", "")
    common = {option for action in parser._actions for option in action.option_strings}
    run.add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings} - common
    shown = " ".join(table_of("README.md", "option"))
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown)) == known


def keys_of(record: Record) -> set[str]:
    return {*record.by_name, *record.later}


def test_every_key_of_a_workflow_is_documented() -> None:
    workflow, step, common = workflow_grammar, step_grammar, common_grammar
    records = (
        *(workflow.WORKFLOW, workflow.INCLUDED, workflow._DATA, workflow._TABLE, common._ALIAS, common.BUDGET),
        *(step.STEP, step._MESSAGE, step._REPEATED, step._CACHE),
    )
    known = set().union(*map(keys_of, records)) | {"default", "from_env", "from_file"}
    assert known - words_of("docs/workflows.md") == set()


def test_every_key_of_the_settings_is_documented() -> None:
    records = (settings_file.SETTINGS, settings_file._PROVIDER, settings_file._PRICE, settings_file._LONG)
    known = set().union(*map(keys_of, records))
    assert known - words_of("docs/providers.md") == set()


def test_every_package_stands_in_the_architecture() -> None:
    packages = {path.parent.name for path in (ROOT / "runner").glob("*/__init__.py")}
    assert packages - words_of("docs/architecture.md") == set()


def test_every_filter_and_test_is_documented() -> None:
    environment = make_environment()
    known = {*environment.filter_names, *environment.test_names}
    assert known - words_of("docs/workflows.md") == set()


def test_every_kind_of_failure_is_documented() -> None:
    assert set(table_of("docs/workflows.md", "kind of failure")) == {f"`{kind}`" for kind in FailureKind}


def test_every_reason_for_a_call_is_documented() -> None:
    from runner.app.keeping import ASKED_ANEW
    from runner.plan.explain import changes

    groups = ("options", "inputs", "data", "upstream", "template", "files")
    before = {name: {"x": "a"} for name in groups} | dict.fromkeys(SCALARS, "a") | {"dialect": "d/1"}
    after = {name: {"x": "b"} for name in groups} | dict.fromkeys(SCALARS, "b") | {"dialect": "d/2"}
    told = (*changes(before, after), *changes({"model-version": "a"}, {"model-version": "b"}))
    found = {change.word.partition(":")[0] for change in told} | {"system", "new", "off"}
    shown = {word.strip("`").partition(":")[0] for word in table_of("docs/cache.md", "reason")}
    assert shown == found | ASKED_ANEW


def test_every_option_of_a_dialect_is_documented() -> None:
    known = {option for dialect in DIALECTS.values() for option in dialect.options}
    assert known - words_of("docs/providers.md") == set()


def test_every_key_of_a_script_is_documented() -> None:
    assert {*script._KEYS, *script._FAIL_KEYS, *script.FINISHES} - words_of("docs/providers.md") == set()


def test_every_well_known_variable_is_documented() -> None:
    assert set(WELL_KNOWN) - words_of("docs/providers.md") == set()


def test_the_readme_shows_a_mistake_and_a_plan_before_anything_is_paid() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.partition("\n## Before you pay\n")[2].partition("\n## ")[0]
    shown = re.findall(r"```console\n\$ runner (\w+) .*?\n(.*?)```", section, flags=re.DOTALL)
    assert [command for command, _ in shown] == ["check", "plan"]
    (_, mistake), (_, plan) = shown
    assert re.search(r"^workflows/\w+\.yaml:\d+:\d+: [a-z-]+: .*\n.*\n +\| +\^+\n", mistake)
    assert "\n  nearest:  " in mistake
    assert all(word in plan for word in ("state", "cost", "why", "certain 1 call $", "worst case"))
