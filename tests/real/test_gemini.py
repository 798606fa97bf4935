"""Gemini CLI as the shim sets it up, against a fake generateContent."""

import json
from dataclasses import dataclass
from html import escape

import pytest

from config.lib.recalled import CLOSE, OPEN
from memory.models import HookPayload
from sessions.models import Message, Session, SessionEvent
from tests.real.conftest import ASKED, SHIM, Desk, Talk, program, real, settings_of
from tests.real.model import Call, Model
from tests.real.terminal import Terminal

pytestmark = real


@dataclass
class Gemini:
    desk: Desk
    path: str

    def ask(self, prompt: str, *arguments: str) -> str:
        printed = self.desk.must(
            self.path, "-p", prompt, "-o", "json", "--yolo", "--skip-trust", *arguments
        )
        answer: str = json.loads(printed[printed.index("{") :])["response"]
        return answer

    def open(self) -> Terminal:
        return Terminal(
            self.path, "--skip-trust", cwd=self.desk.folder, environment=self.desk.environment
        )


@pytest.fixture
def gemini(desk: Desk, model: Model, server, token) -> Gemini:
    path = program("gemini")
    settings_of(desk, server, token)
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
    }
    folder = desk.home / ".gemini"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(settings))
    desk.must("python3", str(SHIM), "install", "gemini")
    desk.environment |= {
        "GOOGLE_GEMINI_BASE_URL": model.url,
        "GEMINI_API_KEY": "anything",
        "GEMINI_MODEL": "gemini-2.5-flash",
    }
    return Gemini(desk, path)


def test_a_session_of_gemini_and_its_resume_are_known(gemini, model, rows, known):
    model.plan = {
        "When does the pump start?": [
            Call("run_shell_command", {"command": "echo it is noon"}),
            "It starts at noon.",
        ],
        "And the lamp?": [Call("mcp_remembrancer_memory_search", {"query": "lamp"}), "At dusk."],
    }
    assert gemini.ask("When does the pump start?") == "It starts at noon."
    rows.until(lambda: rows(SessionEvent, event_type="session_end"))
    assert gemini.ask("And the lamp?", "--resume", "latest") == "At dusk."
    rows.until(lambda: len(rows(SessionEvent, event_type="session_end")) == 2)
    (session,) = rows(Session)
    assert session.source == "gemini"
    said = [(m.role, m.content) for m in rows(Message) if m.role != "tool"]
    assert said == [
        ("user", "When does the pump start?"),
        ("assistant", "It starts at noon."),
        ("user", "And the lamp?"),
        ("assistant", "At dusk."),
    ]
    told = [row.event_type for row in rows(SessionEvent)]
    assert told == [
        "session_start", "user_prompt", "tool_use", "tool_result", "turn_end", "session_end",
        "session_start", "user_prompt", "tool_use", "tool_result", "turn_end", "session_end",
    ]  # fmt: skip
    assert {row.state for row in rows(HookPayload)} == {"mapped"}
    # As Gemini CLI gives it on.
    assert model.told(escape(OPEN), "The pump starts at noon, never before.", escape(CLOSE))


def test_a_clear_and_a_compaction_go_on_in_the_conversation_and_are_told_anew(
    gemini, model, rows, known
):
    with gemini.open() as terminal:
        rows.until(lambda: rows.heard("SessionStart"))
        terminal.see("Type your message")
        talk = Talk(terminal, model, rows, "AfterAgent")
        # A question mark that comes as fast as these keys opens its help.
        talk.ask("When does the pump start", "At noon.")
        talk.ask("And the pump tomorrow", "At noon, too.")
        talk.after("/clear", "SessionStart")
        talk.ask("Does the pump start on Sundays", "It does.")
        talk.after("/compress", "PreCompress")
        talk.ask("Does the pump start when it rains", "It does not.")
        # Gemini CLI says its end three times.
        talk.leave("/quit", ends=4)
    first, second = rows.sessions(2)
    assert (first.end_reason, second.end_reason) == ("clear", "exit")
    assert [rows.events(one) for one in (first, second)] == [
        ["session_start", *ASKED, *ASKED, "session_end"],
        ["session_start", *ASKED, "compaction", *ASKED, "session_end"],
    ]
    given = [row.answer["rows"] for row in rows.heard("BeforeAgent")]
    assert [str(known.pk) in one for one in given] == [True, False, True, True]
