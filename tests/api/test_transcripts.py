"""Transcripts uploaded piece by piece: once, resumable, and not twice what hooks have told."""

import json
import random
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from config.lib import clock
from memory.models import HookTrace, Transcript
from sessions.models import Message, RawLine, Session, SessionEvent, Thread
from tests.api.caller import caller, made, problem, wrong_fields
from tests.hook_payloads import SESSION, claude
from tests.importers import transcripts as lines
from tests.redaction import unhashed

PUMP = "When does the pump start?"


def line(record):
    return json.dumps({**record, "sessionId": SESSION}).encode() + b"\n"


def a_turn(number=1, prompt=PUMP, reply="It starts at noon."):
    """A prompt, thinking, a call, its result and the reply, as Claude Code writes them."""
    n = f"t{number}"
    call = lines.call(f"toolu_{n}", "Read", file_path="pump.py")
    message = {"id": f"msg_{n}", "usage": {"input_tokens": 10, "output_tokens": 5}}
    thinking = [{"type": "thinking", "thinking": "Hm."}]
    return [
        line(lines.user(f"{n}-user", prompt, promptId=f"p-{number}")),
        line(lines.assistant(f"{n}-think", thinking, message=message, requestId=f"req_{n}")),
        line(lines.assistant(f"{n}-call", [call], message=message, requestId=f"req_{n}")),
        line(lines.user(f"{n}-result", [lines.result(f"toolu_{n}", "START = noon")])),
        line(lines.assistant(f"{n}-reply", [lines.text(reply)],
                             message={"id": f"msg_{n}b"}, requestId=f"req_{n}b")),
        line({"type": "file-history-snapshot", "messageId": n, "snapshot": {}}),
    ]  # fmt: skip


def told_by_hooks(number=1, prompt=PUMP, reply="It starts at noon."):
    call = {"tool_name": "Read", "tool_input": {"file_path": "pump.py"},
            "tool_use_id": f"toolu_t{number}"}  # fmt: skip
    return [
        claude("UserPromptSubmit", prompt=prompt, prompt_id=f"p-{number}"),
        claude("PreToolUse", **call),
        claude("PostToolUse", **call, tool_response="START = noon"),
        claude("Stop", last_assistant_message=reply, prompt_id=f"p-{number}"),
    ]


@pytest.fixture
def upload(api):
    """Upload a piece; what became of it."""

    def _upload(body, offset=0, **wanted):
        query = {"agent": "claude-code", "session": SESSION, "offset": offset, **wanted}
        named = "&".join(f"{name}={value}" for name, value in query.items())
        answer = api.call("POST", f"/transcripts?{named}", raw=body)
        return made(answer)

    return _upload


def said(rows, role):
    return [m.content for m in sorted(rows(Message), key=lambda m: m.idx) if m.role == role]


def once(rows, turns):
    """Each prompt, reply, call and result of so many turns is there once."""
    prompts = [m for m in rows(Message) if m.role == "user"]
    assert len(prompts) == turns, [m.content for m in prompts]
    replies = [m.content for m in rows(Message) if m.metadata.get("kind") == "reply"]
    assert len(replies) == turns, replies
    keys = [e.dedupe_key for e in rows(SessionEvent)]
    for n in range(1, turns + 1):
        assert keys.count(f"tool_use:toolu_t{n}") == 1
        assert keys.count(f"tool_result:toolu_t{n}") == 1
    kinds = [e.event_type for e in rows(SessionEvent)]
    assert (kinds.count("tool_use"), kinds.count("tool_result")) == (turns, turns)
    (session,) = rows(Session)
    assert session.tool_count == turns
    assert len(rows(Thread)) == 1
    indexes = sorted(m.idx for m in rows(Message))
    assert indexes == list(range(len(indexes)))


# --- The file -------------------------------------------------------------------------------------


