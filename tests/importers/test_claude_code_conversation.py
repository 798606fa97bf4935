"""What lines mean: who speaks, and what happened."""

from pathlib import Path
from typing import Any

import pytest

from memory.importers.claude_code import Kept, Kind, Role
from memory.importers.problems import Code
from tests.importers.transcripts import (
    NOON,
    SESSION,
    assistant,
    call,
    read,
    result,
    text,
    user,
)

# Messages


@pytest.mark.parametrize(
    ("content", "extra", "role", "kind"),
    [
        ("fix the login", {}, Role.USER, Kind.PROMPT),
        ("<command-name>/init</command-name>", {}, Role.USER, Kind.COMMAND),
        ("<bash-input>ls</bash-input>", {}, Role.USER, Kind.COMMAND),
        ("<local-command-stdout>ok</local-command-stdout>", {}, Role.SYSTEM, Kind.COMMAND_OUTPUT),
        ("<task-notification>x</task-notification>", {}, Role.SYSTEM, Kind.NOTIFICATION),
        ("<system-reminder>x</system-reminder>", {}, Role.SYSTEM, Kind.NOTIFICATION),
        ("<system-reminder>x</system-reminder>\nand you?", {}, Role.USER, Kind.PROMPT),
        ("[Request interrupted by user]", {}, Role.USER, Kind.INTERRUPTION),
        ("Caveat: ...", {"isMeta": True}, Role.SYSTEM, Kind.META),
        ("Earlier we ...", {"isCompactSummary": True}, Role.SYSTEM, Kind.COMPACT_SUMMARY),
        ([result("t1")], {}, Role.TOOL, Kind.TOOL_RESULT),
        ([result("t1"), text("[Request interrupted by user]")], {}, Role.TOOL, Kind.TOOL_RESULT),
        ([result("t1"), text("stop, do this instead")], {}, Role.USER, Kind.PROMPT),
        ([text("see"), {"type": "image", "source": {}}], {}, Role.USER, Kind.PROMPT),
    ],
)
def test_a_user_line_is_told_by_what_stands_in_it(
    tmp_path: Path, content: Any, extra: dict[str, Any], role: Role, kind: Kind
) -> None:
    (message,) = read(tmp_path, user("u1", content, **extra)).messages
    assert (message.role, message.kind) == (role, kind)


@pytest.mark.parametrize(
    ("content", "fields", "kind", "shown"),
    [
        ([text("done")], {}, Kind.REPLY, "done"),
        ([{"type": "thinking", "thinking": "hm"}], {}, Kind.THINKING, "hm"),
        ([{"type": "thinking", "thinking": "hm"}, text("so")], {}, Kind.REPLY, "so"),
        ([call("t1", command="ls -la")], {}, Kind.TOOL_CALL, "Bash: ls -la"),
        ([call("t1", "Todo", todos=[])], {}, Kind.TOOL_CALL, "Todo"),
        ([text("look"), call("t1", "Read", file_path="a")], {}, Kind.REPLY, "look\n\nRead: a"),
        ([text("limit")], {"isApiErrorMessage": True}, Kind.API_ERROR, "limit"),
        (
            [text("No response")],
            {"message": {"model": "<synthetic>"}},
            Kind.SYNTHETIC,
            "No response",
        ),
        ([], {}, Kind.REPLY, ""),
    ],
)
def test_an_assistant_line_shows_its_text_or_its_call(
    tmp_path: Path, content: Any, fields: dict[str, Any], kind: Kind, shown: str
) -> None:
    (message,) = read(tmp_path, assistant("a1", content, **fields)).messages
    assert (message.role, message.kind, message.content) == (Role.ASSISTANT, kind, shown)


