"""What is wrong with references, asserted as it is shown: each file in `messages/` is a claim.

Such a file is the workflow, further files behind `==== NAME`, and what is shown behind `==== shown`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

CLAIMS = sorted((Path(__file__).parent / "messages").glob("*.txt"))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda path: path.stem)
def test_a_mistake_is_shown_where_it_was_made(claim: Path, complaints: Callable[..., str]) -> None:
    workflow, *rest = re.split(r"^==== (.+)\n", claim.read_text(encoding="utf-8"), flags=re.MULTILINE)
    files = dict(zip(rest[::2], rest[1::2], strict=True))
    shown = files.pop("shown")
    assert complaints(workflow, files) + "\n" == shown
