"""Threads over REST: known by what was asked first, made from legacy ids, exported."""

import json

import pytest
from django.core.management import call_command
from django.db import connection

from config.lib.actor import Actor
from config.lib.errors import NotFound
from config.lib.scope import workspace_scope
from sessions import export
from sessions.models import Session, Thread
from sessions.services import legacy_threads
from sessions.services.sessions import end_session
from sessions.services.threads import NewMessage, append_messages, delete_thread
from tests.api.caller import Caller, all_items, made, problem, wrong_fields
from tests.api.test_concurrency import at_once
from tests.factories import ALICE, make_session, make_thread


def thread_of(api, *messages, session=None, **fields):
    session = session or made(api.post("/sessions", {}))
    thread = made(api.post(f"/sessions/{session['id']}/threads", fields))
    if messages:
        made(api.post(f"/threads/{thread['id']}/messages", {"messages": list(messages)}))
    return made(api.get(f"/threads/{thread['id']}"))


def user(text):
    return {"role": "user", "content": text}


# --- Openings ---------------------------------------------------------------------------------


def test_a_threads_opening_is_its_first_user_message(api):
    system = {"role": "system", "content": "Be brief."}
    thread = thread_of(api, system, user("  \n"), user("x" * 300), user("later"))
    assert thread["opening"] == "x" * 200
    path = f"/threads/{thread['id']}/messages"
    made(api.post(path, user("much later")))
    assert made(api.get(f"/threads/{thread['id']}"))["opening"] == "x" * 200
    assert thread_of(api, system)["opening"] == ""


def test_an_import_fills_the_opening_too(scoped):
    thread = make_thread(make_session())
    said = [NewMessage(role="user", content="When does the pump start?")]
    actor = Actor("import", "run", "import", "import")
    append_messages(actor=actor, thread_id=thread.id, messages=said)
    assert Thread.objects.get(pk=thread.pk).opening == "When does the pump start?"


def find(api, text, **fields):
    answer = made(api.post("/threads/find", {"text": text, **fields}))
    return [row["id"] for row in answer["items"]]


def test_a_thread_is_found_by_its_whole_first_user_message(api):
    long = "y" * 400
    first = thread_of(api, user("Water the ferns"), user("second"))
    again = thread_of(api, {"role": "assistant", "content": "Hi"}, user("Water the ferns"))
    same_start = [thread_of(api, user(long + end)) for end in ("one", "two")]
    exactly = thread_of(api, user("y" * 200))
    assert find(api, "Water the ferns") == [again["id"], first["id"]]
    assert find(api, "Water the ferns", session_id=first["session_id"]) == [first["id"]]
    assert find(api, "Water the") == find(api, "second") == find(api, "water the ferns") == []
    assert find(api, long + "two") == [same_start[1]["id"]]
    assert find(api, "y" * 200) == [exactly["id"]]
    assert find(api, long) == []
    assert "text" in wrong_fields(api.post("/threads/find", {"text": ""}))
    problem(api.post("/threads/find", {"text": "x", "session_id": "deadbeef"}), 404)


def test_what_is_found_is_read_page_by_page(api):
    ids = [thread_of(api, user("Hello"))["id"] for _ in range(3)]
    first = made(api.post("/threads/find?limit=2", {"text": "Hello"}))
    rest = made(api.post(f"/threads/find?cursor={first['next_cursor']}", {"text": "Hello"}))
    assert [row["id"] for row in first["items"] + rest["items"]] == ids[::-1]


# --- Legacy ids -------------------------------------------------------------------------------


def migrate(api):
    return made(api.post("/threads/migrate-legacy"))


