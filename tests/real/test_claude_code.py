"""Claude Code with our plugin: it is installed as a user does it, works, and all of it is known."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.lib.recalled import CLOSE, OPEN
from config.lib.scope import workspace_scope
from memory.models import HookPayload, Memory
from sessions.models import Handoff, Message, Session, SessionEvent, Thread
from sessions.services.notifications import notify
from tests.factories import ALICE, make_memory
from tests.gunicorn import WebServer
from tests.real.conftest import ASKED, ROOT, SHIM, Desk, Rows, Talk, program, real
from tests.real.model import LOADER, Call, Model, Step
from tests.real.terminal import Terminal

pytestmark = real
MCP = "mcp__plugin_remembrancer_remembrancer"
TURN = ["session_start", "user_prompt", "turn_end", "session_end"]
KEY = "anything"
CABLE = "The sensor's cable was loose."


@dataclass
class Claude:
    desk: Desk
    path: str

    def command(self, *arguments: str) -> str:
        return self.desk.must(self.path, *arguments)

    def ask(self, prompt: str, *arguments: str) -> dict[str, Any]:
        """One `claude -p`: the result it prints, with its `session_id`."""
        allowed = f"Bash,Agent,Task,{MCP}"
        printed = self.command(
            "-p", prompt, "--output-format", "json", "--allowedTools", allowed, *arguments
        )
        answer: dict[str, Any] = json.loads(printed)
        assert not answer["is_error"], answer
        return answer

    def open(self) -> Terminal:
        """Claude Code as a person starts it, who has chosen colours and trusts key and folder."""
        path = self.desk.home / ".claude.json"
        known = json.loads(path.read_text())
        known |= {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [KEY], "rejected": []},
            "projects": {str(self.desk.folder): {"hasTrustDialogAccepted": True}},
        }
        path.write_text(json.dumps(known))
        return Terminal(self.path, cwd=self.desk.folder, environment=self.desk.environment)

    def install(self, **config: str) -> None:
        given = [word for name in config for word in ("--config", f"{name}={config[name]}")]
        self.command("plugin", "install", "remembrancer", "--marketplace", str(ROOT), *given)


@pytest.fixture
def bare(desk: Desk, model: Model) -> Claude:
    """Claude Code without any plugin."""
    path = program("claude")
    desk.environment |= {
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    return Claude(desk, path)


@pytest.fixture
def claude(bare: Claude, server: WebServer, token: str) -> Claude:
    bare.install(url=server.url, key=token)
    return bare


def said(rows: Rows, thread: Thread) -> list[tuple[str, str]]:
    """What person and agent said to each other, without calls and the program's own lines."""
    told = (("user", "prompt"), ("assistant", "reply"))
    found = [(m.role, m.metadata.get("kind"), m.content) for m in rows(Message, thread=thread)]
    return [(role, content) for role, kind, content in found if (role, kind) in told]


def ended(rows: Rows, session_id: str, times: int) -> Any:
    """Whether the session has ended that often."""

    def look() -> bool:
        found = rows(SessionEvent, event_type="session_end", session__external_id=session_id)
        return len(found) == times

    return look


