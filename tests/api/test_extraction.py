"""What is learned of sessions by rules: memories with their evidence, summaries, each once."""

from datetime import timedelta

import orjson
import pytest
from django.core.management import call_command
from django.db import connection

from config.lib import clock
from config.lib.recalled import as_recalled
from config.lib.scope import workspace_scope
from memory import tasks_learning
from memory.learning import rules
from memory.models import Evidence, Learning, Lesson, Memory, MemoryAbout
from memory.services import learning
from memory.services.learning import learn_again, learn_due
from memory.services.memories import delete_memory, update_memory
from sessions.models import Message, Session
from tests.api.caller import made
from tests.factories import ALICE
from tests.hook_payloads import a_session, claude
from tests.redaction import unhashed

PNPM = "From now on use pnpm instead of npm in this repo."


@pytest.fixture(autouse=True)
def _words_alone(settings):
    settings.EMBEDDING_PROVIDER = "none"


def session_of(api, *said, **fields):
    """A session with a thread of messages; (its id, the thread's)."""
    session = made(api.post("/sessions", fields))["id"]
    thread = made(api.post(f"/sessions/{session}/threads", {}))["id"]
    say(api, thread, *said)
    return session, thread


def say(api, thread, *said, role="user"):
    messages = [{"role": role, "content": text} for text in said]
    if messages:
        made(api.post(f"/threads/{thread}/messages", {"messages": messages}))


# --- What people say ------------------------------------------------------------------------------


def test_what_a_person_says_becomes_a_memory_with_its_evidence(api, learn, rows):
    session, _ = session_of(api, f"Hi! {PNPM} And fix the typo.", project="Greenhouse")
    learn()
    (memory,) = rows(Memory)
    assert (memory.text, memory.kind, memory.state, memory.trust) == (
        PNPM, "preference", "active", "agent",
    )  # fmt: skip
    assert memory.method == "extracted by rule from-now-on"
    assert memory.data["extraction"] == {"rule": "from-now-on", "language": "en"}
    assert (memory.actor, memory.confidence_method) == ("system", "rule")
    assert str(memory.session_id) == session
    (message,) = rows(Message)
    assert memory.recorded_at == memory.valid_from == message.occurred_at
    (evidence,) = rows(Evidence)
    assert (evidence.message_id, evidence.quote) == (message.pk, PNPM)
    assert evidence.quote in message.content
    (about,) = rows(MemoryAbout)
    assert about.project_id == memory.project_id
    assert memory.project_id is not None
    shown = made(api.get(f"/memories/{memory.pk}"))
    assert shown["method"] == memory.method
    (revision,) = made(api.get(f"/memories/{memory.pk}/history"))["items"]
    assert revision["actor_label"] == "extraction"


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("assistant", PNPM),
        ("tool", PNPM),
        ("system", PNPM),
        ("user", as_recalled(PNPM)),
        ("user", as_recalled(PNPM) + "\nWhat did I say of package managers?"),
        ("user", "x" * 13_000 + as_recalled(f"Filler.\n{PNPM}\n" * 500) + "\nIs it so?"),
        ("user", f"> {PNPM}\nIs that still so?"),
        ("user", f"```\n{PNPM}\n```"),
        ("user", f"<ide_selection>{PNPM}</ide_selection> rename it"),
        ("user", "Do you remember that we use pnpm?"),
        ("user", "Never mind."),
        ("user", "If from now on we used pnpm, what would break?"),
        ("user", ""),
    ],
)
def test_what_nobody_said_themselves_becomes_none(api, learn, rows, role, text):
    _, thread = session_of(api)
    say(api, thread, text, role=role)
    learn()
    assert rows(Memory) == []
    assert [row.due_at for row in rows(Learning)] in ([], [None])


def test_what_an_agent_tells_its_subagent_is_nobodys_word(api, learn, rows):
    session, thread = session_of(api)
    below = made(api.post(f"/sessions/{session}/threads", {"parent_id": thread}))["id"]
    say(api, below, PNPM)
    learn()
    assert rows(Memory) == []


def test_every_turn_is_read_once_and_nothing_twice(api, learn, rows, workspace):
    _, thread = session_of(api, PNPM)
    learn()
    say(api, thread, "Remember that the tunnel listens on 5433.")
    learn()
    learn()
    before = [row.text for row in rows(Memory)]
    assert before == [PNPM, "The tunnel listens on 5433."]
    with workspace_scope(workspace.id):
        assert learn_again(workspace.id) == 1
    learn()
    assert [row.text for row in rows(Memory)] == before
    assert {row.repeat_count for row in rows(Memory)} == {0}
    assert len(rows(Lesson)) == 2