def test_legacy_thread_ids_become_threads_once(api):
    session = made(api.post("/sessions", {"legacy_thread_id": "T-1", "name": "Ferns"}))
    made(api.post("/sessions", {"name": "without"}))
    assert migrate(api) == {"migrated": 1, "skipped": 0}
    (thread,) = all_items(api, f"/sessions/{session['id']}/threads")
    assert (thread["external_id"], thread["name"], thread["message_count"]) == ("T-1", "Ferns", 1)
    (message,) = all_items(api, f"/threads/{thread['id']}/messages")
    assert (message["idx"], message["role"]) == (0, "system")
    assert message["content"] == "Thread migrated from legacy threadId: T-1"
    assert migrate(api) == {"migrated": 0, "skipped": 1}
    assert len(all_items(api, "/threads")) == 1


def test_a_session_whose_thread_is_there_is_skipped(api):
    session = made(api.post("/sessions", {"legacy_thread_id": "T-1"}))
    thread_of(api, session=session, external_id="T-1", source="amp")
    made(api.post("/sessions", {"legacy_thread_id": "T-2"}))
    thread_of(api, external_id="T-2")
    made(api.post("/sessions", {"legacy_thread_id": "T-3"}))
    made(api.post("/sessions", {"legacy_thread_id": "T-3"}))  # they do share ids
    assert migrate(api) == {"migrated": 1, "skipped": 3}
    assert migrate(api) == {"migrated": 0, "skipped": 4}


def test_migrating_is_no_sign_of_life(workspace):
    with workspace_scope(workspace.id):
        session = make_session(legacy_thread_id="T-1")
        end_session(actor=ALICE, session_id=session.id, reason="orphaned")
        before = Session.objects.get(pk=session.pk)
    call_command("migratethreads", workspace="greenhouse")
    with workspace_scope(workspace.id):
        after = Session.objects.get(pk=session.pk)
    assert (after.ended_at, after.end_reason) == (before.ended_at, "orphaned")
    assert (after.last_seen_at, after.prompt) == (before.last_seen_at, "")
    assert after.message_count == 1


