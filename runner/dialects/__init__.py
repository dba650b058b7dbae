"""One wire protocol per module; pure: no HTTP, no clock."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.ports import Dialect
from runner.dialects.gemini import GeminiDialect
from runner.dialects.llama import LlamaDialect
from runner.dialects.openai_chat import OpenAIChatDialect
from runner.dialects.scripted import ScriptedDialect

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect for dialect in (GeminiDialect(), OpenAIChatDialect(), LlamaDialect(), ScriptedDialect())
}
"""Dialect name → dialect."""
