"""Codex with our plugin, against a fake Responses API."""

import json
from dataclasses import dataclass

import pytest

from config.lib.recalled import CLOSE, OPEN
from memory.models import HookPayload
from sessions.models import Message, Session, SessionEvent, Thread
from tests.real.conftest import ASKED, ROOT, Desk, Talk, program, real
from tests.real.model import Call, Model, Step
from tests.real.terminal import Terminal

pytestmark = real
AGENTS = "multi_agent_v1"
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

    def open(self) -> Terminal:
        return Terminal(
            self.path, "--dangerously-bypass-hook-trust",
            cwd=self.desk.folder, environment=self.desk.environment,
        )  # fmt: skip


@pytest.fixture
def codex(desk: Desk, model: Model, server, token) -> Codex:
    path = program("codex")
    folder = desk.home / ".codex"
    folder.mkdir()
    tools = (ROOT / "integrations" / "codex" / "config.toml").read_text()
    tools = tools.replace("http://127.0.0.1:8000", server.url)
    (folder / "config.toml").write_text(CONFIG.format(url=model.url) + tools)
    desk.environment |= {"REMEMBRANCER_KEY": token, "REMEMBRANCER_URL": server.url}
    found = Codex(desk, path)
    desk.must(path, "plugin", "marketplace", "add", str(ROOT))
    desk.must(path, "plugin", "add", "remembrancer@remembrancer")
    return found


def test_a_session_of_codex_with_a_subagent_and_its_resume_are_known(codex, model, rows, known):
    def wait() -> Step:
        found = [one["output"] for one in model.asked[-1]["input"] if "output" in one]
        return Call(f"{AGENTS}__wait_agent", {"targets": [json.loads(found[-1])["agent_id"]]})

    model.plan = {
        "When does the pump start?": [
            Call("exec_command", {"cmd": "echo it is noon"}),
            "It starts at noon.",
        ],
        "Ask somebody about the sensor.": [
            Call(f"{AGENTS}__spawn_agent", {"message": "Why does the sensor reboot?"}),
            wait,
            Call("mcp__remembrancer__memory_search", {"query": "sensor"}),
            "The cable, says the explorer.",
        ],
        "Why does the sensor reboot?": ["Its cable is loose."],
    }
    printed = codex.ask("When does the pump start?")
    (name,) = [one["thread_id"] for one in printed if one["type"] == "thread.started"]
    codex.ask("resume", name, "Ask somebody about the sensor.")
    rows.until(lambda: len(rows(SessionEvent, event_type="session_end")) == 2)
    (session,) = rows(Session)
    assert (session.source, session.external_id) == ("codex", name)
    main, explorer = rows(Thread)
    assert explorer.parent_id == main.pk
    said = [(m.thread_id, m.role, m.content) for m in rows(Message)]
    assert said == [
        (main.pk, "user", "When does the pump start?"),
        (main.pk, "assistant", "It starts at noon."),
        (main.pk, "user", "Ask somebody about the sensor."),
        (explorer.pk, "user", "Why does the sensor reboot?"),
        (explorer.pk, "assistant", "Its cable is loose."),
        (main.pk, "assistant", "The cable, says the explorer."),
    ]
    told = [row.event_type for row in rows(SessionEvent)]
    assert told.count("session_start") == told.count("session_end") == 2
    assert told.count("subagent_start") == told.count("subagent_stop") == 1
    used = rows(SessionEvent, event_type="tool_use")
    assert [row.data["tool"] for row in used] == [
        "Bash", "spawn_agent", f"{AGENTS}wait_agent", "mcp__remembrancer__memory_search",
    ]  # fmt: skip
    results = rows(SessionEvent, event_type="tool_result")
    assert [row.data["tool_use_id"] for row in results] == [row.data["tool_use_id"] for row in used]
    assert not any(row.data["is_error"] for row in results)
    assert {row.state for row in rows(HookPayload)} == {"mapped"}
    assert model.told(OPEN, "The pump starts at noon, never before.", CLOSE)


def test_a_clear_and_a_compaction_go_on_in_the_conversation_and_are_told_anew(
    codex, model, rows, known
):
    def clear() -> None:
        """Nothing is told of it before the next prompt, and the end when Codex ends."""
        shown = terminal.place()
        terminal.type("/clear")
        terminal.see("OpenAI Codex", shown)

    with codex.open() as terminal:
        terminal.see("Ask Codex to do anything")
        talk = Talk(terminal, model, rows, "Stop")
        talk.ask("When does the pump start?", "At noon.")
        talk.ask("And the pump tomorrow?", "At noon, too.")
        clear()
        talk.ask("Does the pump start on Sundays?", "It does.")
        talk.after("/compact", "PostCompact")
        talk.ask("Does the pump start when it rains?", "It does not.")
        clear()
        talk.ask("Does the pump ever rest?", "At night.")
        talk.leave("/quit", ends=3)
    assert [rows.events(one) for one in rows.sessions(3)] == [
        ["session_start", *ASKED, *ASKED, "session_end"],
        ["session_start", *ASKED, "compaction", "session_start", *ASKED, "session_end"],
        ["session_start", *ASKED, "session_end"],
    ]
    starts = [row.data["detail"] for row in rows(SessionEvent, event_type="session_start")]
    assert starts == ["startup", "clear", "compact", "clear"]
    # At the first prompt; anew after each time that it was lost.
    given = [row.answer["rows"] for row in rows.heard("UserPromptSubmit")]
    assert [str(known.pk) in one for one in given] == [True, False, True, True, True]


def test_hooks_that_nobody_trusts_do_not_run(codex, model, rows):
    model.plan = {"Anybody there?": ["Yes."]}
    codex.desk.must(codex.path, "exec", "--skip-git-repo-check", "Anybody there?")
    assert rows(Session) == []
