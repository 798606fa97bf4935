"""Searches are kept: opened, listed, asked again, judged, and forgotten after their time."""

import uuid
from datetime import timedelta

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Revision
from memory.models import Receipt, SearchFeedback
from memory.search.funnel import search
from memory.services import receipts, retention
from memory.services.receipts import weights_version
from tests.api.caller import Caller, all_items, caller, made, problem, wrong_fields
from tests.api.test_concurrency import at_once
from tests.search.asking import embed_all
from tests.search.conftest import _nothing_kept, embedder

__all__ = ["_nothing_kept", "embedder"]


@pytest.fixture
def boiler(api, embedder):
    """Two memories of the boiler, in the order in which a search for it finds them."""
    texts = ("The boiler hums at night.", "The boiler in the cellar is old and slow to start.")
    return [made(api.post("/memories", {"text": text})) for text in texts]


def asked(api, **query):
    answer = made(api.post("/search", query))
    return answer, made(api.get(f"/searches/{answer['receipt_id']}"))


def test_a_search_is_kept_as_asked_with_the_figures_of_its_hits(api, workspace, boiler):
    embed_all(workspace)
    answer, kept = asked(api, q="boiler hums", kinds=["memory"], limit=5)
    assert (kept["q"], kept["mode"], kept["legs"]) == (
        "boiler hums", "hybrid", ["lexical", "semantic"],
    )  # fmt: skip
    assert kept["request"] == {"q": "boiler hums", "kinds": ["memory"], "limit": 5}
    assert kept["filters"] == {"kinds": ["memory"], "states": ["active"]}
    assert [hit["id"] for hit in kept["hits"]] == [hit["id"] for hit in answer["hits"]]
    first = kept["hits"][0]
    assert (first["kind"], first["rank"], first["chunk"]) == ("memory", 1, 0)
    assert first["score"] == answer["hits"][0]["score"]
    assert first["bm25"] > 0
    assert first["cosine"] > 0
    assert kept["space"] == "test hash (384)"
    assert kept["weights"]
    assert kept["took_ms"] > 0
    assert kept["agent_id"] == made(api.get("/me"))["agent"]["id"]
    assert kept["hit_count"] == len(answer["hits"]) == 2


def test_the_version_of_the_ranking_names_the_reranker(settings):
    plain = weights_version()
    assert weights_version() == plain
    settings.RERANKER, settings.RERANKER_URL = "http", "http://127.0.0.1:9"
    by_one = weights_version()
    settings.RERANKER_MODEL = "another"
    assert len({plain, by_one, weights_version()}) == 3
    # What is not asked changes nothing.
    settings.RERANKER = "none"
    assert weights_version() == plain


def test_figures_are_kept_though_only_who_asks_sees_them(api, boiler):
    answer, _ = asked(api, q="boiler")
    assert {hit["explain"] for hit in answer["hits"]} == {None}
    answer, _ = asked(api, q="boiler", explain=True)
    assert answer["hits"][0]["explain"]["bm25_rank"] == 1


def test_a_receipt_holds_no_text_of_rows_and_no_revision(api, workspace, boiler):
    with workspace_scope(workspace.id):
        before = Revision.objects.count()
    _, kept = asked(api, q="cellar")
    assert "slow" not in str(kept)
    with workspace_scope(workspace.id):
        assert Revision.objects.count() == before


def test_a_client_can_opt_out(api, boiler):
    assert made(api.post("/search", {"q": "boiler", "receipt": False}))["receipt_id"] is None
    assert made(api.get("/searches"))["items"] == []


def test_an_operator_can_have_none_kept(api, boiler, settings):
    settings.RECEIPT_DAYS = 0
    answer = made(api.post("/search", {"q": "boiler"}))
    assert answer["receipt_id"] is None
    assert len(answer["hits"]) == 2


def test_a_search_answers_though_its_receipt_cannot_be_written(api, boiler, monkeypatch):
    monkeypatch.setattr(receipts, "_INSERT", "INSERT INTO nowhere" + " %s" * 20)
    answer = made(api.post("/search", {"q": "boiler"}))
    assert len(answer["hits"]) == 2
    assert answer["receipt_id"] is None


def test_a_receipt_costs_one_statement(workspace, api, boiler, django_assert_max_num_queries):
    query = receipts.SearchQuery(q="boiler")
    with workspace_scope(workspace.id):
        answer = search(query=query)
        actor = receipts.Actor("key", "k", "k", "api")
        # The statement, and the savepoint and setting around it.
        with django_assert_max_num_queries(4):
            assert receipts.keep(query=query, answer=answer, took_ms=1.0, actor=actor)


def test_searches_are_listed_newest_first_and_narrowed(api, workspace, boiler):
    other = caller(workspace, agent="other")
    for q in ("boiler", "hums", "nothing of the kind"):
        made(api.post("/search", {"q": q, "mode": "lexical"}))
    made(other.post("/search", {"q": "cellar"}))
    listed = all_items(api, "/searches", limit=2)
    assert [one["q"] for one in listed] == ["cellar", "nothing of the kind", "hums", "boiler"]

    def narrowed(**filters):
        return [one["q"] for one in made(api.get("/searches", **filters))["items"]]

    assert narrowed(agent="other") == ["cellar"]
    assert narrowed(mode="hybrid") == ["cellar"]
    assert narrowed(empty="true") == ["nothing of the kind"]
    assert narrowed(until=listed[1]["created_at"]) == ["hums", "boiler"]
    assert narrowed(since=listed[0]["created_at"]) == ["cellar"]
    problem(api.get("/searches", agent="nobody"), 404)
    assert wrong_fields(api.get("/searches", mode="psychic"))


