from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.core.editing import apply_edits
from runner.core.problem import Edit
from runner.core.slips import only_near


def test_edits_are_made_from_the_end_and_say_where_their_text_stands() -> None:
    first, second = Edit("a.yaml", 1, 1, "a", "abc"), Edit("a.yaml", 1, 3, "", "x\ny")
    changed = apply_edits(b"\xef\xbb\xbfa b\r\nc\r\n", [second, first])
    assert changed is not None
    assert changed.data == b"\xef\xbb\xbfabc x\r\nyb\r\nc\r\n"
    assert changed.written == {first: ((1, 1), (1, 4)), second: ((1, 5), (2, 2))}


def test_no_edit_is_made_where_the_file_reads_otherwise_or_is_no_text_or_two_overlap() -> None:
    assert apply_edits(b"abc", [Edit("a.yaml", 1, 1, "x", "y")]) is None
    assert apply_edits(b"abc", [Edit("a.yaml", 7, 1, "", "y")]) is None
    assert apply_edits(b"\xff", [Edit("a.yaml", 1, 1, "", "y")]) is None
    assert apply_edits(b"abc", [Edit("a.yaml", 1, 1, "ab", "y"), Edit("a.yaml", 1, 2, "b", "z")]) is None


def test_lines_are_counted_as_the_parser_of_the_file_does() -> None:
    text = "a\u2028b\nc".encode()
    assert apply_edits(text, [Edit("a.yaml", 2, 1, "b", "x")]) is not None
    assert apply_edits(text, [Edit("a.md", 2, 1, "c", "x")]) is not None


@given(st.text(), st.text(max_size=4))
def test_what_is_not_edited_keeps_its_bytes(text: str, new: str) -> None:
    data = text.encode()
    assert apply_edits(data, []) is not None
    changed = apply_edits(data, [Edit("a.md", 1, 1, "", new)])
    assert changed is not None
    assert changed.data.endswith(data.removeprefix("\ufeff".encode()))


def test_a_name_is_meant_only_where_a_single_one_is_near() -> None:
    assert only_near("tpoic", ["topic", "tone"]) == "topic"
    assert only_near("onError", ["on_error"]) == "on_error"
    assert only_near("a_b", ["aB", "ab"]) == ""
    assert only_near("cat", ["car", "bat"]) == ""
    assert only_near("line11", ["line1"]) == ""
    assert only_near("ab", ["ac"]) == ""
    assert only_near("summry_of_it", ["summary_for_it"]) == ""
