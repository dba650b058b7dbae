"""Makes the recordings of the examples that need more than the embedded model can: on the local server, marked as such.

    PYTHONPATH=. python tests/servers/record_examples.py

The answers were written by hand, and the server names itself as the model: nobody shall take them for a real one's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

import runner
import runner.transport.port

if TYPE_CHECKING:
    from tests.servers.counting_server import Answer, CountingServer
else:
    from counting_server import Answer, CountingServer

ROOT = Path(__file__).parents[2]
MODEL = "a local test server, no real model"
ANSWERS = {
    "image-question": {
        "shapes": [
            {"shape": "square", "colour": "red"},
            {"shape": "disc", "colour": "green"},
            {"shape": "bar", "colour": "blue"},
        ],
        "answer": "The red square is the largest shape.",
    },
    "audio-notes": {"note": "Three plain tones follow one another, each higher than the one before.", "tones": 3},
}


class Redirected(httpx.AsyncBaseTransport):
    """Sends everything to one address, whatever host it is for."""

    def __init__(self, address: str) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._address = httpx.URL(address)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host=self._address.host, port=self._address.port)
        return await self._inner.handle_async_request(request)


def record(name: str) -> None:
    text = json.dumps(ANSWERS[name])
    server = CountingServer(lambda _dialect, _body, _n: Answer(text, model=MODEL, input_tokens=300, output_tokens=40))
    server.start()
    made = runner.transport.port.HttpTransport

    class ToServer(made):  # type: ignore[misc, valid-type] # a class that is known only here
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **{**named, "inner": Redirected(server.base_url)})

    runner.transport.port.HttpTransport = ToServer  # type: ignore[misc]
    try:
        result = runner.run(ROOT / "workflows" / f"{name}.yaml", record=True, refresh=["*"])
    finally:
        runner.transport.port.HttpTransport = made  # type: ignore[misc]
        server.stop()
    assert result.exit_code == 0, (result.problems, server.refused)


if __name__ == "__main__":
    os.environ.setdefault("GEMINI_API_KEY", "none-is-needed-here")
    for one in sys.argv[1:] or ANSWERS:
        record(one)
