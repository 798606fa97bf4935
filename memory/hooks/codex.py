"""Codex: the payloads of Claude Code, with `turn_id` for the prompt."""

from memory.hooks.hook_json import (
    call,
    compaction,
    end,
    noted,
    prompt,
    result,
    start,
    stop,
    subagent_start,
    subagent_stop,
)

READERS = {
    "SessionStart": start,
    "UserPromptSubmit": prompt,
    "PreToolUse": call,
    "PostToolUse": result,
    "SubagentStart": subagent_start,
    "SubagentStop": subagent_stop,
    "PreCompact": noted("pre_compact", "trigger"),
    "PostCompact": compaction,
    "PermissionRequest": noted(
        "permission_request", "tool_name", "tool_input", text=("tool_name",)
    ),
    "Interrupt": noted("interrupted", "turn_id"),
    "Stop": stop,
    "SessionEnd": end,
}
