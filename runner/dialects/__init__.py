"""One wire protocol per module; pure: no HTTP, no clock."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.ports import Dialect
from runner.core.tool import TOOL_DIALECT
from runner.dialects.anthropic import AnthropicDialect
from runner.dialects.embedding import GeminiEmbedding, LlamaEmbedding, OpenAIEmbedding, VertexEmbedding
from runner.dialects.gemini import GeminiDialect, VertexDialect
from runner.dialects.llama import LlamaDialect
from runner.dialects.openai_chat import OpenAIChatDialect
from runner.dialects.openai_responses import OpenAIResponsesDialect
from runner.dialects.scripted import ScriptedDialect
from runner.dialects.tool import ToolDialect

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        GeminiDialect(),
        VertexDialect(),
        OpenAIChatDialect(),
        OpenAIResponsesDialect(),
        AnthropicDialect(),
        LlamaDialect(),
        ScriptedDialect(),
    )
}
"""Dialect name → dialect, of those that answer questions."""

ASKED: Mapping[str, Dialect] = {
    **DIALECTS,
    **{
        dialect.name: dialect for dialect in (OpenAIEmbedding(), LlamaEmbedding(), GeminiEmbedding(), VertexEmbedding())
    },
    TOOL_DIALECT: ToolDialect(),
}
"""All that a stored answer may name: also those that give vectors, and what tools of the project are spoken to in."""
