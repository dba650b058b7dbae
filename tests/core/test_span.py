from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.core.span import Origin, Span, lines_of

TEXT = "first\n\tneeds: [clasify]\nlast"


def test_a_place_is_written_as_editors_do() -> None:
    assert str(Span("w.yaml", 14, 13, 7)) == "w.yaml:14:13"


def test_places_are_ordered_by_file_line_and_column() -> None:
    places = [Span("b", 1, 1), Span("a", 10, 1), Span("a", 2, 9), Span("a", 2, 10)]
    assert sorted(places) == [Span("a", 2, 9), Span("a", 2, 10), Span("a", 10, 1), Span("b", 1, 1)]


def test_an_excerpt_has_a_caret_under_the_place() -> None:
    assert Span("w.yaml", 2, 10, 7).excerpt({"w.yaml": TEXT}) == "    2 |  needs: [clasify]\n      |          ^^^^^^^"


def test_a_place_without_its_text_has_no_excerpt() -> None:
    assert Span("w.yaml", 2, 1).excerpt({}) == ""
    assert Span("w.yaml", 4, 1).excerpt({"w.yaml": TEXT}) == ""
    assert Span("w.yaml", 0, 1).excerpt({"w.yaml": TEXT}) == ""


def test_a_long_line_is_cut_to_the_neighbourhood() -> None:
    line = "a" * 400 + "X" + "b" * 400
    shown, caret = Span("f", 1, 401).excerpt({"f": line}).split("\n")
    assert len(shown) == len("    1 | ") + 160
    assert shown[caret.index("^")] == "X"


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=300), min_size=1, max_size=4
    ),
    st.data(),
)
def test_the_caret_stands_under_the_very_character(lines: list[str], data: st.DataObject) -> None:
    number = data.draw(st.integers(1, len(lines)))
    line = lines[number - 1]
    column = data.draw(st.integers(1, len(line) + 1))
    length = data.draw(st.integers(1, 400))
    excerpt = Span("f", number, column, length).excerpt({"f": "\n".join(lines) + "\n"})
    shown, caret = excerpt.split("\n")
    start = caret.index("^")
    assert shown[start : start + 1] == line[column - 1 : column]
    carets = caret[start:]
    assert carets == "^" * len(carets)
    assert shown[start:].startswith(line[column - 1 :][: len(carets)])


def test_a_place_in_a_text_is_a_place_in_its_file() -> None:
    origin = Origin("w.yaml", line=10, column=5, indent=4)
    assert origin.span() == Span("w.yaml", 10, 5)
    assert origin.span(1, 3, 7) == Span("w.yaml", 10, 7, 7)
    assert origin.span(2, 3, 7) == Span("w.yaml", 11, 7, 7)


def test_a_text_that_was_folded_has_one_place() -> None:
    assert Origin("w.yaml", line=10, column=5, is_exact=False).span(7, 3, 9) == Span("w.yaml", 10, 5, 1)


LINES = st.lists(st.text("ab{} ", max_size=6), min_size=1, max_size=5)


@given(LINES, st.integers(0, 6), st.integers(0, 3), st.data())
def test_a_block_of_text_is_found_again_in_its_file(
    lines: list[str], indent: int, before: int, data: st.DataObject
) -> None:
    file = ["x"] * before + [" " * indent + line for line in lines]
    origin = Origin("f", line=before + 1, column=indent + 1, indent=indent)
    line = data.draw(st.integers(1, len(lines)))
    column = data.draw(st.integers(1, len(lines[line - 1]) + 1))
    span = origin.span(line, column)
    assert file[span.line - 1][span.column - 1 :] == lines[line - 1][column - 1 :]


def test_lines_are_counted_as_the_parser_of_the_file_counts_them() -> None:
    text = "a\x0cb\x85c\u2028d\r\ne\rf"
    assert lines_of("prompt.md", text) == ("a\x0cb\x85c\u2028d", "e", "f")
    assert lines_of("flow.yaml", text) == ("a\x0cb", "c", "d", "e", "f")
    assert lines_of("flow.yaml", "a\n") == ("a",)
    assert lines_of("flow.yaml", "") == ()
