"""Other people's programs: the conformance suite and the Inspector's command line, from npm.

`make test-mcp` installs them and says where (MCP_NPM); without that these are skipped.
"""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contacts.models import Workspace
from contacts.scopes import SCOPES
from tests.factories import make_key

FOLDER = os.environ.get("MCP_NPM", "")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="needs npm: run by `make test-mcp`"),
]
# What a server without fixtures of the suite's own can be asked. Of the others some call tools
# that only the suite's example server has (test_simple_text, ...), and some ask for what is not
# served: server-to-client streams, sampling, elicitation, completion, logging, subscriptions.
SCENARIOS = [
    ("server-initialize", "2025-11-25"),
    ("ping", "2025-11-25"),
    ("server-session-lifecycle", "2025-11-25"),
    ("tools-list", "2025-11-25"),
    ("resources-list", "2025-11-25"),
    ("prompts-list", "2025-11-25"),
    ("dns-rebinding-protection", "2025-11-25"),
    ("server-stateless", "2026-07-28"),
    ("tools-list", "2026-07-28"),
    ("resources-list", "2026-07-28"),
    ("prompts-list", "2026-07-28"),
    ("sep-2164-resource-not-found", "2026-07-28"),
    ("dns-rebinding-protection", "2026-07-28"),
    ("caching", "2026-07-28"),
    ("http-header-validation", "2026-07-28"),
]
# Checks within these that call tools of the example server (test_missing_capability,
# test_streaming_elicitation, test_logging_tool) or open subscriptions/listen, which is optional.
FOR_THE_EXAMPLE = {
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
    "sep-2575-server-sends-subscription-ack",
    "sep-2575-server-tags-subscription-id",
}
_FAILED = re.compile(r"\[([a-z0-9-]+)\s*\] (?:\x1b\[\d+m)?FAILURE")


@pytest.fixture
def token(workspace: Workspace) -> str:
    return make_key(workspace, scopes=list(SCOPES))[1]


@pytest.fixture
def keyed(port: int, token: str) -> Iterator[str]:
    """The server's address for programs that cannot send a key: one is added on the way."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            link = HTTPConnection("127.0.0.1", port, timeout=30)
            link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "connection":
                    link.putheader(name, value)
            link.putheader("Authorization", f"Bearer {token}")
            link.endheaders(sent)
            answer = link.getresponse()
            body = answer.read()
            link.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = pass_on  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/mcp/"
    server.shutdown()
    server.server_close()


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of the folder, by the folder's own node where there is one."""
    place = Path(FOLDER) / "node_modules" / ".bin"
    node = place / "node"
    command = [str(node) if node.exists() else "node", str(place / program), *arguments]
    environment = {**os.environ, "HOME": FOLDER, "NO_COLOR": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, env=environment, cwd=FOLDER
    )


@pytest.mark.parametrize(("scenario", "version"), SCENARIOS)
def test_the_conformance_suite(keyed, scenario, version):
    done = run(
        "conformance", "server", "--url", keyed, "--scenario", scenario, "--spec-version", version
    )
    assert "Passed:" in done.stdout, done.stdout + done.stderr
    failed = set(_FAILED.findall(done.stdout))
    assert failed <= FOR_THE_EXAMPLE, done.stdout
    assert done.returncode == 0 or failed, done.stdout + done.stderr


def inspector(port: int, token: str, *arguments: str) -> Any:
    done = run(
        "mcp-inspector", "--cli", f"http://127.0.0.1:{port}/mcp/", "--transport", "http",
        "--header", f"Authorization: Bearer {token}", *arguments,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_inspectors_command_line(port, token):
    tools = inspector(port, token, "--method", "tools/list", "--strict")["tools"]
    assert len(tools) == 12
    saved = inspector(
        port, token, "--method", "tools/call", "--tool-name", "memory_save",
        "--tool-arg", "text=Zinnias need water.",
    )  # fmt: skip
    memory = saved["structuredContent"]["memory"]
    found = inspector(
        port, token, "--method", "tools/call", "--tool-name", "memory_search",
        "--tool-arg", "query=zinnias",
    )  # fmt: skip
    assert found["structuredContent"]["hits"][0]["id"] == memory["id"]
    uri = f"remembrancer://memories/{memory['id']}"
    read = inspector(port, token, "--method", "resources/read", "--uri", uri)
    assert "Zinnias need water." in read["contents"][0]["text"]
    prompts = inspector(port, token, "--method", "prompts/list")["prompts"]
    assert [prompt["name"] for prompt in prompts] == ["recall", "start", "handoff"]
