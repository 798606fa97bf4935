"""A condition that one row in a thousand meets finds every one of them, in a larger workspace."""

import pytest
from django.db import connection

from config.lib.scope import workspace_scope
from memory.models import EmbeddingSpace, Passage
from memory.search import dense
from tests.factories import make_memory, make_session
from tests.search.asking import ask_fully, embed_all

pytestmark = pytest.mark.slow

ROWS, RARE, SOME = 20_000, 1000, 20
# Rows share vectors, eighty each.
DISTINCT = 250
QUERY = "humidity reading"


@pytest.fixture
def readings(workspace, embedder):
    """Events with passages, written as tables, since only searches are looked at here."""
    vectors = [f"[{','.join(map(str, embedder.one(f'{QUERY} {n}')))}]" for n in range(DISTINCT)]
    with workspace_scope(workspace.id):
        make_memory("A first row makes the space.")
    embed_all(workspace)
    with workspace_scope(workspace.id), connection.cursor() as cursor:
        session, space = make_session(), EmbeddingSpace.objects.get()
        cursor.execute(
            "INSERT INTO agent_sessions_sessionevent (workspace_id, id, created_at, session_id, "
            "seq, event_type, text, data, occurred_at, dedupe_key) "
            "SELECT %s, gen_random_uuid(), now(), %s, n, 'note', '', '{}', now(), '' "
            "FROM generate_series(1, %s) n",
            [workspace.id, session.id, ROWS],
        )
        cursor.execute(
            "INSERT INTO memory_passage (workspace_id, id, created_at, of_event_id, kind, chunk, "
            "memory_kind, tags, session_id, occurred_at, metadata, trust, state, text, lexical, "
            "token_count, lane, space_id, embedding) "
            "SELECT workspace_id, gen_random_uuid(), now(), id, 'event', 0, '', '{}', session_id, "
            'now(), CASE WHEN seq %% %s = 0 THEN \'{"=often": 1, "=rare": 1}\'::jsonb '
            "WHEN seq %% %s = 0 THEN '{\"=often\": 1}' ELSE '{}' END, 'agent', 'active', said, "
            "said, 3, 0, %s, (%s::text[])[1 + seq %% %s]::halfvec "
            "FROM (SELECT *, %s || ' ' || seq %% %s AS said FROM agent_sessions_sessionevent "
            "WHERE workspace_id = %s AND session_id = %s) events",
            [RARE, SOME, space.id, vectors, DISTINCT, QUERY, DISTINCT, workspace.id, session.id],
        )
        assert Passage.objects.filter(metadata__has_key="=rare").count() == ROWS // RARE
    return workspace


def test_no_condition_makes_an_answer_shorter_than_what_there_is(readings, monkeypatch):
    exact, calls = dense.exact, []
    monkeypatch.setattr(dense, "_compare_all", lambda *_: False)
    monkeypatch.setattr(dense, "exact", lambda *a: calls.append(a) or exact(*a))
    for mode in ("lexical", "semantic", "hybrid"):
        calls.clear()
        rare = ask_fully(readings, QUERY, mode=mode, limit=100, metadata={"rare": 1})
        assert len(rare.hits) == ROWS // RARE
        # The index found too few of them, so all were compared.
        assert len(calls) == (mode != "lexical")
        calls.clear()
        some = ask_fully(readings, QUERY, mode=mode, limit=20, metadata={"often": {"gte": 1}})
        assert len(some.hits) == 20
        # One in twenty: the index was read on until there were enough.
        assert not calls
        few = ask_fully(readings, QUERY, mode=mode, limit=5, metadata={"rare": {"exists": True}})
        assert len(few.hits) == 5
    recent = ask_fully(readings, "", limit=100, metadata={"rare": 1})
    assert len(recent.hits) == ROWS // RARE
