"""Sessions asked about in SQL, as a person does in psql with the runtime login."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection

from config.lib import clock
from config.lib.scope import workspace_scope
from memory.search.vectors import as_text
from memory.services.embedding import embed_pending
from sessions.services.events import NewEvent, append_events
from sessions.services.sessions import end_session, update_session
from tests.factories import ALICE, make_agent, make_session
from tests.search.conftest import HashEmbedder


def ask(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def filled(workspace, other_workspace):
    """Two agents in greenhouse with three sessions, and one session elsewhere."""
    now = clock.now()
    with workspace_scope(workspace.id):
        codex, amp = make_agent("codex"), make_agent("amp")
        old = make_session(agent=codex, name="old", started_at=now - timedelta(days=40))
        end_session(actor=ALICE, session_id=old.id)
        mid = make_session(
            agent=codex, name="mid", project="Greenhouse", started_at=now - timedelta(days=10),
            context={"a": 1},
        )  # fmt: skip
        events = [NewEvent(event_type="note", text=str(n)) for n in range(3)]
        append_events(actor=ALICE, session_id=mid.id, events=events)
        end_session(
            actor=ALICE, session_id=mid.id, ended_at=now - timedelta(days=10) + timedelta(hours=1)
        )
        make_session(agent=amp, name="new")
    with workspace_scope(other_workspace.id):
        make_session(agent=make_agent("codex"), name="theirs")
    return workspace


VIEWS = ["v_recent_sessions", "v_active_sessions"]
CALLS = [
    "SELECT * FROM v_recent_sessions",
    "SELECT * FROM v_active_sessions",
    "SELECT * FROM get_recent_sessions('codex', 365)",
    "SELECT * FROM get_last_session('codex')",
    "SELECT n FROM count_sessions_by_agent('codex', 365) AS n WHERE n > 0",
]


@pytest.mark.parametrize("call", CALLS)
def test_without_a_workspace_there_are_no_rows(filled, call):
    assert ask(call) == []


@pytest.mark.parametrize("call", CALLS[:4])
def test_with_a_workspace_there_are_its_rows_only(filled, other_workspace, call):
    with workspace_scope(filled.id):
        ours = {row["name"] for row in ask(call)}
    with workspace_scope(other_workspace.id):
        theirs = {row["name"] for row in ask(call)}
    assert ours
    assert ours <= {"old", "mid", "new"}
    assert theirs == {"theirs"}


def test_recent_sessions_are_those_of_thirty_days_with_what_they_hold(filled):
    with workspace_scope(filled.id):
        rows = ask("SELECT * FROM v_recent_sessions")
    assert [row["name"] for row in rows] == ["new", "mid"]
    mid = rows[1]
    assert (mid["agent"], mid["project_title"]) == ("codex", "Greenhouse")
    assert (mid["event_count"], float(mid["duration_minutes"])) == (3, 60.0)
    assert rows[0]["project_title"] is None


def test_active_sessions_are_those_that_have_not_ended(filled):
    with workspace_scope(filled.id):
        (row,) = ask("SELECT * FROM v_active_sessions")
    assert (row["name"], row["agent"]) == ("new", "amp")


def test_an_agents_recent_sessions_within_days_and_limit(filled):
    with workspace_scope(filled.id):
        assert ask("SELECT * FROM get_recent_sessions('codex')") == []
        names = [r["name"] for r in ask("SELECT * FROM get_recent_sessions('codex', 60)")]
        assert names == ["mid", "old"]
        one = ask("SELECT * FROM get_recent_sessions('codex', days => 60, max_results => 1)")
        assert [(r["name"], r["event_count"]) for r in one] == [("mid", 3)]
        assert ask("SELECT * FROM get_recent_sessions('nobody', 60)") == []


def test_an_agents_last_session_with_its_context(filled):
    with workspace_scope(filled.id):
        (row,) = ask("SELECT * FROM get_last_session('codex')")
        assert (row["name"], row["context"]) == ("mid", '{"a": 1}')
        assert ask("SELECT * FROM get_last_session('nobody')") == []


def test_sessions_counted_by_agent(filled):
    with workspace_scope(filled.id):
        count = "SELECT count_sessions_by_agent(%s, %s) AS n"
        assert ask(count, "codex", 30) == [{"n": 1}]
        assert ask(count, "codex", 60) == [{"n": 2}]
        assert ask("SELECT count_sessions_by_agent('amp') AS n") == [{"n": 1}]
        assert ask(count, "nobody", 60) == [{"n": 0}]


def test_sessions_by_meaning_are_this_workspaces_above_the_threshold(filled, other_workspace):
    embedder = HashEmbedder()
    for place in (filled, other_workspace):
        with workspace_scope(place.id):
            row = make_session(agent=make_agent("codex"), name="pump")
            update_session(actor=ALICE, session_id=row.id, changes={"summary": "watering at noon"})
        embed_pending(place.id, seconds=10, embedder=embedder)
    query = as_text(np.asarray(embedder.one("pump watering at noon")).tolist())
    call = "SELECT * FROM search_sessions_semantic(%s::halfvec"
    assert ask(f"{call})", query) == []
    with workspace_scope(filled.id):
        (best,) = ask(f"{call})", query)
        assert (best["name"], best["agent"]) == ("pump", "codex")
        assert best["similarity"] > 0.99
        every = ask(f"{call}, 10, -1)", query)
        assert len(every) == 4
        assert [r["similarity"] for r in every] == sorted(
            (r["similarity"] for r in every), reverse=True
        )
        assert len(ask(f"{call}, 2, -1)", query)) == 2
        # Of another model's length, and given as the other vector type.
        assert ask(f"{call}, 10, -1)", "[1,2,3]") == []
        assert len(ask("SELECT * FROM search_sessions_semantic(%s::vector(384))", query)) == 1


@pytest.mark.parametrize("view", VIEWS)
def test_views_read_as_who_asks_and_cannot_be_written(db, view):
    options = ask("SELECT reloptions FROM pg_class WHERE relname = %s", view)
    assert options == [{"reloptions": ["security_invoker=true"]}]
    granted = ask(
        "SELECT privilege_type FROM information_schema.role_table_grants "
        "WHERE table_name = %s AND grantee = 'app_rw'", view,
    )  # fmt: skip
    assert [row["privilege_type"] for row in granted if row["privilege_type"] != "TRUNCATE"] == [
        "SELECT"
    ]