def test_a_file_comes_whole(upload, rows):
    body = b"".join(a_turn())
    answer = upload(body, size=len(body))
    assert (answer["status"], answer["taken"], answer["lines"]) == ("taken", len(body), 6)
    (session,) = rows(Session)
    assert answer["session_id"] == str(session.pk)
    assert (session.prompt, session.input_tokens, session.cwd) == (PUMP, 10, "/code")
    assert (session.ended_at, session.current_state) == (None, "idle")
    once(rows, 1)
    assert len(rows(RawLine)) == 6


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.long), 37, 700])
def test_it_comes_in_pieces_of_any_size(upload, rows, step):
    """Following next_offset is enough, wherever a piece happens to end."""
    body = b"".join(a_turn(1) + a_turn(2, "And the ferns?", "At dusk."))
    if step == 1:
        body = body[:1200]
    offset, size = 0, 0
    while size < len(body):
        size = min(len(body), size + step)
        answer = upload(body[offset:size], offset, size=size)
        assert answer["status"] in ("taken", "half")
        offset = answer["next_offset"]
    assert answer["taken"] == body.rfind(b"\n") + 1
    if step > 1:
        once(rows, 2)
        assert rows(Session)[0].input_tokens == 20
        assert [row.line_no for row in rows(RawLine)] == list(range(1, 13))
        starts = [row.byte_offset for row in rows(RawLine)]
        assert all(body[start:].startswith(b"{") for start in starts)
    whole = [e.data["tool"] for e in rows(SessionEvent) if e.event_type == "tool_result"]
    assert set(whole) <= {"Read"}


def test_the_same_piece_again_changes_nothing(upload, rows):
    body = b"".join(a_turn())
    upload(body)
    for again in (body, body[:200], b""):
        answer = upload(again)
        assert (answer["status"], answer["taken"]) == ("known", len(body))
    once(rows, 1)


def test_half_a_last_line_waits_for_its_rest(upload, rows):
    body = b"".join(a_turn())
    half = len(body) - 20
    answer = upload(body[:half])
    assert (answer["status"], answer["lines"]) == ("taken", 5)
    assert upload(b"", 0)["next_offset"] == answer["next_offset"] <= answer["taken"] < half
    start = answer["next_offset"]
    assert upload(body[start:half], start)["status"] == "half"
    assert upload(body[start:], start)["lines"] == 1
    once(rows, 1)


def test_a_final_piece_takes_a_last_line_without_its_end(upload, rows):
    body = b"".join(a_turn()).rstrip(b"\n")
    assert upload(body)["lines"] == 5
    assert upload(body, final="true")["lines"] == 1
    assert upload(body, final="true")["status"] == "known"
    once(rows, 1)


def test_a_missing_middle_is_asked_for(upload, rows):
    one, two, three = b"".join(a_turn(1)), b"".join(a_turn(2, "b", "B")), b"".join(a_turn(3, "c"))
    body = one + two + three
    start = upload(one)["next_offset"]
    answer = upload(three, len(one + two), size=len(body))
    assert (answer["status"], answer["next_offset"], answer["lines"]) == ("gap", start, 0)
    (row,) = rows(Transcript)
    assert (row.taken, row.seen) == (len(one), len(body))
    assert upload(body[start:], start)["status"] == "taken"
    once(rows, 3)


def test_a_middle_that_is_lost_is_passed_over_and_noted(upload, rows):
    one, two = b"".join(a_turn(1)), b"".join(a_turn(2, "And the ferns?", "At dusk."))
    upload(one)
    cut = len(one) + 500
    answer = upload(b"half of a line}\n" + two, cut, skip="true")
    assert (answer["status"], answer["gaps"]) == ("taken", [[len(one), cut + 16]])
    once(rows, 2)
    assert answer["taken"] == cut + 16 + len(two)


def test_a_file_that_was_rewritten_is_read_from_its_start(upload, rows):
    one, two = a_turn(1), a_turn(2, "And the ferns?", "At dusk.")
    first = upload(b"".join(one))
    other = b"".join(one[:3] + two + one[3:])
    answer = upload(other[first["next_offset"] :], first["next_offset"], size=len(other))
    assert (answer["status"], answer["next_offset"], answer["taken"]) == ("rewritten", 0, 0)
    answer = upload(other, 0, size=len(other))
    assert (answer["status"], answer["lines"]) == ("taken", 6)
    once(rows, 2)
    (row,) = rows(Transcript)
    assert (row.generation, row.taken) == (2, len(other))


def test_a_file_that_was_cut_off_is_read_from_its_start(upload, rows):
    turn = a_turn()
    upload(b"".join(turn))
    short = b"".join(turn[:3])
    answer = upload(b"", 0, size=len(short))
    assert (answer["status"], answer["taken"]) == ("known", 0)
    assert upload(short, 0, size=len(short))["lines"] == 0
    once(rows, 1)


