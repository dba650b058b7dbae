"""Data sources that are made from others, as they are written."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.config.load import Loaded, load_workflow
from runner.core.derivation import Derivation

STEP = "steps:\n  s: {model: m/m, prompt: q}\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Loaded]:
    def load_text(data: str) -> Loaded:
        (tmp_path / "runner.yaml").write_text("")
        path = tmp_path / "flow.yaml"
        path.write_text(f"data:\n{textwrap.indent(textwrap.dedent(data), '  ')}{STEP}")
        return load_workflow(path)

    return load_text


@pytest.fixture
def made(load: Callable[[str], Loaded]) -> Callable[[str], Derivation]:
    def read(text: str) -> Derivation:
        loaded = load(text)
        assert loaded.problems == ()
        assert loaded.workflow is not None
        found = loaded.workflow.data["d"].made
        assert found is not None
        return found

    return read


def test_all_keys_are_read(made: Callable[[str], Derivation]) -> None:
    found = made(
        """
        d:
          rows: data.other
          join: {with: data.third, on: id}
          each: item.words
          where: each != "no"
          group: [a, b]
          columns: {n: group | length}
          sort: [-n, a]
          limit: 20
        """
    )
    assert (found.rows.text, found.group, found.sort, found.limit) == ("data.other", ("a", "b"), ("-n", "a"), 20)
    assert found.join is not None
    assert (found.join.other.text, found.join.on) == ("data.third", "id")
    assert found.each is not None
    assert found.where is not None
    assert (found.each.text, found.where.text) == ("item.words", 'each != "no"')
    assert [(name, column.text) for name, column in found.columns.items()] == [("n", "group | length")]
    assert str(found.at("limit")) == "flow.yaml:11:12"


def test_one_field_may_stand_without_brackets(made: Callable[[str], Derivation]) -> None:
    found = made("d: {rows: data.other, group: a, sort: -a}\n")
    assert (found.group, found.sort) == (("a",), ("-a",))


@pytest.mark.parametrize(
    ("made_by", "is_barrier", "keeps_groups"),
    [
        ("each: item.words", False, False),
        ("where: item.n, limit: 3", False, False),
        ("group: a", True, True),
        ("group: a, columns: {n: group | length}", True, False),
        ("sort: a", True, False),
        ("join: {with: data.third, on: id}", True, False),
    ],
)
def test_some_need_all_rows_first(
    made: Callable[[str], Derivation], made_by: str, is_barrier: bool, keeps_groups: bool
) -> None:
    found = made(f"d: {{rows: data.other, {made_by}}}\n")
    assert (found.is_barrier, found.keeps_groups) == (is_barrier, keeps_groups)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("d: {file: a.jsonl, each: item.x}", "data source 'd' has the key 'each', which belongs to 'rows'"),
        ("d: {glob: '*.png', sort: name}", "data source 'd' has the key 'sort', which belongs to 'rows'"),
        ("d: {file: a.jsonl, rows: data.e}", "data source 'd' has both 'file' and 'rows'"),
        ("d: {rows: data.e, schema: {type: object}}", "data source 'd' has both 'schema' and 'rows'"),
        ("d: {rows: data.e, limit: 0}", "'limit' of data source 'd' cannot be 0"),
        ("d: {rows: data.e, group: []}", "'group' of data source 'd' is empty"),
        ("d: {rows: data.e, sort: '- a'}", "'sort' of data source 'd' cannot be '- a'"),
        ("d: {rows: data.e, columns: {}}", "'columns' of data source 'd' is empty"),
        ("d: {rows: data.e, join: {with: data.f}}", "'join' of data source 'd' lacks the key 'on'"),
        ("d: {rows: '{{ data.e }}'}", "'rows' of data source 'd' is an expression already, so it takes no braces"),
        ("d: {rows: data.e, each: [1]}", "'each' of data source 'd' is a list"),
        ("d: {rows: data.e, wher: item.x}", "data source 'd' has no key 'wher'"),
        ("d: {key: x}", "data source 'd' lacks a key"),
    ],
)
def test_what_does_not_go_together_is_told(load: Callable[[str], Loaded], data: str, message: str) -> None:
    loaded = load(f"{data}\n")
    told = [problem.message for problem in loaded.problems]
    assert message in told
    assert all(problem.code != "unknown-name" for problem in loaded.problems)
