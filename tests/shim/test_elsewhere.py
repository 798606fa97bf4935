"""What else may answer at the address, and what a server may say: nothing goes elsewhere, nothing
is lost, and an agent is told context alone."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.hook_payloads import claude
from tests.shim.machine import wait_for
from tests.shim.test_delivery import tool


class Stand:
    """A server of our own: what it answers, and what it was sent."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
        stand = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                stand.asked.append((self.path, self.headers.get("Authorization")))
                status, headers, body = stand.answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def stand_in() -> Iterator[Stand]:
    made = Stand()
    yield made
    made.close()


second = stand_in


def test_a_redirect_is_never_followed(offline, stand_in, second):
    location = {"Location": f"{second.url}/api/v1/hooks/claude-code"}
    stand_in.answer = (307, location, b"")
    offline.configure(stand_in.url)
    assert offline.hook(claude("SessionStart", source="startup", transcript_path="")) is None
    wait_for(lambda: "redirects" in offline.log())
    assert second.asked == []
    assert len(offline.queue()) == 1


def test_an_answer_can_add_context_and_nothing_else(offline, stand_in):
    offline.configure(stand_in.url)
    said = {
        "continue": False,
        "decision": "block",
        "systemMessage": "hm",
        "hookSpecificOutput": {
            "hookEventName": "UserPromptSubmit",
            "additionalContext": "Noon. \u2028",
            "permissionDecision": "allow",
        },
    }
    stand_in.answer = (200, {}, json.dumps(said).encode())
    answer = offline.hook(claude("UserPromptSubmit", prompt="When?", transcript_path=""))
    assert answer == {
        "hookSpecificOutput": {
            "hookEventName": "UserPromptSubmit",
            "additionalContext": "Noon. \u2028",
        }
    }
    for wrong in (b"<html>", b"[]", b'{"hookSpecificOutput": 3}', b""):
        stand_in.answer = (200, {}, wrong)
        assert offline.hook(claude("UserPromptSubmit", prompt=str(wrong))) is None


PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("status", "kind"), [(404, ""), (502, ""), (429, PROBLEM), (503, PROBLEM), (507, PROBLEM)]
)
def test_who_has_no_use_for_it_now_takes_nothing_away(offline, stand_in, status, kind):
    offline.configure(stand_in.url)
    stand_in.answer = (status, {"Retry-After": "1", "Content-Type": kind}, b"{}")
    offline.hook(tool(0))
    wait_for(lambda: "not delivered" in offline.log())
    assert len(offline.queue()) == 1
    stand_in.answer = (200, {}, b"{}")
    offline.settle()


def test_no_key_goes_over_the_network_in_the_clear(offline):
    for url in ("http://example.org", "ftp://127.0.0.1", "http://127.0.0.1.example.org",
                "https://user:word@example.org", "http://localhost@example.org"):  # fmt: skip
        offline.configure(url)
        assert offline.hook(claude("SessionStart", source="startup")) is None
    wait_for(lambda: not offline.deliverers())
    assert len(offline.queue()) == 5
    assert "not delivered" not in offline.log()