def test_lines_without_an_id_that_come_again_are_lines_of_their_own(upload, rows):
    mode = b'{"type": "mode", "mode": "plan", "sessionId": "%b"}\n' % SESSION.encode()
    first = line(lines.user("u1", "hello"))
    offset = 0
    body = first
    for _ in range(3):
        body += mode
        offset = upload(body[offset:], offset)["next_offset"]
    assert len([e for e in rows(SessionEvent) if e.event_type == "mode"]) == 3


def test_several_files_of_one_session(upload, rows):
    upload(b"".join(a_turn()))
    task = lines.call("toolu_task", "Agent", description="Look at the sensor", prompt="Why?")
    asked = line(lines.assistant("a-task", [task], message={"id": "msg_9"}, requestId="req_9"))
    offset = upload(b"")["next_offset"]
    upload(b"".join(a_turn())[offset:] + asked, offset)
    body = line(lines.user("s1", "Why?", isSidechain=True, agentId="a9f2"))
    upload(body, file="agent-a9f2.jsonl", subagent="a9f2")
    main, sub = rows(Thread)
    assert (main.name, sub.name, sub.parent_id) == ("main", "Look at the sensor", main.pk)
    assert [m.content for m in rows(Message, thread=sub)] == ["Why?"]
    assert len(rows(Transcript)) == 2


def test_broken_lines_are_kept_raw(upload, rows):
    body = b"not json\n" + b'{"type": "user", \xff\n' + b"\n" + b"".join(a_turn())
    assert upload(body)["lines"] == 8
    once(rows, 1)


def test_secrets_are_gone(upload, rows):
    secret = "sk-ant-api03-AbCdEf0123456789-xyz"
    body = line(lines.user("u1", f"Use {secret}", toolUseResult={"password": "hunter22"}))
    upload(body + b"{ broken " + secret.encode() + b', "password": "hunter22\n')
    named = dict.fromkeys(("session", "file", "subagent", "subagent_type"), secret)
    upload(line(lines.user("u2", "Hello")), **named)
    models = (RawLine, Message, SessionEvent, Session, Thread, Transcript)
    stored = [repr(vars(row)) for model in models for row in rows(model)]
    assert not [row for row in stored if secret in row or "hunter22" in row]
    assert [unhashed(one) for one in said(rows, "user")] == [
        "Use [REDACTED:anthropic-key]",
        "Hello",
    ]


def test_what_cannot_be_taken_is_refused(api, workspace):
    def post(query, raw=b"x\n"):
        return api.call("POST", f"/transcripts?{query}", raw=raw)

    problem(post("agent=nobody&session=s"), 404)
    assert "claude-code" in wrong_fields(post("agent=codex&session=s"))["agent"]
    assert "session" in wrong_fields(post("agent=claude-code"))
    assert "offset" in wrong_fields(post("agent=claude-code&session=s&offset=-1"))
    assert "hurry" in wrong_fields(post("agent=claude-code&session=s&hurry=1"))
    problem(caller(workspace, scopes=["search"]).call("POST", "/transcripts?agent=x"), 403)


def test_a_clock_a_day_ahead_makes_no_session_live_tomorrow(upload, rows):
    tomorrow = (clock.now() + timedelta(days=1)).isoformat()
    upload(line(lines.user("u1", "hello", timestamp=tomorrow)))
    (session,), (message,) = rows(Session), rows(Message)
    assert session.last_seen_at <= clock.now() < message.occurred_at


@pytest.mark.django_db(transaction=True)
def test_pieces_of_the_same_file_sent_by_many_at_once(api, rows, workspace):
    body = b"".join(b"".join(a_turn(n, f"prompt {n}", f"reply {n}")) for n in range(1, 7))
    failed = []

    def work(seed):
        dice, offset, taken = random.Random(seed), 0, 0
        try:
            while taken < len(body):
                end = min(len(body), offset + dice.randint(300, 5000))
                path = f"/transcripts?agent=claude-code&session={SESSION}&offset={offset}"
                answer = api.call("POST", path, raw=body[offset:end])
                if answer.status_code != 200:
                    failed.append(answer.content)
                    return
                told = answer.json()
                taken = told["taken"]
                offset = told["next_offset"] if told["status"] != "half" else offset
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    once(rows, 6)
    assert len(rows(RawLine)) == 36


# --- With hooks -----------------------------------------------------------------------------------


