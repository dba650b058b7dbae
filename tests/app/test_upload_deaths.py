"""A run that is killed between any two actions of an upload: the next one goes on, and asks each question once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import runner

MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(9_000_000)
PDF = b"%PDF-1.7\n" + bytes(range(128)) * 20
SHOWN = {"gemini": ("video", "a.mp4", MP4), "openai-responses": ("document", "a.pdf", PDF)}


def start(folder: Path, counting_server: Any, dialect: str) -> Any:
    kind, name, content = SHOWN[dialect]
    server = counting_server(lambda _d, _b, _n: counting_server.Answer("seen"), key="")
    server.files.polls = 2
    url = server.chat_url if dialect.startswith("openai") else server.base_url
    folder.mkdir()
    (folder / name).write_bytes(content)
    (folder / "runner.yaml").write_text(
        f"providers:\n  box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: free, upload_over_mb: 0.001}}\n",
        encoding="utf-8",
    )
    (folder / "flow.yaml").write_text(
        f"steps:\n  look: {{model: box/m, prompt: What is this?, files: [{{{kind}: {name}}}]}}\n", encoding="utf-8"
    )
    return server


def run_and_die(path: Path, number: int) -> bool:
    """A run in a process of its own that is killed at the numbered point; whether it came that far."""
    child = os.fork()
    if child == 0:
        try:
            _die_at(number)
            runner.run(path)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _die_at(number: int) -> None:
    """Points lie before and after each request of an upload, each wait for the file, and the note of its name."""
    from runner.app.transports import SystemClock
    from runner.transport import uploads
    from runner.transport.wire_httpx import HttpxWire

    left = [number]

    def point() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    real_ask, real_write = HttpxWire.ask, uploads._write

    async def ask(*given: Any) -> Any:
        point()
        said = await real_ask(*given)
        point()
        return said

    def write(*given: Any) -> None:
        point()
        real_write(*given)
        point()

    async def sleep(_clock: object, _seconds: float) -> None:
        point()

    HttpxWire.ask = ask  # type: ignore[method-assign,assignment]
    uploads._write = write  # type: ignore[assignment]
    SystemClock.sleep = sleep  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("dialect", SHOWN)
def test_a_death_at_any_point_of_an_upload_loses_nothing_and_asks_once(
    tmp_path: Path, counting_server: Any, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(_clock: object, _seconds: float) -> None:
        return None

    deaths = 0
    while True:
        folder = tmp_path / str(deaths)
        server = start(folder, counting_server, dialect)
        died = run_and_die(folder / "flow.yaml", deaths + 1)
        is_known = (folder / ".runner" / "uploads.json").exists()
        before = server.files.started
        with monkeypatch.context() as patch:
            patch.setattr("runner.app.transports.SystemClock.sleep", sleep)
            result = runner.run(folder / "flow.yaml")
        assert (result.exit_code, result.outputs, server.refused) == (0, "seen", []), f"after point {deaths + 1}"
        assert server.count == 1, f"asked again after point {deaths + 1}"
        assert server.files.started == before + (0 if is_known else 1), f"after point {deaths + 1}"
        assert SHOWN[dialect][2] in server.files.stored.values()
        if is_known:
            assert len(json.loads((folder / ".runner" / "uploads.json").read_bytes())) == 1
        if not died:
            break
        deaths += 1
    assert deaths >= {"gemini": 11, "openai-responses": 4}[dialect]
