"""One hook: kept, answered within its budget, never an error."""

import json
import os
import resource
import subprocess

import pytest

from config.lib.scope import workspace_scope
from memory.models import HookPayload, Transcript
from sessions.models import Message, Session, SessionEvent, Thread
from tests.api.test_transcripts import a_turn, line
from tests.factories import make_key, make_memory
from tests.hook_payloads import CURSOR, GEMINI, SESSION, a_session, claude
from tests.importers import transcripts as lines
from tests.shim.machine import PYTHON, SHIM, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PROMPT = "When does the pump start?"


@pytest.fixture
def known(workspace):
    with workspace_scope(workspace.id):
        return make_memory("The pump starts at noon.", kind="decision", pinned=True)


def context_of(answer):
    return answer["hookSpecificOutput"]["additionalContext"]


def mapped(rows, count):
    """Whether so many payloads have come and been mapped."""
    found = rows(HookPayload)
    return len(found) == count and {row.state for row in found} == {"mapped"}


def test_a_start_and_a_prompt_bring_context(machine, known, rows):
    answer = machine.hook(claude("SessionStart", source="startup"))
    assert list(answer) == ["hookSpecificOutput"]
    assert answer["hookSpecificOutput"]["hookEventName"] == "SessionStart"
    assert "The pump starts at noon." in context_of(answer)
    # It has been told now.
    assert machine.hook(claude("UserPromptSubmit", prompt=PROMPT, prompt_id="p")) is None
    machine.settle()
    wait_for(lambda: mapped(rows, 2))
    first, _ = rows(HookPayload)
    assert first.answer["tokens"] > 0
    assert first.host == os.uname().nodename
    assert abs((first.occurred_at - first.claimed_at).total_seconds()) < 60


@pytest.mark.parametrize(
    ("agent", "payload", "key"),
    [
        ("gemini", {**GEMINI, "hook_event_name": "SessionStart", "source": "startup"},
         "hookSpecificOutput"),
        ("cursor", {**CURSOR, "hook_event_name": "sessionStart"}, "additional_context"),
        ("generic", {"session_id": "s", "event": "session_start"}, "additionalContext"),
    ],
)  # fmt: skip
def test_each_agent_is_answered_in_its_own_form(machine, known, agent, payload, key):
    answer = machine.hook(payload, agent=agent)
    assert list(answer) == [key]
    assert "The pump starts at noon." in json.dumps(answer)


def test_what_cursor_does_with_claude_codes_hooks_is_told_by_its_own_alone(machine, known, rows):
    """It reads ~/.claude/settings.json as well, and runs what it finds there."""
    start = {**CURSOR, "hook_event_name": "sessionStart"}
    assert machine.hook(start, agent="claude-code") is None
    assert machine.hook(start, agent="cursor")
    machine.settle()
    (payload,) = rows(HookPayload)
    assert payload.dialect == "cursor"


def test_a_whole_session_arrives_once_with_its_transcript(machine, rows):
    project = machine.home / ".claude" / "projects" / "-home-vera-greenhouse"
    project.mkdir(parents=True)
    transcript = project / f"{SESSION}.jsonl"
    subagents = project / SESSION / "subagents"
    turn = a_turn()
    for payload in a_session():
        payload["transcript_path"] = str(transcript)
        if payload["hook_event_name"] == "PreToolUse" and not transcript.exists():
            transcript.write_bytes(b"".join(turn[:4]))
        if payload["hook_event_name"] == "SubagentStop":
            subagents.mkdir(parents=True)
            (subagents / "agent-a9f2.meta.json").write_text('{"agentType": "Explore"}')
            said = lines.assistant("s1", [lines.text("The sensor draws too much.")])
            said = {**said, "isSidechain": True, "agentId": "a9f2"}
            (subagents / "agent-a9f2.jsonl").write_bytes(line(said))
        machine.hook(payload)
    # What the agent writes behind its last hook: the rest, of which one line is cut.
    with transcript.open("ab") as file:
        file.write(b"".join(turn[4:]) + b'{"type": "us')
    machine.hook(claude("SessionEnd", transcript_path=str(transcript), reason="other"))
    machine.settle()
    wait_for(lambda: mapped(rows, len(a_session()) + 1))
    (session,) = rows(Session)
    assert session.current_state == "ended"
    said = [(m.role, m.content) for m in rows(Message) if m.metadata.get("kind") != "thinking"]
    assert said.count(("user", PROMPT)) == 1
    assert said.count(("assistant", "It starts at noon.")) == 1
    assert said.count(("assistant", "The sensor draws too much.")) == 1
    assert len(rows(Thread)) == 2
    assert "tool_use:toolu_t1" in {event.dedupe_key for event in rows(SessionEvent)}
    # The cut line came whole later, when nobody told of it but the next session's start.
    with transcript.open("ab") as file:
        file.write(b'er", "uuid": "u-late", "sessionId": "%s", ' % SESSION.encode())
        file.write(b'"timestamp": "2026-11-20T10:00:00Z", '
                   b'"message": {"role": "user", "content": "And the ferns?"}}\n')  # fmt: skip
    machine.hook(claude("Notification", "another-session", message="hm", transcript_path=""))
    wait_for(lambda: any(m.content == "And the ferns?" for m in rows(Message)))


