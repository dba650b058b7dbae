"""The YAML language server that editors use, from npm, and a client that speaks to it over its pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from runner.config.editor_schema import schema_of

HERE = Path(__file__).parent
PACKAGE = "yaml-language-server"
INSTALL_SECONDS = 180
ANSWER_SECONDS = 60


class LanguageServer:
    """One server process. A file that is opened has the schema of its kind named in its first line."""

    def __init__(self, script: Path, folder: Path) -> None:
        self.folder = folder
        (folder / ".runner").mkdir()
        for kind in ("workflow", "suite", "settings"):
            (folder / f".runner/{kind}.schema.json").write_text(json.dumps(schema_of(kind)), encoding="utf-8")
        command = [shutil.which("node") or "node", str(script), "--stdio"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input: IO[bytes] = self.process.stdin
        self.output: IO[bytes] = self.process.stdout
        self.watch = threading.Timer(ANSWER_SECONDS * 5, self.process.kill)
        self.watch.start()
        self.number = 0
        self.diagnostics: dict[str, list[Any]] = {}
        formats = {"contentFormat": ["plaintext"]}
        abilities = {"textDocument": {"hover": formats, "publishDiagnostics": {}}, "workspace": {"configuration": True}}
        self.ask("initialize", {"processId": os.getpid(), "rootUri": folder.as_uri(), "capabilities": abilities})
        self.tell("initialized", {})

    def open(self, name: str, kind: str, text: str) -> str:
        """The address of a file with this text."""
        uri = (self.folder / name).as_uri()
        text = f"# {PACKAGE}: $schema={self.folder.as_uri()}/.runner/{kind}.schema.json\n{text}"
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def found(self, name: str, kind: str, text: str) -> list[tuple[int, str]]:
        """Line (of the text, from 1) and message of what the editor would underline."""
        uri = self.open(name, kind, text)
        while uri not in self.diagnostics:
            self._take()
        return [(one["range"]["start"]["line"], one["message"]) for one in self.diagnostics[uri]]

    def at(self, method: str, uri: str, line: int, column: int) -> Any:
        """What the editor asks at a place of the text, both counted from 1."""
        position = {"line": line, "character": column - 1}
        return self.ask(f"textDocument/{method}", {"textDocument": {"uri": uri}, "position": position})

    def ask(self, method: str, params: Any) -> Any:
        self.number += 1
        self._send({"id": self.number, "method": method, "params": params})
        while (message := self._take()).get("id") != self.number or "method" in message:
            continue
        return message["result"]

    def tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.input.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.input.flush()

    def _take(self) -> dict[str, Any]:
        """The next message; what the server asks of the client is answered."""
        length = 0
        while (line := self.output.readline().strip()) or not length:
            assert self.process.poll() is None, "the language server has ended"
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self.output.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            items = message["params"].get("items", []) if message["method"] == "workspace/configuration" else None
            self._send({"id": message["id"], "result": items and [_setting(item["section"]) for item in items]})
        return message

    def close(self) -> None:
        self.watch.cancel()
        self.process.kill()
        self.process.wait()
        self.input.close()
        self.output.close()


def _setting(section: str) -> Any:
    """Nothing is fetched: the schemas of this program are all there is."""
    if section != "yaml":
        return {}
    return {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}


@pytest.fixture(scope="session")
def server_script() -> Path:
    """The server, installed once into the user's cache folder. Skips where that cannot be done."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    version = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"][PACKAGE]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runner-tests"
    folder = cache / f"{PACKAGE}-{version}"
    script = folder / f"node_modules/{PACKAGE}/out/server/src/server.js"
    if script.is_file():
        return script
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as fresh:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh)
        try:
            done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=fresh, check=False,
                                  capture_output=True, text=True, timeout=INSTALL_SECONDS)  # fmt: skip
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {PACKAGE} within {INSTALL_SECONDS} s")
        if done.returncode:
            pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip()[:200]}")
        shutil.copytree(fresh, folder, dirs_exist_ok=True)
    return script


@pytest.fixture(scope="session")
def language_server(server_script: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    server = LanguageServer(server_script, tmp_path_factory.mktemp("editor"))
    yield server
    server.close()
