"""Vectors of texts by the embedded engine: the mean of what a model makes of each token, or what its file says."""

from __future__ import annotations

import json
import threading
from dataclasses import field
from typing import Any, Final

from runner.core.canonical import Json, ordered
from runner.core.frozen import dataclass
from runner.core.model import Provider
from runner.core.ports import CallFailed, Hear
from runner.transport.completion import find_error, refuse

VECTORS: Final = "llama-embed"


def start_for_vectors(params: Any, provider: Provider, model: str) -> VectorEngine:
    """An engine that reads a text in one step: what is read in several has no one vector."""
    import xllamacpp

    params.embedding = True
    params.n_batch = params.n_ubatch = params.n_ctx
    if provider.is_builtin:
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return VectorEngine(xllamacpp.Server(params), provider.name, model)


@dataclass(frozen=True, slots=True)
class VectorEngine:
    """A loaded model that gives vectors. A text takes a moment, so that nothing is stopped within one."""

    server: Any
    provider: str
    model: str
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, body: Json, tell: Hear, stop: threading.Event) -> bytes:  # noqa: ARG002
        try:
            said = json.loads(self.server.handle_embeddings(json.dumps(body)))
        except (RuntimeError, ValueError) as error:
            raise CallFailed(refuse(self.provider, str(error))) from None
        failure = find_error([said], self.provider)
        if failure is not None:
            raise CallFailed(failure)
        (row,) = said["data"]
        vector = [_shortest(number) for number in row["embedding"]]
        usage = {"prompt_tokens": said["usage"]["prompt_tokens"]}
        return ordered({"object": "list", "model": self.model, "data": [{"embedding": vector}], "usage": usage})


def _shortest(number: float) -> float:
    """Nine digits say all of a number of the engine, which has half the length of ours."""
    return float(f"{number:.9g}")