def test_a_long_transcript_with_lines_that_are_too_long(machine, rows):
    path = machine.home / f"{SESSION}.jsonl"
    turns = [b"".join(a_turn(n, f"Question {n}", f"Answer {n}")) for n in (1, 2, 3)]
    # More than a piece, which is sent whole; more than the server takes, which is left out.
    long, longer = (
        line({"type": "file-history-snapshot", "messageId": str(size), "snapshot": "x" * size})
        for size in (2_000_000, 11_000_000)
    )
    path.write_bytes(turns[0] + long + turns[1] + longer + turns[2])
    machine.hook(claude("Stop", transcript_path=str(path), stop_hook_active=False))
    machine.settle()
    said = [m.content for m in rows(Message) if m.role == "user"]
    assert said == ["Question 1", "Question 2", "Question 3"]
    assert "is too long for the server" in machine.log()
    (known,) = rows(Transcript)
    assert known.gaps == [[start := len(turns[0] + long + turns[1]), start + len(longer)]]
    assert known.taken == path.stat().st_size


def test_a_transcript_that_is_no_file_of_that_form_is_not_read(machine, rows):
    secret = machine.home / "secret.txt"
    secret.write_text('{"type": "user"}\n')
    for path in (str(secret), "relative.jsonl", str(machine.home), "/dev/stdin", 7):
        machine.hook(claude("Stop", transcript_path=path, last_assistant_message=str(path)))
    machine.settle()
    wait_for(lambda: mapped(rows, 5))
    assert list(machine.state.glob("spool/*/transcripts/*")) == []


def test_half_a_payload_is_kept_as_it_came(machine, rows):
    assert machine.hook(b'{"hook_event_name": "PostToolUse", "session_id": "s') is None
    machine.settle()
    (payload,) = rows(HookPayload)
    assert payload.raw.startswith('{"hook_event_name": "PostToolUse"')


def test_a_payload_of_five_megabytes(machine, rows):
    text = "pump " * 1_000_000
    result = {"tool_name": "Read", "tool_use_id": "toolu_big", "tool_response": text}
    assert machine.hook(claude("PostToolUse", **result)) is None
    machine.settle()
    (payload,) = rows(HookPayload)
    assert payload.payload["tool_response"] == text


def test_no_payload_disturbs_an_agent(machine):
    for given in (b"", b" \n", b"\0\xff", b"[" * 100_000, b"null", b'"\\ud800"'):
        assert machine.hook(given) is None
    machine.settle()