def test_hooks_first_then_the_transcript(send, upload, rows):
    send(*told_by_hooks())
    upload(b"".join(a_turn()))
    once(rows, 1)
    assert said(rows, "user") == [PUMP]
    # What it cost only the transcript knows.
    assert rows(Session)[0].input_tokens == 10


def test_the_transcript_first_then_hooks(send, upload, rows):
    upload(b"".join(a_turn()))
    send(*told_by_hooks())
    once(rows, 1)
    (prompt,) = [e for e in rows(SessionEvent) if e.event_type == "user_prompt"]
    assert prompt.data["message_uuid"] == "t1-user"


def test_by_turns_in_the_order_of_a_running_agent(send, upload, rows):
    """The prompt is told by its hook, and the transcript follows at the end of the turn."""
    upload(b"")
    body, offset = b"", 0
    for n in (1, 2, 3):
        send(*told_by_hooks(n, f"prompt {n}", f"reply {n}"))
        body += b"".join(a_turn(n, f"prompt {n}", f"reply {n}"))
        offset = upload(body[offset:], offset)["next_offset"]
    once(rows, 3)
    spoken = [m.content for m in sorted(rows(Message), key=lambda m: m.idx)
              if m.metadata.get("kind") in ("prompt", "reply")]  # fmt: skip
    assert spoken == ["prompt 1", "reply 1", "prompt 2", "reply 2", "prompt 3", "reply 3"]


@pytest.mark.parametrize("with_ids", [True, False])
def test_the_same_prompt_three_times_is_three_prompts(api, send, upload, rows, with_ids):
    turns = [a_turn(n, "yes", f"reply {n}") for n in (1, 2, 3)]
    for n in (1, 2, 3):
        prompt, *others = told_by_hooks(n, "yes", f"reply {n}")
        if not with_ids:
            prompt.pop("prompt_id")
        made(api.post("/hooks/claude-code", prompt, x_remembrancer_delivery=f"d{n}"))
        send(*others)
    body = b"".join(b"".join(turn) for turn in turns)
    if not with_ids:
        body = body.replace(b'"promptId"', b'"promptOf"')
    upload(body)
    once(rows, 3)


def test_a_slash_command_and_a_compaction_are_told_once(send, upload, rows):
    send(claude("UserPromptSubmit", prompt="/water ferns", prompt_id="p1"),
         claude("PostCompact", trigger="manual", compact_summary="We watered."))  # fmt: skip
    command = "<command-name>/water</command-name>\n<command-args>ferns</command-args>"
    boundary = {"type": "system", "subtype": "compact_boundary", "uuid": "c1",
                "timestamp": lines.NOON, "compactMetadata": {"trigger": "manual"}}  # fmt: skip
    upload(line(lines.user("u1", command)) + line(boundary))
    assert said(rows, "user") == ["/water ferns"]
    assert [e.event_type for e in rows(SessionEvent)].count("compaction") == 1


def test_the_import_of_the_same_file_adds_nothing_either(send, upload, rows, workspace, tmp_path):
    send(*told_by_hooks())
    upload(b"".join(a_turn()))
    path = tmp_path / f"{SESSION}.jsonl"
    path.write_bytes(b"".join(a_turn()))
    before = [len(rows(model)) for model in (Message, SessionEvent, RawLine, HookTrace)]
    call_command("import", "claude-code", path, workspace=workspace.slug)
    assert [len(rows(model)) for model in (Message, SessionEvent, RawLine, HookTrace)] == before


def test_an_import_after_hooks_alone_doubles_nothing(send, rows, workspace, tmp_path):
    send(*told_by_hooks())
    path = tmp_path / f"{SESSION}.jsonl"
    path.write_bytes(b"".join(a_turn()))
    call_command("import", "claude-code", path, workspace=workspace.slug)
    once(rows, 1)


def test_a_subagents_last_words_are_told_once(send, upload, rows):
    send(claude("SubagentStart", agent_id="a9f2", agent_type="Explore"),
         claude("SubagentStop", agent_id="a9f2", agent_type="Explore",
                last_assistant_message="It draws too much."))  # fmt: skip
    body = line(lines.user("s1", "Why?", isSidechain=True, agentId="a9f2")) + line(
        lines.assistant("s2", [lines.text("It draws too much.")], isSidechain=True, agentId="a9f2")
    )
    upload(body, file="agent-a9f2.jsonl", subagent="a9f2")
    assert said(rows, "assistant") == ["It draws too much."]
    assert len(rows(Thread)) == 2
