"""Texts are kept by digest, once, and read only if they are what they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.canonical import digest
from runner.record.texts import keep_texts, read_text


def test_a_kept_text_is_read_by_its_digest(tmp_path: Path) -> None:
    keep_texts(tmp_path / "texts", ["one", "two\ud800"])
    assert read_text(tmp_path / "texts", digest("one")) == "one"
    assert read_text(tmp_path / "texts", digest("two\ud800")) == "two\ud800"
    assert read_text(tmp_path / "texts", digest("three")) is None
    assert read_text(tmp_path / "texts", "../one") is None


def test_a_text_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / f"{digest('one')}.txt"
    keep_texts(tmp_path, ["one"])
    path.write_text("other")
    keep_texts(tmp_path, ["one"])
    assert path.read_text() == "other"
    assert read_text(tmp_path, digest("one")) is None, "what was changed is no text of that digest"


def test_huge_texts_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.record.texts.MAX_BYTES", 3)
    keep_texts(tmp_path, ["four", "one"])
    assert [path.name for path in tmp_path.iterdir()] == [f"{digest('one')}.txt"]


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    keep_texts(tmp_path / "file" / "texts", ["one"])
    assert read_text(tmp_path / "file" / "texts", digest("one")) is None