def test_a_tool_call_a_subagent_and_a_resume_are_all_known(claude, model, rows, known):
    model.plan = {
        "When does the pump start?": [
            Call("Bash", {"command": "echo it is noon", "description": "Look"}),
            "It starts at noon.",
        ],
        "Ask somebody about the sensor.": [
            Call(
                "Agent",
                {
                    "description": "Look at the sensor",
                    "prompt": "Why does the sensor reboot?",
                    "subagent_type": "general-purpose",
                },
            ),
            "I have asked.",
            # Said when the program tells it that the other one is done.
            "The cable, says the explorer.",
        ],
        "Why does the sensor reboot?": [
            Call("Bash", {"command": "cat nothing", "description": "Fail"}),
            "Its cable is loose.",
        ],
        "Keep that.": [
            Call(f"{MCP}__memory_save", {"text": CABLE, "kind": "fact"}),
            Call(f"{MCP}__memory_search", {"query": "sensor cable"}),
            "Kept.",
        ],
    }
    first = claude.ask("When does the pump start?")
    name = first["session_id"]
    assert first["result"] == "It starts at noon."
    rows.until(ended(rows, name, 1))
    claude.ask("Ask somebody about the sensor.", "--resume", name)
    claude.ask("Keep that.", "--resume", name)
    rows.until(ended(rows, name, 3))

    (session,) = rows(Session)
    assert (session.source, session.external_id) == ("claude-code", name)
    assert (session.cwd, session.current_state) == (str(claude.desk.folder), "ended")
    assert session.prompt == "When does the pump start?"
    main, explorer = rows(Thread)
    assert explorer.parent_id == main.pk
    assert said(rows, main) == [
        ("user", "When does the pump start?"),
        ("assistant", "It starts at noon."),
        ("user", "Ask somebody about the sensor."),
        ("assistant", "I have asked."),
        ("assistant", "The cable, says the explorer."),
        ("user", "Keep that."),
        ("assistant", "Kept."),
    ]
    assert said(rows, explorer) == [
        ("user", "Why does the sensor reboot?"),
        ("assistant", "Its cable is loose."),
    ]
    told = rows.events(session)
    assert told.count("session_start") == told.count("session_end") == 3
    assert told.count("user_prompt") == 3
    assert told.count("turn_end") == 4
    assert told.count("subagent_start") == told.count("subagent_stop") == 1
    used = [row.data["tool"] for row in rows(SessionEvent, event_type="tool_use")]
    tools = ["Bash", "Agent", "Bash", f"{MCP}__memory_save", f"{MCP}__memory_search"]
    assert sorted(tool for tool in used if tool != LOADER) == sorted(tools)
    results = rows(SessionEvent, event_type="tool_result")
    assert len(results) == len(used)
    (failed,) = [row for row in results if row.data["is_error"]]
    assert "No such file" in failed.text
    assert {row.state for row in rows(HookPayload)} == {"mapped"}
    # Brought to the model, and once.
    assert model.told(OPEN, "The pump starts at noon, never before.", CLOSE)
    # Its tools are there under the names that the skills use, and they work.
    assert model.told(f"{MCP}__memory_search", f"{MCP}__session_log")
    (kept,) = rows(Memory, text=CABLE)
    assert model.told(f"memory {kept.short_id}", CABLE)


def test_a_clear_and_a_compaction_go_on_in_the_conversation_and_are_told_anew(
    claude, model, rows, known, workspace
):
    with workspace_scope(workspace.pk):
        rule = make_memory("The ferns are watered by hand.", kind="decision")
    with claude.open() as terminal:
        rows.until(lambda: rows.heard("SessionStart"))
        terminal.see("❯")
        talk = Talk(terminal, model, rows, "Stop")
        talk.ask("When does the pump start?", "At noon.")
        talk.ask("And the pump tomorrow?", "At noon, too.")
        (first,) = rows(Session)
        with workspace_scope(workspace.pk):
            notice = notify(
                actor=ALICE,
                conversation_id=first.conversation_id,
                notification_type="worker_complete",
                entity_id="w1",
                payload={"title": "The seeds are sown."},
            )
        talk.after("/clear", "SessionStart")
        talk.ask("Does the pump start on Sundays?", "It does.")
        talk.after("/compact", "PostCompact")
        talk.ask("Are the ferns watered by hand or by the pump?", "By hand.")
        talk.leave("/exit", ends=2)

    first, second = rows.sessions(2)
    assert (first.end_reason, second.end_reason) == ("clear", "prompt_input_exit")
    ours = {*TURN, "compaction"}
    assert [one for one in rows.events(first) if one in ours] == [
        "session_start", *ASKED, *ASKED, "session_end",
    ]  # fmt: skip
    assert [one for one in rows.events(second) if one in ours] == [
        "session_start", *ASKED, "session_start", "compaction", *ASKED, "session_end",
    ]  # fmt: skip
    starts = rows(SessionEvent, event_type="session_start")
    assert [row.data["detail"] for row in starts] == ["startup", "clear", "compact"]
    (compaction,) = rows(SessionEvent, event_type="compaction")
    assert compaction.data["detail"] == "manual"

    # What is told once per session, and anew when the agent has lost it.
    pump, ferns = {str(known.pk)}, {str(rule.pk)}
    asked = rows.heard("SessionStart", "UserPromptSubmit")
    given = [set(row.answer["rows"]) & (pump | ferns) for row in asked]
    assert given == [ferns, pump, set(), ferns, pump, ferns, pump]
    notices = [row.answer["notices"] for row in rows(HookPayload) if row.answer.get("notices")]
    assert notices == [[str(notice.pk)]]
    assert model.told("The seeds are sown.")


