"""Payloads as the agents' hooks are given them, by the formats of their documentation."""

from typing import Any

SESSION = "0f1d7c5e-9b0a-4c57-8a53-2f6d3f8f0c11"
CLAUDE = {
    "session_id": SESSION,
    "transcript_path": f"/home/vera/.claude/projects/-home-vera-greenhouse/{SESSION}.jsonl",
    "cwd": "/home/vera/greenhouse",
    "permission_mode": "default",
}


def claude(event: str, session: str = SESSION, **fields: Any) -> dict[str, Any]:
    return {**CLAUDE, "session_id": session, "hook_event_name": event, **fields}


def a_session(session: str = SESSION) -> list[dict[str, Any]]:
    """A whole session: a prompt, a call that works, one that fails, a subagent, its end."""
    read = {"file_path": "/home/vera/greenhouse/pump.py"}
    bash = {"command": "make water", "description": "Water the ferns"}
    task = {"description": "Look at the sensor", "prompt": "Why does it reboot?"}
    one, two, three = (f"toolu_{session[:4]}{n}" for n in (1, 2, 3))
    return [
        claude("SessionStart", session, source="startup", model="claude-opus-4-5"),
        claude("UserPromptSubmit", session, prompt="When does the pump start?", prompt_id="p-1"),
        claude("PreToolUse", session, tool_name="Read", tool_input=read, tool_use_id=one),
        claude(
            "PostToolUse", session, tool_name="Read", tool_input=read, tool_use_id=one,
            tool_response={"type": "text", "file": {"content": "START = noon"}}, duration_ms=12,
        ),
        claude("PreToolUse", session, tool_name="Bash", tool_input=bash, tool_use_id=two),
        claude(
            "PostToolUseFailure", session, tool_name="Bash", tool_input=bash, tool_use_id=two,
            error="make: *** No rule to make target 'water'", is_interrupt=False,
        ),
        claude("PreToolUse", session, tool_name="Agent", tool_input=task, tool_use_id=three),
        claude("SubagentStart", session, agent_id="a9f2", agent_type="Explore"),
        claude(
            "SubagentStop", session, agent_id="a9f2", agent_type="Explore",
            stop_hook_active=False, last_assistant_message="The sensor draws too much.",
        ),
        claude("Notification", session, message="Claude needs your permission to use Bash",
               notification_type="permission_prompt"),
        claude("Stop", session, stop_hook_active=False,
               last_assistant_message="It starts at noon."),
        claude("SessionEnd", session, reason="prompt_input_exit"),
    ]  # fmt: skip


CODEX = {
    "session_id": "019a2b3c-0000-7000-8000-00000000c0de",
    "transcript_path": "/home/vera/.codex/sessions/2026/11/21/rollout-x.jsonl",
    "cwd": "/home/vera/greenhouse",
    "model": "gpt-5.2-codex",
    "permission_mode": "default",
    "turn_id": "turn-7",
}
GEMINI = {
    "session_id": "5b2f6f0e-gemini",
    "transcript_path": "/home/vera/.gemini/tmp/x/chats/session.json",
    "cwd": "/home/vera/greenhouse",
    "timestamp": "2026-11-21T10:00:00.000Z",
}
CURSOR = {
    "conversation_id": "c0ffee00-cursor",
    "generation_id": "gen-3",
    "model": "claude-4.5-sonnet",
    "cursor_version": "2.4.1",
    "workspace_roots": ["/home/vera/greenhouse"],
    "user_email": "vera@example.org",
    "transcript_path": None,
}
