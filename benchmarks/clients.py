"""HTTP clients beside one another in one run: CPU per request, with nothing else done.

    uv run python benchmarks/clients.py             those that are installed, of the ones below
    uv run --with pyreqwest python benchmarks/clients.py

Each client runs in a process of its own against `loopback.py`. The first line is the ceiling: a bare protocol that
writes a request made beforehand and looks for the end of the answer. Nothing here is a test.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from textwrap import indent

HERE = Path(__file__).parent
REQUESTS = 2000
ROUNDS = 2

_GATHER = """
    gate = asyncio.Semaphore({at_once})
    async def one():
        async with gate:
            await ask()
    await asyncio.gather(*(one() for _ in range({requests})))
"""
HEAD = "import asyncio, json, sys\nURL = 'http://127.0.0.1:{port}/v1/chat/completions'\nBODY = b'x' * 700\n"
CLIENTS = {
    "bare protocol": """
class One(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        if self.data.endswith(b"}}"):
            self.data = b""
            self.done.set_result(None)
MESSAGE = b"POST /v1/chat/completions HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 700\\r\\n\\r\\n" + BODY
async def main():
    loop = asyncio.get_running_loop()
    free = [(await loop.create_connection(One, "127.0.0.1", {port}))[1] for _ in range({at_once})]
    async def ask():
        one = free.pop()
        one.done = loop.create_future()
        one.transport.write(MESSAGE)
        await one.done
        free.append(one)
"""
    + _GATHER,
    "aiohttp": """
import aiohttp
async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout()) as client:
        async def ask():
            async with client.post(URL, data=BODY) as response:
                await response.read()
"""
    + indent(_GATHER, "    "),
    "pyreqwest": """
from pyreqwest.client import ClientBuilder
async def main():
    async with ClientBuilder().build() as client:
        async def ask():
            response = await client.post(URL).body_bytes(BODY).build().send()
            await response.bytes()
"""
    + indent(_GATHER, "    "),
    "httpx": """
import httpx
async def main():
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=None) as client:
        async def ask():
            (await client.post(URL, content=BODY)).content
"""
    + indent(_GATHER, "    "),
}
# pyreqwest may abort the interpreter while it ends ("PyGILState_Release: thread state must be current").
_LEAVE = "import os\nos._exit(0)\n"
RUN = {
    "": "asyncio.run(main())\n" + _LEAVE,
    " + uvloop": "import uvloop\nuvloop.run(main())\n" + _LEAVE,
}
AT_ONCE = (1, 64, 500)


def cpu_of(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, loop: str, at_once: int, port: int) -> float:
    """CPU µs per request without the start of the process."""
    source = HEAD + CLIENTS[name] + RUN[loop]
    requests = REQUESTS if at_once > 1 else REQUESTS // 3
    few = source.format(port=port, at_once=at_once, requests=1)
    many = source.format(port=port, at_once=at_once, requests=requests)
    return statistics.median((cpu_of(many) - cpu_of(few)) / requests * 1e6 for _ in range(ROUNDS))


def main() -> None:
    server = subprocess.Popen(
        [sys.executable, str(HERE / "loopback.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    names = ["bare protocol", *(name for name in ("aiohttp", "pyreqwest", "httpx") if importlib.util.find_spec(name))]
    loops = ["", " + uvloop"] if importlib.util.find_spec("uvloop") else [""]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"CPU µs per request, at once:{AT_ONCE[0]:>8}" + "".join(f"{n:>10}" for n in AT_ONCE[1:]))
    for name in names:
        for loop in loops:
            cells = [measure(name, loop, n, port) for n in AT_ONCE if not (name == "httpx" and (n > 64 or loop))]
            print(f"  {name + loop:<24}" + "".join(f"{cpu:>10.0f}" for cpu in cells), flush=True)
    server.terminate()
    server.wait()


if __name__ == "__main__":
    main()
