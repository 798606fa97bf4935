"""Counts: exact in a small workspace, kept by the job in a large one, then with their age."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.lib import clock
from config.lib.scope import workspace_scope
from memory import stats
from memory.counted import COUNTED, id_before
from memory.models import DayCount, Passage, RowCount
from memory.models.passage import Lane
from memory.services import counts
from memory.services.memories import delete_memory
from memory.services.queue import defer_now
from memory.tasks import count_rows
from sessions.models import (
    Handoff,
    Mission,
    Notification,
    Ping,
    Priority,
    ScheduledMission,
    Session,
    StagedContent,
    Task,
    Worker,
)
from sessions.services.events import NewEvent, append_events
from sessions.services.sessions import end_session
from sessions.services.threads import NewMessage, append_messages
from tests import factories
from tests.api.caller import caller, made, problem, wrong_fields
from tests.factories import ALICE, make_memory, make_session, make_thread


@pytest.fixture
def api(workspace):
    return caller(workspace)


@pytest.fixture
def large(monkeypatch):
    """Every table counts as large, and what was just written as settled."""
    monkeypatch.setattr(counts, "SMALL", 1)
    monkeypatch.setattr(counts, "SETTLED", timedelta(0))


def refresh(workspace):
    """The job, one millisecond after what was written: ids tell no finer."""
    written = id_before(clock.now())
    while id_before(clock.now()) == written:
        pass
    return counts.refresh_counts(workspace.id)


def put(model, **fields):
    row = model(**fields)
    row.save(force_insert=True)
    return row


def fill(workspace):
    """Rows in each of their states."""
    now = clock.now()
    with workspace_scope(workspace.id):
        session = make_session()
        end_session(actor=ALICE, session_id=make_session().id)
        thread = make_thread(session)
        said = [NewMessage(role="user", content=f"Line {n}") for n in range(3)]
        append_messages(actor=ALICE, thread_id=thread.id, messages=said)
        events = [NewEvent(event_type="note", text=f"Note {n}") for n in range(2)]
        append_events(actor=ALICE, session_id=session.id, events=events)
        make_memory("a", kind="fact")
        make_memory("b", kind="fact")
        make_memory("c", kind="decision")
        make_memory("d", state="archived")
        put(Task, title="t")
        put(Task, title="t", status="done")
        put(Task, title="t", status="done", archived_at=now)
        put(Worker, primitive="build")
        put(Worker, primitive="build", status="failed")
        mission = put(ScheduledMission, name="m", slug="m", prompt="p", schedule_kind="once")
        put(ScheduledMission, name="n", slug="n", prompt="p", schedule_kind="once", enabled=False)
        put(Mission, scheduled_mission=mission, scheduled_for=now, status="complete")
        put(Priority, content="c", date=now.date())
        put(Priority, content="c", date=now.date(), completed_at=now)
        put(Ping, message="m")
        put(Ping, message="m", seen_at=now)
        put(Ping, message="m", resolved_at=now)
        put(Ping, message="m", seen_at=now, expires_at=now)
        put(Notification, conversation_id="c", notification_type="t", entity_id="1")
        put(Notification, conversation_id="c", notification_type="t", entity_id="2", acked_at=now)
        put(StagedContent, content_type="draft")
        put(StagedContent, content_type="draft", dismissed_at=now)
        put(StagedContent, content_type="draft", expires_at=now)
        put(Handoff, content="c")
        return session


def without_ages(body):
    return {name: value for name, value in body.items() if name not in ("kept", "queue")}


def test_everything_is_counted_by_state_before_any_job_ran(api, workspace):
    fill(workspace)
    body = made(api.get("/stats"))
    assert body["sessions"] == {
        "total": 2, "by_state": {"active": 1, "ended": 1}, "events": 2, "messages": 3
    }  # fmt: skip
    assert body["memories"] == {
        "total": 4,
        "by_state": {"active": 3, "archived": 1},
        "by_kind": {"decision": 1, "fact": 2},
    }
    assert {name: body[name]["by_state"] for name in body if isinstance(body[name], dict)
            and name not in ("sessions", "memories") and "by_state" in body[name]} == {
        "tasks": {"todo": 1, "done": 1, "archived": 1},
        "workers": {"pending": 1, "failed": 1},
        "scheduled_missions": {"enabled": 1, "paused": 1},
        "missions": {"complete": 1},
        "priorities": {"open": 1, "completed": 1},
        "pings": {"created": 1, "seen": 1, "expired": 1, "resolved": 1},
        "notifications": {"pending": 1, "acknowledged": 1},
        "staged_content": {"shown": 1, "expired": 1, "dismissed": 1},
        "handoffs": {"pending": 1},
    }  # fmt: skip
    assert (body["agents"], body["agents_by_status"]) == (1, {"active": 1})
    assert (body["threads"], body["threads_by_status"]) == (1, {"open": 1})
    assert body["contacts"] == 0
    assert body["kept"] == {}
    assert body["index"]["refused"] == 0
    assert body["index"]["pending"] > 0
    assert body["index"]["lag_seconds"] >= 0


def test_kept_counts_say_the_same_and_when_they_were_made(api, workspace, large):
    fill(workspace)
    exact = made(api.get("/stats"))
    before = clock.now()
    count_rows(0)
    kept = made(api.get("/stats"))
    assert kept["kept"]["memories"]["exact"] is True
    assert datetime.fromisoformat(kept["kept"]["memories"]["counted_at"]) >= before
    shown = without_ages(kept)
    for body in (shown, exact):
        body["index"].pop("lag_seconds")
    assert shown == without_ages(exact)


def test_live_states_are_of_this_moment(api, workspace, large):
    session = fill(workspace)
    refresh(workspace)
    with workspace_scope(workspace.id):
        end_session(actor=ALICE, session_id=session.id)
        Ping.objects.filter(resolved_at=None, seen_at=None).update(resolved_at=clock.now())
    body = made(api.get("/stats"))
    assert body["sessions"]["by_state"] == {"ended": 2}
    assert body["pings"]["by_state"] == {"seen": 1, "expired": 1, "resolved": 2}


def test_what_came_since_the_job_is_counted_exactly(api, workspace, large):
    fill(workspace)
    refresh(workspace)
    with workspace_scope(workspace.id):
        make_memory("new", kind="fact")
    body = made(api.get("/stats"))
    assert body["memories"]["total"] == 5
    assert body["memories"]["by_kind"]["fact"] == 3
    assert body["kept"]["memories"]["exact"] is True


def test_the_job_adds_what_is_new_and_goes_through_all_again_when_due(workspace, large):
    fill(workspace)
    refresh(workspace)
    with workspace_scope(workspace.id):
        memories = RowCount.objects.get(what="memories")
        gone = make_memory("gone")
    # Not due: only new rows are added.
    refresh(workspace)
    with workspace_scope(workspace.id):
        row = RowCount.objects.get(what="memories")
        assert row.recounted_at == memories.recounted_at
        assert sum(row.counts.values()) == 5
        assert DayCount.objects.get(what="memories").count == 5
        delete_memory(actor=ALICE, memory_id=gone.id)
        RowCount.objects.update(recounted_at=clock.now() - timedelta(hours=1))
    refresh(workspace)
    with workspace_scope(workspace.id):
        row = RowCount.objects.get(what="memories")
        assert row.counts == {"active/fact": 2, "active/decision": 1, "archived/observation": 1}
        assert DayCount.objects.get(what="memories").count == 4


def test_chunks_add_up(workspace, large, monkeypatch):
    monkeypatch.setattr(counts, "CHUNK", 2)
    fill(workspace)
    refresh(workspace)
    with workspace_scope(workspace.id):
        assert RowCount.objects.get(what="messages").counts == {"": 3}
        assert sum(RowCount.objects.get(what="memories").counts.values()) == 4


def test_a_small_table_is_not_kept_and_one_that_shrank_no_longer(workspace, large, monkeypatch):
    fill(workspace)
    refresh(workspace)
    monkeypatch.setattr(counts, "SMALL", 1000)
    with workspace_scope(workspace.id):
        assert RowCount.objects.exists()
        RowCount.objects.update(recounted_at=clock.now() - timedelta(hours=1))
    refresh(workspace)
    with workspace_scope(workspace.id):
        assert not RowCount.objects.exclude(what="pending").exists()
        assert not DayCount.objects.exists()


def test_more_new_rows_than_are_looked_at_are_given_as_at_least(api, workspace, monkeypatch):
    monkeypatch.setattr(stats, "MOST", 2)
    fill(workspace)
    body = made(api.get("/stats"))
    assert body["sessions"]["messages"] == 3
    assert body["kept"]["messages"] == {"counted_at": None, "exact": False}
    assert "agents" not in body["kept"]


def test_a_long_queue_is_what_the_job_found(api, workspace, large, monkeypatch):
    fill(workspace)
    count_rows(0)
    count_rows(0)
    monkeypatch.setattr(stats, "MOST", 2)
    with workspace_scope(workspace.id):
        waiting = Passage.objects.filter(embedding=None).count()
    body = made(api.get("/stats"))
    assert waiting > 3
    assert body["index"]["pending"] == waiting
    assert body["kept"]["pending"]["exact"] is True


def test_the_oldest_waiting_passage_says_how_far_the_embedder_is_behind(api, workspace):
    with workspace_scope(workspace.id):
        make_memory("waits")
        Passage.objects.update(created_at=clock.now() - timedelta(hours=1))
    assert 3600 <= made(api.get("/stats"))["index"]["lag_seconds"] < 3700


def test_the_oldest_due_job_says_how_far_the_queue_is_behind(api, workspace):
    with workspace_scope(workspace.id):
        make_memory("waits")
    assert made(api.get("/stats"))["queue"]["lag_seconds"] < 60
    defer_now(workspace.id, Lane.BULK, in_seconds=1000)
    assert made(api.get("/stats"))["queue"]["lag_seconds"] < 60
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = NULL")
        cursor.execute("UPDATE procrastinate_events SET at = now() - interval '1 hour'")
    assert made(api.get("/stats"))["queue"]["lag_seconds"] >= 3600


def test_days_are_those_the_rows_tell_of_with_and_without_the_job(api, workspace, large):
    now = clock.now()
    today = now.date()
    with workspace_scope(workspace.id):
        make_session(started_at=now - timedelta(days=3))
        thread = make_thread(make_session())
        old = now - timedelta(days=2)
        said = [NewMessage(role="user", content="a", occurred_at=old),
                NewMessage(role="user", content="b")]  # fmt: skip
        append_messages(actor=ALICE, thread_id=thread.id, messages=said)
        make_memory("m", recorded_at=now - timedelta(days=400))
        make_memory("n")

    def days():
        items = made(api.get("/stats/days", days=4))["items"]
        return [(i["day"], i["sessions"], i["messages"], i["memories"]) for i in items]

    expected = [
        (str(today - timedelta(days=3)), 1, 0, 0),
        (str(today - timedelta(days=2)), 0, 1, 0),
        (str(today - timedelta(days=1)), 0, 0, 0),
        (str(today), 1, 1, 1),
    ]
    assert days() == expected
    count_rows(0)
    assert made(api.get("/stats/days"))["kept"]["sessions"]["exact"] is True
    assert days() == expected


def test_days_are_bounded_and_scopes_asked_for(api, workspace):
    assert len(made(api.get("/stats/days"))["items"]) == 30
    assert "days" in wrong_fields(api.get("/stats/days", days=0))
    assert "days" in wrong_fields(api.get("/stats/days", days=1000))
    problem(caller(workspace, agent="other", scopes=["search"]).get("/stats/days"), 403)


def test_another_workspace_is_not_counted(api, workspace, other_workspace, large):
    fill(other_workspace)
    count_rows(0)
    body = made(api.get("/stats"))
    assert body["sessions"]["total"] == 0
    assert body["memories"]["total"] == 0
    assert sum(day["messages"] for day in made(api.get("/stats/days"))["items"]) == 0


def test_no_large_table_is_counted_from_its_beginning(workspace, large):
    fill(workspace)
    refresh(workspace)
    with workspace_scope(workspace.id), CaptureQueriesContext(connection) as captured:
        stats.read_stats()
    assert len(captured) <= 8
    (tail,) = [
        q["sql"] for q in captured if "UNION ALL" in q["sql"] and "memory_memory" in q["sql"]
    ]
    assert tail.count("t.id > ") == len(COUNTED) == tail.count("LIMIT 5001")


@pytest.mark.django_db(transaction=True)
def test_two_jobs_at_once_do_not_count_a_row_twice(large):
    workspace = factories.make_workspace("greenhouse")
    fill(workspace)
    refresh(workspace)
    with workspace_scope(workspace.id):
        for n in range(5):
            make_memory(f"more {n}")
    start = threading.Barrier(3)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            start.wait()
            refresh(workspace)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with workspace_scope(workspace.id):
        assert sum(RowCount.objects.get(what="memories").counts.values()) == 9
        assert DayCount.objects.get(what="memories").count == 9
        assert Session.objects.count() == 2


def test_an_id_of_a_moment_is_below_all_that_are_made_later(scoped):
    before = id_before(datetime(2026, 1, 1, tzinfo=UTC))
    row = make_session()
    assert before < row.id < id_before(clock.now() + timedelta(seconds=1))
