"""What each agent's payload says in the common form."""

import pytest

from memory.hooks.dialects import DIALECTS
from memory.hooks.forms import Form, Kind, Payload, Unmapped
from tests.hook_payloads import CODEX, CURSOR, GEMINI, SESSION, a_session, claude


def read(agent, payload, event=""):
    """(session, event, form)."""
    dialect, wrapped = DIALECTS[agent], Payload(payload)
    session, name = dialect.names(wrapped, event)
    return session, name, dialect.read(wrapped, name)


def opencode(event, *, given=None, output=None):
    """What a plugin hook is given, as our plugin passes it on."""
    return {
        "event": event,
        "directory": "/srv",
        "input": {"sessionID": "ses_1", **(given or {})},
        "output": output or {},
    }


def bus(event, **properties):
    """An event of OpenCode's bus."""
    return {"event": {"type": event, "properties": properties}, "directory": "/srv"}


PART = {"type": "text", "text": "Water the ferns"}
CASES = [
    ("claude-code", claude("SessionStart", source="compact", model="m"),
     {"kind": Kind.SESSION_START, "detail": "compact", "fresh": True, "model": "m"}),
    ("claude-code", claude("SessionStart", source="resume"), {"fresh": False}),
    ("claude-code", claude("UserPromptSubmit", prompt="Hi", prompt_id="p"),
     {"kind": Kind.PROMPT, "text": "Hi", "prompt_id": "p"}),
    ("claude-code", claude("PostToolUse", tool_name="Bash", tool_use_id="t",
                           tool_input={"command": "ls"}, tool_response={"stdout": "a"},
                           duration_ms=4, agent_id="a1", agent_type="Explore"),
     {"kind": Kind.TOOL_RESULT, "tool": "Bash", "tool_use_id": "t", "is_error": False,
      "duration_ms": 4.0, "subagent": "a1", "subagent_type": "Explore"}),
    ("claude-code", claude("PostToolUseFailure", tool_name="Bash", tool_use_id="t", error="no"),
     {"kind": Kind.TOOL_RESULT, "is_error": True, "tool_result": "no"}),
    ("claude-code", claude("PreCompact", trigger="auto"),
     {"kind": Kind.NOTE, "note": "pre_compact", "fresh": False}),
    ("claude-code", claude("PostCompact", trigger="auto", compact_summary="s"),
     {"kind": Kind.COMPACTION, "fresh": False, "text": "s"}),
    ("claude-code", claude("StopFailure", error="rate_limit", error_details="429"),
     {"kind": Kind.NOTE, "note": "api_error", "text": "429", "data": {"error": "rate_limit"}}),
    ("claude-code", claude("Status", model={"id": "x"}, context_window={"used_percentage": 12.5}),
     {"kind": Kind.STATUS, "model": "x", "context_percent": 12.5}),
    ("claude-code", claude("FileChanged"), {"kind": Kind.KNOWN}),
    ("codex", {**CODEX, "hook_event_name": "UserPromptSubmit", "prompt": "Hi"},
     {"kind": Kind.PROMPT, "prompt_id": "turn-7", "model": "gpt-5.2-codex"}),
    ("codex", {**CODEX, "hook_event_name": "Interrupt"}, {"note": "interrupted"}),
    ("gemini", {**GEMINI, "hook_event_name": "SessionStart", "source": "startup"},
     {"kind": Kind.SESSION_START, "cwd": "/home/vera/greenhouse"}),
    ("gemini", {**GEMINI, "hook_event_name": "AfterTool", "tool_name": "ls",
                "tool_response": {"error": "no such folder"}},
     {"kind": Kind.TOOL_RESULT, "is_error": True}),
    ("gemini", {**GEMINI, "hook_event_name": "PreCompress", "trigger": "manual"},
     {"kind": Kind.COMPACTION, "detail": "manual", "fresh": True}),
    ("gemini", {**GEMINI, "hook_event_name": "PreCompress", "trigger": "auto"},
     {"kind": Kind.KNOWN, "fresh": False}),
    ("gemini", {**GEMINI, "hook_event_name": "BeforeModel"}, {"kind": Kind.KNOWN}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "tool_name": "Shell",
                "tool_use_id": "t", "tool_output": "ok", "duration": 3},
     {"kind": Kind.TOOL_RESULT, "tool": "Shell", "tool_result": "ok", "duration_ms": 3.0}),
    ("cursor", {**CURSOR, "hook_event_name": "preCompact", "context_usage_percent": 85},
     {"kind": Kind.COMPACTION, "context_percent": 85.0, "prompt_id": "gen-3"}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "tool_name": "Shell",
                "tool_output": '{"output": "no such folder", "exitCode": 1}'},
     {"tool_result": {"output": "no such folder", "exitCode": 1}, "is_error": True}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "tool_name": "MCP:memory_get",
                "tool_output": '{"content": [], "isError": true}'}, {"is_error": True}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse",
                "tool_output": '{"exitCode": "0", "isError": "no"}'}, {"is_error": False}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse",
                "tool_output": '{"output": "ok", "exitCode": true}'}, {"is_error": False}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "tool_name": "Write",
                "tool_output": '{"file_path": "ferns.md", "success": true}'},
     {"tool_result": '{"file_path": "ferns.md", "success": true}', "is_error": False}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "tool_name": "MCP:memory_get",
                "tool_output": '{"error": "no such server"}'},
     {"tool_result": {"error": "no such server"}, "is_error": True}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "tool_name": "MCP:memory_get",
                "tool_output": '{"rejected": true, "reason": "not now"}'},
     {"tool_result": '{"rejected": true, "reason": "not now"}', "is_error": True}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "tool_name": "MCP:memory_get",
                "tool_output": '{"permissionDenied": true, "error": "not here"}'},
     {"tool_result": {"permissionDenied": True, "error": "not here"}, "is_error": True}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "tool_output": '{"output": "cut o'},
     {"tool_result": '{"output": "cut o', "is_error": False}),
    # As its SDK says them.
    ("cursor", {**CURSOR, "hook_event_name": "beforeSubmitPrompt", "prompt": "Go on",
                "generation_id": CURSOR["conversation_id"]},
     {"kind": Kind.PROMPT, "text": "Go on", "prompt_id": ""}),
    ("cursor", {**CURSOR, "hook_event_name": "postToolUse", "model": "unknown"}, {"model": ""}),
    ("cursor", {**CURSOR, "hook_event_name": "sessionEnd", "reason": "error"},
     {"kind": Kind.SESSION_END, "outcome": "failure"}),
    ("opencode", bus("session.created", info={"id": "ses_1", "title": "Ferns"}),
     {"kind": Kind.SESSION_START, "title": "Ferns", "cwd": "/srv"}),
    ("opencode", opencode("chat.message", given={"messageID": "m1"},
                          output={"parts": [PART, {**PART, "synthetic": True}]}),
     {"kind": Kind.PROMPT, "text": "Water the ferns", "prompt_id": "m1"}),
    ("opencode", opencode("tool.execute.before", given={"tool": "bash", "callID": "c"},
                          output={"args": {"command": "ls"}}),
     {"kind": Kind.TOOL_USE, "tool": "bash", "tool_input": {"command": "ls"}}),
    ("opencode", opencode("tool.execute.after", given={"tool": "bash", "callID": "c"},
                          output={"output": "boom", "metadata": {"exit": 2}}),
     {"kind": Kind.TOOL_RESULT, "tool_use_id": "c", "tool_result": "boom", "is_error": True}),
    ("opencode", bus("session.idle", sessionID="ses_1"), {"kind": Kind.STOP}),
    ("opencode", bus("session.compacted", sessionID="ses_1"), {"fresh": True}),
    ("opencode", bus("message.part.updated", part={"sessionID": "ses_1"}), {"kind": Kind.KNOWN}),
    ("amp", {"event": "agent.start", "thread": {"id": "T-1"}, "message": "Hi", "id": 7},
     {"kind": Kind.PROMPT, "text": "Hi", "prompt_id": "7"}),
    ("amp", {"event": "tool.result", "thread": {"id": "T-1"}, "tool": "Bash", "toolUseID": "u",
             "status": "error", "error": "no"},
     {"kind": Kind.TOOL_RESULT, "is_error": True, "tool_result": "no", "tool_use_id": "u"}),
    ("generic", {"session_id": "g", "event": "session_end", "reason": "done",
                 "outcome": "success"},
     {"kind": Kind.SESSION_END, "detail": "done", "outcome": "success"}),
    ("generic", {"session_id": "g", "event": "deployed", "text": "v2", "data": {"a": 1}},
     {"kind": Kind.NOTE, "note": "deployed", "text": "v2", "data": {"a": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("agent", "payload", "expected"),
    CASES,
    ids=[f"{agent}-{n}" for n, (agent, _, _) in enumerate(CASES)],
)
def test_a_payload_says(agent, payload, expected):
    session, event, form = read(agent, payload)
    assert session
    assert event
    assert {name: getattr(form, name) for name in expected} == expected


def test_the_session_and_event_are_named_by_the_payload():
    assert read("claude-code", claude("Stop"))[:2] == (SESSION, "Stop")
    assert read("cursor", {**CURSOR, "hook_event_name": "stop"})[0] == "c0ffee00-cursor"
    idle = {"event": {"type": "session.idle", "properties": {"sessionID": "s"}}}
    assert read("opencode", idle)[:2] == ("s", "session.idle")
    assert read("claude-code", {"session_id": "s"}, "Stop")[:2] == ("s", "Stop")
    # What the payload says itself counts before the address.
    assert read("claude-code", claude("Stop"), "SessionEnd")[1] == "Stop"


@pytest.mark.parametrize("agent", sorted(set(DIALECTS) - {"generic"}))
def test_an_event_that_nobody_knows_is_not_guessed_at(agent):
    with pytest.raises(Unmapped, match="unknown event 'sneeze'"):
        read(agent, {}, "sneeze")
    with pytest.raises(Unmapped, match="names no event"):
        read(agent, {})


HOSTILE = [None, 7, True, "", "\x00\ud800", [], {}, [[[]]], {"id": {"a": []}}, 1e308, "x" * 9000]


@pytest.mark.parametrize("agent", sorted(DIALECTS))
def test_no_reader_fails_whatever_the_values_are(agent):
    dialect = DIALECTS[agent]
    names = {
        "prompt", "cwd", "tool_name", "tool_input", "tool_response", "tool_use_id", "reason",
        "message", "session_id", "conversation_id", "event", "input", "output", "thread", "data",
        "workspace_roots", "source", "error", "duration_ms", "agent_id", "context_window",
    }  # fmt: skip
    for event in dialect.readers:
        for value in HOSTILE:
            payload = Payload(dict.fromkeys(names, value))
            dialect.names(payload, event)
            form = dialect.read(payload, event)
            assert isinstance(form, Form)
            assert "\x00" not in form.text + form.cwd + form.tool + form.detail


def test_every_agent_that_takes_context_has_the_events():
    for dialect in DIALECTS.values():
        assert dialect.context_at <= dialect.readers.keys()
        assert dialect.answer("SessionStart", "text")


def test_a_whole_session_has_the_kinds_in_order():
    kinds = [read("claude-code", payload)[2].kind for payload in a_session()]
    assert kinds == [
        Kind.SESSION_START, Kind.PROMPT, Kind.TOOL_USE, Kind.TOOL_RESULT, Kind.TOOL_USE,
        Kind.TOOL_RESULT, Kind.TOOL_USE, Kind.SUBAGENT_START, Kind.SUBAGENT_STOP,
        Kind.NOTIFICATION, Kind.STOP, Kind.SESSION_END,
    ]  # fmt: skip