def test_a_transcript_is_there_once_whatever_becomes_of_it(machine, rows):
    path = machine.home / f"{SESSION}.jsonl"

    def told():
        machine.hook(claude("Stop", transcript_path=str(path), stop_hook_active=False))
        machine.settle()
        return [m.content for m in rows(Message) if m.role == "user"]

    first, second, third = (a_turn(n, f"Question {n}", f"Answer {n}") for n in (1, 2, 3))
    path.write_bytes(b"".join(first))
    assert told() == ["Question 1"]
    # What was known of it here is lost.
    for hint in machine.state.glob("spool/*/transcripts/*"):
        hint.unlink()
    path.write_bytes(b"".join(first + second))
    assert told() == ["Question 1", "Question 2"]
    # What is known here is wrong: too far, and of a file that was written anew.
    for hint in machine.state.glob("spool/*/transcripts/*"):
        said = json.loads(hint.read_text())
        hint.write_text(json.dumps({**said, "next": said["next"] + 100_000, "taken": 0}))
    path.write_bytes(b"".join(first + second + third))
    assert told() == ["Question 1", "Question 2", "Question 3"]
    path.write_bytes(b"".join(third))
    assert told() == ["Question 1", "Question 2", "Question 3"]


def test_an_agent_or_call_that_nobody_knows(offline):
    assert offline.hook(claude("Stop"), agent="nobody") is None
    assert offline.queue() == []
    assert "unknown agent" in offline.log()


def test_without_a_server_or_key_it_is_kept(offline):
    (offline.home / ".config" / "remembrancer" / "config.json").unlink()
    assert offline.hook(claude("SessionStart", source="startup")) is None
    assert len(offline.queue(".json")) == 1


def test_switched_off_it_does_nothing(offline):
    assert offline.hook(claude("Stop"), REMEMBRANCER_SHIM_OFF="1") is None
    assert not offline.state.exists()


def test_without_a_home_the_environment_says_where(machine, rows, tmp_path):
    state = tmp_path / "elsewhere"
    environment = {
        "PATH": machine.environment["PATH"],
        "REMEMBRANCER_URL": machine.url,
        "REMEMBRANCER_KEY": machine.key,
        "REMEMBRANCER_SHIM_STATE": str(state),
        "REMEMBRANCER_SHIM_HOME": str(state),
    }
    done = subprocess.run(
        [PYTHON, "-I", "-S", str(SHIM), "hook", "claude-code"], env=environment,
        input=json.dumps(claude("Stop")), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wait_for(lambda: len(rows(HookPayload)) == 1)
    assert (state / "spool").is_dir()


@pytest.mark.parametrize("event", ["SessionStart", "Stop"])
def test_where_nothing_can_be_written_it_is_sent_at_once(machine, known, rows, event):
    answer = machine.hook(
        claude(event, source="startup"), REMEMBRANCER_SHIM_STATE="/dev/null/state"
    )
    assert (answer is not None) == (event == "SessionStart")
    wait_for(lambda: len(rows(HookPayload)) == 1)


def test_on_a_full_disk_it_is_sent_at_once(machine, known, rows):
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = subprocess.run(
        [PYTHON, "-I", "-S", str(SHIM), "hook", "claude-code"], preexec_fn=full,
        input=json.dumps(claude("SessionStart", source="startup")).encode(),
        env=machine.environment, capture_output=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0
    assert "The pump starts at noon." in context_of(json.loads(done.stdout))
    assert [path for path in machine.state.rglob("queue/*") if path.stat().st_size] == []
    wait_for(lambda: len(rows(HookPayload)) == 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written(machine, rows):
    machine.home.chmod(0o500)
    try:
        assert machine.hook(claude("Stop")) is None
        wait_for(lambda: len(rows(HookPayload)) == 1)
    finally:
        machine.home.chmod(0o700)


def test_the_first_source_with_a_key_counts_and_no_key_goes_elsewhere(machine, workspace, rows):
    # An address in some project's environment is not sent the key of config.json.
    machine.hook(claude("Stop"), REMEMBRANCER_URL="http://127.0.0.1:9")
    machine.settle()
    assert len(rows(HookPayload)) == 1
    machine.configure("http://127.0.0.1:9", "rmb_other")
    _, key = make_key(workspace, agent="plugin")
    machine.hook(
        claude("Stop", "another"), CLAUDE_PLUGIN_OPTION_URL=machine.url,
        CLAUDE_PLUGIN_OPTION_KEY=key,
    )  # fmt: skip
    wait_for(lambda: len(rows(HookPayload)) == 2)
