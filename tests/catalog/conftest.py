"""The shipped catalogue, read as a caller would."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import runner.catalog
from runner.catalog.resolve import Catalog, parse_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    text = Path(runner.catalog.__file__).with_name("models.yaml").read_text(encoding="utf-8")
    return parse_catalog(yaml.safe_load(text))
