from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.report.step_summary import MOST_BYTES, MOST_OF_ONE, Failed, step_summary

ONE = Failed("a.suite.yaml::crash", 'queue "bug" ≠ "how-to"', "queue differs\n    expected bug")


def kinds(page: str) -> set[str]:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page)
    return {token.type for token in tokens} | {inner.type for token in tokens for inner in token.children or ()}


def test_a_page_holds_the_verdict_the_failures_and_the_cells() -> None:
    assert step_summary("runner test", "1 failed, exit 1", [ONE], [["cell", "USD"], ["a|b", "0.1"]]) == (
        "## runner test\n"
        "\n"
        "1 failed, exit 1\n"
        "\n"
        "### a\\.suite\\.yaml\\:\\:crash\n"
        "\n"
        'queue "bug" ≠ "how\\-to"\n'
        "\n"
        "```text\n"
        "queue differs\n"
        "    expected bug\n"
        "```\n"
        "\n"
        "| cell | USD |\n"
        "| --- | --- |\n"
        "| a\\|b | 0\\.1 |\n"
    )


def test_a_fence_is_longer_than_any_in_the_text() -> None:
    page = step_summary("t", "c", [Failed("x", "", "````\n<b>out</b>\n`````")], [])
    assert "\n``````text\n````\n<b>out</b>\n`````\n``````\n" in page
    assert not {"html_block", "html_inline"} & kinds(page)


def test_what_has_no_room_is_counted() -> None:
    failed = [Failed(f"c{number}", "b", "x" * 19_000) for number in range(60)]
    page = step_summary("t", "c", failed, [["cell"], ["one"]])
    assert len(page.encode()) < MOST_BYTES
    assert "**Cut here: 13 more failures are in the log of this step.**" in page
    assert page.endswith("| one |\n")
    assert "1 more failure is" in step_summary("t", "c", failed[:48], [["cell"], ["one"]])


def test_one_long_story_is_cut() -> None:
    page = step_summary("t", "c", [Failed("x", "b", "y" * (MOST_OF_ONE + 1234))], [])
    assert "… cut: 1,234 more characters\n" in page


@given(st.text(), st.text(), st.text())
def test_no_text_is_markup_or_a_command(case: str, brief: str, story: str) -> None:
    page = step_summary("t", "c", [Failed(case, brief, story)], [["h"], [case]])
    assert kinds(page) <= {
        "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "text_special", "fence",
        "table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close", "tr_open", "tr_close",
        "th_open", "th_close", "td_open", "td_close",
    }  # fmt: skip
    assert "##[" not in page
    assert not [line for line in page.splitlines() if line.lstrip().startswith("::")]
