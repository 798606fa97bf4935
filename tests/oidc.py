"""A small OpenID Connect provider on loopback: tells who somebody is, as the test says."""

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "remembrancer", "a secret of the client"


class Provider:
    """Signs in `claims` at every visit, unless `error`."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.error = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.token(self)

            def log_message(self, *args: Any) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        if parts.path == "/.well-known/openid-configuration":
            answer(handler, {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            })  # fmt: skip
        elif parts.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            back = {"state": asked["state"]}
            if self.error:
                back["error"] = self.error
            else:
                back["code"] = f"code-{len(self.codes)}"
                self.codes[back["code"]] = asked
            handler.send_response(302)
            handler.send_header("Location", f"{asked['redirect_uri']}?{urlencode(back)}")
            handler.end_headers()
        elif parts.path == "/userinfo":
            answer(handler, self.claims)
        else:
            handler.send_error(404)

    def token(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        sent = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.codes.pop(sent.get("code", ""), None)
        challenge = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        proved = asked is not None and asked["code_challenge"] == (
            base64.urlsafe_b64encode(challenge).decode().rstrip("=")
        )
        if not proved or (sent.get("client_id"), sent.get("client_secret")) != (CLIENT, SECRET):
            handler.send_error(400)
            return
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, **self.claims}
        signed = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "k"})
        answer(handler, {"access_token": "t", "token_type": "Bearer", "id_token": signed})


def answer(handler: BaseHTTPRequestHandler, data: dict[str, Any]) -> None:
    body = json.dumps(data).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
