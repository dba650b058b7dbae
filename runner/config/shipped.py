"""Files that the package brings itself: read in half the time, since no place in them is ever told."""

from __future__ import annotations

import yaml

from runner.core.canonical import Json

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_shipped(text: bytes) -> Json:
    """The JSON value of a YAML file of ours, written so that every reader of YAML takes it for the same."""
    return yaml.load(text, _LOADER)  # noqa: S506 -- a safe loader
