"""The reference that a path begins with."""

from __future__ import annotations

import pytest

from runner.link.leads import lead_of


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("{{ row.path }}", ("row", "path")),
        ("  {{- row . path -}} ", ("row", "path")),
        ("{{ row.path }}/more.png", ("row", "path")),
        ('{{ row["the path"] }}', ("row", "the path")),
        ("{{ row['path'] }}", ("row", "path")),
        ("{{ rows[0].path }}", ("rows", "0", "path")),
        ("{{ name }}", ("name",)),
        ("{{ row.path | upper }}", ("row", "path")),
        ("media/{{ row.path }}", ()),
        ("media/a.png", ()),
        ('{{ "media/" ~ row.path }}', ()),
        ("{% if row %}a{% endif %}", ()),
        ("", ()),
    ],
)
def test_a_path_begins_with_a_reference_or_with_text(text: str, lead: tuple[str, ...]) -> None:
    assert lead_of(text, ()) == lead


def test_the_name_of_an_element_is_told_as_what_it_stands_for() -> None:
    elements = (("page", ("row", "pages", "[]")), ("part", ("page", "parts", "[]")))
    assert lead_of("{{ page.path }}", elements) == ("row", "pages", "[]", "path")
    assert lead_of("{{ part }}", elements) == ("row", "pages", "[]", "parts", "[]")
    assert lead_of("{{ row.path }}", elements) == ("row", "path")
