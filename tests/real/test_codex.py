"""Codex with our plugin, against a fake Responses API."""

import json
from dataclasses import dataclass

import pytest

from config.lib.recalled import CLOSE, OPEN
from memory.models import HookPayload
from sessions.models import Message, Session, SessionEvent
from tests.real.conftest import ROOT, Desk, program, real, settings_of
from tests.real.model import Call, Model

pytestmark = real
CONFIG = """
model = "test"
model_provider = "fake"

[model_providers.fake]
name = "A fake"
base_url = "{url}/v1"
wire_api = "responses"
"""


@dataclass
class Codex:
    desk: Desk
    path: str

    def ask(self, *arguments: str) -> list[dict]:
        """One `codex exec` with the plugin's hooks trusted: the events that it prints."""
        printed = self.desk.must(
            self.path, "exec", "--json", "--skip-git-repo-check",
            "--dangerously-bypass-hook-trust", "--dangerously-bypass-approvals-and-sandbox",
            *arguments,
        )  # fmt: skip
        return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


@pytest.fixture
def codex(desk: Desk, model: Model, server, token) -> Codex:
    path = program("codex")
    folder = desk.home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG.format(url=model.url))
    settings_of(desk, server, token)
    found = Codex(desk, path)
    desk.must(path, "plugin", "marketplace", "add", str(ROOT))
    desk.must(path, "plugin", "add", "remembrancer@remembrancer")
    return found


def test_a_session_of_codex_and_its_resume_are_known(codex, model, rows, known):
    model.plan = {
        "When does the pump start?": [
            Call("exec_command", {"cmd": "echo it is noon"}),
            "It starts at noon.",
        ],
        "And the lamp?": ["At dusk."],
    }
    printed = codex.ask("When does the pump start?")
    (name,) = [one["thread_id"] for one in printed if one["type"] == "thread.started"]
    codex.ask("resume", name, "And the lamp?")
    rows.until(lambda: len(rows(SessionEvent, event_type="turn_end")) == 2)
    (session,) = rows(Session)
    assert (session.source, session.external_id) == ("codex", name)
    said = [(m.role, m.content) for m in rows(Message) if m.role != "tool"]
    assert said == [
        ("user", "When does the pump start?"),
        ("assistant", "It starts at noon."),
        ("user", "And the lamp?"),
        ("assistant", "At dusk."),
    ]
    (used,) = rows(SessionEvent, event_type="tool_use")
    (result,) = rows(SessionEvent, event_type="tool_result")
    assert used.data["tool_use_id"] == result.data["tool_use_id"]
    assert {row.state for row in rows(HookPayload)} == {"mapped"}
    assert model.told(OPEN, "The pump starts at noon, never before.", CLOSE)
