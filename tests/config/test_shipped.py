"""What the package brings itself means the same to any reader of YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

import runner.catalog
from runner.config.load import load_values
from runner.config.shipped import load_shipped


@pytest.mark.parametrize("name", ["models.yaml", "codes.yaml"])
def test_a_shipped_file_is_the_same_by_our_own_rules(name: str) -> None:
    text = Path(runner.catalog.__file__).with_name(name).read_bytes()
    assert (load_shipped(text), []) == load_values(text, name)