def test_the_same_words_again_count_up_what_is_there(api, learn, rows):
    session_of(api, PNPM, project="Greenhouse")
    learn()
    session_of(api, PNPM, project="Greenhouse")
    learn()
    (memory,) = rows(Memory)
    assert memory.repeat_count == 1
    # Another project's custom is another one.
    session_of(api, PNPM, project="Orchard")
    learn()
    assert len(rows(Memory)) == 2


def test_what_an_agent_saved_itself_is_counted(api, learn, rows):
    made(api.post("/memories", {"text": PNPM}))
    session_of(api, PNPM)
    learn()
    (memory,) = rows(Memory)
    assert memory.repeat_count == 1


@pytest.mark.parametrize("deed", ["archive", "delete"])
def test_what_a_person_rejected_is_not_proposed_again(api, learn, rows, workspace, deed):
    session_of(api, PNPM)
    learn()
    (memory,) = rows(Memory)
    with workspace_scope(workspace.id):
        if deed == "archive":
            update_memory(actor=ALICE, memory_id=memory.pk, changes={"state": "archived"})
        else:
            delete_memory(actor=ALICE, memory_id=memory.pk)
        learn_again(workspace.id)
    learn()
    session_of(api, PNPM)
    learn()
    assert [row.state for row in rows(Memory)] == (["archived"] if deed == "archive" else [])


def test_what_a_person_wrote_anew_stays_and_is_what_counts(api, learn, rows, workspace):
    session_of(api, PNPM)
    learn()
    (memory,) = rows(Memory)
    with workspace_scope(workspace.id):
        changes = {"text": "Use pnpm, never npm."}
        update_memory(actor=ALICE, memory_id=memory.pk, changes=changes)
        learn_again(workspace.id)
    session_of(api, PNPM)
    learn()
    (memory,) = rows(Memory)
    assert (memory.text, memory.repeat_count) == ("Use pnpm, never npm.", 1)


@pytest.mark.parametrize(
    ("trusted", "mode", "state"),
    [
        (["*"], "interactive", "active"),
        (["claude-code"], "interactive", "active"),
        (["codex"], "interactive", "quarantined"),
        (["none"], "interactive", "quarantined"),
        (["*"], "autonomous", "quarantined"),
        (["*"], "background", "quarantined"),
    ],
)
def test_trust_decides_on_the_state(api, learn, rows, settings, trusted, mode, state):
    settings.EXTRACT_TRUSTED = trusted
    session_of(api, PNPM, mode=mode)
    learn()
    assert [row.state for row in rows(Memory)] == [state]


def test_secrets_do_not_come_along(api, learn, rows):
    key = "sk-ant-" + "a1B2" * 10
    session_of(api, f"Remember that the key of the demo account is {key} everywhere.")
    learn()
    (memory,), (evidence,) = rows(Memory), rows(Evidence)
    assert key not in memory.text + evidence.quote
    assert "[REDACTED:anthropic-key]" in unhashed(memory.text)
    (session,) = rows(Session)
    assert key not in session.summary + str(session.summary_data)


def test_it_can_be_switched_off(api, learn, rows, settings):
    settings.EXTRACT = False
    session_of(api, PNPM)
    learn()
    assert (rows(Memory), rows(Learning)) == ([], [])


def test_phrases_of_ones_own(api, learn, rows, settings, tmp_path):
    path = tmp_path / "phrases.json"
    path.write_text('{"remember": ["zapamiętaj, że"], "from-now-on": ["od teraz"]}')
    settings.EXTRACT_PHRASES = path
    session_of(api, "Zapamiętaj, że baza testowa stoi na porcie 5433.", "Od teraz pisz po polsku.")
    learn()
    assert [(row.kind, row.text) for row in rows(Memory)] == [
        ("fact", "Baza testowa stoi na porcie 5433."),
        ("preference", "Od teraz pisz po polsku."),
    ]
    assert rows(Memory)[0].data["extraction"]["language"] == "added"


@pytest.mark.parametrize("quote", [PNPM, "use pnpm instead of npm", f"Hi! {PNPM}"])
def test_better_rules_find_no_second_one_in_the_same_words(
    api, learn, rows, workspace, monkeypatch, quote
):
    session_of(api, f"Hi! {PNPM}")
    learn()
    better = rules.Found(rules.ALWAYS, "procedure", "en", "Use pnpm here.", quote)
    monkeypatch.setattr(rules, "find", lambda *_: [better])
    with workspace_scope(workspace.id):
        learn_again(workspace.id)
    learn()
    (memory,) = rows(Memory)
    assert (memory.text, memory.repeat_count) == (PNPM, 0)


