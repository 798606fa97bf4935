"""Cursor's SDK and its local agent, with hooks as the shim sets them up, against a server of ours.

Cursor itself is on no registry; the SDK reads the same files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.lib.recalled import OPEN
from sessions.models import Message, Session, SessionEvent, Thread
from tests.real.conftest import BIN, SHIM, Desk, program, real, settings_of
from tests.real.cursor import Server
from tests.real.model import Call

pytestmark = real
SDK = BIN.parent / "@cursor" / "sdk" / "dist" / "esm" / "index.js"


@dataclass
class Cursor:
    desk: Desk
    node: str

    def ask(self, prompt: str, agent: str = "") -> tuple[str, str]:
        """(the agent's id, its answer)"""
        script = str(Path(__file__).with_name("cursor.mjs"))
        printed = self.desk.must(self.node, script, str(SDK), prompt, *filter(None, [agent]))
        said = json.loads(printed.splitlines()[-1])
        assert said["status"] == "finished"
        return said["agent"], said["result"]


@pytest.fixture
def backend() -> Iterator[Server]:
    with Server.serving() as fake:
        yield fake


@pytest.fixture
def cursor(desk: Desk, backend: Server, server, token) -> Cursor:
    if not SDK.exists():
        pytest.skip("npm could not install @cursor/sdk")
    settings_of(desk, server, token)
    desk.must("python3", str(SHIM), "install", "cursor")
    desk.environment["CURSOR_BACKEND_URL"] = backend.url
    return Cursor(desk, program("node"))


def test_a_session_of_cursor_and_its_resume_are_known(cursor, backend, rows, known):
    backend.plan = {
        "When does the pump start?": [
            Call("shell", {"command": "echo it is noon"}),
            Call("shell", {"command": "ls nowhere"}),
            Call("subagent_start", {"subagent_id": "s1", "subagent_type": "explore", "task": "A"}),
            Call("subagent_stop", {"subagent_id": "s1", "status": "completed", "summary": "Wet."}),
            Call("pre_compact", {"trigger": "auto"}),
            "It starts at noon.",
        ],
        "Go on": [Call("memory_search", {"query": "pump"}), "Done."],
    }
    name, answer = cursor.ask("When does the pump start?")
    assert answer == "It starts at noon."
    # The SDK reads what a hook adds to a start or a prompt, and passes none of it on.
    (prompt,) = rows.heard("beforeSubmitPrompt")
    assert prompt.answer["tokens"] > 0
    assert not backend.told(OPEN)
    for _ in range(2):
        assert cursor.ask("Go on", name) == (name, "Done.")
    rows.until(lambda: len(rows(SessionEvent, event_type="session_end")) == 3)
    (session,) = rows(Session)
    assert (session.source, session.external_id, session.model) == ("cursor", name, "test")
    main, explorer = rows(Thread)
    assert [m.content for m in rows(Message, thread=explorer) if m.role == "assistant"] == ["Wet."]
    said = [(m.role, m.content) for m in rows(Message, thread=main) if m.role != "tool"]
    assert said == [
        ("user", "When does the pump start?"),
        ("assistant", "It starts at noon."),
        ("user", "Go on"),
        ("assistant", "Done."),
        ("user", "Go on"),
        ("assistant", "Done."),
    ]
    again = ["session_start", "user_prompt", "tool_use", "tool_result", "turn_end", "session_end"]
    looked = ["subagent_start", "subagent_stop", "compaction"]
    assert rows.events(session) == again[:4] + again[2:4] + looked + again[4:] + again * 2
    used = [
        (row.data["tool"], row.data["is_error"])
        for row in rows(SessionEvent, event_type="tool_result")
    ]
    search = ("MCP:memory_search", False)
    assert used == [("Shell", False), ("Shell", True), search, search]
    assert rows.mapped()
    # Listed and called.
    assert backend.told("remembrancer", "notify_human")
    assert backend.told(known.text)