def test_a_replay_says_what_came_went_and_moved(api, boiler):
    hums, old = boiler
    _, kept = asked(api, q="boiler hums", mode="lexical")
    again = made(api.post(f"/searches/{kept['id']}/replay"))
    assert (again["same"], again["came"], again["went"], again["moved"]) == (2, [], [], [])
    new = made(api.post("/memories", {"text": "boiler hums, boiler hums"}))
    api.delete(f"/memories/{old['id']}", if_match="*")
    again = made(api.post(f"/searches/{kept['id']}/replay"))
    assert [one["id"] for one in again["came"]] == [new["id"]]
    assert [(one["id"], one["deleted"]) for one in again["went"]] == [(old["id"], True)]
    assert [(one["id"], one["rank_before"], one["rank"]) for one in again["moved"]] == [
        (hums["id"], 1, 2)
    ]
    assert again["answer"]["receipt_id"] is None
    assert old["text"] not in str(again)
    assert len(made(api.get("/searches"))["items"]) == 1


def test_what_only_ranks_lower_is_not_called_deleted(api, boiler):
    _, kept = asked(api, q="cellar boiler", mode="lexical", limit=1)
    made(api.post("/memories", {"text": "cellar boiler"}))
    again = made(api.post(f"/searches/{kept['id']}/replay"))
    assert [one["deleted"] for one in again["went"]] == [False]


def test_a_replay_of_what_names_a_deleted_project_says_so(api, boiler):
    project = made(api.post("/projects", {"title": "Cellar"}))
    _, kept = asked(api, q="boiler", project=project["id"])
    api.delete(f"/projects/{project['id']}", if_match="*")
    assert api.post(f"/searches/{kept['id']}/replay").status_code in (404, 422)


def test_feedback_is_one_per_hit_and_asker_and_can_be_changed(api, workspace, boiler):
    _, kept = asked(api, q="boiler")
    path, hit = f"/searches/{kept['id']}/feedback", kept["hits"][0]
    first = made(api.post(path, {"kind": hit["kind"], "id": hit["id"], "verdict": "wrong"}))
    second = made(api.post(path, {"id": hit["id"][-12:], "verdict": "useful", "note": "It does."}))
    assert second["id"] == first["id"]
    assert (second["verdict"], second["note"]) == ("useful", "It does.")
    other = caller(workspace, agent="other")
    made(other.post(path, {"id": hit["id"], "verdict": "outdated"}))
    given = made(api.get(f"/searches/{kept['id']}"))["feedback"]
    assert [(one["verdict"], one["hit_id"]) for one in given] == [
        ("useful", hit["id"]), ("outdated", hit["id"]),
    ]  # fmt: skip
    listed = made(api.get("/searches/feedback", verdict="outdated"))["items"]
    assert [one["hit_id"] for one in listed] == [hit["id"]]
    assert len(made(api.get("/searches/feedback"))["items"]) == 2


def test_feedback_changes_no_ranking(api, boiler):
    before, kept = asked(api, q="boiler", explain=True)
    for hit in kept["hits"]:
        made(api.post(f"/searches/{kept['id']}/feedback", {"id": hit["id"], "verdict": "wrong"}))
    after, _ = asked(api, q="boiler", explain=True)
    assert after["hits"] == before["hits"]


def test_feedback_is_on_hits_of_that_search_only(api, boiler):
    _, kept = asked(api, q="cellar")
    path = f"/searches/{kept['id']}/feedback"
    hums = boiler[0]["id"]
    assert "is no hit" in wrong_fields(api.post(path, {"id": hums, "verdict": "wrong"}))["id"]
    hit = kept["hits"][0]["id"]
    assert "verdict" in wrong_fields(api.post(path, {"id": hit, "verdict": "nice"}))
    assert wrong_fields(api.post(path, {"kind": "task", "id": hit, "verdict": "wrong"}))


def test_receipts_of_another_workspace_are_not_found(api, stranger, boiler):
    _, kept = asked(api, q="boiler")
    path = f"/searches/{kept['id']}"
    problem(stranger.get(path), 404)
    problem(stranger.post(f"{path}/replay"), 404)
    said = {"id": kept["hits"][0]["id"], "verdict": "wrong"}
    problem(stranger.post(f"{path}/feedback", said), 404)
    assert made(stranger.get("/searches"))["items"] == []


def test_old_searches_are_forgotten_with_their_feedback(api, workspace, boiler, settings):
    _, old = asked(api, q="boiler")
    _, young = asked(api, q="cellar")
    said = {"id": old["hits"][0]["id"], "verdict": "wrong"}
    made(api.post(f"/searches/{old['id']}/feedback", said))
    settings.RECEIPT_DAYS = 30
    with workspace_scope(workspace.id):
        rows = Receipt.objects.filter(pk=uuid.UUID(old["id"]))
        rows.update(created_at=clock.now() - timedelta(days=30, minutes=1))
    (done,) = retention.retain(workspace.id, kinds=["receipts"])
    assert (done.days, done.rows) == (30, 1)
    with workspace_scope(workspace.id):
        assert [str(row.pk) for row in Receipt.objects.all()] == [young["id"]]
        assert not SearchFeedback.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_asker_who_says_it_twice_at_once_has_said_it_once(workspace):
    api = caller(workspace)
    made(api.post("/memories", {"text": "The boiler hums."}))
    _, kept = asked(api, q="boiler", mode="lexical")
    said = {"id": kept["hits"][0]["id"], "verdict": "useful"}
    path = f"/searches/{kept['id']}/feedback"

    verdicts = ["useful", "wrong"] * 4
    answers = at_once(
        [lambda v=v: Caller(api.token).post(path, {**said, "verdict": v}) for v in verdicts]
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len(made(api.get(f"/searches/{kept['id']}"))["feedback"]) == 1