# --- What events say ------------------------------------------------------------------------------


def test_events_that_say_what_they_are(api, learn, rows):
    session, _ = session_of(api)
    events = [
        {"event_type": "decision_made", "data": {"decision": "Buy a 12 V supply"}},
        {"event_type": "pattern_identified", "text": "The sensor resets when the pump starts."},
        {"event_type": "error", "text": "No space left", "data": {"fix": "Rotate logs"}},
        {"event_type": "error_encountered", "text": "Timed out"},
        {"event_type": "note", "text": "from now on nothing"},
    ]  # fmt: skip
    made(api.post(f"/sessions/{session}/events/batch", {"events": events}))
    learn()
    assert [(row.kind, row.state, row.text) for row in rows(Memory)] == [
        ("decision", "active", "Buy a 12 V supply"),
        ("learning_pattern", "quarantined", "The sensor resets when the pump starts."),
        ("learning_pattern", "quarantined", "No space left\nWay out: Rotate logs"),
    ]
    assert all(row.event_id for row in rows(Evidence))


def test_recalled_text_in_an_event_says_nothing(api, learn, rows):
    session, _ = session_of(api)
    recalled = as_recalled("We decided to fly.")
    events = [
        {"event_type": "decision_made", "text": recalled},
        {"event_type": "decision_made", "data": {"decision": recalled}},
        {"event_type": "error", "text": "No space left", "data": {"fix": recalled}},
    ]
    made(api.post(f"/sessions/{session}/events/batch", {"events": events}))
    made(api.post(f"/sessions/{session}/end", {}))
    learn()
    assert rows(Memory) == []
    (row,) = rows(Session)
    assert "fly" not in f"{row.summary} {row.summary_data}"
    assert "No space left" in str(row.summary_data)


def call(number, command="", file="", *, error=""):
    """A tool's call with its result, as hooks tell them."""
    tool = "Bash" if command else "Edit"
    given = {"command": command} if command else {"file_path": file}
    common = {"tool_name": tool, "tool_input": given, "tool_use_id": f"t{number}"}
    if error:
        return claude("PostToolUseFailure", **common, error=error)
    return claude("PostToolUse", **common, tool_response={"stdout": "fine"})


def test_a_way_out_of_what_failed_again_and_again_is_proposed(send, learn, rows):
    send(
        claude("UserPromptSubmit", prompt="Make the pump start", prompt_id="p1"),
        call(1, "make water", error="cc pump.c\nmake: *** No rule to make target 'water'"),
        call(2, file="/home/vera/greenhouse/pump.mk"),
        call(3, "make water", error="make: *** No rule to make target 'water'"),
        call(4, file="/home/vera/greenhouse/Makefile"),
        call(5, "make water"),
        call(6, "make fern", error="fern: not found"),
        claude("Stop", last_assistant_message="The pump starts."),
    )
    learn()
    learn()
    (memory,) = rows(Memory)
    assert (memory.kind, memory.state, memory.method) == (
        "learning_pattern", "quarantined", "extracted by rule fixed",
    )  # fmt: skip
    assert memory.text == (
        "`make water` failed with: make: *** No rule to make target 'water'\n"
        "It worked after changes to /home/vera/greenhouse/pump.mk, "
        "/home/vera/greenhouse/Makefile."
    )
    assert len(rows(Evidence)) == 2
    (session,) = rows(Session)
    data = session.summary_data
    assert data["files"] == [
        "/home/vera/greenhouse/pump.mk", "/home/vera/greenhouse/Makefile",
    ]  # fmt: skip
    assert data["commands"] == ["make water", "make fern"]
    assert [one.split(":")[0] for one in data["errors"]] == ["Fixed", "Open"]
    assert data["next_steps"] == ["Still fails: `make fern`: fern: not found"]
    assert data["last_words"] == ["The pump starts."]


def test_what_a_command_recalled_before_it_failed_is_no_lesson(send, learn, rows):
    failed = as_recalled("The pump is an error.") + "\nremember: cannot go on"
    send(
        call(1, "remember search pump", error=failed),
        call(2, "remember search pump", error=failed),
        call(3, file="/home/vera/greenhouse/pump.py"),
        call(4, "remember search pump"),
        call(5, "remember search fern", error=as_recalled("The fern is an error.")),
        claude("SessionEnd", reason="exit"),
    )
    learn()
    (memory,) = rows(Memory)
    assert "failed with: remember: cannot go on" in memory.text
    (session,) = rows(Session)
    assert "is an error" not in f"{session.summary} {session.summary_data}"


