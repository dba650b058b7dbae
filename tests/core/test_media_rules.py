"""Which files a protocol takes, and which are uploaded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.frozen import replace
from runner.core.media import MediaRules, Medium, can_be_uploaded, inline_bytes, misfit, rules_for, to_upload
from runner.core.model import Provider
from runner.core.problem import Problem

RULES = MediaRules(
    {"image": frozenset({"image/png"}), "document": frozenset({"application/pdf", "text/plain"})},
    request_bytes=4_000,
    pdf_bytes=1_500,
    uploads=frozenset({"document"}),
    file_bytes=5_000,
)


def medium(size: int, mime: str = "image/png", **more: Any) -> Medium:
    return Medium("image" if mime.startswith("image/") else "document", mime, "ab" * 32, size, shown="a.bin", **more)


def pdf(size: int) -> Medium:
    return medium(size, "application/pdf")


def text(size: int) -> Medium:
    return medium(size, "text/plain")


def test_where_a_file_lies_is_no_part_of_what_it_is() -> None:
    assert medium(3, path="/a/x.png") == medium(3, path="/b/y.png")
    assert medium(3) != medium(4)


@pytest.mark.parametrize(("size", "written"), [(0, 0), (1, 4), (3, 4), (4, 8), (3_000, 4_000)])
def test_base64_writes_three_bytes_as_four(size: int, written: int) -> None:
    assert inline_bytes(medium(size)) == written
    assert inline_bytes(text(size)) == size


def test_what_a_request_has_room_for_is_not_uploaded() -> None:
    assert to_upload((medium(900), pdf(900), text(900)), 0, RULES) == frozenset()
    assert to_upload((), 4_001, RULES) is None


def test_the_largest_files_are_uploaded_first_and_no_more_than_needed() -> None:
    assert to_upload((text(1_000), text(2_000), text(1_500)), 0, RULES) == frozenset({1})
    assert to_upload((text(1_000), text(2_000), text(1_500)), 2_000, RULES) == frozenset({1, 2})


def test_a_kind_that_cannot_be_uploaded_stays_within_the_request() -> None:
    assert to_upload((medium(2_400), text(2_000)), 0, RULES) == frozenset({1})
    assert to_upload((medium(3_300), text(1_000)), 0, RULES) is None


def test_a_pdf_that_is_too_large_within_a_request_is_uploaded_however_much_room_there_is() -> None:
    assert to_upload((text(10), pdf(1_501)), 0, RULES) == frozenset({1})
    assert to_upload((text(10), pdf(1_500)), 0, RULES) == frozenset()
    assert to_upload((pdf(5_001),), 0, RULES) is None


def test_a_file_larger_than_uploads_may_be_is_not_uploaded() -> None:
    assert can_be_uploaded(text(5_000), RULES)
    assert not can_be_uploaded(text(5_001), RULES)
    assert not can_be_uploaded(medium(1), RULES)


@given(
    st.lists(st.tuples(st.sampled_from((medium, pdf, text)), st.integers(0, 6_000)), max_size=6), st.integers(0, 5_000)
)
def test_a_request_with_its_uploads_is_never_larger_than_it_may_be(files: list[Any], rest: int) -> None:
    media = [make(size) for make, size in files]
    chosen = to_upload(media, rest, RULES)
    if chosen is None:
        kept = [one for one in media if not can_be_uploaded(one, RULES)]
        too_large = any(one.mime == "application/pdf" and one.size > RULES.pdf_bytes for one in kept)
        assert too_large or rest + sum(map(inline_bytes, kept)) > RULES.request_bytes
    else:
        kept = [one for number, one in enumerate(media) if number not in chosen]
        assert rest + sum(map(inline_bytes, kept)) <= RULES.request_bytes
        assert all(can_be_uploaded(media[number], RULES) for number in chosen)


def test_a_file_of_a_type_that_is_not_taken_is_refused() -> None:
    assert misfit(medium(9, "image/tiff"), RULES, "box/m") == Problem(
        "refused-file", "a.bin is image/tiff, which box/m does not take", expected="image/png"
    )
    sound = Medium("audio", "audio/wav", "ab" * 32, 9, shown="a.wav")
    assert misfit(sound, MediaRules(), "box/m") == Problem(
        "refused-file", "a.wav is audio/wav, which box/m does not take", expected=""
    )


@pytest.mark.parametrize(
    ("made", "most"),
    [
        pytest.param(medium(3_001), "3,000", id="written in base64"),
        pytest.param(pdf(5_001), "5,000", id="even by upload"),
        pytest.param(text(5_001), "5,000", id="a text by upload"),
    ],
)
def test_a_file_that_is_too_large_says_what_is_taken(made: Medium, most: str) -> None:
    assert misfit(made, RULES, "box/m") == Problem(
        "too-large", f"a.bin has {made.size:,} bytes, more than box/m takes", expected=f"at most {most} bytes"
    )


@pytest.mark.parametrize(("made", "most"), [(text(4_001), "4,000"), (pdf(1_501), "1,500")])
def test_without_uploads_the_request_is_the_measure(made: Medium, most: str) -> None:
    rules = MediaRules(RULES.types, request_bytes=4_000, pdf_bytes=1_500)
    found = misfit(made, rules, "box/m")
    assert found is not None
    assert found.expected == f"at most {most} bytes"


def test_a_file_that_fits_is_no_problem() -> None:
    assert misfit(medium(3_000), RULES, "box/m") is None
    assert misfit(pdf(5_000), RULES, "box/m") is None


def test_only_the_services_own_address_takes_uploads_unless_the_project_says_so() -> None:
    own = Provider("openai", "openai-chat", "https://api.openai.com/v1", is_builtin=True)
    assert rules_for(RULES, own) == RULES
    assert rules_for(RULES, Provider("box", "openai-chat", "http://localhost")).uploads == frozenset()
    served = Provider("own", "openai-chat", "http://localhost", is_builtin=True, settings={"server": "vllm"})
    assert rules_for(RULES, served).uploads == frozenset()
    told = rules_for(RULES, Provider("box", "openai-chat", "http://localhost", settings={"upload_over": "1000"}))
    assert (told.uploads, told.upload_over, told.request_bytes) == (RULES.uploads, 1_000, RULES.request_bytes)


def test_a_type_that_is_only_taken_within_the_request_is_never_uploaded() -> None:
    rules = replace(RULES, only_inline=frozenset({"text/plain"}))
    assert not can_be_uploaded(text(1), rules)
    assert can_be_uploaded(pdf(1), rules)
    assert to_upload((text(3_000), pdf(1_400)), 0, rules) == frozenset({1})
    assert to_upload((text(4_001),), 0, rules) is None
    assert misfit(text(4_001), rules, "box/m") == Problem(
        "too-large", "a.bin has 4,001 bytes, more than box/m takes", expected="at most 4,000 bytes"
    )


def test_what_a_project_uploads_sooner_does_not_make_the_request_smaller_for_the_rest() -> None:
    rules = replace(RULES, upload_over=1_000, only_inline=frozenset({"text/plain"}))
    assert to_upload((pdf(800), text(1_500)), 0, rules) == frozenset({0})
    assert to_upload((pdf(300), text(100)), 0, rules) == frozenset()
    assert to_upload((text(4_001),), 0, rules) is None
