"""Questions are counted where that needs no network, and estimated elsewhere."""

from __future__ import annotations

import hashlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runner.app import counting
from runner.app.planning import plan_workflow
from runner.app.types import RunOptions
from runner.report.plan_text import basis_line

FLOW = """\
defaults: {max_output_tokens: 10}
steps:
  a: {model: openai-chat/gpt-4o-mini, system: be kind, prompt: one two three, fields: {n: boolean}}
  b: {model: gemini/gemini-3.1-flash-lite, prompt: one two three}
"""


class Words(ModuleType):
    """A library whose tokens are words."""

    asked: list[str]

    def get_encoding(self, name: str) -> Any:
        self.asked.append(name)
        return self

    def encode_ordinary(self, text: str) -> list[str]:
        return text.split()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Words:
    """The library is there, and a table whose digest is known."""
    words = Words("tiktoken")
    words.__spec__ = ModuleSpec("tiktoken", None)
    words.asked = []
    monkeypatch.setitem(sys.modules, "tiktoken", words)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "tables"))
    monkeypatch.setitem(counting._TABLES, "o200k_base", hashlib.sha256(b"table").hexdigest())
    address = b"https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    table = tmp_path / "tables" / hashlib.sha1(address).hexdigest()
    table.parent.mkdir()
    table.write_bytes(b"table")
    (tmp_path / "runner.yaml").touch()
    (tmp_path / "flow.yaml").write_text(FLOW)
    counting._counter.cache_clear()
    return words


def counted(tmp_path: Path) -> list[tuple[int | None, str]]:
    plan = plan_workflow(tmp_path / "flow.yaml", RunOptions()).plan
    return [(step.input_tokens, step.counted_by) for step in plan.steps]


def test_a_question_is_counted_by_the_models_own_tokenizer(library: Words, tmp_path: Path) -> None:
    assert counted(tmp_path) == [(3 + 4 + 2 + 4 + 1, "o200k_base"), (4, "")]
    assert library.asked == ["o200k_base"]


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_table_that_would_have_to_be_fetched_is_not_used(library: Words, tmp_path: Path, damage: str) -> None:
    (table,) = (tmp_path / "tables").iterdir()
    table.unlink() if damage == "missing" else table.write_bytes(b"tabel")
    assert [name for _, name in counted(tmp_path)] == ["", ""]
    assert library.asked == []


def test_without_the_library_questions_are_estimated(
    library: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "find_spec", lambda _name: None)
    assert [name for _, name in counted(tmp_path)] == ["", ""]


def test_without_a_folder_of_its_own_the_library_keeps_tables_among_temporary_files() -> None:
    assert counting._table_of("o200k_base", {}).parent.name == "data-gym-cache"


def test_the_plan_says_what_was_counted() -> None:
    steps = [
        {"step": "a", "counted_by": "o200k_base", "is_measured": False},
        {"step": "b", "counted_by": "", "is_measured": False},
    ]
    assert basis_line(steps, []) == (
        "tokens in: counted by o200k_base for a, else a quarter of the bytes · "
        "tokens out: the cap of the step, the model or the schema"
    )