# --- Summaries ------------------------------------------------------------------------------------


def test_a_session_that_ends_has_a_summary(send, learn, rows):
    send(*a_session())
    learn()
    (session,) = rows(Session)
    assert session.summary.startswith("Asked: When does the pump start?")
    assert session.summary_data["asked"] == ["When does the pump start?"]
    assert session.summary_data["last_words"] == ["It starts at noon."]


def test_a_summary_of_somebody_else_stays(api, learn, rows):
    session, _ = session_of(api, "When does the pump start at all?")
    made(api.post(f"/sessions/{session}/end", {"summary": "My own words."}))
    learn()
    (row,) = rows(Session)
    assert row.summary == "My own words."
    assert row.summary_data["asked"] == ["When does the pump start at all?"]


def test_a_session_that_goes_on_is_summarised_now_and_then(api, learn, rows, workspace):
    session, thread = session_of(api, "When does the pump start at all?")
    learn()
    first = rows(Session)[0]
    assert first.summary
    say(api, thread, "And where does the water go after that?")
    learn()
    assert rows(Session)[0].version == first.version
    with workspace_scope(workspace.id):
        Learning.objects.update(summarised_at=clock.now() - timedelta(hours=1))
    say(api, thread, "Who paid for the pipes of the new house?")
    learn()
    assert len(rows(Session)[0].summary_data["asked"]) == 3
    made(api.patch(f"/sessions/{session}", {"summary": "Pipes."}, if_match="*"))
    made(api.post(f"/sessions/{session}/end", {}))
    learn()
    assert rows(Session)[0].summary == "Pipes."


def test_an_empty_session_has_none(api, learn, rows):
    session = made(api.post("/sessions", {}))["id"]
    made(api.post(f"/sessions/{session}/end", {}))
    learn()
    (row,) = rows(Session)
    assert (row.summary, row.summary_data) == ("", {})


# --- Before a person ------------------------------------------------------------------------------


def test_needs_attention_says_where_a_proposal_comes_from(api, learn, settings):
    settings.EXTRACT_TRUSTED = ["none"]
    session_of(api, PNPM)
    learn()
    (item,) = made(api.get("/attention"))["items"]
    # Over REST without its words: nothing of it is for agents yet.
    assert item["title"] == "A memory that waits for review"
    assert item["reason"] == "In quarantine, extracted by rule from-now-on; trust: agent"


# --- When ---------------------------------------------------------------------------------------


def jobs(name="memory.learn"):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s", [name])
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_turn_or_session_asks_for_it_at_once(api, send, rows):
    session_of(api, PNPM)
    (place,) = rows(Learning)
    assert place.due_at > clock.now()
    assert jobs() == 0
    send(claude("UserPromptSubmit", prompt=PNPM, prompt_id="p1"), claude("Stop"))
    assert jobs() == 1
    assert [row.due_at <= clock.now() for row in rows(Learning)] == [False, True]


def test_one_session_that_fails_holds_up_no_other(api, rows, workspace, monkeypatch):
    session, _ = session_of(api, PNPM)
    session_of(api, "Remember that the tunnel listens on 5433.")
    keep = learning.keep

    def failing(row, finding):
        if str(row.pk) == session:
            raise RuntimeError("broken")
        return keep(row, finding)

    monkeypatch.setattr(learning, "keep", failing)
    with workspace_scope(workspace.id):
        Learning.objects.update(due_at=clock.now())
    assert learn_due(workspace.id, seconds=60) is False
    assert [row.text for row in rows(Memory)] == ["The tunnel listens on 5433."]
    broken, fine = rows(Learning)
    assert broken.due_at > clock.now()
    assert fine.due_at is None


def test_a_long_session_is_read_in_slices(api, learn, rows, monkeypatch):
    monkeypatch.setattr(learning, "MOST_MESSAGES", 3)
    said = [f"Remember that tank {n} holds {n}0 litres." for n in range(10)]
    session_of(api, *said)
    learn()
    assert len(rows(Memory)) == 10


def test_workspaces_learn_for_themselves(api, learn, rows, other_workspace):
    session_of(api, PNPM)
    learn()
    with workspace_scope(other_workspace.id):
        assert (Memory.objects.count(), Lesson.objects.count()) == (0, 0)


