"""POST /search: what it answers, whom it refuses, and what it says of bad requests."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.lib import clock
from config.lib.scope import workspace_scope
from memory.embedding import EmbeddingError
from tests.api.caller import caller, made, problem, wrong_fields
from tests.factories import make_memory, nowhere
from tests.search.asking import embed_all


@pytest.fixture
def api(workspace):
    return caller(workspace)


def test_an_agent_finds_by_words_what_it_has_just_said(api, embedder):
    session = made(api.post("/sessions", {"name": "Night watch"}))
    thread = made(api.post(f"/sessions/{session['id']}/threads", {}))
    said = {"role": "user", "content": "Why does the boiler hum?"}
    [message] = made(api.post(f"/threads/{thread['id']}/messages", said))["items"]
    answer = made(api.post("/search", {"q": "boiler humming", "explain": True}))
    [hit] = answer["hits"]
    assert (hit["kind"], hit["id"], hit["short_id"]) == (
        "message", message["id"], message["id"].replace("-", "")[-12:],
    )  # fmt: skip
    assert (hit["session_id"], hit["thread_id"], hit["idx"]) == (session["id"], thread["id"], 0)
    assert hit["snippet"] == "Why does the **boiler** **hum**?"
    assert hit["explain"]["bm25_rank"] == 1
    assert answer["legs"] == ["lexical"]
    assert answer["semantic_unavailable"] == "nothing is embedded yet"
    assert (answer["passages"], answer["not_embedded"]) == (2, 2)


def test_it_finds_by_meaning_what_the_job_has_embedded(api, workspace, embedder):
    memory = made(api.post("/memories", {"text": "The valve is open."}))
    embed_all(workspace)
    answer = made(api.post("/search", {"q": "open valve"}))
    assert [hit["id"] for hit in answer["hits"]] == [memory["id"]]
    assert answer["legs"] == ["lexical", "semantic"]
    assert (answer["semantic_unavailable"], answer["not_embedded"]) == (None, 0)


def test_the_query_is_embedded_outside_any_transaction(api, workspace, embedder):
    from config.lib.scope import in_scope

    seen = []
    embedder_embed = embedder.embed
    embedder.embed = lambda texts, **k: seen.append(in_scope()) or embedder_embed(texts, **k)
    made(api.post("/search", {"q": "valve"}))
    assert seen == [False]


@pytest.mark.parametrize("path", ["search", "context"])
@pytest.mark.parametrize(
    ("fields", "scopes"),
    [({"q": "valve"}, [2, 1]), ({"q": "valve", "mode": "lexical"}, [1, 1])],
)
def test_what_needs_no_vector_is_found_in_the_transaction_of_the_key(
    api, workspace, embedder, path, fields, scopes
):
    with workspace_scope(workspace.id):
        make_memory("The valve is open.")
    embed_all(workspace)
    # A key's use is noted once a minute.
    api.get("/context?q=other")
    entered, legs = [], []
    for _ in scopes:
        with CaptureQueriesContext(connection) as told:
            asked = (
                api.post("/search", fields)
                if path == "search"
                else api.get(f"/context?{urlencode(fields)}")
            )
        assert asked.status_code == 200
        answer = asked.json()
        legs.append(answer.get("legs"))
        begin = f'SET LOCAL "app"."workspace" = \'{workspace.id}\''
        entered.append(sum(query["sql"] == begin for query in told))
    assert entered == scopes
    assert legs[0] == legs[1]


def test_an_endpoint_that_is_down_is_not_asked_by_every_search(api, workspace, embedder):
    calls = []

    def down(texts, *, budget=None):
        calls.append(budget)
        raise EmbeddingError("The embedding endpoint was too slow", retryable=True)

    with workspace_scope(workspace.id):
        make_memory("The valve is open.")
    embedder.embed = down
    for n in range(3):
        answer = made(api.post("/search", {"q": f"valve {n}", "mode": "semantic"}))
        assert answer["semantic_unavailable"] == "The embedding endpoint was too slow"
        assert answer["legs"] == ["lexical"]
        assert len(answer["hits"]) == 1
    assert calls == [2.0]


def test_a_key_without_the_scope_is_refused_before_anything_is_embedded(workspace, embedder):
    problem(caller(workspace, scopes=["memories:read"]).post("/search", {"q": "valve"}), 403)
    problem(caller(workspace, agent="x").client.post("/api/v1/search"), 401)
    assert embedder.batches == []


def test_nothing_of_another_workspace_is_found(api, workspace, other_workspace, embedder):
    for place in (workspace, other_workspace):
        with workspace_scope(place.id):
            make_memory(f"the valve of {place.slug}")
        embed_all(place)
    for mode in ("hybrid", "lexical", "semantic"):
        answer = made(api.post("/search", {"q": "valve of elsewhere", "mode": mode}))
        assert [hit["text"] for hit in answer["hits"]] == ["the valve of greenhouse"]


TOMORROW = (clock.now() + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "q"),
        ({"q": " \n"}, "q"),
        ({"q": "x" * 8193}, "q"),
        ({"q": "é" * 5000}, "q"),
        ({"q": "x" * 100_000}, "q"),
        ({"q": "a\x00b"}, "q"),
        ({"q": 7}, "q"),
        ({"q": "x", "kinds": ["photo"]}, "kinds[0]"),
        ({"q": "x", "memory_kinds": ["dream"]}, "memory_kinds[0]"),
        ({"q": "x", "mode": "psychic"}, "mode"),
        ({"q": "x", "limit": 0}, "limit"),
        ({"q": "x", "limit": 101}, "limit"),
        ({"q": "x", "limit": "many"}, "limit"),
        ({"q": "x", "min_score": 1.5}, "min_score"),
        ({"q": "x", "as_of": TOMORROW}, "as_of"),
        ({"q": "x", "as_of": "yesterday"}, "as_of"),
        ({"q": "x", "after": "2024-05-02T00:00:00Z", "before": "2024-05-01T00:00:00Z"}, "before"),
        ({"q": "x", "min_trust": "blind"}, "min_trust"),
        ({"q": "x", "states": []}, "states"),
        ({"q": "x", "states": ["gone"]}, "states[0]"),
        ({"q": "x", "session": str(nowhere())}, "session"),
        ({"q": "x", "session": "not-an-id"}, "session"),
        ({"q": "x", "agent": "nobody"}, "agent"),
        ({"q": "x", "project": "nothing"}, "project"),
        ({"q": "x", "tags": ["a\x00"]}, "tags[0]"),
        ({"q": "x", "where": "1=1"}, "where"),
    ],
)
def test_a_bad_request_names_the_field(api, embedder, body, field):
    assert list(wrong_fields(api.post("/search", body))) == [field]


def test_a_lone_surrogate_is_refused(api, embedder):
    assert "q" in wrong_fields(api.post("/search", raw=b'{"q": "a\\ud800b"}'))


@pytest.mark.parametrize("q", ["the", "?", "'; DROP TABLE memory_passage; --", '"', "a:* & b", "-"])
def test_any_other_text_is_answered(api, embedder, q):
    made(api.post("/search", {"q": q}))
    made(api.post("/search", {"q": q, "mode": "lexical"}))
    made(api.post("/search", {"q": q, "mode": "semantic", "limit": 100}))
