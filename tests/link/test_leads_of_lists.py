"""Paths of files that begin with the element of a list that is written out."""

from __future__ import annotations

import pytest

from runner.link.leads import lead_of

Elements = tuple[tuple[str, tuple[str, ...]], ...]


@pytest.mark.parametrize("text", ["{{ page }}", "{{ page.item }}"])
@pytest.mark.parametrize("around", [(), (("outer", ("item", "pages", "*")),)])
def test_an_element_of_a_list_that_is_no_reference_leads_nowhere(text: str, around: Elements) -> None:
    assert lead_of(text, (*around, ("page", ()))) == ()
