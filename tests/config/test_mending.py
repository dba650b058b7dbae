from __future__ import annotations

from runner.config.mending import tab_spacing


def test_a_line_of_nothing_but_a_tab_has_no_width() -> None:
    assert tab_spacing("a.yaml", ["\t"], 1) == ()


def test_lines_around_the_named_one_are_spaced_with_it() -> None:
    lines = ["a:", "\tb: 1", "\tc: 2", "d: |", "  x", "\t\ty"]
    edits = tab_spacing("a.yaml", lines, 3)
    assert [(edit.line, edit.old, edit.new) for edit in edits] == [(2, "\t", "  "), (3, "\t", "  ")]
