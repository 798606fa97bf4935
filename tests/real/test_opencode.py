"""OpenCode with our plugin in its folder, against a fake Messages API."""

import json
import shutil
from dataclasses import dataclass
from typing import Any

import pytest

from config.lib.recalled import CLOSE, OPEN
from memory.models import HookPayload
from sessions.models import Message, Session, SessionEvent
from tests.real.conftest import ROOT, Desk, program, real, settings_of
from tests.real.model import Call, Model

pytestmark = real


@dataclass
class OpenCode:
    desk: Desk
    path: str

    def ask(self, prompt: str, *arguments: str) -> list[dict[str, Any]]:
        """One `opencode run`: the events that it prints."""
        printed = self.desk.must(self.path, "run", "--format", "json", *arguments, prompt)
        return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


@pytest.fixture
def opencode(desk: Desk, model: Model, server, token) -> OpenCode:
    path = program("opencode")
    settings_of(desk, server, token)
    folder = desk.home / ".config" / "opencode"
    (folder / "plugins").mkdir(parents=True)
    shutil.copy(ROOT / "integrations" / "opencode" / "remembrancer.js", folder / "plugins")
    limits = {"context": 200_000, "output": 8000}
    fake = {
        "npm": "@ai-sdk/anthropic",
        "name": "A fake",
        "options": {"baseURL": f"{model.url}/v1", "apiKey": "anything"},
        "models": {"test": {"name": "Test", "tool_call": True, "limit": limits}},
    }
    settings = {
        "model": "fake/test",
        "small_model": "fake/test",
        "provider": {"fake": fake},
        "autoupdate": False,
        "mcp": {
            "remembrancer": {
                "type": "remote",
                "url": f"{server.url}/mcp/",
                "headers": {"Authorization": "Bearer {env:REMEMBRANCER_KEY}"},
            }
        },
    }
    (folder / "opencode.json").write_text(json.dumps(settings))
    desk.environment |= {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "REMEMBRANCER_URL": server.url,
        "REMEMBRANCER_KEY": token,
    }
    return OpenCode(desk, path)


def test_a_session_of_opencode_and_its_continuation_are_known(opencode, model, rows, known):
    model.plan = {
        "When does the pump start?": [
            Call("bash", {"command": "echo it is noon", "description": "Look"}),
            "It starts at noon.",
        ],
        "And the lamp?": [Call("remembrancer_memory_search", {"query": "lamp"}), "At dusk."],
    }
    printed = opencode.ask("When does the pump start?")
    name = printed[0]["sessionID"]
    opencode.ask("And the lamp?", "--session", name)
    rows.until(lambda: len(rows(SessionEvent, event_type="session_end")) == 2)
    (session,) = rows(Session)
    assert (session.source, session.external_id) == ("opencode", name)
    said = [(m.role, m.content) for m in rows(Message) if m.role != "tool"]
    assert said == [
        ("user", '"When does the pump start?"'),  # as `opencode run` quotes it
        ("assistant", "It starts at noon."),
        ("user", '"And the lamp?"'),
        ("assistant", "At dusk."),
    ]
    used = [row.data["tool"] for row in rows(SessionEvent, event_type="tool_use")]
    assert used == ["bash", "remembrancer_memory_search"]
    assert {row.state for row in rows(HookPayload)} == {"mapped"}
    assert model.told(OPEN, "The pump starts at noon, never before.", CLOSE)