def test_the_command_goes_through_workspaces_in_batches(
    workspace, other_workspace, capsys, monkeypatch
):
    monkeypatch.setattr(
        legacy_threads.migrate_legacy_threads, "__kwdefaults__", {"after": None, "limit": 2}
    )
    with workspace_scope(workspace.id):
        for n in range(5):
            make_session(legacy_thread_id=f"T-{n}")
    call_command("migratethreads")
    assert capsys.readouterr().out.splitlines() == [
        "elsewhere: 0 migrated, 0 skipped",
        "greenhouse: 5 migrated, 0 skipped",
    ]
    call_command("migratethreads", workspace="greenhouse", json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == {"workspace": "greenhouse", "migrated": 0, "skipped": 5}


@pytest.mark.django_db(transaction=True)
def test_two_migrations_at_once_make_each_thread_once(api):
    for n in range(10):
        made(api.post("/sessions", {"legacy_thread_id": f"T-{n % 8}"}))
    answers = at_once([lambda: Caller(api.token).post("/threads/migrate-legacy")] * 3)
    assert sum(made(answer)["migrated"] for answer in answers) == 8
    assert len(all_items(api, "/threads")) == 8


# --- Export -----------------------------------------------------------------------------------


def exported(api, thread, form):
    answer = api.get(f"/threads/{thread['id']}/export", format=form)
    assert answer.status_code == 200
    return answer, b"".join(answer.streaming_content).decode()


@pytest.fixture
def told(api):
    return thread_of(
        api,
        user("Water the ferns."),
        {"role": "assistant", "content": "# Done\n\n`drip`", "model": "fern-1"},
        {"role": "tool", "blocks": [{"type": "tool_result", "text": "a ```fence``` in it"}]},
        name="Ferns\nand moss",
    )


def test_an_export_as_json_is_the_thread_and_its_messages(api, told):
    answer, text = exported(api, told, "json")
    assert answer["Content-Type"] == "application/json"
    name = f'attachment; filename="thread-{told["short_id"]}.json"'
    assert answer["Content-Disposition"] == name
    messages = all_items(api, f"/threads/{told['id']}/messages")
    assert json.loads(text) == {"thread": told, "messages": messages}
    assert api.get(f"/threads/{told['id']}/export")["Content-Type"] == "application/json"


def test_an_export_as_ndjson_has_a_line_for_each_message(api, told):
    answer, text = exported(api, told, "ndjson")
    assert answer["Content-Type"] == "application/x-ndjson"
    first, *rest = [json.loads(line) for line in text.splitlines()]
    assert first == {"thread": told}
    messages = all_items(api, f"/threads/{told['id']}/messages")
    assert rest == [{"message": message} for message in messages]


def test_an_export_as_markdown_reads_as_a_conversation(api, told):
    answer, text = exported(api, told, "markdown")
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.startswith("# Ferns and moss\n")
    assert "## 0. User, " in text
    assert "## 1. Assistant (fern-1), " in text
    assert "\n\n# Done\n\n`drip`\n" in text
    assert "````json\n" in text  # longer than the fence inside
    assert "a ```fence``` in it" in text


def test_an_empty_thread_can_be_exported(api):
    thread = thread_of(api)
    assert json.loads(exported(api, thread, "json")[1]) == {"thread": thread, "messages": []}
    assert len(exported(api, thread, "ndjson")[1].splitlines()) == 1
    assert exported(api, thread, "markdown")[1].startswith("# Thread ")


def test_an_export_comes_in_pieces_and_leaves_nothing_out(api, monkeypatch):
    monkeypatch.setattr(export, "PIECE_MESSAGES", 7)
    monkeypatch.setattr(export, "PIECE_BYTES", 3000)
    texts = [f"message {n} " + "x" * (4000 if n % 5 == 0 else 10) for n in range(40)]
    thread = thread_of(api, *map(user, texts))
    answer = api.get(f"/threads/{thread['id']}/export", format="ndjson")
    pieces = list(answer.streaming_content)
    assert len(pieces) > 40 // 7
    assert max(len(piece) for piece in pieces) < 12_000
    lines = b"".join(pieces).splitlines()[1:]
    assert [json.loads(line)["message"]["content"] for line in lines] == texts
    assert len(json.loads(exported(api, thread, "json")[1])["messages"]) == 40


def test_a_wrong_export_is_refused(api, told):
    path = f"/threads/{told['id']}/export"
    assert "format" in wrong_fields(api.get(path, format="pdf"))
    problem(api.get("/threads/deadbeefdeadbeef/export"), 404)


@pytest.mark.django_db(transaction=True)
def test_no_connection_waits_for_a_slow_reader_and_half_an_export_is_cut_off(
    workspace, monkeypatch
):
    monkeypatch.setattr(export, "PIECE_MESSAGES", 2)
    with workspace_scope(workspace.id):
        thread = make_thread(make_session())
        said = [NewMessage(role="user", content=str(n)) for n in range(6)]
        append_messages(actor=ALICE, thread_id=thread.id, messages=said)
    found = export.find_exported(workspace.id, str(thread.id))
    pieces = export.export_thread(workspace.id, found, "ndjson")
    next(pieces)
    assert b'"content":"1"' in next(pieces)
    assert connection.connection is None
    with workspace_scope(workspace.id):
        late = [NewMessage(role="user", content="late")]
        append_messages(actor=ALICE, thread_id=thread.id, messages=late)
    assert b'"content":"3"' in next(pieces)
    with workspace_scope(workspace.id):
        delete_thread(actor=ALICE, thread_id=thread.id)
    with pytest.raises(NotFound):
        next(pieces)


def test_what_is_appended_meanwhile_is_not_in_the_export(api, told):
    answer = api.get(f"/threads/{told['id']}/export", format="ndjson")
    made(api.post(f"/threads/{told['id']}/messages", user("late")))
    text = b"".join(answer.streaming_content).decode()
    assert len(text.splitlines()) == 1 + 3