def test_what_was_learned_is_told_at_the_next_start(send, learn, api):
    send(claude("UserPromptSubmit", prompt=PNPM, prompt_id="p1"), claude("SessionEnd"))
    learn()
    start = claude("SessionStart", "another", source="startup")
    answer = made(api.post("/hooks/claude-code", start))
    assert PNPM in answer["hookSpecificOutput"]["additionalContext"]


def line(number, kind="user", content="", **fields):
    """A line of Claude Code's transcript."""
    said = {"role": kind, "content": content}
    if kind == "assistant":
        said |= {"id": f"m{number}", "content": [{"type": "text", "text": content}]}
    return orjson.dumps({
        "type": kind, "uuid": f"00000000-0000-4000-8000-{number:012}", "sessionId": "s-1",
        "timestamp": f"2026-03-10T09:00:{number:02}.000Z", "cwd": "/home/vera/greenhouse",
        "message": said, **fields,
    })  # fmt: skip


def test_an_uploaded_transcript_is_learned_from(api, learn, rows):
    result = [{"type": "tool_result", "tool_use_id": "t1", "content": PNPM}]
    body = b"\n".join([
        line(1, content=f"{as_recalled('Never mind the ferns.')}\n{PNPM}"),
        line(2, "assistant", "From now on I use pnpm, as we decided."),
        line(3, content=result),
        line(4, content="We decided to rewrite the parser.", isMeta=True),
        line(5, content="We decided to drop the pump.", isCompactSummary=True),
        line(6, content="Always ask your caller twice about it.", isSidechain=True),
        line(7, content="<command-name>/x</command-name><command-args>always run x</command-args>"),
        b"",
    ])  # fmt: skip
    path = f"/transcripts?agent=claude-code&session=s-1&offset=0&size={len(body)}"
    made(api.call("POST", path, raw=body))
    (place,) = rows(Learning)
    assert place.due_at is not None
    learn()
    (memory,) = rows(Memory)
    (message,) = [row for row in rows(Message) if PNPM in row.content and row.role == "user"]
    assert memory.text == PNPM
    assert memory.recorded_at == message.occurred_at
    assert rows(Evidence)[0].message_id == message.pk
    made(api.call("POST", path, raw=body))
    learn()
    assert len(rows(Memory)) == 1


@pytest.mark.parametrize(("kind", "kept"), [("question", 1), ("prompt", 1), ("command", 0)])
def test_a_kind_that_a_caller_made_up_is_their_own(api, learn, rows, kind, kept):
    _, thread = session_of(api)
    message = {"role": "user", "content": PNPM, "metadata": {"kind": kind}}
    made(api.post(f"/threads/{thread}/messages", {"messages": [message]}))
    learn()
    assert len(rows(Memory)) == kept


def test_a_fork_of_a_session_says_nothing_again(api, learn, rows):
    session_of(api, PNPM)
    learn()
    session, _ = session_of(api)
    thread = made(api.post(f"/sessions/{session}/threads", {}))["id"]
    copied = {"role": "user", "content": PNPM, "metadata": {"forked_from": "s-1"}}
    made(api.post(f"/threads/{thread}/messages", {"messages": [copied]}))
    learn()
    (memory,) = rows(Memory)
    assert memory.repeat_count == 0


def test_the_sweep_finds_what_no_job_looks_at(api, rows, workspace):
    session_of(api, PNPM)
    tasks_learning.sweep_learning(0)
    assert rows(Memory) == []
    with workspace_scope(workspace.id):
        Learning.objects.update(due_at=clock.now())
    tasks_learning.sweep_learning(0)
    assert [row.text for row in rows(Memory)] == [PNPM]


def test_the_job_looks_at_its_workspace(api, rows, workspace):
    session, _ = session_of(api, PNPM)
    made(api.post(f"/sessions/{session}/end", {}))
    tasks_learning.learn(str(workspace.id))
    assert [row.text for row in rows(Memory)] == [PNPM]
    assert rows(Session)[0].summary


def test_all_sessions_can_be_read_again_from_the_shell(api, rows, workspace, capsys):
    session_of(api, PNPM)
    call_command("learn", "--workspace", workspace.slug)
    assert rows(Memory) == []  # not quiet for long enough yet
    call_command("learn", "--again")
    call_command("learn", "--again")
    assert [row.text for row in rows(Memory)] == [PNPM]
    assert f"{workspace.slug}: looked at 1 sessions" in capsys.readouterr().out


def test_a_hint_for_the_task_waits_for_review(api, learn, rows):
    session_of(api, "Note that Priya owns the billing service.")
    learn()
    (memory,) = rows(Memory)
    assert (memory.state, memory.confidence) == ("quarantined", 0.6)
