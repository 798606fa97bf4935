"""What is past its time goes, what is in use stays, and `manage.py verify` finds nothing wrong."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from psycopg import sql

from config.lib import clock
from config.lib.clock import Told
from config.lib.db.owner import as_owner
from config.lib.errors import Conflict, Invalid
from config.lib.scope import workspace_scope
from contacts.models import Revision, UsageDay
from contacts.scopes import AGENT_SCOPES
from contacts.services import seals, undo
from contacts.services.workspaces import update_workspace
from memory import verify
from memory.models import HookPayload, Memory, Passage, Receipt
from memory.services import retention
from memory.services.memories import (
    NewEvidence,
    NewMemory,
    create_memory,
    delete_memory,
    update_memory,
)
from memory.services.retention import retain
from memory.verify.report import Options
from sessions.models import Notification, RawLine, Session, SessionEvent, WorkerOutput
from sessions.services.events import NewEvent, append_events
from sessions.services.notifications import acknowledge_notifications, notify
from sessions.services.sessions import end_session
from sessions.services.transcripts import keep_raw_lines, known_line_keys
from sessions.services.workers import spawn_worker
from tests.api.caller import caller, made
from tests.factories import ALICE, make_key, make_memory, make_session, make_workspace

AGO = timedelta(days=100)
KEPT = dict.fromkeys(("events", "raw_lines", "worker_output", "notifications", "revisions"), 90)


@pytest.fixture
def owner_url(transactional_db, settings, database_server):
    name = connection.settings_dict["NAME"]
    settings.OWNER_URL = urlunsplit(urlsplit(database_server.owner)._replace(path=f"/{name}"))


def lines_of(session, texts):
    return [
        RawLine(
            session=session, file="a.jsonl", line_no=n, byte_offset=n, line_key=f"line {n}",
            digest=hashlib.sha256(text.encode()).digest(), raw=text,
        )
        for n, text in enumerate(texts, 1)
    ]  # fmt: skip


@pytest.fixture
def old(owner_url, monkeypatch):
    """A workspace in which everything is of a hundred days ago, but what says otherwise."""
    monkeypatch.setattr(seals, "SETTLED", timedelta(0))
    with clock.telling(Told(moment=clock.now() - AGO, seed=1)):
        workspace = make_workspace("greenhouse")
        with workspace_scope(workspace.id):
            for name in ("ended", "running"):
                session = make_session(name=name)
                events = [
                    NewEvent("tool_use", f"{name} pump {n}", {"is_error": n == 2, "cmd": "pump"},
                             dedupe_key=f"{name} {n}")
                    for n in range(1, 6)
                ]  # fmt: skip
                rows, _ = append_events(actor=ALICE, session_id=session.id, events=events)
                keep_raw_lines(actor=ALICE, lines=lines_of(session, ["pump", "valve"]))
                worker, _ = spawn_worker(actor=ALICE, primitive="chat", session_id=session.id)
                WorkerOutput(worker=worker, seq=1, attempt=1, text="pump").save(force_insert=True)
                if name == "ended":
                    evidence = NewEvidence(event_id=rows[2].id, quote="pump 3")
                    create_memory(
                        actor=ALICE, new=NewMemory(text="It rests on a pump.", evidence=[evidence])
                    )
                    end_session(actor=ALICE, session_id=session.id)
                    type(worker).objects.filter(pk=worker.pk).update(ended_at=clock.now())
            for entity in ("a", "b"):
                notify(actor=ALICE, conversation_id="c", notification_type="x", entity_id=entity,
                       payload={"says": "pump"})  # fmt: skip
            first = Notification.objects.order_by("id").first()
            acknowledge_notifications(actor=ALICE, ids=[first.id])
            changed, gone = make_memory("The pump hums."), make_memory("The pump is gone.")
            update_memory(actor=ALICE, memory_id=changed.id, changes={"text": "The valve hums."})
            delete_memory(actor=ALICE, memory_id=gone.id)
    seals.seal_settled(workspace.id)
    with workspace_scope(workspace.id):
        append_events(actor=ALICE, session_id=Session.objects.get(name="ended").id,
                      events=[NewEvent("note", "new pump")])  # fmt: skip
        update_memory(actor=ALICE, memory_id=changed.id, changes={"tags": ["hum"]})
        update_workspace(actor=ALICE, settings={"retention": KEPT})
    return workspace


def rows_by_kind(report):
    return {one.kind: one.rows for one in report if one.rows}


GOING = {"events": 4, "raw_lines": 2, "worker_output": 1, "notifications": 1}


def findings(workspace):
    return [
        (check.name, text)
        for check in verify.check_workspace(workspace, Options(waiting=2 * AGO))
        for text in check.problems
    ]


def texts(workspace, model, column):
    with workspace_scope(workspace.id):
        return list(model.objects.order_by("id").values_list(column, flat=True))


def test_what_is_old_is_emptied_in_place_and_all_is_found_sound(old, monkeypatch):
    monkeypatch.setattr(retention, "WINDOW", 3)
    monkeypatch.setattr(retention, "BATCH", 2)
    with workspace_scope(old.id):
        revisions = Revision.objects.filter(seal__isnull=False).count()
        counters = Session.objects.values_list("event_count", "tool_count", "error_count")
        counted = list(counters.order_by("id"))
    counted_dry = rows_by_kind(retain(old.id, dry_run=True))
    assert counted_dry == {**GOING, "revisions": revisions}
    assert "ended pump 1" in texts(old, SessionEvent, "text")

    assert rows_by_kind(retain(old.id)) == counted_dry
    assert rows_by_kind(retain(old.id)) == {}
    assert findings(old) == []

    assert texts(old, SessionEvent, "text") == [
        "", "", "ended pump 3", "", "", *(f"running pump {n}" for n in range(1, 6)), "new pump",
    ]  # fmt: skip
    assert texts(old, SessionEvent, "data")[:2] == [
        {"emptied": True}, {"emptied": True, "is_error": True},
    ]  # fmt: skip
    assert texts(old, RawLine, "raw") == ["", "", "pump", "valve"]
    assert texts(old, WorkerOutput, "text") == ["", "pump"]
    assert texts(old, Notification, "payload") == [{}, {"says": "pump"}]
    with workspace_scope(old.id):
        assert list(counters.all().order_by("id")) == counted
        assert Passage.objects.filter(kind="event").count() == 7
        session = Session.objects.get(name="ended")
        # What comes again is known, and brings nothing back.
        assert len(known_line_keys({session.id: ["line 1", "line 2"]})) == 2
        again = [NewEvent("tool_use", "ended pump 1", dedupe_key="ended 1")]
        _, new = append_events(actor=ALICE, session_id=session.id, events=again)
        assert new == []
        assert not Revision.objects.filter(seal__isnull=False).exclude(before={}).exists()


def test_what_was_emptied_is_told_of_no_more_and_not_made_up(old):
    with workspace_scope(old.id):
        memory = Memory.objects.get(text="The valve hums.")
        deletion = Revision.objects.get(action="delete")
        assert undo.as_of("memory.memory", memory.id, clock.now() - AGO)
    retain(old.id)
    with workspace_scope(old.id):
        now = undo.as_of("memory.memory", memory.id, clock.now())
        assert (now["text"], now["tags"]) == ("The valve hums.", ["hum"])
        then = undo.as_of("memory.memory", memory.id, clock.now() - timedelta(days=50))
        assert then["text"] == "The valve hums."
        assert "tags" not in then
        with pytest.raises(Conflict, match="has been erased"):
            undo.as_of("memory.memory", memory.id, clock.now() - AGO - timedelta(days=1))
        assert undo.as_of("memory.memory", deletion.object_id, clock.now()) is None
        deletion.refresh_from_db()
        assert "erased" in undo.plan(deletion).why_not


def test_a_run_that_is_killed_is_gone_on_with(old, monkeypatch):
    """Every transaction stands; the next run finds the rest."""
    kind = retention.KINDS["events"]
    object.__setattr__(kind, "batch", 1)
    left = [2]

    def dying(ids):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return retention._empty_events(ids)

    object.__setattr__(kind, "act", dying)
    try:
        with pytest.raises(KeyboardInterrupt):
            retain(old.id, kinds=["events"])
        left[0] = 100
        assert rows_by_kind(retain(old.id, kinds=["events"])) == {"events": 2}
    finally:
        object.__setattr__(kind, "batch", retention.BATCH)
        object.__setattr__(kind, "act", retention._empty_events)
    assert findings(old) == []


LOCKED = """
    SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'public'::regnamespace
