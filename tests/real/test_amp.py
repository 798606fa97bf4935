"""Amp with our plugin in its folder, against a server of ours in place of Amp's."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from config.lib.recalled import OPEN
from sessions.models import Message, Session, SessionEvent
from tests.real.amp import THREAD, Server
from tests.real.conftest import ROOT, Desk, program, real, settings_of
from tests.real.model import Call

pytestmark = real


@dataclass
class Amp:
    desk: Desk
    path: str

    def ask(self, prompt: str, *command: str) -> str:
        """One `amp --execute`: what it prints."""
        options = ["--dangerously-allow-all", "--plugin-ready-timeout", "10", "--execute", prompt]
        return self.desk.must(self.path, *command, *options).strip()


@pytest.fixture
def backend() -> Iterator[Server]:
    with Server.serving() as fake:
        yield fake


@pytest.fixture
def amp(desk: Desk, backend: Server, server, token) -> Amp:
    path = program("amp")
    settings_of(desk, server, token)
    folder = desk.home / ".config" / "amp"
    (folder / "plugins").mkdir(parents=True)
    shutil.copy(ROOT / "integrations" / "amp" / "remembrancer.ts", folder / "plugins")
    key = {"Authorization": "Bearer ${REMEMBRANCER_KEY}"}
    ours = {"url": f"{server.url}/mcp/", "headers": key}
    settings = {"amp.mcpServers": {"remembrancer": ours}, "amp.updates.mode": "disabled"}
    (folder / "settings.json").write_text(json.dumps(settings))
    desk.environment |= {
        "AMP_URL": backend.url,
        "AMP_API_KEY": "anything",
        "REMEMBRANCER_URL": server.url,
        "REMEMBRANCER_KEY": token,
    }
    return Amp(desk, path)


def test_a_thread_of_amp_and_its_continuation_are_known(amp, backend, rows, known):
    backend.plan = {
        "When does the pump start?": [
            Call("shell_command", {"command": "echo it is noon"}),
            Call("shell_command", {"command": "ls nowhere"}),
            "It starts at noon.",
        ],
        "And the lamp?": [
            Call("mcp__remembrancer__memory_search", {"query": "lamp"}),
            "At dusk.",
        ],
    }
    assert amp.ask("When does the pump start?") == "It starts at noon."
    assert amp.ask("And the lamp?", "threads", "continue", THREAD) == "At dusk."
    rows.until(lambda: len(rows(SessionEvent, event_type="session_end")) == 2)
    (session,) = rows(Session)
    assert (session.source, session.external_id) == ("amp", THREAD)
    assert session.cwd == str(amp.desk.folder)
    assert [(m.role, m.content) for m in rows(Message) if m.role != "tool"] == [
        ("user", "When does the pump start?"),
        ("assistant", "It starts at noon."),
        ("user", "And the lamp?"),
        ("assistant", "At dusk."),
    ]
    begin, call = ["session_start", "user_prompt"], ["tool_use", "tool_result"]
    end = ["turn_end", "session_end"]
    assert rows.events(session) == begin + call * 2 + end + begin + call + end
    used = [
        (row.data["tool"], row.data["is_error"])
        for row in rows(SessionEvent, event_type="tool_result")
    ]
    search = "mcp__remembrancer__memory_search"
    assert used == [("shell_command", False), ("shell_command", True), (search, False)]
    assert rows.mapped()
    # Beside the first prompt, and not again.
    (added,) = backend.added
    assert added.startswith(OPEN)
    assert known.text in added
    assert "mcp__remembrancer__notify_human" in backend.tools
    assert "And the lamp?" in json.dumps(backend.results[-1])


def test_the_plugin_is_tried_without_a_prompt(amp, rows):
    """As docs/agents/amp.md has it, without an account."""
    plugin = str(amp.desk.home / ".config" / "amp" / "plugins" / "remembrancer.ts")
    given = json.dumps({"thread": {"id": "T-try"}})
    del amp.desk.environment["AMP_API_KEY"]
    amp.desk.must(amp.path, "plugins", "exec", plugin, "session.start", "--data", given)
    (session,) = rows.until(lambda: rows(Session))
    assert session.external_id == "T-try"