def test_each_line_is_one_message_and_message_id_holds_a_turn_together(tmp_path: Path) -> None:
    got = read(
        tmp_path,
        user("u1"),
        assistant("a1", [text("let me look")]),
        assistant("a2", [call("t1", command="ls")], parentUuid="a1"),
        user("u2", [result("t1", [text("a.py"), {"type": "image"}])]),
        assistant("a3", [text("one file")], message={"id": "msg_2"}),
    )
    assert [(m.native_uuid, m.message_id) for m in got.messages] == [
        ("u1", None),
        ("a1", "msg_1"),
        ("a2", "msg_1"),
        ("u2", None),
        ("a3", "msg_2"),
    ]
    assert got.message("a2").native_parent_uuid == "a1"
    assert got.message("u2").content == "a.py\n[image]"
    assert got.message("a1").request_id == "req_1"


def test_what_a_person_typed_while_the_agent_worked_is_a_prompt(tmp_path: Path) -> None:
    """Newer versions write no user line for it."""

    def queued(uuid: str, **attachment: Any) -> dict[str, Any]:
        line = user(uuid, attachment={"type": "queued_command", **attachment})
        return {**line, "type": "attachment", "message": None}

    got = read(
        tmp_path,
        user("u1"),
        queued("q1", prompt="also the tests"),
        queued("q2", prompt=[text("and this"), {"type": "image"}], origin={"kind": "human"}),
        queued("q3", prompt="task 7 done", commandMode="task-notification"),
        queued("q4"),
    )
    assert [(m.kind, m.content) for m in got.messages[1:]] == [
        (Kind.PROMPT, "also the tests"),
        (Kind.PROMPT, "and this\n\n[image]"),
        (Kind.NOTIFICATION, "task 7 done"),
    ]
    assert [e.event_type for e in got.events] == ["attachment"]


def test_output_of_a_slash_command_is_part_of_the_conversation(tmp_path: Path) -> None:
    line = {"type": "system", "subtype": "local_command", "uuid": "s1", "timestamp": NOON}
    got = read(tmp_path, user("u1"), {**line, "content": "\x1b[2mCompacted\x1b[22m"})
    assert got.messages[1].kind is Kind.COMMAND_OUTPUT
    assert got.messages[1].content == "Compacted"
    assert got.messages[1].blocks[0]["text"] == "\x1b[2mCompacted\x1b[22m"


# Events


def test_a_call_and_its_result_are_events_paired_by_id(tmp_path: Path) -> None:
    structured = {"durationMs": 20, "interrupted": False, "stdout": "..."}
    got = read(
        tmp_path,
        assistant("a1", [call("t1", command="make")]),
        user("u1", [result("t1", "no rule", is_error=True)], toolUseResult=structured),
    )
    use, answer = got.events
    assert (use.event_type, use.dedupe_key, use.text) == ("tool_use", "tool_use:t1", "Bash: make")
    assert use.data == {"tool": "Bash", "tool_use_id": "t1", "input": {"command": "make"}}
    assert (answer.event_type, answer.dedupe_key) == ("tool_result", "tool_result:t1")
    assert answer.text == "no rule"
    assert answer.data == {
        "tool": "Bash",
        "tool_use_id": "t1",
        "is_error": True,
        "size": 7,
        "duration_ms": 20,
        "interrupted": False,
    }
    assert got.codes == []
    assert (got.reader.facts.tools, got.reader.facts.tool_errors) == ({"Bash": 1}, 1)


def test_calls_and_results_that_miss_each_other_are_reported(tmp_path: Path) -> None:
    got = read(
        tmp_path,
        user("u0", [result("early")]),
        assistant("a1", [call("t1")]),
        user("u1", [result("ghost")]),
        assistant("a2", [call("early")]),
    )
    problems = [(p.code, p.line) for p in got.reader.problems]
    assert problems == [(Code.USE_WITHOUT_RESULT, 2), (Code.RESULT_WITHOUT_USE, 3)]
    assert len(got.events) == 4


