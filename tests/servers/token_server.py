"""A local stand-in for the places that give access tokens of Google Cloud: the token endpoint and the metadata server.

It checks what it is asked as strictly as they do: the grant, the signature of a service account's assertion, the
header that the metadata server wants.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

EMAIL = "robot@shop.iam.gserviceaccount.com"
REFRESH_TOKEN = "refresh-me"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class TokenServer:
    """Gives `token-1`, `token-2`, … for as long as `expires_in` says; `asked` lists the grants in order."""

    def __init__(self) -> None:
        self.expires_in = 3600
        self.asked: list[str] = []
        self.refused: list[str] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._asker())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> TokenServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def service_account(self) -> dict[str, str]:
        """A credentials file of a service account that this server knows."""
        private = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "client_email": EMAIL,
            "private_key_id": "k1",
            "private_key": private.decode(),
            "token_uri": f"http://{self.host}/token",
            "quota_project_id": "who-pays",
        }

    def grant(self, form: dict[str, str]) -> str:
        """The kind of a grant that is in order, "" for one that is not."""
        kind = form.get("grant_type", "")
        if kind == "refresh_token" and (form.get("refresh_token"), form.get("client_id")) == (REFRESH_TOKEN, "client"):
            return "user"
        if kind.endswith(":jwt-bearer") and self._is_signed(form.get("assertion", "")):
            return "service account"
        return ""

    def _is_signed(self, assertion: str) -> bool:
        head, _, rest = assertion.partition(".")
        claims, _, signature = rest.partition(".")
        try:
            self._key.public_key().verify(
                _decode(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (InvalidSignature, ValueError):
            return False
        said = json.loads(_decode(claims))
        return bool(
            said["iss"] == EMAIL
            and said["aud"] == "https://oauth2.googleapis.com/token"
            and said["scope"] == SCOPE
            and 0 < said["exp"] - said["iat"] <= 3600
        )

    def _asker(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the class below has a self of its own
        class Asker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length", "0")))
                form = {name: values[0] for name, values in parse_qs(data.decode()).items()}
                self._say(server.grant(form) if self.path == "/token" else "", "invalid_grant")

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                is_metadata = parts.path == "/computeMetadata/v1/instance/service-accounts/default/token"
                is_right = (self.headers.get("metadata-flavor"), parse_qs(parts.query)) == (
                    "Google",
                    {"scopes": [SCOPE]},
                )
                self._say("metadata" if is_metadata and is_right else "", "not_found")

            def _say(self, grant: str, error: str) -> None:
                (server.asked if grant else server.refused).append(grant or self.path)
                value: dict[str, Any] = {"error": error, "error_description": "Bad Request"}
                if grant:
                    token = f"token-{len(server.asked)}"
                    value = {"access_token": token, "expires_in": server.expires_in, "token_type": "Bearer"}
                body = json.dumps(value).encode()
                self.send_response(200 if grant else 400)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                """A test prints nothing."""

        return Asker


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
