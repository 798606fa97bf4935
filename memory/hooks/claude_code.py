"""Claude Code: https://code.claude.com/docs/en/hooks, events as of 2.1.330."""

from dataclasses import replace

from memory.hooks.forms import Form, Payload
from memory.hooks.hook_json import (
    call,
    compaction,
    end,
    failure,
    known,
    noted,
    notification,
    prompt,
    result,
    start,
    status,
    stop,
    stop_failure,
    subagent_start,
    subagent_stop,
)

# What Claude Code writes in the user's name when work in the background has ended.
NOTICE = "<task-notification>"
_notice = noted("task_notification", text=("prompt",))


def _prompt(payload: Payload) -> Form:
    by_program = payload.text("prompt").lstrip().startswith(NOTICE)
    form: Form = (_notice if by_program else prompt)(payload)
    return form


def _compacted(payload: Payload) -> Form:
    """It comes after the SessionStart of source `compact`, which is when the context was lost: what
    that one was answered with is not."""
    return replace(compaction(payload), fresh=False)


READERS = {
    "SessionStart": start,
    "UserPromptSubmit": _prompt,
    "PreToolUse": call,
    "PostToolUse": result,
    "PostToolUseFailure": failure,
    "SubagentStart": subagent_start,
    "SubagentStop": subagent_stop,
    "PreCompact": noted("pre_compact", "trigger", "custom_instructions"),
    "PostCompact": _compacted,
    "Notification": notification,
    "Stop": stop,
    "StopFailure": stop_failure,
    "SessionEnd": end,
    "PermissionRequest": noted(
        "permission_request", "tool_name", "tool_input", text=("tool_name",)
    ),
    "PermissionDenied": noted(
        "permission_denied", "tool_name", "tool_use_id", "reason", text=("reason", "tool_name")
    ),
    "TaskCreated": noted("task_created", "task_id", "task_subject", text=("task_subject",)),
    "TaskCompleted": noted("task_completed", "task_id", "task_subject", text=("task_subject",)),
    "TeammateIdle": noted("teammate_idle", "teammate_name", "team_name", text=("teammate_name",)),
    "CwdChanged": noted("cwd_changed", "old_cwd", "new_cwd", text=("new_cwd",)),
    "WorktreeCreate": noted("worktree", "name", "worktree_path", text=("name",)),
    "WorktreeRemove": noted("worktree", "worktree_path", text=("worktree_path",)),
    "PostModelSwitch": status,
    # What the status line's command is given, which a script may pass on.
    "Status": status,
    # Told again by other payloads, or of the program's own inner life.
    "Setup": known,
    "InstructionsLoaded": known,
    "UserPromptExpansion": known,
    "PostToolBatch": known,
    "MessageDisplay": known,
    "ConfigChange": known,
    "DirectoryAdded": known,
    "FileChanged": known,
    "Elicitation": known,
    "ElicitationResult": known,
}