def test_a_call_id_that_is_used_again_keeps_its_event(tmp_path: Path) -> None:
    """Gateways have been seen to number calls anew."""
    lines = [assistant("a1", [call("c0")]), user("u1", [result("c0")])]
    lines += [assistant("a2", [call("c0")]), user("u2", [result("c0")])]
    got = read(tmp_path, *lines)
    assert [e.dedupe_key for e in got.events] == [
        "tool_use:c0",
        "tool_result:c0",
        "tool_use:c0#2",
        "tool_result:c0#2",
    ]


def line_of(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "uuid": "x1", "sessionId": SESSION, "timestamp": NOON, **fields}


@pytest.mark.parametrize(
    ("line", "event_type", "shown"),
    [
        (
            line_of(
                "system",
                subtype="compact_boundary",
                content="Conversation compacted",
                compactMetadata={"trigger": "manual", "preTokens": 153739},
            ),
            "compaction",
            "Conversation compacted (manual, 153,739 tokens before)",
        ),
        (line_of("system", subtype="turn_duration", durationMs=1500), "turn_duration", "1.5 s"),
        (line_of("system", subtype="turn_duration", durationMs=10**400), "turn_duration", ""),
        (line_of("system", subtype="stop_hook_summary", hookCount=2), "hook", "2 hooks"),
        (
            line_of("system", subtype="api_error", error={"message": "Overloaded"}),
            "api_error",
            "Overloaded",
        ),
        (line_of("system", content="Running hooks"), "note", "Running hooks"),
        (line_of("system", subtype="x" * 300, content="c"), "x" * 50, "c"),
        (
            line_of("progress", data={"type": "hook_progress", "hookName": "Stop:lint"}),
            "hook",
            "hook Stop:lint",
        ),
        (
            line_of("file-history-snapshot", snapshot={"trackedFileBackups": {"a.py": {}}}),
            "file_history_snapshot",
            "1 files tracked",
        ),
        (
            line_of("queue-operation", operation="enqueue", content="next"),
            "queue_operation",
            "enqueue",
        ),
        (line_of("summary", summary="Lint errors", leafUuid="z"), "summary", "Lint errors"),
        (line_of("custom-title", customTitle="Login"), "title", "Login"),
        (line_of("permission-mode", permissionMode="plan"), "mode", "plan"),
        (
            line_of("attachment", attachment={"type": "file", "content": "big"}),
            "attachment",
            "file",
        ),
    ],
)
def test_what_happened_becomes_an_event(
    tmp_path: Path, line: dict[str, Any], event_type: str, shown: str
) -> None:
    got = read(tmp_path, user("u1"), line)
    (event,) = got.events
    assert event.event_type == event_type
    assert shown in event.text
    assert event.dedupe_key == f"uuid:x1/{event_type}"
    assert got.codes == []
    assert "sessionId" not in event.data


@pytest.mark.parametrize(
    "line",
    [
        line_of("progress", data={"type": "bash_progress", "output": "..."}),
        line_of("last-prompt", lastPrompt="hello"),
    ],
)
def test_ticks_and_copies_are_only_kept_raw(tmp_path: Path, line: dict[str, Any]) -> None:
    got = read(tmp_path, user("u1"), line)
    assert (got.events, got.codes) == ([], [])
    assert got.items[1].line.kept is Kept.RAW


def test_events_hold_what_a_timeline_shows_and_messages_hold_all(tmp_path: Path) -> None:
    long = "x" * 50_000
    got = read(
        tmp_path,
        assistant("a1", [call("t1", "Write", file_path="a", content=long, list=list(range(99)))]),
        user("u1", [result("t1", long)]),
    )
    use, answer = got.events
    assert len(use.data["input"]["content"]) == len(answer.text) == 2_001
    assert len(use.data["input"]["list"]) == 50
    assert answer.data["size"] == 50_000
    assert got.messages[0].blocks[0]["input"]["content"] == long
    assert got.messages[1].content == long