def test_what_happens_while_the_server_is_away_comes_later_and_in_order(
    claude, model, rows, server
):
    def power_cut() -> Step:
        server.kill()
        return Call("Bash", {"command": "echo still here", "description": "Go on"})

    model.plan = {
        "Water the ferns.": [power_cut, "Watered."],
        "And the moss.": ["Watered too."],
    }
    name = claude.ask("Water the ferns.")["session_id"]
    claude.ask("And the moss.", "--resume", name)
    assert rows.events(*rows(Session)) == ["session_start", "user_prompt"]
    server.start()
    model.plan["Is it back?"] = ["It is."]
    claude.ask("Is it back?", "--resume", name)
    rows.until(ended(rows, name, 3))

    (session,) = rows(Session)
    told = [one for one in rows.events(session) if one in TURN or one.startswith("tool")]
    assert told == [*TURN[:2], "tool_use", "tool_result", *TURN[2:], *TURN, *TURN]
    (main,) = rows(Thread)
    assert said(rows, main) == [
        ("user", "Water the ferns."), ("assistant", "Watered."),
        ("user", "And the moss."), ("assistant", "Watered too."),
        ("user", "Is it back?"), ("assistant", "It is."),
    ]  # fmt: skip
    assert session.current_state == "ended"


@pytest.mark.parametrize("config", [{}, {"key": "rmb_wrong"}, {"url": "not an address"}])
def test_an_agent_with_wrong_settings_works_as_if_the_plugin_were_not_there(
    bare, model, rows, server, token, config
):
    bare.install(**({"url": server.url, "key": token} | config if config else {}))
    model.plan = {"Anybody there?": [Call("Bash", {"command": "echo yes"}), "Yes."]}
    assert bare.ask("Anybody there?")["result"] == "Yes."
    assert rows(Session) == []


def test_the_plugin_is_whole_and_carries_the_one_shim(claude):
    found = json.loads(claude.command("plugin", "list", "--json"))
    (plugin,) = [one for one in found if one["id"] == "remembrancer@remembrancer"]
    assert plugin["enabled"]
    shim = Path(plugin["installPath"]) / "remember.py"
    assert not shim.is_symlink()
    assert shim.read_bytes() == SHIM.read_bytes()
    claude.command("plugin", "validate", str(ROOT))


def test_the_handoff_skill_finds_its_own_session(claude, model, rows):
    """The skill's text names Claude Code's session; the tool finds ours by it."""
    model.plan = {"Where are we?": ["Here."]}
    name = claude.ask("Where are we?")["session_id"]
    rows.until(ended(rows, name, 1))
    (session,) = rows(Session)
    text = "Go on with the ferns."
    model.plan = {
        f"`claude_session_id` = `{name}`": [
            Call(f"{MCP}__session_search", {"claude_session_id": name}),
            Call(
                f"{MCP}__session_log",
                {"operation": "handoff", "session": str(session.pk), "text": text},
            ),
            "Handed over.",
        ]
    }
    assert claude.ask("/remembrancer:handoff", "--resume", name)["result"] == "Handed over."
    assert model.told(f'"sessions":[{{"id":"{session.short_id}"')
    (handoff,) = rows(Handoff)
    assert (handoff.from_session_id, handoff.content) == (session.pk, text)