"""


@pytest.fixture
def everything_due(old):
    """What has a day of its own to go by, too."""
    with clock.telling(Told(moment=clock.now() - AGO, seed=2)), workspace_scope(old.id):
        Receipt(q="pump", mode="lexical", weights="1", took_ms=1, asker="alice").save(
            force_insert=True
        )
    return old


def test_no_batch_keeps_others_from_reading_or_writing(everything_due, monkeypatch):
    """A transaction of it takes no lock on a table but those that every writer takes."""
    held = {}
    for kind in retention.KINDS.values():

        def watched(ids, kind=kind, act=kind.act):
            count = act(ids)
            with connection.cursor() as cursor:
                cursor.execute(LOCKED)
                held[kind.name] = set(cursor.fetchall())
            return count

        monkeypatch.setitem(retention.KINDS, kind.name, replace(kind, act=watched))
    retain(everything_due.id)
    assert held.keys() >= {*GOING, "receipts", "revisions"}
    for name, locks in held.items():
        assert {mode for _, mode in locks} <= {
            "AccessShareLock", "RowShareLock", "RowExclusiveLock",
        }, name  # fmt: skip


def test_a_row_that_somebody_holds_is_not_waited_for(everything_due, database_server):
    old, name = everything_due, connection.settings_dict["NAME"]
    address = urlunsplit(urlsplit(database_server.superuser)._replace(path=f"/{name}"))
    going = rows_by_kind(retain(old.id, dry_run=True))
    with psycopg.connect(address) as other:
        for name in going:
            kind = retention.KINDS[name]
            with workspace_scope(old.id):
                first = kind.due(90).order_by("id").values_list("id", flat=True)[0]
            table = sql.Identifier(kind.model._meta.db_table)
            lock = sql.SQL("SELECT 1 FROM {} WHERE id = %s FOR UPDATE").format(table)
            assert other.execute(lock, [first]).rowcount == 1
        # Of the others each, and the test would end by a lock's time where one was waited for.
        assert rows_by_kind(retain(old.id)) == {
            name: rows - 1 for name, rows in going.items() if rows > 1
        }
    assert rows_by_kind(retain(old.id)) == dict.fromkeys(going, 1)


def test_without_the_owners_login_the_rest_is_done_and_the_command_says_so(old, settings, capsys):
    settings.OWNER_URL = None
    with pytest.raises(CommandError, match="DATABASE_OWNER_URL"):
        call_command("retain", workspace="greenhouse", json=True)
    (report,) = json.loads(capsys.readouterr().out)["workspaces"].values()
    done = {one["kind"]: one for one in report}
    assert done["notifications"]["rows"] == 1
    assert {name for name, one in done.items() if one["skipped"]} == {
        "events", "raw_lines", "worker_output", "revisions",
    }  # fmt: skip
    call_command("retain", workspace="greenhouse", dry_run=True)
    told = capsys.readouterr().out
    assert "events         kept 90 days      4 would go" in told
    assert "golden_runs    kept 365 days     0 would go" in told


def test_a_workspace_keeps_for_ever_what_it_does_not_name(db):
    workspace = make_workspace("greenhouse")
    days = retention.days_of(workspace.id)
    assert days == {
        "receipts": 30, "payloads": 30, "golden_runs": 365, "key_usage": 400,
        "notifications": None, "events": None, "raw_lines": None, "worker_output": None,
        "revisions": None,
    }  # fmt: skip
    with workspace_scope(workspace.id):
        update_workspace(
            actor=ALICE, settings={"retention": {"receipts": None, "payloads": 400, "events": 1}}
        )
    days |= {"receipts": None, "payloads": 400, "events": 1}
    assert retention.days_of(workspace.id) == days


def test_days_of_keys_go_and_those_that_limits_go_by_stay(db):
    workspace, today = make_workspace("greenhouse"), clock.now().date()
    key, _ = make_key(workspace)
    with workspace_scope(workspace.id):
        for ago in (0, 399, 400, 401, 900):
            UsageDay(api_key=key, day=today - timedelta(days=ago), rows=3).save(force_insert=True)
    assert rows_by_kind(retain(workspace.id, dry_run=True)) == {"key_usage": 2}
    assert rows_by_kind(retain(workspace.id)) == {"key_usage": 2}
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"retention": {"key_usage": 1}})
    assert rows_by_kind(retain(workspace.id)) == {"key_usage": 2}
    with workspace_scope(workspace.id):
        assert list(UsageDay.objects.values_list("day", flat=True)) == [today]


@pytest.mark.parametrize(
    "wrong", [3, [], {"memories": 3}, {"events": 0}, {"events": True}, {"events": "9"},
              {"events": 36_501}, {"events": 1.5}]
)  # fmt: skip
def test_days_that_are_none_are_refused(db, wrong):
    workspace = make_workspace("greenhouse")
    with workspace_scope(workspace.id), pytest.raises(Invalid) as error:
        update_workspace(actor=ALICE, settings={"retention": wrong})
    assert list(error.value.errors) == ["settings.retention"]


def test_other_workspaces_are_left_alone(old):
    other = make_workspace("lab")
    retain(other.id)
    assert "ended pump 1" in texts(old, SessionEvent, "text")
    assert texts(old, HookPayload, "id") == texts(old, Receipt, "id") == []


def test_what_it_made_goes_though_retention_emptied_its_history(workspace, owner_url):
    api = caller(workspace)
    agent = caller(workspace, agent="codex", scopes=AGENT_SCOPES)
    mine = made(api.post("/tasks", {"title": "Water the pump"}))
    made(agent.patch(f"/tasks/{mine['id']}", {"title": "Sell the pump"}, if_match="*"))
    memory = made(agent.post("/memories", {"text": "The pump eats seedlings."}))
    key = made(agent.get("/me"))["key"]["id"]
    with as_owner("retain"), workspace_scope(workspace.id):
        seals.empty(Revision.objects.filter(actor_id=key))
    unit = made(api.post("/unlearnings", {"kind": "key", "target_id": key}))
    assert unit["preview"]["archived"] == {"memory": 1}
    (kept,) = unit["preview"]["kept"]
    assert (kept["id"], kept["why"]) == (mine["id"], "What it was has been erased.")
    for what, state in (("run", "archived"), ("undo", "active")):
        made(api.call("POST", f"/unlearnings/{unit['id']}/{what}", if_match="*"))
        assert made(api.get(f"/memories/{memory['id']}"))["state"] == state
